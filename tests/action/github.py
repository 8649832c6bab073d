"""Steps as GitHub's runner runs them: the files for outputs, a `run:` in bash, and a composite action."""

import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import yaml

from expressions import condition, interpolate, text_of

FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
# A hosted runner's steps begin with the default, whoever runs these tests: what a shell runs in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class CommandFileError(Exception):
    pass


def parse_pairs(text):
    """name=value, or name<<DELIMITER, lines, DELIMITER; anything else fails the step."""
    pairs, lines = {}, text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    lines.reverse()
    while lines:
        line = lines.pop()
        if line == "":
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line.split("=", 1)
        elif heredoc >= 0:
            name, delimiter = line.split("<<", 1)
            taken = []
            while lines and lines[-1] != delimiter:
                taken.append(lines.pop())
            if not lines or not delimiter:
                raise CommandFileError(f"no end `{delimiter}` of `{name}`")
            lines.pop()
            value = "\n".join(taken)
        else:
            raise CommandFileError(f"neither name=value nor name<<delimiter: `{line}`")
        if not name:
            raise CommandFileError("a value without a name")
        pairs[name] = value
    return pairs


class Result:
    """What a step did. files: name of FILES -> text."""

    def __init__(self, status, log, files):
        self.status, self.log, self.files = status, log, files
        self.outputs = parse_pairs(files["GITHUB_OUTPUT"])
        self.env = parse_pairs(files["GITHUB_ENV"])
        self.paths = [line for line in files["GITHUB_PATH"].split("\n") if line]
        self.summary = files["GITHUB_STEP_SUMMARY"]


class Local:
    """Runs scripts on this machine, as a hosted runner would. `env` is the whole environment."""

    def __init__(self, directory, env):
        self.directory, self.env = Path(directory), dict(env)
        self.workspace = self.directory / "workspace"
        self.temp = self.directory / "temp"
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.temp.mkdir(exist_ok=True)
        self.env |= {"GITHUB_WORKSPACE": str(self.workspace), "RUNNER_TEMP": str(self.temp)}
        self.process = None  # of the step that runs
        self.started = threading.Event()

    def run(self, script, env, cwd=None, timeout=120):
        with tempfile.TemporaryDirectory(dir=self.directory) as tmp:
            files = {name: Path(tmp) / name for name in FILES}
            for path in files.values():
                path.touch()
            (Path(tmp) / "step.sh").write_text(script)
            with open(Path(tmp) / "log", "w+b") as log:
                # A group of its own, so that a signal to its pid reaches nobody else.
                self.process = subprocess.Popen(
                    [*BASH, Path(tmp) / "step.sh"],
                    env=self.env | env | {name: str(path) for name, path in files.items()},
                    cwd=self.workspace / (cwd or ""),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self.started.set()
                try:
                    status = self.process.wait(timeout)
                except subprocess.TimeoutExpired:
                    os.killpg(self.process.pid, signal.SIGKILL)
                    status = self.process.wait()
                log.seek(0)
                text = log.read().decode(errors="replace")
            return Result(status, text, {name: path.read_text() for name, path in files.items()})

    def finish(self, _good):
        pass


class Composite:
    """A composite action: its inputs by their names, its steps, its outputs."""

    def __init__(self, path):
        self.path = Path(path)
        self.action = yaml.safe_load((self.path / "action.yml").read_text())
        assert self.action["runs"]["using"] == "composite"

    def run(self, local, given, env=None, github=None, timeout=120):
        """Runs all steps; `given` as `with:` has it. Returns the last step's result with the action's outputs."""
        declared = self.action["inputs"]
        unknown = given.keys() - declared.keys()
        assert not unknown, f"Unexpected input(s) {unknown}"
        inputs = {name: text_of(given.get(name, rest.get("default"))) for name, rest in declared.items()}
        contexts = {"inputs": inputs, "github": github or {}, "env": env or {}, "runner": {"temp": str(local.temp)}}
        contexts["steps"] = steps = {}
        result, failed, added, paths, log, summary = None, False, {}, [], "", ""
        for step in self.action["runs"]["steps"]:
            status = {"success": lambda: not failed, "failure": lambda: failed, "cancelled": lambda: False}
            if not condition(step.get("if"), contexts, status):
                continue
            assert step["shell"] == "bash" and "uses" not in step, "the harness runs bash alone"
            assert "${{" not in step["run"], "a run: must not hold an expression: its value would be parsed by bash"
            own = {k: text_of(v) for k, v in interpolate(step.get("env", {}), contexts).items()}
            whole = (env or {}) | added | own | {"GITHUB_ACTION_PATH": str(self.path)}
            if paths:
                whole["PATH"] = ":".join([*reversed(paths), whole.get("PATH", local.env["PATH"])])
            result = local.run(step["run"], whole, timeout=timeout)
            added |= result.env
            paths += result.paths
            log += result.log
            summary += result.summary
            failed = failed or result.status != 0
            if "id" in step:
                steps[step["id"]] = {"outputs": result.outputs}
        outputs = {k: text_of(interpolate(v["value"], contexts)) for k, v in self.action.get("outputs", {}).items()}
        result.outputs, result.log, result.summary = outputs, log, summary
        return result
