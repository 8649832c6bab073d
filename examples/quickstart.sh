#!/bin/sh
# The main job on this machine, without an account anywhere: one instance, one runner, one job, gone.
#
# Installs the packages that building needs (Debian, Ubuntu; as root or by sudo), builds, starts mayfly-sim, which plays
# EC2 and GitHub on a loopback port, and runs Mayfly against it. The "instance" is a sandbox that runs the real
# user-data. Leaves nothing running.
#
# usage: examples/quickstart.sh
set -eu
cd "$(dirname "$0")/.."
top=$PWD
build=$top/build/quickstart
tmp=$(mktemp -d)
sim=

cleanup() {
	status=$?
	trap - EXIT
	if [ -n "$sim" ]; then
		kill "$sim" 2>/dev/null || :
		wait "$sim" 2>/dev/null || :
	fi
	[ $status -eq 0 ] || { [ ! -s "$tmp/log" ] || tail -20 "$tmp/log" >&2; }
	rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

began=$(date +%s%N)
step() {
	printf '\n[%5s s] %s\n' "$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $began) / 1e9 }")" "$*"
}

# quietly COMMAND…: its output is shown only when it fails.
quietly() {
	"$@" >"$tmp/log" 2>&1
}

step 'installing the packages that building needs'
quietly examples/install-packages.sh build

step 'building'
[ -x configure ] || quietly ./autogen.sh
mkdir -p "$build"
cd "$build"
[ -f config.status ] || quietly "$top/configure"
quietly make -j"$(nproc)"
cd "$top"
PATH=$build:$PATH

step 'starting mayfly-sim'
# Settings of this user must not reach a real account.
for name in $(env | sed -n -E 's/^((AWS|GITHUB|MAYFLY|INPUT)_[A-Za-z0-9_]*)=.*/\1/p'); do
	unset "$name"
done
mayfly-sim --port 0 --env-file "$tmp/env" --instances sandbox >"$tmp/sim.log" 2>&1 &
sim=$!
tries=100
until [ -s "$tmp/env" ]; do
	tries=$((tries - 1))
	if [ $tries -eq 0 ] || ! kill -0 $sim 2>/dev/null; then
		cat "$tmp/sim.log" >&2
		exit 1
	fi
	sleep 0.1
done
set -a
# shellcheck disable=SC1091 # made by the simulator
. "$tmp/env"
set +a
cat "$tmp/sim.log"
control=$AWS_ENDPOINT_URL/_sim

step 'queueing a job that asks for the label `quickstart`'
job=$(curl -sSf -H 'Content-Type: application/json' "$control/jobs" -d '{
	"repository": "octo/demo", "run_id": 1, "name": "build", "labels": ["quickstart"],
	"commands": ["echo \"hello from $RUNNER_NAME, $(uname -sm)\"", "for i in 1 2 3; do echo \"working $i\"; sleep 1; done"]
}' | sed -E 's/.*"id": ?([0-9]+).*/\1/')
echo "job $job is queued"

step 'mayfly start'
GITHUB_STEP_SUMMARY=$tmp/summary mayfly start --label quickstart --image ami-0a11ce00000000001 --types m7i.large,m7a.large \
	--subnets subnet-0a11ce01,subnet-0a11ce02 --security-groups sg-0a11ce01 --timeout 2m >"$tmp/outputs"
cat "$tmp/outputs"
instance=$(sed -n 's/^ec2-instance-id=//p' "$tmp/outputs")

step 'waiting for the job and for the instance to end itself'
tries=120
until curl -sSf "$control/jobs/$job" | grep -q '"status": *"completed"' &&
	curl -sSf "$control/instances/$instance/state" | grep -qx terminated; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || {
		echo "it did not end" >&2
		exit 1
	}
	sleep 0.25
done

step "the job's own output, as it ran on the instance"
curl -sSf "$control/jobs/$job/log" | sed 's/^/  | /'

step 'what is left'
echo "instance $instance: $(curl -sSf "$control/instances/$instance/state")"
echo "runner records at GitHub: $(curl -sSf -H "Authorization: Bearer $MAYFLY_GITHUB_TOKEN" -A quickstart \
	"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/runners" | sed -E 's/.*"total_count": ?([0-9]+).*/\1/')"

step 'mayfly stop (the step with `if: always()`: nothing is left to do)'
mayfly stop --label quickstart

step 'mayfly reap (from cron: nothing is left to do)'
mayfly reap

step "the start's timeline, as a workflow's summary shows it"
cat "$tmp/summary"

step 'done'
cat <<'END'

The same on AWS: no mayfly-sim, and instead of its settings

  export AWS_REGION=us-east-1                    # and credentials: AWS_ACCESS_KEY_ID, … or AWS_PROFILE
  export GITHUB_REPOSITORY=OWNER/REPO
  export MAYFLY_GITHUB_TOKEN=…                   # with `Administration: write` on the repository
  mayfly start --image ami-… --types m7i.large --subnets subnet-… --security-groups sg-…

The README says what a workflow looks like.
END
