#!/bin/sh
# The driver of a bake, on the builder. The payload of `mayfly bake` puts the recipe beside this file (versions, steps/,
# units/, agent/), exports its values (MAYFLY_*), and runs it; cloud-init or mayfly-agent ran the payload.
#
#   main.sh            begins: copies the recipe to the disk, installs what ends the builder whatever happens, hands over
#   main.sh go         the bake itself, as the unit mayfly-bake; again after a reboot that a step asked for
#   main.sh step NAME  one step, in a shell of its own, with the functions below
#
# A step is run by `sh -eu`, in the directory of the recipe. It may exit with 194: reboot, then run me again.
# The builder says on its console what became of it, and is off then: "bake ok NONCE" is the only success.
set -u
state=/var/lib/mayfly-bake
units=/etc/systemd/system
step=begin

say() {
	if [ -c /dev/console ] && { printf 'mayfly: %s\n' "$*" >/dev/console; } 2>/dev/null; then
		return
	fi
	printf 'mayfly: %s\n' "$*"
}

phase() {
	read -r up _ </proc/uptime
	say "phase $* (${up}s)"
}

# Nothing is stopped in an orderly way: what services write when they stop would end up in the image.
off() {
	trap - EXIT
	cd /
	sync
	poweroff -f
}

die() {
	say "bake failed: $step ($*)"
	off
	exit 1
}

# fetch FILE URL [SHA256]
fetch() {
	curl -gfsSL --proto =https,file --retry 6 --retry-connrefused --connect-timeout 10 -m 900 -o "$1" -- "$2" || return
	[ $# = 2 ] || echo "$3  $1" | sha256sum -c -
}

# retry COMMAND…: a mirror is in the middle of an update, or another apt holds what DPkg::Lock::Timeout does not wait for:
# the locks of the lists and of the archives
retry() {
	for pause in 2 4 8 16 32 64; do
		"$@" && return
		echo "again in $pause s: $*"
		sleep "$pause"
	done
	"$@"
}

# add_key NAME URL FINGERPRINT: /etc/apt/keyrings/NAME.asc, provided that it is this key and no other
add_key() {
	mkdir -p /etc/apt/keyrings
	fetch "/etc/apt/keyrings/$1.asc" "$2"
	chmod 644 "/etc/apt/keyrings/$1.asc"
	found=$(gpg --batch --show-keys --with-colons "/etc/apt/keyrings/$1.asc" |
		awk -F: '$1 == "pub" { pub = 1 } $1 == "fpr" && pub { print $10; pub = 0 }')
	[ "$found" = "$3" ] || {
		echo "the key of $2 is $found, not $3"
		rm "/etc/apt/keyrings/$1.asc"
		exit 1
	}
}

# add_source NAME URI SUITE COMPONENTS, for the key of that name
add_source() {
	cat >"/etc/apt/sources.list.d/$1.sources" <<-END
		Types: deb
		URIs: $2
		Suites: $3
		Components: $4
		Architectures: $MAYFLY_ARCH
		Signed-By: /etc/apt/keyrings/$1.asc
	END
	# A suite that is a directory has no components.
	[ "$4" ] || sed -i /^Components:/d "/etc/apt/sources.list.d/$1.sources"
	retry apt-get update
}

# pick AMD64 ARM64: what fits the architecture
pick() {
	case $MAYFLY_ARCH in
	amd64) echo "$1" ;;
	arm64) echo "$2" ;;
	*) return 1 ;;
	esac
}

uptime() {
	read -r up _ </proc/uptime
	echo "${up%.*}"
}

# The deadline counts from the boot, so before a reboot it becomes what is left.
deadline() {
	cat >$units/mayfly-bake-deadline.timer <<-END
		[Timer]
		OnBootSec=$1
		AccuracySec=1
		[Install]
		WantedBy=multi-user.target
	END
}

reboot_for_step() {
	[ ! -e "reboot-$step" ] || die "wants a second reboot"
	: >"reboot-$step"
	left=$((MAYFLY_LIFE_SECONDS - $(uptime) + begin))
	deadline "$left"
	echo "export MAYFLY_LIFE_SECONDS=$left" >>vars
	# On an image of ours the agent takes a second boot for a mistake.
	rm -f boot /var/lib/mayfly/instance-id
	phase reboot
	sync
	# Forced: the end of the unit by an orderly one would be taken for the end of the bake.
	trap - EXIT
	trap 'exit 0' HUP INT TERM
	systemctl reboot --force
	sleep 600 &
	wait $!
	die "no reboot"
}

tell() {
	while IFS= read -r line; do
		say "| $(printf %s "$line" | tr -cd '[:print:]')"
	done
}

run_step() {
	phase "bake-$step"
	: >log # tail may begin before the step does
	sh "$state/main.sh" step "$step" >>log 2>&1 </dev/null &
	pid=$!
	[ -z "$MAYFLY_DEBUG" ] || tail -n +1 -f --pid=$pid log | tell
	wait $pid
	status=$?
	[ $status != 194 ] || reboot_for_step
	[ $status != 0 ] || return 0
	[ "$MAYFLY_DEBUG" ] || tail -n 30 log | tell
	die "exit $status"
}

case ${1-} in
'')
	# After a reboot of an image of ours the payload comes again.
	[ ! -e $state ] || exit 0
	trap 'die ended' EXIT
	{
		mkdir -m 700 $state && cp -R "${0%/*}/." $state &&
			MAYFLY_LIFE_SECONDS=${MAYFLY_LIFE_SECONDS:-5400} MAYFLY_DEBUG=${MAYFLY_DEBUG-} &&
			export MAYFLY_LIFE_SECONDS MAYFLY_DEBUG && export -p >$state/vars
	} || die "the recipe cannot be copied"
	trap - EXIT
	[ -d /run/systemd/system ] || exec sh $state/main.sh go
	trap 'die ended' EXIT
	deadline "$MAYFLY_LIFE_SECONDS"
	cat >$units/mayfly-bake-deadline.service <<-END
		[Unit]
		SuccessAction=poweroff-immediate
		FailureAction=poweroff-immediate
		[Service]
		ExecStart=/bin/sh -c 'echo "mayfly: bake failed: deadline (${MAYFLY_LIFE_SECONDS}s)" >/dev/console'
	END
	# After cloud-init, which writes its state when the last of its user-data ends; a target that wants a unit comes
	# after it, unless the unit says the opposite.
	cat >$units/mayfly-bake.service <<-END
		[Unit]
		After=multi-user.target cloud-final.service
		SuccessAction=poweroff-force
		FailureAction=poweroff-force
		[Service]
		ExecStart=/bin/sh $state/main.sh go
		OOMPolicy=continue
		TasksMax=infinity
		[Install]
		WantedBy=multi-user.target
	END
	{
		systemctl enable mayfly-bake-deadline.timer mayfly-bake.service &&
			systemctl start --no-block mayfly-bake-deadline.timer mayfly-bake.service
	} || die "systemd: exit $?"
	trap - EXIT
	;;
go)
	trap 'die ended' EXIT
	trap 'exit 1' HUP INT TERM
	begin=$(uptime)
	# shellcheck disable=SC1091 # of its first pass
	{ cd $state && . ./vars; } || die "no $state"
	read -r boot_id </proc/sys/kernel/random/boot_id
	[ ! -e boot ] || [ "$(cat boot)" = "$boot_id" ] || die "the builder rebooted by itself"
	echo "$boot_id" >boot
	cat >apt.conf <<-END
		APT::Get::Assume-Yes "true";
		APT::Install-Recommends "false";
		Acquire::Retries "10";
		DPkg::Lock::Timeout "300";
		Dpkg::Options { "--force-confold"; };
		Dpkg::Use-Pty "0";
		quiet "2";
	END
	for step in $MAYFLY_STEPS; do
		grep -qxs "$step" finished && continue
		run_step
		# Gone after the last one, which seals.
		[ ! -d $state ] || echo "$step" >>finished
	done
	say "bake ok $MAYFLY_NONCE"
	off
	;;
step)
	set -eu
	set -a
	# shellcheck source=../versions
	. ./versions
	set +a
	step=$2
	export APT_CONFIG=$state/apt.conf DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 HOME=/root
	# A recipe of one's own may want bash, without the functions above.
	case $(head -n 1 "steps/$step.sh") in '#!'*bash*) exec bash -eu "steps/$step.sh" ;; esac
	# shellcheck disable=SC1090
	. "./steps/$step.sh"
	;;
esac
