"""Random mixes: a few commands, faults, lies, lags, signals and jobs at once, made of a seed; then time passes and a reaper
runs. What must hold of each is in the methods judge_… of Play."""

import collections
import concurrent.futures
import contextlib
import copy
import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import tempfile
import time
import traceback

from cases import AWS, GITHUB, WIRE
from cloud import BUILD, FLEET, GROUP, IMAGE, NEVER_ONLINE_MS, OTHER_FLEET, SUBNET, Program, Simulator, mark

RUN_ID, OTHER_RUN = "4711", "4712"
LIFE, GRACE, WINDOW, LOCK = 6 * 3600 + 600, 11 * 60, 17 * 60, 15 * 60  # seconds to let pass
DAY_MS = 86400 * 1000
LIMIT = {"start": 12, "stop": 300, "reap": 130}  # seconds of a command
EMPTY = ["--instance", "", "--label", ""]  # of a stop: the outputs of a start that failed
OVER, SIGNALLED = 2, 10  # beyond it, and after a signal
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL")
SAMPLE, LONG = (1, 2, *range(5, 22)), range(1, 10001)  # seeds


def busy():
    """Seconds that a busy machine adds."""
    return 2 + min(10, os.getloadavg()[0] / (2 * os.cpu_count()))


# --- what happens ----------------------------------------------------------------------------------------------------

ASKED = {  # what a command asks for; what is dangerous more than once
    "start": "github/generate-jitconfig github/generate-jitconfig ec2/RunInstances ec2/RunInstances ec2/RunInstances "
             "github/list-runners github/get-runner github/get-runner github/delete-runner ec2/DescribeInstances "
             "ec2/DescribeInstances ec2/TerminateInstances ec2/GetConsoleOutput ec2/DescribeImages sts/GetCallerIdentity",
    "stop": "ec2/DescribeInstances github/list-runners github/get-runner github/delete-runner github/delete-runner "
            "ec2/TerminateInstances ec2/TerminateInstances github/list-jobs ec2/DescribeRegions",
    "reap": "sts/GetCallerIdentity ec2/DescribeInstances ec2/DescribeInstances github/list-runners github/list-runners "
            "github/get-runner github/list-jobs github/delete-runner ec2/CreateTags ec2/DeleteTags ec2/TerminateInstances "
            "ec2/DescribeVolumes ec2/DescribeSpotInstanceRequests ec2/GetConsoleOutput",
}
DATES = (-365 * 86400, -86400, -7 * 3600, -3600, 3600, 7 * 3600, 86400, 365 * 86400)


def make_fault(r, command):
    service, action = r.choice(ASKED[command].split()).split("/")
    at = {"service": service, "action": action, "nth": r.choice((1, 1, 1, 2, 2, 3, 4)),
          "times": r.choice((1, 1, 1, 1, 2, 3, 0))}
    kind = r.random()
    if kind < 0.08:
        return {**at, "action": r.choice((action, "*")), "fault": "date", "seconds": r.choice(DATES)}
    if kind < 0.13:
        return {**at, "times": 1, "fault": "hang", "when": r.choice(("before", "after"))}  # until the client goes
    if kind < 0.18 and service == "ec2":
        return {**at, "fault": "empty-page", "times": r.choice((1, 2))}
    what, script, _ = r.choice(WIRE + (GITHUB if service == "github" else AWS))
    headers = {k: v for k, v in script.get("headers", {}).items() if str(v).isdigit()}
    return {**script, **at, "headers": headers, "said": what}


def make_lie(r, deletes):
    actions = ["get-runner", "list-runners", "*" if deletes else "get-runner"]
    return {"service": "github", "action": r.choice(actions), "fault": r.choice(("idle", "offline", "forgotten")), "times": 0,
            "for_ms": r.choice((5, 60, 600, 1800)) * 1000, "runner": r.choice(("mf-", "mf-", "samefleet"))}


def make_signal(r, likely):
    if r.random() >= likely:
        return None
    return {"signal": r.choice(SIGNALS), "after": r.randint(1, 14), "ms": r.choice((0, 0, 5, 50, 300))}


def make_start(r, label, **more):
    count = r.choice((1, 1, 1, 2, 3))
    return {"command": "start", "count": count, "label": label, "faults": [], "signal": make_signal(r, 0.35), **more}


def make_stop(r, **more):
    return {"command": "stop", "by": r.choice(("instance", "label", "run", "empty")), "faults": [],
            "signal": make_signal(r, 0.2), **more}


def make_reap(r, **more):
    return {"command": "reap", "advance": r.choice((0, 60, GRACE, WINDOW, 2400)), "faults": [], "signal": make_signal(r, 0.1),
            **more}


def make_mix(seed):
    """`beside`: with the one before, not after it."""
    r = random.Random(seed)
    label = r.choice((None, "chosen"))
    shape = r.random()
    if shape < 0.3:
        steps = [make_start(r, label)]
    elif shape < 0.5:
        steps = [make_start(r, label), make_stop(r)]
    elif shape < 0.7:
        steps = [make_start(r, label, signal=None), make_reap(r), make_reap(r, beside=r.random() < 0.5)]
    elif shape < 0.8:
        steps = [make_start(r, "chosen", count=1, beside=True) for _ in range(r.randint(2, 5))]
    else:
        other = r.choice((make_start(r, "other"), make_stop(r), make_reap(r)))
        steps = [make_start(r, label), {**other, "beside": True}] + r.choice(([], [make_stop(r)], [make_reap(r)]))
    for _ in range(r.choice((0, 1, 1, 2, 2, 3, 4))):
        step = r.choice(steps)
        step["faults"].append(make_fault(r, step["command"]))
    only_reaps = shape >= 0.5 and shape < 0.7
    jobs = []
    for _ in range(r.choice((0, 1, 1, 2))):
        at = r.choice((-1, *range(len(steps)))) if label else r.choice(range(len(steps)))
        jobs.append({"at": at, "run": r.choice((RUN_ID, OTHER_RUN)), "ms": r.choice((10 * DAY_MS, 10 * DAY_MS, 1500))})
    return {"seed": seed, "steps": steps, "jobs": jobs, "online_ms": r.choice((10, 10, 400, 400, NEVER_ONLINE_MS)),
            "lies": [make_lie(r, only_reaps) for _ in range(r.choice((0, 0, 0, 1, 2)))],
            "lag": {"ec2_ms": r.choice((0, 0, 300, 2000)), "github_ms": r.choice((0, 0, 500, 3000, 60000))},
            "clock": r.choice((0, 0, 0, -3600, 3600, 86400)), "late": r.random() < 0.5,
            "interrupt": r.random() < 0.05}


# --- one mix, played -------------------------------------------------------------------------------------------------


class Step:
    """A command as it goes on."""

    def __init__(self, play, n, what):
        self.what, self.n = what, n
        self.signalled = None  # when
        run = what.get("run", RUN_ID)
        environment = {"GITHUB_RUN_ID": run, "GITHUB_RUN_ATTEMPT": "1", "GITHUB_ACTIONS": ""}
        self.seen = 0
        self.program = Program(play.sim, f"{n}-{what['command']}", self.args(play), environment)

    def args(self, play):
        what = self.what
        if what["command"] == "start":
            label = ["--label", what["label"]] if what["label"] else []
            return ["start", "--image", IMAGE, "--types", "m7i.large", "--subnets", SUBNET, "--security-groups", GROUP,
                    "--count", str(what["count"]), "--timeout", f"{LIMIT['start']}s", *label]
        if what["command"] == "reap":
            return ["reap"]
        labels, ids = play.outputs()
        by = what["by"]
        if by == "instance" and ids:
            return ["stop", "--instance", ",".join(ids)]
        if by == "label" and labels:
            return ["stop", "--label", labels[0]]
        return ["stop", *EMPTY] if by == "empty" else ["stop"]

    @property
    def over(self):
        return self.program.status is not None

    @property
    def named(self):
        return self.program.args[1:2] in (["--instance"], ["--label"]) and self.program.args[2]

    @property
    def empty(self):
        return self.program.args[1:] == EMPTY

    def due(self, seen, now):
        """Seconds until its signal, if that is to come now or soon; else None."""
        s = self.what["signal"]
        if not s or self.signalled or seen < s["after"]:
            return None
        self.ready = getattr(self, "ready", now)
        return max(0, self.ready + s["ms"] / 1000 - now)

    @property
    def end_by(self):
        limit = self.program.began + LIMIT[self.what["command"]] + OVER
        return min(limit, self.signalled + SIGNALLED) if self.signalled else limit


class Play:
    def __init__(self, mix, folder):
        self.mix, self.folder, self.wrong, self.steps, self.log = mix, folder, [], [], []

    def expect(self, truth, why):
        if not truth:
            self.wrong.append(why)

    def outputs(self):
        """What the starts so far have printed: labels and ids."""
        text = "".join(s.program.text("out") for s in self.steps if s.what["command"] == "start")
        labels = re.findall(r"^label=(.+)$", text, re.M)
        ids = [i for row in re.findall(r"^ec2-instance-ids=(.+)$", text, re.M) for i in json.loads(row)]
        return labels, ids

    def queue(self, at):
        for job in self.mix["jobs"]:
            if job["at"] != at:
                continue
            label = "chosen" if at < 0 else (self.outputs()[0] or ["chosen"])[0]
            self.sim.control("POST", "jobs", {"repository": FLEET, "name": "job", "labels": [label],
                                              "run_id": int(job["run"]), "duration_ms": job["ms"]})

    def lies(self):
        """They go on for a while, whatever comes."""
        if len(self.steps) < self.mix.get("honest", 0):
            return []
        now = json.loads(self.sim.control("GET", "state"))["time_ms"]
        self.since = getattr(self, "since", now)
        left = [(lie, lie["for_ms"] - (now - self.since)) for lie in self.mix["lies"]]
        return [{**lie, "for_ms": ms} for lie, ms in left if ms > 0]

    def begin(self, n):
        what, *rest = self.mix["steps"][n:]
        if not (n and what.get("beside")):
            together = [what, *itertools.takewhile(lambda s: s.get("beside"), rest)]
            faults = [{k: v for k, v in f.items() if k != "said"} for s in together for f in s["faults"]]
            self.sim.advance(what.get("advance", 0))
            self.sim.control("PUT", "faults", faults + self.lies())  # the first that fits is taken
        self.steps.append(Step(self, n, what))

    def run_until_over(self):
        """Until every program has ended, with the signals that they are to have."""
        sim, poll = self.sim, select.poll()
        live = [s for s in self.steps if not s.over]
        poll.register(sim.process.stderr, select.POLLIN)
        for s in live:
            poll.register(s.program.pidfd, select.POLLIN)
        seen = 0
        while live:
            now = time.monotonic()
            waits = [s.end_by + busy() - now for s in live]
            for s in live:
                due = s.due(seen, now)
                if due == 0:
                    s.program.process.send_signal(getattr(signal, s.what["signal"]["signal"]))
                    s.signalled = now
                elif due:
                    waits.append(due)
            poll.poll(max(0, min(waits)) * 1000 + 1)
            seen += len(sim.read())
            for s in list(live):
                if s.program.is_over():
                    poll.unregister(s.program.pidfd)
                    live.remove(s)
                elif time.monotonic() > s.end_by + busy():
                    since = time.monotonic() - (s.signalled or s.program.began)
                    self.wrong.append(f"{s.program.name} has not ended {since:.0f} s after its "
                                      f"{s.what['signal']['signal'] if s.signalled else 'beginning'}")
                    s.program.kill()
                    poll.unregister(s.program.pidfd)
                    live.remove(s)

    def play(self):
        mix = self.mix
        with Simulator.borrow(self.folder, mix["online_ms"]) as sim, contextlib.ExitStack() as programs:
            self.sim, self.log = sim, sim.log
            if mix["clock"]:
                sim.advance(mix["clock"])
            sim.plant("same-fleet", FLEET, {"mayfly:run": "4712/1", "mayfly:limits": "boot=600,idle=1800,life=86400"}, True)
            other = {"mayfly:run": f"{RUN_ID}/1", "mayfly:repo": OTHER_FLEET}  # of another GitHub
            sim.plant("other-fleet", OTHER_FLEET, other, False)
            sim.control("POST", "lag", mix["lag"])
            self.queue(-1)
            sim.forget()
            for n in range(len(mix["steps"])):
                self.begin(n)
                programs.callback(self.steps[-1].program.__exit__)
                beside = n + 1 < len(mix["steps"]) and mix["steps"][n + 1].get("beside")
                if not beside:
                    self.run_until_over()
                    self.judge_siblings()
                self.queue(n)
            if mix["interrupt"]:
                for instance in sim.state().alive:
                    sim.control("POST", f"instances/{instance['id']}/interrupt", {"ms": 10})
            self.judge_ends()
            self.pass_time()

    # --- what must hold ---

    def judge_siblings(self):
        """A stop that was given empty outputs leaves what another start has handed out."""
        last = self.steps[-1]
        if last.what["command"] == "stop" and last.what["by"] == "empty" and not last.what.get("beside"):
            alive = {i["id"] for i in self.sim.state().alive}
            handed = [i for s in self.steps if s.what["command"] == "start" and s.program.status == 0
                      for row in re.findall(r"^ec2-instance-ids=(.+)$", s.program.text("out"), re.M) for i in json.loads(row)]
            # A stop without outputs, or with the very ids, may end them.
            handed = [] if any(not s.empty for s in self.steps if s.what["command"] == "stop") else handed
            short = any(j["ms"] < DAY_MS for j in self.mix["jobs"])
            self.expect(short or set(handed) <= alive, "a stop with empty outputs ended what another start handed out")

    def judge_ends(self):
        time.sleep(0.04)
        state = self.sim.state("ended")
        for s in self.steps:
            p, err = s.program, s.program.text("err")
            sent = s.what["signal"]["signal"] if s.signalled else ""
            early = sent and not os.path.exists(p.files["trace"])  # before it had begun
            if p.status is None or sent == "SIGKILL" or (early and p.status == -getattr(signal, sent)):
                continue
            took = time.monotonic() - s.program.began if p.status is None else p.took
            done = (0,) if p.command == "start" else (0, 3)
            usage = "carries the label" in err or "there is no image" in err  # of a start of this moment; of a fault
            self.expect(p.status in (*done, 1, 75) or (usage and p.status == 2), f"{p.name}: exit status {p.status} {sent}: {err[-300:]}")
            lines = err.splitlines()
            errors = [n for n, line in enumerate(lines) if line.startswith(f"mayfly {p.command}: ")]
            why = f"{p.name}: {len(errors)} lines of error, status {p.status}: {err[-300:]}"
            self.expect(len(errors) == (p.status not in done), why)
            rest = lines[errors[0] + 1:] if errors else []
            self.expect(not rest or (len(rest) == 1 and rest[0].startswith("hint: ")), f"{p.name}: after the error comes {rest}")
            self.expect("runtime error" not in err and "Sanitizer" not in err, f"{p.name}: a sanitizer speaks: {err[-500:]}")
            limit = LIMIT[p.command] + OVER + busy()
            self.expect(took <= limit, f"{p.name} took {took:.1f} s")
        self.judge_launches(state)

    def judge_launches(self, state):
        """One instance a slot, and as many as were asked for."""
        runners = collections.Counter(i["tags"]["mayfly:runner"] for i in state.ours if i["state"] in ("pending", "running"))
        self.expect(all(n == 1 for n in runners.values()), f"two instances of one slot: {runners}")
        stops = any(s.what["command"] == "stop" for s in self.steps) or self.mix["interrupt"]
        short = any(j["ms"] < DAY_MS for j in self.mix["jobs"]) or self.mix["online_ms"] == NEVER_ONLINE_MS
        for s in self.steps:
            self.judge_failed(s, state)
            if s.what["command"] != "start" or s.program.status != 0:
                continue
            text = s.program.text("out")
            ids = [i for row in re.findall(r"^ec2-instance-ids=(.+)$", text, re.M) for i in json.loads(row)]
            self.expect(len(set(ids)) == s.what["count"], f"{s.program.name} succeeded with {ids}")
            there = {i["id"] for i in state.alive}
            self.expect(stops or short or set(ids) <= there, f"{s.program.name} succeeded, and {set(ids) - there} is gone")
            label = re.findall(r"^label=(.+)$", text, re.M)[0]
            others = [o for o in self.steps if o is not s and o.what.get("label") == label]
            live = [i for i in state.alive if i["tags"]["mayfly:label"] == label]
            if not others:
                self.expect(len(live) <= s.what["count"], f"{len(live)} instances are there for {s.what['count']}")
        chosen = [s for s in self.steps if s.what.get("label") == "chosen" and s.program.status == 0]
        if self.mix.get("contest"):
            self.expect(len(chosen) == 1, f"{len(chosen)} starts of one label succeeded")
        if all(s.what.get("beside") for s in chosen):
            # A short job frees the label for the next; EC2 shows a rival before a machine has booted, or this is no EC2.
            unseen = self.mix["lag"]["ec2_ms"] > self.mix["online_ms"]
            self.expect(len(chosen) <= 1 or stops or short or unseen, f"{len(chosen)} starts of one label succeeded at once")

    def judge_failed(self, s, state):
        """A start that failed leaves nothing of which it does not say so."""
        labels = re.findall(r"^label=(.+)$", s.program.text("out"), re.M)
        others = [o for o in self.steps if o is not s and labels and o.what.get("label") == labels[0]]
        if s.what["command"] != "start" or s.program.status not in (1, 75) or not labels or others:
            return
        err = s.program.text("err")
        left = [i["id"] for i in state.alive if i["tags"]["mayfly:label"] == labels[0]
                and i["id"] not in err and i["client_token"] not in err]
        self.expect(not left, f"{s.program.name} failed, and leaves {left}: {err[-300:]}")

    def may_kill(self, kill):
        """A named stop ends what it names; after a signal there is no time for a GitHub that does not answer."""
        named = any(s.what["command"] == "stop" and s.named for s in self.steps)
        hasty = any(s.signalled and s.what["command"] in ("start", "stop") for s in self.steps)
        github = self.mix["lies"] or self.mix["lag"]["github_ms"] or any(
            f["service"] in ("github",) for s in self.steps for f in s.what["faults"])
        return named or (hasty and github) or (kill["age_ms"] or 0) >= 6 * 3600 * 1000

    def judge_kills(self, when):
        for kill in json.loads(self.sim.control("GET", "state"))["killed"]:
            self.expect(self.may_kill(kill), f"{when}: a job lost its machine: {kill}")

    def judge_bystanders(self):
        state = self.sim.state()
        if self.mix["online_ms"] == NEVER_ONLINE_MS and self.mix["lies"]:
            return  # there they are said to be busy, and their consoles know of no job
        for instance, name in self.sim.planted_instances.items():
            self.expect(state.by_id.get(instance, {}).get("state") == "running", f"the bystander {name} is gone")
        records = {r["id"]: r for r in state.runners}
        for record, name in self.sim.planted_records.items():
            self.expect(record in records, f"the record of the bystander {name} is gone")

    def reap(self, name, well=True):
        with Program(self.sim, name, ["reap"]) as program:
            if not program.wait(LIMIT["reap"] + OVER):
                self.wrong.append("reap does not end")
                return
            # 3: it says what it could not judge, which lies and lags bring about
            why = f"{name}: exit status {program.status}: {program.text('err')[-300:]}"
            self.expect(program.status == 0 or (program.status == 3 and not well), why)

    def pass_time(self):
        """Two passes beyond the windows, then one past every life."""
        sim = self.sim
        sim.release(drop=not self.mix["late"])
        sim.control("PUT", "faults", self.lies())
        for name, seconds in (("first", GRACE), ("second", WINDOW)):
            sim.advance(seconds)
            self.reap(name, well=False)
            self.judge_kills(name)
            self.judge_bystanders()
        sim.control("DELETE", "faults")
        sim.control("POST", "lag", {"ec2_ms": 0, "github_ms": 0})
        sim.advance(LIFE)
        self.reap("old", well=False)
        sim.advance(LOCK)  # GitHub keeps the record of a machine that ended at work for a while
        self.reap("last")
        self.judge_kills("last")
        self.judge_bystanders()
        sim.advance(1)
        state = sim.state("last")
        self.expect(not state.live, f"instances are left: {[i['id'] for i in state.live]}")
        volumes = [v["id"] for v in state.volumes if v["instance"] not in sim.planted_instances]
        self.expect(not volumes, f"volumes are left: {volumes}")
        # A start that was told a wrong Date gives its runner a name of that time, and it grows old later.
        dated = any(f["fault"] == "date" for s in self.steps if s.what["command"] == "start" for f in s.what["faults"])
        left = [r["name"] for r in state.records]
        # A start without an account names its runners otherwise, and warns that GitHub has to remove what is left of them.
        warned = any("the account is not known" in s.program.text("err") for s in self.steps)
        left = [name for name in left if not warned or name.startswith((mark(FLEET), mark(OTHER_FLEET)))]
        self.expect(dated or not left, f"records are left: {left}")


# --- many ------------------------------------------------------------------------------------------------------------


def play(mix, root, name=None):
    """What is wrong with it; its files stay if something is."""
    folder = tempfile.mkdtemp(prefix=re.sub("[^a-z0-9]+", "-", name) if name else f"mix-{mix['seed']}-", dir=root)
    p = Play(mix, folder)
    try:
        p.play()
    except Exception:
        p.wrong.append(traceback.format_exc())
    if p.wrong:
        with open(os.path.join(folder, "requests.log"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(row) + "\n" for row in p.log)
        with open(os.path.join(folder, "mix.json"), "w", encoding="utf-8") as f:
            json.dump(mix, f, indent=1)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return p


def smaller(mix):
    """The mix with one thing less, in every way."""
    for n in range(len(mix["steps"])):
        step = mix["steps"][n]
        if len(mix["steps"]) > 1:
            yield {**mix, "steps": mix["steps"][:n] + mix["steps"][n + 1:]}
        for f in range(len(step["faults"])):
            less = copy.deepcopy(mix)
            del less["steps"][n]["faults"][f]
            yield less
        for key, value in (("signal", None), ("count", 1)):
            if step.get(key, value) != value:
                less = copy.deepcopy(mix)
                less["steps"][n][key] = value
                yield less
    for key in ("jobs", "lies"):
        for n in range(len(mix[key])):
            yield {**mix, key: mix[key][:n] + mix[key][n + 1:]}
    for key, value in (("lag", {"ec2_ms": 0, "github_ms": 0}), ("clock", 0), ("interrupt", False), ("online_ms", 10)):
        if mix[key] != value:
            yield {**mix, key: value}


def shrink(mix, root):
    """A smaller mix that is wrong, too."""
    again = True
    while again:
        again = False
        for less in smaller(mix):
            p = play(less, root)
            shutil.rmtree(p.folder, ignore_errors=True)
            if p.wrong:
                mix, again = less, True
                break
    return mix


def seeds_of(words):
    """Of words like 7 and 1-100."""
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def show(mix, name, p):
    """A line of what came of a mix."""
    why = " ".join("; ".join(p.wrong).split())
    print(f"not ok - {name}: {why}" if why else f"ok - {name}", flush=True)
    if why:
        seed = mix["seed"] or f"'{name}'"
        print(f"again: tests/chaos/run mix {seed}; its files are in {os.path.relpath(p.folder)}", flush=True)


def main(words, named):
    """Plays seeds, or those of the named whose names have the words in them. Returns the exit status."""
    workers = int(os.environ.get("MAYFLY_MIX_WORKERS", "24"))
    shrinks = "--shrink" in words
    words = [w for w in words if w != "--shrink"]
    chosen = [(name, mix) for name, mix in named if any(not w[0].isdigit() and w in name for w in words)]
    seeds = list(seeds_of(w for w in words if w[0].isdigit()))
    mixes = chosen + [(f"mix {seed}", make_mix(seed)) for seed in (seeds if words else LONG)]
    root = os.path.join(BUILD, "chaos-mix")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    began, failed = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for (name, mix), p in zip(mixes, pool.map(lambda row: play(row[1], root, row[0]), mixes)):
            if p.wrong or len(mixes) <= 100:
                show(mix, name, p)
            if p.wrong:
                failed.append(str(mix["seed"] or f"`{name}`"))
                if shrinks:
                    print(json.dumps(shrink(mix, root), indent=1), flush=True)
    noise = Simulator.close_idle()
    if noise:
        failed.append("the simulators do not end well")
        print(f"not ok - the simulators end well: {' '.join(noise)[:500]}")
    seconds = time.monotonic() - began
    print(f"{len(mixes)} mixes in {seconds:.0f} s, {len(mixes) / seconds:.1f} a second, {len(failed)} failed: {' '.join(failed)}")
    return len(failed) > 0
