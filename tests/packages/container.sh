#!/usr/bin/env bash
# The container image: built as its recipe says, of this checkout and a Debian of the tests' own in place of the one that a
# registry has; then a pass of the reaper by it, by a user without a name who can write nothing.
. "$(dirname "$0")/../e2e/lib.sh"

for judge in buildah mmdebstrap bwrap; do
	command -v $judge >/dev/null && continue
	printf 'skip - container: judge: there is no %s: examples/install-packages.sh release\n' $judge
	exit 0
done
if [ "$(id -u)" != 0 ]; then
	printf 'skip - container: not root\n'
	exit 0
fi
recipe=$top/examples/container/Containerfile
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
b() { buildah --root "$tmp/storage" --runroot "$tmp/run" "$@"; }
trap 'b umount --all >/dev/null 2>&1; cleanup' EXIT

# --- its base ---
base=$(sed -n 's/^FROM \([^ ]*\).*/\1/p' "$recipe" | sort -u)
equal 'one base' "$(wc -l <<<"$base")" 1
suite=${base#debian:} suite=${suite%-slim}
make_base() {
	# The network of the machine, for apt; what the machine gets its packages by stays out of what is built.
	apt-config dump | grep '^Acquire::\(Check-\|http\)' >"$tmp/99test"
	mmdebstrap --variant=minbase --customize-hook="copy-in $tmp/99test /etc/apt/apt.conf.d" "$suite" "$tmp/base.tar" || return
	container=$(b from scratch) && b add -q "$container" "$tmp/base.tar" / &&
		b config --cmd bash "$container" && b commit -q --rm "$container" "docker.io/library/$base" && rm "$tmp/base.tar"
}
check 'its base' make_base

# --- the image ---
commit=$(git -C "$top" describe --always --dirty 2>/dev/null || echo none)
build_image() { (cd "$top" && b bud --pull-never -f "$recipe" -t mayfly --build-arg COMMIT="$commit" .) >"$tmp/bud.log" 2>&1; }
run build_image
[ "$status" = 0 ] || err=$(tail -5 "$tmp/bud.log")
expect 'the image' 0
[ "$status" = 0 ] || exit 1
config() { b inspect --type image --format "{{$1}}" mayfly; }
equal 'its user has no name' "$(config .OCIv1.Config.User)" 65532:65532
equal 'it runs mayfly' "$(config .OCIv1.Config.Entrypoint)$(config .OCIv1.Config.Cmd)" '[/usr/local/bin/mayfly][--help]'
equal 'and says what it is' "$(config '(index .OCIv1.Config.Labels "org.opencontainers.image.title")')" mayfly
container=$(b from --pull-never mayfly)
root=$(b mount "$container")
equal 'it has no compiler' "$(find "$root"/usr/bin -name '*gcc*' -o -name make)" ''
equal 'nor lists of packages' "$(ls "$root/var/lib/apt/lists")" ''
# As `podman run --read-only --cap-drop=all` does.
inside() {
	bwrap --die-with-parent --ro-bind "$root" / --proc /proc --dev /dev --unshare-all --share-net --uid 65532 --gid 65532 --cap-drop ALL \
		"$@"
}
run inside /usr/local/bin/mayfly --version
expect 'it tells its version' 0 out "mayfly $(sed -n 's/^AC_INIT(\[mayfly\], \[\(.*\)\])$/\1/p' "$top/configure.ac") ($commit)" out libcurl
start_sim --instances model
run inside /usr/local/bin/mayfly reap
expect 'and reaps' 0 err '0 live instances'
check 'it has certificates to trust' test -s "$root/etc/ssl/certs/ca-certificates.crt"
exit $((failures > 0))
