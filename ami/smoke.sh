#!/bin/sh
# The user-data of the smoke boot of a new image, which mayfly-agent runs: a block of assignments stands in front
# (MAYFLY_NONCE, MAYFLY_IMAGE, MAYFLY_STEPS). It looks whether a job would find what the image promises, offline. It
# says so on the console, "smoke ok NONCE" or "smoke failed: WHAT", and the machine is off.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

say() {
	if [ -c /dev/console ] && { printf 'mayfly: %s\n' "$*" >/dev/console; } 2>/dev/null; then
		return
	fi
	printf 'mayfly: %s\n' "$*"
}

off() {
	trap - EXIT
	poweroff -f
	exit
}

fail() {
	say "smoke failed: $*"
	off
}

# check NAME COMMAND...: it ends well within a minute; its first line of output is told
check() {
	what=$1
	shift
	timeout 60 "$@" >"$work/out" 2>&1 </dev/null
	status=$?
	line=$(grep -m 1 . "$work/out" | tr -cd '[:print:]')
	[ $status = 0 ] || fail "$what: exit $status: $line"
	say "smoke $what: $line"
}

# has STEP: was it one of the image's?
has() {
	case " $MAYFLY_STEPS " in *" $1 "*) return ;; esac
	return 1
}

work=$(mktemp -d)
trap 'fail ended' EXIT
trap 'exit 1' HUP INT TERM
(
	sleep "${MAYFLY_LIFE_SECONDS:-900}"
	fail "not done after ${MAYFLY_LIFE_SECONDS:-900}s"
) &

say "smoke image: $MAYFLY_IMAGE, steps $MAYFLY_STEPS"
check kernel uname -r
if has base; then
	check git git --version
	check compiler sh -c 'echo "#include <openssl/ssl.h>" | cc -x c -fsyntax-only - && cc --version'
	check python sh -c "python3 -m venv '$work/venv' && '$work/venv/bin/python' --version"
	check tox tox --version
	check tools sh -c 'for tool in curl wget jq zstd unzip; do command -v "$tool" || exit; done'
	case $(uname -m) in
	x86_64) other=aarch64 ;;
	*) other=x86_64 ;;
	esac
	# F: the interpreter was opened when it was registered, so that a container needs none.
	check emulation grep 'flags: .*F' "/proc/sys/fs/binfmt_misc/qemu-$other"
fi
if has docker; then
	check docker docker version --format 'client {{.Client.Version}}, server {{.Server.Version}}'
	# One static binary: kernel, docker and containerd work together, and nothing is downloaded.
	check container sh -c '
		echo "int main(void) { return 42; }" | cc -x c -static -o "$0/answer" - &&
			tar -C "$0" -c answer | docker import - mayfly-smoke >/dev/null || exit
		docker run --rm --network none mayfly-smoke /answer
		[ $? = 42 ] && docker rmi mayfly-smoke >/dev/null && echo "a container runs"' "$work"
fi
if has runner; then
	check runner setpriv --reuid=runner --regid=runner --init-groups env HOME=/home/runner \
		/opt/actions-runner/bin/Runner.Listener --version
	[ -x /opt/actions-runner/run.sh ] || fail "runner: no run.sh"
	check toolcache setpriv --reuid=runner --regid=runner --init-groups sh -c '[ -w /opt/hostedtoolcache ] && sudo -n true'
fi
if has cuda; then
	check driver nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
	check gpu-in-docker sh -c "tar -c -T /dev/null | docker import - mayfly-smoke >/dev/null &&
		docker run --rm --network none --gpus all -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro mayfly-smoke nvidia-smi -L"
fi
for version in 3.8 3.9 3.10 3.11 3.12 3.13; do
	! has python || check "python$version" sh -c "python$version -m venv '$work/$version' && python$version --version"
done
! has go || check go go version
[ ! -s /etc/ssh/ssh_host_ed25519_key ] || fail "the image has a host key"
say "smoke ok $MAYFLY_NONCE"
off
