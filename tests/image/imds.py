"""An instance metadata service for one instance, version 2 only, on 169.254.169.254 or a loopback address.

usage: imds.py DIRECTORY [ADDRESS [PORT]]

It answers from files below DIRECTORY, anew for each request: `latest/user-data`, `latest/meta-data/instance-id`, …; a
directory is a list, and what is not there a 404. `status` holds a status for everything but the token, `raw` holds an
answer as it stands on the wire, for everything. `delay` holds the seconds that each answer takes. `expired` makes one 401 and a new token. Requests are logged in `log`.
"""

import http.server
import os
import re
import secrets
import sys
import time

root = sys.argv[1]
tokens = set()


def content(name):
    try:
        with open(os.path.join(root, name), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        with os.scandir(os.path.join(root, name)) as entries:
            return "\n".join(e.name + "/" * e.is_dir() for e in entries).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        time.sleep(float(content("delay") or 0))
        raw = content("raw")
        if raw is not None:
            self.wfile.write(raw)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        with open(os.path.join(root, "log"), "a") as f:
            f.write(format % args + "\n")

    def do_PUT(self):
        if self.path != "/latest/api/token" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.answer(400)
        token = secrets.token_urlsafe(40)
        tokens.add(token)
        self.answer(200, token.encode())

    def do_GET(self):
        if content("expired") is not None:
            os.unlink(os.path.join(root, "expired"))
            tokens.clear()
        if self.headers.get("X-aws-ec2-metadata-token") not in tokens:
            return self.answer(401)
        status = content("status")
        if status is not None:
            return self.answer(int(status))
        # A version by its date is the latest too.
        path = re.sub(r"^/[0-9-]+/", "/latest/", self.path)
        body = content(os.path.normpath(path).lstrip("/"))
        self.answer(200 if body is not None else 404, body or b"")


address = sys.argv[2] if len(sys.argv) > 2 else "169.254.169.254"
port = int(sys.argv[3]) if len(sys.argv) > 3 else 80
server = http.server.ThreadingHTTPServer((address, port), Handler)
server.daemon_threads = True
server.serve_forever()
