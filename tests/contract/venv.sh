# shellcheck shell=bash disable=SC2034
# venv_of NAME PACKAGE…: packages from PyPI in a virtual environment of the tests' own. Sets $venv; returns 1 when they
# cannot be had.
venv_of() {
	venv=${MAYFLY_TEST_CACHE:?}/$1
	shift
	mkdir -p "$MAYFLY_TEST_CACHE"
	(
		flock 9
		[ "$(cat "$venv/ready" 2>/dev/null)" != "$*" ] || exit 0
		python3 -m venv "$venv" && "$venv/bin/pip" install -q "$@" && printf '%s\n' "$*" >"$venv/ready"
	) 9>"$MAYFLY_TEST_CACHE/venv.lock" >"$MAYFLY_TEST_CACHE/venv.log" 2>&1
}

# The judges, of these versions: what they say changes with a commit alone.
make_venv() {
	venv_of venv botocore==1.44.8 'moto[server]==5.2.5' dockerfile==3.4.0 kubernetes-validate==1.37.0 prometheus_client==0.26.0 \
		pyyaml==6.0.4 spdx-tools==0.8.5 check-jsonschema==0.39.0
}
