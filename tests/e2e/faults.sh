#!/usr/bin/env bash
# What goes wrong on the wire: start settles it, or fails with nothing left.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 100 --online 200 --terminate-delay 50

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 60s)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")] | length'

fault() { control POST faults "$1" >/dev/null; }

# started NAME: the last run launched exactly one instance with one record; then ends it.
started() {
	expect "$1" 0 out 'ec2-instance-id=i-'
	equal "$1: one instance" "$(state "$live")" 1
	equal "$1: one record" "$(state '.runners | length')" 1
	"$mayfly" stop --instance "$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")" >/dev/null 2>&1
}

# nothing_left NAME
nothing_left() {
	equal "$1: no instance" "$(state "$live")" 0
	equal "$1: no record" "$(state '.runners | length')" 0
}

fault '{"service":"github","action":"generate-jitconfig","fault":"lost"}'
run "$mayfly" start "${args[@]}"
started 'a lost answer of generate-jitconfig, then 409'

fault '{"service":"ec2","action":"RunInstances","fault":"lost"}'
run "$mayfly" start "${args[@]}"
started 'a lost answer of RunInstances is not a second launch'

fault '{"service":"ec2","action":"RunInstances","fault":"lost","times":99}'
run "$mayfly" start "${args[@]}"
started 'when every answer is lost, the instance is looked for by its token'
control DELETE faults >/dev/null

fault '{"service":"ec2","action":"RunInstances","fault":"cut"}'
run "$mayfly" start "${args[@]}"
started 'a cut answer of RunInstances'

fault '{"service":"ec2","action":"RunInstances","fault":"error","status":500,"code":"InternalError","message":"try again"}'
run "$mayfly" start "${args[@]}"
started 'a failure of EC2'

fault '{"service":"ec2","action":"RunInstances","fault":"error","status":503,"code":"RequestLimitExceeded","message":"slow down"}'
run "$mayfly" start "${args[@]}"
started 'a throttled RunInstances'

fault '{"service":"ec2","action":"RunInstances","fault":"error","status":500,"code":"InsufficientInstanceCapacity","message":"none here"}'
run "$mayfly" start "${args[@]}" --subnets subnet-0a11ce01,subnet-0a11ce02
started 'no capacity in the first subnet'
equal 'so the second is taken' "$(state '[.regions[].instances[]] | last | .subnet')" subnet-0a11ce02

fault '{"service":"github","action":"generate-jitconfig","fault":"error","status":429,"message":"You have exceeded a secondary rate limit","headers":{"Retry-After":"2"}}'
run "$mayfly" start "${args[@]}"
started "GitHub's rate limit is waited out"
has 'and told' "$err" 'You have exceeded a secondary rate limit (request '
has 'with the time' "$err" '): trying again in '

fault '{"service":"ec2","action":"RunInstances","fault":"error","status":500,"code":"InsufficientInstanceCapacity","message":"none here","times":9}'
run "$mayfly" start "${args[@]}"
expect 'no capacity anywhere' 75 err 'no cell of the plan has room' err 'InsufficientInstanceCapacity' err 'hint: add types'
nothing_left 'no capacity anywhere'
control DELETE faults >/dev/null

fault '{"service":"ec2","action":"RunInstances","fault":"error","status":403,"code":"UnauthorizedOperation","message":"You are not authorized to perform: ec2:RunInstances"}'
run "$mayfly" start "${args[@]}"
expect 'no permission' 1 err 'UnauthorizedOperation' err 'hint: '
nothing_left 'no permission'

fault '{"service":"ec2","action":"DescribeImages","fault":"status","status":403}'
run "$mayfly" start "${args[@]}"
expect 'a proxy in between that refuses' 1 err 'HTTP 403 without an AWS error in it' err 'hint: the answer did not come from AWS'
nothing_left 'a proxy in between that refuses'

for code in 302 401 403 404; do
	fault "{\"service\":\"github\",\"action\":\"generate-jitconfig\",\"fault\":\"status\",\"status\":$code}"
	run "$mayfly" start "${args[@]}"
	expect "a proxy before GitHub that says $code" 1 err "HTTP $code: no GitHub error is in the answer" err 'hint: the answer did not come from GitHub'
	nothing_left "a proxy before GitHub that says $code"
done
for code in 404 200; do
	fault "{\"service\":\"github\",\"action\":\"delete-runner\",\"fault\":\"status\",\"status\":$code}"
	run "$mayfly" start "${args[@]}" --label other
	run "$mayfly" stop --label other
	expect "its $code is no proof that a record is gone" 0 err 'still exists: ' err "HTTP $code: no GitHub error is in the answer"
	control POST reset >/dev/null
done

fault '{"service":"ec2","action":"DescribeImages","fault":"cut"}'
run "$mayfly" start "${args[@]}"
started 'XML that is cut off is asked for again'

fault '{"service":"ec2","action":"DescribeImages","fault":"garbage"}'
run "$mayfly" start "${args[@]}"
expect 'XML that is none' 1 err 'not well-formed XML' err 'hint: '
nothing_left 'XML that is none'

fault '{"service":"github","action":"downloads","fault":"garbage"}'
run "$mayfly" start "${args[@]}"
expect 'JSON that is none' 1 err 'is not JSON'
nothing_left 'JSON that is none'

fault '{"service":"sts","action":"GetCallerIdentity","fault":"error","status":403,"code":"InvalidClientTokenId","message":"unknown key"}'
run "$mayfly" start "${args[@]}"
expect 'a key that AWS does not know' 1 err 'InvalidClientTokenId' err 'hint: check the access key'
nothing_left 'a key that AWS does not know'

# What a limit of EC2's or GitHub's holds up is not asked for any more once the launch is undone.
fault '{"service":"ec2","action":"RunInstances","fault":"throttle","times":99}'
in_background "$mayfly" start "${args[@]}"
until_asked RunInstances "$(($(asked RunInstances) + 2))"
kill -INT "$background_pid"
ended
expect 'a signal while EC2 throttles' 1 err 'interrupted by a signal'
equal 'a signal while EC2 throttles: nothing is left, or said to be' "$(grep -c 'left behind' "$tmp/err")" 0
in_background "$mayfly" bake amd64 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --types m7i.large
until_asked RunInstances "$(($(asked RunInstances) + 2))"
kill -INT "$background_pid"
ended
expect 'a signal while EC2 throttles a bake' 1 err 'interrupted by a signal'
equal 'a signal while EC2 throttles a bake: nothing is left, or said to be' "$(grep -c 'left behind' "$tmp/err")" 0
control DELETE faults >/dev/null
fault '{"service":"github","action":"generate-jitconfig","fault":"throttle","skip":1,"headers":{"Retry-After":"60"}}'
fault '{"service":"ec2","action":"RunInstances","fault":"unauthorized"}'
run timeout 20 "$mayfly" start "${args[@]}" --timeout 5m --count 2
expect 'a failure while GitHub wants a minute for the other runner' 1 err 'UnauthorizedOperation'
nothing_left 'a failure while GitHub wants a minute for the other runner'
control DELETE faults >/dev/null

# A clock that is off by an hour is corrected from AWS's own.
control POST clock '{"advance_seconds":3600}' >/dev/null
run "$mayfly" start "${args[@]}"
# By the time in its name the reaper tells a record whose instance is to come from one whose instance is gone.
named_now() { # NAME SECONDS: the name of the runner says when it was, by a clock so far ahead of this machine's
	local name epoch late
	name=$(sed -n 's/^runner-name=//p' "$tmp/out" | tail -1) epoch=${name%-*}
	late=$((36#${epoch##*-} - $(date +%s) - $2))
	equal "$1 (off by $late s)" "$((late > -60 && late < 60))" 1
}
started 'a clock that is off by an hour'
named_now "the runner's name has AWS's time" 3600
# One wrong Date on the very refusal that says so is found out by the next one.
fault '{"service":"sts","action":"GetCallerIdentity","fault":"date","seconds":25200}'
run "$mayfly" doctor --credentials
expect 'a clock that is off, and a wrong Date on the refusal' 0 out 'account 123456789012'
control DELETE faults >/dev/null
control POST clock '{"advance_seconds":-3600}' >/dev/null
for seconds in 25200 -25200; do
	for of in '"service":"ec2","action":"DescribeImages"' '"service":"github","action":"downloads"'; do
		fault "{$of,\"fault\":\"date\",\"seconds\":$seconds}"
		run "$mayfly" start "${args[@]}"
		started "a Date that is $seconds s off: $of"
		named_now "and the runner's name has the time of the two clocks that agree" 0
	done
done
fault '{"service":"ec2","action":"DescribeImages","fault":"date","seconds":25200}'
fault '{"service":"github","action":"downloads","fault":"date","seconds":-25200}'
run "$mayfly" start "${args[@]}"
started 'three clocks that differ'
named_now "where no two agree, the runner's name has EC2's time" 25200
exit $((failures > 0))
