#!/usr/bin/env bash
# The step of action.yml: finds a mayfly and becomes it, so that a signal to the step reaches the program.
#
# The first that is there: `mayfly` on the PATH; the release binary that src/action.sha256 names for this machine; one
# built from this checkout, kept for the other steps of the job. Inputs are in the environment as INPUT_*.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RUNNER_TEMP:+$RUNNER_TEMP/mayfly}
child=

# Nothing is launched yet: whatever runs may end at once.
interrupted() {
	[ -z "$child" ] || kill -- "-$child" 2>/dev/null || :
	exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

warn() { printf '::warning::mayfly: %s\n' "$*"; }

# For a workflow command: without what a terminal or GitHub's runner would obey.
plain() { printf %s "$1" | LC_ALL=C tr -c ' -~' '?' | sed -e 's/##\[/##(/g' -e 's/%/%25/g'; }

die() { # MESSAGE HINT
	printf '::error::mayfly: %s\n' "$(plain "$1")"
	printf 'hint: %s\n' "$2"
	exit 1
}

# Bash would hold a signal back until a child in the foreground has ended; this one is in a process group of its own.
aside() {
	local status=0
	set -m
	"$@" &
	child=$!
	set +m
	wait "$child" || status=$?
	child=
	return $status
}

# Without the secrets of the environment.
clean() {
	local name kept=()
	for name in PATH HOME CFLAGS http_proxy https_proxy HTTPS_PROXY no_proxy; do
		[ -z "${!name-}" ] || kept+=("$name=${!name}")
	done
	env -i LANG=C.UTF-8 "${kept[@]}" "$@"
}

# --- a release -----------------------------------------------------------------------------------------------------

is_right() { printf '%s  %s\n' "$2" "$1" | sha256sum -c --status 2>/dev/null; } # FILE SHA256

# Sets $program to the release binary for this machine, if there is one that can be had and runs here.
find_release() {
	local sum url file
	while read -r sum url; do
		case $sum in '' | '#'*) continue ;; esac
		case $url in *"-linux-$(uname -m)") break ;; esac
		url=
	done <"$top/src/action.sha256"
	[ -n "${url-}" ] || return 0
	case $url in
	https://* | http://127.0.0.1:*) ;;
	*) die "src/action.sha256: \`$url\` is neither https nor loopback" 'this is a fault of the release: use another tag' ;;
	esac
	file=$cache/$sum
	if [ ! -e "$file" ]; then
		if ! aside clean curl -fsSL --proto-redir '=https' --retry 3 --connect-timeout 10 -m 120 \
			-o "$file.part" -- "$url"; then
			warn "$url could not be downloaded, so Mayfly is built here, which takes a minute"
			return 0
		fi
		mv "$file.part" "$file"
	fi
	if ! is_right "$file" "$sum"; then
		rm -f "$file"
		die "the SHA-256 of $url is not $sum, which this version of the action has for it; it was not run" \
			'try again; if it stays so, the file was replaced: report it, and use another version of the action meanwhile'
	fi
	chmod +x "$file"
	if "$file" --version >/dev/null 2>&1; then
		program=$file
	else
		warn "the release binary does not run on this system, so Mayfly is built here, which takes a minute"
	fi
}

# --- a build -------------------------------------------------------------------------------------------------------

sources=(Makefile.am ami autogen.sh configure.ac include src)

# What the result depends on: the sources and the system.
fingerprint() {
	{
		cd "$top"
		find "${sources[@]}" examples/install-packages.sh -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
		uname -m
		cat /etc/os-release
	} 2>/dev/null | sha256sum | cut -c1-16
}

make_program() { # DIRECTORY
	mkdir "$1/build"
	tar -C "$top" -cf - "${sources[@]}" | tar -C "$1" -xf -
	if command -v dpkg-query >/dev/null; then
		clean "$top/examples/install-packages.sh" build ||
			echo 'the packages could not be installed; trying with what is there'
	fi
	cd "$1" && clean ./autogen.sh && cd build && clean ../configure && clean make -j"$(nproc)" mayfly
}

# Sets $program to one that is built from this checkout.
build() {
	local work began=$SECONDS
	program=$cache/$(fingerprint)
	[ ! -x "$program" ] || return 0
	work=$program.build
	rm -rf "$work"
	mkdir -p "$work"
	printf 'mayfly: building it from %s\n' "$top"
	if ! aside make_program "$work" >"$work/log" 2>&1; then
		tail -n 40 "$work/log"
		die 'it could not be built on this runner: see above' \
			'run this step on ubuntu-24.04 or debian 12, or put a `mayfly` on the PATH of the runner'
	fi
	mv "$work/build/mayfly" "$program"
	rm -rf "$work"
	printf 'mayfly: built in %d s\n' $((SECONDS - began))
}

# --- the step ------------------------------------------------------------------------------------------------------

read -r mode <<<"${INPUT_MODE-}" # without blanks around it
case $mode in
start | stop | reap | status | doctor | bake) ;;
*) die "mode: \`$mode\` is none of: start, stop, reap, status, doctor, bake" 'give the action the input `mode: start` or `mode: stop`' ;;
esac
[ "$(uname -s)" = Linux ] ||
	die "there is no Mayfly for $(uname -s)" 'run this step on ubuntu-latest: the job can run anywhere'
program=$(command -v mayfly || :)
if [ -z "$program" ]; then
	cache=${cache:-$(mktemp -d)}
	mkdir -p "$cache"
	find_release
	[ -n "$program" ] || build
fi
exec "$program" "$mode"
