#!/bin/sh
# The last step: from here on the agent boots the disk, and nothing of the builder is left on it. Whoever wants to keep
# containers in the image pulls them before: what docker has stays.
! command -v docker >/dev/null || systemctl stop docker.socket docker.service containerd.service || :
systemctl stop systemd-random-seed.service chrony.service || :

if [ -e /etc/systemd/system/mayfly-agent.service ]; then
	systemctl enable mayfly-agent.service mayfly-grow.service
	mkdir -p /etc/cloud
	: >/etc/cloud/cloud-init.disabled
	rm -f /etc/netplan/50-cloud-init.yaml
	echo runner >/etc/hostname
	printf '127.0.0.1 localhost\n127.0.1.1 runner\n::1 localhost ip6-localhost\n' >/etc/hosts
	ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
fi
# The mirror of the builder's region, unless it is everybody's.
sed -i 's/[a-z0-9-]*\.ec2\.\(archive\|ports\)\.ubuntu/\1.ubuntu/g' /etc/apt/sources.list /etc/apt/sources.list.d/* || :

# The user of cloud-init; ours is `runner`.
! id -u ubuntu >/dev/null 2>&1 || userdel -rf ubuntu || :
passwd -ql root
rm -rf /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /etc/sudoers.d/90-cloud-init-users /var/lib/cloud/* /var/lib/mayfly /var/lib/amazon \
	/etc/ssh/ssh_host_* /etc/ssl/private/ssl-cert-snakeoil.key /var/lib/systemd/random-seed \
	/var/lib/systemd/credential.secret /var/lib/systemd/timers/* /var/lib/systemd/timesync/* /var/lib/dbus/machine-id \
	/var/lib/dhcp/* /var/lib/chrony/* /var/lib/docker/engine-id /etc/docker/key.json \
	/opt/actions-runner/_diag /opt/actions-runner/.runner /opt/actions-runner/.credentials*
for home in /root /home/*; do
	rm -rf "$home/.ssh" "$home/.gnupg" "$home/.cache" "$home/.wget-hsts" "$home"/.*_history "$home/snap" "$home/.docker"
done
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/crash/* /tmp/* /tmp/.[!.]* /var/tmp/* /var/tmp/.[!.]*

# Empty, not missing: systemd would take it for a first boot, and enable what is disabled.
: >/etc/machine-id
[ ! -d /run/systemd/system ] || systemctl restart systemd-journald.service
find /var/log -type f -delete
rm -rf /var/log/journal/*
rm -rf /etc/systemd/system/mayfly-bake* /etc/systemd/system/*.wants/mayfly-bake* /var/lib/mayfly-bake
sync
fstrim -a || :
