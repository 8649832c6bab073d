#!/bin/sh
# Tests of mayfly-agent and of the boot of a baked image: every way in which a boot may end, each as a real boot of the
# image under systemd-nspawn, in a network of its own that has nothing but a metadata service. They all end the same way:
# the machine is off.
# shellcheck disable=SC2016 # the stand-ins are scripts in single quotes
# shellcheck disable=SC2317 # the cases are called by name
# shellcheck disable=SC2015 # "a && b || fail"
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

### The machine

# other_user_data TEXT
other_user_data() {
	printf '#!/bin/sh\n%s\n' "$1" >"$d/imds/latest/user-data"
}

# agent_options OPTION...: of the agent, for limits that a test can wait for
agent_options() {
	mkdir -p "$d/disk/etc/systemd/system/mayfly-agent.service.d"
	printf '[Service]\nExecStart=\nExecStart=/usr/local/sbin/mayfly-agent %s\n' "$*" \
		>"$d/disk/etc/systemd/system/mayfly-agent.service.d/test.conf"
}

# off_by TEXT: the agent gave this reason
off_by() {
	grep -qF "mayfly: failed: $1" "$d/log" || fail "the reason is not: $1"
	[ ! -e "$d/disk/srv/ran" ] || fail "something ran"
}

ran='echo ran >>/srv/ran'
job='[ -s "${ACTIONS_RUNNER_HOOK_JOB_STARTED%/*}/job" ] || bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"'

### User-data

case_exit_0() {
	instance 'id -un >/srv/user; id -nG >/srv/groups; pwd >/srv/pwd; env >/srv/env
sleep 1; sudo -n find /run/mayfly-agent /run/mayfly -type f >/srv/files; exit 0'
	launch 30
	phases 'agent,user-data,booting,runner-ready,runner-starting,runner-exited 0,poweroff'
	same disk/srv/user runner
	same disk/srv/groups 'runner docker'
	sort "$d/disk/srv/files" | tr '\n' ' ' >"$d/files"
	same files '/run/mayfly/apt.conf /run/mayfly/id /run/mayfly/job /run/mayfly/job-started.sh /run/mayfly/next-hook '
	same disk/srv/pwd /opt/actions-runner
	expect disk/srv/env "^ACTIONS_RUNNER_INPUT_JITCONFIG=$jit\$"
	same disk/var/lib/mayfly/instance-id i-0123456789abcdef0
	# Two requests for what it needs, and one for the token.
	grep -v spot "$d/imds/log" | sed 's/" .*//; s/"//' | head -n 3 >"$d/requests"
	same requests 'PUT /latest/api/token HTTP/1.1
GET /latest/meta-data/instance-id HTTP/1.1
GET /latest/user-data HTTP/1.1'
}

case_exit_7() {
	instance 'exit 7'
	launch 30
	phases 'agent,user-data,booting,runner-ready,runner-starting,runner-exited 7,poweroff'
}

case_deaf_runner() {
	instance 'trap "" HUP INT TERM; while :; do sleep 60; done' LIFE_SECONDS=5
	launch 60
	expect log 'mayfly: failed: deadline'
}

case_deadline_without_dbus() {
	instance 'trap "exit 0" INT; sleep 60 & wait' LIFE_SECONDS=5
	for unit in dbus.service dbus.socket systemd-logind.service; do ln -sf /dev/null "$d/disk/etc/systemd/system/$unit"; done
	launch 30
	expect log 'mayfly: failed: deadline'
}

case_gzip() {
	instance "$ran"
	gzip -9 "$d/imds/latest/user-data"
	mv "$d/imds/latest/user-data.gz" "$d/imds/latest/user-data"
	launch 30
	phases 'agent,user-data,booting,runner-ready,runner-starting,runner-exited 0,poweroff'
	same disk/srv/ran ran
}

case_gzip_damaged() {
	instance "$ran"
	gzip -9 <"$d/imds/latest/user-data" | head -c 1000 >"$d/imds/half"
	mv "$d/imds/half" "$d/imds/latest/user-data"
	launch 30
	off_by 'user-data (gzip: '
}

# A gigabyte of blanks, in 16 KiB as EC2 takes them.
case_gzip_bomb() {
	instance "$ran"
	head -c 15000000 /dev/zero | tr '\0' '\n' | gzip -9 >"$d/imds/latest/user-data"
	launch 30
	off_by 'user-data (gzip: '
}

case_script_fails() {
	instance "$ran"
	other_user_data 'exit 3'
	launch 30
	off_by 'user-data (exit 3)'
}

case_script_killed() {
	instance "$ran"
	other_user_data 'kill -KILL $$'
	launch 30
	off_by 'user-data (signal 9)'
}

case_script_hangs() {
	instance "$ran"
	other_user_data 'trap "" TERM INT HUP; sleep 60; sleep 60'
	agent_options --script-limit 2 --poll 1
	launch 30
	off_by 'user-data (not done after 2 s)'
}

case_no_script() {
	instance "$ran"
	printf '#cloud-config\npackages: [x]\n' >"$d/imds/latest/user-data"
	launch 30
	off_by 'user-data (it is no script)'
}

# A script that is done, and leaves nothing that would end the machine.
case_script_leaves_nothing() {
	instance "$ran"
	other_user_data 'id -u >/srv/uid; env | sort | cut -d= -f1 | tr "\n" " " >/srv/env; umask >/srv/umask
stat -c %a /run/mayfly-agent "$0" >/srv/modes; cat </dev/stdin >/srv/stdin'
	agent_options --grace 2 --poll 1
	launch 30
	same disk/srv/uid 0
	same disk/srv/umask 0022
	same disk/srv/modes '700
500'
	same disk/srv/stdin ''
	! grep -qE 'TOKEN|NOTIFY|LISTEN' "$d/disk/srv/env" || fail "the environment is not a clean one"
}

### Metadata service

case_no_user_data() {
	instance "$ran"
	rm "$d/imds/latest/user-data"
	launch 30
	off_by 'user-data (the metadata service has no user-data)'
}

case_imds_down() {
	instance "$ran"
	touch "$d/imds/down"
	agent_options --limit 3
	launch 30
	off_by 'user-data (no meta-data/instance-id within 3 s, no answer)'
}

case_imds_refuses() {
	instance "$ran"
	echo 403 >"$d/imds/status"
	agent_options --limit 3
	launch 30
	off_by 'user-data (no meta-data/instance-id within 3 s, last HTTP 403)'
}

# The network comes late, and the service is not itself at first.
case_imds_late() {
	instance "$ran"
	echo 503 >"$d/imds/status"
	touch "$d/imds/down"
	late() {
		sleep 3
		ip netns exec "$netns" python3 "$top/tests/image/imds.py" "$d/imds" &
		sleep 2
		rm "$d/imds/status"
	}
	launch 40 late
	same disk/srv/ran ran
}

case_imds_slow() {
	instance "$ran"
	echo 1.5 >"$d/imds/delay"
	agent_options --limit 20
	launch 40
	same disk/srv/ran ran
}

# What no metadata service says; then it comes to its senses.
case_imds_hostile() {
	instance "$ran"
	printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n' >"$d/imds/raw"
	sober() {
		sleep 3
		{ printf 'HTTP/1.1 200 OK\r\n' && head -c 200000 /dev/zero | tr '\0' x; } >"$d/imds/raw"
		sleep 1
		printf 'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nshort' >"$d/imds/raw"
		sleep 1
		rm "$d/imds/raw"
	}
	launch 40 sober
	same disk/srv/ran ran
}

case_strange_id() {
	instance "$ran"
	printf 'i-1\n../../etc' >"$d/imds/latest/meta-data/instance-id"
	launch 30
	off_by 'user-data (a strange instance-id)'
}

### Second boots, and what may happen to the agent

case_second_boot() {
	instance "$ran"
	launch 30
	same disk/srv/ran ran
	# boot.sh's own guard does the same, so without it.
	rm -f "$d/disk"/etc/systemd/system/mayfly-guard.service "$d/disk"/etc/systemd/system/*.wants/mayfly-guard.service
	launch 30
	same disk/srv/ran ran
	expect log 'mayfly: failed: second boot (a machine runs one job)'
}

# The same with all that boot.sh leaves there: its guard knows machines by what they show in DMI.
case_image_of_a_machine_that_ran() {
	instance "$ran"
	sed -i 's,/sys/class/dmi/id,/srv/dmi,g' "$d/imds/latest/user-data"
	mkdir "$d/disk/srv/dmi"
	echo i-0123456789abcdef0 >"$d/disk/srv/dmi/board_asset_tag"
	launch 30
	same disk/srv/ran ran
	printf i-0123456789abcdef1 >"$d/imds/latest/meta-data/instance-id"
	echo i-0123456789abcdef1 >"$d/disk/srv/dmi/board_asset_tag"
	launch 30
	[ "$(wc -l <"$d/disk/srv/ran")" = 2 ] || fail "the runner ran $(wc -l <"$d/disk/srv/ran") times, not twice"
}

# An instance of an image that somebody made of a machine that had run.
case_other_instance() {
	instance "$ran"
	mkdir -p "$d/disk/var/lib/mayfly"
	printf i-00000000000000000 >"$d/disk/var/lib/mayfly/instance-id"
	launch 30
	same disk/srv/ran ran
	same disk/var/lib/mayfly/instance-id i-0123456789abcdef0
}

case_no_agent() {
	instance "$ran"
	rm "$d/disk/usr/local/sbin/mayfly-agent"
	launch 30
	[ ! -e "$d/disk/srv/ran" ] || fail "something ran"
}

case_agent_killed() {
	instance 'sleep 100'
	other_user_data 'kill -KILL $PPID; sleep 60'
	launch 30
}

case_bad_options() {
	instance "$ran"
	agent_options --nonesuch
	launch 30
	[ ! -e "$d/disk/srv/ran" ] || fail "something ran"
}

### Spot

notice='{"action": "terminate", "time": "2026-11-21T08:22:00Z"}'

case_spot_without_a_job() {
	instance './Runner.Listener; echo $? >/srv/listener'
	script "$d/disk/opt/actions-runner/Runner.Listener" 'trap "exit 5" INT; sleep 60 & wait'
	echo "$notice" >"$d/imds/latest/meta-data/spot/instance-action"
	agent_options --poll 1
	launch 30
	expect log 'mayfly: spot interruption at 2026-11-21T08:22:00Z (terminate), no job runs$'
	same disk/srv/listener 5
	phases 'agent,user-data,booting,runner-ready,runner-starting,runner-exited 0,poweroff'
}

case_spot_with_a_job() {
	instance "trap 'echo >/srv/interrupted' INT; $job; sleep 6; echo finished >/srv/job"
	agent_options --poll 1
	interrupt() {
		sleep 4
		echo "$notice" >"$d/imds/latest/meta-data/spot/instance-action"
	}
	launch 40 interrupt
	expect log 'mayfly: spot interruption at 2026-11-21T08:22:00Z (terminate), a job runs on$'
	same disk/srv/job finished
	[ ! -e "$d/disk/srv/interrupted" ] || fail "the job was interrupted"
	[ "$(grep -c 'spot interruption' "$d/log")" = 1 ] || fail "it says so again and again"
}

case_rebalance() {
	instance "$job; sleep 4"
	echo '{"noticeTime": "2026-11-21T08:00:00Z"}' >"$d/imds/latest/meta-data/events/recommendations/rebalance"
	touch "$d/imds/expired"
	agent_options --poll 1
	launch 30
	expect log 'mayfly: spot rebalance recommendation of 2026-11-21T08:00:00Z$'
	phases 'agent,user-data,booting,runner-ready,runner-starting,job-started,runner-exited 0,poweroff'
}

# The notice cannot take the console over.
case_spot_nonsense() {
	instance 'sleep 3'
	printf '{"action":"terminate","time":"\033[2J"}' >"$d/imds/latest/meta-data/spot/instance-action"
	agent_options --poll 1
	launch 30
	! grep -q 'spot interruption' "$d/log" || fail "it is believed"
	expect log 'runner-exited 0'
}

### A builder on an image of ours, and the smoke boot

case_bake_on_the_image() {
	instance "$ran"
	mkdir -p "$d/recipe"
	recipe "$d/recipe"
	echo 'echo own >>/opt/own; [ -e /root/second ] || { touch /root/second; exit 194; }' >"$d/recipe/steps/own-1.sh"
	payload 'own-1 seal' | gzip -9 >"$d/imds/latest/user-data"
	launch 60
	expect log 'mayfly: bake ok f00ba4$'
	# Once before its reboot and once after.
	same disk/opt/own 'own
own'
	[ ! -e "$d/disk/var/lib/mayfly" ] || fail "the id of the builder is in the image"
	[ ! -s "$d/disk/etc/machine-id" ] || fail "the machine has an id"
	# And it is an image.
	rm -f "$d/disk/root/second"
	printf i-0fedcba9876543210 >"$d/imds/latest/meta-data/instance-id"
	user_data >"$d/imds/latest/user-data"
	launch 30
	same disk/srv/ran ran
}

# smoke STEPS: what the smoke boot of the image says
smoke() {
	instance "$ran"
	{
		assign NONCE=5m0ke IMAGE=test "STEPS=$1"
		strip "$top/ami/smoke.sh"
	} >"$d/imds/latest/user-data"
	launch 60
}

case_smoke() {
	smoke 'runner agent seal'
	expect log 'mayfly: smoke runner: 2.337.0$'
	expect log 'mayfly: smoke ok 5m0ke$'
}

# Here no foreign programs are registered, so that it fails at that, after all the rest.
case_smoke_fails() {
	smoke 'base runner agent seal'
	for what in git compiler python tox tools; do expect log "mayfly: smoke $what: "; done
	expect log 'mayfly: smoke failed: emulation: '
	! grep -q 'smoke ok' "$d/log" || fail "and ok"
}

case_smoke_gpu() {
	smoke 'runner cuda'
	expect log 'mayfly: smoke failed: driver: '
}

# shellcheck disable=SC2046 # names
set -- $(cases "$@")
make_image
slots=10
run_cases "$@"
