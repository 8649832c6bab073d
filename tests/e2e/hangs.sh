#!/usr/bin/env bash
# Each call of start, and of bake, hangs for good in turn: the command ends within its time limit and 2 s, with one error
# that names the call, and leaves nothing that it does not name.
. "$(dirname "$0")/lib.sh"

where=(--types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")] | length'
hang() { printf '{"service":"%s","action":"%s","fault":"hang","times":0%s}' "$1" "$2" "${3-}"; }

# ends NAME LIMIT-MS STATUS TEXT LEFT COMMAND…: LEFT: how many live afterwards.
ends() {
	local name=$1 limit=$2 want=$3 text=$4 left=$5 began
	shift 5
	began=$(date +%s%3N)
	run "$mayfly" "$@"
	took=$(($(date +%s%3N) - began))
	if [ $took -le $((limit + 2000 + busy)) ]; then ok "$name: it ends in time"; else not_ok "$name: it ends in time" "$took ms"; fi
	expect "$name: it says what hangs" "$want" err "$text"
	equal "$name: in one error" "$(grep -c '^mayfly [a-z]*: ' <<<"$err")" $((want > 0))
	equal "$name: so many live" "$(state "$live")" "$left"
	[ "$left" = 0 ] || [ "$want" = 0 ] || has "$name: they are named" "$err" 'left behind'
}
busy=1000 # what a busy machine adds

# start NAME SERVICE ACTION MORE STATUS TEXT LEFT [OPTION…]
start() {
	export GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=1 # so that it sets its mark
	start_sim --instances model --boot 50 --online "${online:-100}" --terminate-delay 20
	control PUT faults "[$(hang "$2" "$3" "$4")]" >/dev/null
	ends "start, $1" 10000 "$5" "$6" "$7" start --image ami-0a11ce00000000003 "${where[@]}" --timeout 10s "${@:8}"
	stop_sim
}

# bake NAME SERVICE ACTION MORE TEXT [OPTION…]
bake() {
	start_sim --instances model --boot 50 --online 50 --bake 300 --image-delay 100 --terminate-delay 20
	control PUT faults "[$(hang "$2" "$3" "$4")]" >/dev/null
	ends "bake, $1" 5000 "75" "$5" 0 bake amd64 "${where[@]:2}" --bake-timeout 5s "${@:6}"
	stop_sim
}

after=',"when":"after"'
cases=(
	"start|the account|sts|GetCallerIdentity||0||1"
	"start|the image's parameter|ssm|GetParameter||75|GetParameter|0|--image|ssm:/mayfly/ami/amd64"
	"start|the image|ec2|DescribeImages||75|DescribeImages|0"
	"start|one of two images|ec2|DescribeImages|,\"match\":{\"region\":\"us-west-2\"}|0|DescribeImages|1|--image|ami-0a11ce00000000003,us-west-2/ami-0a11ce00000002003|--regions|us-east-1,us-west-2|--subnets|subnet-0a11ce01,us-west-2/subnet-0a11ce21|--security-groups|sg-0a11ce01,us-west-2/sg-0a11ce21"
	"start|the runner's downloads|github|downloads||75|downloads|0|--image|ami-0a11ce00000000001"
	"start|the label's instances|ec2|DescribeInstances||75|DescribeInstances|0|--label|mine"
	"start|the runner groups|github|list-runner-groups||75|runner-groups|0|--repo|octo|--runner-group|Default"
	"start|the registration|github|generate-jitconfig||1|generate-jitconfig|0"
	"start|the registration, which is made|github|generate-jitconfig|$after|1|generate-jitconfig|0"
	"start|the launch|ec2|RunInstances||1|RunInstances|0"
	"start|the launch, which is done|ec2|RunInstances|$after|1|RunInstances|0"
	"start|three launches, which are done|ec2|RunInstances|$after|1|RunInstances|0|--count|3"
	"start|the runner|github|get-runner||1|actions/runners/|0"
	"start|the list of runners|github|list-runners||1|actions/runners|0|--count|3"
	"start|the runner, and the end of its registration|github|get-runner|},{\"service\":\"github\",\"action\":\"delete-runner\",\"fault\":\"hang\",\"times\":0|1|actions/runners/|0"
	"start|the instances|ec2|DescribeInstances||0||1"
	"start|the mark at its end|ec2|CreateTags||0|mayfly:handed|1"
	"never|the console|ec2|GetConsoleOutput||1|after 10 s|0"
	"never|the end of the registration|github|delete-runner||1|after 10 s|0"
	"never|the end of the instance|ec2|TerminateInstances||1|after 10 s|1"
	"bake|the parameter|ssm|GetParameter||GetParameter"
	"bake|the image to begin with|ec2|DescribeImages||DescribeImages"
	"bake|the region to copy to|ec2|DescribeImages|,\"match\":{\"region\":\"us-west-2\"}|DescribeImages|--copy-regions|us-west-2"
)
never() { online=600000 start "$@"; } # its runner does not come
play() {                              # N
	local row
	mkdir "$tmp/$1" && tmp=$tmp/$1
	IFS='|' read -ra row <<<"${cases[$1]}"
	"${row[@]}"
	exit $((failures > 0))
}
for ((n = 0; n < ${#cases[@]}; n++)); do
	while [ "$(jobs -rp | wc -l)" -ge 12 ]; do wait -n; done # they mostly wait
	(play "$n") >"$tmp/$n.log" 2>&1 &
done
wait
cat "$tmp"/*.log
! grep -q '^not ok' "$tmp"/*.log
