"""Mixes that are not random: what reports and reviews brought out, each in a few forms."""

from cases import LONG, fault
from mix import DAY_MS, GRACE, NEVER_ONLINE_MS, OTHER_RUN, RUN_ID, WINDOW

HOURS, DAY, YEAR = 7 * 3600, 86400, 365 * 86400


def start(label="chosen", count=1, **more):
    return {"command": "start", "count": count, "label": label, "faults": [], "signal": None, **more}


def stop(by, **more):
    return {"command": "stop", "by": by, "faults": [], "signal": None, **more}


def reap(advance=0, **more):
    return {"command": "reap", "advance": advance, "faults": [], "signal": None, **more}


def job(at, run=RUN_ID, ms=10 * DAY_MS):
    """On the label of the start, after that step; -1: it waits before the first."""
    return {"at": at, "run": run, "ms": ms}


def mix(*steps, **more):
    quiet = {"jobs": [], "lies": [], "lag": {"ec2_ms": 0, "github_ms": 0}, "clock": 0, "late": False, "interrupt": False}
    return {"seed": 0, "steps": list(steps), "online_ms": 10, **quiet, **more}


def on(service, action, kind, nth=1, times=0, **more):
    return {"service": service, "action": action, "nth": nth, "times": times, **fault(kind), **more}


def dates():
    """Answers of whom have a wrong Date; a pass for each by how much. A job runs on."""
    who = {"all of EC2": [("ec2", "*")], "the instances of EC2": [("ec2", "DescribeInstances")], "GitHub": [("github", "*")],
           "STS": [("sts", "*")], "all of AWS": [("ec2", "*"), ("sts", "*")]}
    amounts = (HOURS, DAY, YEAR, -HOURS, -DAY, -YEAR, 3600, 20 * 60)
    for name, services in who.items():
        passes = [reap(60, faults=[on(*s, "date", seconds=seconds) for s in services]) for seconds in amounts]
        yield f"wrong dates of {name}", mix(start(), *passes, jobs=[job(0, OTHER_RUN)])
        once = [reap(60, faults=[on(*services[0], "date", nth=n, times=1, seconds=YEAR)]) for n in (1, 2, 3)]
        if LONG or name == "all of EC2":
            yield f"one wrong date of {name}", mix(start(), *once, jobs=[job(0)])


def lies():
    """A job of the same run or another takes the runner; GitHub says what is not so, in the passes that follow, too."""
    for kind in ("idle", "offline", "forgotten"):
        for run, who in ((RUN_ID, "its run"), (OTHER_RUN, "another run")):
            lie = {"service": "github", "action": "*", "fault": kind, "times": 0, "for_ms": DAY_MS // 4, "runner": "mf-"}
            passes = [reap(2400), reap(WINDOW)]
            yield f"GitHub says {kind}, a job of {who} runs", mix(start(), *passes, jobs=[job(0, run)], lies=[lie], honest=1)


def lags():
    """Lists lag on both sides, and a job waits that takes the runner at once."""
    for count in (1, 3):
        for ec2, github in ((2000, 3000), (300, 8000)):
            lag = {"ec2_ms": ec2, "github_ms": github}
            jobs = [job(-1, OTHER_RUN)] * count
            name = f"lag of {ec2} and {github} ms, x{count}"
            yield f"{name}: start, stop of the run", mix(start(count=count), stop("run"), lag=lag, jobs=jobs)
            if LONG or count == 1:
                yield f"{name}: start, reap", mix(start(count=count), reap(GRACE), reap(WINDOW), lag=lag, jobs=jobs)
    lost = [on("github", "generate-jitconfig", "lost", times=1)]
    for what in ("get-runner", "list-runners"):
        for nth in (1, 2) if LONG else (1,):
            gone = on("github", what, "forgotten", nth=nth, times=1)
            yield (f"a lost configuration, then {what} {nth} without the runner, whose job runs",
                   mix(start(faults=[*lost, gone]), jobs=[job(-1)]))


def labels():
    """Several starts of one label at once."""
    for n in (2, 5):
        yield f"several starts of one label at once: {n}", mix(*[start(beside=k > 0) for k in range(n)], contest=True)
    yield "several starts of one label at once: 5, with a lag", mix(*[start(beside=k > 0) for k in range(5)], contest=True,
                                                          lag={"ec2_ms": 500, "github_ms": 500})


def empties():
    """A start failed before it printed anything; its stop has empty outputs, and a sibling's runner waits for its job."""
    refused = on("ec2", "RunInstances", "error", status=403, code="UnauthorizedOperation", message="no")
    for count in (1, 2):
        for online in (10, NEVER_ONLINE_MS) if LONG else (10,):
            yield (f"a failed start's stop with empty outputs, beside {count} of another start" + ", offline" * (online > 10),
                   mix(start("other", count), start(None, faults=[refused]), stop("empty"), online_ms=online))


def all_named():
    return [row for kind in (dates, lies, lags, labels, empties) for row in kind()]
