"""Runs a workflow: jobs in the order of their needs, matrices, conditions, outputs, reusable workflows.

A job on ubuntu-… runs here, as on a hosted runner. Any other label is queued at the simulator, whose instance takes
the job and runs its steps for real, asking this process for one after the other. The action is the composite of this
repository; of other actions there are stand-ins, and one without is an error.
"""

import http.server
import io
import itertools
import json
import os
import queue
import re
import shlex
import subprocess
import tarfile
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from expressions import condition, interpolate, text_of
from github import BASH, FILES, Composite, Local, Result
from simulator import BUILD, TOP

DRIVER = """
tmp=$(mktemp -d)
export GITHUB_WORKSPACE=$tmp/workspace RUNNER_TEMP=$tmp/temp
mkdir "$GITHUB_WORKSPACE" "$RUNNER_TEMP"
while :; do
	curl -sSf --max-time 120 -o "$tmp/step.sh" "$url/next"
	read -r first <"$tmp/step.sh"
	case $first in '#exit '*) exit "${first#'#exit '}" ;; esac
	for file in $files; do : >"$tmp/$file"; export "$file=$tmp/$file"; done
	status=0
	cd "$GITHUB_WORKSPACE"
	$bash "$tmp/step.sh" >"$tmp/log" 2>&1 </dev/null || status=$?
	cat "$tmp/log"
	echo $status >"$tmp/status"
	tar -C "$tmp" -cf - $files log status | curl -sSf --data-binary @- "$url/done"
done
"""


class WorkflowError(Exception):
    pass


def pack(files):
    """A tar of name -> text or (text, mode); a folder is packed as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        if isinstance(files, Path):
            tar.add(files, arcname=".")
        else:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                data = text.encode()
                info.size, info.mode = len(data), 0o755 if text.startswith("#!") else 0o644
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Platform:
    """GitHub: what all workflow runs share. `files` is the repository, name -> text or a folder."""

    def __init__(self, tmp, sim, files, variables=None, actions=None):
        self.tmp, self.sim, self.files = Path(tempfile.mkdtemp(dir=tmp)), sim, files
        self.vars = {
            "MAYFLY_ROLE": "arn:aws:iam::123456789012:role/mayfly",
            "MAYFLY_SUBNETS": "subnet-0a11ce01,subnet-0a11ce02",
        }
        self.vars |= {"MAYFLY_SECURITY_GROUPS": "sg-0a11ce01"} | (variables or {})
        self.secrets = {"MAYFLY_GITHUB_TOKEN": sim.env["MAYFLY_GITHUB_TOKEN"], "GITHUB_TOKEN": "ghs_of_the_job"}
        self.oidc = json.loads(sim.ask("sources"))["oidc"]
        self.actions = STAND_INS | (actions or {})
        self.composite = Composite(TOP)
        self.artifacts, self.jobs = {}, {}
        self.bin = self.tmp / "bin"
        self.bin.mkdir()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def handler(self):
        platform = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body):
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def do_GET(self):
                kind, _, rest = self.path.strip("/").partition("/")
                if kind == "checkout":
                    self.answer(pack(platform.files))
                elif kind == "artifact":
                    self.answer(platform.artifacts.get(rest))
                elif kind == "job":
                    self.answer(platform.jobs[rest.split("/")[0]].scripts.get(timeout=100).encode())

            def do_POST(self):
                kind, _, rest = self.path.strip("/").partition("/")
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if kind == "artifact":
                    platform.artifacts[rest] = body
                elif kind == "job":
                    platform.jobs[rest.split("/")[0]].results.put(body)
                self.answer(b"")

            def log_message(self, *_):
                pass

        return Handler

    def tool(self, name, script):
        """A program on the PATH of hosted runners."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


class Instance:
    """Runs scripts in a job on an instance of the simulator."""

    def __init__(self, platform, label, name, env):
        self.platform, self.scripts, self.results = platform, queue.Queue(), queue.Queue()
        key = uuid.uuid4().hex
        platform.jobs[key] = self
        machine = [i for i in platform.sim.instances().values() if i["tags"].get("mayfly:label") == label]
        arm = bool(machine) and re.match(r"[a-z]+\d+[a-z]*g[a-z]*\.", machine[0]["type"]) is not None
        driver = f"url={platform.url}/job/{key} files='{' '.join(FILES)}' bash='{' '.join(BASH)}'\n{DRIVER}"
        self.job = json.loads(
            platform.sim.ask(
                "jobs",
                "POST",
                {
                    "repository": env["GITHUB_REPOSITORY"],
                    "name": name,
                    "run_id": int(env["GITHUB_RUN_ID"]),
                    "labels": [label],
                    "commands": [driver],
                    "env": env | {"RUNNER_ARCH": "ARM64" if arm else "X64"},
                },
            )
        )["id"]
        self.temp = "/tmp"
        self.uname = 'uname() { [ "$*" = -m ] && echo aarch64 || command uname "$@"; }\n' if arm else ""

    def run(self, script, env, cwd=None, timeout=60):
        exports = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in env.items())
        self.scripts.put(exports + self.uname + (f"cd {shlex.quote(cwd)}\n" if cwd else "") + script + "\n")
        try:
            body = self.results.get(timeout=timeout)
        except queue.Empty:
            raise WorkflowError(f"no answer from the job: {self.platform.sim.ask(f'jobs/{self.job}')}") from None
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            got = {m.name: tar.extractfile(m).read().decode(errors="replace") for m in tar.getmembers()}
        return Result(int(got["status"]), got["log"], {name: got[name] for name in FILES})

    def finish(self, good):
        self.scripts.put(f"#exit {0 if good else 1}\n")


# --- actions ---------------------------------------------------------------------------------------------------------


def needs_permission(leg, scope, level="read"):
    have = leg.permissions.get(scope)
    if not (have == "write" or have == level):
        raise WorkflowError(
            f"job {leg.name}: the step needs the permission `{scope}: {level}`, the job has {leg.permissions}"
        )


def checkout(leg, given):
    needs_permission(leg, "contents")
    return f"curl -sSf {leg.platform.url}/checkout | tar --no-same-owner -xf -"


def credentials(leg, given):
    needs_permission(leg, "id-token", "write")
    if not given.get("role-to-assume") or not given.get("aws-region"):
        raise WorkflowError(f"job {leg.name}: configure-aws-credentials without a role or a region: {given}")
    values = {k: v for k, v in leg.platform.sim.env.items() if k.startswith("AWS_")} | {
        "AWS_REGION": given["aws-region"]
    }
    return "".join(f"echo {shlex.quote(f'{k}={v}')} >>\"$GITHUB_ENV\"\n" for k, v in values.items())


def setup_python(leg, given):
    where = f'"$RUNNER_TEMP"/python/{given["python-version"]}'
    return (
        f'mkdir -p {where}/bin && ln -s /usr/bin/python3 {where}/bin/python && echo {where}/bin >>"$GITHUB_PATH" &&'
        f'echo pythonLocation={where} >>"$GITHUB_ENV"'
    )


def upload(leg, given):
    return f"""if [ -e {shlex.quote(given["path"])} ]; then
	tar -cf - {shlex.quote(given["path"])} | curl -sSf --data-binary @- {leg.platform.url}/artifact/{given["name"]}
else [ {shlex.quote(given.get("if-no-files-found", "warn"))} != error ]; fi"""


def download(leg, given):
    names = [n for n in leg.platform.artifacts if re.fullmatch(given["pattern"].replace("*", ".*"), n)]
    script = ":\n"
    for name in names:
        where = shlex.quote(f"{given['path']}/{name}")
        script += f"mkdir -p {where} && curl -sSf {leg.platform.url}/artifact/{name} | tar -C {where} -xf -\n"
    return script


STAND_INS = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "aws-actions/configure-aws-credentials": credentials,
}


# --- jobs ------------------------------------------------------------------------------------------------------------


class Job:
    """What came of a job, or of a workflow: a result, outputs, and the logs and summaries of its legs by name."""

    def __init__(self, result, outputs=None, legs=None):
        self.result, self.outputs, self.legs = result, outputs or {}, legs or {}

    def context(self):
        return {"result": self.result, "outputs": self.outputs}


def worst(results):
    return next((r for r in ("failure", "cancelled", "success") if r in results), "skipped")


class Leg:
    """One job of a matrix, or the only one."""

    def __init__(self, run, name, spec, contexts):
        self.run, self.platform, self.name, self.spec = run, run.platform, name, spec
        self.permissions = spec.get("permissions", run.workflow.get("permissions", {}))
        self.contexts = dict(contexts)
        self.env = {k: text_of(v) for k, v in interpolate(run.workflow.get("env", {}), self.contexts).items()}
        self.contexts["env"] = self.env
        self.env |= {k: text_of(v) for k, v in interpolate(spec.get("env", {}), self.contexts).items()}
        self.log, self.summary, self.good, self.steps, self.paths = "", "", True, {}, []
        self.contexts |= {"env": self.env, "steps": self.steps, "job": {}, "runner": {"os": "Linux"}}
        self.label = text_of(interpolate(spec["runs-on"], self.contexts))
        if "timeout-minutes" not in spec:
            raise WorkflowError(f"job {name} may take six hours: it has no timeout-minutes")

    def functions(self):
        return {"success": lambda: self.good, "failure": lambda: not self.good, "cancelled": lambda: False}

    def machine(self):
        env = self.run.environment() | {"GITHUB_JOB": self.name}
        if self.permissions.get("id-token") == "write":
            env |= self.platform.oidc
        if not self.label.startswith("ubuntu-"):
            return Instance(self.platform, self.label, self.name, env)
        path = f"{self.platform.bin}:{BUILD}:{os.environ['PATH']}"
        return Local(tempfile.mkdtemp(dir=self.platform.tmp), env | {"PATH": path, "HOME": str(self.platform.tmp)})

    def step(self, machine, step):
        own = {k: text_of(v) for k, v in interpolate(step.get("env", {}), self.contexts).items()}
        env = self.env | own
        if self.paths:
            before = env.get("PATH") or getattr(machine, "env", {}).get("PATH", "/usr/local/bin:/usr/bin:/bin")
            env["PATH"] = ":".join([*reversed(self.paths), before])
        if "run" in step:
            if "${{" in step["run"]:
                raise WorkflowError(f"job {self.name}: an expression in run: {step['run']}")
            return machine.run(step["run"], env, step.get("working-directory"))
        name, _, version = step["uses"].partition("@")
        if not re.fullmatch(r"v\d+(\.\d+)*|[0-9a-f]{40}", version):
            raise WorkflowError(f"job {self.name}: {step['uses']} is not pinned to a version")
        given = {k: text_of(v) for k, v in interpolate(step.get("with", {}), self.contexts).items()}
        if name == "OWNER/mayfly":
            return self.platform.composite.run(machine, given, env, self.contexts["github"])
        if name not in self.platform.actions:
            raise WorkflowError(f"job {self.name}: there is no stand-in for {name}")
        script = self.platform.actions[name](self, given)
        return machine.run(script, env)

    def work(self):
        machine = self.machine()
        for step in self.spec["steps"]:
            if not condition(step.get("if"), self.contexts, self.functions()):
                continue
            result = self.step(machine, step)
            self.log += f"## {step.get('name') or step.get('uses') or step['run']}\n{result.log}"
            self.summary += result.summary
            tolerated = step.get("continue-on-error") is True
            self.good = self.good and (result.status == 0 or tolerated)
            self.env |= result.env
            self.paths += result.paths
            if "id" in step:
                self.steps[step["id"]] = {
                    "outputs": result.outputs,
                    "outcome": "success" if result.status == 0 else "failure",
                    "conclusion": "success" if result.status == 0 or tolerated else "failure",
                }
        machine.finish(self.good)
        outputs = {k: text_of(v) for k, v in interpolate(self.spec.get("outputs", {}), self.contexts).items()}
        return Job("success" if self.good else "failure", outputs, {self.name: self})


class Run:
    """A run of a workflow file. event: what the github context has besides what every run has."""

    ids = itertools.count(5001)

    def __init__(self, platform, path, event=None, inputs=None, secrets=None, run_id=None):
        self.platform = platform
        self.workflow = yaml.safe_load(Path(path).read_text())
        self.folder = Path(path).parent
        self.run_id = run_id or next(self.ids)
        self.secrets = platform.secrets if secrets is None else secrets | {"GITHUB_TOKEN": "ghs_of_the_job"}
        self.on = self.workflow[True]  # `on` is a boolean to YAML 1.1
        self.event = event
        github = {
            "repository": "octo/demo",
            "repository_owner": "octo",
            "event_name": "push",
            "event": {},
            "ref": "refs/heads/main",
            "ref_name": "main",
            "ref_type": "branch",
            "sha": "0123456789abcdef0123456789abcdef01234567",
            "run_id": str(self.run_id),
            "run_attempt": "1",
            "actor": "octocat",
            "workflow": self.workflow["name"],
        }
        self.contexts = {
            "github": github | (event or {}),
            "vars": platform.vars,
            "secrets": self.secrets,
            "inputs": inputs or {},
        }

    def environment(self):
        g = self.contexts["github"]
        env = {f"GITHUB_{k.upper()}": text_of(g[k]) for k in g if k != "event"}
        places = ("GITHUB_", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_")
        env |= {k: v for k, v in self.platform.sim.env.items() if k.startswith(places)}
        return env | {"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_OS": "Linux"}

    def legs(self, name, spec, contexts):
        matrix = interpolate(spec.get("strategy", {}).get("matrix"), contexts)
        if not matrix:
            yield Leg(self, name, spec, contexts)
            return
        for values in itertools.product(*matrix.values()):
            row = dict(zip(matrix, values))
            yield Leg(self, f"{name} ({', '.join(map(text_of, values))})", spec, contexts | {"matrix": row})

    def call(self, name, spec, contexts):
        """A reusable workflow."""
        inner = self.folder / Path(spec["uses"]).name
        given = interpolate(spec.get("with", {}), contexts)
        secrets = {k: text_of(v) for k, v in interpolate(spec.get("secrets", {}), contexts).items()}
        run = Run(self.platform, inner, self.event, None, secrets, self.run_id)
        declared = run.on["workflow_call"]
        for key in given.keys() - declared["inputs"].keys():
            raise WorkflowError(f"{name}: {inner.name} has no input {key}")
        for key, rest in declared["inputs"].items():
            if rest.get("required") and key not in given:
                raise WorkflowError(f"{name}: {inner.name} needs the input {key}")
        run.contexts["inputs"] = {k: given.get(k, rest.get("default")) for k, rest in declared["inputs"].items()}
        for inner_name, inner_spec in run.workflow["jobs"].items():
            for scope, level in inner_spec.get("permissions", {}).items():
                if spec.get("permissions", {}).get(scope) not in (level, "write"):
                    raise WorkflowError(f"{name} does not allow {inner_name} of {inner.name} `{scope}: {level}`")
        jobs = run.start()
        outputs = {
            k: text_of(interpolate(v["value"], {"jobs": {n: j.context() for n, j in jobs.items()}}))
            for k, v in declared.get("outputs", {}).items()
        }
        legs = {f"{name} / {k}": leg for job in jobs.values() for k, leg in job.legs.items()}
        return Job(worst([j.result for j in jobs.values()]), outputs, legs)

    def job(self, name, spec, needs):
        contexts = self.contexts | {"needs": {n: j.context() for n, j in needs.items()}}
        before = [j.result for j in needs.values()]
        status = {
            "success": lambda: all(r == "success" for r in before),
            "failure": lambda: "failure" in before,
            "cancelled": lambda: False,
        }
        if not condition(spec.get("if"), contexts, status):
            return Job("skipped")
        if "uses" in spec:
            return self.call(name, spec, contexts)
        legs = list(self.legs(name, spec, contexts))
        with ThreadPoolExecutor(len(legs)) as pool:
            done = list(pool.map(Leg.work, legs))
        outputs = {k: v for job in done for k, v in job.outputs.items() if v != ""}
        result = worst([j.result for j in done])
        if result == "failure" and spec.get("continue-on-error") is True:
            result = "success"
        return Job(result, outputs, {k: leg for j in done for k, leg in j.legs.items()})

    def start(self):
        """Runs all jobs. Name -> Job."""
        futures = {}
        specs = self.workflow["jobs"]

        def when_ready(name, spec):
            needs = spec.get("needs", [])
            needs = [needs] if isinstance(needs, str) else needs
            return self.job(name, spec, {n: futures[n].result() for n in needs})

        with ThreadPoolExecutor(len(specs)) as pool:
            for name, spec in specs.items():  # what a job needs stands before it
                futures[name] = pool.submit(when_ready, name, spec)
            return {name: future.result() for name, future in futures.items()}


def git_repository(tmp, *commits):
    """A folder with a commit for each of the dicts of files; returns it and the commits' ids."""
    folder = Path(tempfile.mkdtemp(dir=tmp))
    git = ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q"], check=True)
    ids = []
    for files in commits:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755 if text.startswith("#!") else 0o644)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "x"], check=True)
        ids.append(
            subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        )
    return folder, ids
