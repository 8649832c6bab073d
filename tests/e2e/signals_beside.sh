#!/usr/bin/env bash
# A signal while one call of bake or reap hangs, each in turn: what is launched and known is asked to terminate within 3 s,
# the command ends within 8 s, with one error, and what it leaves it names.
. "$(dirname "$0")/lib.sh"

where=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")] | length'
# Of this fleet and not proven: images, and snapshots that have none.
unproven='[.regions[] | (.images[] | select(.tags["mayfly:fleet"] == "octo/demo" and .tags["mayfly:limits"]))] | length'

until_held() {
	local i
	for ((i = 0; i < 400; i++)); do
		[ "$(control GET held | jq length)" -lt 1 ] || return 0
		sleep 0.05
	done
	return 1
}

# interrupt NAME: the command in the background is at the call that hangs, and gets a signal.
interrupt() {
	local began
	until_held || not_ok "$1: the call hangs" "$(tail -3 "$tmp/err")"
	kill -TERM "$background_pid"
	began=$(date +%s%3N)
	while kill -0 "$background_pid" 2>/dev/null && [ $(($(date +%s%3N) - began)) -lt 3000 ] && [ "$(state "$live")" -gt 0 ]; do
		sleep 0.05
	done
	soon=$(state "$live")
	ended
	took=$(($(date +%s%3N) - began))
	[ $took -le 8500 ] || not_ok "$1: it ends in time" "$took ms"
	expect "$1: it ends, and says why" 1 err 'interrupted by a signal'
	equal "$1: in one error" "$(grep -c '^mayfly [a-z]*: ' <<<"$err")" 1
}

# bake NAME SERVICE ACTION FAULT-MEMBERS LEAVES [OPTION…]: LEAVES: nothing, or what it names.
bake() {
	local name="bake, $1" leaves=$5
	start_sim --instances model --boot 50 --online 50 --bake 300 --image-delay 100 --terminate-delay 20
	control PUT faults "[{\"service\":\"$2\",\"action\":\"$3\",\"fault\":\"hang\"$4}]" >/dev/null
	in_background "$mayfly" bake amd64 "${where[@]}" "${@:6}"
	interrupt "$name"
	case $3 in
	RunInstances | TerminateInstances) ;; # it is not known yet, or not heard
	*) equal "$name: no instance is left within 3 s" "$soon" 0 ;;
	esac
	if [ "$leaves" = nothing ]; then
		equal "$name: nothing is said to be left" "$(grep -c 'left behind' <<<"$err")" 0
	else
		has "$name: what may be left is named" "$err" "left behind, until its deadline or the reaper: $leaves"
	fi
	[ "$leaves" = 'instance i-' ] || equal "$name: nothing is left" "$(state "$live") $(state "$unproven")" '0 0'
	stop_sim
}

# reap NAME SERVICE ACTION FAULT-MEMBERS LIVES: what is past its deadline; LIVES: how many live afterwards.
reap() {
	local name="reap, $1" id
	start_sim --instances model --boot 20 --online 20 --terminate-delay 20
	run "$mayfly" start --image ami-0a11ce00000000001 --types m7i.large "${where[@]}" --count 2
	for id in $(state '.regions[].instances[].id'); do control POST "instances/$id/kill" >/dev/null; done # it hangs
	control POST clock '{"advance_seconds":90000}' >/dev/null
	control PUT faults "[{\"service\":\"$2\",\"action\":\"$3\",\"fault\":\"hang\"$4}]" >/dev/null
	in_background "$mayfly" reap
	interrupt "$name"
	equal "$name: so many live still" "$(state "$live")" "$5"
	equal "$name: what lives is said to" "$(grep -c '^\(not terminated\|failed\) i-' <<<"$out")" "$6"
	stop_sim
}

# twice NAME FAULTS COMMAND…: a second signal is not undone.
twice() {
	local name=$1 began
	start_sim --instances model --boot 20 --online 600000 --terminate-delay 20
	control PUT faults "[$2]" >/dev/null
	shift 2
	in_background "$mayfly" "$@"
	until_held || not_ok "$name: the call hangs" "$(tail -3 "$tmp/err")"
	kill -TERM "$background_pid"
	sleep 1.2
	check "$name: the first one is being undone" kill -0 "$background_pid"
	began=$(date +%s%3N)
	kill -INT "$background_pid"
	ended
	equal "$name: the second ends it at once" "$(($(date +%s%3N) - began < 700))" 1
	expect "$name: which says so, and what is left" 1 err 'interrupted by a signal' err 'left behind, until '
	stop_sim
}

there=$(IFS='|' && printf %s "${where[*]}")
# Each is played in a simulator of its own, six at a time.
cases=(
	"bake|the image's parameter|ssm|GetParameter||nothing"
	"bake|the image to begin with|ec2|DescribeImages||nothing"
	"bake|GitHub's newest runner|github|downloads||nothing"
	"bake|a region to copy to|ec2|DescribeImages|,\"match\":{\"region\":\"us-west-2\"}|nothing|--copy-regions|us-west-2"
	"bake|the builder is not launched|ec2|RunInstances||an instance that may exist, client token mf-"
	"bake|the builder is launched|ec2|RunInstances|,\"when\":\"after\"|nothing"
	"bake|the smoke boot is launched|ec2|RunInstances|,\"when\":\"after\",\"nth\":2|nothing"
	"bake|the instance's state|ec2|DescribeInstances|,\"times\":0|nothing"
	"bake|the console|ec2|GetConsoleOutput|,\"times\":0|nothing"
	"bake|the image is not made|ec2|CreateImage||an image that may exist mayfly-amd64-"
	"bake|the image is made|ec2|CreateImage|,\"when\":\"after\"|nothing"
	"bake|one question about the image|ec2|DescribeImages|,\"nth\":2|nothing"
	"bake|every question about the image|ec2|DescribeImages|,\"skip\":1,\"times\":0|nothing"
	"bake|the end of the builder is not heard|ec2|TerminateInstances||nothing"
	"bake|no end is heard|ec2|TerminateInstances|,\"times\":0|instance i-"
	"bake|sharing|ec2|ModifyImageAttribute||nothing|--share|210987654321|--no-smoke"
	"bake|keeping|ec2|DeleteTags||nothing|--no-smoke"
	"bake|a copy is not made|ec2|CopyImage||an image that may exist mayfly-amd64-|--no-smoke|--copy-regions|us-west-2"
	"bake|a copy is made|ec2|CopyImage|,\"when\":\"after\"|nothing|--no-smoke|--copy-regions|us-west-2"
	"reap|the account|sts|GetCallerIdentity||2|0"
	"reap|the instances|ec2|DescribeInstances||2|0"
	"reap|the registrations|github|list-runners||2|0"
	"reap|a registration|github|get-runner|,\"times\":0|2|2"
	"reap|the end of a registration|github|delete-runner||1|1"
	"reap|a look before the end|ec2|DescribeInstances|,\"skip\":2,\"times\":0|2|2"
	"reap|the end|ec2|TerminateInstances||0|0"
	"reap|no end is heard|ec2|TerminateInstances|,\"times\":0|2|2"
	"reap|what is left of volumes|ec2|DescribeVolumes||0|0"
	"twice|a bake|{\"service\":\"ec2\",\"action\":\"RunInstances\",\"fault\":\"hang\",\"times\":0}|bake|amd64|$there"
	"twice|a start|{\"service\":\"ec2\",\"action\":\"RunInstances\",\"fault\":\"hang\",\"times\":0}|start|--image|ami-0a11ce00000000001|--types|m7i.large|$there"
)
play() { # N
	local row
	mkdir "$tmp/$1" && tmp=$tmp/$1
	IFS='|' read -ra row <<<"${cases[$1]}"
	"${row[@]}"
	exit $((failures > 0))
}
for ((n = 0; n < ${#cases[@]}; n++)); do
	while [ "$(jobs -rp | wc -l)" -ge 6 ]; do wait -n; done
	(play "$n") >"$tmp/$n.log" 2>&1 &
done
wait
cat "$tmp"/*.log
[ "$(grep -c '^not ok' "$tmp"/*.log | awk -F: '{ n += $2 } END { print n }')" -eq 0 ]
