#!/usr/bin/env bash
# The reaper's examples: what cron and systemd would run is run, systemd judges its units, Docker's parser and the
# schemas of Kubernetes what is for them.
. "$(dirname "$0")/lib.sh"
. "$top/tests/contract/venv.sh"
export MAYFLY_TEST_CACHE=${MAYFLY_TEST_CACHE:-$top/tests/.cache}
examples=$top/examples

fault() { control POST faults "$1" >/dev/null; }
no_faults() { control DELETE faults >/dev/null; }
down='{"service":"github","action":"list-runners","fault":"status","status":502,"times":9}'

# Where the examples have /etc and /var/lib: $tmp/etc, $tmp/lib.
start_sim --instances model --boot 50 --online 100 --terminate-delay 20 --no-auth
etc=$tmp/etc/mayfly
mkdir -p "$etc" "$tmp/lib/mayfly" "$tmp/stubs"
printf '[default]\nrepo = octo/demo\nregion = us-east-1\nregions = us-east-1, us-west-2\n' >"$etc/mayfly.ini"
printf '%s\n' "$MAYFLY_GITHUB_TOKEN" >"$etc/github-token"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n' \
	"$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" >"$etc/aws-credentials"
here() { sed -e "s|/etc/mayfly|$etc|g" -e "s|/var/lib|$tmp/lib|g" -e "s|/usr/local/bin/mayfly|$mayfly|g"; }
# bare COMMAND…: with nothing of the environment but where the clouds are.
bare() { env -i HOME="$tmp/home" PATH="$tmp/stubs:$build:/usr/bin:/bin" AWS_ENDPOINT_URL="$AWS_ENDPOINT_URL" GITHUB_API_URL="$GITHUB_API_URL" "$@"; }

# --- cron ---
cron=$examples/cron/mayfly-reap
lines=$(grep -vE '^(#|$)' "$cron")
entry=$(grep -vE '^[A-Z]+=' <<<"$lines")
equal 'the crontab has one entry' "$(wc -l <<<"$entry")" 1
check 'with five fields of time, a user and a command' grep -qE '^([0-9*/,-]+ ){5}[a-z_-]+ [^ ]' <<<"$entry"
equal 'cron takes no dot in its name' "$(basename "$cron" | tr -d 'A-Za-z0-9_-')" ''
equal 'a bare percent sign would end the command' "$(tr -cd '%' <<<"${entry//\\%/}")" ''
if [ ${#entry} -lt 998 ]; then ok 'cron takes a line so long'; else not_ok 'cron takes a line so long' "${#entry} characters"; fi
command=$(cut -d' ' -f7- <<<"$entry" | sed 's/\\%/%/g' | here)
printf '#!/bin/sh\n[ "$*" = "-t mayfly-reap" ] && exec cat >>"%s"\n' "$tmp/syslog" >"$tmp/stubs/logger"
chmod +x "$tmp/stubs/logger"
# cron_runs: what it says is mailed ($out), what goes to syslog is $syslog.
cron_runs() {
	: >"$tmp/syslog"
	run bare SHELL=/bin/sh LOGNAME=mayfly sh -c "$command"
	syslog=$(cat "$tmp/syslog")
}
cron_runs
has 'without its secrets the entry of cron says so by mail' "$out$err" reap.env
printf "MAYFLY_GITHUB_TOKEN='%s'\nAWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\nMAYFLY_METRICS=%s\n" "$MAYFLY_GITHUB_TOKEN" \
	"$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$tmp/lib/reap.prom" >"$etc/reap.env"
cron_runs
equal 'the entry of cron runs, and mails nothing' "$out$err" ''
has 'it tells syslog' "$syslog" 'fleet octo/demo: 0 live instances'
check 'what the file of secrets sets besides counts' grep -q '^mayfly_reap_success{fleet="octo/demo"} 1' "$tmp/lib/reap.prom"
fault "$down"
cron_runs
has 'what is left or not known is mailed' "$out" 'mayfly reap: exit status 3'
has 'with what it says' "$out" 'GitHub could not be asked'
has 'and in syslog' "$syslog" 'GitHub could not be asked'
no_faults
sed -i "s/^MAYFLY_GITHUB_TOKEN=.*/MAYFLY_GITHUB_TOKEN='100% \\\\n wrong'/" "$etc/reap.env"
cron_runs
has 'what is set up wrong is mailed' "$out" 'mayfly reap: exit status 2'
sed -i "s/^MAYFLY_GITHUB_TOKEN=.*/MAYFLY_GITHUB_TOKEN='$MAYFLY_GITHUB_TOKEN'/" "$etc/reap.env"
exec 9<>"$tmp/lib/mayfly/reap.lock"
flock -n 9
cron_runs
equal 'while another run goes on nothing is mailed' "$out$err" ''
has 'but told' "$syslog" 'is held by another run'
exec 9<&-

# --- systemd ---
units=$examples/systemd
service=$units/mayfly-reap.service
if command -v systemd-analyze >/dev/null; then
	root=$tmp/root
	mkdir -p "$root/usr/lib/systemd" "$root/etc/systemd/system/mayfly-reap.service.d" "$root/usr/local/bin"
	cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
	verify() { # [SED]: of the service
		cp "$units"/mayfly-reap.timer "$root/etc/systemd/system/"
		cp "$units/metrics.conf" "$root/etc/systemd/system/mayfly-reap.service.d/"
		sed "${1-}" "$service" >"$root/etc/systemd/system/mayfly-reap.service"
		systemd-analyze verify --man=no --root="$root" mayfly-reap.service mayfly-reap.timer 2>&1 | grep -E 'mayfly-reap|metrics.conf'
	}
	has 'systemd sees a program that is missing' "$(verify)" 'mayfly is not executable'
	printf '#!/bin/sh\n' >"$root/usr/local/bin/mayfly" && chmod +x "$root/usr/local/bin/mayfly"
	equal 'systemd has nothing to say against the units' "$(verify)" ''
	has 'it would see a key that is none' "$(verify 's/^ProtectSystem/ProtectSytem/')" 'ProtectSytem'
	has 'and a value that is none' "$(verify 's/^MemoryMax=.*/MemoryMax=lots/')" "memory limit 'lots'"
	check 'what it may is little' systemd-analyze security --offline=yes --threshold=15 "$service"
	# The exposure of a service without any of it is above 9.
	sed -E '/^(Private|Protect|Restrict|SystemCall|Capability|NoNew|Dynamic)/d' "$service" >"$tmp/open.service"
	run systemd-analyze security --offline=yes --threshold=15 "$tmp/open.service"
	if [ "$status" -ne 0 ]; then ok 'which can fail'; else not_ok 'which can fail' "$out"; fi
else
	echo 'skip - systemd: judge: systemd-analyze is not installed'
fi
# What ExecStart= runs, with the credentials where systemd would put them.
command=$(sed -n 's/^ExecStart=//p' "$service" | here | sed "s|%d|$etc|g")
variable=$(sed -n 's/^Environment=//p' "$service" | sed "s|%d|$etc|g")
equal 'the credentials are those that are loaded' "$(grep -oE '%d/[a-z-]+' "$service" | sort | tr '\n' ' ')" \
	"$(sed -n 's|^LoadCredential=\([a-z-]*\):.*|%d/\1|p' "$service" | sort | tr '\n' ' ')"
# shellcheck disable=SC2086 # as systemd splits it
run bare "$variable" $command
expect 'what systemd starts runs' 0 err 'fleet octo/demo: 0 live instances'
check 'the metrics of systemd are set by a variable that the program has' \
	"$mayfly" reap --help
has 'it has' "$(cat "$tmp/check.out")" "--$(sed -n 's/^Environment=MAYFLY_\([A-Z]*\)=.*/\1/p' "$units/metrics.conf" | tr '[:upper:]' '[:lower:]') FILE"

# --- containers ---
if ! make_venv; then
	printf 'skip - containers: judge: %s\n' "$(tail -1 "$MAYFLY_TEST_CACHE/venv.log")"
	exit $((failures > 0))
fi
judge() { "$venv/bin/python" "$top/tests/contract/manifests.py" "$@"; }
check 'the Containerfile' judge container "$examples/container/Containerfile"
cp "$tmp/check.out" "$tmp/container.json"
of() { jq -r "$1" "$tmp/container.json"; } # FILTER
sed 's/^COPY src/COPI src/' "$examples/container/Containerfile" >"$tmp/Containerfile"
run judge container "$tmp/Containerfile"
if [ "$status" -ne 0 ]; then ok 'the judge can fail'; else not_ok 'the judge can fail' "$out"; fi
copied=$(of '.[] | select(.cmd == "COPY" and .flags == []) | .value[:-1][]')
missing=$(cd "$top" && for f in $copied; do [ -e "$f" ] || echo "$f"; done)
equal 'all that is copied is there' "$missing" ''
# src/action.sh builds of the same, which its own tests do.
sources=$(sed -n 's/^sources=(\(.*\))$/\1/p' "$top/src/action.sh")
equal 'it is what a build takes' "$(tr ' ' '\n' <<<"$sources examples/install-packages.sh" | sort)" "$(sort <<<"$copied")"
equal 'the stages are of the same system' "$(of '[.[] | select(.cmd == "FROM") | .value[0]] | unique | length')" 1
equal 'its user has no name and no rights' "$(of '.[] | select(.cmd == "USER") | .value[0]')" 65532:65532
equal 'it runs what was built' "$(of '.[] | select(.cmd == "ENTRYPOINT") | .value[0]')" "$(of '.[] | select(.flags[]? == "--from=build") | .value[1]')"
packages=$(of '[.[] | select(.cmd == "RUN")] | last | .value[0]' | sed -n 's/.*--no-install-recommends \([^&]*\)&&.*/\1/p')
# shellcheck disable=SC1091
if [ "$(. /etc/os-release && echo "${VERSION_CODENAME-}")" = bookworm ]; then
	# shellcheck disable=SC2086 # a list
	equal 'its packages exist' "$(dpkg-query -W -f '${Package}\n' $packages 2>&1 | sort)" "$(tr ' ' '\n' <<<"$packages" | grep . | sort)"
	needed=$(objdump -p "$mayfly" | sed -n 's/^ *NEEDED *//p' | grep -vE '^lib(asan|ubsan|c|m)\.so')
	owners=$(for lib in $needed; do dpkg-query -S "*/$lib" 2>/dev/null | sed -n 's/:.*//p' | head -1; done | sort -u)
	equal 'they have all libraries that the program needs' "$owners" "$(tr ' ' '\n' <<<"$packages" | grep . | grep -vx ca-certificates | sort)"
else
	echo 'skip - the packages of the Containerfile: this is not the system that it builds on'
fi

kubernetes=$examples/kubernetes/mayfly-reap.yaml
check 'the CronJob' judge kubernetes "$kubernetes"
cp "$tmp/check.out" "$tmp/kubernetes.json"
of() { jq -r ".[] | select(.kind == \"CronJob\").spec | $1" "$tmp/kubernetes.json"; } # FILTER
sed 's/concurrencyPolicy/concurencyPolicy/' "$kubernetes" >"$tmp/wrong.yaml"
run judge kubernetes "$tmp/wrong.yaml"
expect 'the judge can fail here too' 1 err concurencyPolicy
pod=.jobTemplate.spec.template.spec
equal 'passes do not pile up, and are not repeated' "$(of '[.concurrencyPolicy, .jobTemplate.spec.backoffLimit, .jobTemplate.spec.template.spec.restartPolicy] | join(" ")')" 'Forbid 0 Never'
equal 'it may do nothing but talk' "$(of "$pod"' | [.automountServiceAccountToken, .securityContext.runAsNonRoot, .securityContext.seccompProfile.type,
	(.containers[0].securityContext | .allowPrivilegeEscalation, .readOnlyRootFilesystem, .capabilities.drop[])] | map(tostring) | join(" ")')" \
	'false true RuntimeDefault false true ALL'
equal 'as the user of the image' "$(of "$pod"'.securityContext.runAsUser')" 65532
mkdir -p "$tmp/pod"
jq -r '.[] | select(.kind == "ConfigMap").data["mayfly.ini"]' "$tmp/kubernetes.json" | sed 's|OWNER/REPO|octo/demo|' >"$tmp/pod/mayfly.ini"
equal 'its settings are mounted where it looks for them' "$(of "$pod"'.containers[0].volumeMounts[].mountPath' | tr '\n' ' ')" '/etc/mayfly /run/secrets/mayfly '
in_pod() { sed -e "s|/etc/mayfly|$tmp/pod|g" -e "s|/run/secrets/mayfly|$etc|g"; }
mapfile -t arguments < <(of "$pod"'.containers[0].args[]' | in_pod)
mapfile -t variables < <(of "$pod"'.containers[0].env[] | "\(.name)=\(.value)"' | in_pod)
run bare "${variables[@]}" "$mayfly" "${arguments[@]}"
expect 'what Kubernetes starts runs' 0 out '"kind":"pass"'
exit $((failures > 0))
