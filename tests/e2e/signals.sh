#!/usr/bin/env bash
# Signals and limits of time, whatever hangs: what is launched and known is terminated within seconds.
. "$(dirname "$0")/lib.sh"
start_sim --instances model --boot 200 --online 600000 --terminate-delay 50

args=(--image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
live='[.regions[].instances[]? | select(.state == "pending" or .state == "running")] | length'
hang() { printf '{"service":"%s","action":"%s","fault":"hang","times":0}' "$1" "$2"; }
forget() {
	control DELETE faults >/dev/null
	control DELETE log >/dev/null
}

until_held() { # N: so many requests hang
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(control GET held | jq length)" -lt "$1" ] || return 0
		sleep 0.05
	done
}

# ended_within MS NAME: TerminateInstances was asked for as often as there are instances, and then the command ended.
ended_within() {
	local began i
	began=$(date +%s%3N)
	for ((i = 0; i < $1 / 50; i++)); do
		[ "$(state "$live")" -gt 0 ] || break
		sleep 0.05
	done
	equal "$2: no instance is left within $1 ms" "$(state "$live")" 0
	ended
	i=$(($(date +%s%3N) - began))
	if [ $i -le 8500 ]; then ok "$2: it ends in time"; else not_ok "$2: it ends in time" "$i ms"; fi
}

# --- a start, and then GitHub or a part of AWS is silent ---
# signalled NAME FAULTS COUNT [OPTION…]
signalled() {
	local name=$1 faults=$2 count=$3
	shift 3
	forget
	in_background "$mayfly" start "${args[@]}" --timeout 5m --count "$count" "$@"
	until_asked RunInstances "$count" && until_asked 'get-runner\|list-runners' 2
	control PUT faults "[$faults]" >/dev/null
	kill -TERM "$background_pid"
	ended_within 3500 "$name"
	expect "$name: and says why" 1 err 'interrupted by a signal'
}
signalled 'GitHub hangs' "$(hang github '*')" 1
signalled 'GitHub hangs, three instances' "$(hang github '*')" 3
signalled 'all of AWS that is asked beside' "$(hang ec2 'Describe.*'),$(hang sts '*')" 1
start_sim --instances model --boot 200 --online 600000 --terminate-delay 50 --app-key "$tmp/key.pem"
unset MAYFLY_GITHUB_TOKEN
signalled "an App's tokens" "$(hang github '*')" 1
unset MAYFLY_APP_ID MAYFLY_APP_KEY_FILE
start_sim --instances model --boot 200 --online 600000 --terminate-delay 50

# --- other signals: those that end a process are undone, those that mean nothing here do nothing ---
in_background "$mayfly" start "${args[@]}" --timeout 5m
until_asked get-runner 2
for signal in USR1 USR2 PIPE XFSZ TTIN TTOU IO STKFLT RTMIN RTMAX; do kill -"$signal" "$background_pid"; done
n=$(asked get-runner)
until_asked get-runner $((n + 2))
check 'signals that mean nothing do nothing' kill -0 "$background_pid"
kill -QUIT "$background_pid"
ended
expect 'SIGQUIT is undone' 1 err 'interrupted by a signal'
equal 'SIGQUIT: nothing is left' "$(state "$live")" 0
for signal in XCPU ALRM VTALRM PROF PWR; do
	forget
	in_background "$mayfly" start "${args[@]}" --timeout 5m
	until_asked get-runner
	kill -"$signal" "$background_pid"
	ended
	expect "SIG$signal is undone" 1 err 'interrupted by a signal'
	equal "SIG$signal: nothing is left" "$(state "$live")" 0
done
forget
head -c 3900 /dev/zero | tr '\0' x >"$tmp/output" # the label fits behind it, the rest does not
in_background bash -c 'ulimit -f 4; GITHUB_OUTPUT=$1 exec "${@:2}"' - "$tmp/output" "$mayfly" start "${args[@]}" --timeout 5m
ended
expect 'an output file that may not grow' 1 err 'File too large'
equal 'is undone' "$(state "$live")" 0

# --- what a parent leaves behind: dispositions, closed descriptors, a limit of the size of files ---
forget
cat >"$tmp/give-keys" <<END
#!/bin/sh
grep '^Sig[BI]' /proc/self/status >"$tmp/dispositions"
echo '{"Version":1,"AccessKeyId":"$AWS_ACCESS_KEY_ID","SecretAccessKey":"$AWS_SECRET_ACCESS_KEY","SessionToken":"$AWS_SESSION_TOKEN"}'
END
chmod +x "$tmp/give-keys"
printf '[default]\ncredential_process = %s\n' "$tmp/give-keys" >"$tmp/config"
run env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_CONFIG_FILE="$tmp/config" python3 -c 'import os, signal, sys
for s in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, signal.SIGXFSZ):
    signal.signal(s, signal.SIG_IGN)
for s in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # a helper inherits these: they are ignored under nohup and by &
    signal.signal(s, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR2, signal.SIGALRM))
os.execv(sys.argv[1], sys.argv[1:])' "$mayfly" stop --label none
expect 'signals that the parent ignored or blocked' 0
ignored=0x$(sed -n 's/^SigIgn:[[:space:]]*//p' "$tmp/dispositions") blocked=0x$(sed -n 's/^SigBlk:[[:space:]]*//p' "$tmp/dispositions")
equal 'a credential_process has none of them ignored or blocked' "$((ignored & ~0x180000000)) $((blocked))" '0 0' # 32 and 33 are of libc
for closed in 0 1 2 '0 1 2'; do
	forget
	run bash -c 'for fd in $1; do eval "exec $fd>&-"; done; exec "${@:2}"' - "$closed" \
		env GITHUB_OUTPUT="$tmp/output" "$mayfly" stop --label none --trace "$tmp/trace"
	equal "descriptors $closed are closed: stop does its work" "$status $(($(asked DescribeInstances) > 0))" '0 1'
done
if grep -qv '^{' "$tmp/trace"; then
	not_ok 'nothing is written to what took the place of a closed one' "$(cat "$tmp/trace")"
else
	ok 'nothing is written to what took the place of a closed one'
fi

# --- the answer to one RunInstances of three hangs; the other two are known ---
forget
control PUT faults "[$(hang ec2 RunInstances | sed 's/"times":0/"times":1,"skip":2/')]" >/dev/null
in_background "$mayfly" start "${args[@]}" --timeout 5m --count 3
until_asked RunInstances 2 && until_held 1
kill -TERM "$background_pid"
ended_within 3500 'an answer of RunInstances hangs'
expect 'an answer of RunInstances hangs: it is named' 1 err 'interrupted by a signal' err 'that may exist (client token mf-'

# --- a label that others may use: what may run a job stays, what has not booted goes ---
forget
in_background "$mayfly" start "${args[@]}" --timeout 5m --label mine
until_asked get-runner 4
control PUT faults "[$(hang github '*')]" >/dev/null
kill -TERM "$background_pid"
ended
expect 'a label of its own, and GitHub hangs: it may run a job' 1 err 'interrupted by a signal' err 'may run a job and was left alone'
equal 'so it stays' "$(state "$live")" 1
forget
run "$mayfly" stop --label mine
equal 'until it is stopped by name' "$(state "$live")" 0
start_sim --instances model --boot 600000 --terminate-delay 50
in_background "$mayfly" start "${args[@]}" --timeout 5m --label mine
until_asked get-runner 4
control PUT faults "[$(hang github '*')]" >/dev/null
kill -TERM "$background_pid"
ended_within 3500 'a label of its own, and the instance is pending'

# --- stop ---
start_sim --instances model --boot 200 --online 200 --terminate-delay 50
forget
run "$mayfly" start "${args[@]}" --label one --timeout 30s
expect 'one is there' 0 out 'ec2-instance-id=i-'
control PUT faults "[$(hang github '*')]" >/dev/null
in_background "$mayfly" stop --label one
until_held 1
kill -TERM "$background_pid"
ended_within 3500 'stop, and GitHub hangs'
forget
run "$mayfly" start "${args[@]}" --label two --timeout 30s
control PUT faults "[$(hang ec2 DescribeInstances | sed 's/}$/,"match":{"region":"us-west-2"}}/')]" >/dev/null
in_background "$mayfly" stop --label two --regions us-east-1,us-west-2
until_asked DescribeInstances && until_held 1
kill -TERM "$background_pid"
ended_within 3500 'stop, and another region hangs'
forget
export GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=1
run "$mayfly" start "${args[@]}" --timeout 30s
control PUT faults "[$(hang github '*')]" >/dev/null
in_background "$mayfly" stop
until_held 1
kill -TERM "$background_pid"
ended
expect 'stop by the run, and GitHub hangs: what may run a job stays' 1 err 'interrupted by a signal'
equal 'and is there' "$(state "$live")" 1
exit $((failures > 0))
