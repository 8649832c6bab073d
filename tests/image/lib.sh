# What the tests of the images share: sourced by them, with their own arguments. One line a case: ok, not ok or skip;
# exit 1 on any "not ok".
#
# usage: …_test.sh [CASE...]
#
# A case is a function case_NAME. All of them run at the same time, because most of them wait; each has a directory, $d.
# Root file systems are made once, by mmdebstrap, in $MAYFLY_TEST_CACHE. IMAGE_ARCH=arm64 takes those of another architecture,
# by QEMU's user emulation, which has to be registered.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # d and name are set for each case; rootfs is used by some
# shellcheck disable=SC1091,SC2015 # os-release; "a && b || fail"
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
boot_sh=${BOOT_SH:-$top/ami/boot.sh}
cache=${MAYFLY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mayfly-tests}
arch=${IMAGE_ARCH:-}
rootfs=$cache/rootfs${arch:+-$arch} bakefs=$cache/bakefs${arch:+-$arch}

clean_up() {
	kill -KILL $! 2>/dev/null
	wait
	find /sys/fs/cgroup -depth -type d -path "*/${work##*/}*" -exec rmdir {} + 2>/dev/null
	rm -rf "$work"
}

# The tests proper run in namespaces of their own, so that no process and no mount outlives them.
if [ -z "${IMAGE_TEST_WORK-}" ]; then
	work=$(mktemp -d)
	chmod 755 "$work"
	unshare='unshare -pf --kill-child --mount-proc'
	$unshare true 2>/dev/null || unshare=
	IMAGE_TEST_WORK=$work IMAGE_TEST_UNSHARED=$unshare $unshare sh "$0" "$@" &
	trap 'exit 1' HUP INT TERM
	trap clean_up EXIT
	wait $!
	exit
fi
work=$IMAGE_TEST_WORK
# Where nspawn and ip leave something.
for dir in /run/systemd/nspawn /run/netns; do
	[ -z "$IMAGE_TEST_UNSHARED" ] || { mkdir -p "$dir" && mount -t tmpfs tmpfs "$dir"; }
done

# As long as a real one, and never the same.
jit=$(head -c 3150 /dev/urandom | base64 -w 0)

fail() {
	echo "not ok - $name: $*"
	[ ! -e "$d/log" ] || tail -n 8 "$d/log" | sed 's/^/    /'
	exit 1
}

skip() {
	echo "skip - $name: $*"
	exit 0
}

have() {
	command -v "$1" >/dev/null
}

# strip FILE: as the build does it.
strip() {
	grep -vE '^[[:space:]]*(#|$)' "$1"
}

# assign NAME=VALUE...: as src/runner/userdata.c writes it; the last of several values wins
assign() {
	echo '#!/bin/sh'
	for pair in "$@"; do
		printf "MAYFLY_%s='" "${pair%%=*}"
		printf %s "${pair#*=}" | sed "s/'/'\\\\''/g"
		printf "'\n"
	done
}

# user_data [NAME=VALUE...]
user_data() {
	assign VERSION=0.0.0 "JIT=$jit" RUNNER_NAME=mf-test RUNNER_URL= RUNNER_SHA256= RUNNER_DIR= USER= \
		BOOT_SECONDS=600 IDLE_SECONDS=1800 LIFE_SECONDS=21600 PACKAGES= PRE_RUNNER= DEBUG= "$@"
	strip "$boot_sh"
}

# recipe DIRECTORY: the files of a bake as the payload lays them
recipe() {
	mkdir -p "$1/steps" "$1/units" "$1/agent"
	for file in "$top"/ami/bake/*.sh "$top"/ami/versions "$top"/ami/units/* "$top"/src/agent/agent.c; do
		case $file in
		*/main.sh) strip "$file" >"$1/main.sh" ;;
		*.sh) strip "$file" >"$1/steps/${file##*/}" ;;
		*.c) sed '/^ *\/\*.*\*\/$/d; /^ *\/\*/,/\*\/$/d; s/^ *//; /^$/d' "$file" >"$1/agent/${file##*/}" ;;
		*/versions) strip "$file" >"$1/versions" ;;
		*) strip "$file" >"$1/units/${file##*/}" ;;
		esac
	done
}

# payload STEPS [NAME=VALUE...]: the user-data of a builder, unpacked, of the recipe in $d/recipe; of its steps only those
payload() {
	steps=$1
	shift
	assign NONCE=f00ba4 VERSION=0.0.0 IMAGE=test ARCH=amd64 "STEPS=$steps" LIFE_SECONDS=600 RUNNER_URL= RUNNER_SHA256= \
		DEBUG= "$@" | sed 's/^MAYFLY_/export &/'
	echo 'mkdir -p /run/mayfly-bake/steps /run/mayfly-bake/units /run/mayfly-bake/agent && cd /run/mayfly-bake || exit'
	(
		cd "$d/recipe" || exit
		for file in main.sh versions units/* agent/* steps/*; do
			case $file in steps/*) case " $steps " in *" $(basename "$file" .sh) "*) ;; *) continue ;; esac ;; esac
			printf "cat >%s <<'END-f00ba4'\n" "$file"
			cat "$file"
			echo END-f00ba4
		done
	)
	echo 'exec sh /run/mayfly-bake/main.sh'
}

# script FILE TEXT
script() {
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod 755 "$1"
}

# expect FILE PATTERN
expect() {
	grep -qs -- "$2" "$d/$1" || fail "no '$2' in $1"
}

# same FILE TEXT
same() {
	[ "$(cat "$d/$1" 2>&1)" = "$2" ] || fail "$1 is '$(cat "$d/$1" 2>&1)', not '$2'"
}

# phases LIST: exactly these came, in this order, by an extended regular expression; not always at the start of a line,
# since a console has a login prompt
phases() {
	got=$(sed -n 's/^.*mayfly: phase \(.*\) ([0-9.]*s)$/\1/p' "$d/log" | tr '\n' ',')
	printf '%s\n' "$got" | grep -qxE "$1," || fail "phases are $got not $1"
}

# The sandbox sees the machine read-only, but its own /opt and /etc, and the directory of the case as /srv. Nothing that
# a script could do by mistake reaches the machine: a real power-off would end the sandbox.
sandbox() {
	timeout -k 1 70 env --default-signal=INT,QUIT bwrap --die-with-parent \
		--unshare-pid --unshare-net --unshare-ipc --unshare-uts --ro-bind / / --dev /dev --proc /proc \
		--tmpfs /run --tmpfs /tmp --tmpfs /home --tmpfs /root \
		--bind "$d" /srv --bind "$d/opt" /opt --bind "$d/etc" /etc --chdir / \
		--cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_CHOWN --cap-add CAP_KILL \
		--cap-add CAP_DAC_OVERRIDE --cap-add CAP_FOWNER \
		--clearenv --setenv PATH /srv/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

needs_sandbox() {
	[ "$(id -u)" = 0 ] || skip "not root, so there is no second user in a sandbox"
	have bwrap || skip "no bwrap"
	mkdir -p "$d/opt" "$d/etc" "$d/bin"
	chmod 777 "$d" "$d/opt"
	for file in gshadow shadow login.defs nsswitch.conf ld.so.cache alternatives; do
		[ ! -e "/etc/$file" ] || cp -a "/etc/$file" "$d/etc"
	done
	grep -v '^\(runner\|docker\):' /etc/passwd >"$d/etc/passwd"
	grep -v '^\(runner\|docker\):' /etc/group >"$d/etc/group"
	# Power off as a machine does: nothing outlives it. Before that, look for what is left of the JIT configuration.
	script "$d/bin/poweroff" 'echo off >>/srv/off
grep -rlF "$(cat /srv/jit)" /run /tmp /opt /etc >/srv/left 2>/dev/null
kill -KILL -1'
	printf %s "$jit" >"$d/jit"
	error=$(sandbox true 2>&1) || skip "bwrap: $error"
}

# make_rootfs DIRECTORY PACKAGES: a root file system of the machine's own distribution, once
make_rootfs() {
	[ ! -d "$1" ] || return 0
	mkdir -p "$cache"
	(
		flock 9
		[ ! -d "$1" ] || exit 0
		rm -rf "$1.new"
		suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
		mmdebstrap ${arch:+--arch="$arch"} --variant=minbase --include="$2" --dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
			"$suite" "$1.new" >"$work/mmdebstrap.log" 2>&1 && mv "$1.new" "$1"
	) 9>"$1.lock"
}

# make_image: a real bake of a root file system of this distribution, with its docker.io and a stand-in for the runner; the
# layers for `disk` in $image, what the bake said beside it. Kept until the recipe changes. What a builder has that may not
# be in an image has the word
# "canary-of-the-builder" in it.
make_image() {
	image=
	[ "$(id -u)" = 0 ] && [ "$IMAGE_TEST_UNSHARED" ] && have bwrap || return 0
	# shellcheck disable=SC2046 # words
	make_rootfs "$bakefs" "$(echo systemd-sysv cloud-init openssh-server cron docker.io \
		$(sed -n '/^apt-get install/,$p' "$top/ami/bake/base.sh" | sed 's/^apt-get install//; s/\\$//') | tr ' ' ',')" || return 0
	name=image
	d=$work/image
	mkdir -p "$d" && recipe "$d/recipe"
	sed -i 's/^DOCKER_REPO=.*/DOCKER_REPO=/' "$d/recipe/versions"
	baked=$cache/baked-$(cd "$d/recipe" && cat "$top/tests/image/lib.sh" main.sh versions ./*/* | sha256sum | cut -c 1-16)${arch:+-$arch}
	(
		flock 9
		[ ! -d "$baked" ] || exit 0
		rm -rf "$cache"/baked-????????????????"${arch:+-$arch}"
		bake_image "$baked.new" && mv "$baked.new" "$baked"
	) 9>"$cache/baked.lock" || return 0
	image=$baked/upper:$bakefs
}

# A runner as GitHub packs it, in $d/runner.tar.gz: it does what the image's /srv/run.sh says.
image_tarball() {
	mkdir -p "$d/tar/bin"
	script "$d/tar/run.sh" '[ ! -e /srv/run.sh ] || exec /srv/run.sh'
	script "$d/tar/bin/Runner.Listener" 'echo 2.337.0'
	script "$d/tar/bin/installdependencies.sh" true
	tar -C "$d/tar" -czf "$d/runner.tar.gz" .
}

# dirt DIRECTORY: what a builder has gathered by the time of the bake
dirt() {
	(
		cd "$1" || exit
		mkdir -p var/lib/cloud/instances/i-1 home/ubuntu/.ssh root/.ssh var/log/journal/0123 etc/netplan root/.cache var/lib/dhcp \
			var/lib/mayfly root/.gnupg
		echo 'ubuntu:x:1000:1000:canary-of-the-builder:/home/ubuntu:/bin/bash' >>etc/passwd
		echo 'ubuntu:x:1000:' >>etc/group
		echo 'ubuntu:!:19000:0:99999:7:::' >>etc/shadow
		for file in var/lib/cloud/instances/i-1/user-data.txt home/ubuntu/.ssh/authorized_keys root/.ssh/authorized_keys \
			home/ubuntu/.bash_history root/.bash_history root/.python_history root/.wget-hsts root/.gnupg/x root/.cache/x \
			var/log/cloud-init-output.log var/log/journal/0123/system.journal var/log/apt/history.log var/lib/systemd/random-seed \
			var/lib/systemd/credential.secret etc/sudoers.d/90-cloud-init-users etc/netplan/50-cloud-init.yaml etc/hostname \
			etc/machine-id var/lib/dbus/machine-id etc/ssh/ssh_host_ed25519_key var/lib/dhcp/dhclient.leases tmp/x tmp/.x var/tmp/x \
			var/lib/mayfly/instance-id var/lib/docker/engine-id; do
			mkdir -p "${file%/*}"
			echo canary-of-the-builder >"$file"
		done
		printf '127.0.0.1 localhost\n10.0.0.1 canary-of-the-builder\n' >>etc/hosts
		echo '# http://eu-west-1.ec2.archive.ubuntu.com/ubuntu' >>etc/apt/sources.list
	)
}

bake_image() {
	rm -rf "$1"
	image_tarball
	mkdir -p "$1/upper" "$1/work" "$d/disk" "$d/bin"
	mount -t overlay -o "lowerdir=$bakefs,upperdir=$1/upper,workdir=$1/work" overlay "$d/disk" || return
	# The network of the machine, for apt.
	for file in resolv.conf hosts; do
		rm -f "$d/disk/etc/$file"
		cat "/etc/$file" >"$d/disk/etc/$file"
	done
	apt-config dump | grep '^Acquire::\(Check-\|http\)' >"$d/disk/etc/apt/apt.conf.d/99test"
	script "$d/disk/usr/sbin/policy-rc.d" 'exit 101'
	dirt "$d/disk"
	sha=$(sha256sum <"$d/runner.tar.gz")
	payload 'base docker runner agent prune seal' RUNNER_URL=file:///srv/runner.tar.gz "RUNNER_SHA256=${sha%% *}" \
		"ARCH=${arch:-$(dpkg --print-architecture)}" >"$d/user-data"
	script "$d/bin/poweroff" 'kill -KILL -1'
	mkdir -p "$d/disk/var/lib/docker"
	bwrap --die-with-parent --unshare-pid --unshare-ipc --unshare-uts --bind "$d/disk" / --dev /dev --proc /proc --tmpfs /run \
		--bind "$d" /srv --cap-add ALL --clearenv --setenv HOME / --setenv PATH /srv/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		sh /srv/user-data >"$1/log" 2>&1
	tail -n 1 "$1/log" | grep -qx 'mayfly: bake ok f00ba4' || {
		cp "$1/log" "$d/log"
		umount "$d/disk"
		return 1
	}
	rm "$d/disk/usr/sbin/policy-rc.d" "$d/disk/etc/apt/apt.conf.d/99test"
	umount "$d/disk"
	rm -rf "$1/work"
}

# needs_image: $d/disk is a baked root file system
needs_image() {
	if [ -z "$image" ]; then
		[ -d "$bakefs" ] || skip "no root file system to bake: $(tail -n 1 "$work/mmdebstrap.log" 2>/dev/null)"
		[ ! -e "$work/image/log" ] || { cp "$work/image/log" "$d/log" && fail "the bake failed"; }
		skip "no bake: needs root, namespaces, bwrap and overlay file systems"
	fi
	disk "$image"
}

# disk LAYERS: $d/disk, a copy of these directories, the uppermost first; separated by colons
disk() {
	mkdir "$d/disk" "$d/upper" "$d/work"
	[ "$IMAGE_TEST_UNSHARED" ] &&
		mount -t overlay -o "lowerdir=$1,upperdir=$d/upper,workdir=$d/work" overlay "$d/disk" 2>/dev/null && return
	[ "${1#*:}" = "$1" ] || skip "no overlay file system"
	cp -a "$1/." "$d/disk"
}

needs_nspawn() {
	[ "$(id -u)" = 0 ] || skip "not root"
	have systemd-nspawn || skip "no systemd-nspawn"
	[ -d "$1" ] || skip "no root file system: $(tail -n 1 "$work/mmdebstrap.log" 2>/dev/null)"
}

# Machines that run at the same time in the same cgroup would see one another's services there.
own_cgroup() {
	for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
		[ -e "$tree/cgroup.procs" ] && mkdir -p "$tree/${work##*/}/$name" && echo 0 >"$tree/${work##*/}/$name/cgroup.procs"
	done 2>/dev/null
}

# power_on SECONDS: until the machine is off, which has to be within SECONDS; $network is an option of nspawn
power_on() {
	own_cgroup
	: >"$d/raw"
	status=133
	# That is how it says that the machine reboots.
	while [ "$status" = 133 ]; do
		timeout -k 5 $(($1 + 20)) systemd-nspawn -q --register=no --keep-unit --link-journal=no "${network:---private-network}" \
			--console=read-only -M "mayfly-$(echo "$name" | tr _ -)" -b -D "$d/disk" </dev/null >>"$d/raw" 2>&1
		status=$?
	done
	tr -d '\r' <"$d/raw" >"$d/log"
	if ! grep -q 'systemd.*running in system mode\|Welcome to\|mayfly:' "$d/log"; then
		skip "systemd-nspawn does not boot: $(tail -n 1 "$d/log")"
	fi
	[ "$status" = 0 ] || fail "still up after $1 s and 20 more, which a busy machine gets"
	! grep -qF "$jit" "$d/log" || fail "the JIT configuration is in the log"
}

# instance RUN_SH [NAME=VALUE...]: an instance of the image, whose user-data is boot.sh with these values, whose runner is
# this script, and whose metadata service is $d/imds
instance() {
	needs_image
	have python3 || skip "no python3"
	have ip || skip "no ip"
	mkdir -p "$d/disk/srv" "$d/imds/latest/meta-data/spot" "$d/imds/latest/meta-data/events/recommendations"
	chmod 777 "$d/disk/srv"
	# It would take /srv from the user of the runner.
	ln -s /dev/null "$d/disk/etc/tmpfiles.d/home.conf"
	script "$d/disk/srv/run.sh" "$1"
	shift
	printf i-0123456789abcdef0 >"$d/imds/latest/meta-data/instance-id"
	user_data "$@" >"$d/imds/latest/user-data"
}

# launch SECONDS [COMMAND...]: boots it, and it is off within that time; the command runs beside it
launch() {
	seconds=$1
	shift
	netns=$(echo "$name" | tr _ -)
	if [ ! -e "/run/netns/$netns" ]; then
		ip netns add "$netns" 2>"$d/log" || skip "no network namespace"
		ip -n "$netns" link set lo up
		ip -n "$netns" addr add 169.254.169.254/32 dev lo
	fi
	[ -e "$d/imds/down" ] || ip netns exec "$netns" python3 "$top/tests/image/imds.py" "$d/imds" >/dev/null 2>&1 &
	[ $# = 0 ] || "$@" &
	network=--network-namespace-path=/run/netns/$netns
	power_on "$seconds"
	! grep -q '^usage\|: not found' "$d/log" || fail "a command complains"
	! grep -rqF "$jit" "$d/upper/etc" "$d/upper/var" "$d/upper/opt" 2>/dev/null || fail "the JIT configuration is on the disk"
}

# cases [NAME...]: the cases to run, by default all of the script
cases() {
	[ $# != 0 ] || sed -n 's/^case_\(.*\)() {$/\1/p' "$0"
	[ $# = 0 ] || printf '%s\n' "$@"
}

# run_cases NAME...: the exit status of the script; $slots cases at a time, since each systemd takes of what is scarce
run_cases() {
	mkfifo "$work/slots"
	exec 8<>"$work/slots"
	yes | head -n "${slots:-100}" >&8
	for name in "$@"; do
		read -r _ <&8
		d=$work/$name
		mkdir "$d"
		{
			("case_$name" && echo "ok - $name") >"$d.result" 2>&1
			echo >&8
		} &
	done
	wait
	status=0
	for name in "$@"; do
		cat "$work/$name.result"
		grep -q '^\(ok\|skip\) - ' "$work/$name.result" || status=1
	done
	return $status
}
