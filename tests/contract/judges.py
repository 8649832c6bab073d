"""Holds tests/contract/README.md against the source: which requests are sent, which are served, and who judges them.

usage: judges.py            prints what is wrong, a line each
       judges.py TEST       prints the operations that TEST judges, a line each
"""

import os
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "tests/contract"
# AWS's operations begin so; serialize.py knows all of botocore's, and says what this overlooks.
VERBS = ("Assume|Cancel|Copy|Create|Decode|Delete|Deregister|Describe|Disable|Enable|Get|Import|Modify|Put|Register|Run|Start|Stop"
         "|Terminate")
OPERATION = re.compile(rf'"(?:AmazonSSM\.)?((?:{VERBS})[A-Z][A-Za-z]+)"')
CALL = re.compile(r'github_call_new\([^"{};]*"([A-Z]+)"')
REASON_MIN = 30  # characters of a reason for having no judge


def sources(pattern):
    return {path: path.read_text() for path in sorted((TOP / "src").glob(pattern))}


# --- what is sent ---


def aws_sent():
    """Which file it is tells the service: ec2_fleet.c."""
    for path, text in sources("aws/*.c").items():
        service = path.stem.split("_")[0]
        if service in ("ec2", "ssm", "sts"):
            yield from (f"{service}:{name}" for name in OPERATION.findall(text))


def credentials_sent():
    """Each provider that asks over HTTP has rows of its name; of which paths, its judge knows."""
    for path, text in sources("aws/creds_*.c").items():
        if "creds_ask(" in text and path.stem != "creds_fetch":
            yield path.stem.removeprefix("creds_")


def agent_sent():
    text = (TOP / "src/agent/agent.c").read_text()
    for method, path in re.findall(r'"(PUT) (/latest/[\w/-]+)', text):
        yield f"agent {method} {path}"
    for path in re.findall(r'\b(?:fetch|imds)\([^"();]*"([\w/-]+)"', text):
        yield f"agent GET /latest/{path}"


def github_sent():
    """Of each function that makes a call: the method there, and the path, with what is written into it in braces."""
    for path, text in sources("github/*.c").items():
        text = re.sub(r'%" PRId64 "', "{id}", text).replace('%" PRId64', '{id}"')
        for function in text.split("\n}\n"):
            for method in CALL.findall(function):
                found = re.findall(r'"((?:%s)?/[^"?]*)[?"]', function)
                scope = found[0].replace("%s", "{scope}", 1) if found and found[0].startswith("%s") else "".join(found[:1])
                yield f"github {method} {scope.replace('%s', '{repo}') or path.name + ' has no path'}"
            if function.count(" github_call_new(") > len(CALL.findall(function)):
                yield f"github {path.name}: a call whose method is not there"


# --- what the simulator serves ---


def aws_served():
    for service in ("ec2", "ssm", "sts"):
        text = (TOP / f"src/sim/{service}.c").read_text()
        yield from (f"{service}:{name}" for name in re.findall(r'^    \{ "([A-Z]\w+)", \w+[ ,]', text, re.MULTILINE))


def github_served():
    text = "".join(sources("sim/github*.c").values())
    route = r'^    \{ "([A-Z]+)", "(/actions/[^"]*)", [^}]*?(NULL|"/repos/") \},'
    for method, path, scope in re.findall(route, text, re.MULTILINE):
        yield f"github {method} " + ("{scope}" if scope == "NULL" else "/repos/{repo}") + re.sub(r"\bN\b", "{id}", path)
    for method, prefix, suffix in re.findall(r'^    \{ "([A-Z]+)", "(/(?!actions/)[^"]*)", "([^"]*)", ', text, re.MULTILINE):
        scope = prefix in ("/repos/", "/orgs/")
        yield f"github {method} " + ("{scope}" if scope else prefix + "{id}" * bool(suffix)) + suffix
    yield from (f"github GET {path}" for path in re.findall(r'str_eq\(path, "(/\w+)"\) && str_eq\(r->method, "GET"\)', text))


# --- what the README says ---


def tables():
    """The judges and the operations: rows, each a list of cells."""
    blocks = [b for b in (HERE / "README.md").read_text().split("\n\n") if b.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]] for block in blocks]


def judges_of(cell):
    return re.findall(r"`(\w+)`", cell)


def problems_of_cell(name, what, cell, is_there, tests):
    none = {"request": "not sent", "answer": "not served"}[what]
    if not is_there:
        if cell != none:
            yield f"{name}: its {what} is `{cell}` in README.md, and {none}"
    elif cell.startswith("none: "):
        if len(cell) < REASON_MIN:
            yield f"{name}: why its {what} has no judge is not said"
    elif not judges_of(cell) or re.sub(r"`\w+`|,| ", "", cell):
        yield f"{name}: its {what} has neither judges nor `none: ` and a reason"
    else:
        yield from (f"{name}: the judge {j} of its {what} is no test here" for j in judges_of(cell) if j not in tests)


def problems():
    judges, operations = tables()
    run = (HERE / "run").read_text()
    listed = set(re.search(r"^for t in (.*); do", run, re.MULTILINE)[1].split())
    tests = {p.name for p in HERE.iterdir() if p.is_file() and os.access(p, os.X_OK) and p.name != "run"}
    rows = {row[0].strip("`"): row for row in operations}
    named = {row[0].strip("`") for row in judges}
    sent, providers = {*aws_sent(), *github_sent(), *agent_sent()}, set(credentials_sent())
    served = {*aws_served(), *github_served()}
    for where, have in (("tests/contract/run", listed), ("the list of judges of README.md", named)):
        yield from (f"{t}: not both in tests/contract and in {where}" for t in sorted(have ^ tests))
    for name in sorted((sent | served) - set(rows)):
        yield f"{name}: has no row in tests/contract/README.md"
    for name in sorted(providers - {row.split()[0] for row in rows}):
        yield f"{name}: a source of credentials without a row in tests/contract/README.md"
    for name, row in rows.items():
        known = name.split()[0] in providers | {"agent"}  # of these the simulator plays all, below paths of its own
        if name not in sent | served and name.split()[0] not in providers:
            yield f"{name}: a row in tests/contract/README.md that nothing sends or serves"
        yield from problems_of_cell(name, "request", row[1], known or name in sent, tests)
        yield from problems_of_cell(name, "answer", row[2], known or name in served, tests)
    if len(rows) != len(operations):
        yield "tests/contract/README.md: an operation has two rows"


def main():
    if len(sys.argv) > 1:
        judged = {row[0].strip("`") for row in tables()[1] for cell in row[1:] if sys.argv[1] in judges_of(cell)}
        print("\n".join(sorted(judged)))
    else:
        print("\n".join(problems()), end="")


if __name__ == "__main__":
    main()
