#!/usr/bin/env bash
# No volume outlives its instance: not of an image that keeps its own, nor of one that has twenty.
. "$(dirname "$0")/lib.sh"
start_sim --boot 100 --online 100 --terminate-delay 20
at=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
args=(--image ami-0a11ce00000000001 --types m7i.large "${at[@]}" --timeout 20s)
volumes() { state '[.regions[].volumes[]?] | length'; }

keeps() { # ID DEVICES
	control PUT "images/$1" "{\"keeps\": true, \"devices\": $2}"
}
# a_start NAME WANTED [OPTION…]: that many volumes, none of which is left.
a_start() {
	local name=$1 wanted=$2
	shift 2
	run "$mayfly" start "${args[@]}" "$@" --label "mf-$name"
	expect "$name: starts" 0
	equal "$name: its volumes" "$(volumes)" "$wanted"
	run "$mayfly" stop --label "mf-$name"
	expect "$name: stops" 0
	control POST clock '{"advance_seconds": 60}' >/dev/null
	equal "$name: none of them is left" "$(volumes)" 0
}

keeps ami-0a11ce00000000001 '["/dev/sdf"]'
a_start kept 2
a_start larger 2 --volume-size 50
a_start own 3 --block-devices '[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9}}, {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 9}}]'
a_start without 1 --block-devices '[{"DeviceName": "/dev/sdf", "NoDevice": ""}]'
keeps ami-0a11ce00000000001 "$(jq -cn '[range(20) | "/dev/sd" + ("fghijklmnopqrstuvwxy"[.:.+1])]')"
a_start twenty 21

# The builder and the smoke boot of a bake.
run "$mayfly" bake amd64 "${at[@]}" --source-image ami-0a11ce00000000001
expect 'a bake from such an image' 0
control POST clock '{"advance_seconds": 60}' >/dev/null
equal 'leaves no volume' "$(volumes)" 0

# A refused --share undoes the image, and says what was refused.
images='[.regions[].images[]? | select(.tags["mayfly:role"] == "bake")] | length'
snapshots='[.regions[].snapshots[]? | select(.tags["mayfly:role"] == "bake")] | length'
count="$(state "$images") $(state "$snapshots")"
control PUT faults '[{"service":"ec2","action":"ModifyImageAttribute","fault":"error","status":400,"code":"InvalidAMIAttributeItemValue","message":"Invalid attribute item value \"210987654321\" for userId item type.","times":0}]' >/dev/null
for n in 1 2; do
	run "$mayfly" bake amd64 "${at[@]}" --share 210987654321
	expect "a share that is refused: $n" 1 err 'sharing the image ami-' err 'with 210987654321: ' err InvalidAMIAttributeItemValue
	equal "prints no image: $n" "$out" ''
	equal "leaves none: $n" "$(state "$images") $(state "$snapshots")" "$count"
done
exit $((failures > 0))
