#!/usr/bin/env bash
# Publishes what was built of this checkout's commit: the last step of .github/workflows/release.yml.
#
# The action downloads a binary only if its checksum is in the action's own commit. So the checksums are committed on top
# of what was built, and the tags vVERSION and vMAJOR (which moves) are put on that commit.
#
# usage: tests/packages/release/publish.sh DIRECTORY, with git that may push to `origin`, gh, and GITHUB_REPOSITORY
set -euo pipefail
cd "$(dirname "$0")/../../.."
files=$(realpath "$1")
version=$(sed -n 's/^AC_INIT(\[mayfly\], \[\(.*\)\])$/\1/p' configure.ac)
tag=v$version
declare -A architecture=([x86_64]=amd64 [aarch64]=arm64) # as Debian calls them

die() {
	printf 'publish.sh: %s\n' "$1" >&2
	exit 1
}

notes=$(sed -n "/^## $version\$/,/^## /{/^## /!p}" CHANGELOG.md)
[ -n "$notes" ] || die "CHANGELOG.md has no section \`## $version\`: say there what it brings, and that it is released"
[ -z "$(git status --porcelain --untracked-files=no)" ] || die 'the checkout was changed'
grep -q "mayfly@${tag%%.*}\$" README.md || die "README.md tells people to use another major version than ${tag%%.*}"
there=$(git ls-remote origin "refs/tags/$tag")
drafts=$(gh release list --limit 100 --json tagName,isDraft --jq '.[] | select(.isDraft).tagName')
if grep -qxF "$tag" <<<"$drafts"; then
	# That of an attempt that failed before its tags may hold other files than these; after them it is what they tell of.
	[ -n "$there" ] || die "a draft of $tag is there already: \`gh release delete $tag\` first"
	die "$tag is there and its release still a draft: \`gh release edit $tag --draft=false --verify-tag\` shows it"
fi
[ -z "$there" ] || die "$tag is there already: a release is never replaced"
source_sum=$(sha256sum "$files/mayfly-$version.tar.xz" | cut -d' ' -f1)
binaries=()
for machine in x86_64 aarch64; do
	binary=$files/mayfly-$version-linux-$machine
	[ -f "$binary" ] || die "there is no ${binary##*/}"
	binaries+=("${binary##*/}")
	# Which sbom.py wrote only for a binary and a tarball of one commit.
	for sum in "$source_sum" "$(sha256sum "$binary" | cut -d' ' -f1)"; do
		grep -q "\"$sum\"" "$binary.spdx.json" || die "${binary##*/}.spdx.json is of another tarball or binary"
	done
	[ -n "$(find "$files" -name "mayfly_${version}-*_${architecture[$machine]}.deb")" ] || die "there is no package for $machine"
done
[ "$("$files/mayfly-$version-linux-$(uname -m)" --version | head -1)" = "mayfly $version ($(git rev-parse --short=12 HEAD))" ] ||
	die 'the binaries are of another commit'
cd "$files"
rm -f SHA256SUMS
sha256sum -- * >../SHA256SUMS
mv ../SHA256SUMS .
cd "$OLDPWD"

{
	grep '^#' src/action.sha256 | sed 's/ Empty: .*//'
	for binary in "${binaries[@]}"; do
		printf '%s  https://github.com/%s/releases/download/%s/%s\n' \
			"$(sha256sum "$files/$binary" | cut -d' ' -f1)" "$GITHUB_REPOSITORY" "$tag" "$binary"
	done
} >src/action.sha256.new
mv src/action.sha256.new src/action.sha256
git add src/action.sha256
git commit -q -m "Release $version: the checksums of its binaries"
# Drafted before the tags are there, so that no action asks for what cannot be downloaded yet for longer than a moment; gh
# drafts for no tag that is here alone.
printf '%s\n' "$notes" | gh release create "$tag" --draft --title "Mayfly $version" --notes-file - -- "$files"/*
git push -q --atomic origin "HEAD:refs/tags/$tag" "+HEAD:refs/tags/${tag%%.*}"
gh release edit "$tag" --draft=false --verify-tag
