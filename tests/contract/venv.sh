# shellcheck shell=bash disable=SC2034
# The judges from PyPI, in a virtual environment of the tests' own. Sets $venv; returns 1 when they cannot be had.
make_venv() {
	venv=${MAYFLY_TEST_CACHE:?}/venv
	mkdir -p "$MAYFLY_TEST_CACHE"
	(
		flock 9
		[ ! -e "$venv/ready" ] || exit 0
		python3 -m venv "$venv" && "$venv/bin/pip" install -q botocore 'moto[server]>=5.1' && touch "$venv/ready"
	) 9>"$MAYFLY_TEST_CACHE/venv.lock" >"$MAYFLY_TEST_CACHE/venv.log" 2>&1
}
