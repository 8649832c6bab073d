#!/usr/bin/env bash
# TLS with a certificate authority of one's own, and proxies.
. "$(dirname "$0")/lib.sh"

start_sim --instances model
relays=()
trap 'kill "${relays[@]}" 2>/dev/null; cleanup' EXIT
# relay NAME ARGUMENT…: starts one, and sets $port
relay() {
	python3 "$(dirname "$0")/relay.py" "${@:2}" >"$tmp/$1" &
	relays+=($!)
	for ((i = 0; i < 200; i++)); do
		[ -s "$tmp/$1" ] && break
		sleep 0.05
	done
	port=$(cat "$tmp/$1")
}
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$tmp/key.pem" -out "$tmp/ca.pem" 2>/dev/null
cat "$tmp/key.pem" "$tmp/ca.pem" >"$tmp/both.pem"
relay tls-port tls "${url##*:}" "$tmp/both.pem"
secure=https://127.0.0.1:$port
relay proxy-port proxy "$tmp/proxy.log"
proxy=http://127.0.0.1:$port
tls=(env "AWS_ENDPOINT_URL=$secure" "GITHUB_API_URL=$secure/api/v3")

run "${tls[@]}" "$mayfly" stop --label none
expect 'a certificate that nobody vouches for is refused' 1 err "certificate"
has 'the hint names AWS_CA_BUNDLE' "$err" 'AWS_CA_BUNDLE'
run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" "$mayfly" stop --label none
expect 'AWS_CA_BUNDLE vouches for it' 0
run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" SSLKEYLOGFILE="$tmp/keys.log" "$mayfly" stop --label none
expect 'with SSLKEYLOGFILE' 0
check 'no keys of TLS are written' [ ! -s "$tmp/keys.log" ]
printf '[default]\nca_bundle = %s\n' "$tmp/ca.pem" >"$tmp/config"
run "${tls[@]}" AWS_CONFIG_FILE="$tmp/config" "$mayfly" stop --label none
expect 'so does ca_bundle of the profile' 0

# --- files of certificates that are none: said at once, before anything is asked ---
control DELETE log >/dev/null
: >"$tmp/empty.pem"
mkdir "$tmp/directory.pem"
mkfifo "$tmp/fifo.pem"
echo hello >"$tmp/text.pem"
install -m 0 "$tmp/ca.pem" "$tmp/locked.pem"
for case in 'nothing:cannot be read: No such file or directory' 'empty:is empty' 'directory:is a directory' \
	'fifo:is not a regular file' 'text:has no PEM certificate in it' 'locked:cannot be read: Permission denied'; do
	bad=$tmp/${case%%:*}.pem
	if [ "${case%%:*}" = locked ] && [ -r "$bad" ]; then continue; fi # to root nothing is
	run "${tls[@]}" AWS_CA_BUNDLE="$bad" timeout 10 "$mayfly" stop --label none
	expect "AWS_CA_BUNDLE, ${case%%:*}" 2 err "mayfly stop: AWS_CA_BUNDLE: \`$bad\` ${case#*:}" err 'hint: name a PEM file'
	printf '[default]\nca_bundle = %s\n' "$bad" >"$tmp/config"
	run "${tls[@]}" AWS_CONFIG_FILE="$tmp/config" timeout 10 "$mayfly" stop --label none
	expect "ca_bundle, ${case%%:*}" 2 err "mayfly stop: ca_bundle of the profile: \`$bad\` ${case#*:}" err 'hint: name a PEM file'
done
equal 'nothing was asked' "$(control GET log)" '[]'
printf -- '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n' >"$tmp/broken.pem"
run "${tls[@]}" AWS_CA_BUNDLE="$tmp/broken.pem" "$mayfly" stop --label none
expect 'a certificate that is none' 1 err 'no answer from 127.0.0.1:' err 'check AWS_CA_BUNDLE'

# --- a certificate of another server ---
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -addext subjectAltName=DNS:other.example \
	-keyout "$tmp/key2.pem" -out "$tmp/ca2.pem" 2>/dev/null
cat "$tmp/key2.pem" "$tmp/ca2.pem" >"$tmp/both2.pem"
relay other-port tls "${url##*:}" "$tmp/both2.pem"
run env "AWS_ENDPOINT_URL=https://127.0.0.1:$port" "GITHUB_API_URL=https://127.0.0.1:$port/api/v3" AWS_CA_BUNDLE="$tmp/ca2.pem" \
	"$mayfly" stop --label none
expect 'the certificate of another server' 1 err "no answer from 127.0.0.1:$port: SSL" err "the certificate is for another server"

# --- proxies that refuse ---
for refusal in 407:'put them in HTTPS_PROXY' 403:'the proxy refuses to connect there'; do
	relay "refuse-${refusal%%:*}" refuse "${refusal%%:*}"
	control DELETE log >/dev/null
	run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" https_proxy="http://127.0.0.1:$port" timeout 10 "$mayfly" stop --label none
	expect "a proxy that says ${refusal%%:*}" 1 err "no answer from ${secure#https://}: " err "${refusal%%:*}" err "${refusal#*:}"
done
relay gone-port refuse 503
kill "${relays[-1]}"
run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" https_proxy="http://127.0.0.1:$port" "$mayfly" stop --label none
expect 'a proxy that is not there' 75 err "no answer from ${secure#https://}: Failed to connect to 127.0.0.1 port $port" err 'the proxy does not answer'

run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" https_proxy="$proxy" "$mayfly" stop --label none
expect 'through a proxy with TLS' 0
has 'it was asked for a tunnel' "$(cat "$tmp/proxy.log")" "CONNECT ${secure#https://}"
rm "$tmp/proxy.log"
run "${tls[@]}" AWS_CA_BUNDLE="$tmp/ca.pem" https_proxy="$proxy" no_proxy=127.0.0.1 "$mayfly" stop --label none
expect 'past a proxy, by no_proxy' 0
run env http_proxy="$proxy" all_proxy="$proxy" "$mayfly" stop --label none
expect 'what is in the clear stays on this machine' 0
equal 'no proxy was asked' "$(cat "$tmp/proxy.log" 2>/dev/null)" ''
imds=$(control GET sources | jq -r .instance.AWS_EC2_METADATA_SERVICE_ENDPOINT)
run env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_EC2_METADATA_SERVICE_ENDPOINT="$imds" \
	http_proxy="$proxy" "$mayfly" stop --label none
expect 'credentials of the instance, beside a proxy' 0
if grep -q imds "$tmp/proxy.log" 2>/dev/null; then
	not_ok 'no proxy comes between an instance and its metadata' "$(cat "$tmp/proxy.log")"
else
	ok 'no proxy comes between an instance and its metadata'
fi
[ "$failures" -eq 0 ]
