#!/bin/sh
# Tests of ami/boot.sh: in bubblewrap sandboxes, with stand-ins for run.sh and poweroff, and in real systemd boots under
# systemd-nspawn. One line a case: ok, not ok or skip; exit 1 on any "not ok".
# BOOT_SH names another script to test.
# shellcheck disable=SC2016 # the stand-ins are scripts in single quotes
# shellcheck disable=SC2317 # the cases are called by name
# shellcheck disable=SC2015 # "a && b || fail"
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

### Sandbox

# runner TEXT: an image with this run.sh and the user for it
runner() {
	needs_sandbox
	echo 'runner:x:1001:1001::/home/runner:/bin/sh' >>"$d/etc/passwd"
	echo 'runner:x:1001:' >>"$d/etc/group"
	mkdir "$d/opt/actions-runner"
	script "$d/opt/actions-runner/run.sh" "$1"
	chown -R 1001:1001 "$d/opt/actions-runner"
}

# What holds for every end of a machine.
is_off() {
	[ -e "$d/off" ] || fail "the machine stays up"
	same off off
	[ ! -s "$d/left" ] || fail "the JIT configuration is left in $(cat "$d/left")"
	! grep -qF "$jit" "$d/log" || fail "the JIT configuration is in the log"
	! grep -q 'not found\|rror:\|usage' "$d/log" || fail "a command complains"
	[ ! -e "$d/pwned" ] || fail "a value was run by a shell"
}

# boot [NAME=VALUE...]: a machine with these values, from power-on to power-off
boot() {
	user_data "$@" >"$d/user-data"
	sandbox sh /srv/user-data >"$d/log" 2>&1
	is_off
}

# A stand-in that writes down what a runner can see.
look='id -u >/srv/uid
id -nG >/srv/groups
pwd >/srv/pwd
env >/srv/env
cat /proc/[0-9]*/cmdline | tr "\\0" "\\n" >/srv/argv
stat -c "%a %n" /run/mayfly /run/mayfly/boot >/srv/modes 2>/dev/null
[ ! -e "${ACTIONS_RUNNER_HOOK_JOB_STARTED%/*}/boot" ] || echo >/srv/copy'

case_baked() {
	runner "$look"
	boot
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
	same uid 1001
	same pwd /opt/actions-runner
	expect env "^ACTIONS_RUNNER_INPUT_JITCONFIG=$jit\$"
	expect env '^ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1$'
	expect env '^HOME=/home/runner$'
	! grep -E '^(MAYFLY|APT|DEBIAN|RUNNER_ALLOW|SECRET)' "$d/env" >"$d/extra" || fail "in the environment: $(cat "$d/extra")"
	! grep -qF "$jit" "$d/argv" || fail "the JIT configuration is in an argv"
	[ ! -e "$d/copy" ] || fail "the copy of the user-data is still there"
}

case_secrets_before_the_runner() {
	runner true
	boot DEBUG=1 "PRE_RUNNER=$(echo "$look" | base64 -w 0)"
	same uid 0
	expect modes '^700 /run/mayfly$'
	expect modes '^400 /run/mayfly/boot$'
	! grep -qF "$jit" "$d/argv" || fail "the JIT configuration is in an argv"
	! grep -qF "$jit" "$d/env" || fail "the JIT configuration is in the environment of root"
	expect log '^mayfly: debug: .*Linux'
}

case_exit_7() {
	runner 'exit 7'
	boot
	phases 'booting,runner-ready,runner-starting,runner-exited 7,poweroff'
}

case_runner_killed() {
	runner 'kill -KILL $$'
	boot
	phases 'booting,runner-ready,runner-starting,runner-exited 137,poweroff'
}

case_sh_is_bash() {
	runner "$look"
	user_data >"$d/user-data"
	sandbox --ro-bind /bin/bash "$(readlink -f /bin/sh)" sh /srv/user-data >"$d/log" 2>&1
	is_off
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
	expect env "^ACTIONS_RUNNER_INPUT_JITCONFIG=$jit\$"
}

case_root_on_request() {
	runner "$look"
	boot USER=root
	same uid 0
	expect env '^RUNNER_ALLOW_RUNASROOT=1$'
}

# The simulator without bubblewrap: a process of some user, in a directory.
case_unprivileged() {
	runner true
	user_data USER=root >"$d/user-data"
	mkdir -p "$d/root/opt/actions-runner"
	script "$d/root/opt/actions-runner/run.sh" "$look
[ -s \"\${ACTIONS_RUNNER_HOOK_JOB_STARTED%/*}/job\" ] || bash -e \"\$ACTIONS_RUNNER_HOOK_JOB_STARTED\"
cp /srv/root/run/mayfly/job /srv/job
sleep 1"
	chown -R 65534 "$d/root"
	script "$d/bin/poweroff" 'echo off >>/srv/off'
	sandbox --setenv MAYFLY_ROOT /srv/root --setenv HOME /srv setpriv --reuid=65534 --clear-groups \
		sh /srv/user-data >"$d/log" 2>&1
	is_off
	phases 'booting,runner-ready,runner-starting,job-started,runner-exited 0,poweroff'
	same uid 65534
	same pwd /srv/root/opt/actions-runner
	same job 1
	expect env '^HOME=/srv$'
	! grep -q '^MAYFLY\|^RUNNER_ALLOW' "$d/env" || fail "the sandbox shows in the environment"
	[ ! -e "$d/copy" ] || fail "the copy of the user-data is still there"
}

### Installing

# tarball: a runner as GitHub packs it, $d/runner.tar.gz, with its hash in $sha
tarball() {
	mkdir -p "$d/tar/bin"
	script "$d/tar/run.sh" "$look
stat -c %u run.sh bin/* . | sort -u >/srv/owners"
	script "$d/tar/bin/installdependencies.sh" "id -u >/srv/dependencies; ${1:-true}"
	tar -C "$d/tar" -czf "$d/runner.tar.gz" .
	rm -r "$d/tar"
	sha=$(sha256sum <"$d/runner.tar.gz")
	sha=${sha%% *}
}

case_stock_image() {
	needs_sandbox
	have curl || skip "no curl"
	tarball
	echo docker:x:4321: >>"$d/etc/group"
	boot RUNNER_URL=file:///srv/runner.tar.gz RUNNER_SHA256="$sha"
	phases 'booting,runner-download,runner-ready,runner-starting,runner-exited 0,poweroff'
	same dependencies 0
	same uid 1001
	same owners 1001
	same groups 'runner docker'
	expect env '^HOME=/home/runner$'
	[ ! -e "$d/opt/actions-runner/mayfly.tar.gz" ] || fail "the tarball is still there"
	[ "$(stat -c %a "$d/opt/actions-runner")" = 755 ] || fail "the directory has a strange mode"
}

case_failing_dependencies() {
	needs_sandbox
	have curl || skip "no curl"
	tarball 'exit 3'
	boot RUNNER_URL=file:///srv/runner.tar.gz RUNNER_SHA256="$sha"
	expect log '^mayfly: warning: installdependencies.sh: exit 3'
	same uid 1001
}

case_wget_and_loopback() {
	needs_sandbox
	have wget && have python3 || skip "no wget or python3"
	tarball
	user_data RUNNER_URL=http://127.0.0.1:8000/runner.tar.gz RUNNER_SHA256="$sha" >"$d/user-data"
	# No curl: a PATH of links to everything else. No server either, at first: the first try fails.
	mkdir "$d/all"
	find /usr/sbin /usr/bin -maxdepth 1 ! -name curl ! -type d -exec ln -sf -t "$d/all" {} +
	sandbox --setenv PATH /srv/bin:/srv/all --ro-bind /dev/null /usr/bin/curl sh -c '
		(sleep 1; cd /srv; exec python3 -m http.server 8000 --bind 127.0.0.1) >/dev/null 2>&1 &
		exec sh /srv/user-data' >"$d/log" 2>&1
	is_off
	same uid 1001
}

case_wrong_hash() {
	needs_sandbox
	have curl || skip "no curl"
	tarball
	wrong=$(printf '%064d' 0)
	boot RUNNER_URL=file:///srv/runner.tar.gz RUNNER_SHA256="$wrong"
	phases 'booting,runner-download,poweroff'
	expect log "^mayfly: failed: runner (SHA-256 of file:///srv/runner.tar.gz is not $wrong)\$"
	[ ! -e "$d/uid" ] || fail "it was run"
}

case_no_hash() {
	needs_sandbox
	have curl || skip "no curl"
	tarball
	boot RUNNER_URL=file:///srv/runner.tar.gz
	expect log '^mayfly: failed: runner (SHA-256'
	[ ! -e "$d/uid" ] || fail "it was run"
}

case_no_download() {
	needs_sandbox
	have curl || skip "no curl"
	boot RUNNER_URL=file:///srv/nothing
	expect log '^mayfly: failed: runner (file:///srv/nothing: exit 37)$'
}

case_no_runner() {
	needs_sandbox
	boot
	phases 'booting,poweroff'
	expect log '^mayfly: failed: runner (no run.sh in /opt/actions-runner and no URL to get it from)$'
}

case_other_owner() {
	runner "$look"
	echo 'other:x:1234:1234::/home/other:/bin/sh' >>"$d/etc/passwd"
	echo 'other:x:1234:' >>"$d/etc/group"
	boot USER=other
	same uid 1234
	[ "$(stat -c %u "$d/opt/actions-runner")" = 1234 ] || fail "the directory belongs to someone else"
}

case_packages() {
	runner true
	script "$d/bin/apt-get" 'echo "$DEBIAN_FRONTEND" "$@" >>/srv/apt; cat "$APT_CONFIG" >>/srv/apt'
	boot "PACKAGES=jq
libicu-dev"
	phases 'booting,packages,runner-ready,runner-starting,runner-exited 0,poweroff'
	lock='DPkg::Lock::Timeout "300";'
	same apt "noninteractive -qq update
$lock
noninteractive -qqy --no-install-recommends install -- jq libicu-dev
$lock"
}

case_failing_packages() {
	runner "$look"
	script "$d/bin/apt-get" '[ "$2" = update ] || exit 100'
	boot PACKAGES=nonesuch
	expect log '^mayfly: failed: packages (exit 100)$'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_pre_runner() {
	runner 'cat /srv/pre >/srv/pre-then'
	boot "PRE_RUNNER=$(echo '[[ $EUID = 0 ]] && echo "it'\''s \`here\` \$HOME: $HOME" >/srv/pre; cat' | base64 -w 0)"
	same pre-then "it's \`here\` \$HOME: /root"
	phases 'booting,pre-runner,runner-ready,runner-starting,runner-exited 0,poweroff'
}

# It runs in the runner's folder, from which what an earlier runner left is gone; what it makes there is the runner's.
case_pre_runner_folder() {
	runner 'ls -A >/srv/ls; stat -c "%u %n" .env _work >/srv/owners'
	mkdir "$d/opt/actions-runner/_diag"
	touch "$d/opt/actions-runner/.runner" "$d/opt/actions-runner/.credentials_rsaparams"
	boot "PRE_RUNNER=$(echo 'pwd >/srv/pre-pwd; echo X=1 >>.env; ln -s /opt/nvme _work' | base64 -w 0)"
	same pre-pwd /opt/actions-runner
	same owners "1001 .env
1001 _work"
	same ls ".env
_work
run.sh"
}

# The runner is downloaded after it, into the folder that it has seen.
case_pre_runner_before_download() {
	runner true
	rm -r "$d/opt/actions-runner"
	boot "PRE_RUNNER=$(echo 'pwd >/srv/pre-pwd' | base64 -w 0)"
	same pre-pwd /opt/actions-runner
	expect log '^mayfly: failed: runner (no run.sh in /opt/actions-runner and no URL to get it from)$'
}

# Amazon Linux 2.
case_yum() {
	runner "$look"
	script "$d/bin/yum" 'echo "$*" >/srv/yum'
	user_data PACKAGES=git >"$d/user-data"
	sandbox --ro-bind /dev/null /usr/bin/apt-get sh /srv/user-data >"$d/log" 2>&1
	is_off
	same yum '-qy install -- git'
}

case_failing_pre_runner() {
	runner "$look"
	boot "PRE_RUNNER=$(echo '(exit 9); touch /srv/pwned' | base64)"
	expect log '^mayfly: failed: pre-runner script (exit 9)$'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_garbled_pre_runner() {
	runner "$look"
	boot "PRE_RUNNER=touch /srv/pwned"
	expect log '^mayfly: failed: pre-runner script (not base64)$'
}

case_docker() {
	runner 'sleep 1'
	script "$d/bin/docker" 'id -u >/srv/docker'
	boot
	same docker 0
	expect log '^mayfly: phase docker-ready'
}

case_docker_hangs() {
	runner true
	script "$d/bin/docker" 'sleep 60'
	begin=$(date +%s)
	boot
	[ $(($(date +%s) - begin)) -lt 10 ] || fail "it took long"
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
}

### Values

odd="a'b\"c\$(touch /srv/pwned)\`touch /srv/pwned\`;\\ & 🪰
# touch"

case_odd_values() {
	needs_sandbox
	mkdir -p "$d/opt/$odd"
	script "$d/opt/$odd/run.sh" "$look"
	chown -R 1001 "$d/opt"
	echo 'runner:x:1001:1001::/home/runner:/bin/sh' >>"$d/etc/passwd"
	boot RUNNER_DIR="/opt/$odd" RUNNER_NAME="$odd" JIT="$odd" VERSION="$odd" DEBUG="$odd"
	same pwd "/opt/$odd"
	# The value ends at the next variable.
	sed -n '/^ACTIONS_RUNNER_INPUT_JITCONFIG=/,/^# touch/p' "$d/env" >"$d/value"
	same value "ACTIONS_RUNNER_INPUT_JITCONFIG=$odd"
}

case_odd_user() {
	runner "$look"
	boot USER="$odd"
	expect log '^mayfly: failed: user a.b'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_option_as_user() {
	runner "$look"
	boot USER=--help
	expect log '^mayfly: failed: user --help (useradd: exit'
}

case_missing_value() {
	runner "$look"
	user_data | grep -v ^MAYFLY_PACKAGES >"$d/user-data"
	sandbox sh /srv/user-data >"$d/log" 2>&1
	is_off
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_second_run() {
	runner "$look"
	# The other run comes while the first one waits for its pre-runner script.
	boot "PRE_RUNNER=$(echo 'sh /srv/user-data >/srv/second 2>&1; echo $? >/srv/status' | base64 -w 0)"
	same status 0
	same second ''
	same uid 1001
	phases 'booting,pre-runner,runner-ready,runner-starting,runner-exited 0,poweroff'
}

# prepared COMMANDS [WORD]: a boot after these commands, that ends without a runner and says so
prepared() {
	user_data >"$d/user-data"
	sandbox sh -c "$1"'; exec sh /srv/user-data' >"$d/log" 2>&1
	[ -e "$d/off" ] || fail "the machine stays up"
	[ "${2-}" ] || return
	[ ! -e "$d/uid" ] || fail "the runner was started"
	expect log "^mayfly: failed: $2"
}

# A /run that is no tmpfs, or an image of a machine that ran.
case_second_boot_without_systemd() {
	runner "$look"
	prepared 'mkdir -p /run/mayfly; echo a0a0 >/run/mayfly/id; echo 1 >/run/mayfly/job' 'second boot'
}

case_run_of_an_old_image() {
	runner "$look"
	prepared 'mkdir -p /run/mayfly; echo 1 >/run/mayfly/job' 'second boot'
}

case_run_is_a_file() {
	runner "$look"
	prepared 'echo >/run/mayfly' 'second boot'
}

case_run_is_not_writable() {
	runner "$look"
	prepared 'echo >/run/mayfly.$$' boot
}

case_run_is_empty() {
	runner "$look"
	prepared 'mkdir -p /run/mayfly; chmod 755 /run/mayfly'
	same uid 1001
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
}

# What says who it is, or makes it somebody else, is missing or broken: never the runner as root.
case_no_id() {
	runner "$look"
	script "$d/bin/id" 'exit 127'
	prepared : 'user'
}

case_id_of_nobody() {
	runner "$look"
	script "$d/bin/id" '[ "$*" != -u ] || echo 0'
	prepared : 'user (no id of runner'
}

case_no_setpriv() {
	runner "$look"
	script "$d/bin/setpriv" 'exit 127'
	boot
	phases 'booting,runner-ready,runner-starting,runner-exited 127,poweroff'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_runner_is_root() {
	runner "$look"
	script "$d/bin/id" 'echo 0'
	prepared : 'user (runner is root'
}

case_no_file() {
	runner "$look"
	user_data >"$d/user-data"
	sandbox sh -s <"$d/user-data" >"$d/log" 2>&1
	is_off
	expect log '^mayfly: failed: user-data (sh is no file'
}

case_terminated() {
	runner "$look"
	boot "PRE_RUNNER=$(echo 'kill $PPID' | base64)"
	phases 'booting,pre-runner,poweroff'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

### Hooks and limits

hook='bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"; echo $? >/srv/hook-status'

case_hook() {
	runner "$hook; cp /run/mayfly/job /srv/job; sleep 1"
	boot
	same hook-status 0
	same job 1
	phases 'booting,runner-ready,runner-starting,job-started,runner-exited 0,poweroff'
}

case_hook_without_disk() {
	runner "rm -f /run/mayfly/job; chmod 0 /run/mayfly/job; $hook"
	boot
	same hook-status 0
}

case_hook_of_the_image() {
	runner "cat .env >/srv/dotenv; $hook"
	printf 'A=1\nACTIONS_RUNNER_HOOK_JOB_STARTED=/srv/it'\''s $(mine).sh\nB=2\n' >"$d/opt/actions-runner/.env"
	script "$d/it's \$(mine).sh" 'false | cat /run/mayfly/job >/srv/chained; exit 3'
	boot
	same dotenv 'A=1
B=2'
	same chained 1
	same hook-status 3
}

case_hook_of_the_environment() {
	runner "$look
$hook"
	script "$d/mine.sh" 'echo >/srv/chained'
	user_data >"$d/user-data"
	sandbox --setenv ACTIONS_RUNNER_HOOK_JOB_STARTED /srv/mine.sh --setenv SECRET 1 sh /srv/user-data >"$d/log" 2>&1
	is_off
	same hook-status 0
	[ -e "$d/chained" ] || fail "the hook was not run"
	! grep -q SECRET "$d/env" || fail "the environment is not a clean one"
}

# A runner as GitHub's: run.sh waits for its listener, and ends well.
listener() {
	runner './Runner.Listener; echo $? >/srv/listener'
	script "$d/opt/actions-runner/Runner.Listener" "$1"
	script "$d/opt/actions-runner/Runner.Worker" 'sleep 5; echo >/srv/worked'
}

graceful='trap "echo >/srv/interrupted; exit 5" INT; sleep 60 & wait'

case_idle() {
	listener "$graceful"
	boot IDLE_SECONDS=1
	expect log '^mayfly: no job within 1s$'
	same listener 5
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
}

case_idle_without_listener() {
	runner "$graceful"
	boot IDLE_SECONDS=1
	phases 'booting,runner-ready,runner-starting,runner-exited 5,poweroff'
}

case_idle_and_deaf() {
	listener 'trap "" INT; sleep 60'
	boot IDLE_SECONDS=1
	expect log '^mayfly: failed: idle (the runner did not stop)$'
}

case_job_by_hook() {
	listener "trap 'echo >/srv/interrupted' INT; $hook; sleep 5; echo >/srv/worked"
	boot IDLE_SECONDS=2
	[ -e "$d/worked" ] || fail "the job was ended"
	[ ! -e "$d/interrupted" ] || fail "the job was interrupted"
	! grep -q 'no job' "$d/log" || fail "the job was not seen"
}

case_job_by_worker() {
	listener './Runner.Worker'
	boot IDLE_SECONDS=2
	[ -e "$d/worked" ] || fail "the job was ended"
	! grep -q 'no job' "$d/log" || fail "the job was not seen"
}

# It comes between the interrupt and the second look.
case_job_at_the_last_moment() {
	listener 'trap "./Runner.Worker & wait" INT
sed -i s/5/33/ Runner.Worker
sleep 2 & wait; wait'
	boot IDLE_SECONDS=1
	expect log '^mayfly: no job within 1s$'
	[ -e "$d/worked" ] || fail "the job was ended"
}

# A sandbox may see other runners, the one of its own CI job for instance.
case_idle_beside_others() {
	listener "$graceful"
	have python3 || skip "no python3"
	script "$d/Runner.Listener" 'trap "echo >/srv/other" INT; sleep 60 & wait; sleep 60'
	script "$d/Runner.Worker" 'sleep 60'
	user_data IDLE_SECONDS=1 >"$d/user-data"
	sandbox python3 -c 'import subprocess
for name in "Listener", "Worker": subprocess.Popen(["/srv/Runner." + name])
subprocess.run(["sh", "/srv/user-data"])' >"$d/log" 2>&1
	is_off
	same listener 5
	[ ! -e "$d/other" ] || fail "another runner was interrupted"
}

# A runner whose parent ends while it is looked at: whose it is cannot be told any more, and that ends.
case_parent_ends() {
	{
		sed -n '/^pids() {$/,/^}$/p' "$boot_sh"
		echo 'read() { pid=1 name="(Runner.Worker)" parent=9999999; }'
		echo 'pids Runner.Worker'
	} >"$d/pids"
	timeout 20 sh "$d/pids" >"$d/log" 2>&1 || fail "it looks for ever: $?"
	same log ''
}

case_deadline() {
	runner 'trap "" HUP INT TERM; sleep 60'
	boot LIFE_SECONDS=2
	expect log '^mayfly: failed: deadline (up for 2s)$'
}

case_boot_limit() {
	runner "$look"
	boot BOOT_SECONDS=1 "PRE_RUNNER=$(echo 'sleep 60' | base64)"
	expect log '^mayfly: failed: boot (no runner within 1s)$'
	[ ! -e "$d/uid" ] || fail "the runner was started"
}

case_boot_limit_ends_with_the_boot() {
	runner 'sleep 4'
	boot BOOT_SECONDS=2
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
}

### Real boots

# machine RUN_SH [NAME=VALUE...]: the disk of a machine whose user-data runs as cloud-init would run it
machine() {
	needs_nspawn "$rootfs"
	disk "$rootfs"
	mkdir -p "$d/disk/opt/actions-runner" "$d/disk/srv"
	# It would take /srv from the user of the runner.
	ln -s /dev/null "$d/disk/etc/tmpfiles.d/home.conf"
	chmod 777 "$d/disk/srv"
	[ -z "$1" ] || script "$d/disk/opt/actions-runner/run.sh" "$1"
	shift
	user_data "$@" >"$d/disk/root/user-data"
	units=$d/disk/etc/systemd/system
	mkdir -p "$units/multi-user.target.wants"
	cat >"$units/user-data.service" <<-END
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh /root/user-data
		StandardOutput=journal+console
	END
	ln -s ../user-data.service "$units/multi-user.target.wants/user-data.service"
}

case_systemd() {
	machine "$look
[ -s \"\$ACTIONS_RUNNER_HOOK_JOB_STARTED\" ] && echo the runner speaks
sleep 300 & exit 7"
	# A process that ignores SIGINT, as this one does, must not hold it up.
	power_on 25
	phases 'booting,runner-ready,runner-starting,runner-exited 7,poweroff'
	same disk/srv/uid 1001
	expect log 'the runner speaks'
	expect disk/srv/env "^ACTIONS_RUNNER_INPUT_JITCONFIG=$jit\$"
	! grep -qF "$jit" "$d/disk/srv/argv" || fail "the JIT configuration is in an argv"
	! grep -rlF "$jit" "$d/disk/etc" "$d/disk/run" "$d/disk/opt" "$d/disk/var" || fail "the JIT configuration is on the disk"
}

case_systemd_no_runner() {
	machine ''
	power_on 30
	phases 'booting,poweroff'
	expect log 'mayfly: failed: runner (no run.sh'
}

case_systemd_boot_sh_killed() {
	machine 'echo >/srv/ran' "PRE_RUNNER=$(echo 'kill -KILL $PPID; sleep 60' | base64)"
	power_on 50
	[ ! -e "$d/disk/srv/ran" ] || fail "the runner was started"
}

# The deadline cancels the job, and gives it time for it.
case_systemd_deadline() {
	machine 'trap "sleep 3; echo >/srv/cancelled; exit 0" INT; sleep 60 & wait' LIFE_SECONDS=5
	power_on 30
	expect log 'mayfly: failed: deadline (up for 5s)$'
	phases 'booting,runner-ready,runner-starting,runner-exited 0,poweroff'
	[ -e "$d/disk/srv/cancelled" ] || fail "the job was not interrupted, or killed at once"
}

case_systemd_deaf_runner() {
	machine 'trap "" HUP INT TERM; while :; do sleep 60; done' LIFE_SECONDS=5
	power_on 55
	expect log 'mayfly: failed: deadline'
}

# A machine on which neither boot.sh nor the unit of the runner helps.
deadline_alone() {
	machine true LIFE_SECONDS=5
	mkdir "$units/mayfly-runner.service.d"
	printf '[Unit]\nSuccessAction=none\nFailureAction=none\n[Service]\nExecStart=\nExecStart=/bin/true\n' \
		>"$units/mayfly-runner.service.d/test.conf"
}

case_systemd_deadline_alone() {
	deadline_alone
	power_on 30
	expect log 'mayfly: failed: deadline'
}

# The power-off itself hangs on a service that never stops.
case_systemd_forced() {
	deadline_alone
	cat >"$units/stuck.service" <<-END
		[Service]
		ExecStart=/bin/sleep infinity
		ExecStop=/bin/sleep infinity
		TimeoutStopSec=infinity
	END
	ln -s ../stuck.service "$units/multi-user.target.wants/stuck.service"
	begin=$(date +%s)
	power_on 85
	[ $(($(date +%s) - begin)) -ge 55 ] || fail "the service did not hold it up, so nothing was proved"
}

# Once with a user-data that comes again, once with one that does not, as under cloud-init.
case_systemd_second_boot() {
	machine 'echo >>/srv/ran'
	power_on 30
	power_on 20
	same disk/srv/ran ''
	rm "$units/multi-user.target.wants/user-data.service"
	power_on 20
	expect log 'mayfly-guard.service'
	expect log 'mayfly: failed: second boot (a machine runs one job)'
	[ "$(wc -l <"$d/disk/srv/ran")" = 1 ] || fail "the runner ran again"
}

# has_run TIMES
has_run() {
	[ "$(wc -l <"$d/disk/srv/ran")" = "$1" ] || fail "the runner ran $(wc -l <"$d/disk/srv/ran") times, not $1"
}

# A new instance of an image of a machine that ran a job: it runs, once, by its own limits.
case_systemd_image_of_a_machine_that_ran() {
	machine 'echo >>/srv/ran' LIFE_SECONDS=21600
	sed -i 's,/sys/class/dmi/id,/srv/dmi,g' "$d/disk/root/user-data"
	mkdir "$d/disk/srv/dmi"
	echo i-00000000000000001 >"$d/disk/srv/dmi/board_asset_tag"
	echo ec200000-0000-0000-0000-000000000001 >"$d/disk/srv/dmi/product_uuid"
	power_on 30
	has_run 1
	echo i-00000000000000002 >"$d/disk/srv/dmi/board_asset_tag"
	script "$d/disk/opt/actions-runner/run.sh" 'echo >>/srv/ran; exec sleep 300'
	sed -i "s/^MAYFLY_LIFE_SECONDS=.*/MAYFLY_LIFE_SECONDS='12'/" "$d/disk/root/user-data"
	power_on 40
	has_run 2
	expect log 'mayfly: failed: deadline'
	power_on 20
	has_run 2
	expect log 'mayfly: failed: second boot (a machine runs one job)'
}

# Xen shows no id, but a number; where nothing is shown, it is the same machine.
case_systemd_image_of_a_machine_on_xen() {
	machine 'echo >>/srv/ran'
	sed -i 's,/sys/class/dmi/id,/srv/dmi,g' "$d/disk/root/user-data"
	mkdir "$d/disk/srv/dmi"
	echo EC2CEFAC-DCE1-EED5-4E48-83AD3EF51BFB >"$d/disk/srv/dmi/product_uuid"
	power_on 30
	echo EC2CEFAC-DCE1-EED5-4E48-83AD3EF51BFC >"$d/disk/srv/dmi/product_uuid"
	power_on 30
	has_run 2
	echo Not Specified >"$d/disk/srv/dmi/product_uuid"
	power_on 20
	has_run 2
}

### The file

case_shellcheck() {
	have shellcheck || skip "no shellcheck"
	shellcheck "$boot_sh" "$0" >"$d/log" || fail "complaints"
}

case_shfmt() {
	have shfmt || skip "no shfmt"
	shfmt -d "$boot_sh" "$0" >"$d/log" || fail "differences"
}

case_size() {
	# The build takes the indentation away as well.
	size=$(strip "$boot_sh" | sed 's/^\t*//' | wc -c)
	[ "$size" -lt 8192 ] || fail "$size bytes when stripped, 8192 are too many"
}

# The stripper may not change the script: no line of a here-document may look like a comment.
case_strip() {
	strip "$boot_sh" | sh -n || fail "not a script any more"
	awk '/<<-/ { doc = 1; next } /^\t*END$/ { doc = 0 } doc && /^[ \t]*(#|$)/ { exit 1 }' "$boot_sh" || fail "a comment in a here-document"
}

# shellcheck disable=SC2046 # names
set -- $(cases "$@")
case $* in *systemd*) make_rootfs "$rootfs" systemd-sysv ;; esac
run_cases "$@"
