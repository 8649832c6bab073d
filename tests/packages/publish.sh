#!/usr/bin/env bash
# tests/packages/release/publish.sh, with a repository of its own for origin and something that plays gh.
. "$(dirname "$0")/../e2e/lib.sh"
export GIT_CONFIG_GLOBAL=$tmp/gitconfig GIT_CONFIG_NOSYSTEM=1 GITHUB_REPOSITORY=octo/mayfly
git config --global user.name publisher
git config --global user.email publisher@example.com
git config --global init.defaultBranch main

git init -q --bare "$tmp/origin"
git init -q "$tmp/work"
git -C "$tmp/work" remote add origin "$tmp/origin"
mkdir -p "$tmp/work/src" "$tmp/work/tests/packages/release" "$tmp/files" "$tmp/bin"
cp "$top/tests/packages/release/publish.sh" "$tmp/work/tests/packages/release"
cp "$top/src/action.sha256" "$tmp/work/src"
printf 'AC_INIT([mayfly], [1.2.3])\n' >"$tmp/work/configure.ac"
echo 'uses: OWNER/mayfly@v0' >"$tmp/work/README.md"
printf '# Changelog\n\n## 1.2.3, not released yet\n\n- news\n\n## 1.2.2\n\n- old\n' >"$tmp/work/CHANGELOG.md"
# What gh is told, and the tags of origin at that time.
cat >"$tmp/bin/gh" <<'END'
#!/bin/sh
case $2 in list) exec cat "$GH_LOG.drafts" ;; esac
echo "$*" >>"$GH_LOG"
git ls-remote "$ORIGIN" | sed 's/.*refs/  there: refs/' >>"$GH_LOG"
case $2 in create) # as gh says it
	[ -z "$(git tag --list "$3")" ] || { echo "tag $3 exists locally but has not been pushed" >&2 && exit 1; }
	cat >"$GH_LOG.notes"
	;;
esac
END
chmod +x "$tmp/bin/gh"
: >"$tmp/gh.drafts"
export GH_LOG=$tmp/gh ORIGIN=$tmp/origin PATH=$tmp/bin:$PATH
cd "$tmp/work" || exit
save() { git add -A && git commit -q -m "$1"; }
publish() { run tests/packages/release/publish.sh "$tmp/files"; }
build() { # of the commit that is checked out
	local machine binary
	git rev-parse HEAD >"$tmp/files/mayfly-1.2.3.tar.xz"
	for machine in x86_64 aarch64; do
		binary=$tmp/files/mayfly-1.2.3-linux-$machine
		printf '#!/bin/sh\necho "mayfly 1.2.3 (%s)" # %s\n' "$(git rev-parse --short=12 HEAD)" $machine >"$binary"
		chmod +x "$binary"
		sha256sum "$binary" "$tmp/files/mayfly-1.2.3.tar.xz" | sed 's/\([^ ]*\) .*/"checksumValue": "\1"/' >"$binary.spdx.json"
	done
	touch "$tmp"/files/mayfly_1.2.3-1_{amd64,arm64}.deb
}

save one
build
publish
expect 'what is not told to be released is not' 1 err 'has no section `## 1.2.3`'
sed -i 's/, not released yet//' CHANGELOG.md
publish
expect 'nor what was changed' 1 err 'the checkout was changed'
save two
publish
expect 'nor under a major version that nobody is told to use' 1 err 'another major version than v1'
sed -i 's/v0/v1/' README.md
save three
publish
expect 'nor binaries of another commit' 1 err 'the binaries are of another commit'
mv "$tmp/files/mayfly-1.2.3-linux-aarch64" "$tmp"
publish
expect 'nor half of them' 1 err 'there is no mayfly-1.2.3-linux-aarch64'
build
rm "$tmp/files/mayfly_1.2.3-1_arm64.deb"
publish
expect 'nor without a package' 1 err 'there is no package for aarch64'
build
echo >>"$tmp/files/mayfly-1.2.3.tar.xz"
publish
expect 'nor a tarball that is not the one that was built of' 1 err 'mayfly-1.2.3-linux-x86_64.spdx.json is of another tarball'
build
echo >>"$tmp/files/mayfly-1.2.3-linux-aarch64" # which does not run here
publish
expect 'nor a binary that is not the one that was looked at' 1 err 'mayfly-1.2.3-linux-aarch64.spdx.json is of another tarball or binary'
build
echo v1.2.3 >"$tmp/gh.drafts"
publish
expect 'nor beside what an attempt left' 1 err 'a draft of v1.2.3 is there already'
echo v1.2.2 >"$tmp/gh.drafts"
equal 'none of that reached anybody' "$(git ls-remote origin)$(cat "$tmp/gh" 2>/dev/null)" ''
build
publish
expect 'a release is published' 0
equal 'with its section of the changelog' "$(grep . "$tmp/gh.notes")" '- news'
has 'as a draft first' "$(sed -n 1p "$tmp/gh")" 'release create v1.2.3 --draft'
has 'its tags come before it is shown' "$(sed -n '2,$p' "$tmp/gh" | tr '\n' ' ')" \
	'release edit v1.2.3 --draft=false --verify-tag   there: refs/tags/v1   there: refs/tags/v1.2.3'
equal 'both tags are one commit' "$(git ls-remote origin | cut -f1 | sort -u | wc -l)" 1
equal 'on top of what was built' "$(git --git-dir="$tmp/origin" rev-parse v1.2.3^)" "$(git rev-parse HEAD^)"
equal 'it holds the checksums alone' "$(git --git-dir="$tmp/origin" diff --name-only v1.2.3^ v1.2.3)" src/action.sha256
git --git-dir="$tmp/origin" show v1.2.3:src/action.sha256 >"$tmp/sums"
equal 'of what is published, as the action reads them' "$(grep -v '^#' "$tmp/sums")" "$(
	for machine in x86_64 aarch64; do
		printf '%s  https://github.com/octo/mayfly/releases/download/v1.2.3/mayfly-1.2.3-linux-%s\n' \
			"$(sha256sum <"$tmp/files/mayfly-1.2.3-linux-$machine" | cut -d' ' -f1)" $machine
	done
)"
check 'SHA256SUMS is right' sh -c "cd '$tmp/files' && sha256sum -c SHA256SUMS"
git checkout -q HEAD^
publish
expect 'a release is never replaced' 1 err 'v1.2.3 is there already: a release is never replaced'
echo v1.2.3 >"$tmp/gh.drafts"
publish
expect 'of one that was not shown in the end it says how' 1 err 'gh release edit v1.2.3 --draft=false --verify-tag'
exit $((failures > 0))
