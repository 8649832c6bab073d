#!/bin/sh
# Docker, which the first use of its socket starts: it is off the way from power-on to the runner.
. /etc/os-release
if [ "$DOCKER_REPO" ]; then
	add_key docker "$DOCKER_REPO/$ID/gpg" "$DOCKER_KEY"
	add_source docker "$DOCKER_REPO/$ID" "$VERSION_CODENAME" stable
	retry apt-get install docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin
else
	retry apt-get install docker.io
fi
systemctl disable docker.service containerd.service
systemctl enable docker.socket
