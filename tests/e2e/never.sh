#!/usr/bin/env bash
# A runner that never comes: start says how far its instance got. The instances run boot.sh in the sandbox.
. "$(dirname "$0")/lib.sh"
start_sim --instances sandbox --boot 200 --terminate-delay 100

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
gone='([.regions[].instances[] | select(.state == "pending" or .state == "running")] | length) + (.runners | length)'

run "$mayfly" start "${args[@]}" --timeout 60s --pre-runner-script 'echo no disk >&2; exit 7'
expect 'a boot that fails ends the start with its reason' 1 err 'is terminated before its runner came online' \
	err 'mayfly: phase pre-runner' err 'hint: its console says what failed: pre-runner script (exit 7)'
equal 'and leaves nothing' "$(state "$gone")" 0
run "$mayfly" start "${args[@]}" --timeout 60s --pre-runner-script \
	'echo "mayfly-guard.service: Failed with result exit-code"; kill -KILL $PPID'
expect 'a disk that had a job says so' 1 err 'hint: it is a second boot of a disk that had a job' err 'or bake one'
run "$mayfly" start "${args[@]}" --timeout 10s --pre-runner-script 'sleep 100'
expect 'a boot that hangs ends it with its phase' 1 err 'its runner did not come online after 10 s' \
	err 'hint: the last phase its console shows is `pre-runner`'
equal 'and leaves nothing either' "$(state "$gone")" 0

# --- the machine is there, its runner ends before it is online ---
start_sim --instances sandbox --boot 200 --terminate-delay 100
ending() { # STATUS: the baked runner is replaced by one that ends with it
	run "$mayfly" start "${args[@]}" --image ami-0a11ce00000000003 --timeout 60s --pre-runner-script \
		"printf '#!/bin/sh\nexit $1\n' >\"\${MAYFLY_ROOT-}/opt/actions-runner/run.sh\""
}
ending 7
expect 'a runner that GitHub calls too old' 1 err 'mayfly: phase runner-exited 7' err "hint: the image's runner is too old for GitHub: bake"
ending 5
expect 'a runner that ends says more than poweroff' 1 err 'hint: its runner ended with exit status 5'

# --- a part of the launch was allowed to fail, and then the rest fails for another reason ---
start_sim --instances model --boot 200 --online 60000 --terminate-delay 100
control PUT faults '[{"service":"ec2","action":"RunInstances","fault":"error","code":"VcpuLimitExceeded","status":400,"skip":1,"times":9}]' >/dev/null
run "$mayfly" start "${args[@]}" --count 2 --min-count 1 --timeout 10s --fallback-label ubuntu-latest
expect 'what ended the launch is told, and no fallback taken for it' 1 err 'its runner did not come online after 10 s'
equal 'nothing is left of it' "$(state "$gone")" 0
exit $((failures > 0))
