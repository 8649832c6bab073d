"""A relay on a free port of 127.0.0.1, which it prints, to TARGET_PORT. RULES is read anew for each answer: a JSON list of
[PART, PATTERN, TEXT]; where PART is in the request's path or body, PATTERN (a regular expression) becomes TEXT in the answer.

usage: bend.py TARGET_PORT RULES
"""

import http.client
import http.server
import json
import re
import sys


class Relay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body)
        answer = server.getresponse()
        text = answer.read().decode()
        with open(sys.argv[2]) as rules:
            for part, pattern, by in json.load(rules):
                if part in self.path + " " + body.decode():
                    text = re.sub(pattern, lambda _, by=by: by, text, count=1)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        data = text.encode()
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if answer.status not in (204, 304) else b"")

    do_GET = do_POST = do_DELETE = do_PUT = relay


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
print(server.server_port, flush=True)
server.serve_forever()
