"""usage: chaos.py [PATTERN]: whatever happens to `mayfly start`, `stop`, `reap` or `bake`, nothing is left.

Every case has a simulator to itself. One thing happens to one request of one command: the program is killed, it gets a
signal, the answer is lost, wrong or late, the clock jumps. Then time passes, the reaper runs, and the simulator is asked
what is left. Which requests a command makes is learnt from an undisturbed run. Bystanders, busy runners of the same
fleet and instances of another, must live on through all of it.

With PATTERN, a part of a case's name, only those cases run and their logs are kept. cases.py says which there are."""

import collections
import concurrent.futures
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib

import mix
import named
from cases import BAKE, BAKE_POLLS, HOUR, LABEL, LIMIT, LONG, ORDER, POLLS, PROFILES, RUN_ID, Case, Request, cases_of
from cloud import BUILD, FLEET, NEVER_ONLINE_MS, OTHER_FLEET, REGION, TERMINATE_MS, Program, Simulator, base36, end_all, mark

WORKERS = 24, 32  # of cases that compute, and of those that only wait
CASES_MIN = 500  # fewer: something is no longer learnt
ENDING_LIMIT, SIGNAL_LIMIT, BUSY = 3, 8, 1  # seconds; what a busy machine adds. GitHub kills 10 s after the first signal
JUMP = 3000  # seconds: a signature holds for 15 minutes, an instance that ended is told of for an hour
# Seconds to let pass; an instance's life is 6 h. A machine that waits for a job ends itself 40 minutes after its launch at
# the latest: if it has not five minutes later, it hangs.
LIFE, BOOT_GRACE, IDLE_GRACE, CONFIRM, LOCK = 7 * 3600, 11 * 60, 46 * 60, 200, 15 * 60
UNDISTURBED = "undisturbed"  # a kind of case
MOST_RUN = "start x1", "stop --instance", "reap"


class Wrong(Exception):
    """A case cannot go on."""


class Play:
    """A case as it goes on."""

    def __init__(self, case, folder):
        self.case, self.profile, self.folder = case, case.profile, folder
        self.sim, self.log, self.wrong, self.requests = None, [], [], []
        self.environment = {"GITHUB_RUN_ID": RUN_ID, "GITHUB_RUN_ATTEMPT": "1"}

    def expect(self, truth, why):
        if not truth:
            self.wrong.append(why)

    def name_now(self, random):
        """A runner's, of this moment."""
        return f"{mark(FLEET)}{REGION}-{base36(int(time.time() + self.sim.offset))}-{random}"

    # --- before ---

    def prepare(self):
        """Plants the bystanders, and starts what a stop or a reap is to end. Returns the command."""
        sim, profile = self.sim, self.profile
        sim.plant("same-fleet", FLEET, {"mayfly:run": "4712/1", "mayfly:limits": "boot=600,idle=1800,life=864000"}, True)
        other = {"mayfly:run": f"{RUN_ID}/1", "mayfly:label": LABEL, "mayfly:repo": OTHER_FLEET}  # of another GitHub
        sim.plant("other-fleet", OTHER_FLEET, other, False)
        sim.plant_record("somebody", "self-hosted")
        if profile.busy:
            sim.queue(LABEL, int(RUN_ID))
        self.before = sim.published()
        if profile.command == "start":
            return profile.start_args()
        if profile.command == "bake":
            return [*BAKE, *profile.args]
        with Program(sim, "prepare", profile.start_args(), self.environment) as program:
            if not program.wait(LIMIT) or program.status != 0:
                raise Wrong(f"the start before it failed: {program.text('err')}")
            ids = re.search(r"^ec2-instance-ids=(.*)$", program.text("out"), re.M)
        if profile.command == "reap":
            sim.github("POST", "/generate-jitconfig", {"name": self.name_now("ghost"), "runner_group_id": 1, "labels": ["none"]})
            for instance in sim.state().alive:  # it hangs, so that it does not end by itself
                sim.control("POST", f"instances/{instance['id']}/kill")
            sim.advance(LIFE)
            return ["reap"]
        how = {"instance": ["--instance", ",".join(json.loads(ids[1]))], "label": ["--label", LABEL], "run": []}
        return ["stop", *how[profile.stop_by]]

    def script(self):
        """Tells the simulator the faults. From here on the log is the command's."""
        case, request = self.case, self.case.request
        at = {"service": request.service, "action": request.action, "nth": request.nth} if request else {}
        at |= {"match": {"region": self.profile.at}} if self.profile.at else {}
        hold = [{"fault": "hold", "when": case.when}] if request and case.deed != "fault" else []
        for fault in [*case.script, *hold, *self.profile.script]:  # the first that fits is taken
            headers = {k: str(int(time.time()) + 3600) if v == HOUR else v for k, v in fault.get("headers", {}).items()}
            self.sim.control("POST", "faults", {**at, **fault, "headers": headers})
        self.sim.forget()

    # --- during ---

    def disturb(self, program):
        """Runs the program to its end, with what the case has in mind for it."""
        case, sim = self.case, self.sim
        if case.deed == "fault" or not case.request:
            if not program.wait(case.limit, lambda row: row["fault"]):
                self.finish(program)
            happened = [row["fault"] for row in sim.log]
            self.expect(all(fault["fault"] in happened for fault in case.script), "the fault did not happen")
            return
        if program.wait(case.limit, lambda row: "when" in row):
            raise Wrong(f"it ended (status {program.status}) before that request: {program.text('err')}")
        if not any("when" in row for row in sim.log):
            raise Wrong("it never made that request")
        if case.deed == "kill":
            program.kill()
            sim.release(drop=True)
        elif case.deed == "clock":
            sim.advance(JUMP)
            sim.release(drop=False)
            self.finish(program)
        else:
            self.interrupt(program)

    def finish(self, program):
        """What was to happen has happened: the runners may come."""
        if self.case.polls:
            self.sim.all_online()
        if not program.wait(self.case.limit):
            raise Wrong(f"it has not ended after {self.case.limit} s")

    def interrupt(self, program):
        held = self.held_launch()
        program.process.send_signal(self.case.signal)
        began = time.monotonic()
        if not self.case.stuck:
            program.wait(0.05)
            self.sim.release(drop=False)
        if not program.wait(ENDING_LIMIT + BUSY) or self.case.stuck:
            self.judge_haste(held)
        self.expect(program.wait(SIGNAL_LIMIT + 4), "it did not end after the signal")
        took = time.monotonic() - began
        self.expect(took <= SIGNAL_LIMIT + BUSY, f"it took {took:.1f} s to end after the signal")
        self.sim.release(drop=False)  # what it did not wait for may still have its effect

    def held_launch(self):
        """Instances that exist, and that the program cannot know of."""
        rows = json.loads(self.sim.control("GET", "held"))
        return sum(row["action"] == "RunInstances" and row["when"] == "after" for row in rows)

    def judge_haste(self, unknown):
        """So soon after a signal, what is known and has no job is on its way out, whatever hangs."""
        p, at = self.profile, self.case.request.action
        found = p.command in ("start", "bake") or (p.command == "stop" and p.stop_by != "run" and at == "delete-runner")
        if not found or at == "TerminateInstances":
            return
        alive = [i["id"] for i in self.sim.state().alive]
        why = f"{ENDING_LIMIT} s after the signal {len(alive)} instances live, of which {unknown} cannot be known"
        self.expect(len(alive) <= unknown, why)

    # --- what the program says, and whether it is true ---

    def judge_end(self, program, state):
        self.judge_secrets(program, state)
        if self.case.deed == "kill":
            return
        done = (0, 3) if program.command in ("reap", "bake") else (0,)  # 3: done in part, and a warning says which
        err, failed = program.text("err"), program.status not in done
        self.expect(program.status in (*done, 1, 75), f"exit status {program.status}: {err[-300:]}")
        lines = err.splitlines()
        errors = [n for n, line in enumerate(lines) if line.startswith(f"mayfly {program.command}: ")]
        self.expect(len(errors) == failed, f"{len(errors)} lines of error, exit status {program.status}: {err[-300:]}")
        rest = lines[errors[0] + 1:] if errors else []
        self.expect(not rest or (len(rest) == 1 and rest[0].startswith("hint: ")), f"after the error comes {rest}")
        self.expect(not re.search("Sanitizer|runtime error", err), f"a sanitizer speaks: {err[-500:]}")
        self.expect(not (self.case.survives and failed), f"it should have gone on: {err[-300:]}")
        self.expect(failed or not self.profile.fails or self.profile.never_online, "it succeeded, and cannot have")
        if program.command == "start":
            self.judge_start(state, failed, err)
        elif program.command == "stop":
            self.judge_stop(state, failed, err)
        elif program.command == "bake":
            self.judge_bake(state, failed, err)

    def judge_secrets(self, program, state):
        secrets = [self.sim.settings[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MAYFLY_GITHUB_TOKEN")]
        for instance in state.ours:
            data = self.sim.control("GET", f"instances/{instance['id']}/user-data").decode(errors="replace")
            secrets += [jit[:60] for jit in re.findall("^MAYFLY_JIT='(.+)'", data, re.M)]
        said = "".join(program.text(stream) for stream in program.files)
        self.expect(not any(secret in said for secret in secrets), "a secret is in its output")

    def judge_start(self, state, failed, err):
        """All of it is there, or nothing, or what is there is named."""
        covered = {i["tags"]["mayfly:runner"] for i in state.alive if not failed or i["id"] in err or i["client_token"] in err}
        left = [i["id"] for i in state.alive if i["tags"]["mayfly:runner"] not in covered]
        if self.case.what != "404":  # one replica's word is believed: what is left is the reaper's
            left += [r["name"] for r in state.records if r["name"] not in covered and r["name"] not in err]
        self.expect(not left, f"it leaves {' '.join(left)} and does not say so: {err[-300:]}")
        if self.case.kind == "lost, then refused" and failed:
            names = [i["id"] for i in state.alive] + [r["name"] for r in state.records]
            self.expect(not names, f"it is refused, and leaves {names}: {err[-300:]}")
        if not failed:
            profile, n = self.profile, len(state.alive)
            least = profile.count if profile.least is None else profile.least
            proof = self.case.what == "422, busy"  # GitHub's word that a runner has a job proves it online
            online = [r for r in state.records if r["name"] in covered and (r["status"] == "online" or proof)]
            why = f"it succeeded with {n} instances, {len(online)} online"
            self.expect(least <= n <= profile.count and n == len(online), why)

    def judge_stop(self, state, failed, err):
        """Nothing is there, or it failed. What is busy is left alone by a stop of the run."""
        what = self.case.what
        alive = [i["id"] for i in state.alive]
        unsaid = [i for i in alive if i not in err]
        if self.profile.busy:
            busy = [r for r in state.records if r["busy"]]
            self.expect(len(alive) == len(busy) == 1 or what == "404", "it ended what runs a job")
        elif what == "422, busy" and self.profile.stop_by == "run":
            self.expect(not unsaid, f"it leaves {unsaid} and does not say so: {err[-300:]}")
        elif not failed:
            known = err.count("warning: the registration of the runner on") + (what in ("404", "422, busy"))
            self.expect(not alive, f"it succeeded, and {alive} live")
            self.expect(len(state.records) <= known, f"it succeeded, and {len(state.records)} records are left: {err[-300:]}")
        elif self.case.deed == "signal" and self.case.request.action != "DescribeInstances":
            self.expect(not unsaid, f"it leaves {unsaid} and does not say so: {err[-300:]}")

    def judge_bake(self, state, failed, err):
        """One image that is proven, with its snapshot, or nothing, or what is there is named."""
        names = {i["id"]: i["client_token"] for i in state.alive} | {i["id"]: i["name"] for i in state.baked if i["id"] in state.unproven}
        unsaid = [one for one, name in names.items() if one not in err and name not in err.split("warning: left behind")[-1]]
        self.expect(not unsaid, f"it leaves {unsaid}, and does not say so: {err[-300:]}")
        said = "".join(line for line in err.splitlines() if line.startswith(("mayfly bake: ", "warning: ", "hint: ")))
        published = self.sim.published()
        known = {*state.unproven, *published.values(), *re.findall(r"ami-[0-9a-f]+", said)}
        kept = [i["id"] for i in state.baked if i["id"] not in known]
        self.expect(not failed or not kept, f"it failed, and {kept} stay without a word: {err[-300:]}")
        for region in self.profile.regions or [REGION]:
            proven = [i["id"] for i in state.baked if i["id"] not in state.unproven and i["region"] == region]
            snapshots = [n for n in state.snapshots if n["region"] == region]
            undone = failed or f"warning: {region} has " in err  # no copy, or one that may be published
            self.expect(len(proven) <= 1, f"there are {proven} in {region}")
            self.expect(undone or proven == [published[region]], f"it succeeded with {proven}, published is {published[region]}")
            self.expect(undone or len(snapshots) == 1, f"it succeeded with {len(snapshots)} snapshots in {region}")
            self.expect(published[region] in (self.before[region], *proven), f"what is published in {region} was never proven")
            self.expect(not (self.case.survives and undone), f"{region} should have it: {err[-300:]}")

    def judge_launches(self, state):
        """At most one instance a runner name, at most `count` at a time under a label."""
        if self.profile.command == "bake":
            roles = collections.Counter(i["tags"]["mayfly:role"] for i in state.ours)
            self.expect(roles["bake"] <= 1 and roles["smoke"] <= 1, f"launched twice: {roles}")
            return
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
        regions = ["--regions", ",".join(self.profile.regions)] if self.profile.regions else []
        with Program(self.sim, name, ["reap", *regions]) as program:
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
        tags = {"mayfly:run": f"{RUN_ID}/1", "mayfly:limits": "boot=600,idle=1800,life=21600"}
        sim.plant("launched-since", FLEET, tags, True)
        sim.plant_record(self.name_now("starting"), "starting")
        sim.advance(BOOT_GRACE)
        busy = any(r["busy"] for r in sim.state("aged").records)
        self.reap("reap")
        if busy:  # GitHub keeps the record of a machine that ended at work for a while
            sim.advance(LOCK)
            self.reap("reap-again")
        self.judge_rest()

    def pass_grace(self):
        """The machines hang and GitHub forgets their runners: a pass marks, a later one ends."""
        sim = self.sim
        for instance in sim.state().live:
            sim.control("POST", f"instances/{instance['id']}/kill")
        for record in sim.state().records:
            sim.control("POST", f"runners/{record['id']}", {"status": "offline", "busy": False})
            sim.github("DELETE", f"/{record['id']}")
        sim.advance(IDLE_GRACE)
        left = {i["id"] for i in sim.state("aged").live}
        first = self.reap("reap-1")
        self.expect(left == set(re.findall(r"^marked (\S+):", first, re.M)), f"the first pass should mark {left}: {first}")
        self.expect(left == {i["id"] for i in sim.state("marked").live}, "the first pass ended something")
        sim.advance(CONFIRM)
        self.reap("reap-2")
        self.judge_rest()

    def judge_rest(self):
        """Nothing but bystanders is left."""
        self.sim.advance(1)
        state = self.sim.state("reaped")
        live = [i["id"] for i in state.live]
        self.expect(not live, f"instances are left: {live}")
        volumes = [v["id"] for v in state.volumes if v["instance"] not in self.sim.planted_instances]
        self.expect(not volumes, f"volumes are left: {volumes}")
        gone = {"state": "terminated"}
        open_ = [q["id"] for q in state.spot_requests if state.by_id.get(q["instance"], gone)["state"] != "terminated"]
        self.expect(not open_, f"spot requests are open: {open_}")
        self.expect(not state.unproven, f"unproven images are left: {state.unproven}")
        there = [i["id"] for i in state.baked]
        lost = {k: v for k, v in self.sim.published().items() if v != self.before[k] and v not in there}
        self.expect(not lost, f"what is published is gone: {lost}")
        records = [r["name"] for r in state.records]
        self.expect(not records, f"records are left: {records}")
        self.judge_bystanders(state)

    # --- all of it ---

    def learn(self):
        """The requests of an undisturbed run."""
        profile, seen = self.profile, collections.Counter()
        polls = profile.command == "start" and not profile.fails

        def polled(row):
            seen[row["action"]] += 1
            return polls and seen["get-runner"] + seen["list-runners"] >= POLLS["get-runner"] and seen["DescribeInstances"] >= 1

        with Simulator.borrow(self.folder, NEVER_ONLINE_MS if polls or profile.never_online else 10) as sim:
            self.sim, self.log = sim, sim.log
            args = self.prepare()
            self.script()
            with Program(sim, "program", args, self.environment) as program:
                if not program.wait(LIMIT, polled):
                    sim.all_online()
                    program.wait(LIMIT)
                if program.status is None or (program.status != 0) != profile.fails:
                    raise Wrong(f"it ends with status {program.status}: {program.text('err')}")
        limits = POLLS if polls else BAKE_POLLS if profile.command == "bake" else {}
        totals, found = collections.Counter(), []
        for row in self.log:
            action = row["action"]
            if profile.at and row["region"] != profile.at:
                continue
            totals[action] += 1
            if action in (profile.only.split() or totals) and totals[action] <= limits.get(action, 99):
                found.append((row["service"], action, totals[action]))
        found.sort(key=lambda f: (ORDER.index(f[1]) if f[1] in ORDER else len(ORDER), f[1], f[2]))
        alone = collections.Counter(action for _, action, _ in found)
        self.requests = [Request(*f, alone[f[1]] == 1) for f in found]

    def play(self):
        case = self.case
        with Simulator.borrow(self.folder, NEVER_ONLINE_MS if case.polls or self.profile.never_online else 10) as sim:
            self.sim, self.log = sim, sim.log
            args = self.prepare()
            if case.deed == "clock" and not case.request:
                sim.advance(3600)
            self.script()
            with Program(sim, "program", args, self.environment) as program:
                self.disturb(program)
                sim.control("DELETE", "faults")
                time.sleep(2 * TERMINATE_MS / 1000)
                state = sim.state("ended")
                self.judge_end(program, state)
            self.judge_launches(state)
            self.judge_bystanders(state)
            refused = [row for row in sim.log if row.get("code") == "RequestExpired" and not row["fault"]]
            most = 3 if case.deed == "clock" or self.profile.command == "reap" else 0  # what is under way when the clock is found wrong
            self.expect(len(refused) <= most, f"{len(refused)} requests were refused for the clock")
            if case.then == "stop":
                self.stop_of_the_run()
            if case.then == "grace":
                self.pass_grace()
            else:
                self.pass_life()
            sim.read()
            if sim.noise:
                raise Wrong(f"the simulator says: {' '.join(sim.noise)[:500]}")


# --- all cases -------------------------------------------------------------------------------------------------------


def play(case, root):
    """Runs a case. Returns it with what is wrong."""
    folder = os.path.join(root, re.sub(r"[^A-Za-z0-9]+", "-", case.name).strip("-"))
    os.makedirs(folder)
    p = Play(case, folder)
    try:
        if case.kind == UNDISTURBED:
            p.learn()
        else:
            p.play()
    except Wrong as e:
        p.wrong.append(str(e))
    except Exception:
        p.wrong.append(traceback.format_exc())
    with open(os.path.join(folder, "requests.log"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in p.log)
    return p


def sample():
    """Random mixes: a few, or with --long all of them."""
    seeds = mix.LONG if LONG else mix.SAMPLE
    return [(f"seed {seed}", mix.make_mix(seed)) for seed in seeds]


def is_sampled(case):
    """Of single faults every other one is met by the commands that people run most, and every fourth by the others, which
    also meet every other signal; --long meets all. Kills are never left out."""
    often = case.profile.name in MOST_RUN
    part = {"fault": 2 if often else 4, "signal": 1 if often else 2}.get(case.kind, 1)
    return LONG or zlib.crc32(case.name.encode()) % part == 0


def play_mix(name, what, root):
    p = mix.play(what, root, f"mix-{name}")
    p.case = Case("mix", None, what=name)
    return p


def run_all(pattern, root):
    """Runs all cases; yields them always in the same order."""
    chosen = [p for p in PROFILES if re.search(rf"(^|: ){re.escape(p.name)}(:|$)", pattern)]
    quick, slow = pools = [concurrent.futures.ThreadPoolExecutor(n) for n in WORKERS]
    try:
        learnt = [(p, slow.submit(play, Case(UNDISTURBED, p), root)) for p in chosen or PROFILES]
        cases = {p.name: [future] for p, future in learnt}
        for profile, future in sorted(learnt, key=lambda row: row[0].never_online):  # its requests are learnt last
            for case in cases_of(profile, future.result().requests):
                if pattern in case.name and (pattern or is_sampled(case)):
                    cases[profile.name].append((slow if case.slow else quick).submit(play, case, root))
        mixes = [(name, m) for name, m in named.all_named() + sample() if pattern in f"mix: {name}"]
        cases["mixes"] = [slow.submit(play_mix, name, m, root) for name, m in mixes]
        for future in (f for futures in cases.values() for f in futures):
            yield future.result()
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    began = time.monotonic()
    for sent in (signal.SIGHUP, signal.SIGQUIT):  # ignored under nohup, which the commands would inherit and respect
        signal.signal(sent, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if pattern == "mix":
        try:
            return mix.main(sys.argv[2:], named.all_named())
        finally:
            end_all()
    root = os.path.join(BUILD, "chaos") if pattern else tempfile.mkdtemp(prefix="mayfly-chaos-")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    failed, kinds = 0, collections.Counter()
    try:
        for p in run_all(pattern, root):
            kinds[p.case.kind] += 1
            failed += bool(p.wrong)
            why = " ".join("; ".join(p.wrong).split())
            print(f"not ok - {p.case.name}: {why}" if why else f"ok - {p.case.name}", flush=True)
        noise = Simulator.close_idle()
        if noise:
            failed += 1
            print(f"not ok - chaos: the simulators end well: {' '.join(noise)[:500]}")
    finally:
        end_all()
        if not pattern:
            shutil.rmtree(root, ignore_errors=True)
    total = sum(kinds.values())
    if not pattern and total < CASES_MIN:
        failed += 1
        print(f"not ok - chaos: there are {CASES_MIN} cases: only {total}")
    print(f"{total} cases in {time.monotonic() - began:.0f} s:", ", ".join(f"{kind} {n}" for kind, n in kinds.items()))
    if pattern:
        print(f"the logs of these cases are in {os.path.relpath(root)}")
    return failed > 0 or total == 0


if __name__ == "__main__":
    sys.exit(main())
