#!/usr/bin/env python3
"""Lists every test that ran, or passed, on one architecture alone.

usage: parity.py FOLDER ARCHITECTURE ARCHITECTURE…

FOLDER has a folder for each artifact, tests-ARCHITECTURE-REST, with JUnit XML files in it. Results of the same REST, a
Python version for example, are compared. Prints a report in Markdown, to the step's summary too. Exit status: 0 all the
same, 1 they differ, 2 there is nothing to compare.
"""

import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

WORST = ["passed", "skipped", "failed", "error"]  # of a test that is there more than once


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


def collect(folder, architectures):
    """REST -> architecture -> test -> status."""
    found = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        match = re.fullmatch(r"tests-([^-]+)-(.+)", path.name)
        if match and match[1] in architectures:
            found.setdefault(match[2], {})[match[1]] = read(path)
    return found


def escape(text):
    return text.replace("|", "\\|").replace("`", "'")


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
                rows.append("| " + " | ".join([f"`{escape(test)}`", rest, *got]) + " |")
    lines = [f"### Parity of {', '.join(architectures)}", ""]
    if missing:
        lines += [*missing, ""]
    if rows:
        lines += [f"{len(rows)} of {compared} tests differ:", ""]
        head = "| " + " | ".join(["test", "of", *architectures]) + " |"
        lines += [head, "|" + "---|" * (2 + len(architectures)), *rows]
    elif compared and not missing:
        lines.append(f"All {compared} tests ran everywhere, with the same results.")
    return lines, len(rows) + len(missing), compared


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    folder, architectures = Path(sys.argv[1]), sys.argv[2:]
    found = collect(folder, architectures) if folder.is_dir() else {}
    lines, differences, compared = report(found, architectures)
    if not compared:
        lines.append(f"There are no results in `{folder}`.")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as f:
            f.write(text)
    if not compared:
        return 2
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
