#!/bin/sh
# NVIDIA's driver, as modules that Canonical built and signed, and the container toolkit. No CUDA toolkit: containers
# bring theirs, and it would be gigabytes that a fresh volume reads slowly.
driver=$NVIDIA_BRANCH-server
if ! dpkg -s "nvidia-utils-$driver" >/dev/null 2>&1; then
	retry apt-get install "linux-modules-nvidia-$driver-open-aws" "nvidia-headless-no-dkms-$driver-open" "nvidia-utils-$driver"
	add_key nvidia "$NVIDIA_REPO/gpgkey" "$NVIDIA_KEY"
	add_source nvidia "$NVIDIA_REPO/stable/deb/$MAYFLY_ARCH" / ''
	retry apt-get install "nvidia-container-toolkit=$NVIDIA_TOOLKIT" "nvidia-container-toolkit-base=$NVIDIA_TOOLKIT" \
		"libnvidia-container-tools=$NVIDIA_TOOLKIT" "libnvidia-container1=$NVIDIA_TOOLKIT"
	nvidia-ctk runtime configure --runtime=docker
	# With systemd's cgroups a `systemctl daemon-reload` takes the GPU from containers that run.
	jq '."exec-opts" = ["native.cgroupdriver=cgroupfs"]' /etc/docker/daemon.json >daemon.json
	cat daemon.json >/etc/docker/daemon.json
	echo 'blacklist nouveau' >/etc/modprobe.d/mayfly-nouveau.conf
	update-initramfs -u
	# A job's `apt-get upgrade` must not tear kernel, modules and libraries apart.
	apt-mark hold linux-aws linux-image-aws linux-headers-aws "linux-modules-nvidia-$driver-open-aws" \
		"nvidia-headless-no-dkms-$driver-open" "nvidia-utils-$driver"
	# The modules may have come with a newer kernel.
	exit 194
fi
modinfo -F version nvidia
