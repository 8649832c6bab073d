"""Judges a file of metrics as Prometheus' tools would: prometheus_client's parser, and what promtool and the textfile
collector of node_exporter refuse besides. Prints its series sorted, `NAME{LABELS} VALUE` a line; what is wrong goes to
stderr, with status 1.

usage: metrics.py FILE
"""

import re
import sys

from prometheus_client.parser import text_string_to_metric_families

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?)")


def faults(text):
    """What is wrong, a sentence each. A family is its HELP, its TYPE and its samples, in one piece."""
    if not text.endswith("\n"):
        yield "the last line has no end"
    families, types, seen = [], {}, set()
    for line in text.splitlines():
        if help := re.fullmatch(rf"# HELP ({NAME}) (.*)", line):
            name, words = help.groups()
            if name in families:
                yield f"{name}: comes twice"
            if not words.endswith(".") or "\\" in words:
                yield f"{name}: its help is no sentence"
            families.append(name)
        elif kind := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
            name = kind.group(1)
            if not families or name != families[-1] or name in types:
                yield f"{name}: its TYPE does not follow its HELP"
            types[name] = kind.group(2)
            if (kind.group(2) == "counter") != name.endswith("_total"):
                yield f"{name}: _total is for counters, and for all of them"
            if re.search(r"_(count|sum|bucket|info|gauge|counter|minutes|hours|days|milliseconds)$", name):
                yield f"{name}: its ending means something else"
        elif sample := SAMPLE.fullmatch(line):
            name, labels, value = sample.groups()
            if not families or name != families[-1] or name not in types:
                yield f"{line}: stands outside its family"
            if (name, labels) in seen:
                yield f"{line}: comes twice"
            keys = [pair.split("=")[0] for pair in re.findall(LABEL, labels or "")]
            if len(set(keys)) != len(keys):
                yield f"{line}: a label comes twice"
            seen.add((name, labels))
            if types.get(name) == "counter" and float(value) < 0:
                yield f"{line}: a counter below zero"
        else:
            yield f"{line}: neither HELP nor TYPE nor a sample without a time"


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as f:
        text = f.read()
    wrong = list(faults(text))
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    ours = [line for line in text.splitlines() if not line.startswith("#")]
    if len(samples) != len(ours):
        wrong.append(f"prometheus_client sees {len(samples)} samples of {len(ours)}")
    for s in sorted(samples, key=lambda s: (s.name, sorted(s.labels.items()))):
        labels = ",".join(f"{k}={v}" for k, v in sorted(s.labels.items()))
        print(f"{s.name}{{{labels}}} {s.value:g}" if abs(s.value) < 1e6 else f"{s.name}{{{labels}}} {s.value:.0f}")
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
