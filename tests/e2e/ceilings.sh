#!/usr/bin/env bash
# What servers send without an end: every command says so, soon, and decides nothing by it.
. "$(dirname "$0")/lib.sh"

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 10s)
fault() { control PUT faults "[{\"service\":\"$1\",\"action\":\"$2\",\"fault\":\"$3\",\"times\":0}]" >/dev/null; }
live() { state '[.regions[].instances[] | select(.state != "terminated")] | length'; }

start_sim --instances model --boot 50 --online 50 --terminate-delay 20
run "$mayfly" start "${args[@]}" --label one
expect 'a start' 0
id=$(state '.regions[].instances[].id')

# list SERVICE ACTION NAME COMMAND…: fails by each kind of list without an end, with few requests, and ends nothing.
list() {
	local service=$1 action=$2 name=$3 kind
	shift 3
	for kind in loop empty-page; do
		fault "$service" "$action" "$kind"
		control DELETE log >/dev/null
		run timeout 60 "$mayfly" "$@"
		expect "$name, $kind: fails" "${want:-1}" err 'does not end'
		equal "$name, $kind: with few requests" "$(($(control GET log | jq "[.[] | select(.action == \"$action\")] | length") <= 210))" 1
		equal "$name, $kind: nothing ends" "$(state ".regions[].instances[] | select(.id == \"$id\") | .state")" running
	done
	control DELETE faults >/dev/null
}
want=3 list github list-runners 'reap, by GitHub' reap
want=3 list ec2 DescribeVolumes 'reap, volumes' reap
list ec2 DescribeInstances 'start with a label' start "${args[@]}" --label two
list github list-runner-groups 'start in a group' start "${args[@]}" --repo octo --runner-group none
control POST clock '{"advance_seconds":90000}' >/dev/null # past its deadline
list ec2 DescribeInstances 'stop by label' stop --label one
list ec2 DescribeInstances 'reap' reap
list ec2 DescribeInstances 'status' status
equal 'nothing was launched' "$(live)" 1
[ "$failures" -eq 0 ]
