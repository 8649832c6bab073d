#!/usr/bin/env bash
# The Debian package: built of the tarball, judged by lintian, unpacked, and its unit run against the simulator.
#
# usage: tests/packages/deb.sh TARBALL
. "$(dirname "$0")/../e2e/lib.sh"

for judge in dpkg-buildpackage dh lintian; do
	command -v $judge >/dev/null && continue
	printf 'skip - deb: judge: there is no %s: examples/install-packages.sh release\n' $judge
	exit 0
done
# Its unit tests are those of tests/unit.
check 'the package is built' env DEB_BUILD_OPTIONS=nocheck SOURCE_DATE_EPOCH=1700000000 "$top/tests/packages/release/deb.sh" "$1"
deb=$(echo "$top"/build/deb/mayfly_*.deb)
equal 'lintian has nothing to say' "$(lintian --tag-display-limit 0 "${deb%.deb}.changes" 2>&1 | grep -v 'root privileges')" ''
field() { dpkg-deb -f "$deb" "$1"; }
has 'it depends on what it loads' "$(field Depends)" 'libcurl4'
has 'and on certificates' "$(field Depends)" 'ca-certificates'
mkdir "$tmp/root"
dpkg-deb -x "$deb" "$tmp/root"
has_file() { check "it has $1" test -s "$tmp/root/$1"; }
for page in '' -start -stop -reap -status -bake -doctor -policy; do has_file "usr/share/man/man1/mayfly$page.1.gz"; done
has_file usr/share/bash-completion/completions/mayfly
has_file usr/share/zsh/vendor-completions/_mayfly
has_file usr/share/fish/vendor_completions.d/mayfly.fish
has_file usr/share/doc/mayfly/copyright
has_file usr/share/doc/mayfly/changelog.gz
equal 'its programs' "$(ls "$tmp/root/usr/bin")" mayfly
equal 'its program is what was built' "$("$tmp/root/usr/bin/mayfly" --version)" \
	"mayfly $(field Version | sed 's/-.*//') ($(tar -xOf "$1" --wildcards '*/src/commit'))
$("$mayfly" --version | sed 1d)"
unit=$(find "$tmp/root" -name mayfly-reap.service)
has 'the unit runs the program of the package' "$(cat "$unit")" 'ExecStart=/usr/bin/mayfly reap'
# Only what somebody enabled and an older package brought stays so.
has 'nothing is enabled by an installation' "$(dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./postinst)" \
	"if deb-systemd-helper debian-installed 'mayfly-reap.timer'"
start_sim --instances model
run "$tmp/root/usr/bin/mayfly" reap
expect 'the program reaps' 0 err '0 live instances'
exit $((failures > 0))
