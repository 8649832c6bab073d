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

# Answers of too much: EC2's and GitHub's.
floods=()
result=0
trap 'result=$?; kill "${floods[@]}" 2>/dev/null; (exit $result); cleanup' EXIT
while read -r kind ec2 github; do
	python3 "$(dirname "$0")/flood.py" "$kind" >"$tmp/flood" &
	floods+=($!)
	for ((i = 0; i < 200; i++)); do
		[ -s "$tmp/flood" ] && break
		sleep 0.05
	done
	flood=http://127.0.0.1:$(cat "$tmp/flood")
	run timeout 60 env AWS_ENDPOINT_URL_EC2="$flood" "$mayfly" status
	equal "EC2 sends too much, $kind: fails" "$status" 1
	has "EC2 sends too much, $kind: says so" "$err" "${ec2//_/ }"
	run timeout 60 env GITHUB_API_URL="$flood" "$mayfly" reap
	has "GitHub sends too much, $kind: says so" "$err" "${github//_/ }"
	kill $!
	rm "$tmp/flood"
done <<'END'
body larger_than_6291456_bytes larger_than_6291456_bytes
objects is_not_well-formed is_too_large
elements has_more_than_200000_elements is_not_JSON
headers what_comes_before_or_after_the_answer_is_larger_than_262144 what_comes_before_or_after_the_answer_is_larger_than_262144
early what_comes_before_or_after_the_answer_is_larger_than_262144 what_comes_before_or_after_the_answer_is_larger_than_262144
trailer what_comes_before_or_after_the_answer_is_larger_than_262144 what_comes_before_or_after_the_answer_is_larger_than_262144
bomb is_not_well-formed is_not_JSON
END

# Characters that a terminal or GitHub's runner would obey, in an option and in what EC2 answers.
start_sim --instances model --boot 50 --online 50 --terminate-delay 20
run "$mayfly" start "${args[@]}" --dry-run --user $'a\xe2\x80\xaeb'
equal 'a plan: nothing to obey' "$(grep -caP '\xe2\x80\xae' <<<"$out$err")" 0
control PUT faults '[{"service":"ec2","action":"RunInstances","fault":"error","status":400,"code":"InvalidParameterValue","message":"no\n::error::x \u202e ##[add-mask]y | `z` <b>","times":0}]' >/dev/null
run env GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY="$tmp/summary" "$mayfly" start "${args[@]}" --label chars
expect 'a strange message' 1
equal 'a log: nothing to obey' "$(grep -caP '^\s*::error::x|\x1b|##\[|\xe2\x80\xae' <<<"$out$err")" 0
equal 'a summary: nothing to obey' "$(grep -caP '^\s*::|##\[|\xe2\x80\xae|`z`' "$tmp/summary")" 0
control DELETE faults >/dev/null

# Files that are none.
mkfifo "$tmp/pipe"
mkdir "$tmp/dir"
start_sim --instances model --boot 50 --online 50 --terminate-delay 20
run timeout 30 "$mayfly" reap --metrics /dev/null
expect 'metrics to a device' 0
equal 'it is a device still' "$(stat -c %F /dev/null)" 'character special file'
run timeout 30 "$mayfly" reap --metrics /dev/stdout
expect 'metrics to standard output' 0 out '# HELP mayfly_reap_success'
for option in --metrics --trace; do
	run timeout 30 "$mayfly" reap "$option" "$tmp/pipe"
	expect "$option: a pipe that nobody reads" 2 err 'is a pipe that nobody reads' err 'hint: '
	run timeout 30 "$mayfly" reap "$option" "$tmp/dir"
	expect "$option: a directory" 2 err 'is a directory' err 'hint: '
	ln -sf "$tmp/real" "$tmp/link"
	rm -f "$tmp/real"
	run timeout 30 "$mayfly" reap "$option" "$tmp/link"
	expect "$option: a link to nothing" 2 err 'is a symbolic link to nothing'
	: >"$tmp/real"
	run timeout 30 "$mayfly" reap "$option" "$tmp/link"
	expect "$option: this user's link" 0
	equal "$option: it is a link still" "$(readlink "$tmp/link")" "$tmp/real"
	equal "$option: what it leads to was written" "$(($(wc -c <"$tmp/real") > 0))" 1
	if [ "$(id -u)" = 0 ]; then
		echo precious >"$tmp/real"
		chown -h 65534 "$tmp/link"
		run timeout 30 "$mayfly" reap "$option" "$tmp/link"
		expect "$option: a link of another user" 2 err "another user's"
		equal "$option: what it leads to is as it was" "$(cat "$tmp/real")" precious
	fi
	rm -f "$tmp/link" "$tmp/real"
done
run timeout 30 "$mayfly" reap --trace /dev/full
expect 'a full disk is told' 0 err 'not all of the trace could be written'
run timeout 30 env GITHUB_OUTPUT="$tmp/pipe" "$mayfly" start "${args[@]}" --label out
expect 'GITHUB_OUTPUT is a pipe that nobody reads' 1 err 'is a pipe that nobody reads'
equal 'nothing is left of the start' "$(live)" 0
run timeout 30 env GITHUB_STEP_SUMMARY="$tmp/pipe" "$mayfly" start "${args[@]}" --label summary
expect 'a summary that cannot be written costs nothing' 0 err 'no step summary'
for option in --config --github-token-file --pre-runner-file; do
	run timeout 30 "$mayfly" start "${args[@]}" "$option" "$tmp/dir"
	expect "$option: a directory" 2
done
in_background timeout 30 "$mayfly" start "${args[@]}" --config "$tmp/pipe"
ended
expect 'a configuration that nobody writes' 2 err 'nothing was written to it for 5 s'
run timeout 30 "$mayfly" stop --label summary --config <(printf '[default]\n')
expect 'a configuration out of a pipe' 0
[ "$failures" -eq 0 ]
