#!/usr/bin/env bash
# No secret that a command was given or came by is in anything that it prints or writes, nor its base64; while it runs,
# none is in its arguments, and no core file could hold one.
. "$(dirname "$0")/lib.sh"

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 10s)
key=$tmp/app.pem
work=$tmp/work # all that the commands write is below; what holds secrets by right is not
jits=$tmp/jits
mkdir -p "$work"

# Every secret there is, `NAME VALUE` a line: to add one is to add a line.
secrets() {
	printf 'GitHub-token %s\n' "${MAYFLY_GITHUB_TOKEN-}"
	printf 'AWS-secret-key %s\n' "${AWS_SECRET_ACCESS_KEY-}"
	printf 'AWS-session-token %s\n' "${AWS_SESSION_TOKEN-}"
	[ ! -f "$key" ] || sed -n -e '/^-----/d' -e 's/^/App-key /p' "$key"
	[ ! -f "$key" ] || control GET app | jq -r '.tokens[] | "App-token \(.token)"'
	control GET sources | jq -r '.secrets[] | "AWS-temporary \(.)"'
	[ ! -f "$jits" ] || sed 's/^/JIT-configuration /' "$jits"
}

# The configurations of just-in-time runners, as they reached the instances.
collect_jits() {
	local id
	for id in $(state '.regions[].instances[].id'); do
		control GET "instances/$id/user-data" | sed -n "s/^MAYFLY_JIT='\(.*\)'$/\1/p" >>"$jits"
	done
	sort -u -o "$jits" "$jits"
}

# A secret's base64 as it is inside that of a longer text, whatever comes before it.
shadows() {
	local value=$1 skip
	for skip in 0 1 2; do
		printf '%s' "${value:skip:$(((${#value} - skip) / 3 * 3))}" | base64 -w0
		printf '\n'
	done
}

# leaks DIR: which secret is in which file.
leaks() {
	local name value
	while read -r name value; do
		[ ${#value} -ge 16 ] || continue
		printf '%s\n' "$value"
		shadows "$value"
	done < <(secrets) >"$tmp/patterns"
	if grep -rqaF -f "$tmp/patterns" "$1"; then
		while read -r name value; do
			[ ${#value} -ge 16 ] || continue
			(printf '%s\n' "$value" && shadows "$value") >"$tmp/patterns"
			grep -rlaF -f "$tmp/patterns" "$1" | sed "s|^|$name in |"
		done < <(secrets)
	fi
	# The App's own short-lived token, which nobody can know beforehand.
	grep -rlaE 'eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.' "$1" | sed 's/^/a JSON web token in /'
}

# guarded NAME COMMAND…: runs it in a directory of its own, with everything on that writes, and looks at all of it.
runs=0
guarded() {
	local name=$1 dir=$work/$((++runs)) found
	shift
	mkdir -p "$dir/home"
	(
		cd "$dir" || exit
		HOME=$dir/home GITHUB_OUTPUT=$dir/output GITHUB_STEP_SUMMARY=$dir/summary "$@" >"$dir/stdout" 2>"$dir/stderr"
	)
	status=$? out=$(cat "$dir/stdout") err=$(cat "$dir/stderr")
	collect_jits
	found=$(leaks "$dir")
	if [ -s "$dir/stderr" ] || [ -s "$dir/stdout" ]; then
		equal "$name: nothing leaks" "$found" ''
	else
		not_ok "$name: nothing leaks" 'it printed nothing at all'
	fi
}
loud=(--verbose --trace trace)

# everything NAME ACTION…: each command, well and ill; the actions are those that fail.
everything() {
	local who=$1 secret
	shift
	guarded "$who: start" "$mayfly" start "${args[@]}" "${loud[@]}" --label l1
	expect "$who: start works" 0
	guarded "$who: start, as a step" env GITHUB_ACTIONS=true "$mayfly" start "${args[@]}" "${loud[@]}" --label l2 --json
	expect "$who: start works as a step" 0
	guarded "$who: dry run" "$mayfly" start "${args[@]}" "${loud[@]}" --dry-run
	guarded "$who: doctor" "$mayfly" doctor "${args[@]}" "${loud[@]}"
	guarded "$who: doctor as JSON" "$mayfly" doctor "${args[@]}" "${loud[@]}" --json
	guarded "$who: policy" "$mayfly" policy start stop reap "${loud[@]}"
	guarded "$who: stop" "$mayfly" stop --label l1 "${loud[@]}"
	guarded "$who: status" "$mayfly" status "${loud[@]}"
	guarded "$who: status as JSON" "$mayfly" status --json --log-format json "${loud[@]}"
	guarded "$who: reap" "$mayfly" reap --lock lock --metrics metrics "${loud[@]}"
	guarded "$who: reap as JSON" "$mayfly" reap --json "${loud[@]}"
	guarded "$who: usage" "$mayfly" start "${args[@]}" --nonsense
	# Servers that fail, and repeat what they were sent.
	secret="{authorization} ${MAYFLY_GITHUB_TOKEN-} $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN"
	for action in "$@"; do
		control PUT faults "$(jq -cn --arg a "$action" --arg m "no: $secret" \
			'[{service: "*", action: $a, fault: "unauthorized", status: 403, code: "AccessDenied", message: $m, times: 0}]')" >/dev/null
		guarded "$who: start, $action echoes" "$mayfly" start "${args[@]}" "${loud[@]}" --label l3
		guarded "$who: doctor, $action echoes" "$mayfly" doctor "${args[@]}" "${loud[@]}"
		guarded "$who: reap, $action echoes" "$mayfly" reap "${loud[@]}"
		guarded "$who: status, $action echoes" "$mayfly" status "${loud[@]}"
	done
	# EC2 repeats what is wrong, and that may be the user-data: whole, as it was sent, cut anywhere, in JSON. The
	# simulator refuses it after the launch, so that it can be asked which configuration that was.
	for echoed in '{UserData}' '{body}' '{UserData:700}' '{UserData:1333}' '{body:2500}' '{\"u\":\"{UserData}\"}'; do
		control PUT faults "$(jq -cn --arg m "Value ($echoed) for parameter userData is invalid" \
			'[{service: "ec2", action: "RunInstances", fault: "error", status: 400, code: "InvalidParameterValue", message: $m, times: 0, when: "after"}]')" >/dev/null
		guarded "$who: start, user-data refused as $echoed" env GITHUB_ACTIONS=true "$mayfly" start "${args[@]}" "${loud[@]}" --label l5
		equal "$who: it fails" "$((status != 0))" 1
		has "$who: it says what of" "$err" 'for parameter userData is invalid'
	done
	for echoed in '{body}' '{body:60}'; do
		control PUT faults "$(jq -cn --arg m "no: $echoed {authorization}" \
			'[{service: "github", action: "generate-jitconfig", fault: "error", status: 422, message: $m, times: 0}]')" >/dev/null
		guarded "$who: start, GitHub repeats $echoed" "$mayfly" start "${args[@]}" "${loud[@]}" --label l6
	done
	control DELETE faults >/dev/null
	guarded "$who: stop, all that can be echoed" "$mayfly" stop --label l2 "${loud[@]}"
	control DELETE faults >/dev/null
	guarded "$who: stop at the end" "$mayfly" stop --label l2 "${loud[@]}"
}

# running: arguments, limits and owner of a process that waits for an answer of GitHub.
running() {
	local name=$1 pid i found
	shift
	control PUT faults '[{"service":"github","action":"generate-jitconfig","fault":"hold","when":"after","times":1}]' >/dev/null
	"$@" >"$tmp/out" 2>&1 &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		[ "$(control GET held | jq length)" = 1 ] && break
		sleep 0.05
	done
	mkdir -p "$tmp/proc"
	cat /proc/[0-9]*/cmdline >"$tmp/proc/cmdline" 2>/dev/null
	has "$name: the arguments are seen" "$(tr '\0' ' ' <"$tmp/proc/cmdline")" '--label held'
	found=$(leaks "$tmp/proc")
	equal "$name: none in any arguments" "$found" ''
	equal "$name: no core file" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")" '0 0'
	if [ "$(id -u)" = 0 ]; then
		printf 'skip - %s: nobody of the same user may look into it: root may look into everything\n' "$name"
	else
		equal "$name: nobody of the same user may look into it" "$(stat -c %U "/proc/$pid/environ")" root
	fi
	kill -TERM "$pid"
	wait "$pid"
	control DELETE faults >/dev/null
	control POST release '{"drop":true}' >/dev/null
}

# The test itself: what it must find, it finds.
start_sim --instances model --boot 50 --online 50 --terminate-delay 20
mkdir "$tmp/planted"
printf 'x%sy' "$AWS_SECRET_ACCESS_KEY" >"$tmp/planted/plain"
printf 'ab%scd' "$MAYFLY_GITHUB_TOKEN" | base64 -w0 >"$tmp/planted/encoded"
printf 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA.x' >"$tmp/planted/jwt"
equal 'what is planted is found' "$(leaks "$tmp/planted" | sed 's|/.*/||' | sort | paste -sd, -)" \
	'AWS-secret-key in plain,GitHub-token in encoded,a JSON web token in jwt'

everything token RunInstances DescribeInstances DescribeImages GetCallerIdentity generate-jitconfig list-runners downloads
for fault in garbage cut; do # an answer with a configuration in it that cannot be read
	control PUT faults "[{\"service\":\"github\",\"action\":\"generate-jitconfig\",\"fault\":\"$fault\",\"times\":0}]" >/dev/null
	guarded "start, $fault" "$mayfly" start "${args[@]}" "${loud[@]}" --label l4
done
control DELETE faults >/dev/null
equal 'configurations were seen' "$(($(wc -l <"$jits") >= 2))" 1
ulimit -c unlimited 2>/dev/null || ulimit -c 1000 # the program forbids itself what is allowed here
running token "$mayfly" start "${args[@]}" --label held

unset MAYFLY_GITHUB_TOKEN
start_sim --instances model --boot 50 --online 50 --terminate-delay 20 --app-key "$key"
everything App get-runner generate-jitconfig list-runners get-installation create-token
equal 'tokens of the App were seen' "$(($(secrets | grep -c App-token) >= 2))" 1
running App env -u MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY="$(cat "$key")" "$mayfly" start "${args[@]}" --label held

rm "$key"
# AWS credentials that are fetched: what a container and STS gave, and what they were shown for it.
start_sim --instances model --boot 50 --online 50 --terminate-delay 20
settings() { control GET sources | jq -r ".$1 | to_entries[] | \"\(.key)=\(.value)\""; }
unset MAYFLY_APP_ID MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
# shellcheck disable=SC2034 # by name, below
readarray -t container < <(settings container)
# shellcheck disable=SC2034
readarray -t oidc < <(settings oidc)
role=arn:aws:iam::123456789012:role/ci
for source in container oidc; do
	declare -n variables=$source
	more=()
	[ "$source" = container ] || more=(--role-arn "$role")
	guarded "$source: doctor" env "${variables[@]}" "$mayfly" doctor --credentials "${more[@]}" "${loud[@]}"
	expect "$source: doctor works" 0
	guarded "$source: start" env "${variables[@]}" "$mayfly" start "${args[@]}" "${more[@]}" "${loud[@]}" --label "$source"
	expect "$source: start works" 0
	for action in AssumeRoleWithWebIdentity 'GET /oidc/token' 'GET /credentials/container' DescribeInstances; do
		control PUT faults "$(jq -cn --arg a "$action" --arg m "no: {authorization} $(control GET sources | jq -r '.secrets[:2] | join(" ")')" \
			'[{service: "*", action: $a, fault: "unauthorized", status: 403, code: "AccessDenied", message: $m, times: 0}]')" >/dev/null
		guarded "$source: stop, $action echoes" env "${variables[@]}" "$mayfly" stop --label "$source" "${more[@]}" "${loud[@]}"
	done
	control DELETE faults >/dev/null
done
equal 'temporary credentials were seen' "$(($(secrets | grep -c AWS-temporary) >= 6))" 1
[ "$failures" -eq 0 ]
