"""usage: chaos.py [PATTERN]: whatever happens to `mayfly start` or `mayfly stop`, nothing is left.

Every case has a simulator of its own. One thing happens to one request of one command: the program is killed, it gets a
signal, the answer is lost, wrong or late, the clock jumps. Then time passes, the reaper runs, and the simulator is asked
what is left. Which requests a command makes is learnt from the simulator's log of an undisturbed run.

With PATTERN, a part of a case's name, only those cases run and their logs are kept."""

import collections
import concurrent.futures
import dataclasses
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback

from cloud import BUILD, FLEET, GROUP, IMAGE, NEVER_ONLINE_MS, OTHER_FLEET, REGION, SUBNET, SUBNET2, TERMINATE_MS
from cloud import Program, Simulator, base36, end_all, mark

GHOSTS = False  # does reap delete the records of runners that have no instance?
WORKERS = 24  # a case waits more than it computes
LIMIT = 60  # seconds for a command with one fault
SIGNAL_LIMIT = 8  # GitHub kills 10 s after the first signal
LIFE, BOOT_GRACE, CONFIRM = 7 * 3600, 11 * 60, 200  # seconds to let pass; an instance's life is 6 h
RUN_ID = "4711"
HOUR = "in an hour"  # in a header: the epoch of then

# --- commands --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Profile:
    """A command as the cases disturb it."""

    name: str
    count: int = 1
    args: tuple = ()
    stop_by: str = ""  # stop: instance, label or run
    busy: bool = False  # its runner has a job
    only: str = ""  # the actions whose requests are disturbed, in a case of any kind; all without
    never_online: bool = False
    script: tuple = ()  # faults that always happen
    fails: bool = False  # even undisturbed

    @property
    def command(self):
        return "stop" if self.stop_by else "start"


REFUSED = {"service": "ec2", "action": "RunInstances", "nth": 3, "fault": "error", "status": 403,
           "code": "UnauthorizedOperation", "message": "You are not authorized to perform this operation."}
PROFILES = [
    Profile("start x1"),
    Profile("start x3", count=3, only="generate-jitconfig RunInstances list-runners DescribeInstances"),
    Profile("start spot", args=("--market", "spot,on-demand", "--subnets", f"{SUBNET},{SUBNET2}"), only="RunInstances"),
    Profile("start --label", args=("--label", "chosen"), only="DescribeInstances"),
    Profile("undo x3", count=3, script=(REFUSED,), fails=True, only="delete-runner TerminateInstances"),
    Profile("time out", args=("--timeout", "10s"), never_online=True, fails=True,
            only="GetConsoleOutput delete-runner TerminateInstances"),
    Profile("stop --instance", stop_by="instance"),
    Profile("stop --instance x3", count=3, stop_by="instance", only="delete-runner TerminateInstances"),
    Profile("stop --label", stop_by="label"),
    Profile("stop --label x3", count=3, stop_by="label", only="delete-runner TerminateInstances"),
    Profile("stop of the run", stop_by="run"),
    Profile("stop of the run x3", count=3, stop_by="run", only="delete-runner TerminateInstances"),
    Profile("stop of the run, busy", stop_by="run", busy=True),
]
ORDER = ("GetCallerIdentity DescribeImages downloads generate-jitconfig RunInstances get-runner list-runners DescribeInstances "
         "GetConsoleOutput delete-runner TerminateInstances").split()  # parallel requests come in any
POLLS = {"get-runner": 3, "list-runners": 3, "DescribeInstances": 1}  # so many of a start's are disturbed


@dataclasses.dataclass(frozen=True)
class Request:
    service: str
    action: str
    nth: int
    alone: bool  # no other of this action

    def __str__(self):
        return self.action if self.alone else f"{self.action} {self.nth}"


def is_poll(profile, request):
    """Is it one that a start repeats until its runners are online?"""
    return profile.command == "start" and request.action in POLLS and "--label" not in profile.args


def start_args(profile):
    label = () if "--label" in profile.args or profile.command == "start" else ("--label", "chosen")
    return ["start", "--image", IMAGE, "--types", "m7i.large", "--subnets", SUBNET, "--security-groups", GROUP,
            "--count", str(profile.count), "--timeout", "60s", *label, *profile.args]


class Wrong(Exception):
    """What a case finds."""


# --- one case --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Case:
    kind: str
    profile: Profile
    request: Request = None
    what: str = ""
    deed: str = "fault"  # fault, kill, signal, clock
    when: str = "before"
    script: tuple = ()
    signal: int = 0
    stuck: bool = False  # signal: the request is never answered
    survives: bool = False  # the command must succeed all the same
    then: str = "life"  # life, grace, stop
    limit: int = LIMIT

    @property
    def name(self):
        at = f" {self.when} {self.request}" if self.deed != "fault" and self.request else f" {self.request or ''}".rstrip()
        return f"{self.kind}: {self.profile.name}:{at}{': ' if self.what else ''}{self.what}"


class Play:
    """A case as it goes on."""

    def __init__(self, case, folder):
        self.case, self.profile, self.folder = case, case.profile, folder
        self.ghosts, self.wrong = 0, []
        self.environment = {"GITHUB_RUN_ID": RUN_ID, "GITHUB_RUN_ATTEMPT": "1"}

    def expect(self, truth, why):
        if not truth:
            self.wrong.append(why)

    # --- before ---

    def prepare(self):
        """Plants the bystanders, and, for a stop, starts what it ends."""
        sim, profile = self.sim, self.profile
        sim.plant("same-fleet", FLEET, {"mayfly:run": "4712/1", "mayfly:limits": "boot=600,idle=1800,life=864000"}, True)
        sim.plant("other-fleet", OTHER_FLEET, {"mayfly:run": f"{RUN_ID}/1", "mayfly:label": "chosen"}, False)
        sim.plant_record("somebody", "self-hosted")
        if profile.busy:
            sim.queue("chosen", int(RUN_ID))
        if profile.command == "start":
            return start_args(profile)
        with Program(sim, "prepare", start_args(profile), self.environment) as program:
            if not program.wait(LIMIT) or program.status != 0:
                raise Wrong(f"the start before it failed: {program.text('err')}")
            ids = re.search(r"^ec2-instance-ids=(.*)$", program.text("out"), re.M)
        how = {"instance": ["--instance", ",".join(json.loads(ids[1]))], "label": ["--label", "chosen"], "run": []}
        return ["stop", *how[profile.stop_by]]

    def script(self):
        """The faults, with epochs in the place of HOUR."""
        case, faults = self.case, [*self.profile.script, *self.case.script]
        if case.deed != "fault" and case.request:
            faults.append({"fault": "hold", "when": case.when})
        for fault in faults:
            at = {"service": case.request.service, "action": case.request.action, "nth": case.request.nth} if case.request else {}
            fault = {**at, **fault}
            fault["headers"] = {k: str(int(time.time()) + 3600) if v == HOUR else v for k, v in fault.get("headers", {}).items()}
            self.sim.control("POST", "faults", fault)

    # --- during ---

    def disturb(self, program):
        """Runs the program to its end, with what the case has in mind for it."""
        case, sim = self.case, self.sim
        if case.deed == "fault" or not case.request:
            happened = lambda row: row.get("fault") and "status" in row
            if not program.wait(case.limit, happened):
                if program.status is None and self.online_ms == NEVER_ONLINE_MS and not self.profile.never_online:
                    sim.all_online()  # the fault has hit a poll: the runners may come
                if not program.wait(case.limit):
                    raise Wrong(f"it has not ended after {case.limit} s")
            happened = any(row.get("fault") and "status" in row and row["fault"] != "hold" for row in sim.log)
            return self.expect(happened or not case.script, "the fault did not happen")
        if program.wait(case.limit, lambda row: "when" in row):
            raise Wrong(f"it ended (status {program.status}) before that request: {program.text('err')}")
        if program.status is None and not any("when" in row for row in sim.log):
            raise Wrong("it never made that request")
        if case.deed == "kill":
            program.kill()
            sim.release(True)
        elif case.deed == "clock":
            sim.advance(3600)
            sim.release(False)
            if self.online_ms == NEVER_ONLINE_MS:
                sim.all_online()
            if not program.wait(case.limit):
                raise Wrong(f"it has not ended after {case.limit} s")
        else:
            program.process.send_signal(case.signal)
            began = time.monotonic()
            if not case.stuck:
                program.wait(0.05)
                sim.release(False)
            self.expect(program.wait(SIGNAL_LIMIT + 4), "it did not end after the signal")
            took = time.monotonic() - began
            self.expect(took <= SIGNAL_LIMIT, f"it took {took:.1f} s to end after the signal")
            sim.release(False)

    def judge_end(self, program, state):
        """What the program printed, and whether it is true."""
        case, profile = self.case, self.profile
        err, out = program.text("err"), program.text("out")
        lines = err.splitlines()
        if case.deed == "kill":
            self.judge_secrets(program, state)
            return
        failed = program.status != 0
        self.expect(program.status in (0, 1, 75), f"exit status {program.status}: {err[-300:]}")
        errors = [n for n, line in enumerate(lines) if line.startswith(f"mayfly {program.command}: ")]
        self.expect(len(errors) == failed, f"{len(errors)} lines of errors with exit status {program.status}: {err[-300:]}")
        if failed and errors:
            rest = lines[errors[0] + 1:]
            self.expect(not rest or (len(rest) == 1 and rest[0].startswith("hint: ")), f"after the error: {rest}")
        self.expect(not re.search("Sanitizer|runtime error", err), f"a sanitizer speaks: {err[-500:]}")
        self.expect(not case.survives or not failed, f"it should have gone on: {err[-300:]}")
        self.expect(failed or not profile.fails or profile.never_online, "it succeeded, and cannot have")
        self.judge_secrets(program, state)
        if program.command == "start":
            self.judge_start(program, state, failed)
        else:
            self.judge_stop(program, state, failed)
        del out

    def judge_secrets(self, program, state):
        everything = "".join(program.text(stream) for stream in program.files)
        secrets = [self.sim.settings[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MAYFLY_GITHUB_TOKEN")]
        for instance in state.ours:
            data = self.sim.control("GET", f"instances/{instance['id']}/user-data").decode()
            secrets += [jit[:60] for jit in re.findall("^MAYFLY_JIT='(.+)'", data, re.M)]
        self.expect(not any(secret in everything for secret in secrets), "a secret is in its output")

    def judge_start(self, program, state, failed):
        err = program.text("err")
        if not failed:
            live = [i for i in state.ours if i["state"] in ("pending", "running")]
            online = [r for r in state.records if r["status"] == "online"]
            self.expect(len(live) == self.profile.count == len(online) == len(state.records),
                        f"it succeeded with {len(live)} instances, {len(state.records)} records, {len(online)} online")
            return
        named = [i for i in state.live if i["id"] in err or i["client_token"] in err]
        covered = {i["tags"]["mayfly:runner"] for i in named}
        left = [i["id"] for i in state.live if i not in named and i["state"] != "shutting-down"]
        left += [r["name"] for r in state.records if r["name"] not in err and r["name"] not in covered]
        self.expect(not left, f"it leaves {' '.join(left)} and does not say so: {err[-300:]}")

    def judge_stop(self, program, state, failed):
        err = program.text("err")
        live = [i for i in state.live if i["state"] != "shutting-down"]
        if self.profile.busy:
            self.expect(len(live) == 1 and any(r["busy"] for r in state.records), "it ended what runs a job")
        elif not failed and "nothing to stop" in err and "not-found" in str(self.case.script):
            return  # it believed a list that lagged: the reaper's
        elif not failed:
            warned = err.count("warning: the record of the runner on")
            self.expect(not live, f"it succeeded, and {' '.join(i['id'] for i in live)} lives")
            self.expect(len(state.records) <= warned, f"it succeeded, and {len(state.records)} records are left: {err[-300:]}")
        elif self.case.deed == "signal":
            left = [i["id"] for i in live if i["id"] not in err]
            self.expect(not left, f"it leaves {' '.join(left)} and does not say so: {err[-300:]}")

    def judge_launches(self, state):
        """At most one instance a runner name, at most `count` at a time under a label."""
        runners = collections.Counter(i["tags"]["mayfly:runner"] for i in state.ours)
        self.expect(all(n == 1 for n in runners.values()), f"launched twice: {runners}")
        moments = []
        for i in state.ours:
            moments.append((i["launched_ms"], 1, i["tags"]["mayfly:label"]))
            if i["state"] in ("shutting-down", "terminated"):
                moments.append((i["changed_ms"] - TERMINATE_MS, -1, i["tags"]["mayfly:label"]))
        live = collections.Counter()
        for _, change, label in sorted(moments):
            live[label] += change
            self.expect(live[label] <= self.profile.count, f"{live[label]} instances live at once under {label}")

    def judge_bystanders(self, state):
        for instance, name in self.sim.planted_instances.items():
            self.expect(state.by_id.get(instance, {}).get("state") == "running", f"the bystander {name} is gone")
        records = {r["id"]: r for r in state.runners}
        for record, name in self.sim.planted_records.items():
            self.expect(record in records, f"the record of the bystander {name} is gone")
            self.expect(name not in self.sim.busy or records.get(record, {}).get("busy"), f"the bystander {name} lost its job")
            touched = [row for row in self.sim.log if row["method"] == "DELETE" and row["path"].endswith(f"/{record}")]
            self.expect(not touched, f"the record of the bystander {name} was to be deleted")

    # --- afterwards ---

    def reap(self, name):
        with Program(self.sim, name, ["reap"]) as program:
            if not program.wait(LIMIT):
                raise Wrong("reap does not end")
            self.expect(program.status == 0, f"reap: exit status {program.status}: {program.text('err')}")
            return program.text("out")

    def stop_of_the_run(self):
        """What a workflow's `if: always()` step does after a start that died."""
        with Program(self.sim, "stop", ["stop"], self.environment) as program:
            if not program.wait(LIMIT):
                raise Wrong("stop does not end")
            self.expect(program.status == 0, f"stop: exit status {program.status}: {program.text('err')}")
        self.sim.advance(1)
        state = self.sim.state("stopped")
        self.expect(not state.live, f"stop leaves {' '.join(i['id'] for i in state.live)}")
        self.judge_bystanders(state)

    def pass_life(self):
        """Past every deadline, then one pass."""
        sim = self.sim
        sim.advance(LIFE)
        sim.plant("launched-since", FLEET, {"mayfly:run": f"{RUN_ID}/1", "mayfly:limits": "boot=600,idle=1800,life=21600"}, True)
        sim.plant_record(f"{mark(FLEET)}{REGION}-{base36(int(time.time() + sim.offset))}-starting", "starting")
        sim.advance(15 * 60)
        before = sim.state("aged")
        self.reap("reap")
        sim.advance(1)
        if GHOSTS and any(r["busy"] for r in before.records):
            sim.advance(15 * 60)
            self.reap("reap-again")
        self.judge_rest(before, sim.state("reaped"))

    def pass_grace(self):
        """The machines hang and GitHub forgets their runners: a pass marks, a later one ends."""
        sim = self.sim
        for instance in sim.state().live:
            sim.control("POST", f"instances/{instance['id']}/kill")
        for record in sim.state().records:
            sim.control("POST", f"runners/{record['id']}", {"status": "offline", "busy": False})
            sim.github("DELETE", f"/{record['id']}")
        sim.advance(BOOT_GRACE)
        left = {i["id"] for i in sim.state("aged").live}
        first = self.reap("reap-1")
        self.expect(left == set(re.findall(r"^marked (\S+):", first, re.M)), f"the first pass should mark {left}: {first}")
        self.expect(left == {i["id"] for i in sim.state("marked").live}, "the first pass ended something")
        sim.advance(CONFIRM)
        before = sim.state()
        self.reap("reap-2")
        sim.advance(1)
        self.judge_rest(before, sim.state("reaped"))

    def judge_rest(self, before, state):
        live = [i["id"] for i in state.live]
        self.expect(not live, f"instances are left: {' '.join(live)}")
        volumes = [v["id"] for v in state.volumes if v["instance"] not in self.sim.planted_instances]
        self.expect(not volumes, f"volumes are left: {' '.join(volumes)}")
        ended = {i["id"] for i in state.ours} - set(live)
        spot = [q["id"] for q in state.spot_requests if q["instance"] in state.by_id and q["instance"] not in ended]
        self.expect(not spot, f"spot requests are open: {' '.join(spot)}")
        busy = {r["name"] for r in before.records if r["busy"]}  # GitHub keeps the record of a machine that died at work
        had_instance = {i["tags"]["mayfly:runner"] for i in before.live} - busy
        for record in state.records:
            if GHOSTS or record["name"] in had_instance:
                self.expect(False, f"the record {record['name']} is left")
            else:
                self.ghosts += 1
        self.judge_bystanders(state)

    # --- all of it ---

    def play(self):
        case = self.case
        polls = case.request and is_poll(self.profile, case.request)
        self.online_ms = NEVER_ONLINE_MS if polls or self.profile.never_online else 10
        with Simulator(self.folder, self.online_ms) as sim:
            self.sim = sim
            args = self.prepare()
            if case.deed == "clock" and not case.request:
                sim.advance(3600)
            self.script()
            sim.forget()
            with Program(sim, "program", args, self.environment) as program:
                self.disturb(program)
                sim.control("DELETE", "faults")
                time.sleep(2 * TERMINATE_MS / 1000)
                state = sim.state("ended")
                self.judge_end(program, state)
            self.judge_launches(state)
            self.judge_bystanders(state)
            refused = [row for row in sim.log if row.get("code") == "RequestExpired" and not row.get("fault")]
            self.expect(len(refused) <= (3 if case.deed == "clock" else 0), f"{len(refused)} requests were refused for the clock")
            if case.then == "stop":
                self.stop_of_the_run()
            if case.then == "grace":
                self.pass_grace()
            else:
                self.pass_life()
            noise = sim.close()
            self.expect(not noise, f"the simulator: {' '.join(noise)[:500]}")


def play(case, root):
    """Runs a case. Returns its problems and how many ghosts it left."""
    folder = os.path.join(root, re.sub(r"[^A-Za-z0-9]+", "-", case.name).strip("-"))
    os.makedirs(folder)
    p = Play(case, folder)
    try:
        p.play()
    except Wrong as e:
        p.wrong.append(str(e))
    except Exception:
        p.wrong.append(traceback.format_exc())
    finally:
        if hasattr(p, "sim"):
            with open(os.path.join(folder, "requests.log"), "w", encoding="utf-8") as f:
                f.writelines(json.dumps(row) + "\n" for row in p.sim.log)
    return p.wrong, p.ghosts


# --- the cases -------------------------------------------------------------------------------------------------------


def learn(profile, root):
    """The requests of an undisturbed run, in their order."""
    folder = os.path.join(root, "learn-" + re.sub(r"[^A-Za-z0-9]+", "-", profile.name))
    os.makedirs(folder)
    p = Play(Case("learn", profile), folder)
    seen = collections.Counter()

    def polled(row):
        seen[row["action"]] += 1
        return seen["get-runner"] + seen["list-runners"] >= 3 and seen["DescribeInstances"] >= 1

    never = profile.never_online or profile.command == "start" and not profile.fails
    with Simulator(folder, NEVER_ONLINE_MS if never else 10) as p.sim:
        args = p.prepare()
        p.script()
        p.sim.forget()
        with Program(p.sim, "program", args, p.environment) as program:
            if not program.wait(LIMIT, polled if never and not profile.never_online else None):
                p.sim.all_online()
            program.wait(LIMIT)
            if (program.status != 0) != profile.fails:
                raise Wrong(f"undisturbed, {profile.name} ends with status {program.status}: {program.text('err')}")
        rows = p.sim.log
    totals, found = collections.Counter(), []
    for row in rows:
        totals[row["action"]] += 1
        if profile.command == "start" and totals[row["action"]] > POLLS.get(row["action"], 99):
            continue
        if row["action"] in (profile.only.split() or totals):
            found.append((row["service"], row["action"], totals[row["action"]]))
    found.sort(key=lambda f: (ORDER.index(f[1]), f[2]))
    totals = collections.Counter(action for _, action, _ in found)
    return [Request(*f, totals[f[1]] == 1) for f in found]


def fault(kind, when=None, **more):
    return {"fault": kind, **({"when": when} if when else {}), **more}


def refusal(status, code=None, message="scripted", headers=None, when=None):
    return fault("error", when, status=status, message=message, **({"code": code} if code else {}), headers=headers or {})


# What can happen to a request: its name, the fault, and whether a command outlives it.
WIRE = [
    ("the answer is lost", fault("lost"), True),
    ("reset", fault("reset"), True),
    ("reset after the effect", fault("reset", "after"), True),
    ("hangs", fault("hang", ms=1200), True),
    ("hangs after the effect", fault("hang", "after", ms=1200), True),
    ("the body is cut", fault("cut"), True),
    ("garbage", fault("garbage"), False),
    ("502", fault("status", status=502), True),
    ("503", fault("status", status=503), True),
    ("503 after the effect", fault("status", "after", status=503), True),
]
AWS = [
    ("InternalError", refusal(500, "InternalError"), True),
    ("InternalError after the effect", refusal(500, "InternalError", when="after"), True),
    ("Unavailable", refusal(503, "Unavailable"), True),
    ("RequestLimitExceeded", fault("throttle"), True),
    ("InsufficientInstanceCapacity", fault("capacity"), False),
    ("not found yet", fault("not-found"), False),
    ("RequestExpired", refusal(400, "RequestExpired"), False),
    ("AuthFailure", refusal(401, "AuthFailure"), False),
    ("UnauthorizedOperation", refusal(403, "UnauthorizedOperation"), False),
]
GITHUB = [
    ("500", refusal(500), True),
    ("500 after the effect", refusal(500, when="after"), True),
    ("401", refusal(401, message="Bad credentials"), False),
    ("403", refusal(403, message="Resource not accessible by integration"), False),
    ("403, Retry-After", refusal(403, headers={"Retry-After": "1"}), True),
    ("403, out of quota", refusal(403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}), True),
    ("403, out of quota for an hour", refusal(403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": HOUR}), False),
    ("404", fault("not-found"), False),
    ("409", refusal(409, message="Already exists"), False),
    ("422", refusal(422, message="Validation Failed"), False),
    ("422, busy", refusal(422, message="Bad request - Runner is currently running a job and cannot be deleted."), False),
    ("429", refusal(429, headers={"Retry-After": "1"}), True),
]
FOR_EVER = ("the answer is lost", "reset", "garbage", "503", "503 after the effect", "403", "UnauthorizedOperation")


def faults_of(request):
    return WIRE + (GITHUB if request.service == "github" else AWS)


def cases_of(profile, requests):
    """The cases of a command whose requests these are."""
    for request in requests:
        for when in ("before", "after"):
            yield Case("kill", profile, request, deed="kill", when=when)
            if profile.name in ("start x1", "start x3"):
                yield Case("kill, then stop", profile, request, deed="kill", when=when, then="stop")
                if request.action in ("RunInstances", "get-runner", "list-runners") and when == "after":
                    yield Case("kill, two passes", profile, request, deed="kill", when=when, then="grace")
    for request in requests:
        for when in ("before", "after"):
            for number, stuck in ((signal.SIGINT, False), (signal.SIGTERM, True)):
                yield Case("signal", profile, request, signal.Signals(number).name + (", no answer" if stuck else ""),
                           deed="signal", when=when, signal=number, stuck=stuck)
    for request in requests:
        for what, script, survives in faults_of(request):
            yield Case("fault", profile, request, what, script=(script,), survives=survives and not profile.fails)
        if request.service in ("ec2", "sts"):
            yield Case("clock", profile, request, "jumps by an hour", deed="clock", survives=not profile.fails)
    if profile.name in ("start x1", "stop --instance", "undo x3", "time out"):
        for request in (r for r in requests if r.nth == 1):
            for what, script, _ in faults_of(request):
                if what in FOR_EVER:
                    yield Case("for ever", profile, request, what, script=({**script, "nth": 1, "times": 0},), limit=90)
    if profile.name in ("start x1", "stop --instance"):
        yield Case("clock", profile, None, "is off by an hour", deed="clock", survives=True)
        for request in (r for r in requests if r.nth == 1):
            yield Case("hang", profile, request, "no answer, no end", script=(fault("hang"),), limit=130)


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = os.path.join(BUILD, "chaos") if pattern else tempfile.mkdtemp(prefix="mayfly-chaos-")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    failed, ghosts, kinds = 0, collections.Counter(), collections.Counter()
    try:
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            learnt = [(profile, pool.submit(learn, profile, root)) for profile in PROFILES]
            results = []
            for profile, future in learnt:
                results += [(c, pool.submit(play, c, root)) for c in cases_of(profile, future.result()) if pattern in c.name]
            for case, future in results:
                wrong, left = future.result()
                kinds[case.kind] += 1
                ghosts[left > 0] += left
                failed += bool(wrong)
                why = "; ".join(wrong).replace("\n", " ")
                print(f"not ok - {case.name}: {why}" if wrong else f"ok - {case.name}", flush=True)
    finally:
        end_all()
        if not pattern:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{sum(kinds.values())} cases in {time.monotonic() - began:.0f} s:", ", ".join(f"{k} {n}" for k, n in kinds.items()))
    print(f"records without an instance that the reaper left: {ghosts[True]}")
    if pattern:
        print(f"their logs are in {os.path.relpath(root)}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
