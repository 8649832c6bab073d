"""action.yml against the simulator: inputs of machulav/ec2-github-runner as its README has them, Mayfly's own, stop,
signals, and the three ways to a program."""

import base64
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import inputs
from github import Composite, Local
from simulator import BUILD, LIVE, TOP, Simulator, check, equal, has, report
import simulator

IMAGE = "ami-0a11ce00000000001"
BASIC = {
    "ec2-image-id": IMAGE,
    "ec2-instance-type": "t3.nano",
    "subnet-id": "subnet-0a11ce01",
    "security-group-id": "sg-0a11ce01",
}
PRE_RUNNER = """sudo yum update -y && \\
  sudo yum install docker git libicu -y
echo "it's $HOME, `date`, ${x:-'quoted'}" 'and "so"' >/tmp/x # $(no) \\n %s
cat <<'END'
\ttab, ünïcode, ${{ not an expression }}
END
sudo systemctl enable docker"""


def places(*rows):
    return json.dumps([dict(zip(("imageId", "subnetId", "securityGroupId", "region"), row)) for row in rows])


def without_mayfly():
    """The PATH without the folders that have a mayfly."""
    return ":".join(d for d in os.environ["PATH"].split(":") if d and not (Path(d) / "mayfly").exists())


class World:
    """A simulator, and steps that run against it, each with the environment of a job of its own."""

    def __init__(self, tmp, sim, action=TOP):
        self.tmp, self.sim, self.composite = Path(tmp), sim, Composite(action)
        self.runs = 1000

    def local(self, run_id=None, path=None, temp=None, **env):
        self.runs += 1
        names = ("AWS_", "GITHUB_")
        whole = {k: v for k, v in self.sim.env.items() if k.startswith(names)}
        whole |= {
            "PATH": path or f"{BUILD}:{os.environ['PATH']}",
            "HOME": str(self.tmp),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_RUN_ID": str(run_id or self.runs),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_JOB": "start",
        }
        return Local(temp or tempfile.mkdtemp(dir=self.tmp), whole | env)

    def step(self, mode, given, local=None, **more):
        token = {"github-token": self.sim.env.get("MAYFLY_GITHUB_TOKEN", "")}
        return self.composite.run(local or self.local(), {"mode": mode} | token | given, **more)


# --- inputs ----------------------------------------------------------------------------------------------------------


def no_drift(tmp):
    """action.yml has what the tables have, and this test would see it if not."""
    command = [sys.executable, Path(__file__).with_name("inputs.py"), BUILD / "mayfly"]
    told = subprocess.run([*command, TOP / "action.yml"], capture_output=True, text=True)
    why = f"{told.stdout}{told.stderr} (tests/action/inputs.py {BUILD}/mayfly action.yml --write puts it right)"
    check("every input is an option and every option an input", told.returncode == 0, why)
    text = (TOP / "action.yml").read_text()
    for name, old, new, want in (
        ("a missing input", "  fallback-label:\n", "  fallback-lable:\n", "the option fallback-label is no input"),
        ("an extra input", "  fallback-label:\n", "  fallback-lable:\n", "the input fallback-lable is no option"),
        ("another help text", "instance types, in the order", "types, in the order", "the input types is described"),
        ("another variable", "INPUT_COUNT: ${{ inputs.count }}", "INPUT_COUNT: ${{ inputs.max }}", "INPUT_COUNT=$"),
        ("a default", "  count:\n", "  count:\n    default: '2'\n", "the input count has more than a description"),
        ("no variable", "        INPUT_COUNT: ${{ inputs.count }}\n", "", "INPUT_COUNT=None"),
        ("an extra variable", "        INPUT_COUNT:", "        INPUT_CUONT: x\n        INPUT_COUNT:", "INPUT_CUONT=x"),
    ):
        changed = Path(tmp) / "changed.yml"
        assert old in text
        changed.write_text(text.replace(old, new))
        told = subprocess.run([*command, changed], capture_output=True, text=True)
        check(f"{name} would be seen", told.returncode == 1 and want in told.stdout, told.stdout + told.stderr)
        subprocess.run([*command, changed, "--write"], check=True)
    peers = """
        mode github-token availability-zones-config ec2-image-id subnet-id security-group-id ec2-instance-type
        label ec2-instance-id iam-role-name aws-resource-tags runner-home-dir pre-runner-script market-type
        block-device-mappings ec2-volume-size ec2-volume-type ec2-device-name startup-quiet-period-seconds
        startup-retry-interval-seconds startup-timeout-minutes run-runner-as-service run-runner-as-user
        metadata-options packages use-jit runner-group-id runner-debug
    """.split()
    action = Composite(TOP).action
    equal("no input of machulav/ec2-github-runner is missing", [p for p in peers if p not in action["inputs"]], [])
    equal("no output is missing", {"label", "ec2-instance-id", "region"} - action["outputs"].keys(), set())
    said = []
    for command in ("start", "bake"):
        told = subprocess.run([BUILD / "mayfly", command, "--help"], capture_output=True, text=True).stdout
        said += re.search(r"Outputs: ([a-z0-9,\s-]+)\.", told).group(1).replace(",", " ").split()
    equal("the outputs are those of start --help and bake --help", sorted(action["outputs"]), sorted(said))
    script = (TOP / "src/action.sh").read_text()
    equal(
        "the modes are those of the script",
        re.search(r"^([a-z| ]+)\) ;;$", script, re.M).group(1),
        " | ".join(inputs.MODES),
    )


# What the README of machulav/ec2-github-runner shows, with ids that the simulator has: inputs, then what must be true
# of the instance and of the step.
EXAMPLES = {
    "the basic example": (
        BASIC
        | {
            "iam-role-name": "my-role-name",
            "aws-resource-tags": '[\n  {"Key": "Name", "Value": "ec2-github-runner"},\n'
            '  {"Key": "GitHubRepository", "Value": "octo/demo"}\n]\n',
            "block-device-mappings": '[\n  {"DeviceName": "/dev/sda1", '
            '"Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}\n]\n',
        },
        lambda i, _: {
            "type": (i["type"], "t3.nano"),
            "profile": (i["profile"].rsplit("/")[-1], "my-role-name"),
            "tags": ([i["tags"].get(k) for k in ("Name", "GitHubRepository")], ["ec2-github-runner", "octo/demo"]),
            "volume": ([(v["device"], v["size"], v["type"]) for v in i["volumes"]], [("/dev/sda1", 100, "gp3")]),
        },
    ),
    "JIT runners": (
        BASIC | {"use-jit": "true", "runner-group-id": "1"},
        lambda i, r: {"notices": (r.log.count("::notice::"), 0)},
    ),
    "several zones and regions": (
        {
            "ec2-instance-type": "t3.nano",
            "market-type": "spot",
            "availability-zones-config": places(
                ("ami-0a11ce00000002001", "subnet-0a11ce21", "sg-0a11ce21", "us-west-2"),
                (IMAGE, "subnet-0a11ce02", "sg-0a11ce01"),
                ("ami-0a11ce00000003001", "subnet-0a11ce31", "sg-0a11ce31", "eu-west-1"),
            ),
        },
        lambda i, r: {
            "place": ((i["region"], i["subnet"]), ("us-west-2", "subnet-0a11ce21")),
            "market": ((i["lifecycle"], r.outputs["market"]), ("spot", "spot")),
            "region": (r.outputs["region"], "us-west-2"),
        },
    ),
    "several instance types": (
        BASIC | {"ec2-instance-type": '["c5.xlarge", "m5.xlarge"]', "market-type": "spot"},
        lambda i, r: {"type": ((i["type"], r.outputs["instance-type"]), ("c5.xlarge", "c5.xlarge"))},
    ),
    "debug mode": (
        BASIC | {"runner-debug": "true", "startup-timeout-minutes": "10"},
        lambda i, r: {"requests are told": ("debug: " in r.log, True)},
    ),
    "packages": (
        BASIC | {"packages": '["git", "docker.io", "nodejs"]'},
        lambda i, _: {"user-data": ("MAYFLY_PACKAGES='git\ndocker.io\nnodejs'" in i["user-data"], True)},
    ),
    "metadata options": (
        BASIC
        | {"metadata-options": '{"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}'},
        lambda i, _: {
            "options": ([i["metadata_options"][k] for k in ("tokens", "endpoint", "hops")], ["required", "enabled", 2])
        },
    ),
    "block devices": (
        BASIC | {"block-device-mappings": '[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 9}}]'},
        lambda i, _: {"volumes": (sorted(v["device"] for v in i["volumes"]), ["/dev/sda1", "/dev/sdb"])},
    ),
    "the root volume": (
        BASIC | {"ec2-volume-size": "64", "ec2-volume-type": "gp3", "ec2-device-name": "/dev/sda1"},
        lambda i, _: {
            "volume": ([(v["device"], v["size"], v["type"]) for v in i["volumes"]], [("/dev/sda1", 64, "gp3")])
        },
    ),
    "a script before the runner": (
        BASIC | {"pre-runner-script": PRE_RUNNER + "\n"},
        lambda i, _: {"script": (pre_runner(i), PRE_RUNNER)},
    ),
    "a runner in the image, of another user": (
        BASIC | {"runner-home-dir": "/home/ci/actions-runner", "run-runner-as-user": "ci"},
        lambda i, _: {
            "user-data": (
                [v in i["user-data"] for v in ("MAYFLY_USER='ci'", "MAYFLY_RUNNER_DIR='/home/ci/actions-runner'")],
                [True] * 2,
            )
        },
    ),
    "what means nothing here": (
        BASIC
        | {
            "use-jit": "false",
            "run-runner-as-service": "true",
            "startup-quiet-period-seconds": "30",
            "startup-retry-interval-seconds": "10",
        },
        lambda i, r: {
            "warnings": ("::warning::each runner takes one job" in r.log, True),
            "notices": (
                sorted(re.findall(r"^::notice::--([a-z-]+) \(input \1\) has no effect: ", r.log, re.M)),
                ["run-runner-as-service", "startup-quiet-period-seconds", "startup-retry-interval-seconds"],
            )
        },
    ),
    "all defaults, given": (
        BASIC
        | {
            "availability-zones-config": "",
            "label": "",
            "ec2-instance-id": "",
            "iam-role-name": "",
            "aws-resource-tags": "[]",
            "runner-home-dir": "",
            "pre-runner-script": "",
            "market-type": "",
            "block-device-mappings": "[]",
            "ec2-volume-size": "",
            "ec2-volume-type": "",
            "ec2-device-name": "/dev/sda1",
            "startup-timeout-minutes": "5",
            "run-runner-as-service": "false",
            "run-runner-as-user": "",
            "metadata-options": "{}",
            "packages": "[]",
            "runner-group-id": "1",
            "runner-debug": "false",
        },
        lambda i, r: {"market": (i["lifecycle"], "on-demand"), "notices": (r.log.count("::notice::"), 0)},
    ),
    "a label of one's own, padded": (
        BASIC | {"label": " my-label\n"},
        lambda i, r: {"label": (r.outputs["label"], "my-label")},
    ),
    "Mayfly's own inputs": (
        {
            "image": "ssm:/mayfly/ami/arm64",
            "types": "m7g.large",
            "subnets": "subnet-0a11ce01",
            "security-groups": "sg-0a11ce01",
            "count": "2",
            "volume-encrypted": "true",
            "max-lifetime": "1h",
            "name": "arm",
        },
        lambda i, r: {
            "image": (i["image"], "ami-0a11ce00000000004"),
            "two": (len(json.loads(r.outputs["ec2-instance-ids"])), 2),
            "tags": (i["tags"]["mayfly:name"], "arm"),
        },
    ),
}


def pre_runner(instance):
    encoded = re.search(r"^MAYFLY_PRE_RUNNER='?([A-Za-z0-9+/=]*)", instance["user-data"], re.M).group(1)
    return base64.b64decode(encoded).decode()


def gone(world, instance):
    return world.sim.instances()[instance]["state"] not in LIVE


def example(world, name):
    given, expected = EXAMPLES[name]
    began = world.step("start", {"startup-timeout-minutes": "1"} | given)
    if not check(f"{name}: start", began.status == 0, began.log):
        return
    id = began.outputs["ec2-instance-id"]
    instance = world.sim.instances()[id] | {"user-data": world.sim.user_data(id)}
    for what, (got, want) in expected(instance, began).items():
        equal(f"{name}: {what}", got, want)
    equal(f"{name}: the label is on the instance", instance["tags"]["mayfly:label"], began.outputs["label"])
    equal(f"{name}: no fallback", began.outputs["fallback"], "false")
    has(f"{name}: the summary", began.summary, f"### Mayfly: started `{began.outputs['label']}`")
    if "region" in began.outputs and name != "several zones and regions":
        equal(f"{name}: the region", began.outputs["region"], "us-east-1")
    ids = json.loads(began.outputs["ec2-instance-ids"])
    # The inputs of start do no harm to stop.
    ended = world.step(
        "stop",
        given
        | {
            "label": began.outputs["label"],
            "ec2-instance-id": id if len(ids) == 1 else began.outputs["ec2-instance-ids"],
        },
    )
    check(f"{name}: stop", ended.status == 0 and ended.log.count("terminated i-") == len(ids), ended.log)
    check(f"{name}: it is gone", all(gone(world, i) for i in ids))


# --- a GitHub App ----------------------------------------------------------------------------------------------------


def as_an_app(tmp):
    """The key as its file has it, over several lines, and as one line with \\n in it."""
    key = Path(tmp) / "app.pem"
    with Simulator(f"{tmp}/app", "--boot", "200", "--online", "300", "--terminate-delay", "100", "--app-key", key) as sim:
        world = World(tmp, sim)
        pem = key.read_text()
        for name, text in (("over several lines", pem), ("in one line", pem.replace("\n", "\\n"))):
            app = {"github-token": "", "app-id": sim.env["MAYFLY_APP_ID"], "app-key": text}
            began = world.step("start", BASIC | app)
            check(f"an App's key {name}: start", began.status == 0, began.log)
            ended = world.step("stop", app | {"label": began.outputs.get("label", "")})
            check(f"an App's key {name}: stop", ended.status == 0 and not sim.live(), ended.log)
            check(f"an App's key {name}: is not in the log", pem.split("\n")[1] not in began.log + ended.log)
        told = world.step("start", BASIC | app | {"github-token": "ghp_x"})
        check("an App and a token", told.status == 2, told.log)
        has("an App and a token: it says so", told.log, "both a GitHub App (--app-id) and a token")


# --- stop ------------------------------------------------------------------------------------------------------------


def stop_by_run(world):
    """Both outputs empty, as after a start that died or was skipped, are not the same as none: the run's own tags say what
    to stop, and what another start has handed out."""
    local = world.local()
    began = world.step("start", BASIC, local)
    id = began.outputs["ec2-instance-id"]
    for given in ({"label": "", "ec2-instance-id": ""}, {"label": ""}, {"instance": "  "}):
        ended = world.step("stop", given, local)
        check(f"{given} spares another start's", ended.status == 0 and f"{id} was handed out" in ended.log, ended.log)
    check("it is there", not gone(world, id))
    ended = world.step("stop", {}, local)
    has("stop with neither label nor instance", ended.log, f"terminated {id}")
    again = world.step("stop", {"label": "", "ec2-instance-id": " \n"}, local)
    check("stop again finds nothing and is content", again.status == 0 and "nothing to stop" in again.log, again.log)


def both_are_ended(world):
    """A drop-in workflow gives both, and the instance is only the first of several."""
    began = world.step("start", BASIC | {"count": "2"})
    ended = world.step("stop", {"label": began.outputs["label"], "ec2-instance-id": began.outputs["ec2-instance-id"]})
    ids = json.loads(began.outputs["ec2-instance-ids"])
    check("with label and instance, all of both end", ended.status == 0 and all(gone(world, i) for i in ids), ended.log)
    again = world.step("start", BASIC)
    ended = world.step("stop", {"label": again.outputs["label"]})
    check("the label alone", ended.status == 0 and gone(world, again.outputs["ec2-instance-id"]), ended.log)


def fallback(world):
    """When there is no room the label is the hosted runner's, and stop has nothing to do."""
    local = world.local()
    began = world.step(
        "start", BASIC | {"fallback-label": "ubuntu-latest", "ec2-instance-type": "m7a.metal-48xl"}, local
    )
    equal("no room: the label", began.outputs["label"], "ubuntu-latest")
    equal("no room: fallback", began.outputs["fallback"], "true")
    equal("no room: no instance", began.outputs["ec2-instance-id"], "")
    has("no room: a warning", began.log, "::warning::falling back to the label `ubuntu-latest`")
    ended = world.step("stop", {"label": began.outputs["label"], "ec2-instance-id": ""}, local)
    check("no room: stop has nothing to do", ended.status == 0 and "nothing to stop" in ended.log, ended.log)


def refused(world):
    for name, mode, given, want in (
        ("no mode", "", BASIC, "::error::mayfly: mode: `` is none of: start, stop, reap, status, doctor, bake"),
        ("a mode to obey", "st\x1b[2Jart ##[x]%0A", BASIC, "::error::mayfly: mode: `st?[2Jart ##(x]"),
        ("a mode with blanks", " start\n", BASIC | {"ec2-image-id": ""}, "::error::mayfly start: --image is missing"),
        ("an unknown mode", "begin", BASIC, "mode: `begin` is none of"),
        (
            "an unknown market",
            "start",
            BASIC | {"market-type": "cheap"},
            "::error::mayfly start: --market (input market-type): `cheap` is not one of: spot on-demand",
        ),
        ("no image", "start", BASIC | {"ec2-image-id": ""}, "::error::mayfly start: --image is missing"),
        (
            "a timeout of no minutes",
            "start",
            BASIC | {"startup-timeout-minutes": "five"},
            "--timeout (input startup-timeout-minutes): `five` is not a whole number",
        ),
        ("a bad instance", "stop", {"ec2-instance-id": "i-"}, "--instance (input ec2-instance-id): `i-` is not an id"),
        ("no token", "start", BASIC | {"github-token": ""}, "no GitHub token"),
    ):
        told = world.step(mode, given)
        check(f"{name} is refused", told.status != 0 and want in told.log, told.log)


def reap(world):
    told = world.step("reap", {"dry-run": "true", "regions": "us-east-1,us-west-2"})
    check("mode: reap", told.status == 0 and "fleet octo/demo" in told.log, told.log)


def status(world):
    """What there is, in the log and in the summary."""
    began = world.step("start", BASIC)
    id = began.outputs["ec2-instance-id"]
    told = world.step("status", {"regions": "us-east-1,us-west-2"})
    check("mode: status", told.status == 0 and re.search(rf"^{id} .* keep +launched", told.log, re.M), told.log)
    has("mode: status writes a summary", told.summary, f"| `{id}` | ")
    world.step("stop", {"label": began.outputs["label"]})


def doctor(world):
    """The inputs of start, looked into."""
    told = world.step("doctor", BASIC | {"startup-timeout-minutes": "5"})
    check("mode: doctor", told.status == 0 and "a launch would work" in told.log, told.log)
    told = world.step("doctor", BASIC | {"subnet-id": "subnet-00000000000000000"})
    check("mode: doctor fails when a launch would", told.status == 1 and "a launch would fail" in told.log, told.log)


def no_injection(world):
    """What a workflow was given is a value, whatever it holds."""
    mark = world.tmp / "mark"
    evil = f"x$(touch {mark})`touch {mark}`'; touch {mark}; '\"; touch {mark}; \""
    for name in ("label", "name", "ec2-image-id", "types", "mode", "user"):
        told = world.step("start", BASIC | {name: evil})
        check(f"shell code in {name} is refused as a value", told.status != 0, told.log)
    check("none of it ran", not mark.exists())


# --- signals ---------------------------------------------------------------------------------------------------------


def cancelled(world, number, phase):
    """The runner signals the step's own process and nobody else."""
    name = f"{number.name} {phase}"
    local = world.local()
    results = []
    before = set(world.sim.instances())
    thread = threading.Thread(target=lambda: results.append(world.step("start", BASIC, local)))
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        new = [
            v
            for i, v in world.sim.instances().items()
            if v["tags"].get("mayfly:run") == f"{local.env['GITHUB_RUN_ID']}/1"
        ]
        if new and new[0]["state"] == ("running" if phase == "while the runner comes" else new[0]["state"]):
            break
        time.sleep(0.05)
    signalled = time.monotonic()
    os.kill(local.process.pid, number)
    thread.join(30)
    took = time.monotonic() - signalled
    result = results[0]
    check(
        f"{name}: the step fails within 8 s",
        result.status not in (0, -number) and took < 8,
        f"{result.status} after {took:.1f} s: {result.log}",
    )
    has(f"{name}: it says so", result.log, "interrupted by a signal")
    ours = [
        i
        for i, v in world.sim.instances().items()
        if i not in before and v["tags"].get("mayfly:run") == f"{local.env['GITHUB_RUN_ID']}/1"
    ]
    check(f"{name}: there was an instance, and it is gone", ours and all(gone(world, i) for i in ours), f"{ours}")
    names = [r["name"] for r in world.sim.state()["runners"]]
    check(
        f"{name}: no record is left",
        not any(v["tags"].get("mayfly:runner") in names for i, v in world.sim.instances().items() if i in ours),
    )


# --- the ways to a program -------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder on loopback and counts what it is asked for."""

    def __init__(self, folder):
        self.hits = hits = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                hits.append(self.path)
                super().do_GET()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


def checkout(tmp):
    """What GitHub unpacks of the action: the files of the repository, without its history or what was built."""
    copy = Path(tempfile.mkdtemp(dir=tmp)) / "_actions/OWNER/mayfly/v1"
    files = subprocess.run(
        ["git", "-C", TOP, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    for name in files.stdout.splitlines():
        if (TOP / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, copy / name)
    return copy


def release(world):
    copy, served = checkout(world.tmp), Path(tempfile.mkdtemp(dir=world.tmp))
    machine = os.uname().machine
    binary = f"mayfly-0.1.0-linux-{machine}"
    shutil.copy(BUILD / "mayfly", served / binary)
    sum = hashlib.sha256((served / binary).read_bytes()).hexdigest()
    server = Server(served)
    sums = copy / "src/action.sha256"
    head = sums.read_text()
    other = f"{'0' * 64}  {server.url}/mayfly-0.1.0-linux-{'aarch64' if machine != 'aarch64' else 'x86_64'}\n"
    here = World(world.tmp, world.sim, copy)
    local = here.local(path=without_mayfly())
    sums.write_text(head + other + f"{sum}  {server.url}/{binary}\n")
    began = here.step("start", BASIC, local)
    check(
        "without a mayfly on the PATH: the release binary",
        began.status == 0 and "ec2-instance-id" in began.outputs,
        began.log,
    )
    ended = here.step("stop", {"ec2-instance-id": began.outputs["ec2-instance-id"]}, local)
    check(
        "the next step of the job has it already",
        ended.status == 0 and server.hits == [f"/{binary}"],
        f"{server.hits} {ended.log}",
    )
    kept = local.temp / "mayfly" / sum
    kept.chmod(0o755)
    with open(kept, "ab") as f:
        f.write(b"more")
    told = here.step("reap", {"dry-run": "true"}, local)
    check("one that was changed since is not run", told.status == 1 and "it was not run" in told.log, told.log)
    wrong = "1" * 64
    sums.write_text(head + f"{wrong}  {server.url}/{binary}\n")
    told = here.step("start", BASIC, here.local(path=without_mayfly()))
    check("a wrong checksum is refused", told.status == 1, told.log)
    has(
        "and says which file and what to do",
        told.log,
        f"::error::mayfly: the SHA-256 of {server.url}/{binary} is not {wrong}",
    )
    has("with a hint", told.log, "hint: try again")
    sums.write_text(head + f"{sum}  http://example.com/{binary}\n")
    told = here.step("start", BASIC, here.local(path=without_mayfly()))
    check(
        "neither https nor loopback is refused",
        told.status == 1 and "is neither https nor loopback" in told.log,
        told.log,
    )


def build(world):
    """The release cannot be had, so it is built, once a job."""
    copy = checkout(world.tmp)
    server = Server(tempfile.mkdtemp(dir=world.tmp))
    binary = f"mayfly-0.1.0-linux-{os.uname().machine}"
    (copy / "src/action.sha256").write_text(f"{'2' * 64}  {server.url}/{binary}\n")
    here = World(world.tmp, world.sim, copy)
    local = here.local(path=without_mayfly(), CFLAGS="-O0")
    began = here.step("start", BASIC, local, timeout=300)
    check(
        "without a release: built from the checkout", began.status == 0 and "mayfly: built in" in began.log, began.log
    )
    has("a release that cannot be had is a warning", began.log, "::warning::mayfly: http")
    made = sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file())
    ended = here.step("stop", {"ec2-instance-id": began.outputs["ec2-instance-id"]}, local)
    check("the next step of the job does not build", ended.status == 0 and "building" not in ended.log, ended.log)
    check("and stops the instance", gone(world, began.outputs["ec2-instance-id"]))
    names = subprocess.run(
        ["git", "-C", TOP, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    extra = {str(p) for p in made} - set(names.stdout.splitlines())
    equal("the checkout stays as it was", sorted(extra), [])


def broken_build(world):
    """Without a real build: what it gets to see, and how it fails."""
    copy = checkout(world.tmp)
    here = World(world.tmp, world.sim, copy)
    seen = world.tmp / "seen"
    (copy / "autogen.sh").write_text(f"#!/bin/sh\nenv >{seen}\necho no autoconf here\nexit 3\n")
    told = here.step("start", BASIC, here.local(path=without_mayfly()))
    check("a build that fails says why", told.status == 1 and "no autoconf here" in told.log, told.log)
    has("and what to do", told.log, "put a `mayfly` on the PATH")
    names = [line.split("=")[0] for line in seen.read_text().splitlines()]
    equal("a build sees no secrets", [n for n in names if re.match("INPUT_|AWS_|GITHUB_|MAYFLY_", n)], [])
    binary = Path(tempfile.mkdtemp(dir=world.tmp)) / f"mayfly-0.1.0-linux-{os.uname().machine}"
    binary.write_text("of another system")
    url = f"{Server(binary.parent).url}/{binary.name}"
    (copy / "src/action.sha256").write_text(f"{hashlib.sha256(binary.read_bytes()).hexdigest()}  {url}\n")
    told = here.step("start", BASIC, here.local(path=without_mayfly()))
    check(
        "a release that does not run here is not used",
        "::warning::mayfly: the release binary does not run" in told.log and "no autoconf here" in told.log,
        told.log,
    )
    (copy / "autogen.sh").write_text(f"#!/bin/sh\necho $$ >{seen}.pid\nsleep 61\n")
    local, results = here.local(path=without_mayfly()), []
    thread = threading.Thread(target=lambda: results.append(here.step("start", BASIC, local)))
    thread.start()
    pid = Path(f"{seen}.pid")
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(local.process.pid, signal.SIGINT)
    thread.join(40)  # the build itself would take 61 s
    check("a signal ends a build at once", results and results[0].status == 130, results and results[0].log)
    thread.join()
    stat, deadline = Path(f"/proc/{pid.read_text().strip()}/stat"), time.monotonic() + 2
    while (alive := stat.exists() and ") Z" not in stat.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    check("and what it had started", not alive)


def main():
    with tempfile.TemporaryDirectory() as tmp, Simulator(
        f"{tmp}/sim", "--boot", "200", "--online", "300", "--terminate-delay", "100"
    ) as sim:
        with Simulator(f"{tmp}/slow", "--boot", "300", "--online", "600000", "--terminate-delay", "100") as slow:
            world, waiting = World(tmp, sim), World(tmp, slow)
            fault = {
                "service": "ec2",
                "action": "RunInstances",
                "fault": "capacity",
                "match": {"InstanceType": "m7a.metal-48xl"},
                "times": 99,
            }
            sim.ask("faults", "POST", [fault])
            work = [functools.partial(build, world), functools.partial(no_drift, tmp), functools.partial(as_an_app, tmp)]
            work += [functools.partial(example, world, name) for name in EXAMPLES]
            work += [
                functools.partial(f, world)
                for f in (release, broken_build, stop_by_run, both_are_ended, fallback, refused, reap, status, doctor, no_injection)
            ]
            work += [
                functools.partial(cancelled, waiting, n, p)
                for n, p in (
                    (signal.SIGINT, "while the runner comes"),
                    (signal.SIGTERM, "while the runner comes"),
                    (signal.SIGINT, "right after the launch"),
                )
            ]

            def run(one):
                try:
                    one()
                except Exception:
                    report(f"{one.func.__name__} {one.args[1:]}", traceback.format_exc())

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(run, work))
            left = {i: v["tags"].get("mayfly:label") for i, v in sim.live().items()} | dict(slow.live())
            equal("nothing is left", (left, sim.state()["runners"], slow.state()["runners"]), ({}, [], []))
    return 1 if simulator.failures else 0


if __name__ == "__main__":
    sys.exit(main())
