#!/usr/bin/env bash
# Rows that make no sense in what EC2 and GitHub answer: what they cannot be of goes on, and what they may be of is unknown.
. "$(dirname "$0")/lib.sh"
where=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
args=(--image ami-0a11ce00000000003 --types m7i.large "${where[@]}" --timeout 10s)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")] | length'

start_sim --instances model --boot 50 --online 50 --terminate-delay 20 --repos octo
echo '[]' >"$tmp/rules"
python3 "$(dirname "$0")/bend.py" "${url##*:}" "$tmp/rules" >"$tmp/bend" 2>"$tmp/bend.log" &
bend=$!
trap 'kill $bend 2>/dev/null; cleanup' EXIT
for ((i = 0; i < 200; i++)); do
	[ -s "$tmp/bend" ] && break
	sleep 0.05
done
relay=http://127.0.0.1:$(cat "$tmp/bend")
export AWS_ENDPOINT_URL="$relay" GITHUB_API_URL="$relay${GITHUB_API_URL#"$url"}"

# bend PART PATTERN TEXT […]: from now on these rules, and no others.
bend() { jq -cn '[$ARGS.positional as $a | range(0; $a | length; 3) as $i | $a[$i:$i + 3]]' --args "$@" >"$tmp/rules"; }
strange='{"id":9,"name":"a\u009b","status":"on line","busy":true},{"id":0,"name":"strange","status":"online","busy":false},{"name":7},'
other='<item><instanceId>i-1 ::error::x</instanceId><instanceState><name>running</name></instanceState></item>'
nothing_to_obey() { equal "$1: nothing to obey" "$(grep -caP '\x1b|^\s*::error::x|\xc2[\x80-\x9f]' <<<"$out$err")" 0; }

# --- GitHub's lists ---
bend actions/runners? '"runners":\[' "\"runners\":[$strange"
run "$mayfly" start "${args[@]}" --count 3 --label three
expect 'a start that lists runners, some of which make no sense' 0
nothing_to_obey 'a start'
run "$mayfly" stop --label three
expect 'and its stop' 0
bend actions/runners? '"runners":\[' "\"runners\":[${strange%\{*}"
control PUT faults '[{"service":"github","action":"generate-jitconfig","fault":"lost"}]' >/dev/null
run "$mayfly" start "${args[@]}" --label lost
expect 'a registration whose answer was lost, looked for by its name' 0
run "$mayfly" stop --label lost
bend actions/runners? '"runners":\[' '"runners":[{"id":"x"},'
control PUT faults '[{"service":"github","action":"generate-jitconfig","fault":"lost"}]' >/dev/null
run "$mayfly" start "${args[@]}" --label lost
expect 'where one without a name may be it, it is not launched' 1
equal 'nothing is' "$(state "$live")" 0
bend downloads '^\[' '[{"os":7},{"os":"linux","architecture":"x64"},'
run "$mayfly" start "${args[@]}" --image ami-0a11ce00000000001 --label downloads
expect 'a download that makes no sense beside the one that fits' 0
run "$mayfly" stop --label downloads
control POST runner-groups '["builders"]' >/dev/null
bend runner-groups '"runner_groups":\[' '"runner_groups":[{"id":5,"name":"a\u009b\u001b[2J"},{"id":0,"name":"none"},{},'
run "$mayfly" start "${args[@]}" --repo octo --runner-group builders --label group
expect 'a runner group beside strange ones' 0
run "$mayfly" stop --repo octo --label group
expect 'and its stop' 0
bend runner-groups '"name":"builders"' '"name":"builders","id":0'
run "$mayfly" start "${args[@]}" --repo octo --runner-group builders
expect 'but not one whose id makes no sense' 1 err '`id` is not an id'

# --- EC2's lists ---
bend DescribeInstances '<instancesSet>' "<instancesSet>$other"
run "$mayfly" start "${args[@]}"
expect 'a start whose list of instances has one without an id' 0
label=$(sed -n 's/^label=//p' <<<"$out")
run "$mayfly" stop --label "$label"
expect 'a stop terminates what it can name, and says what it cannot' 1 err 'terminated i-' err 'an instance without an id'
equal 'nothing is left' "$(state "$live")" 0
bend DescribeRegions '<regionInfo>' '<regionInfo><item><regionName>us-
::error::x</regionName></item>'
run "$mayfly" stop --label none
expect 'a region that is none' 0 err 'nothing to stop'
nothing_to_obey 'a stop'

# --- the network, which doctor reads ---
network=(DescribeSubnets '<subnetSet>' '<subnetSet><item><subnetId>sub</subnetId><vpcId>v</vpcId></item>'
	DescribeSecurityGroups '<securityGroupInfo>' '<securityGroupInfo><item><groupId>x y</groupId></item>'
	DescribeInstanceTypeOfferings '<instanceTypeOfferingSet>' '<instanceTypeOfferingSet><item><location>us-east-1a</location></item>'
	DescribeRouteTables '<routeTableSet>' '<routeTableSet><item><vpcId>vpc 1</vpcId><routeSet><item><gatewayId>igw;</gatewayId></item></routeSet></item>')
doctor() { run "$mayfly" doctor --image ami-0a11ce00000000003 --types m7i.large "${where[@]}" --json; }
found() { jq -r --arg check "$1" '.checks[] | select(.check == $check) | .status' <<<"$out" | sort -u | paste -sd' '; }
bend
doctor
sane=$(for check in subnet route egress type; do found $check; done | paste -sd,)
bend "${network[@]}"
doctor
equal 'strange rows beside the ones that were asked for' "$(for check in subnet route egress type; do found $check; done | paste -sd,)" "$sane"
bend DescribeSubnets '<subnetId>subnet-0a11ce01' '<subnetId>subnet-0a11ce01 ' \
	DescribeSecurityGroups '<groupId>sg-0a11ce01' '<groupId>sg-0a11ce01|'
doctor
equal 'what may be one of them was not checked' "$(found subnet) $(found egress) $(found type)" 'not checked not checked not checked'
bend DescribeInstanceTypeOfferings '<instanceType>m7i.large' '<instanceType>m7i large'
doctor
equal 'nor a type' "$(found type)" 'not checked'
exit $((failures > 0))
