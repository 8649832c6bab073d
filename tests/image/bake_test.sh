#!/bin/sh
# Tests of ami/bake: each step with stand-ins for the programs that reach out, the driver in a sandbox and under systemd,
# and a real bake of a Debian root file system, which is then searched for what may not be in an image.
# shellcheck disable=SC2016 # the stand-ins are scripts in single quotes
# shellcheck disable=SC2317 # the cases are called by name
# shellcheck disable=SC2015 # "a && b || fail"
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

### Steps

# stub NAME [TEXT]: a stand-in that writes down how it was called
stub() {
	script "$d/bin/$1" "echo $1 \"\$@\" >>/srv/calls; ${2-}"
}

# A builder, as a sandbox, with nothing installed and all stand-ins in place.
builder() {
	needs_sandbox
	recipe "$d/recipe"
	mkdir -p "$d/var/lib/mayfly-bake" "$d/local/bin" "$d/local/sbin" "$d/systemd" "$d/boot" \
		"$d/etc/sudoers.d" "$d/etc/systemd/system" "$d/etc/apt/sources.list.d" "$d/etc/default/grub.d" "$d/etc/modprobe.d"
	printf 'ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n' >"$d/etc/os-release"
	for stub in apt-get apt-mark systemctl update-initramfs update-grub fstrim; do stub "$stub"; done
	stub dpkg 'exit 1'
	# Its key files hold their fingerprints.
	stub gpg 'for file; do :; done; sed "s/^/pub:\nfpr:::::::::/; s/$/:\nsub:\nfpr:::::::::5UB:/" "$file"'
	stub curl 'while [ "$1" != -o ]; do shift; done; echo "${CURL_BODY-body}" >"$2"'
	: >"$d/calls"
}

# in_step STEP [VALUE...]: runs it, with these variables; its status is $status
in_step() {
	step=$1
	shift
	sandbox --bind "$d/var" /var --bind "$d/local" /usr/local --bind "$d/boot" /boot --ro-bind "$d/etc/os-release" /etc/os-release \
		--chdir /srv/recipe env MAYFLY_ARCH=amd64 MAYFLY_VERSION=1.2.3 "$@" sh main.sh step "$step" >"$d/log" 2>&1
	status=$?
}

# step STEP [VALUE...]: it succeeds
step() {
	in_step "$@"
	[ $status = 0 ] || fail "exit $status"
}

called() {
	grep -q "^$1" "$d/calls" || fail "not called: $1"
}

not_called() {
	! grep -q "^$1" "$d/calls" || fail "called: $(grep "^$1" "$d/calls")"
}

set_version() {
	sed -i "s|^$1=.*|$1=$2|" "$d/recipe/versions"
}

case_base() {
	builder
	stub snap
	stub dpkg '[ "$2" = needrestart ]'
	step base
	sed -n 's/^apt-get \([^ ]*\).*/\1/p' "$d/calls" | tr '\n' ' ' >"$d/order"
	same order 'purge update dist-upgrade install '
	called 'apt-get purge needrestart$'
	called 'snap remove --purge snapd$'
	for package in git build-essential libssl-dev libffi-dev python3 python3-dev python3-venv tox curl wget jq zstd unzip \
		qemu-user-static binfmt-support; do
		grep '^apt-get install' "$d/calls" | grep -qw -- "$package" || fail "$package is not installed"
	done
}

case_base_fails() {
	builder
	stub sleep
	stub apt-get '[ "$1" != dist-upgrade ] || exit 100'
	in_step base
	[ $status = 100 ] || fail "exit $status"
	not_called 'apt-get install'
	[ "$(grep -c '^apt-get dist-upgrade' "$d/calls")" = 7 ] || fail "not tried again"
}

# refuse COMMAND TIMES: apt-get, as where another one holds the lock of the lists
refuse() {
	stub sleep
	stub apt-get "if [ \"\$1\" = $1 ] && [ \"\$(grep -c '^apt-get $1' /srv/calls)\" -le $2 ]; then echo 'E: Could not get lock'; exit 100; fi"
}

case_base_apt_is_locked() {
	builder
	refuse update 3
	step base
	sed -n 's/^sleep //p' "$d/calls" | tr '\n' ' ' >"$d/pauses"
	same pauses '2 4 8 '
	called 'apt-get install ca-certificates'
	sed -n '/^systemctl stop\|^apt-get update/{s/ .*//;p}' "$d/calls" | head -n 1 >"$d/first"
	same first systemctl
	called 'systemctl stop apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service$'
}

case_base_without_apt_daily() {
	builder
	stub systemctl 'exit 5'
	step base
	called 'apt-get install ca-certificates'
}

case_docker_apt_is_locked() {
	builder
	refuse update 6
	step docker CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
	called 'apt-get install docker-ce'
}

case_docker_apt_stays_locked() {
	builder
	refuse update 100
	in_step docker CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
	[ $status = 100 ] || fail "exit $status"
	not_called 'apt-get install'
}

case_docker_archives_are_locked() {
	builder
	refuse install 1
	step docker CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
	[ "$(grep -c '^apt-get install docker-ce' "$d/calls")" = 2 ] || fail "not tried again"
}

case_docker() {
	builder
	step docker CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
	called 'curl .*-- https://download.docker.com/linux/ubuntu/gpg$'
	called 'apt-get install docker-ce docker-ce-cli containerd.io'
	called 'systemctl enable docker.socket$'
	called 'systemctl disable docker.service containerd.service$'
	same etc/apt/sources.list.d/docker.sources 'Types: deb
URIs: https://download.docker.com/linux/ubuntu
Suites: noble
Components: stable
Architectures: amd64
Signed-By: /etc/apt/keyrings/docker.asc'
	[ "$(stat -c %a "$d/etc/apt/keyrings/docker.asc")" = 644 ] || fail "apt cannot read the key"
}

case_docker_other_key() {
	builder
	in_step docker CURL_BODY=0000000000000000000000000000000000000000
	[ $status = 1 ] || fail "exit $status"
	not_called apt-get
	[ ! -e "$d/etc/apt/sources.list.d/docker.sources" ] && [ ! -e "$d/etc/apt/keyrings/docker.asc" ] || fail "the key is trusted"
}

case_docker_second_key() {
	builder
	in_step docker "CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
0000000000000000000000000000000000000000"
	[ $status = 1 ] || fail "exit $status"
	not_called apt-get
}

case_docker_no_answer() {
	builder
	stub curl 'exit 22'
	in_step docker
	[ $status = 22 ] || fail "exit $status"
	not_called apt-get
}

case_docker_of_the_distribution() {
	builder
	set_version DOCKER_REPO ''
	step docker
	called 'apt-get install docker.io$'
	not_called curl
	called 'systemctl enable docker.socket$'
}

# tarball: a runner as GitHub packs it, at $url, with its hash in $sha
tarball() {
	mkdir -p "$d/tar/bin"
	script "$d/tar/run.sh" true
	script "$d/tar/bin/Runner.Listener" 'echo 2.337.0'
	script "$d/tar/bin/installdependencies.sh" '[ ! -w /srv ] || id -u >/srv/dependencies'
	tar -C "$d/tar" -czf "$d/runner.tar.gz" --owner 4711 .
	sha=$(sha256sum <"$d/runner.tar.gz")
	sha=${sha%% *}
	url=file:///srv/runner.tar.gz
	rm -f "$d/bin/curl"
}

case_runner() {
	builder
	tarball
	echo docker:x:4321: >>"$d/etc/group"
	step runner "MAYFLY_RUNNER_URL=$url" "MAYFLY_RUNNER_SHA256=$sha"
	same dependencies 0
	same opt/actions-runner/.env 'ImageOS=ubuntu24
RUNNER_TOOL_CACHE=/opt/hostedtoolcache
AGENT_TOOLSDIRECTORY=/opt/hostedtoolcache'
	[ "$(stat -c %u "$d/opt/actions-runner" "$d/opt/actions-runner/run.sh" "$d/opt/hostedtoolcache" | sort -u)" = 1001 ] ||
		fail "not the runner's"
	[ "$(stat -c %a "$d/etc/sudoers.d/runner")" = 440 ] || fail "sudo refuses this mode"
	grep -q '^docker:.*runner' "$d/etc/group" || fail "the runner may not use docker"
	[ "$(ls "$d/opt")" = 'actions-runner
hostedtoolcache' ] || fail "something is left in /opt"
}

case_runner_other_hash() {
	builder
	tarball
	in_step runner "MAYFLY_RUNNER_URL=$url" "MAYFLY_RUNNER_SHA256=$(printf '%064d' 0)"
	[ $status != 0 ] || fail "it was taken"
	[ ! -e "$d/opt/actions-runner/run.sh" ] && [ ! -e "$d/dependencies" ] || fail "it was unpacked"
}

case_runner_no_hash() {
	builder
	tarball
	in_step runner "MAYFLY_RUNNER_URL=$url"
	[ $status = 1 ] || fail "exit $status"
	expect log '^no SHA-256 for file:'
}

case_runner_no_pin() {
	builder
	set_version RUNNER_SHA256_AMD64 ''
	in_step runner
	[ $status = 1 ] || fail "exit $status"
	not_called curl
}

case_runner_by_http() {
	builder
	tarball
	in_step runner MAYFLY_RUNNER_URL=http://127.0.0.1/r.tgz "MAYFLY_RUNNER_SHA256=$sha"
	[ $status = 1 ] || fail "exit $status"
	expect log 'Protocol "http"'
}

# Without values the pinned one, of the architecture; the stand-in is not it.
case_runner_pinned() {
	builder
	for arch in amd64:x64:7092081 arm64:arm64:9b1dc70; do
		: >"$d/calls"
		in_step runner "MAYFLY_ARCH=${arch%%:*}"
		[ $status = 1 ] || fail "exit $status"
		called "curl .*-- https://github.com/actions/runner/releases/download/v[0-9.]*/actions-runner-linux-$(echo "$arch" | cut -d: -f2)-[0-9.]*.tar.gz\$"
		expect log 'runner.tar.gz: FAILED'
	done
	in_step runner MAYFLY_ARCH=riscv64
	[ $status = 1 ] || fail "an architecture without a runner: exit $status"
}

case_agent() {
	builder
	have cc || skip "no compiler"
	step agent
	[ "$("$d/local/sbin/mayfly-agent" --version)" = 'mayfly-agent 1.2.3' ] || fail "the agent does not run"
	[ -e "$d/etc/systemd/system/mayfly-agent.service" ] && [ -e "$d/etc/systemd/system-preset/00-mayfly.preset" ] &&
		[ -e "$d/etc/systemd/network/80-mayfly.network" ] || fail "units are missing"
	# The builder is still cloud-init's.
	not_called 'systemctl enable .*mayfly-agent'
}

case_cuda() {
	builder
	mkdir -p "$d/etc/docker"
	echo '{"runtimes":{"nvidia":{"path":"nvidia-container-runtime"}}}' >"$d/etc/docker/daemon.json"
	stub nvidia-ctk
	stub modinfo 'echo 580.173.02'
	in_step cuda CURL_BODY=C95B321B61E88C1809C4F759DDCAE044F796ECB0
	[ $status = 194 ] || fail "exit $status, no reboot"
	called 'apt-get install linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server$'
	called 'apt-get install nvidia-container-toolkit=1.20.0-1 '
	called 'nvidia-ctk runtime configure --runtime=docker$'
	called 'apt-mark hold linux-aws '
	not_called modinfo
	jq -e '.["exec-opts"][0] == "native.cgroupdriver=cgroupfs" and .runtimes.nvidia.path != null' "$d/etc/docker/daemon.json" >/dev/null ||
		fail "daemon.json: $(cat "$d/etc/docker/daemon.json")"
	same etc/apt/sources.list.d/nvidia.sources 'Types: deb
URIs: https://nvidia.github.io/libnvidia-container/stable/deb/amd64
Suites: /
Architectures: amd64
Signed-By: /etc/apt/keyrings/nvidia.asc'
	# After the reboot.
	stub dpkg
	: >"$d/calls"
	step cuda
	not_called apt-get
	called modinfo
	stub modinfo 'exit 1'
	in_step cuda
	[ $status = 1 ] || fail "no module for this kernel, and exit $status"
}

case_cuda_other_key() {
	builder
	in_step cuda CURL_BODY=9DC858229FC7DD38854AE2D88D81803C0EBFCD88
	[ $status = 1 ] || fail "exit $status"
	not_called 'apt-get install nvidia-container-toolkit'
}

case_python() {
	builder
	step python CURL_BODY=F23C5A6CF475977595C89F51BA6932366A755776
	called 'curl .*-- https://keyserver.ubuntu.com/pks/lookup?op=get&search=0xF23C5A6CF475977595C89F51BA6932366A755776$'
	expect etc/apt/sources.list.d/python.sources '^Suites: noble$'
	for version in 3.8 3.9 3.10 3.11 3.12 3.13; do
		called "apt-get install python$version python$version-dev python$version-venv\$"
	done
}

case_go() {
	builder
	mkdir -p "$d/go/bin"
	script "$d/go/bin/go" 'echo go version go1'
	tar -C "$d" -czf "$d/go.tar.gz" go
	in_step go
	[ $status = 1 ] && [ ! -e "$d/local/go" ] || fail "anything is taken for Go"
	called 'curl .*-- https://go.dev/dl/go[0-9.]*.linux-amd64.tar.gz$'
	stub curl 'while [ "$1" != -o ]; do shift; done; cp /srv/go.tar.gz "$2"'
	set_version GO_SHA256_AMD64 "$(sha256sum "$d/go.tar.gz" | cut -d' ' -f1)"
	step go
	[ "$("$d/local/bin/go" version)" = 'go version go1' ] || fail "go does not run"
}

case_prune() {
	builder
	mkdir "$d/units"
	touch "$d/units/apt-daily.timer" "$d/units/fancy.timer" "$d/units/snapd.socket" "$d/units/cron.service" "$d/units/docker.socket"
	sandbox --bind "$d/units" /usr/lib/systemd/system --bind "$d/boot" /boot --chdir /srv/recipe sh main.sh step prune >"$d/log" 2>&1 ||
		fail "exit $?"
	find "$d/etc/systemd/system" -lname /dev/null -printf '%f\n' | sort >"$d/masked"
	same masked 'apt-daily.timer
cron.service
fancy.timer
snapd.socket'
	called update-grub
	expect etc/default/grub.d/90-mayfly.cfg '^GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT panic=-1'
	expect etc/systemd/journald.conf.d/mayfly.conf '^Storage=volatile'
}

### Driver

# bake STEPS [NAME=VALUE...]: a builder without systemd, from the payload to the power-off, with the steps of the case
bake() {
	payload "$@" >"$d/user-data"
	sandbox --bind "$d/var" /var sh /srv/user-data >"$d/log" 2>&1
	same off off
	tail -n 1 "$d/log" >"$d/last"
}

# own NUMBER TEXT: a step of one's own
own() {
	printf '%s\n' "$2" >"$d/recipe/steps/own-$1.sh"
}

driver() {
	builder
	rmdir "$d/var/lib/mayfly-bake"
	echo 'rm -rf /var/lib/mayfly-bake' >"$d/recipe/steps/seal.sh"
}

case_driver() {
	driver
	own 1 'echo "1 $MAYFLY_IMAGE $MAYFLY_ARCH $MAYFLY_VERSION $RUNNER_VERSION $(id -u) $HOME $(stat -c %a /var/lib/mayfly-bake)" >>/srv/steps'
	own 2 'cat versions >/dev/null; echo 2 >>/srv/steps; apt-get update; cat "$APT_CONFIG" >/srv/apt'
	bake 'own-1 own-2 seal' "IMAGE=it's \$(touch /srv/pwned)"
	phases 'bake-own-1,bake-own-2,bake-seal'
	same steps "1 it's \$(touch /srv/pwned) amd64 0.0.0 $(sed -n s/^RUNNER_VERSION=//p "$top/ami/versions") 0 /root 700
2"
	same last 'mayfly: bake ok f00ba4'
	expect apt '^DPkg::Lock::Timeout'
	[ ! -e "$d/pwned" ] || fail "a value was run by a shell"
}

case_driver_failure() {
	driver
	own 1 'i=0; while [ $i -lt 40 ]; do i=$((i + 1)); printf "line %s\033[2J\r\n" $i; done; false; echo on >/srv/on'
	own 2 'echo on >/srv/on'
	bake 'own-1 own-2 seal'
	same last 'mayfly: bake failed: own-1 (exit 1)'
	[ "$(grep -c '^mayfly: | line ' "$d/log")" = 30 ] || fail "not its last 30 lines"
	expect log '^mayfly: | line 40\[2J$'
	! grep -q 'bake ok' "$d/log" || fail "and ok"
	[ ! -e "$d/on" ] || fail "it went on"
}

case_driver_unset_variable() {
	driver
	own 1 'echo "$NONESUCH"'
	bake 'own-1 seal'
	expect last 'bake failed: own-1 (exit 2)'
}

case_driver_terminated() {
	driver
	own 1 'kill "$PPID"; sleep 5'
	bake 'own-1 seal'
	same last 'mayfly: bake failed: own-1 (ended)'
}

case_driver_bash() {
	driver
	own 1 '#!/usr/bin/env bash
[[ $BASH_VERSION ]] && a=(x y) && echo "${a[1]}" >/srv/bash'
	bake 'own-1 seal'
	same bash y
	same last 'mayfly: bake ok f00ba4'
}

# As it looks after a panic: nobody asked for this boot.
case_driver_other_boot() {
	driver
	own 1 'echo other >boot; sh main.sh go >/srv/second'
	bake 'own-1 seal'
	same second 'mayfly: bake failed: begin (the builder rebooted by itself)'
}

case_driver_missing_step() {
	driver
	bake 'nonesuch seal'
	expect last 'bake failed: nonesuch (exit'
}

# machine STEPS [NAME=VALUE...]: a builder whose payload runs as cloud-init runs it
machine() {
	needs_nspawn "$rootfs"
	disk "$rootfs"
	rm -rf "$d/disk/etc/systemd/system/*mayfly*"
	payload "$@" >"$d/disk/root/user-data"
	cat >"$d/disk/etc/systemd/system/cloud-final.service" <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		# Once an instance.
		ExecStart=/bin/sh -c '[ -e /root/ran ] || { touch /root/ran; sh /root/user-data; sleep 1; echo final >>/root/order; }'
		StandardOutput=journal+console
		[Install]
		WantedBy=multi-user.target
	END
	systemctl -q --root="$d/disk" enable cloud-final.service
}

nspawn_recipe() {
	recipe "$d/recipe"
}

case_systemd_bake() {
	nspawn_recipe
	own 1 'echo step >>/root/order; useradd -m ubuntu; mkdir -p /root/.ssh; echo key >/root/.ssh/authorized_keys'
	machine 'own-1 seal'
	power_on 30
	# systemd flushes the console when it starts a getty, which is at the end of the boot: the first line may be lost.
	phases '(bake-own-1,)?bake-seal'
	expect log 'mayfly: bake ok f00ba4$'
	same disk/root/order 'final
step'
	find "$d/disk/etc" "$d/disk/var" "$d/disk/root/.ssh" "$d/disk/home" -name '*mayfly*' -o -name ubuntu -o -name authorized_keys >"$d/left" 2>/dev/null
	same left ''
	[ -e "$d/disk/etc/machine-id" ] && [ ! -s "$d/disk/etc/machine-id" ] || fail "the machine has an id"
	find "$d/disk/var/log" -type f >"$d/left"
	same left ''
}

case_systemd_failure() {
	nspawn_recipe
	own 1 'echo the reason; exit 3'
	machine 'own-1 seal'
	power_on 30
	expect log 'mayfly: | the reason$'
	expect log 'mayfly: bake failed: own-1 (exit 3)$'
	! grep -q 'bake ok' "$d/log" || fail "and ok"
}

case_systemd_debug() {
	nspawn_recipe
	own 1 'echo the reason; i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo $i; done; exit 3'
	machine 'own-1 seal' DEBUG=1
	power_on 30
	expect log 'mayfly: | the reason$'
	[ "$(grep -c 'the reason' "$d/log")" = 1 ] || fail "it says so twice"
	expect log 'mayfly: bake failed: own-1 (exit 3)$'
}

case_systemd_reboot() {
	nspawn_recipe
	own 1 '[ -e /root/second ] || { touch /root/second; exit 194; }'
	own 2 'cat /etc/systemd/system/mayfly-bake-deadline.timer >/root/timer; echo "$MAYFLY_LIFE_SECONDS" >/root/life'
	machine 'own-1 own-2 seal'
	power_on 40
	# Its last word before the reboot may go down with the journal that forwards it here.
	sed -i '/mayfly: phase reboot /d' "$d/log"
	phases '(bake-own-1,){0,2}bake-own-2,bake-seal'
	expect log 'mayfly: bake ok f00ba4$'
	life=$(cat "$d/disk/root/life")
	[ "$life" -le 600 ] && [ "$life" -gt 580 ] || fail "a life of $life s after the reboot"
	expect disk/root/timer "^OnBootSec=$life\$"
}

case_systemd_two_reboots() {
	nspawn_recipe
	own 1 'exit 194'
	machine 'own-1 seal'
	power_on 40
	expect log 'mayfly: bake failed: own-1 (wants a second reboot)$'
}

case_systemd_deadline() {
	nspawn_recipe
	own 1 'trap "" TERM; sleep 60'
	machine 'own-1 seal' LIFE_SECONDS=5
	power_on 20
	expect log 'mayfly: bake failed: deadline (5s)$'
}

# Also after a reboot, and when systemd itself would wait.
case_systemd_deadline_after_reboot() {
	nspawn_recipe
	own 1 '[ -e /root/second ] || { touch /root/second; exit 194; }; kill -KILL $PPID; sleep 60'
	own 2 true
	machine 'own-1 own-2 seal' LIFE_SECONDS=12
	sed -i '/SuccessAction=poweroff-force/d; /FailureAction=poweroff-force/d' "$d/disk/root/user-data"
	power_on 40
	expect log 'mayfly: bake failed: deadline ([0-9]*s)$'
}

case_systemd_killed() {
	nspawn_recipe
	own 1 'kill -KILL $PPID; sleep 60'
	machine 'own-1 seal'
	power_on 30
	! grep -q 'bake ok' "$d/log" || fail "and ok"
}

### The whole

# nothing NAME: the list in $d/NAME is empty
nothing() {
	[ ! -s "$d/$1" ] || fail "$1: $(tr '\n' ' ' <"$d/$1")"
}

case_image_secrets() {
	needs_image
	grep -rIl canary-of-the-builder "$d/disk" --exclude-dir=proc --exclude-dir=sys >"$d/canaries"
	nothing canaries
	find "$d/disk" -xdev \( -name 'ssh_host_*' -o -name 'authorized_keys*' -o -name '.*_history' -o -name '*credentials*' \
		-o -name '.netrc' -o -name 'id_*' -path '*/.ssh/*' -o -name '*.pem' -path '*/private/*' \) ! -path '*/python3*' \
		! -path '*/git-core/*' ! -path '*/usr/share/*' ! -path '*/usr/lib/*' >"$d/secrets"
	nothing secrets
	# Nobody can log in: no password is set.
	awk -F: 'length($2) > 2 && $2 !~ /^!/ { print $1 }' "$d/disk/etc/shadow" >"$d/passwords"
	awk -F: '$1 == "root" && $2 == "" { print $1 }' "$d/disk/etc/shadow" >>"$d/passwords"
	nothing passwords
}

case_image_state() {
	needs_image
	[ -f "$d/disk/etc/machine-id" ] && [ ! -s "$d/disk/etc/machine-id" ] || fail "machine-id is not an empty file"
	{
		find "$d/disk/var/log" "$d/disk/tmp" "$d/disk/var/tmp" "$d/disk/var/lib/cloud" "$d/disk/var/lib/apt/lists" -type f
		find "$d/disk/var/cache/apt" -name '*.deb' -o -name '*.bin'
		find "$d/disk/var/lib" "$d/disk/etc" -name '*mayfly-bake*'
		find "$d/disk/run" -mindepth 1 -path '*mayfly*'
	} >"$d/files"
	nothing files
	[ "$(ls "$d/disk/home")" = runner ] || fail "home of $(ls "$d/disk/home")"
	same disk/etc/hostname runner
	expect disk/etc/apt/sources.list '^# http://archive.ubuntu.com/ubuntu$'
	[ "$(readlink "$d/disk/etc/resolv.conf")" = ../run/systemd/resolve/stub-resolv.conf ] || fail "resolv.conf"
}

case_image_units() {
	needs_image
	for unit in mayfly-agent.service mayfly-grow.service docker.socket systemd-networkd.service systemd-resolved.service; do
		[ "$(systemctl --root="$d/disk" is-enabled "$unit")" = enabled ] || fail "$unit is not enabled"
	done
	for unit in docker.service containerd.service; do
		[ "$(systemctl --root="$d/disk" is-enabled "$unit")" = disabled ] || fail "$unit is not disabled"
	done
	for unit in ssh.service cron.service apt-daily.timer man-db.timer systemd-networkd-wait-online.service getty@.service; do
		[ ! -e "$d/disk/usr/lib/systemd/system/$unit" ] || [ "$(systemctl --root="$d/disk" is-enabled "$unit")" = masked ] ||
			fail "$unit is not masked"
	done
	[ -e "$d/disk/etc/cloud/cloud-init.disabled" ] || fail "cloud-init runs"
	systemd-analyze verify --man=no --root="$d/disk" mayfly-agent.service mayfly-grow.service >"$d/log" 2>&1 || fail "verify"
	! grep mayfly "$d/log" || fail "systemd-analyze complains"
	# Should it be a first boot after all: the same.
	systemctl --root="$d/disk" preset-all >"$d/log" 2>&1 || fail "preset-all"
	[ "$(systemctl --root="$d/disk" is-enabled docker.service)" = disabled ] &&
		[ "$(systemctl --root="$d/disk" is-enabled mayfly-agent.service)" = enabled ] || fail "a first boot changes units"
}

case_image_tools() {
	needs_image
	in_image() {
		bwrap --die-with-parent --unshare-pid --unshare-net --bind "$d/disk" / --dev /dev --proc /proc --tmpfs /run --clearenv \
			--setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" >>"$d/log" 2>&1 || fail "$*: exit $?"
	}
	other=aarch64
	[ "${arch:-$(dpkg --print-architecture)}" = amd64 ] || other=x86_64
	for tool in git jq curl wget tox zstd unzip cc docker "qemu-$other-static" gzip setpriv growpart resize2fs; do
		in_image sh -c "command -v $tool"
	done
	in_image setpriv --reuid=1001 --regid=1001 --init-groups sh -c 'cd /opt/actions-runner && ./bin/Runner.Listener --version &&
		[ -w . ] && [ -w /opt/hostedtoolcache ] && id -nG | grep -w docker'
	in_image sh -c 'sudo -l -U runner | grep NOPASSWD'
	in_image python3 -m venv /root/venv
	in_image sh -c 'echo "#include <openssl/ssl.h>
#include <ffi.h>
#include <Python.h>" | cc $(python3-config --includes 2>/dev/null) -x c -fsyntax-only -'
	in_image mayfly-agent --version
	expect log '^mayfly-agent 0.0.0$'
}

# The payload has to fit user-data, with room for recipes of one's own.
case_size() {
	recipe "$d/recipe"
	payload 'base docker runner agent cuda prune seal' | gzip -9 >"$d/payload"
	size=$(wc -c <"$d/payload")
	[ "$size" -le 13000 ] || fail "$size bytes of user-data, and 13000 leave room"
	for file in "$d"/recipe/main.sh "$d"/recipe/steps/*.sh; do
		sh -n "$file" || fail "$file is no script any more"
	done
}

case_versions() {
	strip "$top/ami/versions" | grep -vE '^[A-Z0-9_]+=[A-Za-z0-9_.:/-]*$' >"$d/strange"
	same strange ''
	strip "$top/ami/versions" | grep SHA256 | grep -vE '=[0-9a-f]{64}$' >"$d/strange"
	same strange ''
}

# A unit that fails by one of these does not run its FailureAction.
case_units() {
	! grep -lE '^(Condition|Assert|Requires|Requisite|BindsTo)' "$top"/ami/units/*.service >"$d/log" || fail "a unit may never run"
	grep -q ^FailureAction=poweroff "$top/ami/units/mayfly-agent.service" || fail "the agent may fail, and the machine stays up"
}

case_shellcheck() {
	have shellcheck || skip "no shellcheck"
	shellcheck "$top"/ami/bake/*.sh "$top/ami/smoke.sh" "$0" >"$d/log" || fail "complaints"
}

# shellcheck disable=SC2046 # names
set -- $(cases "$@")
case $* in *systemd*) make_rootfs "$rootfs" systemd-sysv ;; esac
case $* in *image*) make_image ;; esac
run_cases "$@"
