#!/usr/bin/env bash
# Bad input: one clear line and a hint, the right exit status, and nothing launched.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 100 --online 100

# Each case begins with a command that works.
args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 20s)

one_line() { # NAME: the last run wrote one error line, and at most a hint besides
	local errors
	errors=$(grep -c '^mayfly' "$tmp/err")
	if [ "$errors" -ne 1 ] || [ "$(grep -vc -e '^mayfly' -e '^hint: ' "$tmp/err")" -ne 0 ]; then
		not_ok "$1: one line" "$err"
	fi
}

bad() { # NAME STATUS TEXT COMMAND…
	local name=$1 want=$2 text=$3
	shift 3
	run "$@"
	expect "$name" "$want" err "$text"
	one_line "$name"
}

bad 'unknown command' 2 'no command `strat`' "$mayfly" strat
bad 'unknown flag' 2 'unknown option `--subnet`' "$mayfly" start --subnet x
bad 'unknown flag: suggestion' 2 'did you mean --subnets' "$mayfly" start --subnet x
bad 'flag without its value' 2 '--image needs a value' "$mayfly" start --image
bad 'flag whose value was empty' 2 '--label needs a value' "$mayfly" start "${args[@]}" --label --dry-run
bad 'the same, of stop' 2 '`--json` looks like an option' "$mayfly" stop --label --json
bad 'the same, of the configuration file' 2 '--config needs a value' "$mayfly" stop --config --json
bad 'list in two flags, of which the first was lost' 2 '--instance is given twice' "$mayfly" stop --instance i-0123456789abcdef0 --instance=i-0123456789abcdef1
has 'says how it is written' "$err" 'hint: give several values as one list: --instance A,B'
bad 'the same under two names' 2 '--instance is given twice' "$mayfly" stop --ec2-instance-id i-0123456789abcdef0 --instance i-0123456789abcdef1
bad 'the same, of the reaper' 2 '--regions is given twice' "$mayfly" reap --regions us-east-1 --regions us-west-2
bad 'stray argument' 2 'unexpected argument `now`' "$mayfly" start now
bad 'missing types' 2 '--types is missing' "$mayfly" start
bad 'missing image' 2 '--image is missing' "$mayfly" start --types m7i.large
bad 'missing subnet' 2 '--subnets is missing' "$mayfly" start --image ami-0a11ce00000000001 --types m7i.large
bad 'subnet that is none' 2 '`subnet-x` is not an id' "$mayfly" start "${args[@]}" --subnets subnet-x
bad 'unknown market' 2 '`spots` is not one of: spot on-demand' "$mayfly" start "${args[@]}" --market spots
bad 'count of none' 2 '--count: 0 is not between 1 and 100' "$mayfly" start "${args[@]}" --count 0
bad 'count that is no number' 2 '`many` is not a number' "$mayfly" start "${args[@]}" --count many
bad 'timeout that is none' 2 '`soon` is not a duration' "$mayfly" start "${args[@]}" --timeout soon
bad 'label with a blank' 2 'is not a label' "$mayfly" start "${args[@]}" --label 'a b'
bad 'types of two architectures' 2 'm7g.large is arm64' "$mayfly" start "${args[@]}" --types m7i.large,m7g.large
bad 'region without a subnet' 2 '--image names nothing in the region us-west-2' "$mayfly" start "${args[@]}" --regions us-east-1,us-west-2
bad 'subnet of a region that is not in the plan' 2 'hint: the plan covers --regions' "$mayfly" start "${args[@]}" --subnets us-west-2/subnet-0a11ce01
bad 'volume that stays' 2 'outlive its instance' "$mayfly" start "${args[@]}" --block-devices '[{"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": false}}]'
bad 'tag of ours' 2 'are reserved' "$mayfly" start "${args[@]}" --tags mayfly:fleet=x
bad 'member of JSON in small letters' 2 'hint: did you mean Key?' "$mayfly" start "${args[@]}" --tags '[{"key": "team"}]'
bad 'tags as an object' 2 'hint: write team=ci,env=test' "$mayfly" start "${args[@]}" --tags '{"team": "ci"}'
bad 'place that is misspelt' 2 'hint: did you mean imageId?' "$mayfly" start "${args[@]}" \
	--places '[{"imageID": "ami-0a11ce00000000001"}]'
bad 'types without a comma' 2 'with commas between several' "$mayfly" start "${args[@]}" --types 'm7i.large m7a.large'
bad 'more than all' 2 '--min-count must not be larger' "$mayfly" start "${args[@]}" --min-count 2
bad 'group of a repository' 2 'a repository has no group' "$mayfly" start "${args[@]}" --runner-group gpu
bad 'type that does not fit the image' 2 'm7g.large is arm64' "$mayfly" start "${args[@]}" --types m7g.large
bad 'image that does not exist' 1 'InvalidAMIID.NotFound' "$mayfly" start "${args[@]}" --image ami-00000000000000000
bad 'subnet that does not exist' 1 'InvalidSubnetID.NotFound' "$mayfly" start "${args[@]}" --subnets subnet-00000000000000000
bad 'repository that does not exist' 1 'HTTP 404' "$mayfly" start "${args[@]}" --repo octo/nowhere
bad 'repository that is none' 2 'is neither OWNER/REPO nor an organization' "$mayfly" start "${args[@]}" --repo 'a/b/c'
bad 'configuration file that does not exist' 2 'No such file' "$mayfly" start --config "$tmp/none.ini"
has 'of a workflow too' "$err" 'actions/checkout must run before'
bad 'token file that does not exist' 2 'No such file' "$mayfly" start "${args[@]}" --github-token-file "$tmp/none"
bad 'token file that is a directory' 2 'Is a directory' "$mayfly" start "${args[@]}" --github-token-file "$tmp"
bad 'token file that is empty' 2 'is empty' "$mayfly" start "${args[@]}" --github-token-file /dev/null
bad 'token with a newline' 2 'has more than one line' env MAYFLY_GITHUB_TOKEN=$'abc\ndef' "$mayfly" start "${args[@]}"
bad 'token that is wrong' 1 'HTTP 401' env MAYFLY_GITHUB_TOKEN=ghp_wrong "$mayfly" start "${args[@]}"
bad 'no token' 2 'no GitHub token' env -u MAYFLY_GITHUB_TOKEN "$mayfly" start "${args[@]}"
bad 'no credentials' 2 'no AWS credentials' env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN "$mayfly" start "${args[@]}"
bad 'secret that is wrong' 1 'AuthFailure' env AWS_SECRET_ACCESS_KEY=wrong "$mayfly" reap
bad 'no region' 2 'no AWS region' env -u AWS_REGION -u AWS_DEFAULT_REGION "$mayfly" start "${args[@]}"
bad 'name for a role' 2 '--role-arn: `mayfly` is not a role' "$mayfly" reap --role-arn mayfly
bad 'zone for a region' 2 '--region: `us-east-1a` is not the name of an AWS region' "$mayfly" start "${args[@]}" --region us-east-1a
has 'says what it is' "$err" 'hint: this is an availability zone: drop the letter'
bad 'region in capitals' 2 'AWS_REGION: `US-EAST-1` is not the name' env AWS_REGION=US-EAST-1 "$mayfly" reap
has 'says what they look like' "$err" 'hint: regions look like us-east-1'
bad 'port nobody listens on' 75 'no answer from 127.0.0.1:1' env AWS_ENDPOINT_URL=http://127.0.0.1:1 "$mayfly" reap
bad 'endpoint in the clear' 2 'neither https nor a loopback address' env AWS_ENDPOINT_URL=http://10.0.0.1 "$mayfly" reap
bad 'GitHub in the clear' 2 'neither https nor a loopback address' env GITHUB_API_URL=http://10.0.0.1 "$mayfly" reap
bad 'nothing to stop' 2 'nothing to stop is named' "$mayfly" stop
bad 'instance that is none' 2 '`i-x` is not an id' "$mayfly" stop --instance i-x

# As objects, whatever the format of the rest.
run "$mayfly" reap --log-format json --regions mars
expect 'an error as JSON' 2
equal 'it is one object with its hint apart' "$(jq -rs 'map([.level, .message] | join(" ")) | join(";")' <<<"$err")" \
	'error mayfly reap: --regions: `mars` is not the name of an AWS region'
run env GITHUB_ACTIONS=true MAYFLY_LOG_FORMAT=json "$mayfly" reap --regions us-east-1,us-west-2
expect 'what a pass says as JSON' 0
equal 'in GitHub Actions too' "$(jq -rs 'map([.level, (.time | fromdate > 0), .message] | map(tostring) | join(" ")) | join(";")' <<<"$err")" \
	'info true fleet octo/demo: 0 live instances checked, 0 terminated, 0 runner registrations without an instance deleted, 0 leftovers removed'

# Whoever uses the action wrote inputs.
bad 'input that is empty, as of a variable that is not set' 2 'in the configuration file (in the action, --NAME is the input NAME, and an empty one counts as not given)' \
	env INPUT_MODE=start INPUT_TYPES=m7i.large INPUT_IMAGE=ami-0a11ce00000000001 INPUT_SUBNETS= "$mayfly" start
bad 'input by a name that people come with' 2 '--volume-size (input ec2-volume-size): `50GB` is not a number' \
	env INPUT_MODE=start INPUT_EC2_VOLUME_SIZE=50GB "$mayfly" start
bad 'secret that is not set' 2 '(in the action github-token)' env INPUT_MODE=start MAYFLY_GITHUB_TOKEN= INPUT_GITHUB_TOKEN= "$mayfly" start "${args[@]}"
run "$mayfly" start --types m7i.large
equal 'who gave flags hears of no inputs' "$(grep -c 'of the action' <<<"$err")" 0

if [ "$(id -u)" -ne 0 ]; then
	touch "$tmp/secret" && chmod 000 "$tmp/secret"
	bad 'unreadable token file' 2 'Permission denied' "$mayfly" start "${args[@]}" --github-token-file "$tmp/secret"
else
	install -m 000 /dev/null "$tmp/secret" && chmod 711 "$tmp"
	if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$mayfly" 2>/dev/null; then
		bad 'unreadable token file' 2 'Permission denied' setpriv --reuid 65534 --regid 65534 --clear-groups \
			"$mayfly" start "${args[@]}" --github-token-file "$tmp/secret"
	else
		echo "skip - unreadable token file: another user cannot run the build from here"
	fi
fi

printf '[default]\nregoin = us-east-1\n' >"$tmp/typo.ini"
bad 'unknown key of the file' 2 'typo.ini:2: unknown key `regoin`' "$mayfly" start --config "$tmp/typo.ini"
printf 'image = x\n' >"$tmp/none.ini"
bad 'file without a section' 2 'none.ini:1: a key before the first section' "$mayfly" start --config "$tmp/none.ini"
printf '[default]\ngithub-token-file = /etc/shadow\n' >"$tmp/steer.ini"
bad 'file of the workspace that names a token file' 2 'may not be set by a file in the workspace' \
	env GITHUB_WORKSPACE="$tmp" "$mayfly" start --config "$tmp/steer.ini"
bad 'file of a GitLab job' 2 'workspace (it is in $CI_PROJECT_DIR)' env CI_PROJECT_DIR="$tmp" "$mayfly" start --config "$tmp/steer.ini"
bad 'file of a Jenkins job' 2 'workspace (it is in $WORKSPACE)' env WORKSPACE="$tmp" "$mayfly" start --config "$tmp/steer.ini"
mkdir -p "$tmp/repo/.git" "$tmp/repo/.github" "$tmp/repo/mayfly"
cp "$tmp/steer.ini" "$tmp/repo/.github/mayfly.ini"
bad 'file of a work tree, without a variable' 2 'workspace (it is in a work tree' "$mayfly" start --config "$tmp/repo/.github/mayfly.ini"
ln -s "$tmp/repo/.github/mayfly.ini" "$tmp/linked.ini"
bad 'link into a work tree' 2 'workspace (it is in a work tree' "$mayfly" start --config "$tmp/linked.ini"
# Relative directories of configuration would be those of the checkout.
cp "$tmp/steer.ini" "$tmp/repo/mayfly/mayfly.ini"
mkdir -p "$tmp/repo/.config/mayfly" && cp "$tmp/steer.ini" "$tmp/repo/.config/mayfly/mayfly.ini"
for directory in XDG_CONFIG_HOME=. HOME=.; do
	run env -C "$tmp/repo" -u XDG_CONFIG_HOME "$directory" "$mayfly" start --dry-run
	expect "$directory is ignored" 2 err '--types is missing'
done
run "$mayfly" start --dry-run --types m7i.large --regions us-west-2 --volume-kms-key arn:aws:kms:us-east-1:123456789012:key/0a1b
expect 'a key of another region' 2 err 'the KMS key `arn:aws:kms:us-east-1:123456789012:key/0a1b` is not one of us-west-2' err 'alias/NAME'
run "$mayfly" start --dry-run --types m7i.large --regions us-east-1,us-west-2 --block-devices '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":8,"Encrypted":true,"KmsKeyId":"arn:aws:kms:us-west-2:123456789012:key/0a1b"}}]'
expect 'a key of one of two regions' 2 err 'is not one of us-east-1'
run "$mayfly" start --dry-run --types m7i.large --region us-west-2 --volume-kms-key arn:aws:kms:us-east-1:123456789012:key/0a1b
expect 'a key of another region than --region' 2 err 'is not one of us-west-2, where the plan launches' err 'drop us-west-2 from --region'
# Services have no HOME: the file is where the password database says.
if unshare -rm true 2>/dev/null; then
	sed "s|^root:.*|root:x:0:0:root:$tmp/service:/bin/sh|" /etc/passwd >"$tmp/passwd"
	mkdir -p "$tmp/service/.config/mayfly" && printf '[default]\ntypos = 1\n' >"$tmp/service/.config/mayfly/mayfly.ini"
	# shellcheck disable=SC2016 # the inner shell expands them
	run unshare -rm sh -c 'mount --bind "$1" /etc/passwd && shift && exec "$@"' sh "$tmp/passwd" env -u HOME -u XDG_CONFIG_HOME "$mayfly" start --dry-run
	expect 'the file of a user without HOME' 2 err "$tmp/service/.config/mayfly/mayfly.ini" err 'typos'
fi

# Of every option of every command, what the step says as an input counts before the variable, under each of its names.
"$mayfly" --options | jq -r 'select(."flag-only" | not) | .command as $c | .name as $n | [$n] + (.aliases // "" | split(" ") | map(split(":")[0])) | map(select(. != "")) | .[] | [$c // "start", $n, .] | @tsv' >"$tmp/names"
wrong=
while IFS=$'\t' read -r command name key; do
	case $name in config | runner) continue ;; esac # decide what is parsed; tests/unit/check_opts.c has them
	variable=${name//-/_} input=${key//-/_}
	env "MAYFLY_${variable^^}="$'\x01' "INPUT_${input^^}="$'\x02' "$mayfly" "$command" >/dev/null 2>"$tmp/err" </dev/null
	grep -qF -e "--$name (input $key): " -e "--$name (input $key) has no effect" "$tmp/err" || wrong="$wrong $command:$key"
done <"$tmp/names"
equal 'an input wins over the variable, of every option' "$wrong" ''
run env MAYFLY_TYPES=m7i.large INPUT_EC2_INSTANCE_TYPE=t3.nano "$mayfly" start --dry-run --image ami-0a11ce00000000001 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01
expect 'a step says another type than the workflow' 0 out t3.nano
run env MAYFLY_GITHUB_TOKEN=ghp_wrong INPUT_GITHUB_TOKEN="$MAYFLY_GITHUB_TOKEN" "$mayfly" reap
expect 'and another token' 0
printf ghp_wrong >"$tmp/wrong-token"
run env MAYFLY_GITHUB_TOKEN_FILE="$tmp/wrong-token" INPUT_GITHUB_TOKEN="$MAYFLY_GITHUB_TOKEN" "$mayfly" reap
expect 'than a file of the workflow has' 0
run env INPUT_GITHUB_TOKEN="$MAYFLY_GITHUB_TOKEN" "$mayfly" reap --github-token-file "$tmp/wrong-token"
expect 'but a flag that names a file counts' 3 err 'HTTP 401'

# Every option of every command from a file in a checkout: it is taken if --options says so, as --help and
# docs/security.md do, and refused else.
sample() { # OPTION VALUES: a value that it may have there
	case $2,$1 in *'@self'*,places) echo '[{"imageId": "ssm:/x", "subnetId": "subnet-1", "securityGroupId": "sg-1"}]' ;;
	*'@self'*) echo 'ssm:/x' ;; *mf-*) echo mf-x ;; *,count) echo 1 ;; *,order) echo market ;; *,market) echo spot ;;
	lower,*) echo 5m ;; *,volume-type) echo gp3 ;; *,volume-encrypted) echo true ;; *,volume-*) echo 200 ;;
	*,types) echo m7i.large ;; *,region | *,regions) echo us-east-1 ;; *) echo x ;; esac
}
"$mayfly" --options | jq -r '[.command // "start", .name, .checkout, (."flag-only" | tostring), (.aliases // "" | split(" ")[0] // "" | split(":")[0])] | @tsv' >"$tmp/options"
wrong=
while IFS=$'\t' read -r command name checkout flag_only alias; do
	if [ "$flag_only" != false ] || [ "$name" = config ]; then continue; fi
	for key in "$name" $alias; do
		value=$(sample "$name" "$checkout")
		case $key in *-minutes) value=5 ;; esac
		printf '[default]\n%s = %s\n' "$key" "$value" >"$tmp/repo/one.ini"
		"$mayfly" "$command" --config "$tmp/repo/one.ini" >"$tmp/out" 2>"$tmp/err" </dev/null
		refused=no
		! grep -qF "repo/one.ini:2: \`$name\` may not be set by a file in the workspace" "$tmp/err" || refused=yes
		case $checkout,$refused in no,yes) ;; no,no | *,yes) wrong="$wrong $command:$key($checkout)" ;; esac
	done
done <"$tmp/options"
equal 'what a file in a checkout may set is what --options says' "$wrong" ''
equal 'and none of them steers who, what runs, or what is ended' "$(awk -F'\t' '$3 != "no" {print $2}' "$tmp/options" | sort -u | tr '\n' ' ')" \
	'bake-timeout copy-timeout count idle-limit image label labels market max-lifetime order places region regions security-groups subnets timeout types volume-encrypted volume-iops volume-size volume-throughput volume-type '
documented=$(sed -n '/^| option | may be set in a checkout/,/^$/p' "$top/docs/security.md" | sed '1,2d' | cut -d'|' -f2 | grep -o '`[^`]*`' | tr -d '`' | sort | tr '\n' ' ')
equal 'docs/security.md lists them' "$documented" "$(awk -F'\t' '$3 != "no" {print $2}' "$tmp/options" | sort -u | tr '\n' ' ')"
help=$(
	"$mayfly" start --help
	"$mayfly" bake --help
)
equal '--help marks them' "$(sed -n 's/^  --\([a-z0-9-]*\) .* \*$/\1/p' <<<"$help" | sort -u | tr '\n' ' ')" "$documented"
for line in 'max-lifetime = 7h' 'idle-limit = 31m' 'timeout = 11m' 'startup-timeout-minutes = 11' 'count = 2' \
	'image = ami-0a11ce00000000003' 'ec2-image-id = ami-0a11ce00000000003' 'image = name:x-*@123456789012' 'image = name:x-*@amazon' \
	'image = ssm:/aws/service/x' 'image = us-west-2/ami-0a11ce00000000003' 'image = ssm:/x, ami-0a11ce00000000003' \
	'places = [{"imageId": "ami-0a11ce00000000003", "subnetId": "subnet-1", "securityGroupId": "sg-1"}]' \
	'label = self-hosted' 'labels = mf-1, linux'; do
	printf '[default]\n%s\n' "$line" >"$tmp/repo/one.ini"
	bad "checkout: $line" 2 'may not be set by a file in the workspace' "$mayfly" start --config "$tmp/repo/one.ini"
done

# What could not be written is not there.
full() { "$mayfly" "$@" >/dev/full; }
for words in --version --help 'start --help' --options '--manual start' '--completion bash'; do
	# shellcheck disable=SC2086 # words
	bad "mayfly $words on a full disk" 1 'standard output' full $words
done
run "$mayfly" reap --trace /dev/full
expect 'a trace on a full disk is told' 0 err 'warning: not all of the trace could be written'

equal 'nothing was launched' "$(state '[.regions[].instances[]?] | length')" 0
equal 'no runner record is left' "$(state '.runners | length')" 0
exit $((failures > 0))
