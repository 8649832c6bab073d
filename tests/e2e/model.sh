#!/usr/bin/env bash
# start, stop and reap against the simulator, whose instances only model time.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 300 --online 700 --terminate-delay 200

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
live='[.regions[].instances[] | select(.state == "pending" or .state == "running")] | length'
all='[.regions[].instances[]]'

# --- one runner ---
control DELETE log >/dev/null
run "$mayfly" start "${args[@]}"
equal 'its region is written once' "$(grep -c '^region=' "$tmp/out")" 1
expect 'start launches a runner' 0 out 'label=mayfly-' out 'region=us-east-1' out 'ec2-instance-id=i-' \
	out 'ec2-instance-ids=["i-' out 'runner-name=mf-' out 'instance-type=m7i.large' out 'market=on-demand'
label=$(sed -n 's/^label=//p' "$tmp/out")
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
equal 'it takes 6 calls besides the polls' "$(control GET log | jq '[.[] | select(.path | startswith("/_sim") | not)
	| select((.action != "DescribeInstances") and (.path | test("runners/[0-9]+$") | not))] | length')" 6
tags=$(state "$all | .[0].tags")
for want in '"mayfly:fleet": "octo/demo"' '"mayfly:scope": "octo/demo"' "\"mayfly:label\": \"$label\"" \
	'"mayfly:role": "runner"' '"mayfly:limits": "boot=600,idle=1800,life=21600"' '"mayfly:runner-id": "' '"Name": "mf-'; do
	has "the instance is tagged $want" "$tags" "$want"
done
equal 'its volume is tagged too' "$(state '[.regions[].volumes[]][0].tags["mayfly:fleet"]')" octo/demo

run "$mayfly" stop --instance "$id" --fleet other
expect 'stop refuses what belongs to another fleet' 2 err 'does not belong to the fleet `other`'
run "$mayfly" stop --instance "$id"
expect 'stop ends the instance' 0 err "terminated $id"
sleep 0.4
equal 'no instance is left' "$(state "$live")" 0

# What could not be written was not handed out: the error says how it is terminated.
for to in '>/dev/full' '>&-'; do
	run bash -c "\"\$@\" $to" - "$mayfly" start "${args[@]}" --json --label unwritten
	expect "a result that cannot be written: $to" 1 err 'writing to standard output' err '`mayfly stop --label unwritten`'
	run "$mayfly" stop --label unwritten
	expect 'and by that it is' 0 err 'terminated i-'
done
sleep 0.4
equal 'and nothing is left' "$(state "$live")" 0
equal 'no runner record is left' "$(state '.runners | length')" 0
equal 'no volume is left' "$(state '[.regions[].volumes[]] | length')" 0
run "$mayfly" stop --instance "$id"
expect 'stop of what is gone is success' 0 err 'already gone'
run "$mayfly" stop --instance i-0123456789abcdef0
expect 'stop of what never was is success' 0 err 'nothing to stop'

# --- GitHub's files ---
export GITHUB_OUTPUT=$tmp/output GITHUB_STEP_SUMMARY=$tmp/summary.md GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=2
: >"$GITHUB_OUTPUT"
run "$mayfly" start "${args[@]}" --market spot,on-demand --json
expect 'start in a workflow step' 0 out '"label":"mayfly-4711-2-' out '"market":"spot"'
if grep -qE '^label<<mayfly_[a-z2-7]{20}$' "$GITHUB_OUTPUT" && grep -q '^mayfly-4711-2-' "$GITHUB_OUTPUT"; then
	ok 'the outputs are in heredoc form'
else
	not_ok 'the outputs are in heredoc form' "$(cat "$GITHUB_OUTPUT")"
fi
has 'the summary has a timeline' "$(cat "$GITHUB_STEP_SUMMARY")" '| online |'
equal 'the run is tagged' "$(state "$all | map(select(.state == \"running\")) | .[0].tags[\"mayfly:run\"]")" 4711/2
equal 'the spot request is tagged' "$(state "$all | map(select(.state == \"running\")) | .[0].lifecycle")" spot

# --- stop of this run, without an output ---
run "$mayfly" start "${args[@]}" --name second
expect 'a second start of the same run' 0
run "$mayfly" stop
expect 'stop touches nothing when it could be either' 3 err 'several labels'
equal 'both are there' "$(state "$live")" 2
run "$mayfly" stop --name second --repo OCTO/Demo
expect 'stop by --name, however the repository is written' 0 err 'terminated i-'
equal 'one is there' "$(state "$live")" 1
# A private repository says 404, not 403, to a token without rights: the runner may be busy for all that.
control PUT faults '{"service":"github","action":"*","fault":"not-found","times":9}' >/dev/null
run "$mayfly" stop
expect 'a token that may see nothing proves nothing' 1 err 'may be busy' err 'HTTP 404' err 'hint: '
equal 'so the instance is left alone' "$(state "$live")" 1
control DELETE faults >/dev/null
GITHUB_RUN_ATTEMPT=1 run "$mayfly" stop
expect 'an earlier attempt of the run leaves it to its own stop' 0 err 'nothing to stop'
GITHUB_RUN_ATTEMPT=3 run "$mayfly" stop
expect 'stop by the run alone, of an earlier attempt too' 0 err 'terminated i-'
equal 'none is there' "$(state "$live")" 0
GITHUB_RUN_ID=4712 run "$mayfly" stop
expect 'stop of a run that launched nothing' 0 err 'nothing to stop'
unset GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_RUN_ID GITHUB_RUN_ATTEMPT

# --- several ---
run "$mayfly" start "${args[@]}" --count 5 --json
expect 'start of five' 0
equal 'five runners' "$(jq '.runners | length' <<<"$out")" 5
label=$(jq -r .label <<<"$out")
run "$mayfly" start "${args[@]}" --label "$label"
expect 'a label in use is refused' 2 err 'carries the label'
run "$mayfly" stop --label "$label" --json
equal 'stop by label ends five' "$(jq '.terminated | length' <<<"$out")" 5
equal 'and no record is left' "$(state '.runners | length')" 0

# --- the configuration file ---
cat >"$tmp/mayfly.ini" <<-'END'
	[default]
	subnets         = subnet-0a11ce01, subnet-0a11ce02
	security-groups = sg-0a11ce01

	[runner arm64]
	image  = ami-0a11ce00000000002
	types  = m7g.xlarge, c7g.xlarge
	market = spot, on-demand
END
run "$mayfly" start --config "$tmp/mayfly.ini" --runner arm64 --dry-run
expect 'a dry run prints the plan' 0 out '1. m7g.xlarge spot in subnet-0a11ce01' out '8. c7g.xlarge on-demand in subnet-0a11ce02' \
	out 'MAYFLY_JIT=' out 'of 16384 bytes'
equal 'and launches nothing' "$(state "$live")" 0
run "$mayfly" start --config "$tmp/mayfly.ini" --runner arm65
expect 'a runner that the file does not have' 2 err 'has no section [runner arm65]'
run env INPUT_EC2-IMAGE-ID=ami-0a11ce00000000001 INPUT_EC2-INSTANCE-TYPE=m7i.large INPUT_SUBNET-ID=subnet-0a11ce01 \
	INPUT_SECURITY_GROUP_ID=sg-0a11ce01 INPUT_LABEL= "$mayfly" start --dry-run --json
expect "machulav's inputs" 0 out '"type":"m7i.large"' out '"label":"mayfly-'
run "$mayfly" start "${args[@]}" --label Ubuntu-latest --dry-run
expect 'a label of everybody is warned of' 0 err 'warning: --label: jobs ask for `Ubuntu-latest` anyway'

# --- the job ends, the instance goes by itself ---
control POST jobs '{"repository":"octo/demo","run_id":9,"name":"build","labels":["own"],"commands":["true"],"duration_ms":2500}' >/dev/null
run "$mayfly" start "${args[@]}" --label own
expect 'start beside a queued job' 0
for _ in {1..60}; do
	[ "$(state "$live")" = 0 ] && break
	sleep 0.1
done
equal 'the instance ended itself' "$(state "$live")" 0
equal 'its record is gone' "$(state '.runners | length')" 0
run "$mayfly" stop --label own
expect 'stop finds nothing to do' 0

# --- a signal ---
"$mayfly" start "${args[@]}" --label signalled --timeout 30s >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in {1..100}; do
	grep -q ec2-instance-id "$tmp/out" && break
	sleep 0.02
done
kill -INT $pid
wait $pid
status=$? out=$(cat "$tmp/out") err=$(cat "$tmp/err")
expect 'SIGINT undoes the start' 1 err 'interrupted by a signal'
equal 'no instance is left after a signal' "$(state "$live")" 0
equal 'no record is left after a signal' "$(state '.runners | length')" 0

for under in 'env --default-signal=HUP' nohup; do # a terminal closes
	control DELETE log >/dev/null
	# shellcheck disable=SC2086
	in_background $under "$mayfly" start "${args[@]}" --label "${under%% *}" --timeout 30s
	check "$under start" until_asked RunInstances
	kill -HUP "$background_pid"
	ended
	if [ "$under" = nohup ]; then
		expect 'under nohup SIGHUP means nothing' 0
	else
		expect 'SIGHUP undoes the start' 1 err 'interrupted by a signal'
		equal 'no instance is left after it' "$(state "$live")" 0
	fi
done

# --- a runner that never comes ---
start_sim --instances model --boot 100 --online 3600000 --terminate-delay 100
run "$mayfly" start "${args[@]}" --timeout 10s
expect 'a runner that never comes' 1 err 'its runner did not come online after 10 s' err 'hint: '
equal 'is undone' "$(state "$live")" 0
equal 'with its record' "$(state '.runners | length')" 0

# --- the reaper ---
start_sim --instances model --boot 50 --online 200 --terminate-delay 50
run "$mayfly" reap
expect 'reap of an empty fleet' 0 err '0 live instances'
run "$mayfly" start "${args[@]}" --label old
expect 'start before the reaper' 0
run "$mayfly" reap
expect 'reap keeps what is young' 0 out 'kept i-' out 'launch-grace'
control POST clock '{"advance_seconds":900}' >/dev/null
run "$mayfly" reap
expect 'reap keeps what has its runner, with a clock of its own that is off' 0 out 'has its runner'
# The machine hangs, and GitHub forgets its runner.
control POST "instances/$(state "$all | .[0].id")/kill" >/dev/null
control POST clock '{"advance_seconds":1900}' >/dev/null
runner=$(state '.runners[0].id')
curl -sS -X DELETE -H "Authorization: Bearer $MAYFLY_GITHUB_TOKEN" "$GITHUB_API_URL/repos/octo/demo/actions/runners/$runner"
run "$mayfly" reap --dry-run
expect 'reap --dry-run tells' 0 out 'would mark i-' out 'its runner is gone'
equal 'and does nothing' "$(state "$all | .[0].tags[\"mayfly:reap-mark\"]")" null
run "$mayfly" reap
expect 'the first pass marks' 0 out 'marked i-'
run "$mayfly" reap
expect 'the second pass comes too soon' 0 out 'marked i-'
equal 'so the instance lives' "$(state "$live")" 1
control POST clock '{"advance_seconds":200}' >/dev/null
run "$mayfly" reap --json
expect 'a later pass ends it' 0 out '"terminated":1' out '"rule":"no-runner"'
sleep 0.2
equal 'the instance is gone' "$(state "$live")" 0

run "$mayfly" start "${args[@]}" --label deadline --max-lifetime 2h
expect 'start with a deadline' 0
control POST clock '{"advance_seconds":7300}' >/dev/null
control POST faults '{"service":"github","action":"list-runners","fault":"garbage","times":9}' >/dev/null
run "$mayfly" reap
expect 'past the deadline reap asks nobody' 3 out 'terminated i-' out 'past its deadline' err 'GitHub could not be asked'
equal 'and the instance is gone' "$(state "$live")" 0
exit $((failures > 0))
