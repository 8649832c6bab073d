"""GitHub's OpenAPI descriptions, reduced to the operations that Mayfly uses and that the simulator serves.

usage: openapi.py API_GITHUB_COM_JSON GHEC_JSON >REDUCED_JSON

Prism takes 1.5 s to start with what is left, and 7 s with the whole. Every request must carry a bearer token, which the
descriptions leave out. Enterprises are in that of GitHub Enterprise Cloud alone.
"""

import json
import re
import sys

USED = {
    ("get", "/app"),
    ("post", "/app/installations/{installation_id}/access_tokens"),
    ("get", "/repos/{owner}/{repo}/installation"),
    ("get", "/orgs/{org}/installation"),
    ("get", "/rate_limit"),
    ("get", "/orgs/{org}/actions/runner-groups"),
    ("get", "/enterprises/{enterprise}/actions/runner-groups"),
    ("get", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs"),
} | {
    (method, scope + "/actions/runners" + path)
    for scope in ("/repos/{owner}/{repo}", "/orgs/{org}", "/enterprises/{enterprise}")
    for method, path in (
        ("get", ""),
        ("get", "/downloads"),
        ("post", "/generate-jitconfig"),
        ("get", "/{runner_id}"),
        ("delete", "/{runner_id}"),
    )
}

# What the simulator serves besides, for whoever looks at a job.
SERVED = {
    ("get", "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs"),
    ("get", "/repos/{owner}/{repo}/actions/jobs/{job_id}"),
}
ENTERPRISES = "/enterprises/"  # in the second description; there, components of one name have other contents


def of_both(first, second):
    """Both descriptions as one, the components of the second by names of their own."""
    renamed = json.loads(re.sub(r'("#/components/\w+/)', r"\1ghec-", json.dumps(second)))
    paths = first["paths"] | {p: item for p, item in renamed["paths"].items() if p.startswith(ENTERPRISES)}
    components = {
        kind: first["components"].get(kind, {}) | {f"ghec-{n}": c for n, c in renamed["components"].get(kind, {}).items()}
        for kind in first["components"]
    }
    return first | {"paths": paths, "components": components}


def references(node):
    """The components that a part of the description names."""
    return set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(node)))


def reduce(whole):
    paths = {}
    for method, path in sorted(USED | SERVED):
        paths.setdefault(path, {})[method] = whole["paths"][path][method]
    components, left = {}, references(paths)
    while left:
        kind, name = left.pop().split("/")
        part = whole["components"][kind][name]
        if name not in components.setdefault(kind, {}):
            components[kind][name] = part
            left |= references(part)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": whole["openapi"],
        "info": whole["info"],
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": components,
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as first, open(sys.argv[2], encoding="utf-8") as second:
        json.dump(reduce(of_both(json.load(first), json.load(second))), sys.stdout)


if __name__ == "__main__":
    main()
