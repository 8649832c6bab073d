#!/usr/bin/env python3
"""Lists every test that ran, or passed, on only one architecture, and compares seconds and peak memory.

usage: parity.py [--report FILE] FOLDER ARCHITECTURE ARCHITECTURE…
       parity.py --measure FILE COMMAND…

FOLDER has a folder for each artifact, tests-ARCHITECTURE-REST, with JUnit XML files in it and what --measure wrote.
Results of the same REST, a Python version for example, are compared. Prints a report in Markdown, also to FILE and to
the step's summary. Exit status: 0 if all results are the same, 1 if they differ, 2 if there is nothing to compare.

--measure runs COMMAND, writes its seconds and the peak memory of its largest process to FILE as JSON, and exits with
its status. Python 3.8 or later.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

WORST = ["passed", "skipped", "failed", "error"]  # of a test that is there more than once


def measure(file, command):
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        status = subprocess.call(command)
    except OSError as e:
        print(f"parity.py: {command[0]}: {e.strerror}", file=sys.stderr)
        return 127
    usage = {
        "seconds": round(time.monotonic() - began, 1),
        "peak_kib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    }
    Path(file).write_text(json.dumps(usage) + "\n", encoding="utf-8")
    return status if status >= 0 else 128 - status


def status(case):
    for word, tag in (("error", "error"), ("failed", "failure"), ("skipped", "skipped")):
        if case.find(tag) is not None:
            return word
    return "passed"


def read(folder):
    """Test -> status, of all XML files below the folder."""
    tests = {}
    for path in sorted(folder.rglob("*.xml")):
        for case in ET.parse(path).getroot().iter("testcase"):
            name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
            tests[name] = max(tests.get(name, "passed"), status(case), key=WORST.index)
    return tests


def read_usage(folder):
    for path in folder.rglob("usage.json"):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


def collect(folder, architectures, reader):
    """REST -> architecture -> what the reader makes of the artifact's folder."""
    found = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        match = re.fullmatch(r"tests-([^-]+)-(.+)", path.name)
        if match and match[1] in architectures:
            found.setdefault(match[2], {})[match[1]] = reader(path)
    return found


def escape(text):
    return text.replace("|", "\\|").replace("`", "'")


def table(head, rows):
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def report(found, architectures):
    """The lines of the report, and the number of differences."""
    rows, missing, compared = [], [], 0
    for rest, results in sorted(found.items()):
        for architecture in architectures:
            if not results.get(architecture):
                missing.append(f"- no results of {architecture}, {rest}")
        for test in sorted({t for tests in results.values() for t in tests}):
            got = [results.get(a, {}).get(test, "did not run") for a in architectures]
            compared += 1
            if len(set(got)) > 1:
                rows.append([f"`{escape(test)}`", rest, *got])
    lines = [f"### Parity of {', '.join(architectures)}", ""]
    if missing:
        lines += [*missing, ""]
    if rows:
        lines += [f"{len(rows)} of {compared} tests differ:", "", *table(["test", "of", *architectures], rows)]
    elif compared and not missing:
        lines.append(f"All {compared} tests ran everywhere, with the same results.")
    return lines, len(rows) + len(missing), compared


def usage_report(found, architectures):
    """A line for each REST that was measured, with the ratio of the last architecture to the first."""

    def cell(usage):
        return f"{usage['seconds']:.1f} s, {usage['peak_kib'] / 1024:.0f} MiB" if usage else "not measured"

    rows = []
    for rest, usages in sorted(found.items()):
        got = [usages.get(a) for a in architectures]
        first, last = got[0], got[-1]
        if any(got):
            both = first and last and first["seconds"] and first["peak_kib"]
            ratio = (
                f"{last['seconds'] / first['seconds']:.2f}, {last['peak_kib'] / first['peak_kib']:.2f}" if both else ""
            )
            rows.append([rest, *map(cell, got), ratio])
    head = ["of", *architectures, f"{architectures[-1]} to {architectures[0]}"]
    return ["", "Time and peak memory:", "", *table(head, rows)] if rows else []


def main(args):
    if args[:1] == ["--measure"] and len(args) > 2:
        return measure(args[1], args[2:])
    file = None
    if args[:1] == ["--report"] and len(args) > 1:
        file, args = args[1], args[2:]
    if len(args) < 3 or args[0].startswith("-"):
        sys.exit(__doc__)
    folder, architectures = Path(args[0]), args[1:]
    found = collect(folder, architectures, read) if folder.is_dir() else {}
    lines, differences, compared = report(found, architectures)
    if not compared:
        lines.append(f"There are no results in `{folder}`.")
    elif folder.is_dir():
        lines += usage_report(collect(folder, architectures, read_usage), architectures)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    for path, mode in ((file, "w"), (os.environ.get("GITHUB_STEP_SUMMARY"), "a")):
        if path:
            with open(path, mode, encoding="utf-8") as f:
                f.write(text)
    if not compared:
        return 2
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
