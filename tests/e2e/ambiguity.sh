#!/usr/bin/env bash
# What the attempts of one operation may have done together: an answer that was lost, and then any other.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 100 --online 200 --terminate-delay 50

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets "subnet-0a11ce01,subnet-0a11ce02" --security-groups sg-0a11ce01 --timeout 60s)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")]'

fault() { control POST faults "$1" >/dev/null; }

# Every start has a volume of a size of its own, by which its faults and its instances are known.
declare -A pids names
size=20
begin() { # NAME FAULT…: a start whose RunInstances meet these, one after the other
	local fault skip=0
	size=$((size + 1)) names[$size]=$1
	shift
	for fault; do
		fault "{\"service\":\"ec2\",\"action\":\"RunInstances\",\"match\":{\"BlockDeviceMapping.1.Ebs.VolumeSize\":\"$size\"},\"skip\":$skip,$fault}"
		skip=1 # the first has gone by; what is skipped counts requests that nothing before it took
	done
	"$mayfly" start "${args[@]}" --volume-size "$size" --trace "$tmp/$size.trace" >"$tmp/$size.out" 2>"$tmp/$size.err" &
	pids[$size]=$!
}
refusal() { printf '"fault":"error","status":%s,"code":"%s","message":"no"' "$1" "$2"; }

# The instance was launched, and what answers the second attempt does not know it.
lost='"fault":"lost"'
for code in 400:VcpuLimitExceeded 500:InsufficientInstanceCapacity 400:InsufficientFreeAddressesInSubnet 401:OptInRequired \
	403:UnauthorizedOperation 400:InvalidParameterValue 400:InvalidSnapshot.NotFound 400:NobodyKnowsThis \
	400:IdempotentParameterMismatch 400:MaxSpotInstanceCountExceeded 403:AuthFailure; do
	begin "an answer that is lost, then ${code#*:}" "$lost" "$(refusal "${code%:*}" "${code#*:}")"
done
begin 'an answer that is lost, then two throttles and a refusal' "$lost" '"fault":"throttle","times":2' "$(refusal 403 UnauthorizedOperation)"
begin 'an answer that is lost, then a failure and no capacity' "$lost" "$(refusal 500 InternalError)" "$(refusal 500 InsufficientInstanceCapacity)"
begin "an answer that is lost, then a proxy's page" "$lost" '"fault":"status","status":403'
begin "a proxy's page in the place of the answer" '"fault":"status","status":403,"when":"after"'
begin 'garbage in the place of the answer' '"fault":"garbage"'
begin 'another request has the token' "$(refusal 400 IdempotentParameterMismatch),\"when\":\"after\""
mismatch=$size
begin 'an answer that is lost, on a connection that was kept' "$lost"
kept=$size
for n in "${!pids[@]}"; do
	wait "${pids[$n]}"
	status=$? out=$(cat "$tmp/$n.out") err=$(cat "$tmp/$n.err")
	expect "${names[$n]}: the instance is found" 0 out 'ec2-instance-id=i-'
	name=$(sed -n 's/^runner-name=//p' <<<"$out" | tail -1)
	ids=$(state "$live | map(select(.tags[\"mayfly:runner\"] == \"$name\")) | map(.id) | join(\" \")")
	equal "${names[$n]}: it is the only one" "$ids" "$(sed -n 's/^ec2-instance-id=//p' <<<"$out" | tail -1)"
done
equal 'as many instances as starts' "$(state "$live | length")" ${#pids[@]}
attempts() { grep -c '"call":"RunInstances"' "$tmp/$1.trace"; }
equal "it counts every attempt that EC2 gets" "$(control GET log | jq '[.[] | select(.action == "RunInstances")] | length')" \
	"$(for n in "${!pids[@]}"; do attempts "$n"; done | paste -sd+ | bc)"
equal 'two where the answer of a kept connection was lost' "$(attempts "$kept")" 2
equal "and one where the token was another request's" "$(attempts "$mismatch")" 1
# What EC2 takes back before its runner came is the same refusal by another door: the next cell is tried.
start_sim --instances model --boot 100 --online 2500 --terminate-delay 50
plan=(--image ami-0a11ce00000000001 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 60s --fallback-label hosted)
taken=()
launch() { # N OPTION…: a start in the background
	"$mayfly" start "${plan[@]}" "${@:2}" >"$tmp/$1.out" 2>"$tmp/$1.err" &
	pids[$1]=$!
}
take() { # N REASON: what the start launched last is ended
	local i id
	for ((i = 0; i < 200; i++)); do
		id=$(sed -n 's/^launched \(i-[0-9a-f]*\).*/\1/p' "$tmp/$1.err" | tail -1)
		[ -z "$id" ] || [[ " ${taken[*]-} " == *" $id "* ]] || break
		sleep 0.05
	done
	taken+=("$id")
	control POST "instances/$id/interrupt" "{\"ms\":0,\"reason\":\"$2\"}" >/dev/null
}
finished() { # N
	wait "${pids[$1]}"
	status=$? out=$(cat "$tmp/$1.out") err=$(cat "$tmp/$1.err")
}
output() { sed -n "s/^$1=//p" <<<"$out" | tail -1; }
pids=()
launch 1 --types m7i.large,m7a.large --market spot,on-demand
launch 2 --types m7i.large,m7a.large
launch 3 --types m7i.large,m7a.large
launch 4 --types m7i.large --market spot,on-demand
launch 5 --types m7i.large,m7a.large
launch 6 --types m7i.large,m7a.large
launch 7 --types m7i.large
launch 8 --types m7i.large,m7a.large --count 3
take 1 Server.SpotInstanceTermination
take 2 Server.InternalError
take 3 Server.InsufficientInstanceCapacity
take 4 Client.VolumeLimitExceeded
take 5 Client.InternalError
take 6 Client.InvalidSnapshot.NotFound
take 7 Server.InsufficientInstanceCapacity
take 8 Server.SpotInstanceTermination
for n in 1 2 3 4; do
	finished $n
	expect "taken back ($n): another cell has room" 0 out 'fallback=false' err 'before its runner came online: ' err '; trying another of the '
	equal "taken back ($n): the output names the other" "$(state ".regions[].instances[]? | select(.id == \"$(output ec2-instance-id)\") | .state")" running
	equal "taken back ($n): two were launched" "$(grep -c '^launched i-' <<<"$err")" 2
	equal "taken back ($n): how an instance ends is told once" "$(grep -c '^an instance terminates itself ' <<<"$err")" 1
done
finished 5
expect 'a volume that cannot be decrypted is final' 1 err 'Client.InternalError' err 'hint: most often a KMS key' err 'kms:CreateGrant' err '`mayfly policy start --volume-kms-key KEY`'
finished 6
expect 'so is a snapshot that is not there' 1 err 'Client.InvalidSnapshot.NotFound' err 'hint: a snapshot of the image'
finished 7
expect 'taken back from the last cell: the label is given away' 0 out 'label=hosted' out 'fallback=true' err 'no cell of the plan has room'
finished 8
expect 'one of three is taken back' 0 out 'fallback=false'
equal 'the other two stay, and four were launched' "$(grep -c '^launched i-' <<<"$err")" 4
equal 'and the outputs name three' "$(output ec2-instance-ids | jq 'length')" 3
equal 'none is left but what the outputs name' "$(state "$live | length")" 7
equal 'nor any runner' "$(state '.runners | length')" 7

# GitHub does not know a runner by its id, again and again, and its job runs: only lists prove that a record is gone.
start_sim --instances model --boot 100 --online 12000 --terminate-delay 50
pids=()
fault '{"service":"github","action":"get-runner","fault":"not-found","times":0}'
fault '{"service":"github","action":"generate-jitconfig","fault":"lost"}'
launch 1 --types m7i.large --label once
launch 2 --types m7i.large
for n in 1 2; do
	finished $n
	expect "a 404 for the runner ($n) is no proof" 0 out 'ec2-instance-id=i-'
done
equal 'a 404 for the runner: both instances live' "$(state "$live | length")" 2
exit $((failures > 0))
