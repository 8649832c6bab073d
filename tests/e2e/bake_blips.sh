#!/usr/bin/env bash
# mayfly bake while not every part of EC2 has seen what was made a moment ago: it is asked again, and only that.
. "$(dirname "$0")/lib.sh"

where=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
images='.regions["us-east-1"].images | [.[] | select(.tags["mayfly:fleet"] == "octo/demo")]'
fault() { # ACTION CODE MESSAGE [MORE]
	printf '{"service": "ec2", "action": "%s", "fault": "error", "status": 400, "code": "%s", "message": "%s"%s}' "$1" "$2" "$3" "${4-}"
}

start_sim --instances model --boot 50 --online 50 --bake 200 --image-delay 50 --terminate-delay 20
control PUT faults "[$(fault CreateImage InvalidParameterValue "Instance is not in state running or stopped"),
	$(fault RunInstances InvalidAMIID.NotFound "The image id '[ami-1]' does not exist" ', "skip": 1, "times": 5'),
	$(fault ModifyImageAttribute InvalidAMIID.NotFound "The image id '[ami-1]' does not exist"),
	$(fault DeleteTags InvalidAMIID.NotFound "The image id '[ami-1]' does not exist")]" >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --share 210987654321
expect 'a bake that EC2 refuses at every step for a moment' 0 err 'image: InvalidParameterValue' \
	err 'smoke: InvalidAMIID.NotFound for the new image; asked again for a minute' err 'image: published'
equal 'makes one image, shared and proven' "$(state "$images | map((.shared | join(\",\")) + \" \" + (.tags[\"mayfly:limits\"] // \"-\")) | join(\"; \")")" '210987654321 -'
equal 'every fault came' "$(asked CreateImage) $(asked RunInstances) $(asked ModifyImageAttribute) $(asked DeleteTags)" '2 7 2 2'

for case in 'CreateImage|InvalidParameterValue|Value (x) for parameter name is invalid' "RunInstances|InvalidKeyPair.NotFound|The key pair 'x' does not exist"; do
	IFS='|' read -r action code message <<<"$case"
	control POST reset >/dev/null
	control PUT faults "[$(fault "$action" "$code" "$message" ', "times": 0')]" >/dev/null
	began=$SECONDS before=$(asked "$action")
	run "$mayfly" bake amd64 "${where[@]}"
	expect "$code is final" 1 err "$action: $code: $message"
	equal "and asked for once" "$(($(asked "$action") - before))" 1
	check 'at once' test $((SECONDS - began)) -lt 5
done

# DescribeImages has shown it to start, and RunInstances does not know it for a moment.
control POST reset >/dev/null
control PUT faults "[$(fault RunInstances InvalidAMIID.NotFound "The image id '[ami-0a11ce00000000003]' does not exist")]" >/dev/null
run "$mayfly" start --image ami-0a11ce00000000003 --types m7i.large "${where[@]}"
expect 'a start of an image that RunInstances does not know yet' 0
exit $((failures > 0))
