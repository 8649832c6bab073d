#!/usr/bin/env bash
# Workflow files as people write them: what machulav/ec2-github-runner takes of its inputs, Mayfly takes, too.
. "$(dirname "$0")/lib.sh"
start_sim --instances sandbox --boot 200 --online 300 --terminate-delay 100

export GITHUB_ACTIONS=true GITHUB_RUN_ID=4242 GITHUB_RUN_ATTEMPT=1
export INPUT_EC2_IMAGE_ID=ami-0a11ce00000000003 INPUT_EC2_INSTANCE_TYPE=t3.nano INPUT_SUBNET_ID=subnet-0a11ce01
export INPUT_SECURITY_GROUP_ID=sg-0a11ce01
west='{"region": "us-west-2", "imageId": "ami-0a11ce00000002001", "subnetId": "subnet-0a11ce21", "securityGroupId": "sg-0a11ce21"}'

# plan [NAME=VALUE…]: a dry run with these inputs
plan() { run env "$@" "$mayfly" start --dry-run --json; }
cells() { jq -r '[.plan[] | "\(.image)@\(.region)"] | join(" ")' "$tmp/out"; }

# --- availability-zones-config beside the single inputs ---
plan INPUT_AVAILABILITY_ZONES_CONFIG='[]'
expect 'an empty list of places' 0
equal 'the single inputs count' "$(cells)" ami-0a11ce00000000003@us-east-1
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$west]"
expect 'places beside the single inputs' 0 err '--image is ignored: --places is given' err '--subnets is ignored' \
	err '--security-groups is ignored'
equal 'places win' "$(cells)" ami-0a11ce00000002001@us-west-2
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$west]" INPUT_EC2_IMAGE_ID=ami-0a11ce00000000002
expect 'places beside an image that fits no type' 0
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$west]" INPUT_EC2_IMAGE_ID=ami-00000000000000000
expect 'places beside an image that is gone' 0
plan INPUT_AVAILABILITY_ZONES_CONFIG="[${west%\}}, \"comment\": \"cheap\"}]"
expect 'a further member of a place' 0 err '--places: the member `comment` is ignored'
plan INPUT_AVAILABILITY_ZONES_CONFIG="[${west/region/regoin}]"
expect 'a misspelled member of a place' 2 err 'unknown member `regoin`' err 'did you mean region?'
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$west,]"
expect 'a comma too many' 2 err 'is not JSON' err '(line 1, column'

# --- a fallback that cannot be had does not fail what has room ---
home='{"imageId": "ami-0a11ce00000000003", "subnetId": "subnet-0a11ce01", "securityGroupId": "sg-0a11ce01"}'
dead() { control PUT faults "[{\"service\":\"ec2\",\"action\":\"DescribeImages\",\"match\":{\"region\":\"$1\"},\"times\":0,$2}]" >/dev/null; }
unavailable='"fault":"error","code":"Unavailable","status":503'
for case in "answers 503|$unavailable" 'hangs|"fault":"hang","ms":60000'; do
	dead us-west-2 "${case#*|}"
	began=$SECONDS
	plan INPUT_AVAILABILITY_ZONES_CONFIG="[$home, $west]" INPUT_STARTUP_TIMEOUT_MINUTES=1
	expect "a second region that ${case%%|*}" 0 err 'image ami-0a11ce00000002001 of us-west-2 is skipped: DescribeImages: '
	equal 'the first one is planned' "$(cells)" ami-0a11ce00000000003@us-east-1
	check 'and it is not waited for' [ $((SECONDS - began)) -lt 30 ]
done
dead us-east-1 "$unavailable"
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$home, $west]"
expect 'a first region that is down' 0 err 'of us-east-1 is skipped'
equal 'the second one is planned' "$(cells)" ami-0a11ce00000002001@us-west-2
control PUT faults '[]' >/dev/null
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$home, ${west/ami-0a11ce00000002001/ami-00000000000000000}]"
expect 'a second region whose image is gone' 0 err 'of us-west-2 is skipped'
plan INPUT_AVAILABILITY_ZONES_CONFIG="[${home/ami-0a11ce00000000003/ami-00000000000000000}]"
expect 'one place whose image is gone' 1 err 'InvalidAMIID.NotFound'
plan INPUT_AVAILABILITY_ZONES_CONFIG="[$home, $west]" INPUT_EC2_INSTANCE_TYPE=m7g.large
expect 'types that no image fits' 2 err 'm7g.large is arm64'

control PUT faults '[{"service":"sts","action":"GetCallerIdentity","fault":"hang","ms":60000,"times":0}]' >/dev/null
began=$SECONDS
run "$mayfly" start
expect 'a start without STS' 0 err 'the account is unknown'
check 'which is not waited for' [ $((SECONDS - began)) -lt 20 ]
run "$mayfly" stop --label "$(sed -n 's/^label=//p' "$tmp/out" | tail -1)"
expect 'and its stop' 0
control PUT faults '[]' >/dev/null

# --- one job a machine, and for how long ---
warning='each runner takes one job'
run "$mayfly" start --dry-run
has "a start by machulav's names warns" "$err" "$warning"
run env INPUT_USE_JIT=true "$mayfly" start --dry-run
equal 'not with use-jit: true' "$(grep -c "$warning" "$tmp/err")" 0
run env INPUT_USE_JIT=false "$mayfly" start --dry-run
has 'also with use-jit: false' "$err" "$warning"
run env -u INPUT_EC2_IMAGE_ID -u INPUT_EC2_INSTANCE_TYPE -u INPUT_SUBNET_ID -u INPUT_SECURITY_GROUP_ID INPUT_IMAGE=ami-0a11ce00000000003 \
	INPUT_TYPES=t3.nano INPUT_SUBNETS=subnet-0a11ce01 INPUT_SECURITY_GROUPS=sg-0a11ce01 "$mayfly" start --dry-run
equal "not by Mayfly's own names" "$(grep -c "$warning" "$tmp/err")" 0

# --- what is wrong is called by the name that its user wrote ---
plan INPUT_AWS_RESOURCE_TAGS='[{"Key":"a","Value":"1"},]'
expect 'tags with a comma too many' 2 err '--tags (input aws-resource-tags) is not JSON: unexpected character (line 1, column 26)'
plan INPUT_MARKET_TYPE=cheap
expect 'a market that is none' 2 err '--market (input market-type): `cheap` is not one of'
plan INPUT_SUBNET_ID=subnet
expect 'a subnet that is none' 2 err '--subnets (input subnet-id): `subnet` is not an id'
plan INPUT_STARTUP_QUIET_PERIOD_SECONDS=30s INPUT_STARTUP_RETRY_INTERVAL_SECONDS=2.5 INPUT_STARTUP_TIMEOUT_MINUTES=7.5
expect 'numbers as parseInt() reads them, or that mean nothing' 0 err 'startup-quiet-period-seconds) has no effect'

# --- what JavaScript coerces ---
tags() { control GET state | jq -r '[.regions[].instances[].tags | select(.Build) | .Build] | last'; }
run env INPUT_AWS_RESOURCE_TAGS='[{"Key":"Build","Value":17},{"Key":"Nightly","Value":true}]' \
	INPUT_BLOCK_DEVICE_MAPPINGS='[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":"10","DeleteOnTermination":"true","Iops":null}}]' "$mayfly" start
expect 'numbers and booleans where text is meant' 0
equal 'they arrive as text' "$(tags)" 17
run env INPUT_LABEL="$(sed -n 's/^label=//p' "$tmp/out" | tail -1)" "$mayfly" stop
expect 'and it stops' 0
plan INPUT_AWS_RESOURCE_TAGS="[{\"Key\":\"Title\",\"Value\":\"$(printf 'ü%.0s' $(seq 200))\"}]"
expect 'two hundred characters of two bytes' 0
plan INPUT_AWS_RESOURCE_TAGS=Key=Name,Value=ci
expect "the AWS CLI's way to write a tag" 2 err 'is how the AWS CLI writes a tag'

# --- images ---
plan INPUT_EC2_IMAGE_ID=resolve:ssm:/mayfly/ami/amd64
expect "RunInstances' own way to name a parameter" 0
equal 'it is the image of the parameter' "$(cells)" ami-0a11ce00000000003@us-east-1
plan INPUT_EC2_IMAGE_ID=ami-0a11ce0000000000f
expect 'a Windows image' 2 err 'is a windows image, and Mayfly runs Linux only'
plan INPUT_EC2_IMAGE_ID=ami-0a11ce0000000000a INPUT_EC2_VOLUME_SIZE=100 INPUT_EC2_DEVICE_NAME=/dev/sda1
expect 'a volume that is not the root' 0 err 'the root device of ami-0a11ce0000000000a is /dev/xvda, so /dev/sda1 is another volume'

# --- the script before the runner ---
long=$(seq -f 'echo "package-number-%04g" >>/opt/list # why' 300)$'\necho "REACHED $(wc -l </opt/list)"'
run env INPUT_PRE_RUNNER_SCRIPT="$long" "$mayfly" start
expect 'a script of 14 KB' 0
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out" | tail -1)
has 'it has run' "$(control GET "instances/$id/console")" 'REACHED 300'
run "$mayfly" stop --instance "$id"
run env INPUT_PRE_RUNNER_SCRIPT=$'if true; then\r\n\techo "REACHED"\r\nfi\r\n' "$mayfly" start
expect 'a script with Windows line endings' 0 err 'has Windows line endings, which are converted'
id=$(sed -n 's/^ec2-instance-id=//p' "$tmp/out" | tail -1)
has 'it has run to its end' "$(control GET "instances/$id/console")" REACHED
run "$mayfly" stop --instance "$id"
