"""sign.py SECONDS: signs the request on stdin (as tests/contract/sign reads it) by botocore for so long; prints the
signature and how many a second of processor time."""

import base64
import datetime
import json
import sys
import time

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def main():
    seconds, q = float(sys.argv[1]), json.load(sys.stdin)
    now = datetime.datetime.fromtimestamp(q["time"], datetime.timezone.utc).replace(tzinfo=None)
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now
    signer = botocore.auth.SigV4Auth(Credentials(q["key"], q["secret"], q["token"]), q["service"], q["region"])
    url, body = f"http://{q['host']}/", base64.b64decode(q["body"])
    headers = {"Host": q["host"], "Content-Type": q["content_type"]}
    n, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(100):
            request = AWSRequest("POST", url, headers=headers, data=body)
            signer.add_auth(request)
        n += 100
    print(request.headers["Authorization"])
    print(round(n / spent))


main()
