#!/usr/bin/env bash
# What `mayfly --version` says of the program and of its libraries.
. "$(dirname "$0")/lib.sh"

run "$mayfly" --version
expect 'the version is told' 0
version=$(sed -n 's/^AC_INIT(\[mayfly\], \[\(.*\)\])$/\1/p' "$top/configure.ac")
first=$(head -1 <<<"$out")
if commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null); then
	equal 'its first line is for programs, with the commit' "${first/-dirty)/)}" "mayfly $version ($commit)"
	made=$(stat -c '%y' "$build/src/commit.h")
	check 'the commit is looked up again' make -s -C "$build" src/commit.h
	equal 'what is the same is not written again' "$(stat -c '%y' "$build/src/commit.h")" "$made"
	check 'what git packs has a place for it' grep -qx '\$Format:%H\$' "$top/src/commit"
	has 'and git fills it in' "$(git -C "$top" archive HEAD src/commit src/.gitattributes | tar -xO src/commit)" "$commit"
else
	check 'its first line is for programs' grep -qE "^mayfly $version( \([0-9a-f]{12}(-dirty)?\))?$" <<<"$first"
fi
while read -r name module; do
	equal "$name is the one that is loaded" "$(sed -n "s/^$name \([^ ]*\).*/\1/p" <<<"$out")" "$(pkg-config --modversion "$module")"
done <<'END'
libcurl libcurl
OpenSSL libcrypto
libxml2 libxml-2.0
json-c json-c
zlib zlib
END
has 'and what libcurl has for TLS' "$out" "(OpenSSL/$(pkg-config --modversion libssl))"
equal 'that is all' "$(wc -l <<<"$out")" 6
exit $((failures > 0))
