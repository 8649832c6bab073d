#!/usr/bin/env bash
# The reaper that nobody watches: its lock, and the metrics that operators watch.
. "$(dirname "$0")/lib.sh"
. "$top/tests/contract/venv.sh"
export MAYFLY_TEST_CACHE=${MAYFLY_TEST_CACHE:-$top/tests/.cache}

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
advance() { control POST clock "{\"advance_seconds\":$1}" >/dev/null; }
fault() { control POST faults "$1" >/dev/null; }
no_faults() { control DELETE faults >/dev/null; }
requests() { control GET log | jq 'length'; }

# wait_for NAME COMMAND…: until it succeeds, 10 s at most.
wait_for() {
	local name=$1 i
	shift
	for ((i = 0; i < 200; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	not_ok "$name" 'it does not come'
}

# --- the lock ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
lock=$tmp/reap.lock
run "$mayfly" reap --lock "$lock"
expect 'a reaper with a lock' 0
check 'the file stays, with the number of the process' grep -qxE '[0-9]+' "$lock"
equal 'others may read it' "$(stat -c %a "$lock")" 644
fault '{"service":"ec2","action":"DescribeInstances","fault":"hang","times":1}'
"$mayfly" reap --lock "$lock" 2>/dev/null &
first=$!
is_first() { [ "$(cat "$lock")" = "$first" ]; }
wait_for 'the first run takes the lock' is_first
control DELETE log >/dev/null
run "$mayfly" reap --lock "$lock" --metrics "$tmp/second.prom"
expect 'a second run ends at once, to be tried later' 75 err "the lock \`$lock\` is held by another run, process $first" err "hint: the lock is released when that process exits"
equal 'in one line and a hint' "$(wc -l <"$tmp/err")" 2
equal 'it asked nobody anything' "$(requests)" 0
if [ ! -e "$tmp/second.prom" ]; then ok 'and leaves the metrics to the first'; else not_ok 'and leaves the metrics to the first' 'it wrote some'; fi
run "$mayfly" reap --lock "$tmp/other.lock"
expect 'another lock is another matter' 0
kill -KILL "$first"
wait "$first" 2>/dev/null
run "$mayfly" reap --lock "$lock"
expect 'one that was killed holds no lock' 0

"$mayfly" reap --lock "$lock" --verbose >&- 2>&-
check 'with its streams closed nothing is printed into the lock' grep -qxE '[0-9]+' "$lock"
run "$mayfly" reap --lock "$lock"
expect 'so that the next run takes it' 0

echo 'precious = true' >"$tmp/precious"
ln -s "$tmp/precious" "$tmp/link"
ln "$tmp/other.lock" "$tmp/hard"
mkfifo "$tmp/fifo"
for case in 'precious:contains something other' 'link:symbolic link' "hard:is not accessible to this user only" 'fifo:is not a file' \
	'none/lock:No such file' 'home:Is a directory'; do
	run "$mayfly" reap --lock "$tmp/${case%%:*}"
	expect "a lock that is none: ${case%%:*}" 2 err "${case#*:}" err 'hint: use a file'
done
equal 'a file that was named by mistake is left as it is' "$(cat "$tmp/precious")" 'precious = true'
printf '[default]\nlock = %s\n' "$tmp/precious" >"$tmp/steer.ini"
run env GITHUB_WORKSPACE="$tmp" "$mayfly" reap --config "$tmp/steer.ini"
expect 'a file of the workspace names no lock' 2 err 'may not be set by a file in the workspace'
if [ "$(id -u)" = 0 ]; then
	install -o 65534 -m 666 /dev/null "$tmp/theirs.lock"
	run "$mayfly" reap --lock "$tmp/theirs.lock"
	expect "another user's file is no lock" 2 err "is not accessible to this user only"
fi

# --- metrics ---
if ! make_venv; then
	printf 'skip - metrics: judge: %s\n' "$(tail -1 "$MAYFLY_TEST_CACHE/venv.log")"
	exit $((failures > 0))
fi
prom=$tmp/metrics/mayfly-reap.prom
mkdir "$tmp/metrics"

# told NAME [SERIES VALUE]…: the judge likes the file, and it says so much.
told() {
	local name=$1
	shift
	if ! "$venv/bin/python" "$top/tests/contract/metrics.py" "$prom" >"$tmp/series" 2>"$tmp/faults"; then
		not_ok "$name" "$(cat "$tmp/faults")"
		return
	fi
	while [ $# -gt 0 ]; do
		equal "$name: $1" "$(value "$1")" "$2"
		shift 2
	done
	ok "$name"
}
# value SERIES: without the prefix and the fleet; `-` when there is none.
value() {
	sed -nE 's/^mayfly_reap_//; s/\{fleet=octo\/demo\} / /; s/fleet=octo\/demo,|,fleet=octo\/demo//; p' "$tmp/series" |
		awk -v s="$1" '{ v = $NF; $NF = ""; sub(/ $/, "") } $0 == s { print v; n++ } END { if (!n) print "-" }'
}
positive() { if [ "$(value "$1")" -gt 0 ]; then ok "$2"; else not_ok "$2" "$(value "$1")"; fi; }

start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
run "$mayfly" start "${args[@]}"
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
control PUT "runners/$(state '.runners[0].id')" '{"status":"offline","busy":false}' >/dev/null
advance 2800
run "$mayfly" reap --metrics "$prom"
expect 'a reaper with metrics' 0 out "marked $id"
told 'the first pass' success 1 exit_status 0 'instances{done=marked,rule=offline}' 1 'left{kind=instance}' 0 \
	'removed_total{kind=instance}' 0 'removed_total{kind=spot request}' 0 'api_throttles_total{service=ec2}' 0 \
	'api_requests_total{service=sts}' 1 'api_requests_total{service=github}' 1 'api_retries_total{service=ec2}' 0
docs=$top/docs/operating.md
while read -r name; do
	check "docs/operating.md: $name" grep -q "^# TYPE $name " "$prom"
done < <(grep -oE 'mayfly_reap_[a-z_]+' "$docs" | sort -u)
equal 'every metric is told there' "$(sed -n 's/^# TYPE \([^ ]*\).*/\1/p' "$prom" | grep -vxFf <(grep -oE 'mayfly_reap_[a-z_]+' "$docs"))" ''
sed -n '/^```yaml$/,/^```$/{/^```/!p}' "$docs" >"$tmp/rules.yaml"
check 'its rules are YAML' "$venv/bin/python" -c 'import sys, yaml; assert all(r["expr"] for g in yaml.safe_load(sys.stdin)["groups"] for r in g["rules"])' \
	<"$tmp/rules.yaml"
# The judge must be able to fail.
for spoil in '/^# TYPE mayfly_reap_success/d' 's/^(mayfly_reap_left.*instance.*)$/\1\n\1/' 's/^(mayfly_reap_success.*)$/\1 1700000000/' \
	's/removed_total/removed/' 's/^mayfly_reap_success(.*)"/mayfly_reap_success\1\\"/' 's/ gauge$/ counter/'; do
	sed -E "$spoil" "$prom" >"$tmp/spoiled.prom"
	run "$venv/bin/python" "$top/tests/contract/metrics.py" "$tmp/spoiled.prom"
	if [ "$status" -ne 0 ]; then ok "the judge sees $spoil"; else not_ok "the judge sees $spoil" "$out"; fi
done
positive 'api_requests_total{service=ec2}' 'what was asked is counted'
positive github_requests_remaining 'and what GitHub still allows'
skew=$(value clock_skew_seconds)
if [ "$skew" -ge 2799 ] && [ "$skew" -le 2801 ]; then ok 'and how far the clocks are apart'; else not_ok 'and how far the clocks are apart' "$skew"; fi
equal 'with the time of now' "$(value last_pass_timestamp_seconds)" "$(value last_success_timestamp_seconds)"
if [ $(($(date +%s) - $(value last_pass_timestamp_seconds))) -le 60 ]; then ok 'which is the time'; else not_ok 'which is the time' "$(value last_pass_timestamp_seconds)"; fi
equal 'everybody may read it, and no part of it was left' "$(stat -c %a "$prom") $(ls -A "$tmp/metrics")" '644 mayfly-reap.prom'
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":503,"code":"RequestLimitExceeded","message":"slow"}'
run "$mayfly" reap --metrics "$prom"
told 'a throttle' success 1 'api_throttles_total{service=ec2}' 1 'api_retries_total{service=ec2}' 1 'api_requests_total{service=sts}' 2
fault '{"service":"github","action":"delete-runner","fault":"status","status":503,"times":9}'
advance 200
run "$mayfly" reap --metrics "$prom"
expect 'a pass that leaves something' 3 out "failed $id"
told 'what is left' success 0 exit_status 3 'left{kind=instance}' 1 'instances{done=failed,rule=offline}' 1
no_faults
advance 20000 # past its deadline
fault '{"service":"github","action":"delete-runner","fault":"hold","times":1}'
"$mayfly" reap --metrics "$prom" >"$tmp/out2" 2>"$tmp/err2" &
held() { control GET held | jq -e 'length > 0'; }
wait_for 'the reaper is at work' held
kill -TERM $!
sleep 0.3
control POST release '{}' >/dev/null
wait $!
equal 'one that is stopped at work fails' "$? $(grep -c 'interrupted by a signal' "$tmp/err2")" '1 1'
has 'and tells what it did' "$(cat "$tmp/out2")" "terminated $id"
told 'what was ended' success 0 exit_status 1 'removed_total{kind=instance}' 1 'left{kind=instance}' -
no_faults
fault '{"service":"github","action":"list-runners","fault":"delay","ms":4000}'
run "$mayfly" reap --metrics "$prom"
told 'the next pass' success 1 exit_status 0 'left{kind=instance}' 0 'removed_total{kind=instance}' 1 'instances{done=terminated,rule=offline}' -
if [ $(($(value clock_skew_seconds) - skew)) -ge 199 ]; then ok 'however long GitHub takes, the clocks are as far apart'; else not_ok 'however long GitHub takes, the clocks are as far apart' "$(value clock_skew_seconds) s"; fi
success=$(value last_success_timestamp_seconds)
sleep 1.1
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":403,"code":"UnauthorizedOperation","message":"no","times":9}'
run "$mayfly" reap --metrics "$prom"
expect 'a pass that fails' 1 err UnauthorizedOperation
told 'a pass that failed' success 0 exit_status 1 'removed_total{kind=instance}' 1 'left{kind=instance}' - \
	'api_throttles_total{service=ec2}' 1 last_success_timestamp_seconds "$success"
if [ "$(value last_pass_timestamp_seconds)" -gt "$success" ]; then ok 'it tells when it was'; else not_ok 'it tells when it was' "$(cat "$tmp/series")"; fi
no_faults
run env -u MAYFLY_GITHUB_TOKEN "$mayfly" reap --metrics "$prom"
expect 'a pass that is set up wrong' 2 err 'no GitHub token'
told 'is told too' success 0 exit_status 2 last_success_timestamp_seconds "$success"
run env AWS_ENDPOINT_URL=http://127.0.0.1:1 "$mayfly" reap --metrics "$prom"
told 'and so is one without a network' success 0 exit_status 75 last_success_timestamp_seconds "$success"
run "$mayfly" reap --fleet 'a"b\c{}' --metrics "$prom"
expect 'another fleet in the same file' 0
told 'any name of a fleet can be told'
has 'as it is' "$(cat "$tmp/series")" 'mayfly_reap_removed_total{fleet=a"b\c{},kind=instance} 0'
fault '{"service":"ec2","action":"DescribeInstances","fault":"hang","times":1}'
before=$(cat "$prom")
"$mayfly" reap --metrics "$prom" 2>/dev/null &
sleep 0.5
kill -KILL $!
wait $! 2>/dev/null
equal 'a reaper that is killed leaves the file as it was' "$(cat "$prom")" "$before"
no_faults

control DELETE log >/dev/null
ln -s "$tmp/precious" "$tmp/metrics/link.prom"
run "$mayfly" reap --metrics "$tmp/metrics/link.prom"
expect 'a file that holds something else is not replaced' 2 err 'holds something else' err 'hint: it would be overwritten'
run "$mayfly" reap --metrics "$tmp/none/x.prom"
expect 'a directory that is not there' 2 err 'No such file or directory'
equal 'all that is known before anything is asked' "$(requests)" 0
: >"$tmp/precious"
run "$mayfly" reap --metrics "$tmp/metrics/link.prom"
equal 'a symbolic link to a file of this user is followed, and stays' "$(grep -c '^mayfly_' "$tmp/precious" | sed 's/[1-9].*/some/'), $(stat -c %F "$tmp/metrics/link.prom")" \
	'some, symbolic link'
exit $((failures > 0))
