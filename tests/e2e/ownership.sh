#!/usr/bin/env bash
# Whose it is, is compared exactly: names that are patterns to EC2, outputs that are empty, other regions, one label for two.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 200 --online 300 --terminate-delay 100

args=(--image ami-0a11ce00000000001 --types t3.nano --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
live='[.regions[].instances[] | select(.state == "pending" or .state == "running")] | length'

# --- names that are patterns to EC2 ---
run "$mayfly" start "${args[@]}" --fleet abc --label lab-1
expect 'a start of another fleet' 0
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
for fleet in 'a*' '???' 'ab[c]'; do
	run "$mayfly" stop --fleet "$fleet" --label lab-1
	equal "stop --fleet '$fleet' terminates nothing of it" "$(state "$live")" 1
	GITHUB_RUN_ID=1 run "$mayfly" reap --fleet "$fleet" --no-confirm
	equal "reap --fleet '$fleet' terminates nothing of it" "$(state "$live")" 1
done
for fleet in 'a*' 'x\*?[y]'; do
	run "$mayfly" start "${args[@]}" --fleet "$fleet" --label lab-2
	expect "a fleet may be called '$fleet'" 0
	run "$mayfly" start "${args[@]}" --fleet "$fleet" --label lab-2
	expect "its label is taken: '$fleet'" 2 err 'carries the label `lab-2` already'
	run "$mayfly" stop --fleet "$fleet" --label lab-2
	expect "and its stop finds its own: '$fleet'" 0 err 'terminated i-'
	equal "and nothing else: '$fleet'" "$(state "$live")" 1
done
run "$mayfly" stop --fleet 'ab*' --instance "$id"
expect 'an instance that is named is compared, too' 2 err 'does not belong to the fleet `ab*`'
for fleet in '*' 'a?' '${aws:username}'; do
	run "$mayfly" policy stop --fleet "$fleet"
	expect "policy --fleet '$fleet' is refused" 2 err 'is a pattern' err "hint: give the fleet's exact name"
done
run "$mayfly" policy trust --repo octo/demo --subject 'ref:refs/heads/v?'
expect 'a subject with ? is a pattern' 0 out '"StringLike": {'
run "$mayfly" policy trust --repo octo/demo --subject 'environment:${aws:username}'
expect 'a subject is no variable' 2 err "contains an IAM variable"
run "$mayfly" stop --fleet abc --label lab-1
expect 'the other fleet ends its own' 0 err "terminated $id"

# --- outputs that are empty ---
export GITHUB_RUN_ID=4242 GITHUB_RUN_ATTEMPT=1 GITHUB_REPOSITORY=octo/demo
empty() { INPUT_LABEL='' INPUT_EC2_INSTANCE_ID='' run "$mayfly" stop "$@"; }
tags() { state "[.regions[].instances[] | select(.id == \"$1\") | .tags[\"$2\"]][0]"; }
run "$mayfly" start "${args[@]}"
expect 'a start of another job of the run' 0
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
label=$(sed -n 's/^label=//p' "$tmp/out")
equal 'what has succeeded is tagged' "$(tags "$id" mayfly:handed)" us-east-1
empty
expect 'a stop whose outputs are empty leaves it to its own stop' 0 err 'nothing to stop' err "left alone: $id was handed out"
run "$mayfly" stop --label ''
expect 'a flag that is empty is the same' 0 err "left alone: $id was handed out"
equal 'it runs' "$(state "$live")" 1
control POST clock '{"advance_seconds":1000}' >/dev/null
empty --force
equal 'however old it is, and with --force' "$(state "$live")" 1
INPUT_LABEL='(not given)' INPUT_EC2_INSTANCE_ID='(not given)' MAYFLY_LABEL='' run "$mayfly" stop
expect 'inputs that were not given: what the run has' 0 err "terminated $id"

# A start that dies: what it launched is no other job's, once it cannot be at work any more.
in_background "$mayfly" start "${args[@]}" --timeout 60s
until_asked RunInstances 1
sleep 0.3
kill -KILL "$background_pid"
wait "$background_pid" 2>/dev/null
id=$(state '[.regions[].instances[] | select(.state == "pending" or .state == "running") | .id][0]')
empty
expect 'what was launched a moment ago may be at work' 0 err "left alone: $id was launched by this run a short while ago"
equal 'so that it stays' "$(state "$live")" 1
GITHUB_RUN_ID=424 empty
expect 'the stop of another run does not know it' 0 err 'nothing to stop'
control POST clock '{"advance_seconds":800}' >/dev/null
empty
expect 'later it is terminated' 0 err "terminated $id"
equal 'and gone' "$(state "$live")" 0
control PUT faults '[{"service":"ec2","action":"CreateTags","fault":"error","status":403,"code":"UnauthorizedOperation","message":"You are not authorized","times":9}]' >/dev/null
run "$mayfly" start "${args[@]}"
expect 'a tag that cannot be set is a warning' 0 out 'ec2-instance-id=i-' err 'the tag mayfly:handed could not be set'
control DELETE faults >/dev/null

# --- two labels of one run ---
run "$mayfly" start "${args[@]}"
run "$mayfly" stop
expect 'a stop that cannot know which is meant is done in part' 3 err 'several labels'
run "$mayfly" stop --force
expect 'stop --force' 0
GITHUB_RUN_ID='build #12/3' run "$mayfly" start "${args[@]}"
expect 'a run may be called build #12/3' 0 out 'label=mayfly-build--12-3-1-'
label=$(sed -n 's/^label=//p' "$tmp/out")
GITHUB_RUN_ID='build #12' run "$mayfly" stop
expect 'a run whose name begins like another' 0 err 'nothing to stop'
run "$mayfly" stop --label "$label"
expect 'its label is one' 0 err 'terminated i-'

# --- a job that runs is said to ---
run "$mayfly" start "${args[@]}"
label=$(sed -n 's/^label=//p' "$tmp/out")
control POST jobs "{\"repository\":\"octo/demo\",\"run_id\":9,\"name\":\"build\",\"labels\":[\"$label\"],\"commands\":[\"true\"],\"duration_ms\":900000}" >/dev/null
for ((i = 0; i < 100; i++)); do
	[ "$(state '[.runners[] | select(.busy)] | length')" = 0 ] || break
	sleep 0.1
done
run "$mayfly" stop --label "$label"
expect 'what is named ends, and that it ran a job is said' 0 err 'although GitHub says that its runner mf-' err 'is busy'

# --- another place ---
away=(--places '[{"region":"us-west-2","imageId":"ami-0a11ce00000002001","subnetId":"subnet-0a11ce21","securityGroupId":"sg-0a11ce21"}]' --types t3.nano --timeout 30s)
for by in id label run; do
	run "$mayfly" start "${away[@]}"
	expect "a start in another region: $by" 0 out 'region=us-west-2'
	id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
	label=$(sed -n 's/^label=//p' "$tmp/out")
	case $by in id) by=(--instance "$id") ;; label) by=(--label "$label") ;; run) by=() ;; esac
	run "$mayfly" stop "${by[@]}"
	expect "stop ${by[*]%%[-0-9]*} finds it" 0 err "terminated $id in us-west-2"
done
equal 'nothing is left' "$(state "$live")" 0
run "$mayfly" start "${away[@]}"
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
label=$(sed -n 's/^label=//p' "$tmp/out")
denied() { control PUT faults "[{\"service\":\"ec2\",\"action\":\"$1\",\"match\":{\"region\":\"$2\"},\"fault\":\"error\",\"status\":403,\"code\":\"UnauthorizedOperation\",\"message\":\"You are not authorized\",\"times\":99}]" >/dev/null; }
denied DescribeInstances us-west-2
run "$mayfly" stop --instance "$id"
expect 'a region that may not be searched: not known' 3 err 'could not be searched, so an instance there would not be found: us-west-2'
run "$mayfly" stop --label "$label"
expect 'where a runner of it is: not known' 3 err 'us-west-2'
denied DescribeInstances eu-west-1
run "$mayfly" stop --label mayfly-none
expect 'a region that nobody has a runner in' 0 err 'nothing to stop' err 'eu-west-1'
denied DescribeRegions us-east-1
run "$mayfly" stop --label "$label"
expect "the runner's name says where it is" 0 err "terminated $id in us-west-2"
run "$mayfly" stop --instance i-0123456789abcdef0
expect 'regions that are not known' 3 err 'could not be listed' err 'mayfly policy stop'
control DELETE faults >/dev/null
run "$mayfly" stop --instance i-0123456789abcdef0
expect 'searched everywhere it is gone' 0 err 'EC2 does not know i-0123456789abcdef0 in any region'
run "$mayfly" start "${args[@]}" --fleet octo
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
label=$(sed -n 's/^label=//p' "$tmp/out")
for by in --label ''; do
	run "$mayfly" stop ${by:+"$by" "$label"}
	expect "what belongs to another fleet is no success: ${by:-by run}" 2 err "instance $id matches, but belongs to the fleet \`octo\`" err 'hint: give `stop` the same --repo'
done
GITHUB_RUN_ID=9 run "$mayfly" stop
expect "another run's is none of its business" 0 err 'nothing to stop'
run "$mayfly" stop --fleet octo
expect 'its own fleet ends it' 0 err "terminated $id"

# --- one label for five ---
unset GITHUB_RUN_ID GITHUB_RUN_ATTEMPT GITHUB_REPOSITORY
for i in 1 2 3 4 5; do
	"$mayfly" start "${args[@]}" --repo octo/demo --label shared >"$tmp/out.$i" 2>"$tmp/err.$i" &
	pids[i]=$!
done
won=0
for i in 1 2 3 4 5; do wait "${pids[i]}" && won=$((won + 1)); done
equal 'of five starts with one label at one moment one wins' "$won" 1
equal 'and one instance is left' "$(state "$live")" 1
has 'the others say why' "$(cat "$tmp"/err.*)" 'of this fleet carries the label `shared`'

# A bake removes the images of the fleet that is named.
start_sim --instances model --boot 50 --online 100 --terminate-delay 100
bake() { "$mayfly" bake amd64 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --no-smoke --parameter none --fleet "$@" >"$tmp/out" 2>"$tmp/err"; }
for i in 1 2; do bake abc || not_ok "a bake of abc" "$(cat "$tmp/err")"; done
bake 'a*' --keep 1 || not_ok 'a bake of a*' "$(cat "$tmp/err")"
equal "bake --fleet 'a*' --keep 1 leaves abc's images" "$(state '[.regions[].images[] | select(.tags["mayfly:fleet"] == "abc")] | length')" 2

# --- labels as people write them ---
start_sim --instances model --boot 200 --online 300 --terminate-delay 100
for label in feature/x run:17 'a@b+c=d#e~f'; do
	run "$mayfly" start --image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --label "$label"
	expect "the label $label" 0 out "label=$label"
	id=$(sed -n 's/^ec2-instance-id=//p' <<<"$out")
	equal "GitHub has $label" "$(state "[.runners[].labels[]? | (.name? // .)] | index(\"$label\") != null")" true
	run "$mayfly" status
	expect "status of $label" 0 out "$label" out "$id"
	run "$mayfly" stop --label "$label"
	expect "stop of $label" 0 err "$id"
	equal "nothing of $label is left" "$(state '[.regions[].instances[] | select(.state == "pending" or .state == "running")] | length')" 0
done
run "$mayfly" stop --label 'a*'
expect 'a label that is a pattern' 2 err 'is not a label' err 'hint: 1 to 100 letters, digits and - _ . / : @ + = # ~ make a label'

exit $((failures > 0))
