#!/usr/bin/env bash
# mayfly bake --copy-regions: the proven image in other regions, a region that fails, and the end of what was begun.
. "$(dirname "$0")/lib.sh"

where=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
copies=(--copy-regions 'us-west-2,eu-west-1')
quick=(--instances model --boot 20 --bake 50 --image-delay 50 --terminate-delay 20)
home=us-east-1 west=us-west-2 europe=eu-west-1
declare -A digit=([$home]=0 [$west]=2 [$europe]=3) # of a region, in the ids of what is there
before() { printf 'ami-0a11ce0000000%s003' "${digit[$1]}"; }

parameter() { control GET ssm | jq -r --arg region "$1" --arg name "$2" '.[] | select(.region == $region and .name == $name) | .value'; }
published() { parameter "$1" /mayfly/ami/amd64; }
# images REGION: the ids of our images there, the newest first
images() { state "[.regions[\"$1\"].images[] | select(.tags[\"mayfly:fleet\"] == \"octo/demo\")] | sort_by(.created) | reverse | map(.id) | join(\" \")"; }
# ours REGION: how many images and snapshots are there, and how many of them are not proven
ours() { state "[(.regions[\"$1\"].images + .regions[\"$1\"].snapshots)[] | select(.tags[\"mayfly:fleet\"] == \"octo/demo\") | .tags[\"mayfly:limits\"]] | \"\\(length) \\(map(select(.)) | length)\""; }
fault() { control PUT faults "$1" >/dev/null; }
in_region() { printf '{"service": "%s", "action": "%s", "fault": "%s", "times": 0, "match": {"region": "%s"}}' "$2" "$3" "$4" "$1"; }
reset() {
	control POST reset >/dev/null
	control DELETE faults >/dev/null
}
background() { in_background "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --no-smoke; }

# --- three regions -----------------------------------------------------------------------------------------------------
start_sim "${quick[@]}"
run "$mayfly" bake amd64 "${where[@]}" --copy-regions us-west-2,eu-west-1,us-west-2,us-east-1 --dry-run
expect 'a rehearsal' 0 out 'copied to: us-west-2, eu-west-1' out 'kept of this name: 3'
run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --keep 2 --deprecate-after 7d --dry-run --json
equal 'as JSON' "$(jq -c '[."copy-regions", .keep, ."deprecate-after"]' <<<"$out")" '[["us-west-2","eu-west-1"],2,604800]'
equal 'has no effect' "$(asked 'RunInstances\|PutParameter\|CreateImage\|CopyImage')" 0

export GITHUB_OUTPUT=$tmp/output GITHUB_STEP_SUMMARY=$tmp/summary GITHUB_RUN_ID=77
: >"$GITHUB_OUTPUT"
run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --share 210987654321 --tags team=ci
unset GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_RUN_ID
expect 'a bake' 0 err 'smoke: kernel' err 'us-west-2: ami-' err 'eu-west-1: published in /mayfly/ami/amd64'
equal 'one smoke boot proves them all' "$(asked RunInstances) $(state '[.regions[].instances[]?] | length')" '2 2'
equal 'the images are outputs' "$(grep -A1 -h '^images<<' "$tmp/output" | tail -1)" \
	"{\"$home\":\"$(images $home)\",\"$west\":\"$(images $west)\",\"$europe\":\"$(images $europe)\"}"
has 'its summary has them' "$(cat "$tmp/summary")" "| \`$west\` | \`$(images $west)\` |"
for region in $home $west $europe; do
	equal "$region: it is published, with what was before" "$(published "$region") $(parameter "$region" /mayfly/ami/amd64/previous)" "$(images "$region") $(before "$region")"
	equal "$region: proven, with its snapshot" "$(ours "$region")" '2 0'
	equal "$region: it says what it is, as at home, and is shared" \
		"$(state ".regions[\"$region\"] | [(.images + .snapshots)[] | select(.tags.team == \"ci\") | .tags | del(.Name, .\"mayfly:source\") | tojson] | unique | length") $(state ".regions[\"$region\"].images[] | select(.tags.team == \"ci\") | [.tags[\"mayfly:run\"], .tags[\"mayfly:role\"], .shared[0]] | join(\" \")")" \
		'1 77/1 bake 210987654321'
	run "$mayfly" start --region "$region" --image ssm:/mayfly/ami/amd64 --types m7i.large \
		--subnets "subnet-0a11ce${digit[$region]}1" --security-groups "sg-0a11ce${digit[$region]}1" --dry-run
	expect "$region: start takes it" 0 out "image $(images "$region")"
done
for i in 1 2; do
	control POST clock '{"advance_seconds": 60}' >/dev/null
	"$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --no-smoke --keep 2 --json >"$tmp/json" 2>"$tmp/err" || not_ok "bake $i" "$(cat "$tmp/err")"
done
for region in $home $west $europe; do
	equal "$region: older ones go, with their snapshots" "$(ours "$region")" '4 0'
	equal "$region: the newest is published, the one before too" "$(published "$region") $(parameter "$region" /mayfly/ami/amd64/previous)" "$(images "$region")"
	equal "$region: which is deprecated" "$(state "[.regions[\"$region\"].images[] | select(.tags[\"mayfly:fleet\"] and .deprecated > 0) | .id] | join(\" \")")" "$(images "$region" | cut -d' ' -f2)"
done
equal 'the result as JSON' "$(jq -c '.images' "$tmp/json")" "{\"$home\":\"$(published $home)\",\"$west\":\"$(published $west)\",\"$europe\":\"$(published $europe)\"}"

# --- mistakes: told before anything is launched ------------------------------------------------------------------------
launched=$(asked RunInstances)
mistake() { # NAME TEXT ARGUMENT…
	local name=$1 text=$2
	shift 2
	run "$mayfly" bake amd64 "${where[@]}" "$@"
	expect "$name" 2 err "$text"
}
mistake 'a region that is none' '`Frankfurt` is not the name of an AWS region' --copy-regions Frankfurt
mistake 'a region of another partition' 'EC2 cannot copy an image from us-east-1 to cn-north-1' --copy-regions cn-north-1
mistake 'a time that is none' '--copy-timeout' "${copies[@]}" --copy-timeout soon
mistake 'a list with blanks' 'several of them like us-east-1,eu-west-1' --copy-regions 'us-west-2 eu-west-1'
run "$mayfly" bake amd64 "${where[@]}" --copy-regions us-west-22
expect 'a region that is nowhere, or not enabled' 1 err '--copy-regions: us-west-22: ' err 'hint: the home region takes these credentials: is us-west-22 spelled right, and enabled for this account?'
fault "$(in_region $europe ec2 DescribeImages unauthorized)"
run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}"
expect 'a region that may not be looked into' 1 err '--copy-regions: eu-west-1: ' err 'ec2:DescribeImages'
equal 'and nothing was launched' "$(asked RunInstances)" "$launched"

# --- a region that fails -----------------------------------------------------------------------------------------------
partly() { # NAME FAULT TEXT [TEXT]: eu-west-1 fails, the others are done
	reset
	fault "$2"
	run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --no-smoke --copy-timeout 5s --share 210987654321
	expect "$1" 3 err "warning: eu-west-1 has no copy: " err "$3" err "${4-$3}" out "images={\"$home\":\"$(images $home)\",\"$west\":\"$(images $west)\"}"
	equal "$1: one line says so" "$(grep -c 'warning: ' <<<"$err")" 1
	equal "$1: the other regions are done" "$(ours $home), $(ours $west), $(published $home) $(published $west)" "2 0, 2 0, $(images $home) $(images $west)"
	equal "$1: of the failed one nothing is left" "$(ours $europe), $(published $europe)" "0 0, $(before $europe)"
}
partly 'no permission to copy' "$(in_region $europe ec2 CopyImage unauthorized)" 'ec2:CopyImage' 'of `mayfly policy bake` allows it'
partly 'a copy that fails' "$(in_region $europe builder copy error)" 'is failed: Client.InternalError'
partly 'a copy that takes too long' "$(in_region $europe builder copy hang)" 'the copy is not available after 5 s; the last from EC2: pending' '--copy-timeout'
partly 'a region that is busy with copies' "$(in_region $europe ec2 CopyImage error | sed 's/}}$/}, "status": 400, "code": "ResourceLimitExceeded"}/')" 'the last from EC2: ResourceLimitExceeded'
partly 'no permission to untag' "$(in_region $europe ec2 DeleteTags unauthorized)" 'ec2:DeleteTags'
partly 'no permission to read the parameter' "$(in_region $europe ssm GetParameter unauthorized)" 'ssm:GetParameter'
partly 'no permission to share' "$(in_region $europe ec2 ModifyImageAttribute unauthorized)" 'ec2:ModifyImageAttribute'
partly 'no permission to publish' "$(in_region $europe ssm PutParameter unauthorized)" 'not published in /mayfly/ami/amd64: '
reset
fault "[$(in_region $europe ec2 CopyImage lost | sed 's/"times": 0/"times": 4/'), $(in_region $west ssm PutParameter lost | sed 's/"times": 0/"times": 1/')]"
run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --no-smoke
expect 'answers that are lost' 0 err 'eu-west-1: published'
equal 'make one copy each all the same' "$(ours $west), $(ours $europe)" '2 0, 2 0'
reset
fault "[$(in_region $europe ec2 EnableImageDeprecation unauthorized), $(in_region $home ssm PutParameter unauthorized)]"
run "$mayfly" bake amd64 "${where[@]}" "${copies[@]}" --no-smoke
expect 'home is not published' 1 err 'is proven, but not published' err 'us-west-2: published'
equal 'and the copies are' "$(published $west) $(published $europe)" "$(images $west) $(images $europe)"

# --- signals and kills ---------------------------------------------------------------------------------------------------
reset
fault "$(in_region $europe builder copy hang)"
background
check 'two regions are done, the third copies' until_asked CopyImage 2
for ((i = 0; i < 100; i++)); do [ "$(published $west)" = "$(before $west)" ] || break && sleep 0.05; done
began=$SECONDS
kill -TERM "$background_pid"
ended
expect 'a signal' 1 err 'interrupted by a signal' err 'is proven and stays' err 'eu-west-1 has no copy: interrupted'
check 'ends it in time' test $((SECONDS - began)) -le 8
equal 'what is done stays, what was pending is gone' "$(ours $home), $(ours $west), $(ours $europe), $(published $europe)" "2 0, 2 0, 0 0, $(before $europe)"
reset
fault "$(in_region $europe ssm PutParameter hang | sed 's/}}$/, "Name": "\/mayfly\/ami\/amd64"}}/')"
background
check 'the third is being published, and nobody answers' until_asked PutParameter 4
for ((i = 0; i < 100; i++)); do [ "$(ours $europe)" != '2 0' ] || break && sleep 0.05; done
kill -TERM "$background_pid"
ended
expect 'a signal then' 1 err "warning: eu-west-1 has the copy $(images $europe), which /mayfly/ami/amd64 may name: interrupted"
equal 'leaves what may be published' "$(ours $europe)" '2 0'
for at in 1 2; do
	reset
	fault '{"service": "builder", "action": "copy", "fault": "delay", "times": 0, "ms": 3600000}'
	background
	check "a bake comes to copy $at" until_asked CopyImage "$at"
	kill -KILL "$background_pid"
	wait "$background_pid" 2>/dev/null
	run "$mayfly" reap --regions $home,$west,$europe --no-confirm
	equal "killed at copy $at: a bake may still be at it" "$status $(ours $home), $(state '[.regions[].images[]? | select(.tags["mayfly:limits"])] | length > 0')" '0 2 0, true'
	control POST clock '{"advance_seconds": 7200}' >/dev/null
	run "$mayfly" reap
	equal "killed at copy $at: a reaper at home does not look elsewhere" "$(state '[.regions[].images[]? | select(.tags["mayfly:limits"])] | length > 0')" true
	run "$mayfly" reap --regions $home,$west,$europe
	equal "killed at copy $at: one of all regions leaves what is proven" "$status $(ours $home), $(ours $west), $(ours $europe), $(published $west)" "0 2 0, 0 0, 0 0, $(before $west)"
done
exit $((failures > 0))
