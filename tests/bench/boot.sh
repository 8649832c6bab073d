#!/bin/sh
# How long a baked image takes from its user-data to its runner; by hand, as root: make bench-boot.
#
# usage: boot.sh nspawn    boots of the image under systemd-nspawn: the time that the agent and boot.sh take
#        boot.sh tcg       one boot under QEMU with the agent, one with cloud-init, of the same packages, and the ratio;
#                          needs qemu-system-x86 and socat, and fetches a kernel from Debian
# shellcheck disable=SC2016 # the stand-ins are scripts in single quotes
# shellcheck disable=SC2317 # the cases are called by name
# shellcheck source=../image/lib.sh
. "${0%/*}/../image/lib.sh"

# since PHASE UPTIME: milliseconds from that phase in $d/log
since() {
	sed -n "s/^.*mayfly: phase $1 (\([0-9.]*\)s)\$/\1/p" "$d/log" | head -n 1 | awk -v end="$2" '{ printf "%d\n", (end - $1) * 1000 }'
}

boots=10

case_nspawn() {
	out=$d
	for i in $(seq "$boots"); do
		name=boot$i
		d=$out/$i
		mkdir "$d"
		instance 'read -r up _ </proc/uptime; echo "$up" >/srv/started'
		launch 30
		started=$(cat "$d/disk/srv/started")
		echo "$(since user-data "$started") $(since agent "$started")"
	done | sort -n >"$out/times"
	awk -v n="$boots" '
		{ fetched[NR] = $1; agent[NR] = $2 }
		END {
			printf "%d boots: user-data to run.sh %d to %d ms, median %d ms; ", NR, fetched[1], fetched[NR], fetched[int((NR + 1) / 2)]
			printf "start of the agent to run.sh, median of those %d ms\n", agent[int((NR + 1) / 2)]
			exit NR != n
		}' "$out/times" || fail "not all of them booted"
	d=$out
}

# in_disk COMMAND...: as root in $d/disk, with the network of the machine
in_disk() {
	bwrap --die-with-parent --unshare-pid --bind "$d/disk" / --dev /dev --proc /proc --tmpfs /run --cap-add ALL \
		--ro-bind /etc/resolv.conf /run/resolv.conf --clearenv --setenv DEBIAN_FRONTEND noninteractive \
		--setenv PATH /usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# A kernel, and what cloud-init needs to reach its metadata service; the runner is there already.
make_kernel() {
	d=$work/kernel
	mkdir -p "$d"
	disk "$cache/bakefs"
	rm -f "$d/disk/etc/resolv.conf" "$d/disk/etc/hosts"
	cat /etc/resolv.conf >"$d/disk/etc/resolv.conf"
	cat /etc/hosts >"$d/disk/etc/hosts"
	apt-config dump | grep '^Acquire::\(Check-\|http\)' >"$d/disk/etc/apt/apt.conf.d/99bench"
	script "$d/disk/usr/sbin/policy-rc.d" 'exit 101'
	{ in_disk apt-get -qq update && in_disk apt-get -qqy --no-install-recommends install linux-image-cloud-amd64 \
		initramfs-tools isc-dhcp-client ifupdown; } >"$d/log" 2>&1 || fail "no kernel"
	rm "$d/disk/usr/sbin/policy-rc.d"
	cp "$d"/disk/boot/vmlinuz-* "$work/vmlinuz"
	cp "$d"/disk/boot/initrd.img-* "$work/initrd"
	image_tarball
	mkdir "$d/disk/opt/actions-runner"
	tar -xzf "$d/runner.tar.gz" -C "$d/disk/opt/actions-runner"
	useradd --root "$d/disk" -m -u 1001 runner
	chown -R 1001:1001 "$d/disk/opt/actions-runner"
	echo 'datasource_list: [ Ec2 ]' >"$d/disk/etc/cloud/cloud.cfg.d/99_ec2.cfg"
	umount "$d/disk"
}

# tcg NAME LAYERS: boots it under QEMU; milliseconds from power-on to run.sh in $d/started
tcg() {
	name=$1
	d=$work/$1
	mkdir -p "$d/imds/latest/meta-data" "$d/imds/latest/dynamic/instance-identity"
	disk "$2"
	printf i-0123456789abcdef0 | tee "$d/imds/latest/meta-data/instance-id" >"$d/imds/latest/meta-data/local-hostname"
	echo '{"region":"us-east-1","availabilityZone":"us-east-1a","instanceId":"i-0123456789abcdef0"}' \
		>"$d/imds/latest/dynamic/instance-identity/document"
	user_data >"$d/imds/latest/user-data"
	mkdir -p "$d/disk/srv"
	script "$d/disk/srv/run.sh" 'read -r up _ </proc/uptime; echo "run.sh at $up"'
	mke2fs -q -t ext4 -d "$d/disk" -F "$d/disk.img" 4G 2>/dev/null >&2
	umount "$d/disk"
	python3 "$top/tests/image/imds.py" "$d/imds" 127.0.0.1 8169 2>/dev/null &
	imds=$!
	timeout 300 qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -display none -serial "file:$d/raw" -no-reboot \
		-kernel "$work/vmlinuz" -initrd "$work/initrd" -append 'console=ttyS0 root=/dev/vda rw panic=-1' \
		-drive "file=$d/disk.img,if=virtio,format=raw,snapshot=on" \
		-smbios 'type=1,manufacturer=Amazon EC2,serial=ec2e1916-9099-7caf-fd21-012345abcdef,uuid=ec2e1916-9099-7caf-fd21-012345abcdef' \
		-netdev 'user,id=n0,net=169.254.169.0/24,host=169.254.169.2,dns=169.254.169.253,dhcpstart=169.254.169.15,guestfwd=tcp:169.254.169.254:80-cmd:socat STDIO TCP:127.0.0.1:8169' \
		-device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56
	kill "$imds"
	tr -d '\r' <"$d/raw" >"$d/log"
	rm "$d/disk.img"
	sed -n 's/^.*run.sh at \([0-9.]*\)$/\1/p' "$d/log" | head -n 1 >"$d/started"
	[ -s "$d/started" ] || fail "the runner did not start"
	echo "$1: run.sh at $(cat "$d/started") s, $(grep -c '"GET\|"PUT' "$d/imds/log") requests to the metadata service"
}

case_tcg() {
	for tool in qemu-system-x86_64 socat; do have $tool || skip "no $tool"; done
	[ "$image" ] || skip "no image"
	make_kernel
	tcg agent "${image%:*}:$work/kernel/upper:$cache/bakefs"
	tcg cloud-init "$work/kernel/upper:$cache/bakefs"
	awk 'NR == 1 { agent = $1 } NR == 2 { printf "ratio %.1f\n", $1 / agent }' "$work/agent/started" "$work/cloud-init/started"
	name=tcg
}

# shellcheck disable=SC2046 # names
set -- $(cases "$@")
make_image
slots=1
run_cases "$@"
