#!/usr/bin/env bash
# mayfly doctor: all is well, then each thing broken once: its line, what to do about it, and the exit status.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 200 --online 300 --terminate-delay 100

args=(--image ami-0a11ce00000000003 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
faults() { control PUT faults "[$1]" >/dev/null; }
no_faults() { control PUT faults '[]' >/dev/null; }
refuse() { faults "{\"service\":\"$1\",\"action\":\"$2\",\"fault\":\"unauthorized\",\"times\":0}"; } # SERVICE ACTION

# line NAME EXIT LINE PART…: of the last run, a line begins with LINE and holds the parts.
line() {
	local name=$1 want=$2 begin=$3 found part
	shift 3
	if [ "$status" -ne "$want" ]; then
		not_ok "$name" "exit status $status instead of $want: $out $err"
		return
	fi
	found=$(grep -E "^$begin" <<<"$out")
	for part in "" "$@"; do
		if [ -z "$found" ] || ! grep -qF -- "$part" <<<"$found"; then
			not_ok "$name" "no line \`$begin\` with \`$part\`: $(grep -vE '^ok ' <<<"$out")"
			return
		fi
	done
	ok "$name"
}
# problem NAME CHECK PART…: exit 1 and a line that says so.
problem() { line "$1" 1 "problem +$2: " "${@:3}"; }
warning() { line "$1" 0 "warning +$2: " "${@:3}"; }
unseen() { line "$1" 0 "not checked $2: " "${@:3}"; }
doctor() { run "$mayfly" doctor "${args[@]}" "$@"; }

# --- all is well ---
everything() { control GET state | jq -S 'del(.time, .time_ms)' | sha256sum; }
before=$(everything)
control DELETE log >/dev/null
doctor
expect 'all is well' 0 out 'a launch would work' out 'account 123456789012, arn:aws:sts::123456789012:assumed-role/mayfly/simulator'
equal 'nothing is wrong' "$(grep -c -e ^problem -e '^not checked' <<<"$out")" 0
for check in options limits credentials clock region permission image image-age runner-version subnet route egress type encryption user-data launch \
	places token github rate-limit runner-group; do
	equal "it checks $check" "$(grep -cE "^(ok|warning) +$check: " <<<"$out" | sed 's/^[1-9].*/yes/')" yes
done
equal 'it changes nothing' "$(everything)" "$before"
equal 'what succeeds only reads' "$(control GET log | jq -r '.[] | select(.status < 400) | .action' | grep -vE '^(Describe|Get|GET |list-|downloads)')" ''
doctor --json
equal 'as JSON' "$(jq -r '.ok' <<<"$out")" true
equal 'each check has its parts' "$(jq -r '[.checks[] | select((.status and .check and .did and .result) | not)] | length' <<<"$out")" 0
run "$mayfly" doctor --regions us-east-1,us-west-2 --image ssm:/mayfly/ami/amd64,ssm:/mayfly/ami/arm64 --types m7i.large,m7g.large \
	--subnets subnet-0a11ce01,subnet-0a11ce03,us-west-2/subnet-0a11ce21 --security-groups sg-0a11ce01,us-west-2/sg-0a11ce21 --market spot,on-demand
expect 'several regions, images, types and markets' 0 out 'asked EC2 of us-west-2' out 'read /mayfly/ami/arm64 in us-west-2' \
	out '12 of 12 places would accept an instance'
run "$mayfly" doctor "${args[@]}" --repo octo --runner-group gpu
line 'a group of an organization' 0 'ok +runner-group: ' 'looked for the group gpu' 'available to the repository demo'

# --- who we are ---
run env AWS_SECRET_ACCESS_KEY=wrong "$mayfly" doctor "${args[@]}"
problem 'a secret that is wrong' credentials 'SignatureDoesNotMatch' 'fix: check the access key'
line 'what depends on it is not checked' 1 'not checked region: ' 'the credentials do not work'
line 'GitHub is checked all the same' 1 'ok +token: ' 'accepted'
run env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN "$mayfly" doctor "${args[@]}"
problem 'no credentials' credentials 'no AWS credentials' 'configure-aws-credentials'
line 'the options are read without them' 1 'ok +options: '
run env -u AWS_REGION -u AWS_DEFAULT_REGION "$mayfly" doctor "${args[@]}"
problem 'no region' credentials 'no AWS region' '--region'
refuse sts GetCallerIdentity
doctor
problem 'an identity that STS does not say' credentials 'sts:GetCallerIdentity'
no_faults
run env AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_ENDPOINT_URL_EC2= AWS_ENDPOINT_URL_SSM= AWS_ENDPOINT_URL_STS= timeout 100 "$mayfly" doctor "${args[@]}"
problem 'nobody answers' credentials 'no answer from 127.0.0.1:1'
control POST clock '{"advance_seconds": 3600}' >/dev/null
doctor
warning 'a clock that is off' clock 'behind' 'NTP'
control POST reset >/dev/null
run "$mayfly" doctor "${args[@]}" --regions us-east-1,mars-north-1 --image name:mayfly-amd64-*@self --subnets subnet-0a11ce01,mars-north-1/subnet-0a11ce01 \
	--security-groups sg-0a11ce01,mars-north-1/sg-0a11ce01
problem 'a region that is none' region 'asked EC2 of mars-north-1' 'spelled right'
line 'the other region is checked' 1 'ok +route: ' 'by igw-0a11ce01'

# --- permissions ---
refuse ec2 DescribeInstances
doctor
problem 'no DescribeInstances' permission 'ec2:DescribeInstances in us-east-1' 'is denied: no identity-based policy allows' 'the statement Read of `mayfly policy start`'
refuse ec2 TerminateInstances
doctor
unseen 'no TerminateInstances, which nothing proves without an instance' permission 'ec2:TerminateInstances' 'while the fleet has an instance'
no_faults
run "$mayfly" start "${args[@]}" --timeout 30s
expect 'an instance to try on' 0
for action in TerminateInstances GetConsoleOutput CreateTags; do
	refuse ec2 $action
	doctor
	case $action in
	TerminateInstances) problem 'no TerminateInstances' permission "dry run on i-" 'could not be undone' 'EndOwn' 'decoded: implicit deny' ;;
	GetConsoleOutput) warning 'no GetConsoleOutput' permission 'ec2:GetConsoleOutput' 'EndOwn' ;;
	CreateTags) warning 'no CreateTags' permission 'MarkOwn of `mayfly policy reap`' ;;
	esac
done
no_faults
doctor
line 'the instance is still there' 0 'ok +permission: ' 'allowed, 1 instances of the fleet'
equal 'it has no new tag' "$(state '[.regions[].instances[] | select(.tags["mayfly:reap-mark"])] | length')" 0
"$mayfly" stop --label "$(state '.regions[].instances[0].tags["mayfly:label"]' | grep -v null)" >/dev/null 2>&1
refuse ec2 RunInstances
doctor
problem 'no RunInstances' launch 'dry run of m7i.large on-demand in subnet-0a11ce01' 'ec2:RunInstances on arn:aws:ec2:us-east-1:123456789012:instance/*' \
	'decoded: implicit deny (no statement allows it)' 'the statement RunInstance of `mayfly policy start`'
faults '{"service":"ec2","action":"RunInstances","fault":"unauthorized","times":0},{"service":"sts","action":"DecodeAuthorizationMessage","fault":"unauthorized","times":0}'
doctor
problem 'and no DecodeAuthorizationMessage' launch 'for more: aws sts decode-authorization-message' '--encoded-message simulated+'
for action in DescribeSubnets DescribeRouteTables DescribeSecurityGroups DescribeInstanceTypeOfferings; do
	refuse ec2 $action
	doctor
	unseen "no $action" '[a-z]+' "ec2:$action" 'the statement Read of `mayfly policy doctor`'
done
no_faults

# --- images ---
run "$mayfly" doctor "${args[@]}" --image ssm:/no/such/parameter
problem 'no such parameter' parameter 'ParameterNotFound' 'fix: --image'
line 'what needs the image is not checked' 1 'not checked launch: ' 'not all images are known'
line 'the network is checked all the same' 1 'ok +route: ' 'igw-'
refuse ssm GetParameter
run "$mayfly" doctor "${args[@]}" --image ssm:/mayfly/ami/amd64
problem 'no GetParameter' parameter 'ssm:GetParameter' 'the statement ReadParameter of `mayfly policy start`'
no_faults
control PUT ssm '{"name":"/mayfly/ami/amd64","value":"latest"}' >/dev/null
run "$mayfly" doctor "${args[@]}" --image ssm:/mayfly/ami/amd64
problem 'a parameter that names no image' parameter "contains \`latest\`"
control POST reset >/dev/null
run "$mayfly" doctor "${args[@]}" --image ami-00000000000000000
problem 'no such image' image 'InvalidAMIID.NotFound'
run "$mayfly" doctor "${args[@]}" --image ami-0a11ce0000000000e
problem 'an image whose build failed' image 'is failed, not available'
refuse ec2 DescribeImages
doctor
problem 'no DescribeImages' image 'ec2:DescribeImages' 'Read'
no_faults
run "$mayfly" doctor "${args[@]}" --types m7g.large
problem 'a type of another architecture' places 'm7g.large is arm64' 'types of the image'
run "$mayfly" doctor "${args[@]}" --image ami-0a11ce00000000005
warning 'an image that is old' image-age 'days old' 'build a new image'
warning 'with a runner that is old' runner-version '2.336.0, behind 2.337.0' '30 days'

# --- the network ---
run "$mayfly" doctor "${args[@]}" --subnets subnet-00000000
problem 'no such subnet' subnet 'there is no such subnet' '--subnets'
line 'its route is not checked' 1 'not checked route: ' 'the subnet is not known'
control PUT subnets/subnet-0a11ce01 '{"room":0}' >/dev/null
doctor
problem 'a subnet without addresses' subnet '0 addresses free' 'give another subnet'
run "$mayfly" doctor "${args[@]}" --subnets subnet-0a11ce01,subnet-0a11ce02
warning 'a subnet without addresses beside another' subnet 'subnet-0a11ce01' '0 addresses free'
control PUT subnets/subnet-0a11ce01 '{"room":3}' >/dev/null
run "$mayfly" doctor "${args[@]}" --count 9
warning 'a subnet with too few addresses' subnet '3 addresses free' '--count 9'
control POST reset >/dev/null
control PUT subnets/subnet-0a11ce01 '{"route":"none"}' >/dev/null
doctor
problem 'a subnet without a way out' route 'it has none, so GitHub cannot be reached' 'NAT gateway'
control PUT subnets/subnet-0a11ce01 '{"route":"igw","map_public":false}' >/dev/null
doctor
problem 'an internet gateway without public addresses' route 'by igw-' 'without a public address' '--public-ip yes'
doctor --public-ip yes
line 'with one that is asked for' 0 'ok +route: ' 'with a public address'
control POST reset >/dev/null
doctor --public-ip no
problem 'no public address, by option' route 'without a public address'
run "$mayfly" doctor "${args[@]}" --subnets subnet-0a11ce03
line 'a NAT gateway' 0 'ok +route: ' 'by nat-'
run "$mayfly" doctor "${args[@]}" --security-groups sg-0a11ce02
problem 'a group without egress' egress 'no security group allows outbound HTTPS' '443'
run "$mayfly" doctor "${args[@]}" --security-groups sg-00000000
problem 'no such group' egress 'there is no sg-00000000'
run "$mayfly" doctor "${args[@]}" --types g5.xlarge --subnets subnet-0a11ce03
problem 'a type that the zone does not have' type 'g5.xlarge is offered in us-east-1c: not offered there, but in other zones' 'other zones'
run "$mayfly" doctor "${args[@]}" --types g5.xlarge,m7i.large --subnets subnet-0a11ce03
warning 'a type that the zone does not have, beside another' type 'g5.xlarge'
run "$mayfly" doctor "${args[@]}" --types m7i.lrage
problem 'a type that nobody has' type 'nor anywhere in us-east-1' 'the spelling'

# --- the launch ---
faults '{"service":"ec2","action":"RunInstances","fault":"error","code":"VcpuLimitExceeded","status":400,"times":0}'
doctor
problem 'no quota' launch VcpuLimitExceeded 'quota L-1216C47A'
problem 'so no place is left' places '0 of 1 places'
faults '{"service":"ec2","action":"RunInstances","fault":"error","code":"MaxSpotInstanceCountExceeded","status":400,"match":{"InstanceMarketOptions.MarketType":"spot"},"times":0}'
doctor --market spot,on-demand
warning 'no quota in one market' launch MaxSpotInstanceCountExceeded 'add on-demand'
line 'the other is left' 0 'ok +places: ' '1 of 2 places'
no_faults
run "$mayfly" doctor "${args[@]}" --placement-group nowhere
problem 'a placement group that is none' launch InvalidPlacementGroup.Unknown '--placement-group'

# --- keys of volumes ---
key=arn:aws:kms:us-east-1:123456789012:key/0a1b
doctor --volume-kms-key alias/ci
unseen 'a key that only KMS knows' encryption 'encrypts volumes in us-east-1: alias/ci, a dry run does not ask KMS' '`mayfly policy start --volume-kms-key alias/ci`'
doctor --block-devices '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":8,"Encrypted":true,"KmsKeyId":"alias/disk"}},{"DeviceName":"/dev/sdg","Ebs":{"VolumeSize":8,"Encrypted":true}}]'
unseen 'the key of another disk' encryption 'alias/disk, a dry run does not ask KMS' '`mayfly policy start --volume-kms-key alias/disk`'
line 'a disk with the default key' 0 'ok +encryption: ' "alias/aws/ebs, AWS's own key"
doctor
line 'no key' 0 'ok +encryption: ' 'the account encrypts none by default'
equal 'so the default key is not asked for' "$(control GET log | jq '[.[] | select(.action == "GetEbsDefaultKmsKeyId")] | length')" 1
control PUT encryption '{"by_default":true}' >/dev/null
doctor
line "an account that encrypts by default, by AWS's own key" 0 'ok +encryption: ' "alias/aws/ebs, AWS's own key"
control PUT encryption "{\"by_default\":true,\"key\":\"$key\"}" >/dev/null
doctor
unseen "by the account's own" encryption "$key, a dry run does not ask KMS" "\`mayfly policy start --volume-kms-key $key\`"
for action in GetEbsEncryptionByDefault GetEbsDefaultKmsKeyId; do
	refuse ec2 $action
	doctor
	unseen "no $action" encryption "ec2:$action" 'the statement Read of `mayfly policy doctor`'
done
no_faults
control PUT encryption '{"by_default":false}' >/dev/null
run "$mayfly" doctor "${args[@]}" --volume-size 2
problem 'a volume smaller than the image' launch InvalidBlockDeviceMapping
head -c 11000 /dev/urandom | base64 -w 100 >"$tmp/long.sh"
run "$mayfly" doctor "${args[@]}" --pre-runner-file "$tmp/long.sh"
problem 'user-data that is too large' user-data 'EC2 accepts 16384' 'shorten the pre-runner script'
run "$mayfly" doctor "${args[@]}" --pre-runner-file "$tmp/none.sh"
problem 'a script that is not there' options 'No such file'
run "$mayfly" doctor --image ami-0a11ce00000000003 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01
problem 'no types' options '--types is missing' 'm7i.xlarge'
line 'the image is checked all the same' 1 'ok +image: ' 'available'
run "$mayfly" doctor "${args[@]}" --timeout 30s
warning 'a timeout shorter than a boot' limits '--timeout 30s' '2 minutes'

# --- GitHub ---
run env MAYFLY_GITHUB_TOKEN=ghp_wrong "$mayfly" doctor "${args[@]}"
problem 'a token that is wrong' token 'HTTP 401' 'wrong, expired or revoked'
line 'what depends on it is not checked' 1 'not checked github: ' 'the token does not work'
line 'AWS is checked all the same' 1 'ok +launch: ' 'EC2 would do it'
run env -u MAYFLY_GITHUB_TOKEN "$mayfly" doctor "${args[@]}"
problem 'no token' token 'no GitHub token' 'Administration: write'
run env -u GITHUB_REPOSITORY "$mayfly" doctor "${args[@]}"
problem 'no repository' token 'no GitHub repository or organization' '--repo'
line 'without one there is no fleet to try with' 1 'not checked launch: ' "the fleet's tag is unknown"
run "$mayfly" doctor "${args[@]}" --repo octo/nowhere
problem 'a repository that does not exist' github 'listed the runners of octo/nowhere' 'HTTP 404' 'the spelling'
for action in list-runners generate-jitconfig downloads; do
	faults "{\"service\":\"github\",\"action\":\"$action\",\"fault\":\"unauthorized\",\"times\":0,\"headers\":{\"X-Accepted-GitHub-Permissions\":\"administration=write\"}}"
	doctor
	problem "a token that may not $action" github 'HTTP 403' 'GitHub asks for: administration=write'
done
faults '{"service":"github","action":"list-runner-groups","fault":"unauthorized","times":0}'
run "$mayfly" doctor "${args[@]}" --repo octo
problem 'a token that may not list groups' runner-group 'HTTP 403'
no_faults
run "$mayfly" doctor "${args[@]}" --repo octo --runner-group none
problem 'no such group' runner-group 'has no such group' 'Runner groups'
run "$mayfly" doctor "${args[@]}" --runner-group gpu
problem 'a named group of a repository' runner-group 'no named group' '--repo ORG'
equal 'nothing was launched in all this' "$(state '([.regions[].instances[]? | select(.state == "running")] | length) + (.runners | length)')" 0
start_sim --instances model --rate-limit 400
doctor
warning 'few requests are left' rate-limit '400 of 400' 'token'
start_sim --instances model --rate-limit 1
run "$mayfly" reap
doctor
problem 'no request is left' rate-limit '0 of 1' 'wait 3'
exit $((failures > 0))
