#!/usr/bin/env bash
# Static binaries with musl: build/static/mayfly-VERSION-linux-MACHINE for x86_64 and aarch64, stripped. They need no
# library and no loader of the system where they run.
#
# The libraries are built of Debian's source packages, with what Mayfly uses of them and no more: the newest of stable and
# its security updates, by apt, which holds them to the archive's signature. What is built once stays in build/static.
# On Debian with `examples/install-packages.sh release`, as anybody; 8 minutes of one core for both, then seconds.
#
# usage: tests/packages/release/static.sh [--older] [MACHINE…]
#   --older   where a mirror does not have the newest version, take the next older one, and say so
set -euo pipefail
cd "$(dirname "$0")/../../.."
top=$PWD
out=$top/build/static
sources=$out/sources
suites='trixie trixie-security bookworm bookworm-security'
older=

[ "${1-}" != --older ] || { older=y && shift; }
machines=("$@")
[ $# -gt 0 ] || machines=(x86_64 aarch64)

# --- sources -------------------------------------------------------------------------------------------------------

# archive LABEL: where the system's apt gets the archive that calls itself so: Debian or Debian-Security.
archive() {
	local uri
	# shellcheck disable=SC2016 # apt's own variables
	uri=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | sed -n "s/^$1 //p" | sed -n 1p)
	[ -n "$uri" ] || {
		printf 'static.sh: apt has no list of the archive %s: on a Debian whose sources name it, run apt-get update\n' "$1" >&2
		return 1
	}
	printf '%s\n' "$uri"
}

# An apt of our own: the system's lists and sources stay as they are.
apt_setup() {
	local suite debian security uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	debian=$(archive Debian)
	security=$(archive Debian-Security)
	mkdir -p "$sources/apt/lists/partial" "$sources/apt/cache/archives/partial"
	for suite in $suites; do
		uri=$debian
		[[ $suite != *-security ]] || uri=$security
		printf 'deb-src [signed-by=%s] %s %s main\n' "$keyring" "$uri" "$suite"
	done >"$sources/apt/sources.list"
	printf '%s\n' "Dir::Etc::sourcelist \"$sources/apt/sources.list\";" 'Dir::Etc::sourceparts "-";' \
		"Dir::State::lists \"$sources/apt/lists\";" "Dir::Cache \"$sources/apt/cache\";" \
		'APT::Sandbox::User "";' 'Acquire::Retries "3";' >"$sources/apt/apt.conf"
	export APT_CONFIG=$sources/apt/apt.conf
	apt-get update -qq
}

# versions PACKAGE: newest first.
versions() {
	apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p' | sort -ruV
}

# fetch PACKAGE: unpacks it, with Debian's fixes, to $sources/PACKAGE; its version is in $sources/PACKAGE.version.
fetch() {
	local version first=
	for version in $(versions "$1"); do
		first=${first:-$version}
		if [ "$version" = "$(cat "$sources/$1.version" 2>/dev/null)" ]; then return; fi
		rm -rf "$sources/$1.dsc.d"
		mkdir "$sources/$1.dsc.d"
		if (cd "$sources/$1.dsc.d" && apt-get source -qq --download-only --only-source "$1=$version" >"$sources/$1.log" 2>&1); then
			rm -rf "${sources:?}/$1" "$sources/$1.version"
			dpkg-source --no-check -x "$sources/$1.dsc.d"/*.dsc "$sources/$1" >>"$sources/$1.log" 2>&1
			rm -rf "$sources/$1.dsc.d"
			printf '%s\n' "$version" >"$sources/$1.version"
			[ "$version" = "$first" ] || printf 'warning: %s %s could not be had: taking %s\n' "$1" "$first" "$version" >&2
			return
		fi
		[ -n "$older" ] || break
	done
	tail -5 "$sources/$1.log" >&2
	printf '%s could not be had; --older takes what the mirror has\n' "$1" >&2
	return 1
}

# --- libraries: each function builds one in a folder of its own and installs it to $prefix ------------------------------

build_musl() {
	CROSS_COMPILE=$tools- "$src/configure" --prefix="$prefix" --target="$machine-linux-musl" --disable-shared --enable-wrapper=gcc \
		CC="$gcc" CFLAGS="$optimize"
	make -j"$(nproc)"
	make install
	# The kernel's headers, which belong to no libc.
	ln -sfn "$kernel/linux" "$kernel/asm-generic" "$prefix/include/"
	if [ -d "$kernel/asm" ]; then ln -sfn "$kernel/asm" "$prefix/include/"; else ln -sfn "/usr/include/$machine-linux-gnu/asm" "$prefix/include/"; fi
	# The compiler of all that follows: it writes no folder of this machine into what it makes.
	printf '#!/bin/sh\nexec "%s" "$@" -ffile-prefix-map="%s"=. -ffile-prefix-map="%s"=.\n' "$prefix/bin/musl-gcc" "$out" "$top" \
		>"$prefix/bin/static-cc"
	chmod +x "$prefix/bin/static-cc"
}

build_zlib() {
	CC=$cc CFLAGS=$optimize CHOST=$machine-linux-musl AR=$tools-ar RANLIB=$tools-ranlib "$src/configure" --prefix="$prefix" --static
	make -j"$(nproc)" libz.a
	make install
}

build_json-c() {
	cmake "$src" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_SYSTEM_NAME=Linux \
		-DCMAKE_SYSTEM_PROCESSOR="$machine" -DCMAKE_C_COMPILER="$(command -v "$cc")" -DCMAKE_AR="$(command -v "$tools-ar")" \
		-DCMAKE_RANLIB="$(command -v "$tools-ranlib")" -DCMAKE_C_FLAGS="$optimize" -DBUILD_SHARED_LIBS=OFF \
		-DBUILD_TESTING=OFF -DBUILD_APPS=OFF -DDISABLE_EXTRA_LIBS=ON -DCMAKE_BUILD_TYPE=None
	make -j"$(nproc)"
	make install
}

build_libxml2() {
	(cd "$src" && autoreconf -fi) # Debian's fixes touch what configure is made of
	"$src/configure" --host="$machine-linux-musl" --prefix="$prefix" --disable-shared --enable-static --with-minimum \
		--with-reader --with-tree --with-push --with-pattern --without-lzma --without-zlib --without-python CC="$cc" CFLAGS="$optimize"
	make -j"$(nproc)" libxml2.la
	make install-libLTLIBRARIES install-data
}

build_openssl() {
	# Its certificates are the system's: /etc/ssl is where Debian, Ubuntu, Alpine and SUSE have them.
	"$src/Configure" "linux-$machine" --prefix=/usr --libdir=lib --openssldir=/etc/ssl --cross-compile-prefix= \
		no-shared no-dso no-module no-engine no-async no-apps no-tests no-docs no-comp no-zlib no-legacy no-ssl3 no-dtls \
		no-quic no-srp no-psk no-ct no-cms no-ts no-cmp no-ocsp no-idea no-seed no-camellia no-aria no-bf no-cast no-des \
		no-rc2 no-rc4 no-md4 no-mdc2 no-whirlpool no-siphash no-sm2 no-sm3 no-sm4 no-rmd160 no-blake2 no-ec2m no-gost \
		no-ui-console no-afalgeng no-scrypt no-ml-dsa no-slh-dsa no-dsa \
		CC="$cc" AR="$tools-ar" RANLIB="$tools-ranlib" CFLAGS="$optimize"
	make -j"$(nproc)" build_libs
	# Its prefix is written into it: it gets to know ours only now.
	make install_dev DESTDIR="$PWD/installed"
	cp -R installed/usr/. "$prefix"
	sed -i "s|^prefix=.*|prefix=$prefix|" "$prefix"/lib/pkgconfig/{libcrypto,libssl,openssl}.pc
}

build_curl() {
	"$src/configure" --host="$machine-linux-musl" --prefix="$prefix" --disable-shared --enable-static --with-openssl="$prefix" \
		--without-zlib --without-brotli --without-zstd --without-libpsl --without-nghttp2 --without-libidn2 --without-librtmp \
		--without-ca-bundle --without-ca-path --with-ca-fallback --disable-ftp --disable-file --disable-ldap --disable-rtsp \
		--disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp \
		--disable-gopher --disable-mqtt --disable-ipfs --disable-websockets --disable-manual --disable-docs --disable-ntlm \
		--disable-unix-sockets --disable-alt-svc --disable-hsts --disable-cookies --disable-tls-srp --disable-netrc \
		--disable-doh --disable-mime --disable-libcurl-option --disable-dependency-tracking \
		CC="$cc" AR="$tools-ar" RANLIB="$tools-ranlib" CFLAGS="$optimize" PKG_CONFIG='pkg-config --static'
	make -j"$(nproc)" -C lib
	make -C lib install
	make -C include install
	make install-pkgconfigDATA
}

# --- all of it -----------------------------------------------------------------------------------------------------

# make_library NAME: unless it is there, of this version, by this recipe and on top of these.
make_library() {
	local mark=$prefix/.$1 src=${sources:?}/$1 work=$out/$machine/build/$1
	key=$({
		printf '%s\n' "$key" "$(cat "$sources/$1.version")"
		declare -f "build_$1"
	} | sha256sum)
	if [ "$(cat "$mark" 2>/dev/null)" = "$key" ]; then return; fi
	printf '%s: %s %s\n' "$machine" "$1" "$(cat "$sources/$1.version")"
	rm -rf "$work"
	mkdir -p "$work"
	# A subshell that ends at the first failure, which one in a condition would not.
	set +e
	(
		set -e
		cd "$work"
		"build_$1"
	) >"$work.log" 2>&1
	local status=$?
	set -e
	if [ $status -ne 0 ]; then
		tail -20 "$work.log" | cut -c 1-200 >&2
		return 1
	fi
	rm -rf "$work"
	printf '%s\n' "$key" >"$mark"
}

# make_mayfly: sets $binary.
make_mayfly() {
	local work=$out/$machine/mayfly
	[ "$(cat "$work.key" 2>/dev/null)" = "$key" ] || rm -rf "$work"
	mkdir -p "$work"
	printf '%s\n' "$key" >"$work.key"
	if [ ! configure -nt configure.ac ]; then ./autogen.sh >"$work.log" 2>&1; fi
	(
		cd "$work"
		[ config.status -nt "$top/configure" ] || "$top/configure" --host="$machine-linux-musl" --disable-sim CC="$cc" \
			AR="$tools-ar" RANLIB="$tools-ranlib" STRIP="$tools-strip" PKG_CONFIG='pkg-config --static' CFLAGS="$optimize"
		make -j"$(nproc)" mayfly LDFLAGS='-static-pie -Wl,--gc-sections'
	) >"$work.log" 2>&1 || {
		tail -20 "$work.log" | cut -c 1-200 >&2
		return 1
	}
	binary=$out/mayfly-$(sed -n 's/^PACKAGE_VERSION = //p' "$work/Makefile")-linux-$machine
	"$tools-strip" -o "$binary" "$work/mayfly"
}

mkdir -p "$sources"
apt_setup
libraries='musl zlib json-c libxml2 openssl curl'
for library in $libraries; do fetch "$library"; done
unset APT_CONFIG
optimize='-O2 -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong'
path=$PATH
export SOURCE_DATE_EPOCH=0 # what asks for the time while it is built
for machine in "${machines[@]}"; do
	tools=$machine-linux-gnu
	gcc=$tools-gcc
	command -v "$gcc" >/dev/null || {
		printf 'there is no %s: run examples/install-packages.sh release\n' "$gcc" >&2
		exit 1
	}
	kernel=/usr/include
	[ "$machine" = "$(uname -m)" ] || kernel=/usr/$tools/include
	prefix=$out/$machine/prefix
	export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
	cc=static-cc
	PATH=$prefix/bin:$path
	key=$("$gcc" --version | head -1)" $optimize"
	for library in $libraries; do make_library "$library"; done
	make_mayfly
	printf '%s  %s bytes\n' "${binary#"$top/"}" "$(stat -c %s "$binary")"
done
