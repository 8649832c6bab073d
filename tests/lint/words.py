"""Words that readers stumble over, in what users read: string literals of the programs, docs, README, action.yml.

usage: words.py FILE…    Prints a line for each, with what to write instead. CONTRIBUTING.md has the glossary.
"""

import re
import sys

WORDS = [
    (r"runner records?", "runner registration"),
    (r"\btells?\b|\btold\b", "print, log, show, say"),
    (r"of (its|one's|their|your) own\b(?! accord)", "its own, custom, separate"),
    (r"\bso (many|long) ", "this many, this long"),
    (r"\bleave [^.:;]{1,30} away\b", "omit"),
    (r"\bwhoever\b", "anyone who"),
    (r"\bthe newest\b", "the latest"),
    (r"\basks nobody\b", "makes no requests"),
    (r"\bhas not the\b|\bhave not the\b", "lacks"),
    (r"\bas of (start|stop|reap|bake)\b", "as for `start`"),
    (r"\b(dollars|times) an? (hour|day|minute|second)\b", "per hour"),
    (r"\bone an? (line|hour|region|architecture)\b|\bone object a line\b", "one per line"),
    (r"\bshall\b", "should, may"),
    (r"\bit is well\b", "OK"),
    (r"\b(instances?|machines?|builders?) (to end|that (was|were) ended)\b|\bends? (an|the|its|all) (instance|machine)s?\b", "terminate"),
    (r"\bgot? (never )?done with\b", "finish"),
    (r"\bany ?more\b", "no longer"),
    (r"\borganisation|\bbehaviour|\bcolour|\bneighbour|\brecognise|\bauthorise\b", "American spelling"),
]
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"(?:\s*\n\s*"(?:[^"\\\n]|\\.)*")*')
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def blanked(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def texts(path):
    """Yields (line, text) of what a user reads in the file."""
    with open(path, encoding="utf-8") as f:
        content = f.read()
    if path.endswith((".c", ".h")):
        content = COMMENT.sub(blanked, content)
        for m in LITERAL.finditer(content):
            yield content.count("\n", 0, m.start()) + 1, "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', m.group(0)))
    else:
        content = re.sub(r"```.*?```", blanked, content, flags=re.S)
        for number, line in enumerate(content.split("\n"), 1):
            yield number, line


def main(paths):
    found = 0
    for path in paths:
        for number, text in texts(path):
            for pattern, instead in WORDS:
                m = re.search(pattern, text)
                if m:
                    print(f"{path}:{number}: `{m.group(0)}`: {instead}")
                    found += 1
    return found > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
