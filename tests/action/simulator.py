"""A mayfly-sim of one's own, and the lines that tests/run counts."""

import json
import os
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MAYFLY_BUILD", TOP / "build" / "test"))
LIVE = ("pending", "running", "stopping", "stopped")

failures = 0
_lock = threading.Lock()


def report(name, why=None):
    """`ok - NAME`, or `not ok - NAME: WHY`."""
    global failures
    with _lock:
        if why is None:
            print(f"ok - {name}", flush=True)
        else:
            failures += 1
            print(f"not ok - {name}: {' '.join(str(why).split())[-1500:]}", flush=True)


def check(name, good, why="it is not so"):
    report(name, None if good else why)
    return good


def equal(name, got, want):
    return check(name, got == want, f"got `{got}`, wanted `{want}`")


def has(name, text, part):
    return check(name, part in text, f"no `{part}` in: {text}")


class Simulator:
    def __init__(self, directory, *options):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        env_file = self.directory / "env"
        with open(self.directory / "sim.log", "wb") as log:
            self.process = subprocess.Popen(
                [BUILD / "mayfly-sim", "--port", "0", "--env-file", env_file, *options],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )
        deadline = time.monotonic() + 15
        while not env_file.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the simulator does not start: " + (self.directory / "sim.log").read_text())
            time.sleep(0.02)
        self.env = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        self.url = self.env["AWS_ENDPOINT_URL"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, method="GET", body=None):
        request = urllib.request.Request(
            f"{self.url}/_sim/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def state(self):
        return json.loads(self.ask("state"))

    def instances(self, state=None):
        """All instances by id, each with its region and volumes."""
        found = {}
        for name, region in (state or self.state())["regions"].items():
            for i in region["instances"]:
                volumes = [v for v in region["volumes"] if v["instance"] == i["id"]]
                found[i["id"]] = i | {"region": name, "volumes": volumes}
        return found

    def live(self):
        return {i: v for i, v in self.instances().items() if v["state"] in LIVE}

    def user_data(self, instance):
        return self.ask(f"instances/{instance}/user-data")
