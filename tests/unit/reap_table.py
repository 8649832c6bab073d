"""The reaper's rules, written down a second time: by what is known of the runner, not as a table.

Prints every combination of facts with the verdict that is right, a line each; check_reap compares src/runner/reap.c with
it. Run as `reap_table.py --check` it asserts what must hold of every combination, and prints how often each rule decides.
"""

import collections
import itertools
import sys

STATES = "unknown pending running shutting-down terminated stopping stopped".split()
RECORDS = "unknown absent offline offline-busy online busy".split()
JOBS = "none queued running completed unknown".split()
LIMITS = [(600, 1800, 21600), (30, 30, 60), (3000, 100, 10000)]  # boot, idle, life; below the launch grace; upside down
AGES = [-5, 0, 119, 120, 599, 600, 1800, 1801, 2999, 3000, 10000, 10001, 21600, 21601]
LAUNCH_GRACE = 120


def decide(ours, builder, keep, state, record, job, age, limits):
    """(verdict, rule, window): what is right if no earlier pass said a word."""
    boot, idle, life = limits
    if not ours:
        return "ignore", "foreign", 0
    if keep:
        return "keep", "kept", 0
    if state in ("shutting-down", "terminated"):
        return "keep", "gone", 0
    if age < LAUNCH_GRACE:
        return "keep", "launch-grace", 0
    if age > life:  # the one unconditional end
        return "terminate", "deadline", 0
    if builder:
        return "keep", "builder", 0
    if record == "unknown":  # GitHub could not be asked: fail safe
        return "keep", "unknown", 0
    if record == "busy":
        return "keep", "busy", 0
    if state == "stopped":  # a machine for one job never stops; but an online runner contradicts
        return ("keep", "stopped-online", 0) if record == "online" else ("mark", "stopped", 300)
    if record == "offline-busy":  # its job runs for GitHub, whatever became of it
        if state == "stopping":
            return "mark", "stopping", 600
        return ("keep", "boot-grace", 0) if age < boot else ("mark", "died", 900)
    if job == "running":  # the busy flag may be old; without a record it contradicts, and contradictions stay
        return "keep", "job-runs", 0
    if job == "unknown":
        return "keep", "job-unknown", 0
    if state == "stopping":
        return "mark", "stopping", 600
    if record == "absent":
        if job == "completed":
            return "mark", "job-over", 180
        return ("keep", "boot-grace", 0) if age < boot else ("mark", "no-runner", 180)
    if age < boot:
        return "keep", "boot-grace", 0
    if job == "completed":
        return "mark", "job-over", 180
    if record == "offline":
        return "mark", "offline", 120
    if job == "queued":
        return "keep", "job-queued", 0
    return ("keep", "runner", 0) if age <= idle else ("mark", "idle", max(boot, 300))


def combinations():
    yes = (False, True)
    for facts in itertools.product(yes, yes, yes, STATES, RECORDS, JOBS, AGES, LIMITS):
        verdict, rule, window = decide(*facts)
        for mark, since in [("-", 0), ("elsewhere", 10**6), (rule, 0), (rule, window - 1), (rule, window), (rule, 10**6)]:
            for confirm in yes:
                agreed = mark == rule and since >= window
                now = "terminate" if verdict == "mark" and (agreed or not confirm) else verdict
                yield facts, mark, since, confirm, now, rule


def check():
    """The promises, said of facts and verdict alone."""
    used = collections.Counter()
    for facts, mark, since, confirm, verdict, rule in combinations():
        ours, builder, keep, state, record, job, age, (boot, idle, life) = facts
        used[rule] += 1
        ends = verdict == "terminate"
        may_end = ours and not keep and state not in ("shutting-down", "terminated") and age >= LAUNCH_GRACE
        where = (facts, mark, since, confirm, verdict, rule)
        assert may_end or verdict in ("ignore", "keep"), where
        assert (verdict == "ignore") == (not ours), where
        if may_end and age > life:
            assert ends, where  # everything past its deadline
            continue
        if verdict in ("keep", "ignore"):
            continue
        assert not builder, where
        assert record not in ("unknown", "busy"), where  # never on unknown facts, never busy
        assert state == "stopped" or record == "offline-busy" or job not in ("running", "unknown"), where
        assert age >= boot or state in ("stopping", "stopped") or (record == "absent" and job == "completed"), where
        if ends and confirm:
            assert mark == rule and since >= 120, where
    print(sum(used.values()), "combinations;", len(used), "rules:", dict(used))


def main():
    if sys.argv[1:] == ["--check"]:
        check()
        return
    write = sys.stdout.write
    for facts, mark, since, confirm, verdict, rule in combinations():
        ours, builder, keep, state, record, job, age, limits = facts
        write(f"{ours:d} {builder:d} {keep:d} {state} {record} {job} {age} {LIMITS.index(limits)} {mark} {since} {confirm:d}"
              f" {verdict} {rule}\n")


if __name__ == "__main__":
    main()
