"""usage: signatures.py SIGN SEED: compares Mayfly's signer, the program SIGN, with botocore's SigV4Auth."""

import base64
import datetime
import json
import random
import string
import subprocess
import sys
import urllib.parse
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

GROUPS, PER_GROUP = 5, 100
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-4", "us-gov-west-1", "cn-north-1", "us-isob-east-1"]
SERVICES = ["ec2", "sts", "ssm", "sqs"]
FORM = "application/x-www-form-urlencoded; charset=utf-8"
TARGETS = ["AmazonSSM.GetParameter", "AmazonSQS.ReceiveMessage", "AmazonSSM.PutParameter"]
ODD = "".join(map(chr, range(32, 127))) + "\n\r\t\0\x7f\x80\xff\u00e9\u20ac\U0001f980"


def text(r, most, letters=ODD):
    return "".join(r.choice(letters) for _ in range(r.randint(0, most)))


def body(r, kind):
    if kind == "form":
        pairs = [("Action", "X"), ("Version", "1")] + [(text(r, 12), text(r, 60)) for _ in range(r.randint(0, 20))]
        encode = r.choice([urllib.parse.quote, urllib.parse.quote_plus])
        return "&".join(f"{encode(k, safe='~')}={encode(v, safe='~')}" for k, v in pairs).encode()
    if kind == "json":
        return json.dumps({text(r, 9): text(r, 40) for _ in range(r.randint(0, 9))}, ensure_ascii=r.random() < 0.5).encode()
    return r.randbytes(r.choice([0, 1, 55, 56, 63, 64, 65, 1000, 30000]))  # around the blocks of SHA-256


def make(r):
    service, region = r.choice(SERVICES), r.choice(REGIONS)
    kind = r.choice(["form", "json", "bytes"])
    secret = string.ascii_letters + string.digits + "+/="
    return {
        "key": "AKIA" + text(r, 16, string.ascii_uppercase + string.digits),
        "secret": text(r, 80, secret) + "x",
        "token": text(r, 1200, secret) + "==" if r.random() < 0.5 else None,
        "host": r.choice([f"{service}.{region}.amazonaws.com", f"127.0.0.1:{r.randint(1024, 65535)}",
                          "localhost:5000", "[::1]:8443", "Upper.Example.COM:8443"]),
        "content_type": FORM if kind == "form" else r.choice(
            ["application/x-amz-json-1.1", "application/x-amz-json-1.0", "text/plain;  charset=utf-8", " padded \t x "]),
        "target": r.choice(TARGETS) if kind == "json" else None,
        "body": base64.b64encode(body(r, kind)).decode(),
        "region": region,
        "service": service,
        "time": r.choice([r.randint(0, 4102444800), r.randint(0, 47000) * 86400, r.randint(1, 47000) * 86400 - 1]),
    }


def sign(request, credentials, service, region, time):
    """Adds the headers that botocore signs a request with, at that time."""
    now = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).replace(tzinfo=None)
    # Newer botocore asks get_current_datetime, older ones datetime.utcnow.
    if hasattr(botocore.auth, "get_current_datetime"):
        clock = mock.patch.object(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: now)
    else:
        clock = mock.patch.object(botocore.auth.datetime, "datetime", mock.Mock(utcnow=lambda: now))
    with clock:
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)


def judge(q):
    """What botocore makes of it."""
    headers = {"Host": q["host"], "Content-Type": q["content_type"]}
    if q["target"]:
        headers["X-Amz-Target"] = q["target"]
    request = AWSRequest("POST", f"https://{q['host']}/", headers=headers, data=base64.b64decode(q["body"]))
    sign(request, Credentials(q["key"], q["secret"], q["token"]), q["service"], q["region"], q["time"])
    return request.headers["Authorization"]


def main():
    program, seed = sys.argv[1:]
    r = random.Random(int(seed))
    for group in range(1, GROUPS + 1):
        name = f"signatures {group}"
        requests = [make(r) for _ in range(PER_GROUP)]
        lines = "".join(json.dumps(q) + "\n" for q in requests)
        done = subprocess.run([program], input=lines, capture_output=True, text=True, check=False)
        ours = done.stdout.splitlines()
        if done.returncode != 0 or len(ours) != PER_GROUP:
            print(f"not ok - {name}: {len(ours)} of {PER_GROUP} came back: {done.stderr.strip()} (MAYFLY_SEED={seed})")
            return 1
        for q, got in zip(requests, ours):
            want = judge(q)
            if got != want:
                print(f"not ok - {name}: Mayfly has `{got}`, botocore has `{want}` (MAYFLY_SEED={seed})")
                print(json.dumps(q))
                return 1
        print(f"ok - {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
