#!/usr/bin/env bash
# AWS credentials from each source that the simulator plays: found, used, renewed before they end, and refused with words.
. "$(dirname "$0")/lib.sh"

start_sim
none=(env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN)
sources=$(control GET sources)
settings() { jq -r ".$1 | to_entries[] | select(.key != \"accessToken\") | \"\(.key)=\(.value)\"" <<<"$sources"; }
readarray -t instance < <(settings instance)
readarray -t container < <(settings container)
readarray -t oidc < <(settings oidc)
readarray -t sso < <(settings sso)
token=$(jq -r .sso.accessToken <<<"$sources")
role=arn:aws:iam::123456789012:role/ci
aws=$HOME/.aws
mkdir -p "$aws/sso/cache"

# who NAME ARN SOURCE VARIABLE=VALUE… -- OPTION…: doctor, with these variables
who() {
	local name=$1 arn=$2 source=$3 variables=()
	shift 3
	while [ "$1" != -- ]; do variables+=("$1") && shift; done
	shift
	run "${none[@]}" "${variables[@]}" "$mayfly" doctor --credentials "$@"
	expect "$name" 0 out "$arn" out "$source" out 'the credentials work: '
}

wait_held() { # N: until so many requests are held
	for ((i = 0; i < 300; i++)); do
		[ "$(control GET held | jq length)" -lt "$1" ] || return
		sleep 0.05
	done
}

### each source

assumed=arn:aws:sts::123456789012:assumed-role
who 'the role of the instance' $assumed/instance-role/ "from the instance's role" "${instance[@]}" --
who 'the role of a container' $assumed/container/task "from the container's credentials" "${container[@]}" --
who 'the OIDC token of a workflow' $assumed/ci/mayfly-77 "the workflow's OIDC token with the role $role" \
	"${oidc[@]}" GITHUB_RUN_ID=77 -- --role-arn $role
has 'what was passed over is told' "$(run "${none[@]}" "${instance[@]}" "$mayfly" doctor --credentials && echo "$out")" \
	'AWS_ACCESS_KEY_ID is not set'

curl -sS -H "Authorization: Bearer ${oidc[1]#*=}" "${oidc[0]#*=}&audience=sts.amazonaws.com" | jq -r .value >"$tmp/token"
printf '\xef\xbb\xbf%s\r\n' "$(<"$tmp/token")" >"$tmp/marked" && mv "$tmp/marked" "$tmp/token" # as Windows writes it
who 'a web identity token in a file' $assumed/ci/me 'the web identity token file' "AWS_WEB_IDENTITY_TOKEN_FILE=$tmp/token" \
	AWS_ROLE_ARN=$role AWS_ROLE_SESSION_NAME=me --
run "$mayfly" doctor --credentials --role-arn $role
expect 'a role, assumed with the keys of the environment' 0 out "$assumed/ci/mayfly" out ", then the role $role"

cat >"$aws/config" <<END
[profile sso]
sso_session = main
sso_account_id = 123456789012
sso_role_name = dev
[sso-session main]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
[profile chain]
role_arn = arn:aws:iam::123456789012:role/outer
source_profile = inner
role_session_name = last
[profile inner]
role_arn = arn:aws:iam::123456789012:role/inner
source_profile = sso
[profile process]
credential_process = "$tmp/give keys" 'one argument'
[profile forbidden]
role_arn = arn:aws:iam::123456789012:role/forbidden
credential_source = Environment
END
cache=$aws/sso/cache/$(printf main | sha1sum | cut -d' ' -f1).json
printf '{"accessToken":"%s","expiresAt":"2999-01-01T00:00:00Z"}' "$token" >"$cache"
who 'the SSO session' $assumed/dev/sso 'the SSO session `main`' "${sso[0]}" -- --profile sso
who 'a chain of roles down to an SSO session' $assumed/outer/last 'then the role arn:aws:iam::123456789012:role/inner, then' \
	"${sso[0]}" -- --profile chain
cat >"$tmp/give keys" <<END
#!/bin/sh
[ "\$1" = 'one argument' ] && [ \$# -eq 1 ] || exit 1
[ -z "\$MAYFLY_GITHUB_TOKEN\$INPUT_APP_KEY" ] || exit 2
! env | grep -E '^(MAYFLY|INPUT)_|^(GITHUB|GH|ACTIONS)_.*TOKEN' >&2 || exit 2
[ -n "\$HOME" ] && [ -n "\$PATH" ] || exit 4
if ls -l /proc/\$\$/fd | grep -q socket; then exit 3; fi
cat "$tmp/keys"
END
chmod +x "$tmp/give keys"
printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s"}' "$AWS_ACCESS_KEY_ID" \
	"$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" >"$tmp/keys"
who 'a credential_process, which sees no input of the action' 'assumed-role/mayfly/simulator' \
	'the credential_process of the profile `process`' INPUT_APP_KEY=key GITHUB_TOKEN=t GH_TOKEN=t GITHUB_REPOSITORY=o/r \
	ACTIONS_RUNTIME_TOKEN=t ACTIONS_ID_TOKEN_REQUEST_TOKEN=t ACTIONS_ID_TOKEN_REQUEST_URL=http://127.0.0.1:9 \
	GITHUB_ENTERPRISE_TOKEN=t ACTIONS_RESULTS_TOKEN=t -- --profile process
# Whoever reaps no children of its own may have started it.
run "${none[@]}" python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$mayfly" stop --label x --profile process
expect 'a credential_process where SIGCHLD is ignored' 0

### what is broken

# refused NAME TEXT VARIABLE=VALUE… -- OPTION…
refused() {
	local name=$1 text=$2 variables=()
	shift 2
	while [ "$1" != -- ]; do variables+=("$1") && shift; done
	shift
	run "${none[@]}" "${variables[@]}" "$mayfly" stop --label x "$@"
	if [ "$status" -ne 0 ] && grep -qF -- "$text" <<<"$err" && grep -q '^hint: ' <<<"$err"; then
		ok "$name"
	else
		not_ok "$name" "status $status: $err"
	fi
}

refused 'nothing anywhere lists what was tried' \
	'tried OIDC of a workflow, environment, role of a profile, web identity, SSO, credentials file' --
refused 'a container token that is wrong' 'HTTP 401 Unauthorized: the authorization token' "${container[0]}" \
	AWS_CONTAINER_AUTHORIZATION_TOKEN=wrong --
printf 'Basic two words\n' >"$tmp/token"
refused 'a container token of several words is passed on' 'HTTP 401 Unauthorized: the authorization token' "${container[0]}" \
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$tmp/token" --
printf '\xff\xfew\0r\0o\0n\0g\0' >"$tmp/token"
refused 'a container token in UTF-16' "the container's authorization token file \`$tmp/token\` is UTF-16, and UTF-8 is needed" "${container[0]}" \
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$tmp/token" --
refused 'an OIDC token that the job may not have' 'HTTP 401' "${oidc[0]}" ACTIONS_ID_TOKEN_REQUEST_TOKEN=wrong -- --role-arn $role
has 'the hint names the permission' "$err" 'id-token: write'
refused 'a role that trusts somebody else' "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity" \
	"${oidc[@]}" -- --role-arn arn:aws:iam::123456789012:role/forbidden
has 'the hint names the trust policy' "$err" 'mayfly policy trust --subject'
run "$mayfly" stop --label x --role-arn arn:aws:iam::123456789012:role/forbidden
expect 'a role that may not be assumed' 1 err 'assuming the role' err 'must allow sts:AssumeRole for the role'
refused 'a web identity token that nobody issued' 'InvalidIdentityToken' AWS_WEB_IDENTITY_TOKEN_FILE=/etc/hostname \
	AWS_ROLE_ARN=$role --
refused 'a web identity token file that is not there' 'No such file' AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent AWS_ROLE_ARN=$role --
printf '{"accessToken":"%s","expiresAt":"2999-01-01T00:00:00UTC"}' "$token" >"$cache"
who 'an SSO session as older CLIs wrote it' $assumed/dev/sso 'the SSO session `main`' "${sso[0]}" -- --profile sso
printf '{"accessToken":"%s","expiresAt":"soon"}' "$token" >"$cache"
refused 'an SSO session that ends nobody knows when' 'expiresAt `soon` is no date' "${sso[0]}" -- --profile sso
printf '{"accessToken":"a\\nb: c","expiresAt":"2999-01-01T00:00:00Z"}' >"$cache"
refused 'an SSO token that would add a header' 'accessToken is empty, or holds a blank or a control character' "${sso[0]}" -- --profile sso
refused 'a token that would add a header' 'AWS_CONTAINER_AUTHORIZATION_TOKEN has more than one line' "${container[0]}" \
	AWS_CONTAINER_AUTHORIZATION_TOKEN=$'a\nb: c' --
printf '{"accessToken":"%s","expiresAt":"2020-01-01T00:00:00Z"}' "$token" >"$cache"
refused 'an SSO session that ended' 'expired at 2020-01-01T00:00:00Z' "${sso[0]}" -- --profile sso
# What botocore renews with the refresh token, in a cache that stays whole.
oidc_url=${sso[0]/AWS_ENDPOINT_URL_SSO=/AWS_ENDPOINT_URL_SSO_OIDC=}
cached() { # ACCESS_TOKEN EXPIRES REFRESH_TOKEN REGISTRATION_EXPIRES
	jq -n --arg t "$1" --arg e "$2" --arg r "$3" --arg x "$4" '{startUrl: "https://example.awsapps.com/start", region: "eu-west-1",
		accessToken: $t, expiresAt: $e, clientId: "client", clientSecret: "client-secret", registrationExpiresAt: $x, refreshToken: $r}' >"$cache"
}
cached old 2020-01-01T00:00:00Z "refresh-$token" 2999-01-01T00:00:00Z
who 'an SSO session that ended is renewed' $assumed/dev/sso 'the SSO session `main`' "${sso[0]}" "$oidc_url" -- --profile sso
equal 'the cache has the new token, for this user only' "$(jq -r '"\(.accessToken) \(.refreshToken) \(.clientId) \(.region) \(.expiresAt > "2020")"' "$cache") $(stat -c %a "$cache") $(find "$aws/sso/cache" -type f | wc -l)" \
	"$token refresh-$token client eu-west-1 true 600 1"
refreshes() { control GET log | jq '[.[] | select(.action == "POST /token")] | length'; }
before=$(refreshes)
who 'which is not renewed again' $assumed/dev/sso 'the SSO session `main`' "${sso[0]}" "$oidc_url" -- --profile sso
equal 'at once' "$(refreshes)" "$before"
cached "$token" "$(date -u -d '+5 minutes' +%FT%TZ)" wrong 2999-01-01T00:00:00Z
who 'a token that is still good serves when it cannot be renewed' $assumed/dev/sso 'the SSO session `main`' "${sso[0]}" "$oidc_url" -- --profile sso
cached old 2020-01-01T00:00:00Z wrong 2999-01-01T00:00:00Z
refused 'a refresh token that is taken no longer' 'renewing the SSO session: HTTP 400 invalid_grant: Invalid refresh token' "${sso[0]}" "$oidc_url" -- --profile sso
has 'the hint is to log in' "$err" 'log in again: aws sso login'
if grep -qE 'client-secret|wrong' <<<"$err"; then not_ok 'no secret is shown' "$err"; else ok 'no secret is shown'; fi
cached old 2020-01-01T00:00:00Z "refresh-$token" 2021-01-01T00:00:00Z
refused 'a registration that ended' 'expired at 2020-01-01T00:00:00Z' "${sso[0]}" "$oidc_url" -- --profile sso
cached old 2020-01-01T00:00:00Z "refresh-$token" 2999-01-01T00:00:00Z
run "${none[@]}" "${sso[0]}" AWS_ENDPOINT_URL_SSO_OIDC=http://127.0.0.1:9 "$mayfly" stop --label x --profile sso
expect 'no answer says nothing of the session' 75 err 'renewing the SSO session: no answer'
rm "$cache"
refused 'an SSO session that never was' 'the cached SSO token' "${sso[0]}" -- --profile sso
printf '{"Version":2}' >"$tmp/keys"
refused 'a credential_process of another version' 'Version is not 1' -- --profile process
printf 'the secret is hunter2' >"$tmp/keys"
refused 'a credential_process that prints no JSON' 'credential_process: ' -- --profile process
if grep -q hunter2 <<<"$err"; then not_ok 'its output is not shown' "$err"; else ok 'its output is not shown'; fi
printf '{"AccessKeyId":"a","SecretAccessKey":"b"}' >"$tmp/keys"
refused 'a credential_process of no version' 'Version is not 1' -- --profile process
printf '#!/bin/sh\nexec >&-; echo $$ >"%s"; sleep 300; true\n' "$tmp/pid" >"$tmp/give keys"
"${none[@]}" "$mayfly" stop --label x --profile process >"$tmp/out" 2>"$tmp/err" &
stop=$!
for ((i = 0; i < 300; i++)); do
	[ ! -s "$tmp/pid" ] || break
	sleep 0.05
done
kill -TERM $stop
wait $stop
status=$? err=$(cat "$tmp/err")
expect 'a signal is heard while a credential_process lingers' 1 err 'interrupted by a signal'
if kill -0 "$(cat "$tmp/pid")" 2>/dev/null; then not_ok 'which is ended'; else ok 'which is ended'; fi
printf '#!/bin/sh\nexit 3\n' >"$tmp/give keys"
refused 'a credential_process that fails' 'exited with status 3' -- --profile process
rm "$tmp/give keys"
refused 'a credential_process that is not there' 'No such file' -- --profile process

# A setting that is wrong is told before a credential_process runs.
printf '#!/bin/sh\ntouch "%s"\nexit 3\n' "$tmp/asked" >"$tmp/give keys"
chmod +x "$tmp/give keys"
run "${none[@]}" -u MAYFLY_GITHUB_TOKEN "$mayfly" stop --label x --profile process
expect 'no GitHub token' 2 err 'no GitHub token'
run "${none[@]}" -u GITHUB_REPOSITORY "$mayfly" bake amd64 --subnets subnet-0a11ce01 --security-groups sg-0a11ce01 --profile process
expect 'nobody knows whose an image would be' 2 err 'no fleet'
equal 'then no program was asked for credentials' "$(ls "$tmp/asked" 2>/dev/null)" ''
rm "$tmp/give keys"

### settings as botocore reads them

id=$AWS_ACCESS_KEY_ID key=$AWS_SECRET_ACCESS_KEY session=$AWS_SESSION_TOKEN
cp "$aws/config" "$tmp/config"
cat >"$aws/credentials" <<END
[default]
aws_access_key_id = AKIAOTHERACCOUNT
aws_secret_access_key = x
[ci]
aws_access_key_id: $id
aws_secret_access_key: $key
aws_security_token: $session
END
me="assumed-role/mayfly/simulator"
who 'AWS_DEFAULT_PROFILE, and key: value' $me 'from the profile `ci`' AWS_DEFAULT_PROFILE=ci --
who 'AWS_DEFAULT_PROFILE before AWS_PROFILE' $me 'from the profile `ci`' AWS_DEFAULT_PROFILE=ci AWS_PROFILE=default --
has 'which is said' "$err" 'AWS_DEFAULT_PROFILE and AWS_PROFILE differ: using AWS_DEFAULT_PROFILE'
who 'a file named with $HOME' $me 'from the profile `ci`' HOME="$tmp" 'AWS_SHARED_CREDENTIALS_FILE=${HOME}/home/.aws/credentials' -- --profile ci
who 'AWS_SECURITY_TOKEN' $me 'from the environment' AWS_ACCESS_KEY_ID="$id" AWS_SECRET_ACCESS_KEY="$key" AWS_SECURITY_TOKEN="$session" --
mv "$aws/config" "$tmp/config" && mkdir "$aws/config"
run "$mayfly" doctor --credentials
expect 'a config file that is a directory stops nothing' 0 out $me err "reading the AWS configuration \`$aws/config\`" err 'continuing without it'
rmdir "$aws/config"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	: >"$aws/config"
	chmod 600 "$aws/config"
	chmod 711 "$tmp" "$HOME" "$aws"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$mayfly" doctor --credentials
	expect 'nor does one of another user' 0 out $me err 'Permission denied: continuing without it'
fi
cat >"$tmp/keys" <<END
#!/bin/sh
echo '{"Version":1,"AccessKeyId":"$id","SecretAccessKey":"$key","SessionToken":"$session"'\${E:+,'"Expiration":"'\$E'"'}'}'
END
chmod +x "$tmp/keys"
cat >"$aws/config" <<END
[profile quoted]
credential_process = sh -c "X=1 ; exec '$tmp/keys' # \$X"
[profile dated]
credential_process = env "E=2999-01-01 00:00:00+00:00" "$tmp/keys"
[profile zoneless]
credential_process = env "E=2999-01-01 00:00:00" "$tmp/keys"
[profile login]
login_session = arn:aws:iam::123456789012:user/x
END
who 'a credential_process with a ; within quotes' $me 'of the profile `quoted`' -- --profile quoted
who 'an Expiration as Python prints it' $me 'of the profile `dated`' -- --profile dated
refused 'an Expiration of no time zone' 'Expiration `2999-01-01 00:00:00` is no date with its time zone' -- --profile zoneless
refused 'a session of aws login' 'uses `aws login`' -- --profile login
has 'the hint says how it is used' "$err" 'credential_process = aws configure export-credentials --profile login'
run env AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z "$mayfly" doctor --credentials
expect 'an end that is past is a warning: AWS decides' 0 out $me err 'AWS_CREDENTIAL_EXPIRATION says'
mv "$tmp/config" "$aws/config"
rm "$aws/credentials"

### faults on the way

fault() { control PUT faults "$1" >/dev/null; }
fault '{"service":"issuer","fault":"status","status":503,"nth":1,"times":2}'
who 'two failures of the container are waited out' $assumed/container/task '' "${container[@]}" --
fault '{"service":"issuer","fault":"status","status":503,"nth":1,"times":9}'
run "${none[@]}" "${container[@]}" "$mayfly" stop --label x
expect 'a container that fails for long may be better later' 75 err 'HTTP 503'
fault '{"service":"issuer","fault":"hold","nth":1,"times":9}'
"${none[@]}" "${instance[@]}" "$mayfly" stop --label x >"$tmp/out" 2>"$tmp/err" &
stop=$!
wait_held 1
kill -TERM $stop
wait $stop
status=$? err=$(cat "$tmp/err")
expect 'a signal while IMDS is asked is told as such' 1 err 'stop: interrupted by a signal'
control POST release '{}' >/dev/null
fault '{"service":"sts","action":"AssumeRoleWithWebIdentity","fault":"reset","nth":1}'
who 'a lost answer of STS is asked for again' $assumed/ci/ '' "${oidc[@]}" -- --role-arn $role
for why in "InvalidIdentityToken 400 Couldn't retrieve verification key from your identity provider" \
	'AccessDenied 403 Not authorized to perform sts:AssumeRoleWithWebIdentity'; do
	read -r code http message <<<"$why"
	fault "$(jq -n --arg c "$code" --argjson s "$http" --arg m "$message" '[{service: "sts", action: "AssumeRoleWithWebIdentity",
		fault: "error", code: $c, status: $s, message: $m, nth: 1, times: 2}]')"
	who "a passing $code of STS is asked again" $assumed/ci/ '' "${oidc[@]}" -- --role-arn $role
done
fault '[]'
asks=$(control GET log | jq '[.[] | select(.action == "AssumeRoleWithWebIdentity")] | length')
refused 'one that stays' 'AccessDenied: Not authorized' "${oidc[@]}" -- --role-arn arn:aws:iam::123456789012:role/forbidden
equal 'is asked three times, no more' "$(($(control GET log | jq '[.[] | select(.action == "AssumeRoleWithWebIdentity")] | length') - asks))" 3
fault '{"service":"issuer","fault":"garbage","nth":1,"times":9}'
refused 'an answer that is no JSON' "the container's credentials" "${container[@]}" --
fault '{"service":"issuer","fault":"hold","nth":1,"times":9}'
refused 'an instance that does not answer a container' 'timed out after' "${instance[@]}" AWS_METADATA_SERVICE_NUM_ATTEMPTS=1 \
	KUBERNETES_SERVICE_HOST=10.0.0.1 --
has 'the hint names the hops' "$err" '--http-put-response-hop-limit 2'
control POST release '{}' >/dev/null
fault '{"service":"issuer","fault":"hold","nth":1}'
{
	wait_held 1
	sleep 1.2
	control POST release '{}'
} >/dev/null &
who 'AWS_METADATA_SERVICE_TIMEOUT' $assumed/instance-role/ "from the instance's role" "${instance[@]}" AWS_METADATA_SERVICE_TIMEOUT=9 \
	AWS_METADATA_SERVICE_NUM_ATTEMPTS=1 --
wait %%
imds=/imds/role/latest meta=meta-data/iam/security-credentials
broken() { # NAME PATH FAULT TEXT
	fault "{\"service\":\"issuer\",\"nth\":1,\"times\":9,\"match\":{\"path\":\"$imds/$2\"},$3}"
	refused "$1" "$4" "${instance[@]}" --
}
broken 'IMDS that speaks version 1 only' api/token '"fault":"status","status":403' 'instance metadata (HTTP 403)'
broken 'an instance without a role' $meta/ '"fault":"status","status":404' 'this instance has no role (HTTP 404)'
broken 'a role that IMDS does not give' $meta/instance-role '"fault":"status","status":403' "the instance's role: HTTP 403"
broken 'a role that is no JSON' $meta/instance-role '"fault":"garbage"' "the instance's role"
printf '{"accessToken":"%s","expiresAt":"2999-01-01T00:00:00Z"}' "$token" >"$cache"
fault '{"service":"issuer","fault":"status","status":401,"nth":1,"times":9}'
refused 'an SSO portal that refuses' 'aws sso login' "${sso[@]}" -- --profile sso
fault '[]'

### renewing

start_sim --credential-life 400
sources=$(control GET sources)
readarray -t container < <(settings container)
issued() { control GET log | jq "[.[] | select(.action == \"GET /credentials/container\")] | length"; }
release_ec2() { control POST release "{\"n\":$(control GET held | jq '.[] | select(.service == "ec2").n')}" >/dev/null; }
options=(--image ami-0a11ce00000000003 --types m7i.large --subnets subnet-0a11ce01 --security-groups sg-0a11ce01)
# The runner is not seen online before EC2 is asked again.
looking='[{"service":"github","action":"get-runner","fault":"hold","nth":1},{"service":"ec2","action":"DescribeInstances","fault":"hold","nth":2}]'
fault "$looking"
"${none[@]}" "${container[@]}" "$mayfly" start "${options[@]}" --label renewed >"$tmp/out" 2>"$tmp/err" &
start=$!
wait_held 2
equal 'credentials that are good for a while are fetched once' "$(issued)" 1
# Mayfly's own clock stands, so that it believes in its credentials; the service does not any more.
control POST clock '{"advance_seconds":401}' >/dev/null
release_ec2
for ((i = 0; i < 300; i++)); do
	[ "$(issued)" = 1 ] || break
	sleep 0.05
done
control POST release '{}' >/dev/null
wait $start
status=$?
out=$(cat "$tmp/out") err=$(cat "$tmp/err")
equal 'a start whose credentials end on the way goes on' "$status" 0
equal 'they were fetched again, once for all requests' "$(issued)" 2

fault '[]'
fault "$looking"
"${none[@]}" "${container[@]}" "$mayfly" start "${options[@]}" --label cancelled >"$tmp/out" 2>"$tmp/err" &
start=$!
wait_held 2
control POST clock '{"advance_seconds":401}' >/dev/null
kill -TERM $start
release_ec2
wait $start
status=$? out=$(cat "$tmp/out") err=$(cat "$tmp/err")
expect 'a start that is cancelled says so' 1 err 'interrupted by a signal'
if grep -q 'left behind' <<<"$err"; then
	not_ok 'and renews credentials that have ended, to undo the launch' "$err"
else
	ok 'and renews credentials that have ended, to undo the launch'
fi

# The clocks agree well enough, so that it is the refusal alone that tells.
start_sim --credential-life 100
sources=$(control GET sources)
readarray -t container < <(settings container)
fault '{"service":"ec2","action":"DescribeInstances","fault":"hold","nth":1,"times":3}'
"${none[@]}" "${container[@]}" "$mayfly" reap --regions us-east-1,eu-west-1,us-west-2 >"$tmp/out" 2>"$tmp/err" &
reap=$!
wait_held 3
before=$(issued)
control POST clock '{"advance_seconds":101}' >/dev/null
control POST release '{}' >/dev/null
wait $reap
equal 'requests in flight that are refused together fetch once more together' "$? $(($(issued) - before))" '0 1'

start_sim --credential-life 200
sources=$(control GET sources)
readarray -t container < <(settings container)
run "${none[@]}" "${container[@]}" "$mayfly" stop --label none
equal 'credentials that end within five minutes are renewed before the first request' "$status $(issued)" '0 2'
fault '{"service":"issuer","fault":"status","status":500,"skip":1,"times":99}'
run "${none[@]}" "${container[@]}" "$mayfly" stop --label none
expect 'what is still good serves when that fails' 0 err 'could not be renewed'

start_sim
sources=$(control GET sources)
readarray -t instance < <(settings instance)
control POST clock '{"advance_seconds":-7200}' >/dev/null
run "${none[@]}" "${instance[@]}" "$mayfly" stop --label none --verbose
expect 'what IMDS gives is used, though it seems to have ended' 0 err 'using them anyway'
equal 'and not asked for again at once' "$(control GET log | jq '[.[] | select(.service == "issuer" and .method == "PUT")] | length')" 1
[ "$failures" -eq 0 ]
