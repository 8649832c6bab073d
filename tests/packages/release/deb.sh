#!/bin/sh
# The Debian package, of the tarball that `make dist` made: build/deb/mayfly_VERSION-1_ARCHITECTURE.deb, built against this
# system's libraries, and good for what is newer. On Debian or Ubuntu with `examples/install-packages.sh release`.
#
# usage: tests/packages/release/deb.sh TARBALL (or: make deb)
set -eu
tarball=$(realpath "$1")
version=${tarball##*/mayfly-}
version=${version%.tar.xz}
cd "$(dirname "$0")/../../.."
out=$PWD/build/deb
rm -rf "$out"
mkdir -p "$out"
tar -C "$out" -xf "$tarball"
cd "$out/mayfly-$version"
cp -R tests/packages/release/debian .
# The day of what is packed, so that the same gives the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y configure.ac)}
export SOURCE_DATE_EPOCH
cat >debian/changelog <<END
mayfly ($version-1) unstable; urgency=medium

  * Version $version: changelog.gz tells what is new.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
dpkg-buildpackage -b -us -uc >"$out/log" 2>&1 || {
	tail -40 "$out/log" >&2
	exit 1
}
rm -rf "$out/mayfly-$version"
ls "$out"/*.deb
