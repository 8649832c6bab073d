#!/usr/bin/env bash
# The reaper on the wire: each of its rules, what bounds it, what it removes besides instances, what operators watch.
. "$(dirname "$0")/lib.sh"

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
all='[.regions[].instances[]]'
live='[.regions[].instances[] | select(.state | test("pending|running|stop"))] | length'

advance() { control POST clock "{\"advance_seconds\":$1}" >/dev/null; }
fault() { control POST faults "$1" >/dev/null; }

# here ACTION [NAME=VALUE]…: an EC2 call whose signature is not ours; its answer as $answer.
here() {
	local data=(-d "Action=$1" -d Version=2016-11-15) pair
	shift
	for pair in "$@"; do data+=(--data-urlencode "$pair"); done
	answer=$(curl -sS --aws-sigv4 aws:amz:us-east-1:ec2 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H "x-amz-security-token: $AWS_SESSION_TOKEN" "${data[@]}" "$url/")
}

# all_of ELEMENT: the texts of all such elements of the last answer.
all_of() { grep -oE "<$1>[^<]*" <<<"$answer" | sed 's/.*>//' | tr '\n' ' ' | sed 's/ $//'; }

# fresh [SIM_OPTION…]: a simulator with one runner that is online; its ids as $id and $runner.
fresh() {
	start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth "$@"
	start_one
}
start_one() {
	run "$mayfly" start "${args[@]}" "${start_args[@]}" --label "own-$((++starts))"
	id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
	runner=$(state '.runners | last | .id')
	[ "$status" = 0 ] || not_ok 'start before the reaper' "$err"
}
starts=0 start_args=()

set_runner() { control PUT "runners/$runner" "$1" >/dev/null || control POST "runners/$runner" "$1" >/dev/null; }

# ends NAME RULE WINDOW: marked at first sight, kept before its window is over, ended after it.
ends() {
	run "$mayfly" reap
	expect "$1: a first sight marks" 0 out "marked $id" out "($2, "
	has "$1: with the rule and the time" "$(state "$all | map(select(.id == \"$id\"))[0].tags[\"mayfly:reap-mark\"]")" "$2@"
	advance $(($3 - 60))
	run "$mayfly" reap
	expect "$1: before its window is over it stays" 0 out "marked $id"
	advance 70
	run "$mayfly" reap
	expect "$1: then it goes" 0 out "terminated $id" out "($2, "
	equal "$1: and nothing is left" "$(state "$live") $(state '.runners | length')" '0 0'
}

# --- each rule ---
# Its start was killed, and its machine hangs before it has a runner.
never_comes() {
	start_sim --instances model --boot 50 --online 86400000 --terminate-delay 20 --no-auth
	"$mayfly" start "${args[@]}" >/dev/null 2>&1 &
	until_asked RunInstances
	for _ in {1..100}; do
		id=$(state "$all | .[0].id // empty")
		[ -z "$id" ] || break
		sleep 0.05
	done
	kill -KILL $!
	wait $! 2>/dev/null
	runner=$(state '.runners[0].id')
	advance 700
}
never_comes
run "$mayfly" reap
expect 'a runner that never came is marked' 0 out "marked $id" out '(offline, '
advance 60
run "$mayfly" reap
expect 'before its window is over it stays' 0 out "marked $id"
advance 70
run "$mayfly" reap
expect 'then its registration goes, and that alone' 0 out "deregistered $id" out '(no-runner, '
equal 'its machine stays' "$(state "$live") $(state '.runners | length')" '1 0'
advance 120
run "$mayfly" reap
expect 'for three minutes' 0 out "marked $id"
advance 70
run "$mayfly" reap
expect 'in which no job came' 0 out "terminated $id" out '(no-runner, '
equal 'and nothing is left' "$(state "$live") $(state '.runners | length')" '0 0'

# --- the second witness ---
# own_job RUN: a job that takes the runner for a hundred hours.
own_job() {
	control POST jobs '{"repository":"octo/demo","run_id":'"$1"',"name":"build","labels":["own-'$starts'"],"commands":["true"],"duration_ms":360000000}' >/dev/null
	for _ in {1..50}; do
		[ "$(state '.runners | last | .busy')" != true ] || break
		sleep 0.05
	done
}
works='[.jobs[] | select(.status == "in_progress")] | length'
for says in '"online","busy":false' '"offline","busy":false'; do
	fresh
	own_job 9999 # of a run that launched nothing
	advance 2000
	set_runner '{"status":'"$says"'}'
	for pass in 1 2 3; do
		run "$mayfly" reap
		expect "what GitHub calls $says and works stays, pass $pass" 0 out "kept $id: its console shows a job" out '(at-work, '
		advance 700
	done
	equal "and works on" "$(state "$works") $(state '.runners | length')" '1 1'
	run "$mayfly" status
	expect 'status says so' 0 out 'busy' out 'its console shows a job'
	control POST "instances/$id/kill" >/dev/null # it hangs: the job is over, and nobody can prove it
	advance 20000
	run "$mayfly" reap
	expect 'until its deadline' 0 out "terminated $id: past its deadline"
done

# A run that launched an instance and is not there contradicts: its jobs are unknown.
GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=1 fresh
own_job 4711
set_runner '{"status":"offline","busy":false}'
first=$id
start_one
own_job 9999
set_runner '{"status":"online","busy":false}'
advance 2800
fault '{"service":"github","action":"list-jobs","fault":"not-found","times":999}'
for pass in 1 2; do
	run "$mayfly" reap
	expect "a GitHub that knows no run any more ends no job, pass $pass" 3 out "kept $first: the jobs of its" out "kept $id: its console shows a job" err 'could not be read'
	advance 700
done
equal 'of a fleet of two' "$(state "$works") $(state "$live")" '2 2'
control DELETE faults >/dev/null

# --- which clock ---
# An answer of EC2's, or of GitHub's, or all of them, with a Date that is hours off.
fresh
set_runner '{"status":"online","busy":true}'
for seconds in 25200 86400 31536000 -25200; do
	for of in '"service":"ec2","action":"DescribeInstances"' '"service":"github","action":"list-runners"'; do
		fault "{$of,\"fault\":\"date\",\"seconds\":$seconds,\"times\":999}"
		run "$mayfly" reap
		expect "a clock that is $seconds s off ends nothing: $of" 3 out "kept $id" err 'one clock is wrong'
		control DELETE faults >/dev/null
	done
done
fault '{"service":"ec2","action":"DescribeInstances","fault":"date","seconds":90000,"times":999}'
fault '{"service":"github","action":"list-runners","fault":"date","seconds":-90000,"times":999}'
run "$mayfly" reap
expect 'three that differ end nothing' 3 out "kept $id: no two clocks agree" err 'no two clocks agree within 5 minutes: EC2'
run "$mayfly" status
expect 'and status says so' 3 out 'no two clocks agree'
control DELETE faults >/dev/null

# --- without STS ---
fresh
advance 90000
run env AWS_ENDPOINT_URL_STS=http://127.0.0.1:9 "$mayfly" status
expect 'without STS status works' 0 out 'past its deadline'
fault '{"service":"sts","action":"GetCallerIdentity","fault":"hang","times":9}'
began=$SECONDS
run "$mayfly" reap
expect 'a hanging STS holds up no deadline' 0 out "terminated $id: past its deadline"
if [ $((SECONDS - began)) -lt 15 ]; then ok 'nor for long'; else not_ok 'nor for long' "$((SECONDS - began)) s"; fi
run env AWS_ENDPOINT_URL_STS=http://127.0.0.1:9 "$mayfly" reap
expect 'without it, and without instances, records are left alone' 3 err 'left alone, because the account is unknown'
control DELETE faults >/dev/null

# Consoles that say nothing: by GitHub's word alone nothing goes, and it is said.
fresh
advance 3000
for fault in '"fault":"unauthorized"' '"fault":"error","status":503,"code":"Unavailable","message":"no"' '"fault":"error","status":400,"code":"UnsupportedOperation","message":"This instance type does not support retrieving the latest console logs."'; do
	fault "{\"service\":\"ec2\",\"action\":\"GetConsoleOutput\",$fault,\"times\":999}"
	case $fault in *Unsupported*) wants=0 ;; *) wants=3 ;; esac
	run "$mayfly" reap
	expect "without a console an idle runner stays: $fault" $wants out "kept $id: only GitHub says that no job is running"
	[ $wants = 0 ] || has 'and why is told' "$err" 'its console could not be read'
	case $fault in *unauthorized*) has 'with what to do' "$err" 'mayfly policy' ;; esac
	control DELETE faults >/dev/null
done
run "$mayfly" status
expect 'status tells what the reaper would do' 0 out 'mark'
run "$mayfly" reap
expect 'with one it is marked' 0 out "marked $id"

fresh
set_runner '{"status":"online","busy":true}'
fault "{\"service\":\"ec2\",\"action\":\"DescribeInstances\",\"fault\":\"status\",\"status\":503,\"headers\":{\"Date\":\"$(date -u -d '+1 day' '+%a, %d %b %Y %T GMT')\"}}"
run "$mayfly" reap
expect 'the clock of a proxy that fails puts nobody past a deadline' 0 out "kept $id"

fresh
advance 2000
run "$mayfly" reap
expect 'an idle runner stays while its machine may end itself' 0 out "kept $id: its console shows an idle runner"
advance 800
run "$mayfly" reap
expect 'an idle runner is marked' 0 out "marked $id" out '(idle, '
advance 540
run "$mayfly" reap
expect 'before its window is over it stays' 0 out "marked $id"
advance 70
run "$mayfly" reap
expect 'then it is deregistered' 0 out "deregistered $id"
for _ in {1..50}; do
	[ "$(state "$live")" != 0 ] || break
	sleep 0.05
done
equal 'and powers off: nothing is left' "$(state "$live") $(state '.runners | length')" '0 0'

fresh
advance 700
run "$mayfly" reap
expect 'a runner within its idle limit stays' 0 out "kept $id" out 'has its runner'
here StopInstances InstanceId.1="$id"
set_runner '{"status":"offline","busy":false}'
advance 30
ends 'a stopped machine' stopped 300

export GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=1
fresh
own_job 4711
advance 700
control POST "instances/$id/kill" >/dev/null
set_runner '{"status":"offline","busy":true}'
run "$mayfly" reap
expect 'a machine that died at work stays while its job may run' 0 out "kept $id" out '(lost, '
set_runner '{"status":"online","busy":true}'
run "$mayfly" reap
expect 'what comes back to work is kept' 0 out "kept $id" out 'runs a job'
unset GITHUB_RUN_ID GITHUB_RUN_ATTEMPT
advance 30000
run "$mayfly" reap
expect 'but past its deadline even that goes' 0 out "terminated $id" out 'past its deadline'

# GitHub gives the job of a machine that died up after a while.
export GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=1
fresh
own_job 4711
unset GITHUB_RUN_ID GITHUB_RUN_ATTEMPT
control POST "instances/$id/kill" >/dev/null
for step in 60 1500; do
	advance $step
	sleep 0.2
done
equal 'its job is given up' "$(state '.jobs[0].status') $(state '.runners[0].busy')" 'completed false'
run "$mayfly" reap
expect 'it is marked, since its job has finished' 0 out "marked $id" out '(job-over, '
advance 190
run "$mayfly" reap
expect 'and goes' 0 out "terminated $id" out '(job-over, '

# --- the jobs of its workflow run ---
export GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=1
fresh
name=$(state '.runners[0].name')
control POST jobs '{"repository":"octo/demo","run_id":4711,"name":"build","labels":["own-'$starts'"],"commands":["true"],"duration_ms":900000000}' >/dev/null
for _ in {1..50}; do
	[ "$(state '.runners[0].busy')" != true ] || break
	sleep 0.05
done
equal 'the runner has a job' "$(state '.jobs[0].runner_name')" "$name"
set_runner '{"status":"online","busy":false}'
advance 2000
run "$mayfly" reap
expect 'a busy flag that lies ends nothing: the job is asked' 0 out "kept $id" out 'its job is running'
fault '{"service":"github","action":"list-jobs","fault":"status","status":500,"times":9}'
run "$mayfly" reap
expect 'jobs that cannot be read end nothing, and it is told' 3 out "kept $id" err 'Actions: read'
control DELETE faults >/dev/null
control POST "jobs/$(state '.jobs[0].id')/cancel" >/dev/null
unset GITHUB_RUN_ID GITHUB_RUN_ATTEMPT

# --- GitHub, EC2 and time fail ---
fresh
advance 2800
control POST "instances/$id/kill" >/dev/null # it hangs: without its record it does not power off by itself
set_runner '{"status":"offline","busy":false}'
run "$mayfly" reap
advance 200
fault '{"service":"github","action":"list-runners","fault":"garbage","times":9}'
run "$mayfly" reap
expect 'a list of runners that cannot be read ends nothing' 3 out "kept $id" out 'is unknown' err 'could not be asked'
control DELETE faults >/dev/null
fault '{"service":"github","action":"list-runners","fault":"status","status":502,"times":9}'
run "$mayfly" reap
expect 'an outage of GitHub ends nothing' 3 out "kept $id" err 'could not be asked' err 'see https://www.githubstatus.com'
control DELETE faults >/dev/null
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":503,"code":"RequestLimitExceeded","message":"slow"}'
run "$mayfly" reap --dry-run
expect 'a throttled page is asked for again' 0 out "would deregister $id"
fault '{"service":"ec2","action":"DescribeInstances","fault":"error","status":403,"code":"UnauthorizedOperation","message":"no","times":9}'
run "$mayfly" reap
expect 'an EC2 that cannot be read ends nothing' 1 err 'UnauthorizedOperation'
control DELETE faults >/dev/null
fault '{"service":"ec2","action":"DescribeInstances","fault":"empty-page"}'
run "$mayfly" reap --dry-run
expect 'an empty page is not the last' 0 out "would deregister $id"
fault '{"service":"github","action":"delete-runner","fault":"status","status":503,"times":9}'
run "$mayfly" reap
expect 'without the record nothing is ended' 3 out "failed $id"
equal 'so it lives' "$(state "$live")" 1
control DELETE faults >/dev/null
run "$mayfly" reap
expect 'with it only the record goes at first' 0 out "deregistered $id"
advance 190
fault '{"service":"ec2","action":"TerminateInstances","fault":"error","status":400,"code":"OperationNotPermitted","message":"termination protection"}'
run "$mayfly" reap
expect 'what is protected is told' 3 out "failed $id" out 'OperationNotPermitted'
run "$mayfly" reap --dry-run
expect 'a clock that is off is told, and corrected' 0 err "this machine's clock is" err 'behind'
run env -u GITHUB_REPOSITORY "$mayfly" reap
expect 'without a fleet nothing is done' 2 err 'no GitHub repository or organization'
run "$mayfly" reap --fleet another
expect 'another fleet has none of these' 0 err 'fleet another: 0 live instances'
run "$mayfly" reap --regions us-east-1,mars
expect 'a region that is none' 2 err 'not the name of an AWS region'

# --- the regions of places ---
fresh
printf '[default]\ntypes = m7i.large\nplaces = [{"region": "us-west-2", "imageId": "ami-0a11ce00000002001", "subnetId": "subnet-0a11ce21", "securityGroupId": "sg-0a11ce21"}]\n' >"$tmp/places.ini"
run "$mayfly" start --config "$tmp/places.ini" --timeout 30s
west=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
run "$mayfly" reap --config "$tmp/places.ini"
expect 'the regions of the places of start are looked at too' 0 out "kept $west" out "kept $id"
run "$mayfly" reap --regions us-east-1
expect 'without them they are not, and it is told' 0 out "kept $id" err '1 live instances' err 'also has runners in us-west-2'
run "$mayfly" reap --places '{}'
expect 'places that are none' 2 err '--places is not a list of places'

# --- keep ---
fresh
here CreateTags ResourceId.1="$id" Tag.1.Key=mayfly:keep Tag.1.Value=
advance 30000
run "$mayfly" reap
expect 'what is kept stays past its deadline, with a warning' 0 out "kept $id" err 'past its deadline, and tagged mayfly:keep'
here DeleteTags ResourceId.1="$id" Tag.1.Key=mayfly:keep
run "$mayfly" reap
expect 'until it is kept no more' 0 out "terminated $id"

# --- many, and two at once ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
run "$mayfly" start "${args[@]}" --count 13
expect 'start of thirteen' 0
for runner in $(state '.runners[].id'); do set_runner '{"status":"offline","busy":false}'; done
set_runner '{"status":"online","busy":true}' # it proves the token to the one that finds no other record
for id in $(state "$all | map(select(.tags[\"mayfly:runner-id\"] != \"$runner\").id) | .[]"); do
	control POST "instances/$id/kill" >/dev/null
done
advance 2800
run "$mayfly" reap
advance 200
run "$mayfly" reap --max 11
expect '--max holds all of them back' 3 out 'held back i-' err 'more instances than --max allows'
equal 'none was ended' "$(state "$live")" 13
run "$mayfly" reap
expect 'more are allowed' 0 out 'deregistered i-'
advance 190
control DELETE log >/dev/null
"$mayfly" reap >"$tmp/out2" 2>"$tmp/err2" &
run "$mayfly" reap
wait $!
equal 'two reapers at once both end well' "$status $?" '0 0'
equal 'and end all that they should' "$(state "$live") $(state '.runners | length')" '1 1'
calls=$(control GET log | jq '[.[] | select(.action == "TerminateInstances")] | length')
if [ "$calls" -le 4 ]; then ok 'terminations come in batches'; else not_ok 'terminations come in batches' "$calls calls"; fi

fresh
set_runner '{"busy":true}'
control POST copies '{"n":1200}' >/dev/null
equal 'copies have ids and runners of their own' "$(state "$all | map(.id, .tags[\"mayfly:runner-id\"], .tags[\"mayfly:runner\"]) | unique | length")" 3603
advance 3600
control DELETE log >/dev/null
run "$mayfly" reap
expect 'a fleet of several pages' 0 err '1201 live instances checked, 0 terminated'
equal 'all of them known by their own records' "$(grep -c 'runs a job (busy, running' <<<"$out")" 1201
equal 'each page asked for once' "$(control GET log | jq -r '[.[].action] | "\(map(select(. == "DescribeInstances")) | length) \(map(select(. == "list-runners")) | length)"')" '7 13'

# --- records without an instance, and scopes ---
fresh --repos other/repo
here TerminateInstances InstanceId.1="$id"
advance 4000
run "$mayfly" reap --dry-run
expect 'a record without instance is told' 0 out 'would delete runner mf-'
run "$mayfly" reap --json
expect 'and deleted' 0 out '"kind":"runner"' out '"done":"deleted"'
equal 'none is left' "$(state '.runners | length')" 0
start_one
here TerminateInstances InstanceId.1="$id"
set_runner '{"status":"offline","busy":true}'
advance 4000
control DELETE log >/dev/null
run "$mayfly" reap
expect "one that GitHub says runs a job is told" 0 out 'kept runner mf-' out 'force-cancel that workflow run'
run "$mayfly" status
expect 'by status, too' 0 out 'offline, busy' out 'keep     offline, no instance uses it'
equal 'and not asked for' "$(control GET log | jq '[.[] | select(.method == "DELETE")] | length')" 0
advance 82400 # a day old
run "$mayfly" reap --dry-run
expect 'a rehearsal tries nothing' 0 out 'kept runner mf-'
run "$mayfly" reap
expect 'a day later it is tried, and the refusal expected' 0 out 'kept runner mf-'
equal 'once' "$(control GET log | jq '[.[] | select(.method == "DELETE")] | length')" 1
set_runner '{"status":"offline","busy":false}'
run "$mayfly" reap
expect 'until GitHub lets go of it' 0 out 'deleted runner mf-' out 'no instance uses it'
start_one
here TerminateInstances InstanceId.1="$id"
set_runner '{"status":"offline","busy":false}'
run "$mayfly" reap
equal "a record of this hour stays, however far behind the clock is of whoever made it" "$status $(state '.runners | length')" '0 1'
start_args=(--fleet shared)
start_one
run "$mayfly" start "${args[@]}" --fleet shared --repo other/repo
other=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out")
set_runner '{"status":"offline","busy":false}'
advance 2800
run "$mayfly" reap --fleet shared
expect 'each instance of a shared fleet is judged by its own scope' 0 out "marked $id: its runner is offline" out "marked $other: idle"
start_args=()

# GitHub takes its names in any case, EC2's filters in one: cron's --repo and the workflow's GITHUB_REPOSITORY are typed apart.
start_args=(--repo Octo/Demo)
start_one
start_args=()
set_runner '{"status":"offline","busy":false}'
advance 2800
run "$mayfly" reap --repo OCTO/demo
expect 'one repository is one fleet, however it is written' 0 out "marked $id: its runner is offline"
control DELETE log >/dev/null
run "$mayfly" reap --repo octo/demo
expect 'to whoever asks' 0 out "marked $id: its runner is offline"
equal 'and is read once' "$(control GET log | jq '[.[] | select(.action == "list-runners")] | length')" 1

# --- what instances leave behind ---
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
tags() { # SPEC RESOURCE FLEET [KEY VALUE]
	printf 'TagSpecification.%d.ResourceType=%s\nTagSpecification.%d.Tag.1.Key=mayfly:fleet\nTagSpecification.%d.Tag.1.Value=%s\n' \
		"$1" "$2" "$1" "$1" "$3"
	[ $# -lt 4 ] || printf 'TagSpecification.%d.Tag.2.Key=%s\nTagSpecification.%d.Tag.2.Value=%s\n' "$1" "$4" "$1" "$5"
}
# leave FLEET: an instance that is gone, and left a volume and an open spot request.
leave() {
	local lines
	mapfile -t lines < <(tags 1 volume "$1" && tags 2 spot-instances-request "$1")
	here RunInstances ImageId=ami-0a11ce00000000001 InstanceType=m7i.large MinCount=1 MaxCount=1 SubnetId=subnet-0a11ce01 \
		InstanceMarketOptions.MarketType=spot InstanceMarketOptions.SpotOptions.SpotInstanceType=persistent \
		InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=stop \
		BlockDeviceMapping.1.DeviceName=/dev/sdb BlockDeviceMapping.1.Ebs.VolumeSize=8 \
		BlockDeviceMapping.1.Ebs.DeleteOnTermination=false "${lines[@]}"
	sleep 0.1
	here TerminateInstances InstanceId.1="$(all_of instanceId)"
	sleep 0.1
}
volumes='[.regions[].volumes[]] | length'
leave octo/demo
leave octo/other
run "$mayfly" reap
equal 'young leftovers stay' "$status $(state "$volumes")" '0 2'
advance 3700
run "$mayfly" reap --dry-run
expect 'old leftovers are told' 0 out 'would remove volume vol-' out 'not attached' out 'would remove spot request sir-'
fault '{"service":"ec2","action":"DeleteVolume","fault":"error","status":403,"code":"UnauthorizedOperation","message":"no"}'
run "$mayfly" reap
expect 'what cannot be removed is told' 3 out 'failed volume vol-' out 'removed spot request sir-'
fault '{"service":"ec2","action":"DescribeVolumes","fault":"unauthorized"}'
run "$mayfly" reap
expect 'what cannot be read too, with what to do' 3 err 'the kind volume could not be listed everywhere' err 'mayfly policy'
run "$mayfly" reap --json
expect 'and removed the next time' 0 out '"kind":"volume"' out '"done":"removed"' out '"removed":1'
here DescribeSpotInstanceRequests Filter.1.Name=state Filter.1.Value.1=open
equal 'one spot request is open, the other was cancelled' "$(all_of spotInstanceRequestId | wc -w)" 1
equal "what is not the fleet's stays" "$(state "$volumes") $(state '[.regions[].volumes[].tags["mayfly:fleet"]][0]')" '1 octo/other'

# A bake that died, its builder stopped; and the images of others before it.
builder() {
	local lines
	mapfile -t lines < <(tags 1 instance octo/demo mayfly:role bake)
	here RunInstances ImageId=ami-0a11ce00000000001 InstanceType=m7i.large MinCount=1 MaxCount=1 SubnetId=subnet-0a11ce01 "${lines[@]}"
	builder=$(all_of instanceId)
	sleep 0.2
}
bake() { # NAME
	local lines
	mapfile -t lines < <(tags 1 image octo/demo mayfly:role bake && tags 2 snapshot octo/demo mayfly:role bake)
	here CreateImage InstanceId="$builder" Name="$1" "${lines[@]}"
	sleep 0.1
}
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth --image-delay 10
builder
bake mayfly-x-20261101
advance 1000000
run "$mayfly" reap
expect 'a builder past its life goes' 0 out "terminated $builder" out 'past its deadline'
builder
bake mayfly-x-20261115
here StopInstances InstanceId.1="$builder"
advance 200
run "$mayfly" reap
expect 'a builder is left in peace before, in any state' 0 out "kept $builder: building or testing an image"
advance 30000
run "$mayfly" reap
expect 'and goes past its life in any state' 0 out "terminated $builder"
images='[.regions[].images[] | select(.tags["mayfly:fleet"] == "octo/demo") | .name] | join(" ")'
equal 'no image was touched' "$(state "$images")" 'mayfly-x-20261101 mayfly-x-20261115'
run "$mayfly" reap --image-retention 10d
expect 'images go by their retention' 0 out 'removed image ami-' out 'removed snapshot snap-'
equal 'but not what is young' "$(state "$images")" 'mayfly-x-20261115'
advance 1000000
run "$mayfly" reap --image-retention 10d
equal 'nor the latest of its name' "$status $(state "$images")" '0 mayfly-x-20261115'
# What is older and needed: it is published again, it can be gone back to, an instance uses it.
builder
bake mayfly-x-20261130
image() { state ".regions[\"us-east-1\"].images[] | select(.name == \"mayfly-x-$1\") | .id"; }
old=$(image 20261115)
here CreateTags ResourceId.1="$old" ResourceId.2="$(image 20261130)" Tag.1.Key=mayfly:name Tag.1.Value=x
advance 1000000
control PUT ssm '{"name":"/mayfly/ami/x","value":"'"$old"'"}' >/dev/null
run "$mayfly" reap --image-retention 10d --dry-run
expect 'a published image is not said to go' 0 out "kept image $old: its SSM parameter contains it"
run "$mayfly" reap --image-retention 10d
expect 'and stays, however old' 0 out "kept image $old: its SSM parameter contains it"
control PUT ssm '{"name":"/mayfly/ami/x","value":"ami-0a11ce00000000001"}' >/dev/null
control PUT ssm '{"name":"/mayfly/ami/x/previous","value":"'"$old"'"}' >/dev/null
run "$mayfly" reap --image-retention 10d
expect 'so does what was published before' 0 out "kept image $old: its SSM parameter contains it, or did before"
control DELETE ssm '{"name":"/mayfly/ami/x/previous"}' >/dev/null
here RunInstances ImageId="$old" InstanceType=m7i.large MinCount=1 MaxCount=1 SubnetId=subnet-0a11ce01
foreign=$(all_of instanceId)
run "$mayfly" reap --image-retention 10d
expect "and what anybody's instance runs" 0 out "kept image $old: an instance uses it"
here TerminateInstances InstanceId.1="$foreign"
fault '{"service":"ssm","action":"GetParameter","fault":"unauthorized"}'
run "$mayfly" reap --image-retention 10d
expect 'what may not be asked ends nothing, and it is told' 3 out "failed image $old: GetParameter: AccessDenied"
run "$mayfly" reap --image-retention 10d
expect 'without any of these it goes' 0 out "removed image $old"
run "$mayfly" reap --image-retention 1h
expect 'a retention of an hour is refused' 2 err '--image-retention'
exit $((failures > 0))
