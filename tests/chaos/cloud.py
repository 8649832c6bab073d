"""A simulator for one case, the programs that run against it, and what the harness does there itself."""

import base64
import collections
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import select
import subprocess
import tempfile
import time
import urllib.parse

BUILD = os.environ.get("MAYFLY_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build", "test")
FLEET, OTHER_FLEET, ACCOUNT, REGION, REGION2 = "octo/demo", "octo/other", "123456789012", "us-east-1", "us-west-2"
IMAGE, SUBNET, SUBNET2, GROUP = "ami-0a11ce00000000001", "subnet-0a11ce01", "subnet-0a11ce02", "sg-0a11ce01"
TERMINATE_MS = 20  # from shutting-down to terminated
NEVER_ONLINE_MS = 3600 * 1000
running = set()  # every process that this harness started and that has not ended
closing = False


def mark(fleet):
    """What the names of a fleet's runners begin with."""
    digest = hashlib.sha256(f"{ACCOUNT}\n{fleet}".encode()).hexdigest()
    return f"mf-{digest[:6]}-"


def base36(n):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(n // 36) if n >= 36 else "") + digits[n % 36]


def spawn(*args, **kwargs):
    if closing:
        raise RuntimeError("the harness ends")
    process = subprocess.Popen(*args, stdin=subprocess.DEVNULL, **kwargs)
    running.add(process)
    return process


def end_all():
    """Ends what is left of cases that nobody waits for any more."""
    global closing
    closing = True
    for process in list(running):
        with contextlib.suppress(OSError):
            process.kill()


class State:
    """What exists, as /_sim/state tells it; `ours` leaves out what the harness planted."""

    def __init__(self, sim, raw):
        regions = raw["regions"].values()
        self.raw = raw
        self.instances = [i for r in regions for i in r["instances"]]
        self.volumes = [v for r in regions for v in r["volumes"]]
        self.spot_requests = [q for r in regions for q in r["spot_requests"]]
        self.runners = raw["runners"]
        self.ours = [i for i in self.instances if i["id"] not in sim.planted_instances]
        self.records = [r for r in self.runners if r["id"] not in sim.planted_records]
        self.live = [i for i in self.ours if i["state"] != "terminated"]
        self.alive = [i for i in self.live if i["state"] != "shutting-down"]
        self.by_id = {i["id"]: i for i in self.instances}
        self.baked = [{**i, "region": name} for name, r in raw["regions"].items() for i in r["images"]
                      if i["tags"].get("mayfly:role") == "bake"]
        self.snapshots = [{**n, "region": name} for name, r in raw["regions"].items() for n in r["snapshots"]
                          if n["tags"].get("mayfly:role") == "bake"]
        self.unproven = [thing["id"] for thing in self.baked + self.snapshots if "mayfly:limits" in thing["tags"]]


class Simulator:
    """One process; begin() makes it as good as new, for a case whose files go into `folder`."""

    idle = collections.defaultdict(list)  # by how runners come online in them

    def __init__(self, home, online_ms):
        self.never_online, self.noise, self.rest = online_ms == NEVER_ONLINE_MS, [], b""
        settings = os.path.join(home, "settings")
        self.process = spawn(
            [os.path.join(BUILD, "mayfly-sim"), "--env-file", settings, "--state-dir", home, "--verbose", "--boot", "10",
             "--online", str(online_ms), "--terminate-delay", str(TERMINATE_MS), "--bake", "10", "--image-delay", "10"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdout.readline()  # its settings are written
        os.set_blocking(self.process.stderr.fileno(), False)
        with open(settings, encoding="utf-8") as f:
            self.settings = dict(line.rstrip("\n").split("=", 1) for line in f)
        self.host = urllib.parse.urlsplit(self.settings["AWS_ENDPOINT_URL"]).netloc
        self.http = http.client.HTTPConnection(self.host, timeout=20)

    @classmethod
    @contextlib.contextmanager
    def borrow(cls, folder, online_ms):
        """An idle one or a new one. Where something went wrong it is not used again."""
        try:
            sim = cls.idle[online_ms].pop()
        except IndexError:
            sim = cls(tempfile.mkdtemp(prefix="sim-", dir=os.path.dirname(folder)), online_ms)
        try:
            sim.begin(folder)
            yield sim
        except BaseException:
            sim.process.kill()
            sim.close()
            raise
        cls.idle[online_ms].append(sim)

    @classmethod
    def close_idle(cls):
        """Ends all. Returns what they should not have said."""
        return [line for sims in cls.idle.values() for sim in sims for line in sim.close()]

    def begin(self, folder):
        self.folder, self.offset, self.log = folder, 0, []
        self.planted_instances, self.planted_records, self.busy = {}, {}, []
        self.control("POST", "reset")
        self.forget()

    def close(self):
        self.http.close()
        self.process.terminate()
        _, rest = self.process.communicate(timeout=20)
        running.discard(self.process)
        self._take(rest or b"")
        if self.process.returncode != 0:
            self.noise.append(f"exit status {self.process.returncode}")
        return self.noise

    # --- what it tells ---

    def _take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        rows = []
        for line in lines:
            try:
                rows.append(json.loads(line))
            except ValueError:
                self.noise.append(line.decode(errors="replace"))
        self.log += rows
        return rows

    def read(self):
        """The lines since the last call: requests that ended (with `status`) and that wait (with `when`)."""
        try:
            data = os.read(self.process.stderr.fileno(), 1 << 20)
        except BlockingIOError:
            return []
        if not data:
            raise RuntimeError("the simulator ended: " + " ".join(self.noise)[:300])
        return self._take(data)

    def forget(self):
        """Of what has happened so far nothing is in `log` any more."""
        self.read()
        del self.log[:]

    # --- what it is told ---

    def request(self, method, path, body=None, headers=None):
        self.http.request(method, path, body, headers or {})
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:300]}")
        return text

    def control(self, method, path, body=None):
        return self.request(method, f"/_sim/{path}", None if body is None else json.dumps(body))

    def state(self, name=None):
        raw = json.loads(self.control("GET", "state"))
        if name:
            with open(os.path.join(self.folder, f"state-{name}.json"), "w", encoding="utf-8") as f:
                json.dump(raw, f, indent=1)
        return State(self, raw)

    def advance(self, seconds):
        self.offset += seconds
        self.control("POST", "clock", {"advance_seconds": seconds})

    def release(self, drop):
        self.control("POST", "release", {"drop": drop})

    def all_online(self):
        """Every runner that a start waits for comes online."""
        for record in self.state().records:
            with contextlib.suppress(RuntimeError):  # it may be deleted at this moment
                self.control("POST", f"runners/{record['id']}", {"status": "online"})

    def published(self):
        """By region."""
        rows = json.loads(self.control("GET", "ssm"))
        return {row["region"]: row["value"] for row in rows if row["name"] == "/mayfly/ami/amd64"}

    def queue(self, label, run_id):
        """A job that outlives every case."""
        self.control("POST", "jobs", {"repository": FLEET, "name": label, "labels": [label], "run_id": run_id,
                                      "duration_ms": 10 * 86400 * 1000})

    # --- calls of its services, by other code than the program's ---

    def github(self, method, path, body=None):
        text = self.request(method, f"/api/v3/repos/{FLEET}/actions/runners{path}", body and json.dumps(body), {
            "Authorization": f"Bearer {self.settings['MAYFLY_GITHUB_TOKEN']}", "User-Agent": "chaos"})
        return json.loads(text) if text else None

    def ec2(self, action, parameters):
        body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.offset))
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": self.host,
                   "x-amz-date": stamp, "x-amz-security-token": self.settings["AWS_SESSION_TOKEN"]}
        names, scope = ";".join(sorted(headers)), f"{stamp[:8]}/{REGION}/ec2/aws4_request"
        canonical = "\n".join(["POST", "/", "", *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names,
                               hashlib.sha256(body.encode()).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.settings["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.settings['AWS_ACCESS_KEY_ID']}/{scope}, "
                                    f"SignedHeaders={names}, Signature={signature}")
        return self.request("POST", "/", body, headers).decode()

    # --- bystanders: whatever happens in a case, they live on ---

    def plant_record(self, name, label):
        minted = self.github("POST", "/generate-jitconfig", {"name": name, "runner_group_id": 1, "labels": [label]})
        self.planted_records[minted["runner"]["id"]] = name
        return minted

    def plant(self, who, fleet, tags, busy):
        """An instance with an online runner, which runs a job if it is busy."""
        name = f"{mark(fleet)}{REGION}-{base36(int(time.time() + self.offset))}-{who.replace('-', '')}"
        label = tags.get("mayfly:label") or f"bystander-{who}"
        minted = self.plant_record(name, f"bystander-{who}")
        all_tags = {"Name": name, "mayfly:fleet": fleet, "mayfly:scope": FLEET, "mayfly:label": label,
                    "mayfly:runner": name, "mayfly:runner-id": str(minted["runner"]["id"]), "mayfly:role": "runner",
                    **tags}
        user_data = f"#!/bin/sh\nMAYFLY_JIT='{minted['encoded_jit_config']}'\n"
        parameters = {"ImageId": IMAGE, "InstanceType": "m7i.large", "SubnetId": SUBNET, "SecurityGroupId.1": GROUP,
                      "MinCount": "1", "MaxCount": "1", "ClientToken": f"bystander-{who}",
                      "InstanceInitiatedShutdownBehavior": "terminate",
                      "UserData": base64.b64encode(user_data.encode()).decode()}
        for n, (key, value) in enumerate(all_tags.items(), 1):
            for r, resource in enumerate(("instance", "volume"), 1):
                parameters[f"TagSpecification.{r}.ResourceType"] = resource
                parameters[f"TagSpecification.{r}.Tag.{n}.Key"] = key
                parameters[f"TagSpecification.{r}.Tag.{n}.Value"] = value
        if busy:
            self.busy.append(name)
        if busy and not self.never_online:
            self.queue(f"bystander-{who}", 9)
        answer = self.ec2("RunInstances", parameters)
        self.planted_instances[answer.split("<instanceId>")[1].split("<")[0]] = name
        status = {"status": "online"} | ({"busy": True} if busy and self.never_online else {})
        self.control("POST", f"runners/{minted['runner']['id']}", status)


class Program:
    """One run of mayfly."""

    def __init__(self, sim, name, args, environment=None):
        self.sim, self.name, self.command, self.args = sim, name, args[0], args
        self.files = {s: os.path.join(sim.folder, f"{name}.{s}") for s in ("out", "err", "trace", "summary")}
        settings = {"PATH": os.environ["PATH"], "HOME": sim.folder, "GITHUB_STEP_SUMMARY": self.files["summary"],
                    **sim.settings, **(environment or {})}
        settings |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        with open(self.files["out"], "wb") as out, open(self.files["err"], "wb") as err:
            self.process = spawn([os.path.join(BUILD, "mayfly"), *args, "--trace", self.files["trace"]], stdout=out,
                                 stderr=err, env=settings, cwd=sim.folder)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.began = time.monotonic()
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        os.close(self.pidfd)

    def wait(self, seconds, stop=None):
        """Until it ends (True), or `stop` says so of a line of the simulator's, or the time is up (False)."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.sim.process.stderr, select.POLLIN)
        while self.status is None:
            left = until - time.monotonic()
            ready = dict(poll.poll(max(left, 0) * 1000)) if left > 0 else {}
            rows = self.sim.read()  # before the end is noticed, so that nothing that was told is missed
            if stop and any([stop(row) for row in rows]):
                return False
            if self.pidfd in ready:
                self._ended()
            elif left <= 0:
                return False
        return True

    def is_over(self):
        if self.status is None and select.select([self.pidfd], [], [], 0)[0]:
            self._ended()
        return self.status is not None

    def _ended(self):
        self.status = self.process.wait()
        self.took = time.monotonic() - self.began
        running.discard(self.process)

    def kill(self):
        if self.status is None:
            self.process.kill()
            self._ended()

    def text(self, stream):
        try:
            with open(self.files[stream], encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""
