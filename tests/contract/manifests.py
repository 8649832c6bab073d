"""Judges of the examples for containers: Docker's own parser, and the schemas of Kubernetes.

usage: manifests.py container FILE | kubernetes FILE

Prints what the file says as JSON: [{"cmd", "value", "flags"}, …] or the list of its objects. What is wrong goes to
stderr, with status 1.
"""

import json
import sys

import dockerfile
import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.29"
# The parser leaves it to the builder to know the words.
WORDS = "FROM ARG ENV WORKDIR COPY RUN LABEL USER ENTRYPOINT CMD".split()


def container(path):
    commands = [{"cmd": c.cmd.upper(), "value": c.value, "flags": c.flags} for c in dockerfile.parse_file(path)]
    for c in commands:
        if c["cmd"] not in WORDS:
            raise ValueError(f"no instruction that is used here: {c['cmd']}")
    return commands


def kubernetes(path):
    with open(path, encoding="utf-8") as f:
        objects = list(yaml.safe_load_all(f))
    for o in objects:
        kubernetes_validate.validate(o, KUBERNETES, strict=True)
    return objects


def main():
    judge = {"container": container, "kubernetes": kubernetes}[sys.argv[1]]
    try:
        print(json.dumps(judge(sys.argv[2])))
    except jsonschema.ValidationError as e:
        print(f"{e.json_path}: {e.message}", file=sys.stderr)
        return 1
    except (dockerfile.GoParseError, yaml.YAMLError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
