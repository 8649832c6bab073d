#!/usr/bin/env bash
# mayfly bake: a whole bake, every way in which it can end badly, and what the reaper finds after one that was killed.
. "$(dirname "$0")/lib.sh"

where=(--subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
quick=(--instances model --boot 50 --bake 200 --image-delay 50 --terminate-delay 20)
alive='[.regions[].instances[] | select(.state != "terminated" and .state != "shutting-down") | .id] | length'
ours='.regions["us-east-1"] | [(.images + .snapshots)[] | select(.tags["mayfly:fleet"] == "octo/demo")]'
images='.regions["us-east-1"].images | [.[] | select(.tags["mayfly:fleet"] == "octo/demo")]'

parameter() { control GET ssm | jq -r --arg name "$1" '.[] | select(.region == "us-east-1" and .name == $name) | .value'; }
nothing_left() { # NAME
	equal "$1" "$(state "$alive") live instances, $(state "$ours | length") of image and snapshots, published $(parameter /mayfly/ami/amd64)" \
		'0 live instances, 0 of image and snapshots, published ami-0a11ce00000000003'
}
background() { in_background "$mayfly" bake amd64 "${where[@]}"; }

# --- a whole bake ----------------------------------------------------------------------------------------------------
start_sim "${quick[@]}"
run "$mayfly" bake amd64 "${where[@]}" --dry-run
expect 'a rehearsal' 0 out 'steps: base docker runner agent prune seal' out 'from: ami-0a11ce00000000001 ubuntu/' out '1. m7i.large in subnet-0a11ce01' out 'of 16384 bytes' out 'runner: 2.' out 'kept of this name: 3, older ones deprecated after 1d'
equal 'launches nothing' "$(asked 'RunInstances\|PutParameter\|CreateImage')" 0
run "$mayfly" bake amd64 "${where[@]}" --dry-run --json
equal 'and tells the same as JSON' "$(jq -c '[.name, .source, (.plan | length), (."user-data-bytes" > 4000)]' <<<"$out")" '["amd64","ami-0a11ce00000000001",4,true]'

export GITHUB_OUTPUT=$tmp/output GITHUB_STEP_SUMMARY=$tmp/summary GITHUB_RUN_ID=77 GITHUB_SHA=0123abc
: >"$GITHUB_OUTPUT"
run "$mayfly" bake amd64 "${where[@]}" --share 210987654321 --tags team=ci
unset GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_RUN_ID GITHUB_SHA
expect 'a bake' 0 err 'builder: bake-docker' err 'image: available' err 'smoke: kernel' err 'image: published'
id=$(state "${images}[0].id")
equal 'its outputs' "$(grep -A1 -h '^image-id<<\|^previous-image-id<<\|^parameter<<' "$tmp/output" | grep -v '<<\|^--' | paste -sd ' ')" "$id ami-0a11ce00000000003 /mayfly/ami/amd64"
has 'its summary' "$(cat "$tmp/summary")" "| \`$id\` |"
equal 'it is published, what was before is kept' "$(parameter /mayfly/ami/amd64) $(parameter /mayfly/ami/amd64/previous)" "$id ami-0a11ce00000000003"
equal 'nothing runs' "$(state "$alive")" 0
equal 'image and snapshot say what they are of' "$(state "$ours | map(.tags | [.\"mayfly:role\", .\"mayfly:name\", .\"mayfly:run\", .\"mayfly:commit\", .\"mayfly:limits\", .team] | map(. // \"-\") | join(\" \")) | unique | .[]")" 'bake amd64 77/1 0123abc - ci'
has 'and of what' "$(state "${images}[0].tags[\"mayfly:source\"]")" 'ami-0a11ce00000000001 ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-'
has 'the image knows its runner' "$(state "${images}[0].tags[\"mayfly:runner-version\"]")" '2.'
equal 'its root volume has the size asked for' "$(state "${images}[0].size")" 20
equal 'shared' "$(state "${images}[0].shared | join(\",\")")" 210987654321
builder=$(state '.regions["us-east-1"].instances[] | select(.tags["mayfly:role"] == "bake") | .id')
equal 'a builder stops by itself, a smoke boot terminates; both want session tokens' \
	"$(state '[.regions["us-east-1"].instances[] | .tags["mayfly:role"] + " " + .on_shutdown + " " + .metadata_options.tokens] | sort | join(", ")')" \
	'bake stop required, smoke terminate required'
curl -sS "$url/_sim/instances/$builder/user-data" | gunzip >"$tmp/script"
check 'its user-data is a script' sh -n "$tmp/script"
has 'which has the nonce' "$(cat "$tmp/script")" "export MAYFLY_NONCE='"
run "$mayfly" start --image ssm:/mayfly/ami/amd64 --types m7i.large "${where[@]}" --dry-run
expect 'start takes the new image' 0 out "image $id"

# --- older images ------------------------------------------------------------------------------------------------------
for i in 1 2 3; do
	"$mayfly" bake amd64 "${where[@]}" --no-smoke --keep 2 >/dev/null 2>"$tmp/err" || not_ok "bake $i" "$(cat "$tmp/err")"
	control POST clock '{"advance_seconds": 60}' >/dev/null
done
equal 'older ones go, with their snapshots' "$(state "$ours | length") $(state "$images | length")" '4 2'
has 'and that is told' "$(cat "$tmp/err")" ' goes'
equal 'the newest is published, the one before too' "$(parameter /mayfly/ami/amd64) $(parameter /mayfly/ami/amd64/previous)" "$(state "$images | sort_by(.created) | reverse | map(.id) | join(\" \")")"
has 'the older one is deprecated' "$(cat "$tmp/err")" "$(parameter /mayfly/ami/amd64/previous) is deprecated from "
equal 'from a day later on, to the minute; the new one is not' \
	"$(state "$images | sort_by(.created) | map(if .deprecated == 0 then \"never\" else (.deprecated / 60000 | floor == .) and (.deprecated - .created | . > 86100000 and . < 86580000 + 120000) end) | join(\" \")")" 'true never'
old=$(state "$images | sort_by(.created)[0].deprecated")
run "$mayfly" bake amd64 "${where[@]}" --no-smoke --keep 0 --deprecate-after 0
expect 'nothing is deprecated or removed if so asked' 0
equal 'and nothing is' "$(state "$images | sort_by(.created) | map(.deprecated) | join(\" \")")" "$old 0 0"
control PUT faults '{"service": "ec2", "action": "EnableImageDeprecation", "fault": "unauthorized"}' >/dev/null
control POST clock '{"advance_seconds": 60}' >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --no-smoke --keep 4
expect 'what may not be deprecated is told' 3 err 'could not be deprecated: ' err 'ec2:EnableImageDeprecation' err 'of `mayfly policy bake` allows it' err 'image: published'
control POST clock '{"advance_seconds": 60}' >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --no-smoke --keep 3 --deprecate-after 30d
expect 'the next bake does it' 0 err ' is deprecated from '
equal 'once, and the date of others stays' "$(asked EnableImageDeprecation) $(state "$images | map(.deprecated) | map(select(. == 0)) | length")" '6 1'

# --- recipes of one's own ------------------------------------------------------------------------------------------------
printf 'apt-get install hello\nE\303\251\nEND-x\ncat <<END\n$(false) `false`\nEND' >"$tmp/tools.sh"
run "$mayfly" bake "$tmp/tools.sh" --base arm64 --with go,"$tmp/tools.sh" "${where[@]}" --parameter none --volume-size 50
expect 'a recipe of one'"'"'s own on top of ours' 0 err 'builder: bake-own-2' err 'builder: bake-go' out 'parameter='
equal 'by its own name, on its own architecture' "$(state "${images}[] | select(.tags[\"mayfly:name\"] == \"tools\") | .architecture")" arm64
builder=$(state '.regions["us-east-1"].instances[] | select(.tags["mayfly:role"] == "bake" and .tags["mayfly:name"] == "tools") | .id')
equal 'it arrives as it is' "$(curl -sS "$url/_sim/instances/$builder/user-data" | gunzip | sed -n '/^cat >steps\/own-2.sh/,/^%END-.\{26\}$/p' | sed '1d;$d')" "$(cat "$tmp/tools.sh")"
printf 'a\0b' >"$tmp/nul.sh"
: >"$tmp/empty.sh"
head -c 40000 /dev/urandom | base64 >"$tmp/large.sh"
head -c 80000 /dev/zero | tr '\0' x >"$tmp/huge.sh"
for case in "nul.sh|has a NUL byte in it" "empty.sh|is empty" "huge.sh|65536" "none.sh|none.sh" "large.sh|EC2 takes 16384"; do
	run "$mayfly" bake "$tmp/${case%%|*}" "${where[@]}"
	expect "a recipe that cannot be: ${case%%|*}" 2 err "${case#*|}"
done
has 'one that is too large can be fetched' "$err" 'hint: write it with --payload FILE'
run "$mayfly" bake "$tmp/large.sh" --payload "$tmp/payload"
expect 'a payload in a file' 0 out '--payload-sha256 '
equal 'has this SHA-256' "$(awk '/sha256/ { print $2 }' <<<"$out")" "$(sha256sum <"$tmp/payload" | cut -d' ' -f1)"
run "$mayfly" bake "$tmp/large.sh" "${where[@]}" --parameter none --no-smoke --payload-url 'https://example.com/p?X-Amz-Signature=a' --payload-sha256 "$(sha256sum <"$tmp/payload" | cut -d' ' -f1)"
expect 'a payload from elsewhere' 0 err 'builder: bake-own-1'

# --- mistakes ------------------------------------------------------------------------------------------------------------
before=$(asked RunInstances)
mistake() { # NAME STATUS TEXT ARGUMENT…
	local name=$1 want=$2 text=$3
	shift 3
	run "$mayfly" bake "$@"
	expect "$name" "$want" err "$text"
}
mistake 'no image' 2 'no image is named'
mistake 'two images' 2 'more than one image' amd64 arm64
mistake 'an unknown image' 2 'unknown recipe `amd`' amd "${where[@]}"
mistake 'an unknown step' 2 'unknown step `rust`' amd64 --with rust "${where[@]}"
mistake 'a name that is none' 2 'is not a valid image name' './a b.sh' "${where[@]}"
mistake 'no subnet' 2 '--subnets is missing' amd64
for option in subnets=subnet-0a11ce21 security-groups=sg-0a11ce21 source-image=ami-0a11ce00000002001; do
	mistake "--${option%%=*} of another region" 2 "--${option%%=*} names the region us-west-2, and the bake is in us-east-1" amd64 "${where[@]}" "--${option%%=*}" "us-west-2/${option#*=}"
	has 'which has to be the one of the bake' "$err" "hint: give --${option%%=*} in us-east-1 only, or --region us-west-2 to bake there"
done
run "$mayfly" bake amd64 --region us-west-2 --subnets us-west-2/subnet-0a11ce21 --security-groups us-west-2/sg-0a11ce21 --dry-run
expect 'it may be named' 0 out 'in subnet-0a11ce21'
mistake 'a type of another architecture' 2 'm7g.large is arm64' amd64 "${where[@]}" --types m7g.large
for parameter in amd64 /aws/x /AwsImages/x /ssm-x / /mayfly/ami/ /mayfly//amd64 '/mayfly/a b' /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15; do
	mistake "a parameter that SSM does not take: $parameter" 2 'is not the name of a parameter' amd64 "${where[@]}" --parameter "$parameter"
done
mistake 'an account that is none' 2 'is not an account' amd64 "${where[@]}" --share 1
mistake 'a deprecation that never comes' 2 'is not a duration' amd64 "${where[@]}" --deprecate-after never
mistake 'a payload without a checksum' 2 'must be given together' amd64 "${where[@]}" --payload-url https://example.com/p
mistake 'a payload without TLS' 2 'is not https' amd64 "${where[@]}" --payload-url http://example.com/p --payload-sha256 "$(printf x | sha256sum | cut -d' ' -f1)"
mistake 'a checksum that is none' 2 '64 hexadecimal digits' amd64 "${where[@]}" --payload-url https://example.com/p --payload-sha256 "'; reboot"
mistake 'an image that is not there' 2 'there is no image' amd64 "${where[@]}" --source-image name:none-*@self
GITHUB_REPOSITORY='' run "$mayfly" bake amd64 "${where[@]}"
expect 'nobody knows whose it would be' 2 err 'no fleet' err 'hint: give --repo'
equal 'and nothing was launched' "$(asked RunInstances)" "$before"
MAYFLY_GITHUB_TOKEN='' run "$mayfly" bake amd64 "${where[@]}" --dry-run
expect 'without a token the runner is the one of ami/versions' 0 out "runner: $(sed -n 's/^RUNNER_VERSION=//p' "$top/ami/versions")" err 'no GitHub token'
control PUT faults '{"service": "github", "action": "downloads", "fault": "error", "status": 403}' >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --dry-run
expect 'and where GitHub does not say' 0 out "runner: $(sed -n 's/^RUNNER_VERSION=//p' "$top/ami/versions")" err 'warning: could not find the latest runner version'

# --- bad ends: all is undone ---------------------------------------------------------------------------------------------
bad_end() { # NAME FAULTS STATUS TEXT [TEXT]
	control POST reset >/dev/null
	control PUT faults "$2" >/dev/null
	run "$mayfly" bake amd64 "${where[@]}" --bake-timeout 5s
	expect "$1" "$3" err "$4" err "${5-$4}"
	nothing_left "$1: nothing is left"
}
builder_fault() { printf '{"service": "builder", "action": "%s", "fault": "%s", "message": "no such package"}' "$1" "$2"; }
bad_end 'a step fails' "$(builder_fault docker error)" 1 'the builder failed: docker (exit 1)' 'builder: | E: no such package'
bad_end 'the builder is off without a word' "$(builder_fault ok lost)" 1 'the builder is not done'
bad_end 'the builder says another nonce' "$(builder_fault ok garbage)" 1 'the builder is not done'
bad_end 'the builder hangs' "$(builder_fault seal hang)" 1 'the builder is not done after 5 s; it came to bake-seal'
bad_end 'the image fails' "$(builder_fault image error)" 1 'is failed: Client.InternalError'
bad_end 'the smoke boot fails' "$(builder_fault smoke error)" 1 'the smoke boot failed: smoke (exit 1)'
bad_end 'the smoke boot hangs' "$(builder_fault smoke hang)" 1 'the smoke boot is not done'
ec2_fault() { printf '{"service": "ec2", "action": "%s", "fault": "%s", "times": %s}' "$1" "$2" "${3-1}"; }
bad_end 'no room anywhere' "$(ec2_fault RunInstances capacity 0)" 75 'no cell of the plan has room (4 in it)'
bad_end 'no permission to launch' "$(ec2_fault RunInstances unauthorized)" 1 'ec2:RunInstances' 'of `mayfly policy bake` allows it'
bad_end 'no permission to make an image' "$(ec2_fault CreateImage unauthorized)" 1 'ec2:CreateImage' 'of `mayfly policy bake` allows it'
bad_end 'no permission to untag' "$(ec2_fault DeleteTags unauthorized)" 1 'ec2:DeleteTags' 'of `mayfly policy bake` allows it'
control POST reset >/dev/null
control PUT faults "[$(ec2_fault CreateImage lost), $(ec2_fault RunInstances capacity)]" >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --no-smoke
expect 'no room in the first place, and a lost answer' 0 err 'm7a.large in subnet-0a11ce01'
equal 'make one image all the same' "$(state "$images | length")" 1
before=$(parameter /mayfly/ami/amd64/previous)
control PUT faults '{"service": "ssm", "action": "PutParameter", "fault": "unauthorized", "times": 0, "match": {"Name": "/mayfly/ami/amd64"}}' >/dev/null
control POST clock '{"advance_seconds": 60}' >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --no-smoke
expect 'what may not be published' 1 err 'is proven, but not published in /mayfly/ami/amd64' out 'image-id=ami-'
equal 'stays' "$(state "$images | length")" 2
equal 'and the way back is as it was' "$(parameter /mayfly/ami/amd64/previous)" "$before"
control PUT faults '[{"service": "ssm", "action": "PutParameter", "fault": "lost", "times": 0}, {"service": "ssm", "action": "GetParameter", "fault": "unauthorized", "skip": 2}]' >/dev/null
control POST clock '{"advance_seconds": 60}' >/dev/null
run "$mayfly" bake amd64 "${where[@]}" --no-smoke
expect 'what may be published' 1 err "the image $(parameter /mayfly/ami/amd64) is proven, and /mayfly/ami/amd64 may name it: " out 'image-id=ami-' out 'parameter='
equal 'is there' "$(state "$images | length") $(state "$images | map(.id) | index(\"$(parameter /mayfly/ami/amd64)\") | . != null")" '3 true'

# --- signals and kills ---------------------------------------------------------------------------------------------------
for at in RunInstances GetConsoleOutput CreateImage; do
	for signal in INT TERM; do
		control POST reset >/dev/null
		control POST faults "$(builder_fault smoke hang)" >/dev/null
		background
		check "a bake comes to $at" until_asked "$at"
		began=$SECONDS
		kill -"$signal" "$background_pid"
		ended
		expect "SIG$signal at $at" 1 err 'interrupted by a signal'
		check 'ends it in time' test $((SECONDS - began)) -le 8
		nothing_left "SIG$signal at $at: nothing is left"
	done
done
control POST reset >/dev/null
control PUT faults '{"service": "ssm", "action": "PutParameter", "fault": "hang"}' >/dev/null
in_background "$mayfly" bake amd64 "${where[@]}" --no-smoke
check 'a bake publishes, and nobody answers' until_asked GetParameter 2
sleep 0.5
kill -TERM "$background_pid"
ended
expect 'a signal then' 1 err "hint: the image $(state "${images}[0].id") is proven and stays, and /mayfly/ami/amd64 may name it"
control DELETE faults >/dev/null
for at in RunInstances GetConsoleOutput CreateImage TerminateInstances; do
	control POST reset >/dev/null
	control POST faults "$(builder_fault smoke hang)" >/dev/null
	background
	check "a bake comes to $at" until_asked "$at"
	kill -KILL "$background_pid"
	wait "$background_pid" 2>/dev/null
	run "$mayfly" reap --no-confirm
	case $at in
	CreateImage | TerminateInstances) equal "killed at $at: a bake may still be at it" "$status $(state "$images | length")" '0 1' ;;
	esac
	control POST clock '{"advance_seconds": 7200}' >/dev/null
	run "$mayfly" reap
	sleep 0.1
	nothing_left "killed at $at: the reaper leaves nothing"
done
exit $((failures > 0))
