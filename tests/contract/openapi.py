"""GitHub's OpenAPI description, reduced to the operations that Mayfly uses.

usage: openapi.py DESCRIPTION_JSON >REDUCED_JSON

Prism takes 1.5 s to start with what is left, and 7 s with the whole. Every request must carry a bearer token, which the
description leaves out.
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
    ("get", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs"),
} | {
    (method, scope + "/actions/runners" + path)
    for scope in ("/repos/{owner}/{repo}", "/orgs/{org}")
    for method, path in (
        ("get", ""),
        ("get", "/downloads"),
        ("post", "/generate-jitconfig"),
        ("get", "/{runner_id}"),
        ("delete", "/{runner_id}"),
    )
}


def references(node):
    """The components that a part of the description names."""
    return set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(node)))


def reduce(whole):
    paths = {}
    for method, path in sorted(USED):
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


with open(sys.argv[1], encoding="utf-8") as f:
    json.dump(reduce(json.load(f)), sys.stdout)
