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
CONSOLES = "unknown booting waiting working done".split()
LIMITS = [(600, 1800, 21600), (30, 30, 60), (3000, 100, 10000)]  # boot, idle, life; below the launch grace; upside down
AGES = [-5, 119, 120, 599, 600, 1800, 1801, 2700, 2701, 3000, 10000, 10001, 21601]
LAUNCH_GRACE, IDLE_GRACE = 120, 300


def says_that_none_runs(record, console, age, boot, idle):
    """Does the machine itself say that no job runs on it? "", or why it does not."""
    if console == "done":
        return ""
    if console == "booting":  # a runner that was never started runs nothing; one that is online was started
        return "unproven" if record == "online" else ""
    if console == "waiting":  # it ends itself at its idle limit, unless a job came: later than that it hangs
        return "" if age > boot + idle + IDLE_GRACE else "waiting"
    return "at-work" if console == "working" else "unproven"


def decide(ours, builder, keep, state, record, job, console, no_time, age, limits):
    """(verdict, rule, window): what is right if no earlier pass said a word."""
    boot, idle, life = limits
    if not ours:
        return "ignore", "foreign", 0
    if keep:
        return "keep", "kept", 0
    if state in ("shutting-down", "terminated"):
        return "keep", "gone", 0
    if no_time:  # one clock alone may be wrong by years
        return "keep", "no-time", 0
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
        if age < boot:
            return "keep", "boot-grace", 0
        return ("mark", "died", 900) if job == "completed" or console == "done" else ("keep", "lost", 0)
    if job == "running":  # the busy flag may be old; without a record it contradicts, and contradictions stay
        return "keep", "job-runs", 0
    if job == "unknown":
        return "keep", "job-unknown", 0
    if state == "stopping":
        return "mark", "stopping", 600
    if job == "completed" and (record == "absent" or age >= boot):
        return "mark", "job-over", 180
    if age < boot:
        return "keep", "boot-grace", 0
    if record == "online" and job == "queued":
        return "keep", "job-queued", 0
    if record == "online" and age <= idle:
        return "keep", "runner", 0
    # GitHub says that nothing runs there. That is one witness.
    doubt = says_that_none_runs(record, console, age, boot, idle)
    if doubt:
        return "keep", doubt, 0
    return {"absent": ("mark", "no-runner", 180), "offline": ("mark", "offline", 120),
            "online": ("mark", "idle", max(boot, 300))}[record]


def combinations():
    yes = (False, True)
    for ours, builder, keep, no_time in [(True, False, False, False), (False, False, False, False), (True, True, False, False),
                                         (True, False, True, False), (True, True, True, False), (True, False, False, True),
                                         (False, True, True, True)]:
        for facts in itertools.product([ours], [builder], [keep], STATES, RECORDS, JOBS, CONSOLES, [no_time], AGES, LIMITS):
            yield from passes(facts)


def passes(facts):
    """The same facts, by what an earlier pass marked, and with and without the need of that."""
    verdict, rule, window = decide(*facts)
    # Without its registration a runner gets no job any more: the console that is read later proves it.
    then = "deregister" if rule in ("offline", "idle") else "terminate"
    marks = [("-", 0), ("elsewhere", 10**6), (rule, window - 1), (rule, window)]
    if verdict != "mark":  # nothing of this kind depends on marks
        marks = marks[:1] + marks[-1:]
    for mark, since in marks:
        for confirm in (False, True):
            agreed = mark == rule and since >= window
            now = verdict if verdict != "mark" else "terminate" if not confirm else then if agreed else "mark"
            yield facts, mark, since, confirm, now, rule


def check():
    """The promises, said of facts and verdict alone."""
    used = collections.Counter()
    for facts, mark, since, confirm, verdict, rule in combinations():
        ours, builder, keep, state, record, job, console, no_time, age, (boot, idle, life) = facts
        used[rule] += 1
        ends = verdict in ("terminate", "deregister")
        may_end = ours and not keep and state not in ("shutting-down", "terminated") and age >= LAUNCH_GRACE and not no_time
        where = (facts, mark, since, confirm, verdict, rule)
        assert may_end or verdict in ("ignore", "keep"), where
        assert (verdict == "ignore") == (not ours), where
        if may_end and age > life:
            assert verdict == "terminate", where  # everything past its deadline
            continue
        if verdict in ("keep", "ignore"):
            continue
        assert not builder, where
        assert record not in ("unknown", "busy"), where  # never on unknown facts, never busy
        assert state == "stopped" or record == "offline-busy" or job not in ("running", "unknown"), where
        # never on GitHub's word of the runner alone: EC2, the job or the machine says so too
        assert state in ("stopped", "stopping") or job == "completed" or console in ("booting", "waiting", "done"), where
        assert verdict != "terminate" or not confirm or rule not in ("offline", "idle"), where
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
        ours, builder, keep, state, record, job, console, no_time, age, limits = facts
        write(f"{ours:d} {builder:d} {keep:d} {state} {record} {job} {console} {no_time:d} {age} {LIMITS.index(limits)}"
              f" {mark} {since} {confirm:d} {verdict} {rule}\n")


if __name__ == "__main__":
    main()
