"""examples/workflows: actionlint accepts each, and they run, with the simulator's instances for machines."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

import simulator
from expressions import interpolate, text_of
from github import Composite, Local
from simulator import TOP, Simulator, check, equal, has, report
from workflow import Platform, Run, git_repository, needs_permission

EXAMPLES = TOP / "examples/workflows"
FAST = ("--instances", "sandbox", "--boot", "100", "--terminate-delay", "100")
TESTS = {"run-tests": '#!/bin/sh\necho "tested on $RUNNER_NAME, $RUNNER_ARCH"\n'}


STEPS = "on: push\njobs:\n  docs:\n    runs-on: ubuntu-latest\n    steps:\n"  # around those that the docs show


def all_workflows():
    """Each workflow that is ours: the examples, those of this repository, and what README and docs/ show of one."""
    found = {p.name: p.read_text() for folder in (EXAMPLES, TOP / ".github/workflows") for p in sorted(folder.glob("*.yml"))}
    for page in (TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))):
        for i, block in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), 1):
            if "\njobs:" in block or block.startswith("      - "):
                found[f"{page.stem}-{i}.yml"] = block if "\njobs:" in block else STEPS + block
    return found


def lint(tmp):
    """As they stand, and with the action's own inputs known: a step that gives one that is not there is an error."""
    judge = os.environ["MAYFLY_ACTIONLINT"]
    if not Path(judge).exists():
        return  # tests/action/run has said so
    project = Path(tmp) / "project"
    folder = project / ".github/workflows"
    folder.mkdir(parents=True)
    (project / ".git").mkdir()
    (project / "mayfly").mkdir()
    shutil.copy(TOP / "action.yml", project / "mayfly")
    workflows = all_workflows()
    for name, text in workflows.items():
        (folder / name).write_text(text)
    told = subprocess.run([judge, "-no-color", *workflows], cwd=folder, capture_output=True, text=True)
    bad = {line.split(":")[0] for line in told.stdout.splitlines() if re.match(r"[\w-]+\.yml:\d+", line)}
    for name, text in workflows.items():
        why = [line for line in told.stdout.splitlines() if line.startswith(name)] + [told.stderr]
        check(f"actionlint accepts {name}", name not in bad and told.returncode in (0, 1), why)
        (folder / name).write_text(text.replace("OWNER/mayfly@v1", "./mayfly"))
    told = subprocess.run([judge, "-no-color"], cwd=project, capture_output=True, text=True)
    check("and each input that they give the action", told.returncode == 0, told.stdout + told.stderr)
    one = folder / "one-job.yml"
    one.write_text(one.read_text().replace("          types:", "          kinds:"))
    told = subprocess.run([judge, "-no-color"], cwd=project, capture_output=True, text=True)
    has("a wrong input would be seen", told.stdout, '"kinds" is not defined')


def plans(tmp):
    """Every start of every example makes a plan: its values are right, whether the example runs below or not."""
    with Simulator(f"{tmp}/plans", *FAST) as sim:
        cuda = {"name": "/mayfly/ami/cuda", "value": "ami-0a11ce00000000003"}
        sim.ask("ssm", "PUT", cuda)
        platform = Platform(tmp, sim, {}, {"MAYFLY_CUDA_IMAGE": "ssm:/mayfly/ami/cuda"})
        composite = Composite(TOP)
        starts = 0
        for path in sorted(EXAMPLES.glob("*.yml")):
            workflow = yaml.safe_load(path.read_text())
            for name, job in workflow["jobs"].items():
                for step in job.get("steps", []):
                    given = step.get("with", {})
                    if step.get("uses") != "OWNER/mayfly@v1" or given["mode"] != "start" or "config" in given:
                        continue
                    values = {
                        "inputs": {
                            "image": "ssm:/mayfly/ami/amd64",
                            "types": "m7i.large",
                            "volume-size": 50,
                            "arch": "amd64",
                        }
                    }
                    values |= {"vars": platform.vars, "secrets": platform.secrets}
                    given = {k: text_of(v) for k, v in interpolate(given, values).items()}
                    local = Local(
                        tempfile.mkdtemp(dir=tmp),
                        sim.env | {"PATH": f"{simulator.BUILD}:{os.environ['PATH']}", "GITHUB_ACTIONS": "true"},
                    )
                    told = composite.run(local, given | {"dry-run": "true"})
                    starts += 1
                    check(
                        f"{path.name}: {name} has a plan",
                        told.status == 0 and "plan:" in told.log and "::notice::" not in told.log,
                        told.log,
                    )
        check("there are starts", starts >= 6, starts)


def rules(_tmp):
    """What every example must have, also those that do not run below."""
    needed = {
        "aws-actions/configure-aws-credentials": ("id-token", ("write",)),
        "actions/checkout": ("contents", ("read", "write")),
        "docker/build-push-action": ("packages", ("write",)),
    }
    for path in sorted(EXAMPLES.glob("*.yml")):
        workflow, wrong, modes = yaml.safe_load(path.read_text()), [], {}
        for name, job in workflow["jobs"].items():
            if "permissions" not in job:
                wrong.append(f"{name} has no permissions of its own, so it has all that the repository gives")
            if "uses" not in job and "timeout-minutes" not in job:
                wrong.append(f"{name} has no timeout-minutes")
            for step in job.get("steps", []):
                action, _, version = step.get("uses", "@v0").partition("@")
                scope, levels = needed.get(action, (None, ()))
                if scope and job.get("permissions", {}).get(scope) not in levels:
                    wrong.append(f"{name} uses {action} without {scope}: {levels[0]}")
                if not re.fullmatch(r"v\d+", version):
                    wrong.append(f"{name}: {action} is not pinned")
                if "${{" in step.get("run", ""):
                    wrong.append(f"{name}: an expression inside run:")
                if action == "actions/checkout" and step["with"].get("persist-credentials") is not False:
                    wrong.append(f"{name}: checkout leaves the token in the workspace")
                if "role-arn" in step.get("with", {}) and job.get("permissions", {}).get("id-token") != "write":
                    wrong.append(f"{name} gives a role-arn without id-token: write")
                if action == "OWNER/mayfly":
                    modes.setdefault(step["with"]["mode"], []).append((name, job))
        ends = [job.get("if", "") for _, job in modes.get("stop", [])]
        if ("start" in modes) != ("stop" in modes) or not all("always()" in condition for condition in ends):
            wrong.append("a start without a stop that always runs")
        started, stopped = {name for name, _ in modes.get("start", [])}, set()
        for _, job in modes.get("stop", []):
            stopped |= set(job["needs"]) & started
        if started != stopped:
            wrong.append(f"no stop waits for {started - stopped}")
        check(f"{path.name} keeps the rules", not wrong, "; ".join(wrong))


def own(_tmp):
    """The repository's own workflows hold credentials: stricter rules."""
    paths = sorted((TOP / ".github/workflows").glob("*.yml"))  # a tarball has none
    judge = os.environ["MAYFLY_ACTIONLINT"]
    for path in paths:
        text, wrong = path.read_text(), []
        if Path(judge).exists():
            told = subprocess.run([judge, "-no-color", path], capture_output=True, text=True)
            check(f"actionlint accepts {path.name}", told.returncode == 0, told.stdout + told.stderr)
        workflow = yaml.safe_load(text)
        if workflow.get("permissions") != {}:
            wrong.append("it has permissions that no job asked for")
        for name, job in workflow["jobs"].items():
            if "permissions" not in job or "timeout-minutes" not in job:
                wrong.append(f"{name} has no permissions or no timeout-minutes")
            for step in job["steps"]:
                if "${{" in step.get("run", ""):
                    wrong.append(f"{name}: an expression inside run:")
                if "checkout@" in step.get("uses", "") and "persist-credentials" not in step["with"]:
                    wrong.append(f"{name} does not say whether checkout leaves the token")
        for used in re.findall(r"uses: (.*)", text):
            if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used):
                wrong.append(f"{used} is not pinned to a commit")
        check(f".github/workflows/{path.name} keeps the rules", not wrong, "; ".join(wrong))


# --- runs ------------------------------------------------------------------------------------------------------------


class Scenario:
    """A simulator and a repository; runs a workflow and checks that nothing is left."""

    def __init__(self, tmp, name, files=None, **more):
        self.name = name
        self.sim = Simulator(tempfile.mkdtemp(dir=tmp), *FAST)
        self.platform = Platform(tmp, self.sim, TESTS if files is None else files, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.__exit__()

    def no_room(self, *types):
        self.sim.ask(
            "faults",
            "POST",
            [
                {
                    "service": "ec2",
                    "action": "RunInstances",
                    "fault": "capacity",
                    "match": {"InstanceType": t},
                    "times": 99,
                }
                for t in types
            ],
        )

    def run(self, file, event=None, inputs=None, folder=EXAMPLES):
        self.jobs = Run(self.platform, folder / file, event, inputs).start()
        self.legs = {name: leg for job in self.jobs.values() for name, leg in job.legs.items()}
        return self.jobs

    def results(self, **want):
        got = {k.replace("_", "-"): self.jobs[k.replace("_", "-")].result for k in want}
        want = {k.replace("_", "-"): v for k, v in want.items()}
        logs = "\n".join(f"== {n}: {leg.log}" for n, leg in self.legs.items() if not leg.good)
        return check(f"{self.name}: the jobs' results", got == want, f"got {got}, wanted {want}: {logs}")

    def log(self, leg, part, what):
        has(
            f"{self.name}: {what}",
            self.legs[leg].log if leg in self.legs else f"no leg {leg} in {list(self.legs)}",
            part,
        )

    def machines(self, n):
        equal(f"{self.name}: as many machines as jobs", len(self.sim.instances()), n)

    def clean(self):
        deadline = time.monotonic() + 5
        while (left := (list(self.sim.live()), self.sim.state()["runners"])) != (
            [],
            [],
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
        equal(f"{self.name}: nothing is left", left, ([], []))


def one_job(tmp):
    with Scenario(tmp, "one-job.yml") as s:
        s.run("one-job.yml")
        s.results(start="success", build="success", stop="success")
        s.log("build", "tested on mf-", "the job ran on the instance")
        s.machines(1)
        s.clean()


def one_job_fails(tmp):
    with Scenario(tmp, "one-job.yml, failing", {"run-tests": "#!/bin/sh\necho broken; exit 7\n"}) as s:
        s.run("one-job.yml")
        s.results(start="success", build="failure", stop="success")
        s.log("build", "broken", "the failure is the job's own")
        s.clean()


def one_job_without_machine(tmp):
    with Scenario(tmp, "one-job.yml, no capacity") as s:
        s.no_room("m7i.xlarge", "m7a.xlarge", "m6i.xlarge")
        s.run("one-job.yml")
        s.results(start="failure", build="skipped", stop="success")
        s.log("start", "InsufficientInstanceCapacity", "start says why")
        s.machines(0)


def matrix(tmp):
    script = '#!/bin/sh\necho "shard $2 on $RUNNER_NAME"\n'
    with Scenario(tmp, "matrix.yml", {"run-tests": script}) as s:
        s.run("matrix.yml", {"event_name": "workflow_dispatch"})
        s.results(start="success", test="success", stop="success")
        told = [
            re.search(r"shard (\d)/4 on (mf-\S+)", leg.log) for name, leg in s.legs.items() if name.startswith("test")
        ]
        equal("matrix.yml: each shard ran", sorted(m.group(1) for m in told if m), ["1", "2", "3", "4"])
        equal("matrix.yml: each on a runner of its own", len({m.group(2) for m in told if m}), 4)
        s.machines(4)
        s.clean()
        fork = {
            "event_name": "pull_request",
            "event": {"pull_request": {"head": {"repo": {"full_name": "mallory/demo"}}}},
        }
        s.run("matrix.yml", fork)
        s.results(start="skipped", test="skipped", stop="skipped")


PYTEST = """
import os, sys, glob, runpy
from xml.sax.saxutils import quoteattr
cases, failed = [], False
for path in sorted(glob.glob("tests/test_*.py")):
    for name, function in runpy.run_path(path).items():
        if name.startswith("test_"):
            try:
                inner = {"skip": "<skipped/>"}.get(function(), "")
            except AssertionError as e:
                inner, failed = f"<failure message={quoteattr(str(e))}/>", True
            where = quoteattr(path[:-3].replace("/", "."))
            cases.append(f"<testcase classname={where} name={quoteattr(name)}>{inner}</testcase>")
out = [a.split("=")[1] for a in sys.argv if a.startswith("--junitxml=")][0]
open(out, "w").write("<testsuites><testsuite>" + "".join(cases) + "</testsuite></testsuites>")
print(len(cases), "tests")
sys.exit(failed)
"""
PARITY_TESTS = """
import os
arm, python = os.environ["RUNNER_ARCH"] == "ARM64", os.environ["pythonLocation"].rsplit("/")[-1]
def test_everywhere(): pass
def test_nowhere(): assert False, "broken"
def test_not_on_arm(): assert not arm, "wrong byte | order"
def test_skipped_on_arm(): return "skip" if arm else None
if not arm and python == "3.12":
    def test_amd64_only(): pass
"""


def python_files(tests):
    return {
        "pytest.py": PYTEST,
        "pip.py": "print('installed')\n",
        "tests/test_it.py": tests,
        ".github/parity.py": (EXAMPLES / "parity.py").read_text(),
    }


def parity(tmp):
    with Scenario(tmp, "parity.yml", python_files(PARITY_TESTS)) as s:
        s.run("parity.yml")
        s.results(start_amd64="success", start_arm64="success", test="failure", report="failure", stop="success")
        equal(
            "parity.yml: artifacts by architecture",
            sorted(s.platform.artifacts),
            sorted(f"tests-{a}-python{p}" for a in ("amd64", "arm64") for p in ("3.11", "3.12", "3.13")),
        )
        rows = [line for line in s.legs["report"].summary.splitlines() if line.startswith("| `")]
        want = [f"| `tests.test_it::test_not_on_arm` | python{p} | passed | failed |" for p in ("3.11", "3.12", "3.13")]
        want += [
            f"| `tests.test_it::test_skipped_on_arm` | python{p} | passed | skipped |" for p in ("3.11", "3.12", "3.13")
        ]
        want += ["| `tests.test_it::test_amd64_only` | python3.12 | passed | did not run |"]
        equal("parity.yml: the report lists every difference and nothing else", sorted(rows), sorted(want))
        s.log("report", "7 of 13 tests differ", "and counts them")
        s.machines(6)
        s.clean()


def parity_without_arm64(tmp):
    """No job waits for a machine that never comes, and the report says what is missing."""
    with Scenario(tmp, "parity.yml, no ARM64", python_files("def test_everywhere(): pass\n")) as s:
        s.no_room("m7g.large", "c7g.large")
        s.run("parity.yml")
        s.results(start_amd64="success", start_arm64="failure", test="failure", report="failure", stop="success")
        equal(
            "parity.yml, no ARM64: AMD64 was tested",
            sorted(s.platform.artifacts),
            [f"tests-amd64-python{p}" for p in ("3.11", "3.12", "3.13")],
        )
        s.log("report", "- no results of arm64, python3.11", "the report says what is missing")
        s.log("test (arm64, 3.12)", "::error::no machine of this architecture", "the ARM64 jobs say why")
        s.clean()


def parity_report(tmp):
    """parity.py alone."""

    def told(artifacts):
        folder = Path(tempfile.mkdtemp(dir=tmp))
        for name, files in artifacts.items():
            for file, text in files.items():
                (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / file).write_text(text)
        done = subprocess.run([EXAMPLES / "parity.py", folder, "amd64", "arm64"], capture_output=True, text=True)
        return done.returncode, done.stdout

    def suite(**cases):
        body = "".join(f'<testcase classname="c" name="{n}">{x}</testcase>' for n, x in cases.items())
        return {"a/tests.xml": f"<testsuite>{body}</testsuite>"}

    status, text = told({"tests-amd64-x": suite(a="", b=""), "tests-arm64-x": suite(a="", b="")})
    equal("parity.py: all the same", (status, "All 2 tests ran everywhere" in text), (0, True))
    status, text = told({"tests-amd64-x": suite(a="<failure/>"), "tests-arm64-x": suite(a="<failure/>")})
    equal("parity.py: failing everywhere is no difference", (status, "differ" in text), (0, False))
    status, text = told({"tests-amd64-x": suite(a="<failure/>"), "tests-arm64-x": suite(a="<error/>", b="")})
    check(
        "parity.py: failing otherwise, and running alone, are",
        status == 1 and "| `c::a` | x | failed | error |" in text and "| `c::b` | x | did not run | passed |" in text,
        text,
    )
    status, text = told({"tests-amd64-x": suite(a=""), "tests-arm64-y": suite(a=""), "other-amd64-x": suite(z="")})
    check(
        "parity.py: results without a counterpart",
        status == 1 and "no results of arm64, x" in text and "no results of amd64, y" in text and "c::z" not in text,
        text,
    )
    equal("parity.py: nothing at all", told({})[0], 2)


def arm64_or_qemu(tmp, room):
    name = "arm64-or-qemu.yml" + ("" if room else ", no ARM64")
    with Scenario(
        tmp, name, actions={"docker/setup-qemu-action": lambda leg, given: f"echo qemu for {given['platforms']}"}
    ) as s:
        s.platform.tool("docker", 'echo "docker $*"')
        if not room:
            s.no_room("m7g.xlarge", "m6g.xlarge", "c7g.xlarge")
        s.run("arm64-or-qemu.yml")
        jobs = ("start_amd64", "test_amd64", "stop_amd64", "start_arm64", "test_arm64", "stop_arm64")
        s.results(**{job: "success" for job in jobs})
        s.log("test-amd64", ", X64", "AMD64 on an instance")
        if room:
            s.log("test-arm64", ", ARM64", "ARM64 on an instance")
        else:
            s.log("test-arm64", "qemu for arm64", "ARM64 by QEMU on a hosted runner")
            s.log("test-arm64", "docker run --rm --platform linux/arm64", "in a container of that platform")
        s.machines(2 if room else 1)
        s.clean()


def tox(tmp):
    with Scenario(
        tmp,
        "tests-*.yml",
        {
            "pip.py": "print('installed')\n",
            "tox.py": "import sys, os; print('tox', sys.argv[1:], os.environ['RUNNER_ARCH'])\n",
        },
    ) as s:
        s.run("tests-unit.yml")
        s.results(tox="success")
        s.log("tox / test", "tox ['-e', 'unit'] X64", "tests-unit.yml runs its environment")
        s.run("tests-arm64-local-os.yml", {"event_name": "workflow_dispatch", "ref": "refs/heads/topic"})
        s.results(tox="success")
        s.log("tox / test", "tox ['-e', 'arm64_local_os'] ARM64", "tests-arm64-local-os.yml runs its own on ARM64")
        s.machines(2)
        s.clean()
    for name in ("unit", "local-os", "dind-os", "s2search", "arm64-local-os", "cuda-local-os"):
        workflow = yaml.safe_load((EXAMPLES / f"tests-{name}.yml").read_text())
        equal(
            f"tests-{name}.yml: after merges to main and by hand",
            workflow[True],
            {"push": {"branches": ["main"]}, "workflow_dispatch": None},
        )
        equal(
            f"tests-{name}.yml: its environment", workflow["jobs"]["tox"]["with"]["environment"], name.replace("-", "_")
        )


def images(tmp, what):
    """what: both, no-arm64 (its build fails), pull-request (ARM64 is not built)."""
    pushed = []

    def build(leg, given):
        needs_permission(leg, "packages", "write")
        pushed.append(given)
        if what == "no-arm64" and given["platforms"] == "linux/arm64":
            return "echo 'no space left on device'; exit 1"
        return f"echo digest=sha256:{given['platforms'][-5:]} >>\"$GITHUB_OUTPUT\""

    quiet = {"docker/login-action": lambda leg, given: ":", "docker/setup-buildx-action": lambda leg, given: ":"}
    variables = (
        {"CACHE_BUCKET": "cache", "CACHE_ROLE": "arn:aws:iam::123456789012:role/cache"} if what == "both" else {}
    )
    with Scenario(
        tmp,
        f"images.yml, {what}",
        {"Dockerfile": "FROM scratch\n"},
        variables=variables,
        actions=quiet | {"docker/build-push-action": build},
    ) as s:
        made = s.platform.tmp / "made"
        s.platform.tool("docker", f'echo "$*" >>{made}')
        event = None
        if what == "pull-request":
            event = {
                "event_name": "pull_request",
                "ref": "refs/pull/1/merge",
                "ref_name": "1/merge",
                "event": {"pull_request": {"head": {"repo": {"full_name": "octo/demo"}}}},
            }
        s.run("images.yml", event)
        s.results(
            amd64="success",
            arm64={"both": "success", "no-arm64": "failure", "pull-request": "skipped"}[what],
            manifest="success",
        )
        parts = " ghcr.io/owner/image@sha256:amd64" + (" ghcr.io/owner/image@sha256:arm64" if what == "both" else "")
        latest = "" if what == "pull-request" else " -t ghcr.io/owner/image:latest"
        equal(
            f"{s.name}: the manifest",
            made.read_text().strip(),
            f"buildx imagetools create -t ghcr.io/owner/image:sha-0123456789ab{latest}{parts}",
        )
        summary = s.legs["manifest"].summary
        has(
            f"{s.name}: it says what is in it",
            summary,
            {
                "both": "- linux/arm64: sha256:arm64",
                "no-arm64": "- **linux/arm64 is missing: its build ended with `failure`**",
                "pull-request": "- linux/arm64: not built for 1/merge",
            }[what],
        )
        if what == "no-arm64":
            s.log("manifest", "::warning::the manifest has no linux/arm64", "and warns")
        cache = {"both": "type=s3,region=us-east-1,bucket=cache,name=ghcr.io-owner-image-amd64"}.get(
            what, "type=registry,ref=ghcr.io/owner/image:cache-amd64"
        )
        amd64 = [p for p in pushed if p["platforms"] == "linux/amd64"][0]
        keep = "" if what == "pull-request" else f"{cache},mode=max"
        equal(f"{s.name}: the cache", (amd64["cache-from"], amd64["cache-to"]), (cache, keep))
        s.machines(1 if what == "pull-request" else 2)
        s.clean()


def monorepo(tmp):
    ini = (EXAMPLES / "mayfly.ini").read_text()
    ini = ini.replace("subnet-0123456789abcdef0, subnet-0123456789abcdef1", "subnet-0a11ce01").replace(
        "sg-0123456789abcdef0", "sg-0a11ce01"
    )
    part = '#!/bin/sh\necho "${0%/*} on $RUNNER_ARCH"\n'
    first = {".github/mayfly.ini": ini} | {f"{name}/run-tests": part for name in ("api", "firmware", "model")}
    folder, commits = git_repository(tmp, first, {"api/new": "x", "firmware/new": "x"}, {"README": "x"})

    def pushed(before):
        return {"event": {"before": before}, "sha": commits[2]}

    with Scenario(tmp, "monorepo.yml", folder) as s:
        s.run("monorepo.yml", pushed(commits[0]))
        s.results(
            changes="success", start="success", api="success", firmware="success", model="skipped", stop="success"
        )
        s.log("api", "api on X64", "one part on AMD64")
        s.log("firmware", "firmware on ARM64", "one on ARM64")
        equal(
            "monorepo.yml: the kinds as the file has them",
            sorted(i["type"] for i in s.sim.instances().values()),
            ["m7g.xlarge", "m7i.large"],
        )
        s.clean()
        s.run("monorepo.yml", pushed(commits[1]))
        s.results(
            changes="success", start="skipped", api="skipped", firmware="skipped", model="skipped", stop="skipped"
        )
        s.machines(2)
        new = Run(s.platform, EXAMPLES / "monorepo.yml", pushed("0" * 40))
        changes = new.job("changes", new.workflow["jobs"]["changes"], {})
        equal("monorepo.yml: all of a branch that is new", changes.outputs["kinds"], '["arm64","gpu","small"]')


def reap(tmp):
    with Scenario(tmp, "reap.yml") as s:
        s.run("reap.yml", {"event_name": "schedule"}, {})
        s.results(reap="success")
        s.log("reap", "fleet octo/demo: 0 live instances looked at", "by schedule")


def bake(tmp):
    with Scenario(tmp, "bake.yml", variables={"MAYFLY_BAKE_ROLE": "arn:aws:iam::123456789012:role/bake"}) as s:
        s.run("bake.yml", {"event_name": "workflow_dispatch"}, {"images": '["amd64", "arm64"]'})
        s.results(bake="success")
        for image in ("amd64", "arm64"):
            s.log(f"bake ({image})", f"image: published in /mayfly/ami/{image}", f"{image} is published")
        s.clean()


def readme(tmp):
    """Its first workflow is one-job.yml without the comments."""
    text = (TOP / "README.md").read_text()
    shown = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
    equal(
        "the README's workflow is one-job.yml",
        yaml.safe_load(shown),
        yaml.safe_load((EXAMPLES / "one-job.yml").read_text()),
    )


def main():
    with tempfile.TemporaryDirectory() as tmp:
        work = [
            lint,
            rules,
            own,
            plans,
            parity,
            parity_without_arm64,
            matrix,
            monorepo,
            tox,
            one_job,
            one_job_fails,
            one_job_without_machine,
            parity_report,
            reap,
            bake,
            readme,
        ]
        work += [functools.partial(arm64_or_qemu, room=room) for room in (True, False)]
        work += [functools.partial(images, what=what) for what in ("both", "no-arm64", "pull-request")]
        work = [w for w in work if not sys.argv[1:] or any(a in str(w) for a in sys.argv[1:])]

        def run(one):
            began = time.monotonic()
            try:
                one(tmp)
            except Exception:
                report(f"{one}", traceback.format_exc())
            if os.environ.get("MAYFLY_TIMES"):
                print(f"  {one}: {time.monotonic() - began:.1f} s", flush=True)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, work))
    return 1 if simulator.failures else 0


if __name__ == "__main__":
    sys.exit(main())
