"""The inputs of action.yml, made from the program's own option tables (`mayfly --options`).

usage: inputs.py MAYFLY ACTION_YML [--write]

Prints how ACTION_YML differs from the tables, a line each; --write puts it right. What it writes stands between two
comments, for the inputs and for the environment of the step; all else in the file is written by hand.
"""

import json
import re
import subprocess
import sys
import textwrap

import yaml

MODES = ["start", "stop", "reap", "status", "doctor", "bake"]
# Takes the very options of start, so that the inputs of start are its own.
LIKE_START = "doctor"
BEGIN, END = "# Made of the option tables by tests/action/inputs.py --write:", "# End of what is made."
# What is an input without being an option.
BY_HAND = {"mode", "github-token", "app-key"}
# The default of an input of which an empty value means something: OPT_NOT_GIVEN of include/mayfly/util/opts.h.
NOT_GIVEN = "(not given)"


def tables(mayfly):
    lines = subprocess.run([mayfly, "--options"], check=True, capture_output=True, text=True).stdout.splitlines()
    options = [json.loads(line) for line in lines]
    start, like = ([o["name"] for o in options if o.get("command") == mode and not o["flag-only"]] for mode in ("start", LIKE_START))
    assert start == like, f"{LIKE_START} has not the options of start"
    told = [o for o in options if o.get("command", MODES[0]) in MODES and not o["flag-only"]]
    return [o for o in told if o.get("command") != LIKE_START]


def sentence(option):
    text = option["help"]
    if option["no-effect"]:
        return f"no effect: {text}"
    if option.get("fallback") and option["type"] != "flag":
        text += f" (default: {option['fallback']})"
    return text


def aliases(option):
    """Name and unit of each."""
    return [(name, unit) for name, _, unit in (a.partition(":") for a in option.get("aliases", "").split())]


def wanted(mayfly):
    """Input -> description, in the order of the tables: the options, then the other names of some."""
    options, others = {}, {}
    for option in tables(mayfly):
        options.setdefault(option["name"], []).append((option.get("command"), sentence(option)))
        for name, unit in aliases(option):
            also = {"": "", "m": ", in minutes", "s": ", in seconds"}[unit]
            others[name] = f"the same as {option['name']}{also}: machulav/ec2-github-runner's name of it"
    described = {}
    for name, said in options.items():
        modes = {}
        for mode, text in said:
            modes.setdefault(text, []).append(mode)
        described[name] = ". ".join(t if m == [None] else f"{', '.join(m)}: {t}" for t, m in modes.items())
    assert not set(others) & set(described) and not BY_HAND & set(described)
    return described | others


def told_apart(mayfly):
    """The inputs that may be given and empty, which is not the same as not given."""
    found = [o for o in tables(mayfly) if o["empty"]]
    return {name for o in found for name in (o["name"], *(alias for alias, _ in aliases(o)))}


def variable(name):
    return "INPUT_" + name.upper().replace("-", "_")


def inputs_block(described, apart):
    lines = []
    for name, text in described.items():
        lines += [f"  {name}:", "    description: >-"]
        lines += textwrap.wrap(
            text, 110, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False
        )
        if name in apart:
            lines += [f'    default: "{NOT_GIVEN}"']
    return lines


def env_block(described):
    return [f"        {variable(name)}: ${{{{ inputs.{name} }}}}" for name in described]


def put(text, indent, lines):
    """The text with what stands between the two comments of this indent replaced."""
    pad = " " * indent
    block = "\n".join([pad + BEGIN, *lines, pad + END])
    new, n = re.subn(f"(?ms)^{pad}{re.escape(BEGIN)}$.*?^{pad}{re.escape(END)}$", lambda _: block, text)
    assert n == 1, f"{n} blocks with the indent {indent}"
    return new


def differences(described, apart, action):
    """What is missing, extra or told otherwise."""
    have = action["inputs"]
    env = action["runs"]["steps"][-1]["env"]
    for name in described.keys() - have.keys():
        yield f"the option {name} is no input"
    for name in have.keys() - described.keys() - BY_HAND:
        yield f"the input {name} is no option"
    for name in described.keys() & have.keys():
        if have[name]["description"] != described[name]:
            yield f"the input {name} is described by `{have[name]['description']}`, the option by `{described[name]}`"
        if have[name].keys() - {"description"} and not (name in apart and have[name].get("default") == NOT_GIVEN):
            yield f"the input {name} has more than a description: defaults and the like belong into the option's table"
        if name in apart and "default" not in have[name]:
            yield f"the input {name} is the same whether it is empty or not given"
    want = {variable(name): f"${{{{ inputs.{name} }}}}" for name in [*described, *BY_HAND]}
    for name in want.keys() | env.keys():
        if env.get(name) != want.get(name):
            yield f"the step has {name}={env.get(name)}, wanted {want.get(name)}"


def main():
    mayfly, path, *rest = sys.argv[1:]
    described, apart = wanted(mayfly), told_apart(mayfly)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if rest == ["--write"]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(put(put(text, 2, inputs_block(described, apart)), 8, env_block(described)))
        return 0
    found = sorted(differences(described, apart, yaml.safe_load(text)))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
