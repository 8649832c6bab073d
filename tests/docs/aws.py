"""A stand-in for `aws SERVICE OPERATION --option value…`: as much of it as the documentation shows.

Operations, parameters and answers are botocore's, so that what does not exist there fails here too."""

import json
import os
import sys

import botocore.session
import jmespath
from botocore import xform_name


def shorthand(text):
    """Name=a,Values=b,c"""
    out, key = {}, None
    for part in text.split(","):
        if "=" in part:
            key, value = part.split("=", 1)
            out[key] = value
        else:
            out[key] = [*(out[key] if isinstance(out[key], list) else [out[key]]), part]
    return out


def value(shape, words):
    if shape.type_name == "list":
        items = [shorthand(w) for w in words] if shape.member.type_name == "structure" else words
        for item in items:
            for name, member in getattr(shape.member, "members", {}).items():
                if member.type_name == "list" and name in item and not isinstance(item[name], list):
                    item[name] = [item[name]]
        return items
    if shape.type_name == "boolean" and not words:
        return True
    (word,) = words
    if word.startswith("file://"):
        with open(word[len("file://"):], encoding="utf-8") as f:
            return f.read()
    return word


def main(service, operation, *args):
    client = botocore.session.get_session().create_client(service, region_name=os.environ.get("AWS_REGION"))
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation.replace("-", "_")])
    members = {xform_name(name, "-"): (name, shape) for name, shape in model.input_shape.members.items()} if model.input_shape else {}
    options, output, query, at = {}, "json", None, 0
    while at < len(args):
        option, words = args[at].removeprefix("--"), []
        at += 1
        while at < len(args) and not args[at].startswith("--"):
            words.append(args[at])
            at += 1
        if option == "query":
            (query,) = words
        elif option == "output":
            (output,) = words
        else:
            name, shape = members[option]
            options[name] = value(shape, words)
    result = getattr(client, operation.replace("-", "_"))(**options)
    result.pop("ResponseMetadata")
    if query:
        result = jmespath.search(query, result)
    if output == "text":
        print("\t".join(result) if isinstance(result, list) else result)
    elif result:
        print(json.dumps(result, default=str, indent=4))


main(*sys.argv[1:])
