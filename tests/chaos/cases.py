"""What is done to which request of which command."""

import dataclasses
import os
import re
import signal

from cloud import GROUP, IMAGE, REGION, REGION2, SUBNET, SUBNET2

RUN_ID = "4711"
LABEL = "chosen"
LONG = bool(os.environ.get("MAYFLY_LONG"))
LIMIT = 60  # seconds for a command with one fault
HOUR = "in an hour"  # in a header: the epoch of then

# --- commands --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Profile:
    """A command that is disturbed."""

    name: str
    count: int = 1
    args: tuple = ()
    stop_by: str = ""  # stop: instance, label or run
    busy: bool = False  # stop: its runner has a job
    only: str = ""  # the actions whose requests are disturbed; else all
    script: tuple = ()  # faults that it always meets
    fails: bool = False  # even undisturbed
    never_online: bool = False  # its runners
    faults: bool = True  # also faults, not only kills and signals
    named: tuple = ()  # the faults that it meets; else all
    kills: bool = True
    least: int = None  # start: so many instances are a success; else all
    regions: tuple = ()  # of its plan, or of its copies; else the default one
    at: str = ""  # the region whose requests are disturbed; else all

    @property
    def command(self):
        first = self.name.split()[0].rstrip(",")
        return "stop" if self.stop_by else first if first in ("reap", "bake") else "start"

    def start_args(self):
        """Of the start, or of the one that comes before."""
        label = [] if self.command == "start" else ["--label", LABEL]
        return ["start", "--image", IMAGE, "--types", "m7i.large", "--subnets", SUBNET, "--security-groups", GROUP,
                "--count", str(self.count), "--timeout", "60s", *label, *self.args]


REFUSED = {"service": "ec2", "action": "RunInstances", "nth": 3, "fault": "error", "status": 403,
           "code": "UnauthorizedOperation", "message": "You are not authorized to perform this operation."}
NO_ROOM = {"service": "ec2", "action": "RunInstances", "nth": 1, "times": 0, "fault": "capacity"}
BAKE = ["bake", "amd64", "--subnets", SUBNET, "--security-groups", GROUP]
COPY = ("--no-smoke", "--copy-regions", REGION2, "--copy-timeout", "10s")
SHARE = ("--no-smoke", "--share", "210987654321")
ENDING = "delete-runner TerminateInstances"
PROFILES = [
    Profile("start x1"),
    Profile("start x3", count=3, only="generate-jitconfig RunInstances list-runners DescribeInstances"),
    Profile("start spot", args=("--market", "spot,on-demand", "--subnets", f"{SUBNET},{SUBNET2}"), only="RunInstances"),
    Profile("start --label", args=("--label", LABEL), only="DescribeInstances"),
    Profile("start elsewhere", regions=(REGION, REGION2), only="GetParameter generate-jitconfig RunInstances delete-runner",
            args=("--regions", f"{REGION},{REGION2}", "--image", "ssm:/mayfly/ami/amd64", "--subnets",
                  f"{SUBNET},{REGION2}/subnet-0a11ce21", "--security-groups", f"{GROUP},{REGION2}/sg-0a11ce21"),
            script=({**NO_ROOM, "match": {"SubnetId": SUBNET}},)),
    Profile("start x3, two are enough", count=3, least=2, args=("--min-count", "2"), only="RunInstances delete-runner",
            script=({**NO_ROOM, "nth": 3, "times": 1},)),
    Profile("start, or a hosted runner", least=0, args=("--fallback-label", "ubuntu-latest"), only="RunInstances delete-runner",
            script=(NO_ROOM,)),
    Profile("undo x3", count=3, only=ENDING, script=(REFUSED,), fails=True),
    Profile("time out", args=("--timeout", "10s"), only="GetConsoleOutput " + ENDING, fails=True, never_online=True),
    Profile("stop --instance", stop_by="instance"),
    Profile("stop --instance x3", count=3, stop_by="instance", only=ENDING, faults=False),
    Profile("stop --label", stop_by="label"),
    Profile("stop --label x3", count=3, stop_by="label", only=ENDING),
    Profile("stop of the run", stop_by="run"),
    Profile("stop of the run x3", count=3, stop_by="run", only=ENDING, faults=False),
    Profile("stop of the run, busy", stop_by="run", busy=True),
    Profile("reap"),
    Profile("bake", faults=False),
    Profile("bake, disturbed", only="CreateImage DeleteTags PutParameter"),
    Profile("bake that shares", args=SHARE, only="ModifyImageAttribute", kills=False,
            named=("the answer is lost", "UnauthorizedOperation", "InternalError")),
    Profile("bake with a copy", args=COPY, regions=(REGION, REGION2), at=REGION2, faults=False),
    Profile("bake with a copy, disturbed", args=COPY, regions=(REGION, REGION2), at=REGION2, only="CopyImage PutParameter"),
]

# Requests that are sent at once come in any order: this is the cases'.
ORDER = ("GetCallerIdentity GetParameter DescribeImages downloads generate-jitconfig RunInstances get-runner list-runners "
         "DescribeInstances GetConsoleOutput delete-runner TerminateInstances").split()
# A start repeats these until its runners are online, a bake until its machines are done; so many of them are disturbed.
POLLS = {"get-runner": 3, "list-runners": 3, "DescribeInstances": 1}
BAKE_POLLS = {"DescribeInstances": 2, "GetConsoleOutput": 2, "DescribeImages": 3}


@dataclasses.dataclass(frozen=True)
class Request:
    service: str
    action: str
    nth: int
    alone: bool  # the command makes no other of this action

    def __str__(self):
        return self.action if self.alone else f"{self.action} {self.nth}"


# --- cases -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Case:
    kind: str
    profile: Profile
    request: Request = None
    what: str = ""
    deed: str = "fault"  # fault, kill, signal, clock; all but the first while the request is held
    when: str = "before"  # its effect, or after it, and before its answer
    script: tuple = ()  # faults; what they do not say, the request says
    signal: int = 0
    stuck: bool = False  # signal: the request is never answered
    survives: bool = False  # the command must succeed all the same
    then: str = "life"  # life: past every deadline, one pass; grace: past the boot grace, two; stop: stop, then life
    limit: int = LIMIT

    @property
    def name(self):
        at = [self.when] * (self.deed != "fault") + [str(self.request)] if self.request else []
        return ": ".join(filter(None, [self.kind, self.profile.name if self.profile else None, " ".join(at), self.what]))

    @property
    def polls(self):
        """Is it done to a request that is made only while runners are not online?"""
        p = self.profile
        return bool(self.request) and p.command == "start" and self.request.action in POLLS and "--label" not in p.args

    @property
    def slow(self):
        """It waits, and costs nothing."""
        return self.stuck or self.profile.never_online or self.kind in ("hang", "for ever", "two faults", "lost, then refused")


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


def always(service, action, fault_):
    return {**fault_, "service": service, "action": action, "nth": 1, "times": 0}


NOTHING_ENDS = (always("github", "delete-runner", refusal(403)),
                always("ec2", "TerminateInstances", refusal(403, "UnauthorizedOperation")))
NOTHING_ANSWERS = (always("github", "delete-runner", fault("lost")), always("ec2", "TerminateInstances", fault("lost")))
LOST_LAUNCH = always("ec2", "RunInstances", refusal(500, "InternalError", when="after"))
LOST_MINT = {**fault("lost"), "service": "github", "action": "generate-jitconfig"}
TWO_FAULTS = {
    "start x1": [
        ("RunInstances has its effect and fails, and is not to be seen",
         (LOST_LAUNCH, always("ec2", "DescribeInstances", fault("not-found")))),
        ("RunInstances has its effect and fails, and DescribeInstances fails",
         (LOST_LAUNCH, always("ec2", "DescribeInstances", refusal(403, "UnauthorizedOperation")))),
        ("a lost configuration cannot be looked for", (LOST_MINT, always("github", "list-runners", refusal(503)))),
        ("a lost configuration cannot be deleted", (LOST_MINT, always("github", "delete-runner", refusal(403)))),
        ("a lost configuration, and no capacity", (LOST_MINT, always("ec2", "RunInstances", fault("capacity")))),
        ("no capacity, and no deletion",
         (always("ec2", "RunInstances", fault("capacity")), always("github", "delete-runner", fault("reset")))),
    ],
    "undo x3": [("neither deletion nor termination", NOTHING_ENDS), ("no answer to either", NOTHING_ANSWERS)],
    "stop --label x3": [("neither deletion nor termination", NOTHING_ENDS), ("no answer to either", NOTHING_ANSWERS)],
}


def stays_in_doubt(profile, request, script):
    """Is a RunInstances that may have had its effect refused for want of room when it is asked again? No other cell is tried then."""
    doubtful = script["fault"] in ("lost", "reset", "hang", "cut", "garbage") or script.get("status", 500) >= 500
    return request.action == "RunInstances" and NO_ROOM["fault"] in str(profile.script) and script["fault"] != "throttle" and doubtful


def faults_of(request):
    return WIRE + (GITHUB if request.service == "github" else AWS)


def classes_of_refusals():
    """By their class, EC2's codes that src/aws/errors.c knows."""
    top = os.path.join(os.path.dirname(__file__), "..", "..")
    with open(os.path.join(top, "src", "aws", "errors.c"), encoding="utf-8") as f:
        codes = re.findall(r'^    \{ "([A-Za-z0-9.]+)", AWS_([A-Z_]+),', f.read(), re.M)
    classes = {}
    for code, class_ in codes:
        classes.setdefault(class_, []).append(code)
    return classes


# What may come after an answer that was lost: never what the outcome is.
AFTER_LOSS = {"CAPACITY": 500, "SERVER": 500, "THROTTLE": 503}


def lost_then(service, action, script):
    """The answer to the first is lost, every other is refused, and what came of the first is not seen at once."""
    at = {"service": service, "action": action}
    lag = {"service": "ec2", "action": "DescribeInstances", "nth": 1, "times": 3, **fault("not-found")}
    return ({**at, **fault("lost")}, {**at, **script, "nth": 2, "times": 0}, *([lag] if service == "ec2" else []))


def lost_cases(profile):
    for class_, codes in classes_of_refusals().items():
        for code in codes if LONG else codes[:1]:
            script = lost_then("ec2", "RunInstances", refusal(AFTER_LOSS.get(class_, 400), code))
            yield Case("lost, then refused", profile, None, code, script=script, limit=90)
    for status in (400, 503):
        script = lost_then("ec2", "RunInstances", refusal(status, "NobodyKnowsThisCode"))
        yield Case("lost, then refused", profile, None, f"a code that nobody knows, {status}", script=script, limit=90)
    for what, script, _ in GITHUB:
        if "after" not in what and "hour" not in what:
            script = lost_then("github", "generate-jitconfig", script)
            yield Case("lost, then refused", profile, None, f"GitHub's {what}", script=script, limit=90)


def cases_of(profile, requests):
    """The cases of a command that makes these requests."""
    for request in requests if profile.kills else ():
        for when in ("before", "after"):
            yield Case("kill", profile, request, deed="kill", when=when)
            if profile.name in ("start x1", "start x3"):
                yield Case("kill, then stop", profile, request, deed="kill", when=when, then="stop")
                if request.action in ("RunInstances", "get-runner", "list-runners") and when == "after":
                    yield Case("kill, two passes", profile, request, deed="kill", when=when, then="grace")
    for request in requests if profile.kills else ():
        for when in ("before", "after"):
            common = {"deed": "signal", "when": when}
            yield Case("signal", profile, request, "SIGINT", signal=signal.SIGINT, **common)
            yield Case("signal", profile, request, "SIGTERM, no answer", signal=signal.SIGTERM, stuck=True, **common)
    if not profile.faults:
        return
    last = {request.action: request.nth for request in requests}
    for request in (r for r in requests if r.nth in (1, last[r.action])):
        for what, script, survives in faults_of(request):
            if profile.named and what not in profile.named:
                continue
            survives = survives and not profile.fails and not stays_in_doubt(profile, request, script)
            yield Case("fault", profile, request, what, script=(script,), survives=survives)
        if request.service != "github" and not profile.named and profile.command != "reap":  # whose clock is off already
            yield Case("clock", profile, request, "it jumps", deed="clock", survives=not profile.fails)
    if profile.name in ("start x1", "stop --instance", "undo x3", "time out"):
        for request in (r for r in requests if r.nth == 1):
            for what, script, _ in faults_of(request):
                if what in FOR_EVER:
                    script = always(request.service, request.action, script)
                    yield Case("for ever", profile, request, what, script=(script,), limit=90)
    if profile.name in ("start x1", "stop --instance"):
        yield Case("clock", profile, None, "it is off by an hour", deed="clock", survives=True)
        for request in (r for r in requests if r.nth == 1):
            yield Case("hang", profile, request, "for ever", script=(fault("hang"),), survives=True, limit=130)
    if profile.name == "start x1":
        yield from lost_cases(profile)
    for what, script in TWO_FAULTS.get(profile.name, []):
        yield Case("two faults", profile, None, what, script=script, limit=90)
