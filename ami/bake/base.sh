#!/bin/sh
# What every image has: the newest packages, git and compilers, Python with tox, QEMU for the other architectures.
ln -sf /dev/null /etc/systemd/system/apt-daily.timer
ln -sf /dev/null /etc/systemd/system/apt-daily-upgrade.timer
# A first boot starts them at once: what is loaded already fires still, and what runs holds apt's lists.
systemctl stop apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service || :

if command -v snap >/dev/null; then
	# In this order: a snap that another one needs cannot go first.
	for snap in amazon-ssm-agent lxd core18 core20 core22 core24 snapd; do
		snap remove --purge "$snap" || :
	done
fi
# needrestart would restart the unit of a runner whose job installs packages.
for package in needrestart unattended-upgrades snapd; do
	! dpkg -s "$package" >/dev/null 2>&1 || apt-get purge "$package"
done

retry apt-get update
retry apt-get dist-upgrade
retry apt-get install ca-certificates curl wget gnupg git git-lfs openssh-client rsync jq file sudo \
	tar unzip zip xz-utils zstd iptables iproute2 procps dbus chrony systemd-resolved cloud-guest-utils e2fsprogs \
	build-essential pkg-config libssl-dev libffi-dev python3 python3-dev python3-pip python3-venv tox \
	qemu-user-static binfmt-support
