#!/bin/sh
# mayfly-agent in place of cloud-init, and the little else that cloud-init did: network, name, size of the root volume.
# All of it takes effect by the step `seal`, since cloud-init still runs this builder.
cc -O2 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -pie -Wl,-z,relro,-z,now \
	-D_GNU_SOURCE "-DPACKAGE_VERSION=\"${MAYFLY_VERSION:-unknown}\"" -o /usr/local/sbin/mayfly-agent agent/agent.c
install -m 644 -D -t /etc/systemd/system units/*.service
install -m 644 -D -t /etc/systemd/system-preset units/*.preset
install -m 644 -D -t /etc/systemd/network units/*.network
# As boot.sh writes it, which finds it here and need not reload systemd.
mkdir -p /etc/systemd/system/poweroff.target.d
printf '[Unit]\nJobTimeoutSec=60\nJobTimeoutAction=poweroff-immediate\n' >/etc/systemd/system/poweroff.target.d/mayfly.conf
systemctl enable systemd-networkd.service systemd-resolved.service
