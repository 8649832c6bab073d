#!/bin/sh
# The runner of GitHub Actions, its user, and what setup-* actions look for.
arch=$(pick x64 arm64)
url=${MAYFLY_RUNNER_URL-}
sha=${MAYFLY_RUNNER_SHA256-}
if [ -z "$url" ]; then
	url=https://github.com/actions/runner/releases/download/v$RUNNER_VERSION/actions-runner-linux-$arch-$RUNNER_VERSION.tar.gz
	sha=$(pick "$RUNNER_SHA256_AMD64" "$RUNNER_SHA256_ARM64")
fi
[ "$sha" ] || {
	echo "no SHA-256 for $url"
	exit 1
}

id -u runner >/dev/null 2>&1 || useradd -m -u 1001 -s /bin/bash runner
! getent group docker >/dev/null || usermod -aG docker runner
# As on GitHub's own runners. The machine has one job, and whoever may use docker is root anyway.
echo 'runner ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/runner
chmod 440 /etc/sudoers.d/runner

mkdir -p /opt/actions-runner /opt/hostedtoolcache
fetch /opt/runner.tar.gz "$url" "$sha"
tar --no-same-owner -xzf /opt/runner.tar.gz -C /opt/actions-runner
rm /opt/runner.tar.gz
/opt/actions-runner/bin/installdependencies.sh
(
	. /etc/os-release
	printf '%s\n' "ImageOS=$ID${VERSION_ID%%.*}" RUNNER_TOOL_CACHE=/opt/hostedtoolcache AGENT_TOOLSDIRECTORY=/opt/hostedtoolcache
) >/opt/actions-runner/.env
chown -R runner:runner /opt/actions-runner /opt/hostedtoolcache
