#!/bin/sh
# The body of the user-data. In front of it stands a block of single-quoted assignments (MAYFLY_*, every one of them
# always there), written by src/runner/userdata.c; the build strips the comments and blank lines.
#
# The script runs twice. The first pass installs what ends the machine whatever happens, copies itself into tmpfs and
# hands over to that copy ("go"): as a real systemd unit, or, in a container, in the same process with a clean
# environment. The copy carries the values with it, so none is ever quoted or parsed a second time.
#
# Two rules hold everywhere: every way out powers the machine off, and the JIT configuration is never in an argv, in
# a log or in the environment of anything but the runner.
set -u

# The console is what a person, or `mayfly start`, reads when a runner never comes.
say() {
	if [ -c /dev/console ] && { printf 'mayfly: %s\n' "$*" >/dev/console; } 2>/dev/null; then
		return
	fi
	printf 'mayfly: %s\n' "$*"
}

phase() {
	read -r up _ </proc/uptime
	say "phase $* (${up-?}s)"
}

# Forced, which under systemd is still clean: an orderly one waits for whatever a job left behind.
power_off() {
	rm -f "$run/boot"
	phase poweroff
	poweroff -f
}

die() {
	say "failed: $1 ($2)"
	exit 1
}

# For the watchers, whose exit ends nothing but themselves.
expire() {
	say "failed: $1 ($2)"
	power_off
}

finish() {
	trap - EXIT
	# shellcheck disable=SC2086 # a list of process ids
	kill $watchers 2>/dev/null
	power_off
}

nap() {
	sleep "$1" &
	nap=$!
	wait "$nap"
}

# after SECONDS COMMAND...: later, in the background, unless killed before; takes its sleep along, which would
# otherwise hold up the end of the unit.
after() {
	(
		trap 'kill "$nap"; exit' TERM
		nap "$1"
		shift
		"$@"
	) &
	watchers="$watchers $!"
}

# A booting machine has its package lists locked and its network half up.
retry() {
	for pause in 2 4 8 16; do
		"$@" && return
		sleep "$pause"
	done
	"$@"
}

have() {
	command -v "$1" >/dev/null
}

# MAYFLY_ROOT moves all paths of this script, for a sandbox that is no more than a directory: no systemd, no users.
root=${MAYFLY_ROOT-}
run=$root/run/mayfly
watchers=
trap finish EXIT
trap 'exit 1' HUP INT TERM

dir=$root${MAYFLY_RUNNER_DIR:-/opt/actions-runner}
life=$MAYFLY_LIFE_SECONDS
# Who does not know that it is root would run the runner as root.
uid=$(id -u)
[ "$uid" ] || die user "no id"
systemd=
[ "$uid$root" = 0 ] && [ -d /run/systemd/system ] && systemd=1

if [ "${1-}" != go ]; then
	# This directory is there for a second run in the same boot, which has nothing to do. One of another boot, on a /run
	# that stays or in an image of a machine that ran, is a second boot. It comes with its id in it, so that nobody
	# sees one without; an empty one is replaced.
	read -r boot_id </proc/sys/kernel/random/boot_id
	[ "$boot_id" ] || die boot "no id"
	{ mkdir -p "$root/run" && mkdir -m 700 "$run.$$" && echo "$boot_id" >"$run.$$/id"; } || die boot "no $run"
	if ! mv -T "$run.$$" "$run" 2>/dev/null; then
		rm -r "$run.$$"
		{ read -r old <"$run/id"; } 2>/dev/null
		[ "${old-}" = "$boot_id" ] || die "second boot" "old $run"
		trap - EXIT
		exit 0
	fi
	phase booting
	say "version $MAYFLY_VERSION, runner $MAYFLY_RUNNER_NAME"
	install -m 400 -- "$0" "$run/boot" || die user-data "$0 is no file, or $run not writable"

	if [ -z "$systemd" ]; then
		exec env -i PATH="$PATH" HOME="${HOME:-/root}" MAYFLY_ROOT="$root" \
			ACTIONS_RUNNER_HOOK_JOB_STARTED="${ACTIONS_RUNNER_HOOK_JOB_STARTED-}" /bin/sh "$run/boot" go
	fi

	units=/etc/systemd/system
	guard=$units/mayfly-guard.service
	# An image of a machine that ran has its guard. Nitro shows the instance's id, Xen a number of the instance; without
	# either it is taken for the same machine.
	dmi=/sys/class/dmi/id
	which="cat $dmi/board_asset_tag $dmi/product_uuid 2>/dev/null | grep -iEom1 '^(i-|ec2)[-0-9a-f]+'"
	machine=$(eval "$which")
	once="a machine runs one job"
	# An image of ours has this file, too; to a systemd that runs it is news, and a reload takes longer than all the rest.
	reload=
	if [ -e $guard ]; then
		{ [ "$machine" ] && ! grep -qF "$machine" $guard; } || die "second boot" "$once"
	elif [ -e $units/poweroff.target.d/mayfly.conf ]; then
		reload=--no-reload
	fi
	unit() {
		cat >"$units/$1" || die units "$1"
	}
	# In any boot of this machine but this one it fails, and the machine goes off.
	unit mayfly-guard.service <<-END
		[Unit]
		Description=Mayfly: no second boot
		DefaultDependencies=no
		FailureAction=poweroff-immediate
		[Service]
		ExecStart=/bin/sh -c "grep -q $boot_id /proc/sys/kernel/random/boot_id || $which | grep -qvF '$machine' || { echo 'mayfly: failed: second boot ($once)' >/dev/console; exit 1; }"
		[Install]
		WantedBy=sysinit.target
	END
	# Not wanted by timers.target, which a trimmed image may have disabled.
	unit mayfly-deadline.timer <<-END
		[Timer]
		OnBootSec=$life
		AccuracySec=1
		[Install]
		WantedBy=multi-user.target
	END
	unit mayfly-deadline.service <<-END
		[Unit]
		SuccessAction=poweroff
		FailureAction=poweroff
		[Service]
		ExecStart=/bin/sh -c 'echo "mayfly: failed: deadline (up for ${life}s)" >/dev/console'
	END
	# A power-off that hangs, whoever asked for it, is forced after a minute.
	mkdir -p $units/poweroff.target.d
	unit poweroff.target.d/mayfly.conf <<-END
		[Unit]
		JobTimeoutSec=60
		JobTimeoutAction=poweroff-immediate
	END
	# No Condition, Assert or Requires: a unit that fails by one of those does not run its FailureAction. SIGINT lets the
	# runner cancel its job. The runner's own lines go to the console too: they say why it could not connect.
	unit mayfly-runner.service <<-END
		[Unit]
		SuccessAction=poweroff
		FailureAction=poweroff
		[Service]
		EnvironmentFile=-/etc/environment
		Environment=HOME=/root
		ExecStart=/bin/sh $run/boot go
		StandardOutput=journal+console
		KillSignal=SIGINT
		TimeoutStopSec=30
		RuntimeMaxSec=$life
		OOMPolicy=continue
		TasksMax=infinity
		LimitNOFILE=65536
		Delegate=yes
	END
	{
		# shellcheck disable=SC2086 # an option, or none
		systemctl enable $reload mayfly-guard.service mayfly-deadline.timer &&
			systemctl start --no-block mayfly-deadline.timer mayfly-runner.service
	} || die units "systemd: exit $?"
	# From here on the unit powers off.
	trap - EXIT
	exit 0
fi

# /etc/environment may leave the tools of root out of PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
[ "$systemd" ] || after "$life" expire deadline "up for ${life}s"
after "$MAYFLY_BOOT_SECONDS" expire boot "no runner within ${MAYFLY_BOOT_SECONDS}s"
boot_watch=$!

if [ "$MAYFLY_DEBUG" ]; then
	for command in 'uname -a' id 'df -h' 'free -m' 'ip -br addr'; do
		$command
	done 2>&1 | while IFS= read -r line; do say "debug: $line"; done
fi

# For every apt-get below, those of installdependencies.sh and of the pre-runner script included.
echo 'DPkg::Lock::Timeout "300";' >"$run/apt.conf"
export APT_CONFIG="$run/apt.conf" DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l

if [ "$MAYFLY_PACKAGES" ]; then
	phase packages
	if have apt-get; then
		retry apt-get -qq update
		# shellcheck disable=SC2086 # one word a package, and the names are validated
		retry apt-get -qqy --no-install-recommends install -- $MAYFLY_PACKAGES
	else
		# shellcheck disable=SC2046,SC2086 # Amazon Linux 2 has yum
		retry $(have dnf && echo dnf || echo yum) -qy install -- $MAYFLY_PACKAGES
	fi || die packages "exit $?"
fi

# In an image of a machine that ran a job: of root, or of another user.
(cd -- "$dir" 2>/dev/null && rm -rf .runner* .credentials* _diag)

if [ "$MAYFLY_PRE_RUNNER" ]; then
	phase pre-runner
	printf %s "$MAYFLY_PRE_RUNNER" | base64 -d >"$run/pre-runner" || die "pre-runner script" "not base64"
	# In the runner's folder, and to the first command that fails, as its users know it from elsewhere.
	(mkdir -p -- "$dir" && cd -- "$dir" && exec bash -e "$run/pre-runner" </dev/null) || die "pre-runner script" "exit $?"
	rm "$run/pre-runner"
fi

# Who runs the runner. Without the right to change user, as in a sandbox, it is whoever runs this.
as=
home=$HOME
user=$(id -un)
if [ "$uid$root" = 0 ]; then
	user=${MAYFLY_USER:-runner}
	id -u -- "$user" >/dev/null 2>&1 ||
		useradd -m -s /bin/bash -K UID_MIN=1001 -- "$user" ||
		die "user $user" "useradd: exit $?"
	! getent group docker | grep -qvwF -- "$user" || usermod -aG docker -- "$user"
	{ uid=$(id -u -- "$user") && gid=$(id -g -- "$user") && [ "$uid" ] && [ "$gid" ]; } || die user "no id of $user"
	[ "$uid" != 0 ] || [ "$user" = root ] || die user "$user is root"
	home=$(getent passwd "$uid" | cut -d: -f6)
	as="setpriv --reuid=$uid --regid=$gid --init-groups"
fi

fetch() {
	if have curl; then
		curl -gfsSL --connect-timeout 10 -m 240 -o mayfly.tar.gz -- "$MAYFLY_RUNNER_URL"
	else
		timeout 240 wget -q -T 10 -t 1 -O mayfly.tar.gz -- "$MAYFLY_RUNNER_URL"
	fi
}

if [ ! -e "$dir/run.sh" ]; then
	[ "$MAYFLY_RUNNER_URL" ] || die runner "no run.sh in $dir and no URL to get it from"
	phase runner-download
	{ mkdir -p -- "$dir" && cd -- "$dir"; } || die runner "$dir cannot be made"
	retry fetch || die runner "$MAYFLY_RUNNER_URL: exit $?"
	echo "$MAYFLY_RUNNER_SHA256  mayfly.tar.gz" | sha256sum -c - >/dev/null ||
		die runner "SHA-256 of $MAYFLY_RUNNER_URL is not $MAYFLY_RUNNER_SHA256"
	tar --no-same-owner -xzf mayfly.tar.gz || die runner "tar: exit $?"
	rm mayfly.tar.gz
	[ ! -x bin/installdependencies.sh ] || timeout 300 bin/installdependencies.sh ||
		say "warning: installdependencies.sh: exit $?"
fi
cd -- "$dir" || die runner "$dir cannot be entered"
# All of it only where it has another owner: going through a whole baked runner takes seconds on a cold volume. What the
# pre-runner script made is at its top.
[ ! "$as" ] || if [ "$(stat -c %u run.sh)" = "$uid" ]; then
	find . -mindepth 1 -maxdepth 1 ! -user "$uid" -exec chown -hR "$uid:$gid" {} +
else
	chown -R "$uid:$gid" .
fi
phase runner-ready

# In the background: it wakes a socket-activated docker while the runner connects, and holds up nothing.
if have docker; then
	(timeout 10 docker version >/dev/null 2>&1 && phase docker-ready) &
	watchers="$watchers $!"
fi

# The job-started hook says that a job came: it writes into a file that belongs to the runner, and into a pipe, whose
# reader prints it on the console, which the runner's user may not. The reaper reads it there: GitHub's word that a
# runner is idle may be wrong. The pipe is open for reading and writing on both sides, so nobody ever waits to open it.
# A hook that the image has is run after it. The listener lets .env win over its environment, so the image's line has
# to go.
hook=${ACTIONS_RUNNER_HOOK_JOB_STARTED-}
if line=$(grep -s '^ACTIONS_RUNNER_HOOK_JOB_STARTED=' .env); then
	hook=${line##*_STARTED=}
	sed -i '/^ACTIONS_RUNNER_HOOK_JOB_STARTED=/d' .env
fi
printf %s "$hook" >"$run/next-hook"
cat >"$run/job-started.sh" <<-'END'
	run=${0%/*}
	{ echo 1 >"$run/job"; echo 1 1<>"$run/started"; } 2>/dev/null || :
	hook=$(cat "$run/next-hook")
	[ ! "$hook" ] || exec bash -e "$hook"
END
: >"$run/job"
mkfifo -m 600 "$run/started" || die hook "mkfifo: exit $?"
[ ! "$as" ] || chown "$uid" "$run/job" "$run/started"

# pids NAME: the processes of that name below this script, and no others, since a sandbox may share its machine with
# another runner.
pids() {
	for stat in /proc/[0-9]*/stat; do
		read -r pid name _ parent _ <"$stat" || continue
		[ "$name" = "($1)" ] || continue
		while [ "$parent" != $$ ] && [ "$parent" -gt 1 ]; do
			read -r _ _ _ parent _ <"/proc/$parent/stat" || break
		done
		[ "$parent" != $$ ] || echo "$pid"
	done 2>/dev/null
}

has_job() {
	[ -s "$run/job" ] || [ "$(pids Runner.Worker)" ]
}

# A job may come while the listener is told to go, hence the second look.
idle() {
	has_job && return
	say "no job within ${MAYFLY_IDLE_SECONDS}s"
	# shellcheck disable=SC2046 # a list of process ids
	kill -INT $(pids Runner.Listener) 2>/dev/null || kill -INT $(pids run.sh)
	nap 30
	has_job || expire idle "the runner did not stop"
}

# Nothing below is secret any more, and the runner has to reach its hook.
rm "$run/boot"
chmod 711 "$run"
chmod 644 "$run/next-hook" "$run/job-started.sh"
exec 9<>"$run/started"
while read -r _ <&9; do phase job-started; done &
watchers="$watchers $!"
exec 9<&-
phase runner-starting
kill "$boot_watch"
after "$MAYFLY_IDLE_SECONDS" idle
# A signal to the unit reaches the runner as well: wait for what it makes of it.
trap : HUP INT TERM
(
	unset APT_CONFIG DEBIAN_FRONTEND NEEDRESTART_MODE MAYFLY_ROOT
	export HOME="$home" USER="$user" LOGNAME="$user" ACTIONS_RUNNER_INPUT_JITCONFIG="$MAYFLY_JIT" \
		ACTIONS_RUNNER_HOOK_JOB_STARTED="$run/job-started.sh" ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1
	# Only somebody who asked for root gets it; the runner refuses it otherwise.
	[ "$as" ] && [ "$uid" = 0 ] && export RUNNER_ALLOW_RUNASROOT=1
	# shellcheck disable=SC2086 # a command and its options
	exec $as ./run.sh </dev/null
)
phase runner-exited $?
