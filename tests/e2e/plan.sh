#!/usr/bin/env bash
# The plan of a launch: regions, images, order; parts of a launch; every launch option.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 200 --online 300 --terminate-delay 100 --run-rate 2,5

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 30s)
two=(--regions 'us-east-1,us-west-2' --image ssm:/mayfly/ami/amd64 --types m7i.large
	--subnets 'subnet-0a11ce01,us-west-2/subnet-0a11ce21' --security-groups 'sg-0a11ce01,us-west-2/sg-0a11ce21' --timeout 30s)
live='[.regions[].instances[] | select(.state == "pending" or .state == "running")]'
output() { sed -n "s/^$1=//p" "$tmp/out" | tail -1; } # NAME: of the last run

fault() { control PUT faults "[$1]" >/dev/null; }
no_faults() { control PUT faults '[]' >/dev/null; }

# clean NAME: ends what the test launched; nothing may be left.
clean() {
	"$mayfly" stop --label "$(output label)" --regions us-east-1,us-west-2 >/dev/null 2>&1
	equal "$1: nothing is left" "$(state "($live | length) + (.runners | length)")" 0
}

# --- images ---
run "$mayfly" start "${args[@]}" --image ssm:/mayfly/ami/amd64
expect 'an image by parameter' 0
equal 'it is the image that the parameter names' "$(state "${live}[0].image")" ami-0a11ce00000000003
clean 'an image by parameter'
run "$mayfly" start "${args[@]}" --image 'name:ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*@099720109477' --dry-run
expect 'the newest image by name and owner' 0 out 'image ami-0a11ce00000000001'
run "$mayfly" start "${args[@]}" --image 'name:mayfly-amd64-*@self' --dry-run --json
expect 'the newest of our own' 0 out '"image":"ami-0a11ce0000000000'
run "$mayfly" start "${args[@]}" --image 'name:windows-*@self'
expect 'no image of that name' 2 err 'there is no image name:windows-*@self in us-east-1'
run "$mayfly" start "${args[@]}" --image ssm:/no/such/parameter
expect 'no such parameter' 1 err 'GetParameter: ParameterNotFound' err 'hint: --image'
run "$mayfly" start "${args[@]}" --image ami-0a11ce00000000001,ami-0a11ce00000000002 --types m7g.large,m7i.large --dry-run
expect 'an image for each architecture' 0 out '1. m7i.large on-demand in subnet-0a11ce01 of us-east-1, image ami-0a11ce00000000001' \
	out '2. m7g.large on-demand in subnet-0a11ce01 of us-east-1, image ami-0a11ce00000000002'

# --- order ---
plan() { run "$mayfly" start "${two[@]}" --market spot,on-demand --dry-run --json "$@"; }
cells() { jq -r '[.plan[] | "\(.market)@\(.region)"] | join(" ")' "$tmp/out"; }
plan
equal 'spot everywhere first' "$(cells)" 'spot@us-east-1 spot@us-west-2 on-demand@us-east-1 on-demand@us-west-2'
plan --order region
equal 'region by region' "$(cells)" 'spot@us-east-1 on-demand@us-east-1 spot@us-west-2 on-demand@us-west-2'
plan --regions us-west-2,us-east-1
equal 'regions in their order' "$(cells)" 'spot@us-west-2 spot@us-east-1 on-demand@us-west-2 on-demand@us-east-1'
run "$mayfly" start --types m7i.large --dry-run --json --availability-zones-config '[
	{"imageId": "ami-0a11ce00000002001", "subnetId": "subnet-0a11ce22", "securityGroupId": "sg-0a11ce21", "region": "us-west-2"},
	{"imageId": "ami-0a11ce00000000001", "subnetId": "subnet-0a11ce01", "securityGroupId": "sg-0a11ce01"}]'
equal "machulav's list of places" "$(cells)" 'on-demand@us-west-2 on-demand@us-east-1'

# --- another region ---
fault '{"service":"ec2","action":"RunInstances","fault":"capacity","match":{"SubnetId":"subnet-0a11ce01"},"times":9}'
run "$mayfly" start "${two[@]}"
equal 'what is written last is where it is' "$(sed -n 's/^region=//p' "$tmp/out" | tr '\n' ' ')" 'us-east-1 us-west-2 '
expect 'the next region when one is full' 0 out 'region=us-west-2' out 'runner-name=mf-' out '-us-west-2-'
no_faults
id=$(output ec2-instance-id) region=$(output region)
fault '{"service":"ec2","action":"DescribeInstances","fault":"not-found"}'
run "$mayfly" stop --instance "$id,i-0123456789abcdef0" --region "$region"
expect 'stop in its region does, also when EC2 does not show it at once' 0 err "terminated $id" \
	err 'does not know i-0123456789abcdef0 in any region'
equal 'nothing is left in either' "$(state "($live | length) + (.runners | length)")" 0

# --- many at once ---
run "$mayfly" start "${args[@]}" --count 8 --json
expect 'eight runners' 0
equal 'all of them' "$(jq '."ec2-instance-ids" | length' "$tmp/out")" 8
equal 'EC2 refused no request' "$(state '.refused.RunInstances')" 0
label=$(jq -r .label "$tmp/out")
run "$mayfly" stop --label "$label"
equal 'stop of eight' "$(grep -c '^terminated i-' "$tmp/err")" 8

# --- a part of them ---
fault '{"service":"ec2","action":"RunInstances","fault":"error","code":"VcpuLimitExceeded","status":400,"skip":2,"times":9}'
run "$mayfly" start "${args[@]}" --count 3 --min-count 2
expect 'two of three are enough' 0 err 'warning: 2 of 3 runners are online, which --min-count allows' err VcpuLimitExceeded
equal 'two instances are named' "$(output ec2-instance-ids | jq length)" 2
equal 'two runners are there' "$(state '.runners | length')" 2
clean 'two of three'
run "$mayfly" start "${args[@]}" --count 3
expect 'all of three by default' 75 err VcpuLimitExceeded
clean 'all of three'

# --- a hosted runner instead ---
fault '{"service":"ec2","action":"RunInstances","fault":"capacity","times":9}'
run "$mayfly" start "${args[@]}" --fallback-label ubuntu-latest
expect 'the label of a hosted runner when there is no room' 0 err 'warning: falling back to the label `ubuntu-latest`' \
	err InsufficientInstanceCapacity
equal 'the last label is the one' "$(output label)" ubuntu-latest
equal 'and says so' "$(output fallback)" true
equal 'it leaves nothing' "$(state "($live | length) + (.runners | length)")" 0
run "$mayfly" start "${args[@]}" --fallback-label ubuntu-latest --json
expect 'as JSON' 0 out '"label":"ubuntu-latest","fallback":true'
fault '{"service":"ec2","action":"RunInstances","fault":"error","code":"UnauthorizedOperation","status":403,"times":9}'
run "$mayfly" start "${args[@]}" --fallback-label ubuntu-latest
expect 'no fallback for what must be mended' 1 err UnauthorizedOperation
fault '{"service":"ec2","action":"DescribeImages","fault":"throttle","times":99}'
run "$mayfly" start "${args[@]}" --fallback-label ubuntu-latest --timeout 10s
expect 'a fallback when the questions are throttled' 0 err 'RequestLimitExceeded'
fault '{"service":"github","action":"generate-jitconfig","fault":"error","status":429,"headers":{"Retry-After":"3600"},"times":9}'
run "$mayfly" start "${args[@]}" --fallback-label ubuntu-latest
expect "a fallback when GitHub's rate limit is used up" 0 err 'HTTP 429'
fault '{"service":"ec2","action":"RunInstances","fault":"throttle","times":99}'
run "$mayfly" start "${args[@]}" --timeout 10s
expect 'throttling to the end is told as what it is' 75 err 'RunInstances: RequestLimitExceeded'
fault '{"service":"ec2","action":"RunInstances","fault":"error","code":"VcpuLimitExceeded","status":400,"match":{"InstanceType":"g5.xlarge"},"times":9}'
run "$mayfly" start "${args[@]}" --types g5.2xlarge,g5.xlarge,m7i.large --market on-demand
no_faults
expect "the quota of one family is not another's" 0
clean "another family"
fault '{"service":"ec2","action":"RunInstances","fault":"error","code":"VcpuLimitExceeded","status":400,"match":{"InstanceType":"m7i.16xlarge"},"times":0}'
run "$mayfly" start "${args[@]}" --types m7i.16xlarge,m7i.large
no_faults
expect 'a smaller type that still fits the quota' 0 out instance-type=m7i.large
clean 'a smaller type'

# --- outputs that cannot be written ---
: >"$tmp/output"
fault '{"service":"ec2","action":"RunInstances","fault":"delay","ms":1500}'
GITHUB_OUTPUT=$tmp/output "$mayfly" start "${args[@]}" >"$tmp/out" 2>"$tmp/err" &
sleep 1
rm "$tmp/output"
mkdir "$tmp/output"
wait $!
status=$? out='' err=$(cat "$tmp/err")
expect 'outputs that cannot be written fail the start' 1 err 'the output ec2-instance-id: GITHUB_OUTPUT'
no_faults
equal 'and undo it' "$(state "($live | length) + (.runners | length)")" 0

# --- stop of all that was started ---
run "$mayfly" start "${args[@]}" --count 2 --label pair
run "$mayfly" stop --label pair --ec2-instance-id "$(output ec2-instance-id)"
expect 'label and instance name both' 0
equal 'so that nothing is left' "$(state "($live | length) + (.runners | length)")" 0
places='[{"region": "us-west-2", "imageId": "ami-0a11ce00000002001", "subnetId": "subnet-0a11ce22", "securityGroupId": "sg-0a11ce21"}]'
run "$mayfly" start --places "$places" --types m7i.large --label away
expect 'a start in another place' 0 out 'region=us-west-2'
run "$mayfly" stop --places "$places" --label away
expect 'stop searches the regions of the places' 0 err 'terminated i-'

# --- launch options ---
run "$mayfly" start "${args[@]}" --market spot --max-price 5.5 --volume-size 64 --volume-type gp3 --volume-iops 4000 \
	--volume-throughput 500 --volume-initialization-rate 200 --block-device-mappings '[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 9}}]' \
	--metadata-options '{"HttpPutResponseHopLimit": 2}' --tags 'team=ci,Name=mine' --placement-group sim-cluster --tenancy dedicated \
	--public-ip yes --packages git,jq
expect 'every launch option' 0 out 'market=spot'
what=$(state "[${live}[0], [.regions[].volumes[]]]")
for want in '"size": 64' '"type": "gp3"' '"iops": 4000' '"throughput": 500' '"device": "/dev/sdb"' '"size": 9' '"team": "ci"' \
	'"Name": "mine"' '"mayfly:fleet": "octo/demo"' 'sim-cluster' 'dedicated'; do
	has "the instance has $want" "$what" "$want"
done
clean 'every launch option'
sleep 0.5
equal 'no volume is left' "$(state '[.regions[].volumes[]] | length')" 0
run "$mayfly" start "${args[@]}" --public-ip no --cpu-credits standard --types t3.large
expect 'no public address' 0
clean 'no public address'
run "$mayfly" start "${args[@]}" --volume-size 2
expect 'a volume smaller than the image' 1 err InvalidBlockDeviceMapping err 'hint: '
run "$mayfly" start "${args[@]}" --placement-group nowhere
expect 'an unknown placement group' 1 err InvalidPlacementGroup.Unknown err 'hint: --placement-group'
run "$mayfly" start "${args[@]}" --market spot --max-price 0.0001
expect 'a price below the market' 75 err SpotMaxPriceTooLow

# --- runner groups ---
run "$mayfly" start "${args[@]}" --repo octo --runner-group gpu --dry-run
expect "an organization's group by name" 0
run "$mayfly" start "${args[@]}" --repo octo --runner-group none
expect 'no such group' 2 err '--runner-group: octo has no group `none`'
exit $((failures > 0))
