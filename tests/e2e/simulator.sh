#!/usr/bin/env bash
# The simulator itself, asked by curl, whose signatures are not ours: what a client may rely on.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 100 --online 100 --terminate-delay 50 --image-delay 60000
err=

# ask SERVICE REGION CURL_OPTION…: keeps the HTTP status as $status, and the answer as $out.
ask() {
	local service=$1 region=$2
	shift 2
	status=$(curl -sS -o "$tmp/out" -w '%{http_code}' --aws-sigv4 "aws:amz:$region:$service" \
		--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" "$@" "$url/")
	out=$(cat "$tmp/out")
}

# form SERVICE VERSION REGION ACTION [NAME=VALUE]…
form() {
	local service=$1 region=$3 data=(-d "Action=$4" -d "Version=$2") pair
	shift 4
	for pair in "$@"; do data+=(--data-urlencode "$pair"); done
	ask "$service" "$region" "${data[@]}"
}
ec2() { form ec2 2016-11-15 "$@"; }
here() { ec2 us-east-1 "$@"; }
# ssm REGION OPERATION JSON
ssm() {
	ask ssm "$1" -H 'Content-Type: application/x-amz-json-1.1' -H "X-Amz-Target: AmazonSSM.$2" -d "$3"
}

# all ELEMENT: the texts of all such elements of the last answer, with blanks between them.
all() { grep -oE "<$1>[^<]*" <<<"$out" | sed 's/.*>//' | tr '\n' ' ' | sed 's/ $//'; }

# refused NAME STATUS CODE: the last answer was this error.
refused() { expect "$1" "$2" out "<Code>$3</Code>"; }

# --- images ---
noble='ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*'
here DescribeImages Owner.1=099720109477 Filter.1.Name=name "Filter.1.Value.1=$noble"
expect 'images by owner and name pattern' 200 out '<imageOwnerId>099720109477</imageOwnerId>'
equal 'three of one name, of different dates' "$(all creationDate)" \
	'2026-11-01T06:12:33.000Z 2026-10-01T05:58:01.000Z 2026-09-01T06:02:44.000Z'
here DescribeImages Filter.1.Name=name "Filter.1.Value.1=$noble"
equal 'without the owner, someone else has a newer one' "$(all imageOwnerId)" '099720109477 099720109477 099720109477 999999999999'
here DescribeImages Owner.1=self Filter.1.Name=architecture Filter.1.Value.1=x86_64 Filter.2.Name=state Filter.2.Value.1=available
equal 'our own' "$(all name)" 'mayfly-amd64-20261101 mayfly-amd64-20261015'
here DescribeImages Owner.1=self Filter.1.Name=tag:mayfly:runner-version Filter.1.Value.1=2.336.?
equal 'by tag' "$(all imageId)" ami-0a11ce00000000005
here DescribeImages Owner.1=amazon Filter.1.Name=name 'Filter.1.Value.1=al2023-*' Filter.2.Name=architecture Filter.2.Value.1=arm64
equal "Amazon's" "$(all rootDeviceName)" /dev/xvda
here DescribeImages Owner.1=nobody
refused 'an owner that is none' 400 InvalidUserID.Malformed
here DescribeImages MaxResults=5 Owner.1=amazon
equal 'a page' "$(all imageId | wc -w)" 5
token=$(all nextToken)
here DescribeImages MaxResults=5 Owner.1=amazon "NextToken=$token"
equal 'the last page' "$(all imageId | wc -w)$(all nextToken)" 5
ec2 eu-west-1 DescribeImages ImageId.1=ami-0a11ce00000000001
refused 'an image of another region' 400 InvalidAMIID.NotFound
ec2 eu-west-1 DescribeImages ImageId.1=ami-0a11ce00000003001
expect "a region's own image" 200 out 'ubuntu-noble-24.04-amd64-server-20261101'
here RunInstances MinCount=1 MaxCount=1 InstanceType=m7i.large ImageId=ami-0a11ce0000000000e
refused 'an image that failed launches nothing' 400 InvalidAMIID.Unavailable
here CreateTags ResourceId.1=ami-0a11ce00000000003 ResourceId.2=snap-0a11ce00000000003 Tag.1.Key=old Tag.1.Value=yes
expect 'images and snapshots have tags' 200
here DescribeTags Filter.1.Name=key Filter.1.Value.1=old
equal 'of both kinds' "$(all resourceType)" 'image snapshot'

# --- SSM ---
ssm us-east-1 GetParameter '{"Name":"/mayfly/ami/arm64"}'
expect 'a parameter' 200 out '"Value":"ami-0a11ce00000000004"' out '"Version":1' out '"DataType":"aws:ec2:image"'
ssm eu-central-1 GetParameter '{"Name":"/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"}'
expect "a region's own" 200 out '"Value":"ami-0a11ce00000004001"' out '"ARN":"arn:aws:ssm:eu-central-1::parameter/aws/'
ssm us-east-1 GetParameter '{"Name":"/none"}'
expect 'a parameter that is not there' 400 out '{"__type":"ParameterNotFound"}'
ssm us-east-1 GetParameter '{"Name":"/mayfly/ami/arm64:7"}'
expect 'a version that is not there' 400 out '"ParameterVersionNotFound"'
ssm us-east-1 GetParameter '{"Name":7}'
expect 'a member of the wrong type' 400 out '#SerializationException"'
ssm us-east-1 PutParameter '{"Name":"/mayfly/ami/amd64","Value":"ami-1","Type":"String"}'
expect 'a parameter that is there' 400 out '"ParameterAlreadyExists"'
ssm us-east-1 PutParameter '{"Name":"/mayfly/ami/amd64","Value":"ami-1","Overwrite":true}'
expect 'is overwritten on demand' 200 out '"Version":2'
ssm us-east-1 PutParameter "{\"Name\":\"/big\",\"Value\":\"$(printf '%4097s' x)\",\"Type\":\"String\"}"
expect 'a value that is too long' 400 out '"ValidationException"' out '4096'
ssm us-east-1 PutParameter '{"Name":"/secret","Value":"open sesame","Type":"SecureString"}'
ssm us-east-1 GetParameter '{"Name":"/secret"}'
expect 'a secret stays one' 200 out '"Value":"AQICAHi'
ssm us-east-1 GetParameter '{"Name":"/secret","WithDecryption":true}'
expect 'unless it is decrypted' 200 out '"Value":"open sesame"'
ssm us-east-1 ListCommands '{}'
expect 'an operation that is not served' 400 out '#UnknownOperationException"'
control PUT ssm '{"name":"/mayfly/ami/cuda","value":"ami-0a11ce00000001003","region":"us-east-2"}' >/dev/null
ssm us-east-2 GetParameter '{"Name":"/mayfly/ami/cuda"}'
expect 'a test sets one' 200 out '"Value":"ami-0a11ce00000001003"'
equal 'in its region' "$(control GET ssm | jq -r '[.[] | select(.name == "/mayfly/ami/cuda") | .region] | join(" ")')" us-east-2
control DELETE ssm '{"name":"/mayfly/ami/cuda"}' >/dev/null
ssm us-east-2 GetParameter '{"Name":"/mayfly/ami/cuda"}'
expect 'and removes it' 400 out ParameterNotFound
control POST faults '{"service":"ssm","action":"GetParameter","fault":"throttle","match":{"Name":"/mayfly/ami/arm64"}}' >/dev/null
ssm us-east-1 GetParameter '{"Name":"/mayfly/ami/arm64"}'
expect 'a throttled SSM' 400 out '"__type":"ThrottlingException"'
target=(-H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: AmazonSSM.GetParameter' -d '{"Name":"/mayfly/ami/arm64"}')
AWS_SECRET_ACCESS_KEY=wrong ask ssm us-east-1 "${target[@]}"
expect 'a wrong secret' 400 out '"__type":"InvalidSignatureException"'
AWS_ACCESS_KEY_ID=AKIAWRONG ask ssm us-east-1 "${target[@]}"
expect 'an unknown key' 400 out '"__type":"UnrecognizedClientException"'
ask ec2 us-east-1 "${target[@]}"
expect "another service's signature" 400 out 'scoped to correct service'
status=$(curl -sS -o "$tmp/out" -w '%{http_code}' "${target[@]}" "$url/")
out=$(cat "$tmp/out")
expect 'no signature' 400 out '"__type":"MissingAuthenticationTokenException"'

# --- RunInstances ---
run=(RunInstances MinCount=1 MaxCount=1 InstanceType=m7i.large ImageId=ami-0a11ce00000000001)
disk=BlockDeviceMapping.1
nic=NetworkInterface.1
last='[.regions["us-east-1"].instances[]] | last'

# bad NAME STATUS CODE [NAME=VALUE]…: RunInstances with these is refused.
bad() {
	local name=$1 want=$2 code=$3
	shift 3
	here "${run[@]}" "$@"
	refused "$name" "$want" "$code"
}
root=("$disk.DeviceName=/dev/sda1")
data=("$disk.DeviceName=/dev/sdb")
bad 'a parameter that EC2 does not know' 400 UnknownParameter Colour=red
bad 'a subnet of another region' 400 InvalidSubnetID.NotFound SubnetId=subnet-0a11ce11
bad 'a group of another region' 400 InvalidGroup.NotFound SecurityGroupId.1=sg-0a11ce11
bad 'an interface beside a subnet' 400 InvalidParameterCombination SubnetId=subnet-0a11ce01 $nic.DeviceIndex=0
bad 'an interface beside groups' 400 InvalidParameterCombination SecurityGroupId.1=sg-0a11ce01 $nic.DeviceIndex=0
bad 'an interface without its index' 400 InvalidParameterCombination $nic.SubnetId=subnet-0a11ce01
here RunInstances MinCount=1 MaxCount=1 InstanceType=g5.xlarge ImageId=ami-0a11ce00000000001 SubnetId=subnet-0a11ce03
refused 'a type that the zone does not have' 400 Unsupported
bad 'an unknown placement group' 400 InvalidPlacementGroup.Unknown Placement.GroupName=none
bad 'an unknown host' 400 InvalidHostID.NotFound Placement.HostId=h-00000000 Placement.Tenancy=host
bad 'a host without its tenancy' 400 InvalidParameterCombination Placement.HostId=h-0a11ce01
bad 'credits that a type does not have' 400 InstanceCreditSpecification.NotSupported CreditSpecification.CpuCredits=unlimited
bad 'a price below the market' 400 SpotMaxPriceTooLow InstanceMarketOptions.MarketType=spot \
	InstanceMarketOptions.SpotOptions.MaxPrice=0.0299
bad 'a price that is none' 400 InvalidParameterValue InstanceMarketOptions.MarketType=spot \
	InstanceMarketOptions.SpotOptions.MaxPrice=cheap
bad 'spot options without spot' 400 InvalidParameterCombination InstanceMarketOptions.SpotOptions.MaxPrice=1
bad 'protection of a spot instance' 400 InvalidParameterCombination InstanceMarketOptions.MarketType=spot DisableApiTermination=true
bad 'an unknown key pair' 400 InvalidKeyPair.NotFound KeyName=none
bad 'a profile of another account' 400 InvalidParameterValue IamInstanceProfile.Arn=arn:aws:iam::1:instance-profile/x
bad 'a hop limit beyond 64' 400 InvalidParameterValue MetadataOptions.HttpPutResponseHopLimit=65
bad 'tags in the metadata that do not fit' 400 InvalidParameterValue MetadataOptions.InstanceMetadataTags=enabled \
	TagSpecification.1.ResourceType=instance TagSpecification.1.Tag.1.Key=a/b
bad 'a root smaller than its snapshot' 400 InvalidBlockDeviceMapping "${root[@]}" $disk.Ebs.VolumeSize=7
bad 'a volume type that is none' 400 InvalidParameterValue "${root[@]}" $disk.Ebs.VolumeType=gp4
bad 'a volume without a size' 400 MissingParameter "${data[@]}" $disk.Ebs.VolumeType=gp3
bad 'a volume of nothing' 400 InvalidParameterValue "${data[@]}" $disk.Ebs.VolumeSize=0
bad 'a volume too large for its type' 400 InvalidParameterValue "${data[@]}" $disk.Ebs.VolumeSize=16385
bad 'io2 without iops' 400 MissingParameter "${data[@]}" $disk.Ebs.VolumeSize=8 $disk.Ebs.VolumeType=io2
bad 'iops of gp2' 400 InvalidParameterCombination "${root[@]}" $disk.Ebs.Iops=3000 $disk.Ebs.VolumeType=gp2
bad 'too many iops for the size' 400 InvalidParameterValue "${root[@]}" $disk.Ebs.Iops=5000 $disk.Ebs.VolumeSize=9
bad 'too much throughput for the iops' 400 InvalidParameterValue "${root[@]}" $disk.Ebs.Throughput=800
bad 'throughput of gp2' 400 InvalidParameterCombination "${data[@]}" $disk.Ebs.VolumeSize=8 $disk.Ebs.Throughput=200
bad 'a key without encryption' 400 InvalidParameterDependency "${root[@]}" $disk.Ebs.KmsKeyId=alias/x
bad 'an initialization rate without a snapshot' 400 InvalidParameterCombination "${data[@]}" $disk.Ebs.VolumeSize=8 \
	$disk.Ebs.VolumeInitializationRate=100
bad 'an initialization rate too high' 400 InvalidParameterValue "${root[@]}" $disk.Ebs.VolumeInitializationRate=301
bad 'a snapshot that is not there' 400 InvalidSnapshot.NotFound "${data[@]}" $disk.Ebs.SnapshotId=snap-00000000
bad 'a device twice' 400 InvalidBlockDeviceMapping "${data[@]}" $disk.Ebs.VolumeSize=8 \
	BlockDeviceMapping.2.DeviceName=/dev/sdb BlockDeviceMapping.2.Ebs.VolumeSize=8
bad 'a dry run of what is right' 412 DryRunOperation DryRun=true
equal 'none of them launched anything' "$(state '[.regions[].instances[]?] | length')" 0

here "${run[@]}" $nic.DeviceIndex=0 $nic.SubnetId=subnet-0a11ce03 $nic.SecurityGroupId.1=sg-0a11ce02 \
	$nic.AssociatePublicIpAddress=true MetadataOptions.HttpTokens=required MetadataOptions.HttpPutResponseHopLimit=2 \
	MetadataOptions.InstanceMetadataTags=enabled Placement.GroupName=sim-cluster Placement.Tenancy=dedicated \
	InstanceMarketOptions.MarketType=spot InstanceMarketOptions.SpotOptions.MaxPrice=0.03 EbsOptimized=true \
	Monitoring.Enabled=true KeyName=sim-key IamInstanceProfile.Name=runner InstanceInitiatedShutdownBehavior=terminate \
	"${root[@]}" $disk.Ebs.VolumeSize=20 $disk.Ebs.Iops=4000 $disk.Ebs.Throughput=500 $disk.Ebs.Encrypted=true \
	$disk.Ebs.KmsKeyId=alias/x $disk.Ebs.VolumeInitializationRate=200 \
	BlockDeviceMapping.2.DeviceName=/dev/sdb BlockDeviceMapping.2.Ebs.VolumeSize=9 \
	BlockDeviceMapping.2.Ebs.DeleteOnTermination=false BlockDeviceMapping.3.DeviceName=/dev/sdc \
	BlockDeviceMapping.3.VirtualName=ephemeral0 BlockDeviceMapping.4.DeviceName=/dev/sdd BlockDeviceMapping.4.NoDevice=
expect 'a launch with all of it' 200 out '<instanceLifecycle>spot</instanceLifecycle>' out '<tenancy>dedicated</tenancy>' \
	out '<monitoring><state>enabled</state>' out '<instanceMetadataTags>enabled<'
id=$(all instanceId | cut -d' ' -f1)
sleep 0.15
equal 'its placement' "$(state "$last | .placement | [.zone, .tenancy, .group] | join(\" \")")" 'us-east-1c dedicated sim-cluster'
equal 'its metadata options' "$(state "$last | .metadata_options | [.tokens, .hops, .tags] | map(tostring) | join(\" \")")" 'required 2 enabled'
has 'its public address' "$(state "$last | .public_address")" 203.0.113.
equal 'its group' "$(state "$last | .security_groups[0]")" sg-0a11ce02
equal 'its volumes' "$(state '[.regions[].volumes[] | [.device, .type, .size, .iops, .throughput, .initialization_rate, .encrypted, .kms_key]
	| map(tostring) | join(" ")] | join("; ")')" '/dev/sda1 gp3 20 4000 500 200 true alias/x; /dev/sdb gp2 9 0 0 0 false null'
equal 'the price of its spot request' "$(state '[.regions[].spot_requests[]][0].price')" 0.030000
here TerminateInstances InstanceId.1="$id"
sleep 0.1
equal 'the volume that is kept outlives it' "$(state '[.regions[].volumes[] | .device + " " + .state] | join(";")')" '/dev/sdb available'
control POST reset >/dev/null

# --- what a doctor asks ---
here DescribeSubnets SubnetId.1=subnet-0a11ce03
expect 'a subnet' 200 out '<availableIpAddressCount>250<' out '<mapPublicIpOnLaunch>false<' out '<availabilityZone>us-east-1c<' out '<vpcId>vpc-0a11ce01<'
control PUT subnets/subnet-0a11ce03 '{"room":1,"map_public":true,"route":"none"}'
here DescribeSubnets Filter.1.Name=tag:Name Filter.1.Value.1=runners-c
expect 'as a test has set it' 200 out '<availableIpAddressCount>1<' out '<mapPublicIpOnLaunch>true<'
here RunInstances MinCount=2 MaxCount=2 InstanceType=m7i.large ImageId=ami-0a11ce00000000001 SubnetId=subnet-0a11ce03
refused 'a subnet that is full' 400 InsufficientFreeAddressesInSubnet
here DescribeRouteTables Filter.1.Name=association.subnet-id Filter.1.Value.1=subnet-0a11ce03
equal 'and its routes' "$(all destinationCidrBlock)" 10.0.0.0/16
here DescribeRouteTables Filter.1.Name=association.subnet-id Filter.1.Value.1=subnet-0a11ce01
equal 'a table of its own' "$(all gatewayId)" 'local igw-0a11ce01'
here DescribeRouteTables Filter.1.Name=association.main Filter.1.Value.1=true
expect "or the VPC's" 200 out '<main>true</main>' out '<gatewayId>igw-0a11ce01</gatewayId>'
ec2 us-west-2 DescribeRouteTables Filter.1.Name=association.subnet-id Filter.1.Value.1=subnet-0a11ce23
equal 'a NAT' "$(all natGatewayId)" nat-0a11ce21
here CreateSecurityGroup GroupName=mine GroupDescription=new
expect 'a new security group' 200 out '<groupId>sg-'
here DescribeSecurityGroups "GroupId.1=$(all groupId)"
expect 'it lets everything out' 200 out '<groupName>mine</groupName>' out '<cidrIp>0.0.0.0/0</cidrIp>'
here CreateSecurityGroup GroupName=mine GroupDescription=new
refused 'a second one of the name' 400 InvalidGroup.Duplicate
here DescribeSecurityGroups GroupId.1=sg-0a11ce01
expect 'a group with egress' 200 out '<ipPermissionsEgress><item><ipProtocol>-1<'
here DescribeSecurityGroups GroupId.1=sg-0a11ce02
expect 'one without' 200 out '<ipPermissionsEgress></ipPermissionsEgress>'
here DescribeInstanceTypes InstanceType.1=m7g.large InstanceType.2=t3.micro
expect 'types' 200 out '<item>arm64</item>' out '<defaultVCpus>2<' out '<sizeInMiB>1024<'
here DescribeInstanceTypeOfferings LocationType=availability-zone Filter.1.Name=instance-type Filter.1.Value.1=g5.xlarge
equal 'where a type is to be had' "$(all location)" 'us-east-1a us-east-1b'
here GetEbsEncryptionByDefault
expect 'volumes are not encrypted by default' 200 out '<ebsEncryptionByDefault>false<'
here GetEbsDefaultKmsKeyId
expect "AWS's own key" 200 out '<kmsKeyId>alias/aws/ebs<'
control PUT encryption '{"by_default":true,"key":"arn:aws:kms:us-east-1:123456789012:key/0a1b"}' >/dev/null
here GetEbsEncryptionByDefault
expect 'volumes are encrypted by default' 200 out '<ebsEncryptionByDefault>true<'
here GetEbsDefaultKmsKeyId
expect 'a key of the account' 200 out '<kmsKeyId>arn:aws:kms:us-east-1:123456789012:key/0a1b<'
here "${run[@]}"
id=$(all instanceId | cut -d' ' -f1)
equal 'a volume has it' "$(state "[.regions[].volumes[] | select(.instance == \"$id\")][0] | \"\(.encrypted) \(.kms_key)\"")" \
	'true arn:aws:kms:us-east-1:123456789012:key/0a1b'
control PUT encryption '{}' >/dev/null
here TerminateInstances InstanceId.1="$id"
here DescribeSubnets DryRun=true
refused 'a dry run of a description' 412 DryRunOperation

# --- what a reaper removes ---
tag=(TagSpecification.1.Tag.1.Key=mayfly:role TagSpecification.1.Tag.1.Value=bake)
here "${run[@]}" TagSpecification.1.ResourceType=instance "${tag[@]}" InstanceMarketOptions.MarketType=spot \
	InstanceMarketOptions.SpotOptions.SpotInstanceType=persistent
builder=$(all instanceId | cut -d' ' -f1)
spot=$(all spotInstanceRequestId)
sleep 0.15
here CreateImage InstanceId="$builder" Name=mayfly-amd64-new TagSpecification.1.ResourceType=image "${tag[@]}" \
	TagSpecification.2.ResourceType=snapshot TagSpecification.2.Tag.1.Key=mayfly:role TagSpecification.2.Tag.1.Value=bake
expect 'an image is made' 200 out '<imageId>ami-'
image=$(all imageId)
here CreateImage InstanceId="$builder" Name=mayfly-amd64-new
refused 'a name that is taken' 400 InvalidAMIName.Duplicate
here DescribeImages ImageId.1="$image"
expect 'it is pending' 200 out '<imageState>pending<'
control POST clock '{"advance_seconds":61}' >/dev/null
here DescribeImages Filter.1.Name=tag:mayfly:role Filter.1.Value.1=bake Owner.1=self
expect 'and then available' 200 out '<imageState>available<'
here EnableImageDeprecation ImageId="$image" DeprecateAt="$(date -u -d '+2 days' +%FT%TZ)"
expect 'it is deprecated' 200 out '<return>true<'
here DescribeImages ImageId.1="$image"
has 'from the nearest minute on' "$(all deprecationTime)" ':00.000Z'
copy=(SourceRegion=us-east-1 SourceImageId="$image" Name=mayfly-amd64-new)
west() { ec2 us-west-2 "$@"; }
west CopyImage "${copy[@]}" ClientToken=once TagSpecification.1.ResourceType=image "${tag[@]}"
expect 'it is copied' 200 out '<imageId>ami-'
copied=$(all imageId)
west DescribeImages ImageId.1="$copied"
expect 'into the region that is asked' 200 out '<imageState>pending<' out '<name>mayfly-amd64-new<' out '<key>mayfly:role<'
west CopyImage "${copy[@]}" ClientToken=once TagSpecification.1.ResourceType=image "${tag[@]}"
equal 'once, by its token' "$(all imageId)" "$copied"
west CopyImage "${copy[@]}" ClientToken=once
refused 'a token of another copy' 400 IdempotentParameterMismatch
west CopyImage "${copy[@]}" Encrypted=true
west DescribeImages ImageId.1="$(all imageId)"
expect 'encrypted, if asked so' 200 out '<encrypted>true<'
west CopyImage "${copy[@]}"
equal 'again without one, with a snapshot each, and no tags of the source' \
	"$(state '.regions["us-west-2"] | ([.images[] | select(.name == "mayfly-amd64-new") | .tags | length] | sort | join(" "))
	+ ", " + ([.snapshots[] | select(.description | startswith("Copied")) | .tags | length] | join(" "))')" '0 0 1, 0 0 0'
not_copied() { # NAME CODE PARAMETER…
	local name=$1 code=$2
	shift 2
	west CopyImage "$@"
	refused "no copy of $name" 400 "$code"
}
not_copied 'nothing' MissingParameter SourceRegion=us-east-1 Name=mayfly-x
not_copied 'what is nowhere' MissingParameter SourceImageId="$image" Name=mayfly-x
not_copied 'what has no name' MissingParameter SourceRegion=us-east-1 SourceImageId="$image"
not_copied 'a region that is none' InvalidParameterValue SourceRegion=us-north-9 SourceImageId="$image" Name=mayfly-x
not_copied 'an image of another region' InvalidAMIID.NotFound SourceRegion=eu-west-1 SourceImageId="$image" Name=mayfly-x
not_copied 'an id that is none' InvalidAMIID.Malformed SourceRegion=us-east-1 SourceImageId=x Name=mayfly-x
not_copied 'what is pending' InvalidAMIID.Unavailable SourceRegion=us-west-2 SourceImageId="$copied" Name=mayfly-x
not_copied "someone else's disk" InvalidRequest SourceRegion=us-east-1 SourceImageId=ami-0a11ce00000000001 Name=mayfly-x
not_copied 'a name that is none' InvalidAMIName.Malformed SourceRegion=us-east-1 SourceImageId="$image" Name='a!b'
not_copied 'what has an owner' InvalidParameterValue "${copy[@]}" TagSpecification.1.ResourceType=volume "${tag[@]}"
not_copied 'a long token' InvalidParameterValue "${copy[@]}" ClientToken="$(printf '%065d' 0)"
not_copied 'a key for nothing' InvalidParameterDependency "${copy[@]}" KmsKeyId=alias/mine
not_copied 'what EC2 has no word for' UnknownParameter "${copy[@]}" SourceImage=x
for at in "$(date -u -d '-1 minute' +%FT%TZ)" "$(date -u -d '+11 years' +%FT%TZ)" tomorrow; do
	here EnableImageDeprecation ImageId="$image" DeprecateAt="$at"
	refused "a deprecation at $at" 400 InvalidParameterValue
done
here EnableImageDeprecation ImageId="$image"
refused 'a deprecation at no time' 400 MissingParameter
here EnableImageDeprecation ImageId=ami-0a11ce00000000001 DeprecateAt="$(date -u -d '+2 days' +%FT%TZ)"
refused "of someone else's image" 401 AuthFailure
here DescribeSnapshots Owner.1=self Filter.1.Name=tag:mayfly:role Filter.1.Value.1=bake
expect 'with its snapshot' 200 out '<status>completed<'
snapshot=$(all snapshotId)
here DescribeSnapshots MaxResults=5
equal 'others are not ours to see' "$(all ownerId | wc -w) $(all nextToken)" '5 '
here DeleteSnapshot SnapshotId="$snapshot"
refused 'which cannot go before it' 400 InvalidSnapshot.InUse
here DescribeSpotInstanceRequests Filter.1.Name=state Filter.1.Value.1=active
equal 'a spot request' "$(all spotInstanceRequestId)" "$spot"
for dry in "DeregisterImage ImageId=$image" "CancelSpotInstanceRequests SpotInstanceRequestId.1=$spot" "TerminateInstances InstanceId.1=$builder" \
	"CreateTags ResourceId.1=$builder Tag.1.Key=a" "CreateImage InstanceId=$builder Name=other"; do
	read -ra words <<<"$dry"
	here "${words[@]}" DryRun=true
	refused "a dry run of ${words[0]}" 412 DryRunOperation
done
here DeregisterImage ImageId=ami-0a11ce00000000001
refused "someone else's image" 401 AuthFailure
here DeregisterImage ImageId="$image" DeleteAssociatedSnapshots=true
expect 'an image goes with its snapshot' 200 out "<snapshotId>$snapshot</snapshotId><returnCode>success<"
here DescribeSnapshots SnapshotId.1="$snapshot"
refused 'which is gone' 400 InvalidSnapshot.NotFound
here DeregisterImage ImageId=ami-0a11ce00000000005
here DeleteSnapshot SnapshotId=snap-0a11ce00000000005
expect 'or one after the other' 200 out '<return>true<'
equal 'the state has what is left' "$(state '.regions["us-east-1"] | "\(.images | length) \(.snapshots | length)"')" '3 3'
here CancelSpotInstanceRequests SpotInstanceRequestId.1="$spot"
expect 'a request is cancelled' 200 out '<state>cancelled<'
here DescribeInstances InstanceId.1="$builder"
expect 'and its instance goes on' 200 out '<name>running<'
here DescribeVolumes Filter.1.Name=attachment.instance-id Filter.1.Value.1="$builder"
volume=$(all volumeId | cut -d' ' -f1)
here DeleteVolume VolumeId="$volume"
refused 'a volume in use' 400 VolumeInUse

# --- who may not ---
control POST faults '[{"service":"ec2","action":"TerminateInstances","fault":"unauthorized","match":{"DryRun":"true"}},
	{"service":"ssm","fault":"unauthorized"}, {"service":"sts","action":"GetCallerIdentity","fault":"unauthorized"}]' >/dev/null
here TerminateInstances InstanceId.1="$builder" DryRun=true
expect 'a dry run of what is not allowed' 403 out '<Code>UnauthorizedOperation<' out 'to perform: ec2:TerminateInstances'
form sts 2011-06-15 us-east-1 DecodeAuthorizationMessage "EncodedMessage=$(sed -n -E 's/.*failure message: ([^<]*)<.*/\1/p' <<<"$out")"
expect 'says more when decoded' 200 out 'ec2:TerminateInstances' out 'arn:aws:sts::123456789012:assumed-role/mayfly/simulator'
form sts 2011-06-15 us-east-1 DecodeAuthorizationMessage EncodedMessage=nonsense
refused 'a message that is none' 400 InvalidAuthorizationMessageException
ssm us-east-1 GetParameter '{"Name":"/mayfly/ami/amd64"}'
expect 'SSM says it in its own way' 400 out '"__type":"AccessDeniedException","Message":"User: arn'
form sts 2011-06-15 us-east-1 GetCallerIdentity
refused 'and so does STS' 403 AccessDenied
control POST reset >/dev/null
here DescribeSubnets SubnetId.1=subnet-0a11ce03
expect 'a reset puts all back' 200 out '<availableIpAddressCount>250<'

# --- GitHub's runner groups ---
# github METHOD PATH [BODY]: keeps $status and $out, and the headers in $tmp/headers.
github() {
	status=$(curl -sS -o "$tmp/out" -D "$tmp/headers" -w '%{http_code}' -X "$1" -A test -H "Authorization: Bearer $MAYFLY_GITHUB_TOKEN" \
		${3:+-d "$3"} "$GITHUB_API_URL$2")
	out=$(cat "$tmp/out")
}
# mint PATH NAME [GROUP]
mint() { github POST "$1/actions/runners/generate-jitconfig" "{\"name\":\"$2\",\"runner_group_id\":${3:-1},\"labels\":[\"a\"]}"; }
github GET /orgs/octo/actions/runner-groups
equal 'the groups of an organization' "$(jq -r '[.runner_groups[] | "\(.id) \(.name)"] | join(", ")' <<<"$out")" '1 Default, 2 gpu, 3 builders'
control POST runner-groups "$(jq -nc '[range(4; 121) | "group-\(.)"]')" >/dev/null
github GET '/orgs/octo/actions/runner-groups?per_page=100&page=2'
equal 'in pages' "$(jq -r '"\(.total_count) \(.runner_groups | length)"' <<<"$out")" '120 20'
github GET /orgs/octo/actions/runner-groups
has 'with links' "$(cat "$tmp/headers")" 'page=2>; rel="next"'
mint /orgs/octo one 2
expect "an organization's runner in a group" 201 out '"runner_group_id":2'
mint /orgs/octo two 121
expect 'a group that is not there' 404 out 'Not Found'
mint /repos/octo/demo two 2
expect 'a repository has one group' 422 out 'Runner group 2 does not exist'
github GET /repos/octo/demo/actions/runner-groups
expect 'and cannot list it' 404
github GET /orgs/acme/actions/runners
expect 'an organization that is not there' 404

# --- what is not so, and what is not seen yet ---
here "${run[@]}"
late=$(all instanceId)
control POST lag '{"ec2_ms":100000,"github_ms":100000}' >/dev/null
here DescribeInstances InstanceId.1="$late"
refused 'with a lag, an instance is not there yet' 400 InvalidInstanceID.NotFound
mint /repos/octo/demo mf-late
github GET "/repos/octo/demo/actions/runners/$(jq .runner.id <<<"$out")"
expect 'nor is a runner' 404
control POST clock '{"advance_seconds":200}' >/dev/null
github GET /repos/octo/demo/actions/runners
expect 'later it is' 200 out '"name":"mf-late"'
here TerminateInstances InstanceId.1="$late"
here DescribeInstances InstanceId.1="$late" Filter.1.Name=instance-state-name Filter.1.Value.1=running
expect 'an instance that ends still runs' 200 out "$late"
control POST lag '{"ec2_ms":0,"github_ms":0}' >/dev/null
here DescribeInstances InstanceId.1="$late" Filter.1.Name=instance-state-name Filter.1.Value.1=running
equal 'without a lag it does not' "$status $(all instanceId)" '200 '
mint /repos/octo/demo mf-liar
liar=$(jq .runner.id <<<"$out")
control PUT "runners/$liar" '{"status":"online","busy":true}' >/dev/null
# lie KIND: about one runner, to every question, for a minute.
lie() {
	control PUT faults "{\"service\":\"github\",\"fault\":\"$1\",\"runner\":\"liar\",\"times\":0,\"for_ms\":60000}" >/dev/null
	github GET "/repos/octo/demo/actions/runners/$liar"
}
lie idle
expect 'GitHub says that a busy runner is idle' 200 out '"status":"online","busy":false'
lie offline
expect 'or offline' 200 out '"status":"offline","busy":false'
lie forgotten
expect 'or not there' 404
github GET /repos/octo/demo/actions/runners
equal 'nor in the list' "$(jq -r '[.runners[].name] | join(" ")' <<<"$out")" mf-late
control POST clock '{"advance_seconds":61}' >/dev/null
github GET "/repos/octo/demo/actions/runners/$liar"
expect 'for a while' 200 out '"status":"online","busy":true'
control PUT faults '{"service":"github","fault":"date","seconds":86400}' >/dev/null
github GET /repos/octo/demo/actions/runners
ahead=$(($(date -d "$(tr -d '\r' <"$tmp/headers" | sed -n 's/^Date: //Ip')" +%s) - $(date +%s) - 86400 - 261))
check 'a Date is a day ahead' test ${ahead#-} -lt 30

# ends NAME: the simulator goes when it is told to, and a build with sanitizers finds nothing.
ends() {
	kill "$sim_pid"
	wait "$sim_pid"
	equal "$1" "$? $(grep -c 'ERROR: \|runtime error' "$tmp/sim.log")" '0 0'
	sim_pid=
}
ends 'the simulator ends'

# --- rate limits ---
start_sim --instances model --run-rate 2,5 --mint-rate 3 --repos acme,acme/tools
equal 'the first repository is in the settings' "$GITHUB_REPOSITORY" acme/tools
github GET /orgs/acme/actions/runners
expect 'an organization of --repos' 200 out '"total_count":0'
github GET /repos/acme/actions/runners
expect 'which is no repository' 404
for n in 1 2 3 4 5; do
	here "${run[@]}" DryRun=true
	[ "$status" = 412 ] || not_ok 'a burst of five RunInstances' "$n: $status $out"
done
for ((n = 0; n < 40; n++)); do # two a second come back meanwhile
	here "${run[@]}" DryRun=true
	[ "$status" = 412 ] || break
done
refused 'soon no more' 503 RequestLimitExceeded
ec2 eu-west-1 RunInstances MinCount=1 MaxCount=1 InstanceType=m7i.large ImageId=ami-0a11ce00000003001 DryRun=true
refused 'in another region it is the first' 412 DryRunOperation
control POST clock '{"advance_seconds":1}' >/dev/null
here "${run[@]}" DryRun=true
refused 'a second later there is room again' 412 DryRunOperation
for n in 1 2 3; do mint /orgs/acme "r$n"; done
expect 'three configurations' 201
mint /orgs/acme r4
expect 'a fourth in the same minute' 403 out 'You have exceeded a secondary rate limit'
has 'with the time to wait' "$(cat "$tmp/headers")" 'Retry-After: 60'
control POST clock '{"advance_seconds":61}' >/dev/null
mint /orgs/acme r4
expect 'a minute later' 201
equal 'what was refused is counted' "$(state '.refused | "\(.RunInstances) \(."generate-jitconfig")"')" '1 1'
run "$sim" --run-rate fast
expect 'a rate that is none' 2 err 'is not PER_SECOND,BURST'

ends 'the simulator ends again'
exit $((failures > 0))
