# shellcheck shell=bash disable=SC2034
# The judges from PyPI, in a virtual environment of the tests' own. Sets $venv; returns 1 when they cannot be had.
make_venv() {
	venv=${MAYFLY_TEST_CACHE:?}/venv
	mkdir -p "$MAYFLY_TEST_CACHE"
	(
		flock 9
		wanted='botocore moto[server]>=5.1 dockerfile kubernetes-validate prometheus_client pyyaml spdx-tools check-jsonschema'
		[ "$(cat "$venv/ready" 2>/dev/null)" != "$wanted" ] || exit 0
		# shellcheck disable=SC2086 # a list of packages
		python3 -m venv "$venv" && "$venv/bin/pip" install -q $wanted && printf '%s\n' "$wanted" >"$venv/ready"
	) 9>"$MAYFLY_TEST_CACHE/venv.lock" >"$MAYFLY_TEST_CACHE/venv.log" 2>&1
}
