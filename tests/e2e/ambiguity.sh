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
exit $((failures > 0))
