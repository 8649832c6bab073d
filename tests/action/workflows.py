"""examples/workflows: actionlint accepts each, and they run, with the simulator's instances for machines."""

import configparser
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


PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
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
            sorted([f"tests-{a}-python{p}" for a in ("amd64", "arm64") for p in PYTHONS] + ["test-parity-report"]),
        )
        rows = [line for line in s.legs["report"].summary.splitlines() if line.startswith("| `")]
        want = [f"| `tests.test_it::test_not_on_arm` | python{p} | passed | failed |" for p in PYTHONS]
        want += [
            f"| `tests.test_it::test_skipped_on_arm` | python{p} | passed | skipped |" for p in PYTHONS
        ]
        want += ["| `tests.test_it::test_amd64_only` | python3.12 | passed | did not run |"]
        equal("parity.yml: the report lists every difference and nothing else", sorted(rows), sorted(want))
        s.log("report", "13 of 25 tests differ", "and counts them")
        times = re.findall(r"^\| python\S+ \| [\d.]+ s, \d+ MiB \| [\d.]+ s, \d+ MiB \| [\d.]+, [\d.]+ \|$", s.legs["report"].log, re.M)
        equal("parity.yml: time and memory of each Python, on both", len(times), len(PYTHONS))
        s.machines(12)
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
            ["test-parity-report", *sorted(f"tests-amd64-python{p}" for p in PYTHONS)],
        )
        s.log("report", "- no results of arm64, python3.8", "the report says what is missing")
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

    def measured(seconds, kib):
        return {"usage.json": json.dumps({"seconds": seconds, "peak_kib": kib})}

    amd64, arm64 = suite(a="") | measured(10.0, 102400), suite(a="") | measured(15.0, 51200)
    status, text = told({"tests-amd64-x": amd64, "tests-arm64-x": arm64})
    check(
        "parity.py: times and memory are compared, and decide nothing",
        status == 0 and "| x | 10.0 s, 100 MiB | 15.0 s, 50 MiB | 1.50, 0.50 |" in text,
        text,
    )
    status, text = told({"tests-amd64-x": amd64, "tests-arm64-x": suite(a="")})
    check("parity.py: one was not measured", status == 0 and "| x | 10.0 s, 100 MiB | not measured |  |" in text, text)
    usage = Path(tempfile.mkdtemp(dir=tmp)) / "results/usage.json"
    done = subprocess.run([EXAMPLES / "parity.py", "--measure", usage, "sh", "-c", "exit 7"])
    told = json.loads(usage.read_text())
    check("parity.py: --measure has the status of its command", done.returncode == 7, done)
    check("parity.py: --measure writes what it needed", told["seconds"] >= 0 and told["peak_kib"] > 100, told)
    done = subprocess.run([EXAMPLES / "parity.py", "--measure", usage, "no-such-tool"], capture_output=True, text=True)
    said = "parity.py: no-such-tool: No such file or directory\n"
    equal("parity.py: --measure of what is not there", (done.returncode, done.stderr), (127, said))
    done = subprocess.run([EXAMPLES / "parity.py", "--measure", usage], capture_output=True, text=True)
    check("parity.py: --measure without a command", done.returncode == 1 and "usage:" in done.stderr, done)


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


def arm64_optional(tmp, what):
    """what: both, no-arm64 (no capacity), failing (the tests fail on ARM64)."""
    script = '#!/bin/sh\necho "tested on $RUNNER_ARCH"\n'
    if what == "failing":
        script += '[ "$RUNNER_ARCH" != ARM64 ]\n'
    with Scenario(tmp, f"arm64-optional.yml, {what}", {"run-tests": script}) as s:
        if what == "no-arm64":
            s.no_room("m7g.xlarge", "m6g.xlarge", "c7g.xlarge")
        s.run("arm64-optional.yml")
        tested = "skipped" if what == "no-arm64" else "success"
        s.results(test_amd64="success", start_arm64="success", test_arm64=tested, stop_arm64="success")
        if what == "no-arm64":
            s.log("start-arm64", "InsufficientInstanceCapacity", "start says why")
        else:
            s.log("test-arm64", "tested on ARM64", "ARM64 on an instance")
        s.machines(0 if what == "no-arm64" else 1)
        s.clean()


def module(name, creates=None):
    """A stand-in for a module that is run by python -m."""
    text = f"import os, sys\nprint({name!r}, sys.argv[1:], os.environ.get('RUNNER_ARCH', 'hosted'))\n"
    if creates:
        text += f"os.makedirs({os.path.dirname(creates) or '.'!r}, exist_ok=True)\nopen({creates!r}, 'w').close()\n"
    return text


def checks(tmp):
    creates = {"pytest": "coverage.xml", "build": "dist/demo-1.whl"}
    tools = ("pip", "ruff", "mypy", "pytest", "bandit", "pip_audit", "build")
    with Scenario(tmp, "checks.yml", {f"{t}.py": module(t, creates.get(t)) for t in tools}) as s:
        s.run("checks.yml")
        s.results(
            pre_checks="success", start_amd64="success", start_arm64="success", check="success", stop="success"
        )
        for arch, name in (("amd64", "X64"), ("arm64", "ARM64")):
            for check_of, part in (
                ("lint", f"mypy ['.'] {name}"),
                ("coverage", "--cov-fail-under=80'] " + name),
                ("security", f"pip_audit [] {name}"),
                ("package", f"'dist/demo-1.whl'] {name}"),
            ):
                s.log(f"check ({arch}, {check_of})", part, f"{check_of} on {arch}")
        equal(
            "checks.yml: artifacts",
            sorted(s.platform.artifacts),
            [f"{n}-{a}" for n in ("coverage", "package") for a in ("amd64", "arm64")],
        )
        s.machines(8)
        s.clean()
    tools = {"ruff.py": "import sys; sys.exit('would reformat' if 'format' in sys.argv else 0)\n", "pip.py": ""}
    with Scenario(tmp, "checks.yml, a pre-check fails", tools) as s:
        s.run("checks.yml")
        s.results(
            pre_checks="failure", start_amd64="skipped", start_arm64="skipped", check="skipped", stop="skipped"
        )
        s.machines(0)


def tox(tmp):
    with Scenario(
        tmp,
        "tests-*.yml",
        {
            "pip.py": "print('installed')\n",
            "tox.py": "import sys, os; print('tox', sys.argv[1:], os.environ['RUNNER_ARCH'])\nopen('results.xml', 'w')\n",
        },
    ) as s:
        s.run("tests-unit.yml")
        s.results(tox="success")
        s.log("tox / test", "tox ['-e', 'py3-local_os_unit_tests_w_requirements', '--', '--junitxml=results.xml'] X64", "tests-unit.yml runs its environment")
        s.run("tests-arm64-local-os.yml", {"event_name": "workflow_dispatch", "ref": "refs/heads/topic"})
        s.results(tox="success")
        s.log("tox / test", "tox ['-e', 'py3-arm64_local_os', '--', '--junitxml=results.xml'] ARM64", "tests-arm64-local-os.yml runs its own on ARM64")
        equal(
            "tests-*.yml: the results are artifacts",
            sorted(s.platform.artifacts),
            ["results-py3-arm64_local_os", "results-py3-local_os_unit_tests_w_requirements"],
        )
        s.machines(2)
        s.clean()
    ini = configparser.ConfigParser()
    ini.read(EXAMPLES / "tox.ini")
    want = {
        "unit": "py3-local_os_unit_tests_w_requirements",
        "local-os": "py3-local_os",
        "dind-os": "py3-dind_os",
        "s2search": "py3-s2search",
        "arm64-local-os": "py3-arm64_local_os",
        "cuda-local-os": "py3-cuda_local_os",
    }
    equal("tox.ini: its environments", ini["tox"]["env_list"].split(), list(want.values()))
    for name, environment in want.items():
        workflow = yaml.safe_load((EXAMPLES / f"tests-{name}.yml").read_text())
        equal(
            f"tests-{name}.yml: after merges to main, and of any branch by hand",
            (workflow[True]["push"], list(workflow[True]["workflow_dispatch"]["inputs"])),
            ({"branches": ["main"]}, ["ref"]),
        )
        equal(f"tests-{name}.yml: its environment", workflow["jobs"]["tox"]["with"]["environment"], environment)


def tox_ini(tmp):
    """tox itself reads tox.ini, and runs its environments around what they test."""
    judge = Path(os.environ["MAYFLY_TOX"])
    if not judge.exists():
        return  # tests/action/run has said so
    folder = Path(tempfile.mkdtemp(dir=tmp))
    (folder / "tox.ini").write_text((EXAMPLES / "tox.ini").read_text())
    for path, text in {
        "backend.py": "import os, sys; print('backend', sys.argv[1], os.environ['BACKEND'])\n",
        "integration/test_it.py": "import os\ndef test_it(): assert os.environ['BACKEND'] == 'docker'\n",
        "unit/test_it.py": "def test_it(): pass\n",
    }.items():
        (folder / "tests" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tests" / path).write_text(text)
    (folder / "requirements.txt").write_text("")
    for environment, parts in (
        ("py3-dind_os", ["backend start docker", "1 passed", "backend stop docker"]),
        ("py3-local_os_unit_tests_w_requirements", ["1 passed"]),
    ):
        done = subprocess.run(
            [judge, "run", "-e", environment, "--", "--junitxml=results.xml"],
            cwd=folder, capture_output=True, text=True,
        )
        told = done.stdout + done.stderr
        check(
            f"tox.ini: {environment} runs",
            done.returncode == 0 and all(p in told for p in parts) and (folder / "results.xml").exists(),
            told,
        )


IMAGES = {  # what: the event, the tags, the result of each job
    "both": (None, "main latest", "success success success"),
    "no-arm64": (None, "main latest", "success failure success"),
    "blip": (None, "main latest", "success success success"),
    "no-room": (None, "main latest", "success success success"),
    "off": (None, "main latest", "success success success"),
    "no-manifest": (None, None, "success success failure"),
    "half-a-manifest": (None, None, "success success failure"),
    "registry-down": (None, None, "success success failure"),
    "branch": ({"ref": "refs/heads/fix/a_b", "ref_name": "fix/a_b"}, "fix-a_b", "success skipped success"),
    "version": ({"ref": "refs/tags/v1.2.3", "ref_name": "v1.2.3", "ref_type": "tag"}, "1.2.3 1.2", "success success success"),
    "pre-release": (
        {"ref": "refs/tags/v1.3.0-rc.1", "ref_name": "v1.3.0-rc.1", "ref_type": "tag"}, "1.3.0-rc.1", "success success success",
    ),
    "pull-request": (
        {
            "event_name": "pull_request",
            "ref": "refs/pull/1/merge",
            "ref_name": "1/merge",
            "event": {"pull_request": {"head": {"repo": {"full_name": "octo/demo"}}}},
        },
        None,
        "success skipped skipped",
    ),
}


def images(tmp, what):
    """what: one of IMAGES. no-arm64: its build fails, blip: once; no-room: no machine of ARM64; off: by the variable.
    no-manifest: it could not be made, half-a-manifest: but one tag was, registry-down: nor could it be asked for.
    """
    pushed = []
    event, tags, results = IMAGES[what]

    def build(leg, given):
        needs_permission(leg, "packages", "write")
        pushed.append(given)
        arm64 = given["platforms"] == "linux/arm64"
        if arm64 and (what == "no-arm64" or what == "blip" and sum(p["platforms"] == "linux/arm64" for p in pushed) == 1):
            return "echo 'no space left on device'; exit 1"
        digest = "" if "push=true" not in given["outputs"] else given["platforms"][-5:]
        return f"echo 'built for {given['platforms']}'; echo digest=sha256:{digest} >>\"$GITHUB_OUTPUT\""

    stand_ins = {
        "docker/login-action": lambda leg, given: "echo logged in",
        "docker/setup-buildx-action": lambda leg, given: ":",
        "docker/setup-qemu-action": lambda leg, given: f"echo 'qemu for {given['platforms']}'",
        "docker/build-push-action": build,
    }
    variables = {"MAYFLY_IMAGES": "off"} if what == "off" else {}
    if what == "both":
        variables |= {"CACHE_BUCKET": "cache", "CACHE_ROLE": "arn:aws:iam::123456789012:role/cache"}
    with Scenario(
        tmp, f"images.yml, {what}", {"Dockerfile": "FROM scratch\n"}, variables=variables, actions=stand_ins
    ) as s:
        made, asked = s.platform.tmp / "made", s.platform.tmp / "asked"
        inspected = {
            "no-manifest": "echo ERROR: not found; exit 1",
            "half-a-manifest": "case $* in *:main) echo sha256:amd64 sha256:arm64 ;; *) echo ERROR: not found; exit 1 ;; esac",
            "registry-down": "echo ERROR: no answer; exit 1",
        }.get(what)
        s.platform.tool(
            "docker",
            f"case $* in *inspect*) {inspected} ;; *) echo \"$*\" >>{made}; exit 1 ;; esac"
            if inspected
            else f'echo "$*" >>{made}',
        )
        s.platform.tool("gh", f'echo "$*" >>{asked}; case $* in *paginate*) echo 42 ;; esac')
        if what == "no-room":
            s.no_room("c7g.2xlarge", "m7g.2xlarge", "c6g.2xlarge")
        s.run("images.yml", event)
        s.results(**dict(zip(("amd64", "arm64", "manifest"), results.split())))
        arm64 = results.split()[1]
        if tags or inspected:
            parts = " ghcr.io/owner/image@sha256:amd64" + (" ghcr.io/owner/image@sha256:arm64" if arm64 == "success" else "")
            named = ["sha-0123456789abcdef0123456789abcdef01234567", *(tags or "main latest").split()]
            equal(
                f"{s.name}: the manifest",
                made.read_text().strip(),
                f"buildx imagetools create{''.join(f' --tag=ghcr.io/owner/image:{t}' for t in named)}{parts}",
            )
        if tags:
            summary = {
                "failure": "- **linux/arm64 is missing: its build ended with `failure`**",
                "skipped": "- linux/arm64: not built for fix/a_b",
                "success": "- linux/arm64: sha256:arm64",
            }[arm64]
            has(f"{s.name}: it says what is in it", s.legs["manifest"].summary, summary)
        pull = what == "pull-request"
        build_log = s.legs["amd64 / build"].log
        equal(f"{s.name}: logs in to push", "logged in" in build_log, not pull)
        equal(f"{s.name}: pushes", ["push=true" in p["outputs"] for p in pushed], [not pull] * len(pushed))
        if what == "no-manifest":
            deleted = [line for line in asked.read_text().splitlines() if "DELETE" in line]
            where = "users/octo/packages/container/image/versions/42"
            equal(f"{s.name}: what has no manifest is deleted", deleted, [f"api -X DELETE {where}"] * 2)
            for part in ("amd64", "arm64"):
                has(f"{s.name}: only by its digest", asked.read_text(), f'select(.name == "sha256:{part}"')
            since = [int(t) for t in re.findall(r"fromdate\) >= (\d+)\)", asked.read_text())]
            check(f"{s.name}: only what this run pushed", len(since) == 2 and min(since) > time.time() - 600, since)
        else:
            check(f"{s.name}: nothing is deleted", not asked.exists(), asked)
        if what == "registry-down":
            s.log("manifest", "::warning::nothing is deleted", "and says so")
        if what == "no-arm64":
            s.log("manifest", "::warning::the manifest has no linux/arm64", "and warns")
        emulated = what in ("no-room", "off")
        if arm64 == "success":
            equal(f"{s.name}: QEMU", "qemu for arm64" in s.legs["arm64 / build"].log, emulated)
            built = "emulated" if emulated else "native"
            has(f"{s.name}: the times", re.sub(r"\d+", "N", s.legs["times"].summary), f"| linux/armN | N | {built} |")
        has(f"{s.name}: the times", re.sub(r"\d+", "N", s.legs["times"].summary), "| linux/amdN | N | native |")
        cache = {"both": "type=s3,region=us-east-1,bucket=cache,name=ghcr.io-owner-image-amd64"}.get(
            what, "type=registry,ref=ghcr.io/owner/image:cache-amd64"
        )
        amd64 = [p for p in pushed if p["platforms"] == "linux/amd64"][0]
        equal(
            f"{s.name}: the cache",
            (amd64["cache-from"], amd64["cache-to"]),
            (cache, "" if pull else f"{cache},mode=max"),
        )
        s.machines(0 if what == "off" else 1 if arm64 == "skipped" or what == "no-room" else 2)
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
        s.log("reap", "fleet octo/demo: 0 live instances checked", "by schedule")


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
            tox_ini,
            checks,
            one_job,
            one_job_fails,
            one_job_without_machine,
            parity_report,
            reap,
            bake,
            readme,
        ]
        work += [functools.partial(arm64_or_qemu, room=room) for room in (True, False)]
        work += [functools.partial(images, what=what) for what in IMAGES]
        work += [functools.partial(arm64_optional, what=what) for what in ("both", "no-arm64", "failing")]
        work = [w for w in work if not sys.argv[1:] or any(a in str(w) for a in sys.argv[1:])]

        def run(one):
            began = time.monotonic()
            try:
                one(tmp)
            except Exception:
                report(f"{one}", traceback.format_exc())
            if os.environ.get("MAYFLY_TIMES"):
                print(f"  {one}: {time.monotonic() - began:.1f} s", flush=True)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(run, work))
    return 1 if simulator.failures else 0


if __name__ == "__main__":
    sys.exit(main())
