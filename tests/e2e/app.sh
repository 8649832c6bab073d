#!/usr/bin/env bash
# A GitHub App instead of a token: keys, installations, narrowed tokens that end, every refusal; and the scopes.
. "$(dirname "$0")/lib.sh"

args=(--image ami-0a11ce00000000003 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --timeout 40s)
key=$tmp/app.pem
app_sim() { start_sim --instances model --boot 100 --online 100 --terminate-delay 20 --app-key "$key" "$@"; }
tokens() { control GET app | jq -r "$1"; }
change() { control PUT app "$1" >/dev/null; }
fault() { control PUT faults "[$1]" >/dev/null; }
all_back() { change '{"suspended":false,"installed":true,"repositories":[],"permissions":{"administration":"write","actions":"read","metadata":"read","organization_self_hosted_runners":"write"}}'; }
asked() { control GET log | jq -r "[.[] | select(.service == \"github\" and .action == \"$1\")] | length"; }

# wait_for NAME FILTER WANT: until the simulator's state is so.
wait_for() {
	local i
	for ((i = 0; i < 200; i++)); do
		[ "$(state "$2")" = "$3" ] && return
		sleep 0.05
	done
	not_ok "$1" "never: $2 = $3"
}

# --- the life of a runner ---
app_sim
run "$mayfly" start "${args[@]}" --count 3 --label l1
expect 'start as an App' 0 out 'label=l1' err 'is online after'
equal 'one token for all that wait' "$(tokens '.tokens | length')" 1
equal 'narrowed to the repository' "$(tokens '.tokens[0].repositories | join(",")')" demo
equal 'and to what start does' "$(tokens '.tokens[0].permissions | to_entries | map("\(.key)=\(.value)") | join(" ")')" 'administration=write metadata=read'
equal 'of the length that they have' "$(tokens '.tokens[0].token | length')" 520
equal 'with two dots' "$(tokens '.tokens[0].token | gsub("[^.]"; "")')" ..
run "$mayfly" stop --label l1
expect 'stop as an App' 0
equal 'nothing is left' "$(state '.runners | length')" 0
run "$mayfly" reap
expect 'reap as an App' 0
equal 'which may read jobs' "$(tokens '.tokens[-1].permissions.actions')" read

# --- the key, as variables and files hold it ---
pkcs1=$(cat "$key")
declare -A forms=([PKCS#1]=$pkcs1 [PKCS#8]=$(openssl pkey -in "$key") ["in one line"]=$(awk '{printf "%s\\n", $0}' "$key"))
for form in "${!forms[@]}"; do
	run env -u MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY="${forms[$form]}" "$mayfly" stop --label none
	expect "a key in the environment: $form" 0
done
run env -u MAYFLY_APP_KEY_FILE -u MAYFLY_APP_ID INPUT_APP_ID=4711 INPUT_APP_KEY="$pkcs1" "$mayfly" reap
expect "as an action's inputs, by the App's number" 0
run env GITHUB_TOKEN=ghs_of_the_job "$mayfly" reap
expect "the token of the workflow is not minded" 0
run env MAYFLY_GITHUB_TOKEN=ghp_x "$mayfly" reap
expect 'a token and an App' 2 err 'both a GitHub App (--app-id) and a token (MAYFLY_GITHUB_TOKEN)' err 'use only one of them'
run env -u MAYFLY_APP_KEY_FILE "$mayfly" reap
expect 'an id without a key' 2 err "without the GitHub App's private key" err MAYFLY_APP_KEY
run env -u MAYFLY_APP_ID "$mayfly" reap
expect 'a key without an id' 2 err "without the App's ID"
run env MAYFLY_APP_KEY_FILE=/nowhere "$mayfly" reap
expect 'no such file' 2 err /nowhere
run env -u MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY="$(openssl pkey -in "$key" -aes128 -passout pass:x)" "$mayfly" reap
expect 'a key with a passphrase' 2 err 'has a passphrase' err 'openssl pkey'
run "$mayfly" reap --repo enterprises/octo --fleet f
expect 'an enterprise' 2 err 'a GitHub App cannot manage the runners of an enterprise' err manage_runners:enterprise

# --- what GitHub refuses ---
refused() { # NAME EXIT PART…
	local name=$1 want=$2 parts=() part
	shift 2
	for part in "$@"; do parts+=(err "$part"); done
	run "$mayfly" start "${args[@]}"
	expect "$name" "$want" "${parts[@]}"
	equal "$name: launches nothing" "$(state '[.regions[].instances[]? | select(.state != "terminated")] | length')" 0
}
openssl genrsa -out "$tmp/other.pem" 2048 2>/dev/null
MAYFLY_APP_KEY_FILE=$tmp/other.pem refused "another App's key" 1 "looking for the GitHub App's installation" \
	'HTTP 401: A JSON web token could not be decoded' "the key is not the App's"
MAYFLY_APP_ID=Iv23liWrong refused 'an id that is none' 1 'HTTP 404: Integration not found' 'there is no App with this ID'
change '{"installed":false}'
refused 'an App that is not installed' 1 'GET /repos/octo/demo/installation: HTTP 404' '`octo/demo`: the App is not installed there' 'Install App'
all_back
change '{"suspended":true}'
refused 'a suspended installation' 1 'installation on `octo/demo` is suspended since' 'unsuspend it at' '/settings/installations/1001'
all_back
fault '{"service":"github","action":"create-token","fault":"unauthorized","status":403,"message":"This installation has been suspended","times":1}'
refused 'suspended in between' 1 'getting a token of the GitHub App' 'HTTP 403: This installation has been suspended' unsuspend
fault '{"service":"github","action":"create-token","fault":"unauthorized","status":422,"message":"The permissions requested are not granted to this installation.","times":1}'
refused 'permissions taken away in between' 1 'HTTP 422' "lacks the permissions that Mayfly needs"
fault '{"service":"github","action":"create-token","fault":"error","times":2}'
run "$mayfly" start "${args[@]}" --label l2
expect 'a server error is tried again' 0
run "$mayfly" stop --label l2
fault '{"service":"github","action":"get-installation","fault":"lost","times":1}'
run "$mayfly" reap
expect 'a lost answer too' 0
fault '{"service":"github","action":"create-token","fault":"error","times":0}'
refused 'for some time' 75 'getting a token of the GitHub App' 'HTTP 500' githubstatus
fault '{"service":"github","action":"create-token","fault":"garbage","times":0}'
refused 'an answer that is none' 1 'getting a token of the GitHub App' 'is not JSON'
fault '{"service":"github","action":"create-token","fault":"throttle","times":1,"headers":{"Retry-After":"1"}}'
run "$mayfly" reap
expect 'a rate limit is waited out' 0
control DELETE faults >/dev/null
change '{"permissions":{"administration":"read","metadata":"read"}}'
refused 'a permission that is missing' 1 'lacks the permission `administration: write`' 'Permissions & events' 'accept it as the owner at'
change '{"permissions":{"administration":"write"}}'
run "$mayfly" reap
expect 'reap does without jobs where it may not read them' 0
equal 'and does not ask for them' "$(tokens '.tokens[-1].permissions | keys | join(",")')" administration
all_back
change '{"repositories":["octo/other"]}'
refused 'a repository that was not selected' 1 'installation: HTTP 404' 'not installed there'
all_back

# --- an endpoint that fails while there is much to ask ---
app_sim --boot 600000
fault '{"service":"github","action":"get-runner","fault":"unauthorized","status":401,"message":"Bad credentials","times":0},{"service":"github","action":"create-token","fault":"unauthorized","status":404,"message":"Not Found","skip":1,"times":0}'
run "$mayfly" start "${args[@]}" --timeout 10s
equal 'a token that cannot be had ends a start in the end' "$((status != 0))" 1
ms=$(control GET log | jq '[.[] | select(.action == "create-token" and .status == 404) | .time] | if length < 2 then 0 else .[1] - .[0] end')
check "it is asked for again after a pause ($ms ms)" [ "$ms" -ge 900 ]
app_sim

# --- time ---
control POST clock '{"advance_seconds":-4000}' >/dev/null
run "$mayfly" reap
expect "a clock that is ahead goes by GitHub's" 0 err "GitHub's clock and this machine's differ by"
control POST clock '{"advance_seconds":8000}' >/dev/null
run "$mayfly" reap
expect 'and one that is behind' 0 err "GitHub's clock and this machine's differ by"
fault '{"service":"github","action":"get-installation","fault":"unauthorized","status":401,"message":"'"'Expiration time' claim ('exp')"' is too far in the future","times":0}'
control DELETE log >/dev/null
refused 'once' 1 "'Expiration time' claim" 'set it by NTP'
equal 'and no more than that' "$(asked get-installation)" 2
control DELETE faults >/dev/null

app_sim --boot 3000
"$mayfly" start "${args[@]}" --label slow >"$tmp/out" 2>"$tmp/err" &
pid=$!
wait_for 'a launch' '[.regions[].instances[]?] | length' 1
change '{"revoke":true}'
wait $pid
status=$? out=$(cat "$tmp/out") err=$(cat "$tmp/err")
expect 'a token that is revoked during a launch' 0 err 'is online after'
equal 'is asked for once more' "$(tokens '.tokens | length')" 2
"$mayfly" start "${args[@]}" --label slower >"$tmp/out" 2>"$tmp/err" &
pid=$!
wait_for 'a launch' '[.regions[].instances[]?] | length' 2
control POST clock '{"advance_seconds":3601}' >/dev/null
wait $pid
status=$? out=$(cat "$tmp/out") err=$(cat "$tmp/err")
expect 'a token that ends during a launch' 0 err 'is online after'
equal 'is asked for anew' "$(tokens '.tokens | length')" 4

app_sim --boot 3000 --app-token-life 2s
run "$mayfly" start "${args[@]}" --label short
expect 'a token that lives for less than a launch' 0
equal 'is renewed before its end' "$(control GET log | jq -r '[.[] | select(.service == "github" and .status == 401)] | length') $(tokens '.tokens | length > 1')" '0 true'
run "$mayfly" stop --label short

# A token that GitHub gives and never takes.
app_sim
fault '{"service":"github","action":"downloads","fault":"unauthorized","status":401,"message":"Bad credentials","times":0}'
run "$mayfly" start "${args[@]}" --image ami-0a11ce00000000001
expect 'a token that is never taken' 1 err 'HTTP 401: Bad credentials' err 'rejects a token that it has just issued'
equal 'is renewed once' "$(asked create-token)" 2

# One that some of GitHub's servers do not know yet, and a key in the forms in which secrets hold it.
app_sim
fault '{"service":"github","action":"generate-jitconfig","fault":"unauthorized","status":401,"message":"Bad credentials","times":2}'
run env -u MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY="$(base64 -w0 "$key")" "$mayfly" start "${args[@]}"
expect 'a fresh token that is refused twice is good some seconds later' 0 err 'is online after'
equal 'which takes one other token' "$(asked create-token)" 2
fault '[]'
run env -u MAYFLY_APP_KEY_FILE MAYFLY_APP_KEY="$(tr '\n' ' ' <"$key")" "$mayfly" stop --label none
expect 'a key in one line' 0

# A signal while the token is being waited for.
fault '{"service":"github","action":"create-token","fault":"hold","times":0}'
"$mayfly" start "${args[@]}" >"$tmp/out" 2>"$tmp/err" &
pid=$!
for ((i = 0; i < 100; i++)); do
	[ "$(control GET held | jq length)" = 1 ] && break
	sleep 0.05
done
began=$(date +%s%N)
kill -TERM $pid
wait $pid
status=$? err=$(cat "$tmp/err") out=
took=$((($(date +%s%N) - began) / 1000000))
expect 'a signal during that' 1 err 'interrupted by a signal'
equal 'is not held up' "$((took < 3000))" 1
control DELETE faults >/dev/null
control POST release '{"drop":true}' >/dev/null

# --- the doctor ---
app_sim
says() { # NAME EXIT LINE PART…: a line of the doctor's begins with LINE and holds the parts
	local name=$1 want=$2 line part
	line=$(grep -E "^$3" <<<"$out")
	shift 3
	[ "$status" = "$want" ] || line=
	for part in "$@"; do grep -qF -- "$part" <<<"$line" || line=; done
	if [ -n "$line" ]; then ok "$name"; else not_ok "$name" "exit status $status: $(grep -E 'app:|token:|github:' <<<"$out") $err"; fi
}
doctor() { run "$mayfly" doctor "${args[@]}"; }
doctor
says 'doctor: the key' 0 'ok +app: signed as Iv23li' 'it is the App 4711 (mayfly-sim) of octo'
says 'doctor: the installation' 0 'ok +app: looked for its installation on octo/demo' 'number 1001, for all repositories'
says 'doctor: the permissions' 0 'ok +app: requested a token' 'it has administration: write, actions: read'
says 'doctor: the token' 0 'ok +token: ' 'it is accepted'
change '{"permissions":{"administration":"write"}}'
doctor
says 'doctor: jobs may not be read' 0 'warning +app: ' 'it lacks actions: read' 'Permissions & events' '/settings/installations/1001'
change '{"permissions":{"metadata":"read"}}'
doctor
says 'doctor: a permission that is missing' 1 'problem +app: looked for' 'lacks the permission `administration: write`' 'accept it as the owner'
says 'doctor: what depends on it' 1 'not checked +token: ' 'it has none'
all_back
change '{"suspended":true}'
doctor
says 'doctor: a suspended installation' 1 'problem +app: ' 'is suspended since' 'unsuspend it at'
change '{"suspended":false,"installed":false}'
doctor
says 'doctor: no installation' 1 'problem +app: ' 'HTTP 404' 'Install App'
all_back
MAYFLY_APP_KEY_FILE=$tmp/other.pem doctor
says "doctor: another App's key" 1 'problem +app: signed as' 'HTTP 401' "the key is not the App's"
MAYFLY_APP_KEY_FILE=/nowhere doctor
says 'doctor: no key' 1 'problem +token: looked for the repository and a token or an App' /nowhere --app-key-file
says 'doctor: AWS is looked at all the same' 1 'ok +launch: ' 'EC2 would do it'

# --- several scopes in one pass ---
app_sim --repos octo/other,acme/tools,octo
own=("${args[@]}" --fleet shared)
for scope in octo/demo octo/other acme/tools octo; do
	run "$mayfly" start "${own[@]}" --repo "$scope" --label "l-${scope//\//-}"
	expect "a runner of $scope" 0
done
before=$(tokens '.tokens | length')
control POST clock '{"advance_seconds":2800}' >/dev/null
run "$mayfly" reap --fleet shared
expect 'reap over several scopes' 0
equal 'idle everywhere' "$(state '[.regions[].instances[].tags["mayfly:reap-mark"] | select(startswith("idle@"))] | length')" 4
equal 'a token each' "$(tokens "[.tokens[$before:][] | \"\\(.account)/\\(.repositories | join(\",\"))\"] | sort | join(\" \")")" \
	'acme/tools octo/ octo/demo octo/other'
change '{"repositories":["octo/demo","octo/other"]}'
control POST clock '{"advance_seconds":700}' >/dev/null
run "$mayfly" reap --fleet shared
expect 'one scope where the App is no more' 3
control POST clock '{"advance_seconds":200}' >/dev/null
run "$mayfly" reap --fleet shared
expect 'and once more, for the machines to be heard' 3
equal 'is left alone, the others end' "$(state '[.regions[].instances[] | select(.state | test("pending|running")) | .tags["mayfly:scope"]] | join(" ")')" 'acme/tools'

# --- scopes ---
app_sim --repos octo
control POST runner-groups '["gpu","nightly"]' >/dev/null
run "$mayfly" start "${args[@]}" --repo octo --runner-group nightly --label g
expect 'an organization, its group by name' 0
equal 'is that group' "$(state '.runners[-1].group')" "$(control GET runner-groups | jq 'index("nightly") + 1')"
equal "with the organization's permission" "$(tokens '.tokens[-1].permissions | keys | join(",")')" 'metadata,organization_self_hosted_runners'
run "$mayfly" stop --repo octo --label g
expect 'and ended' 0
run "$mayfly" start "${args[@]}" --repo octo --runner-group none
expect 'a group that is none' 2 err 'octo has no group `none`'
run "$mayfly" start "${args[@]}" --runner-group nightly
expect 'a named group of a repository' 2 err 'a repository has no group `nightly`'
run env -u GITHUB_API_URL "$mayfly" reap
expect 'the API found by GITHUB_SERVER_URL' 0
unset MAYFLY_APP_ID MAYFLY_APP_KEY_FILE
start_sim --instances model --boot 100 --online 100 --terminate-delay 20
control POST runner-groups '["nightly"]' >/dev/null
run "$mayfly" start "${args[@]}" --repo enterprises/octo --runner-group nightly --label e
expect 'an enterprise, by a token, its group by name' 0
has 'its runner is there' "$(state '.runners[-1].scope')" /enterprises/octo
run "$mayfly" reap --repo enterprises/octo
expect 'reaped' 0 err 'fleet enterprises/octo: 1 live instances'
run "$mayfly" stop --repo enterprises/octo --label e
expect 'stopped' 0
equal 'and gone' "$(state '.runners | length')" 0

# --- refusals of a token that worked a moment ago ---
unset MAYFLY_APP_ID MAYFLY_APP_KEY MAYFLY_APP_KEY_FILE
start_sim --instances model --boot 100 --online 600 --terminate-delay 20
for refusal in 401 403; do
	fault '{"service":"github","action":"get-runner","fault":"error","status":'$refusal',"message":"Bad credentials","times":1}'
	run "$mayfly" start "${args[@]}" --label "polled-$refusal"
	expect "one $refusal while a launch is being watched" 0 err 'is online after'
done
