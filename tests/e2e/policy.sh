#!/usr/bin/env bash
# mayfly policy: documents for every command, filled in, without credentials; the Terraform example that uses them.
. "$(dirname "$0")/lib.sh"

run "$mayfly" policy start
expect 'policy start' 0 out '"Sid": "RunInstance"' out '"aws:RequestTag/mayfly:fleet": "FLEET"' out 'arn:aws:ec2:REGION:ACCOUNT:subnet/subnet-ID'
for name in start stop reap status bake doctor trust; do
	equal "examples/iam/$name.json is what policy prints" "$("$mayfly" policy "$name" | diff - "$top/examples/iam/$name.json")" ''
	check "policy $name is JSON" jq -e '.Version == "2012-10-17" and (.Statement | length > 0)' "$top/examples/iam/$name.json"
done
run "$mayfly" policy start stop reap doctor --json
equal 'several commands, no statement twice' "$(jq -c '[.Statement[].Sid] | length == (unique | length)' <<<"$out")" true
run "$mayfly" policy start --region cn-north-1 --account 123456789012 --subnets subnet-0a11ce01,subnet-0a11ce02 --security-groups sg-0a11ce01 --repo octo/demo
expect 'filled in by options' 0 out 'arn:aws-cn:ec2:cn-north-1:123456789012:subnet/subnet-0a11ce02' out '"aws:RequestTag/mayfly:fleet": "octo/demo"'
run "$mayfly" policy start --repo Octo/Demo
expect 'the fleet of a repository, however it is written' 0 out '"aws:RequestTag/mayfly:fleet": "octo/demo"'
run "$mayfly" policy start --region cn-north-1 --account 123456789012 --subnets subnet-0a11ce01,subnet-0a11ce02 --security-groups sg-0a11ce01 --repo octo/demo
equal 'no placeholder is left' "$(grep -cE 'ACCOUNT|REGION|FLEET|subnet-ID|sg-ID' <<<"$out")" 0
printf '[default]\nregion = eu-west-1\nimage = ssm:/ci/ami\nsubnets = subnet-0a11ce31\n' >"$tmp/mayfly.ini"
run "$mayfly" policy start --config "$tmp/mayfly.ini"
expect 'filled in by the configuration file' 0 out 'arn:aws:ssm:eu-west-1:ACCOUNT:parameter/ci/ami' out 'eu-west-1:ACCOUNT:subnet/subnet-0a11ce31'
run "$mayfly" policy reap
expect 'a reaper of images too' 0 out '"ec2:DeregisterImage"' out '"ec2:DescribeSnapshots"'
run "$mayfly" policy reap --image ami-0123456789abcdef0
expect 'which looks up what is published, whatever a start is given' 0 out 'ACCOUNT:parameter/mayfly/*'
run "$mayfly" policy bake --image ssm:/ci/ami
expect 'as a bake does, and what was before' 0 out 'parameter/ci/ami"' out 'parameter/ci/ami/previous"' out 'parameter/mayfly/*'
run "$mayfly" policy start --volume-kms-key alias/ci --region eu-west-1 --account 123456789012
expect 'a key of volumes' 0 out '"kms:CreateGrant"' out '"kms:ResourceAliases": "alias/ci"' out 'arn:aws:kms:eu-west-1:123456789012:key/*'
run "$mayfly" policy start --volume-kms-key alias/ci,0a1b --region eu-west-1 --account 123456789012 --json \
	--block-devices '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":8,"Encrypted":true,"KmsKeyId":"alias/disk"}}]'
equal 'keys by ids need no alias' "$(jq -c '.Statement[] | select(.Sid == "UseKey") | [.Resource, .Condition["ForAnyValue:StringEquals"]]' <<<"$out")" \
	'["arn:aws:kms:eu-west-1:123456789012:key/0a1b",null]'
equal 'those of further volumes are allowed, too' "$(jq -c '.Statement[] | select(.Sid == "GrantKeyByAlias")
	| .Condition["ForAnyValue:StringEquals"]["kms:ResourceAliases"]' <<<"$out")" '["alias/ci","alias/disk"]'
run "$mayfly" policy start --block-devices '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":8,"Encrypted":true}}]'
expect 'a key that has no name here' 0 err '`mayfly doctor` names it'
run "$mayfly" policy start --block-devices '{'
expect 'volumes that are no JSON' 2 err '--block-devices'
run "$mayfly" policy trust --repo octo/demo --owner-id 1 --repo-id 2 --account 123456789012
expect 'who may take the role on, by both names' 0 out '"repo:octo/demo:ref:refs/heads/main"' out '"repo:octo@1/demo@2:ref:refs/heads/main"'

for repo in '*' 'octo/*' https://github.com/octo/demo octo/demo.git; do
	run "$mayfly" policy trust --repo "$repo"
	expect "nor is $repo trusted" 2 err 'is neither OWNER/REPO' err 'of https://github.com/octo/demo.git it is octo/demo'
done
for subject in main refs/heads/main ''; do
	run "$mayfly" policy trust --repo octo/demo --subject "$subject"
	expect "nor is nobody: \`$subject\`" 2 err 'is not what a workflow presents' err 'hint: write ref:refs/heads/main'
done
run "$mayfly" policy trust --repo octo/demo --subject pull_request
expect 'pull requests may be' 0 out '"repo:octo/demo:pull_request"'
run "$mayfly" policy
expect 'no command' 2 err 'no command given' err 'hint: for example `mayfly policy start stop`'
run "$mayfly" policy begin
expect 'an unknown command' 2 err 'there is no policy for `begin`'
run "$mayfly" policy start trust
expect 'trust beside another' 2 err 'a separate document'
run "$mayfly" policy start --account 1
expect 'an account that is none' 2 err '--account: `1` is not an account'\''s 12 digits'
run "$mayfly" policy start --subnets sg-0a11ce01
expect 'a subnet that is none' 2 err '--subnets: `sg-0a11ce01` is not an id'
run "$mayfly" policy start --regions Paris
expect 'a region that is none' 2 err '`Paris` is not the name of an AWS region'

for subject in '*' 'ref:refs/heads/release-?' 'environment:*'; do
	run "$mayfly" policy trust --repo octo/demo --subject "$subject"
	equal "a pattern stands under StringLike: $subject" "$(jq -r '.Statement[0].Condition | keys | join(" ")' <<<"$out")" 'StringEquals StringLike'
	equal "and nothing else does: $subject" "$(jq -r '.Statement[0].Condition | .StringEquals + .StringLike | keys | length' <<<"$out")" 2
done
# --- the Terraform example ---
if ! command -v terraform >/dev/null; then
	echo 'skip - the Terraform example: terraform is not installed'
	exit $((failures > 0))
fi
export CHECKPOINT_DISABLE=1
check 'the Terraform example is laid out' terraform fmt -check -diff "$top/examples/terraform"
# What it makes of the documents needs no provider, and so no download: its resources are left out, its data are given.
mkdir "$tmp/terraform"
cp -r "$top/examples/iam" "$tmp/iam"
sed -e '1,/^variable "repository"/{/^variable "repository"/!d}' -e '/^resource /,/^}/d' -e '/^output /,/^}/d' -e '/^data /d' \
	-e 's/data.aws_caller_identity.current.account_id/"123456789012"/' -e 's/data.aws_region.current.name/"us-gov-west-1"/' \
	-e 's/data.aws_partition.current.partition/"aws-us-gov"/' "$top/examples/terraform/main.tf" >"$tmp/terraform/main.tf"
printf 'output "%s" { value = %s }\n' filled '{ for k, v in local.filled : k => jsondecode(v) }' trust 'jsondecode(local.trust)' \
	>>"$tmp/terraform/main.tf"
cd "$tmp/terraform" || exit
variables=(-no-color -auto-approve -var repository=octo/demo -var owner_id=1 -var repository_id=2
	-var 'subnets=["subnet-0a11ce01", "subnet-0a11ce02"]' -var 'security_groups=["sg-0a11ce01"]')
check 'the Terraform example is evaluated' terraform apply "${variables[@]}"
terraform output -no-color -json >"$tmp/out.json" 2>/dev/null
same() { # COMMAND…: what Terraform made is what the program prints with the same options
	"$mayfly" policy "$@" --account 123456789012 --region us-gov-west-1 --repo octo/demo | jq -S .
}
equal 'it fills them in as policy does' "$(jq -S .filled.value.start "$tmp/out.json")" \
	"$(same start --subnets subnet-0a11ce01,subnet-0a11ce02 --security-groups sg-0a11ce01)"
equal 'and the reaper' "$(jq -S .filled.value.reap "$tmp/out.json")" "$(same reap)"
equal 'and who may take it on' "$(jq -S .trust.value "$tmp/out.json")" "$(same trust --owner-id 1 --repo-id 2)"
for subject in '*' 'environment:prod-?' pull_request; do
	terraform apply "${variables[@]}" -var "subject=$subject" >/dev/null 2>&1
	equal "the same of the subject $subject" "$(terraform output -no-color -json 2>/dev/null | jq -S .trust.value)" \
		"$(same trust --owner-id 1 --repo-id 2 --subject "$subject")"
done
run terraform apply "${variables[@]}" -var subject=main
expect 'a subject that no workflow presents' 1
exit $((failures > 0))
