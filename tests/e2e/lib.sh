# shellcheck shell=bash disable=SC2034
# What the end-to-end tests share: a simulator of one's own, and checks that print `ok - NAME` or `not ok - NAME: WHY`.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${MAYFLY_BUILD:-$top/build/test}
mayfly=$build/mayfly
sim=$build/mayfly-sim
tmp=$(mktemp -d)
sim_pid=
failures=0
# The user's own settings must not leak in.
while IFS='=' read -r name _; do
	case $name in AWS_* | GITHUB_* | MAYFLY_* | INPUT_* | RUNNER_* | CI_PROJECT_DIR | WORKSPACE)
		[ "$name" = MAYFLY_BUILD ] || [ "$name" = MAYFLY_TEST_CACHE ] || unset "$name"
		;;
	esac
done < <(env)
unset CI
export HOME=$tmp/home
mkdir -p "$HOME"

stop_sim() {
	[ -n "$sim_pid" ] || return 0
	kill "$sim_pid" 2>/dev/null
	if ! wait "$sim_pid" 2>/dev/null; then # a sanitizer's report, a leak
		not_ok 'the simulator ends well' "$(grep -aE 'ERROR|runtime error' "$tmp/sim.log" | head -3)"
	fi
	sim_pid=
}

cleanup() {
	local status=$? before=$failures
	stop_sim
	rm -rf "$tmp"
	[ "$failures" -eq "$before" ] || exit 1
	exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# start_sim [OPTION…]: runs it, waits until it listens, takes its settings into the environment.
start_sim() {
	stop_sim
	rm -f "$tmp/env" "$tmp/port"
	"$sim" --port 0 --port-file "$tmp/port" --env-file "$tmp/env" "$@" >"$tmp/sim.log" 2>&1 &
	sim_pid=$!
	local i
	for ((i = 0; i < 200; i++)); do
		[ -s "$tmp/port" ] && [ -s "$tmp/env" ] && break
		sleep 0.05
	done
	if [ ! -s "$tmp/env" ]; then
		printf 'not ok - the simulator starts: %s\n' "$(tail -3 "$tmp/sim.log" | tr '\n' ' ')"
		exit 1
	fi
	set -a
	# shellcheck disable=SC1091
	. "$tmp/env"
	set +a
	url=http://127.0.0.1:$(cat "$tmp/port")
}

control() { # METHOD PATH [BODY]
	curl -sS -X "$1" ${3:+-H 'Content-Type: application/json' -d "$3"} "$url/_sim/$2"
}

ok() { printf 'ok - %s\n' "$1"; }

not_ok() { # NAME WHY
	failures=$((failures + 1))
	printf 'not ok - %s: %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')"
}

check() { # NAME COMMAND…: succeeds
	local name=$1
	shift
	if "$@" >"$tmp/check.out" 2>&1; then ok "$name"; else not_ok "$name" "status $?: $(tail -5 "$tmp/check.out")"; fi
}

# run COMMAND…: keeps $status, $out and $err.
run() {
	"$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

# in_background COMMAND…: keeps $background_pid; ended waits for it and keeps $status, $out and $err.
in_background() {
	"$@" >"$tmp/out" 2>"$tmp/err" &
	background_pid=$!
}
ended() {
	wait "$background_pid"
	status=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

# asked ACTION: how often the simulator was asked for it, a regular expression.
asked() { control GET log | jq -r '.[].action' | grep -c "$1"; }
until_asked() { # ACTION [N]
	local i
	for ((i = 0; i < 200; i++)); do
		[ "$(asked "$1")" -lt "${2:-1}" ] || return 0
		sleep 0.05
	done
	return 1
}

# expect NAME STATUS [STREAM TEXT]…: what the last run did; STREAM is out or err, TEXT must be in it.
expect() {
	local name=$1 want=$2
	shift 2
	if [ "$status" -ne "$want" ]; then
		not_ok "$name" "exit status $status instead of $want: $out $err"
		return
	fi
	while [ $# -gt 0 ]; do
		if ! grep -qF -- "$2" <<<"${!1}"; then
			not_ok "$name" "no \`$2\` in $1: ${!1}"
			return
		fi
		shift 2
	done
	ok "$name"
}

# state FILTER: a value of the simulator's state, by jq.
state() { control GET state | jq -r "$1"; }

# equal NAME GOT WANT
equal() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got \`$2\`, wanted \`$3\`"; fi; }

# has NAME TEXT PART
has() { if grep -qF -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "no \`$3\` in: $2"; fi; }
