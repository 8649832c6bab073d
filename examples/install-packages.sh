#!/bin/sh
# Installs, on Debian and Ubuntu, what building and testing needs. As root, or by sudo. Does nothing when all is there.
set -eu
packages="autoconf automake libtool pkg-config make gcc libc6-dev libcurl4-openssl-dev libssl-dev libxml2-dev
	libjson-c-dev libmicrohttpd-dev zlib1g-dev ca-certificates curl bubblewrap"
[ "${1-}" = build ] || packages="$packages check clang clang-format clang-tidy cppcheck jq shellcheck shfmt codespell faketime python3-venv valgrind gcovr
	systemd-container mmdebstrap mandoc zsh fish iproute2"
# For actionlint, which comes as source; a Go that is not a package will do.
[ "${1-}" = build ] || command -v go >/dev/null || packages="$packages golang-go"
# For Prism, which judges what is said to GitHub; a Node.js that is not a package will do.
[ "${1-}" = build ] || command -v npm >/dev/null || packages="$packages nodejs npm"
# A judge of the simulator, which neither Ubuntu nor a newer Debian has.
[ "${1-}" = build ] || ! grep -q '^VERSION_CODENAME=bookworm' /etc/os-release || packages="$packages packer"
# libFuzzer and the sanitizers' libraries, which clang itself brings on Ubuntu 22.04.
[ "${1-}" = build ] || grep -q '^VERSION_CODENAME=jammy' /etc/os-release || packages="$packages libclang-rt-dev"
# For what a release is made of, with tests/packages/release; an ARM64 machine builds for itself alone.
[ "${1-}" != release ] || packages="$packages cmake dpkg-dev debhelper fakeroot lintian debian-archive-keyring xz-utils git buildah"
[ "${1-}" != release ] || [ "$(uname -m)" != x86_64 ] ||
	packages="$packages gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross qemu-user-static"
missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of packages
if ! $sudo apt-get install -y --no-install-recommends $missing; then
	$sudo apt-get update
	$sudo apt-get install -y --no-install-recommends $missing
fi
