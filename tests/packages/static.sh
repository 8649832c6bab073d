#!/usr/bin/env bash
# A static binary: what it is, and a start, a stop and a reap by it against the simulator.
#
# usage: tests/packages/static.sh BINARY
. "$(dirname "$0")/../e2e/lib.sh"
binary=$(realpath "$1")
machine=${binary##*-linux-}
elf() { readelf -hldW "$binary" 2>/dev/null; }
equal "$machine: it asks for no loader and no library" "$(elf | grep -cE 'INTERP|\(NEEDED\)')" 0
has "$machine: it goes anywhere in memory" "$(elf)" 'DYN (Position-Independent Executable'
has "$machine: its relocations are read-only" "$(elf)" 'GNU_RELRO'
equal "$machine: its stack is not executed" "$(elf | sed -n 's/^ *GNU_STACK .* \(RWE\|RW\) .*/\1/p')" RW

mayfly=$binary
if [ "$machine" != "$(uname -m)" ]; then
	if ! emulator=$(command -v "qemu-$machine-static"); then
		printf 'skip - %s: judge: there is no qemu-%s-static\n' "$machine" "$machine"
		exit $((failures > 0))
	fi
	printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$emulator" "$binary" >"$tmp/mayfly"
	chmod +x "$tmp/mayfly"
	mayfly=$tmp/mayfly
fi
run "$mayfly" --version
expect "$machine: it tells its version" 0 out "mayfly $(sed -n 's/^AC_INIT(\[mayfly\], \[\(.*\)\])$/\1/p' "$top/configure.ac")" out libcurl
start_sim --instances model --boot 100 --online 200 --terminate-delay 100
run "$mayfly" start --label static --image ami-0a11ce00000000001 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 1m
expect "$machine: start" 0 out label=static out ec2-instance-id=i-
run "$mayfly" stop --label static
expect "$machine: stop" 0 err 'terminated i-'
run "$mayfly" reap
expect "$machine: reap" 0 err '0 live instances'
equal "$machine: nothing is left" "$(state '([.regions[].instances[] | select(.state == "running")] | length) + (.runners | length)')" 0

# --- TLS: the certificates are where the system has them ---
[ "$machine" = "$(uname -m)" ] || exit $((failures > 0))
if ! bwrap --bind / / --dev-bind /dev /dev --tmpfs /etc true 2>"$tmp/err"; then
	printf 'skip - %s: certificates: nobody may have another /etc here: %s\n' "$machine" "$(head -1 "$tmp/err")"
	exit $((failures > 0))
fi
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$tmp/key.pem" -out "$tmp/ca.pem" 2>/dev/null
cat "$tmp/key.pem" "$tmp/ca.pem" >"$tmp/both.pem"
python3 "$top/tests/e2e/relay.py" tls "${url##*:}" "$tmp/both.pem" >"$tmp/relay" &
relay=$!
trap 'kill $relay 2>/dev/null; cleanup' EXIT
for ((i = 0; i < 200; i++)); do
	[ -s "$tmp/relay" ] && break
	sleep 0.05
done
secure=https://127.0.0.1:$(cat "$tmp/relay")
# system ARGUMENT…: asks over TLS, on a system with nothing in /etc but what the arguments put there.
system() {
	run env "AWS_ENDPOINT_URL=$secure" "GITHUB_API_URL=$secure/api/v3" \
		bwrap --bind / / --dev-bind /dev /dev --tmpfs /etc "$@" -- "$mayfly" stop --label none
}
system
expect "$machine: without certificates nobody is trusted" 1 err certificate
for place in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
	system --ro-bind "$tmp/ca.pem" "$place"
	expect "$machine: certificates of $place" 0 err 'nothing to stop'
done
exit $((failures > 0))
