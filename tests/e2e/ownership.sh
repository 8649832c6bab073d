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
	expect "and its stop finds its own: '$fleet'" 0 err 'ended i-'
	equal "and nothing else: '$fleet'" "$(state "$live")" 1
done
run "$mayfly" stop --fleet 'ab*' --instance "$id"
expect 'an instance that is named is compared, too' 2 err 'does not belong to the fleet `ab*`'
for fleet in '*' 'a?' '${aws:username}'; do
	run "$mayfly" policy stop --fleet "$fleet"
	expect "policy --fleet '$fleet' is refused" 2 err 'is a pattern' err "hint: give the fleet's own name"
done
run "$mayfly" policy trust --repo octo/demo --subject 'ref:refs/heads/v?'
expect 'a subject with ? is a pattern' 0 out '"StringLike": {'
run "$mayfly" policy trust --repo octo/demo --subject 'environment:${aws:username}'
expect 'a subject is no variable' 2 err "holds a variable of IAM's"
run "$mayfly" stop --fleet abc --label lab-1
expect 'the other fleet ends its own' 0 err "ended $id"

# A bake removes the images of the fleet that is named.
start_sim --instances model --boot 50 --online 100 --terminate-delay 100
bake() { "$mayfly" bake amd64 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --no-smoke --parameter none --fleet "$@" >"$tmp/out" 2>"$tmp/err"; }
for i in 1 2; do bake abc || not_ok "a bake of abc" "$(cat "$tmp/err")"; done
bake 'a*' --keep 1 || not_ok 'a bake of a*' "$(cat "$tmp/err")"
equal "bake --fleet 'a*' --keep 1 leaves abc's images" "$(state '[.regions[].images[] | select(.tags["mayfly:fleet"] == "abc")] | length')" 2

exit $((failures > 0))
