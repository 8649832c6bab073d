"""Every row of a test's table is tried: prints, a line each, the tests of tests/unit that are looped over another number of
rows than their table has. A table is what the test indexes by Check's _i."""

import pathlib
import re

UNIT = pathlib.Path(__file__).resolve().parents[1] / "unit"
# What a comma or a brace may be part of without meaning one.
OPAQUE = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)


def rows(text, at):
    """How many elements the initializer has whose brace is at `at`."""
    depth, count, pending = 0, 0, False
    for c in text[at:]:
        if c in "{([":
            pending = pending or depth == 1
            depth += 1
        elif c in "})]":
            depth -= 1
            if depth == 0:
                return count + pending
        elif c == "," and depth == 1:
            count, pending = count + pending, False
        elif not c.isspace() and depth == 1:
            pending = True
    raise ValueError("an initializer has no end")


def problems(path):
    text = OPAQUE.sub(lambda m: "" if m[0].startswith("/") else "0", path.read_text())
    loops = {name: int(n) for name, n in re.findall(r"tcase_add_loop_test\(\w+, (\w+), 0, (\d+)\)", text)}
    for name, body in re.findall(r"^START_TEST\((\w+)\)$(.*?)^END_TEST$", text, re.DOTALL | re.MULTILINE):
        for table in {*re.findall(r"\b(\w+)\[_i\]", body)} if name in loops else ():
            found = re.search(rf"\b{table}\[\](?:\[\w*\])* = \{{", body) or re.search(rf"\b{table}\[\](?:\[\w*\])* = \{{", text)
            have = rows(found.string, found.end() - 1) if found else loops[name]
            if have != loops[name]:
                yield f"{path.name}: {name}: {table} has {have} rows, and {loops[name]} are tried"


for source in sorted(UNIT.glob("check_*.c")):
    for problem in problems(source):
        print(problem)
