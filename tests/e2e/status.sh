#!/usr/bin/env bash
# mayfly status: every phase, as a table, as JSON and as a step summary; it changes nothing, and what others wrote into
# tags and names commands no terminal.
. "$(dirname "$0")/lib.sh"

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
advance() { control POST clock "{\"advance_seconds\":$1}" >/dev/null; }
fault() { control POST faults "$1" >/dev/null; }
no_faults() { control DELETE faults >/dev/null; }

# here ACTION [NAME=VALUE]…: an EC2 call whose signature is not ours; the first instance id of its answer as $id.
here() {
	local data=(-d "Action=$1" -d Version=2016-11-15) pair answer
	shift
	for pair in "$@"; do data+=(--data-urlencode "$pair"); done
	answer=$(curl -sS --aws-sigv4 aws:amz:us-east-1:ec2 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H "x-amz-security-token: $AWS_SESSION_TOKEN" "${data[@]}" "$url/")
	id=$(grep -oE '<instanceId>[^<]*' <<<"$answer" | head -1 | sed 's/.*>//')
}

# launch ROLE [KEY VALUE]…: an instance of the fleet as somebody else could make one.
launch() {
	local tags=("TagSpecification.1.ResourceType=instance" "TagSpecification.1.Tag.1.Key=mayfly:fleet"
		"TagSpecification.1.Tag.1.Value=octo/demo" "TagSpecification.1.Tag.2.Key=mayfly:role" "TagSpecification.1.Tag.2.Value=$1") n=3
	shift
	while [ $# -gt 0 ]; do
		tags+=("TagSpecification.1.Tag.$n.Key=$1" "TagSpecification.1.Tag.$n.Value=$2")
		n=$((n + 1))
		shift 2
	done
	here RunInstances ImageId=ami-0a11ce00000000001 InstanceType=m7i.large MinCount="$many" MaxCount="$many" \
		SubnetId=subnet-0a11ce01 "${tags[@]}"
	sleep 0.1
}
many=1

github() { # METHOD PATH [BODY]
	curl -sS -X "$1" -H "Authorization: Bearer $MAYFLY_GITHUB_TOKEN" ${3:+-d "$3"} "$GITHUB_API_URL/repos/octo/demo/actions/runners$2"
}

start() { # [OPTION]…: its instance as $id, its record as $runner
	run "$mayfly" start "${args[@]}" "$@"
	[ "$status" = 0 ] || not_ok 'start before status' "$err"
	id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
	runner=$(state ".runners[] | select(.name == \"$(sed -n 's/^runner-name=//p' "$tmp/out")\") | .id")
}
set_runner() { control PUT "runners/$runner" "$1" >/dev/null; }

# look: the last status as objects by instance, too.
look() {
	run "$mayfly" status --json
	jq -s 'map(select(.instance)) | INDEX(.instance)' "$tmp/out" >"$tmp/by-id" || not_ok 'status --json' "$out"
}
of() { jq -r ".[\"$1\"] | $2" "$tmp/by-id"; } # INSTANCE FILTER

# --- nothing, and every phase ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
run "$mayfly" status
expect 'an empty fleet' 0 err 'fleet octo/demo: 0 live instances'
equal 'has no table' "$out" ''
declare -A at # the instance of each phase
start --label first
at[offline]=$id
set_runner '{"status":"offline","busy":false}'
start && at[lost]=$id
set_runner '{"status":"offline","busy":true}'
start && at[finished]=$id
control POST "instances/$id/kill" >/dev/null # it hangs
github DELETE "/$runner"
start && at[stopped]=$id
here StopInstances InstanceId.1="${at[stopped]}"
set_runner '{"status":"offline","busy":false}'
launch bake && at[building]=$id
advance 2100
GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=1 start --market spot && at[idle]=$id
advance 700
start && at[busy]=$id
set_runner '{"status":"online","busy":true}'
start && at[booting]=$id
set_runner '{"status":"offline","busy":false}'
launch pet && at[foreign]=$id
control DELETE log >/dev/null
look
expect 'status as JSON' 0 out '"kind":"pass"'
equal 'which only reads' "$(control GET log | jq -r '[.[] | select(.path | startswith("/_sim") | not) | .action] | unique | join(" ")')" \
	'DescribeInstances GetCallerIdentity GetConsoleOutput list-jobs list-runners'
for case in offline:mark:offline lost:keep:lost finished:mark:no-runner stopped:mark:stopped building:keep:builder \
	idle:keep:runner busy:keep:launch-grace booting:keep:launch-grace; do
	IFS=: read -r phase verdict rule <<<"$case"
	equal "the phase $phase" "$(of "${at[$phase]}" '[.phase, .verdict, .rule] | join(" ")')" "$phase $verdict $rule"
done
equal 'what is not of the fleet is told, and ignored' "$(of "${at[foreign]}" .verdict)" ignore
equal 'all that is told of one' "$(of "${at[idle]}" '[.kind, .region, .zone, .type, .market, .state, .record, .job, ."run-id", .repo] | join(" ")')" \
	'instance us-east-1 us-east-1a m7i.large spot running online none 4711 octo/demo'
equal 'its names are those of its tags' "$(of "${at[idle]}" '.runner, .label')" \
	"$(state "[.regions[].instances[] | select(.id == \"${at[idle]}\")][0].tags | .[\"mayfly:runner\"], .[\"mayfly:label\"]")"
equal 'the deadline is what is left of its life' "$(of "${at[idle]}" '(.deadline | fromdate) - (.time | fromdate) == .left and .left + .age == 21600')" true
equal 'the last line tells of the pass' "$(tail -1 "$tmp/out" | jq -c '[.kind, .fleet, .instances, .runners, .whole]')" '["pass","octo/demo",9,0,true]'

# --- as a table ---
row() { grep "^$1 " <<<"$out"; }
run "$mayfly" status
expect 'status as a table' 0 out 'INSTANCE' err '9 live instances, 1 of them busy; the reaper would now terminate 0 and mark 3'
equal 'a line each, and one of titles' "$(wc -l <<<"$out")" 10
equal 'the oldest first' "$(sed -n 2p <<<"$out" | cut -d' ' -f1)" "${at[offline]}"
if ! grep -q $'\e' <<<"$out"; then ok 'no codes where there is no terminal'; else not_ok 'no codes where there is no terminal' "$out"; fi
has 'the marked' "$(row "${at[offline]}" | tr -s ' ')" " first mark its runner is offline"
has 'the kept' "$(row "${at[idle]}" | tr -s ' ')" 'keep has its runner'
# The verdicts stand under their title.
equal 'columns are aligned' "$(awk 'NR == 1 { at = index($0, "VERDICT") } NR > 1 { print substr($0, at, 4) }' <<<"$out" | sort -u | tr '\n' ' ')" 'igno keep mark '
run "$mayfly" reap
advance 30
run "$mayfly" status
has 'what is marked says since when' "$(row "${at[offline]}")" 'its runner is offline, marked for 3'
advance 30000
control DELETE log >/dev/null
run "$mayfly" status
has 'what is past its deadline would go' "$(row "${at[idle]}" | tr -s ' ')" ' over '
has 'at once' "$(row "${at[idle]}" | tr -s ' ')" 'terminate past its deadline'
equal 'but not by status: it only reads' "$(control GET log | jq -r '[.[] | select(.path | startswith("/_sim") | not) | .action] | unique | join(" ")')" \
	'DescribeInstances GetCallerIdentity list-runners'
equal 'and all are still there' "$(state '[.regions[].instances[] | select(.state | test("pending|running|stopped"))] | length')" 9

# on COLUMNS [OPTION]…: status on a terminal of this width, as $out without what ends its lines.
on() {
	local columns=$1
	shift
	out=$(script -qec "stty cols $columns rows 12; exec $mayfly status $* 2>/dev/null" /dev/null </dev/null | tr -d '\r')
}
for columns in 60 80 100 132 200; do
	on "$columns"
	equal "a terminal of $columns columns has room" "$(($(LC_ALL=C.UTF-8 wc -L <<<"$out") > columns)) $(wc -l <<<"$out")" '0 10'
done
on 80
equal 'a narrow terminal gets what matters' "$(head -1 <<<"$out" | tr -s ' ')" 'INSTANCE PHASE AGE LEFT VERDICT WHY'
on 200
equal 'a wide one gets all' "$(head -1 <<<"$out" | tr -s ' ')" 'INSTANCE PHASE AGE LEFT MARKET TYPE ZONE RECORD RUNNER LABEL VERDICT WHY'

# --- records without an instance, other regions, GitHub and EC2 down ---
for i in $(state '[.regions[].instances[].id] | join(" ")'); do here TerminateInstances InstanceId.1="$i"; done
run "$mayfly" status
expect 'a record without instance is told' 0 out 'ghost' out 'delete   no instance uses it'
look
equal 'as JSON too' "$(jq -rs 'map(select(.kind == "runner"))[0] | [.record, .verdict, .rule, .reason] | join(", ")' "$tmp/out")" \
	'offline, delete, ghost, no instance uses it'
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
start && east=$id
run "$mayfly" start --region us-west-2 --image ami-0a11ce00000002001 --types m7i.large --subnets subnet-0a11ce21 --security-groups sg-0a11ce21 --timeout 30s
west=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
run "$mayfly" status --regions us-east-1,us-west-2
expect 'several regions' 0 out "$east" out "$west"
run "$mayfly" status --places '[{"region":"us-west-2"}]'
expect 'those of places' 0 out "$east" out "$west"
fault '{"service":"github","action":"list-runners","fault":"status","status":502,"times":9}'
run "$mayfly" status
expect 'without GitHub what is known is told' 3 out "$east" out 'unknown' err 'GitHub could not be asked'
no_faults
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":403,"code":"UnauthorizedOperation","message":"no","times":9}'
run "$mayfly" status
expect 'without EC2 nothing is' 1 err 'UnauthorizedOperation' err 'mayfly policy status'
no_faults
start_sim --instances model --boot 600000 --no-auth
"$mayfly" start "${args[@]}" >/dev/null 2>&1 &
for _ in {1..100}; do
	[ "$(state '[.regions[].instances[]] | length')" = 0 ] || break
	sleep 0.05
done
kill -KILL $!
wait $! 2>/dev/null
run "$mayfly" status
expect 'the phase pending' 0 out ' pending '

# --- what others wrote ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
evil=$'x\x7f\u009b2J`|a|<img src=x>`\n\t![](//e)|\\|'
launch runner mayfly:runner "$evil" mayfly:label "$evil" mayfly:scope "$evil" mayfly:repo "$evil"
mark=$("$mayfly" start "${args[@]}" 2>/dev/null | sed -nE 's/^runner-name=(mf-[0-9a-f]*-).*/\1/p')
github POST /generate-jitconfig "{\"name\":\"${mark}us-east-1-1-\\u009b\\u007f|\`\",\"runner_group_id\":1,\"labels\":[\"x\"]}" >/dev/null
check 'the hostile record is there' test "$(state '[.runners[] | select(.name | test("\u009b"))] | length')" = 1
# harmless NAME FILE: it commands no terminal, in a UTF-8 or any other locale.
harmless() {
	if LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$2"; then not_ok "$1" "$(cat -v "$2")"; else ok "$1"; fi
}
harmless 'the check of this' <(printf 'plain\n')
if LC_ALL=C grep -aqP '[\x7f]|\xc2[\x80-\x9f]' <<<"$evil"; then ok 'which can fail'; else not_ok 'which can fail' "$evil"; fi
export GITHUB_STEP_SUMMARY=$tmp/summary.md
run "$mayfly" status
expect 'hostile tags' 0 out '<img src=x>' out ghost
harmless 'hostile tags in the table' "$tmp/out"
equal 'a line each' "$(wc -l <"$tmp/out")" 4
harmless 'hostile tags in the summary' "$tmp/summary.md"
has 'a step summary' "$(cat "$tmp/summary.md")" "### Mayfly: fleet \`octo/demo\`, 2 live instances"
equal 'whose lines have all the same cells' "$(grep '^|' "$tmp/summary.md" | tr -cd '|\n' | sort -u)" '|||||||||||||'
equal 'and in each cell of others one piece of code' \
	"$(sed -n '/^| `/p; /ghost/p' "$tmp/summary.md" | awk -F'|' '{ for (i = 2; i < NF; i++) print gsub(/`/, "", $i) }' | sort -u | tr '\n' ' ')" '0 2 '
unset GITHUB_STEP_SUMMARY
run "$mayfly" status --json
harmless 'hostile tags as JSON' "$tmp/out"
equal 'they are told as they are' "$(jq -rs 'map(select(.label | strings | startswith("x"))) | .[0].label' "$tmp/out")" "$evil"
run "$mayfly" reap
harmless 'hostile names in what reap tells' "$tmp/out"

# --- again and again ---
tables() { grep -c '^INSTANCE' "$tmp/watched"; }
wait_tables() { # N
	local i
	for ((i = 0; i < 200; i++)); do
		[ "$(tables)" -lt "$1" ] || return 0
		sleep 0.05
	done
	not_ok 'status --watch goes on' "$(cat "$tmp/watched" "$tmp/watch.err")"
}
: >"$tmp/watched" # the program may not have begun when it is looked into
"$mayfly" status --watch 2s >"$tmp/watched" 2>"$tmp/watch.err" &
watcher=$!
wait_tables 1
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":403,"code":"UnauthorizedOperation","message":"no","times":1}'
wait_tables 2
kill -INT $watcher
wait $watcher
equal 'a signal ends --watch, well' "$?" 0
has 'what failed meanwhile was told' "$(cat "$tmp/watch.err")" 'warning: DescribeInstances: UnauthorizedOperation'
if ! grep -q $'\e' "$tmp/watched"; then ok 'no codes in a file'; else not_ok 'no codes in a file' "$(cat -v "$tmp/watched")"; fi
fault '{"service":"ec2","action":"DescribeInstances","fault":"hold","times":1}'
"$mayfly" status --watch 2s >/dev/null 2>"$tmp/watch.err" &
watcher=$!
for _ in {1..100}; do
	[ "$(control GET held | jq length)" = 0 ] || break
	sleep 0.05
done
kill -TERM $watcher
wait $watcher
equal 'also while it asks' "$? $(cat "$tmp/watch.err")" '0 '
no_faults
(
	"$mayfly" status --watch 2s --json 2>"$tmp/watch.err"
	echo $? >"$tmp/watch.status"
) | head -1 >/dev/null
equal 'it ends when nobody reads on' "$(cat "$tmp/watch.status")" 1
out=$(script -qec "stty cols 100 rows 9; timeout -s INT --foreground 1 $mayfly status --watch 2s; echo \$?" /dev/null </dev/null | tr -d '\r')
has 'on a terminal it draws anew' "$out" $'\e[H\e[J'
run "$mayfly" status --watch 1s
expect 'too often is refused' 2 err '--watch: 1s is not between 2s and 1d'
run env MAYFLY_WATCH=2s timeout 10 "$mayfly" status
expect '--watch is for the command line alone' 0

# --- more than one look takes ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
many=60
launch runner
launch runner
run "$mayfly" status
equal 'a fleet of 120' "$(grep -c 'keep     launched moments ago' <<<"$out")" 120
out=$(script -qec "stty cols 100 rows 20; timeout -s INT --foreground 1 $mayfly status --watch 60s" /dev/null </dev/null | tr -d '\r')
has 'watched on a small terminal' "$out" '… and 106 more'
exit $((failures > 0))
