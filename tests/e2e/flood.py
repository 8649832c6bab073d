"""A server on a free port of 127.0.0.1, which it prints, that answers every request with too much of something.

usage: flood.py KIND, the name of a function below
"""

import gzip
import itertools
import json
import socket
import sys
import threading

OK = b"HTTP/1.1 200 OK\r\n"
MIB = b"x" * (1 << 20)
counter = itertools.count(1)


def body(client):
    """One without an end."""
    client.sendall(OK + b"\r\n")
    while True:
        client.sendall(MIB)


def objects(client):
    """JSON that is small, but not in memory."""
    text = b'{"runners":[' + b"{}," * 600000 + b"{}]}"
    client.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)


def elements(client):
    text = b"<DescribeInstancesResponse>" + b"<a/>" * 1000000 + b"</DescribeInstancesResponse>"
    client.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)


def headers(client):
    client.sendall(OK)
    while True:
        client.sendall(b"X-Much: " + MIB[:50000] + b"\r\n")


def early(client):
    """Interim answers without an end."""
    while True:
        client.sendall(b"HTTP/1.1 100 Continue\r\nX-Much: 1\r\n\r\n")


def trailer(client):
    client.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    while True:
        client.sendall(b"X-Much: " + MIB[:1000] + b"\r\n")


def bomb(client):
    """Compressed, which nobody asked for: 20 KB that would be 20 MB."""
    text = gzip.compress(b"{}," * 7000000)
    client.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


def pages(client):
    """Lists whose pages are as full as they may be, and have no end."""
    n = next(counter)
    tags = "".join(f"<item><key>tag-{t}</key><value>{'v' * 250}</value></item>" for t in range(50))
    rows = "".join(f"<item><instanceId>i-{n:08x}{i:09x}</instanceId><instanceState><name>running</name></instanceState>"
                   f"<launchTime>2026-11-30T00:00:00.000Z</launchTime><tagSet>{tags}</tagSet></item>" for i in range(360))
    text = (f"<DescribeInstancesResponse><reservationSet><item><instancesSet>{rows}</instancesSet></item></reservationSet>"
            f"<nextToken>{n}</nextToken></DescribeInstancesResponse>")
    client.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text.encode())


def runners(client):
    """The same of GitHub's."""
    n = next(counter)
    labels = [{"id": i, "name": f"{i:03}" + "l" * 253, "type": "custom"} for i in range(100)]
    rows = [{"id": n * 100 + i, "name": f"mf-000000-us-east-1-{n:05}-{i:05}", "os": "linux", "status": "online", "busy": True,
             "labels": labels} for i in range(1, 101)]
    text = json.dumps({"total_count": 1 << 20, "runners": rows}).encode()
    client.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)


def serve(client):
    try:
        while b"\r\n\r\n" not in client.recv(65536):
            pass
        globals()[sys.argv[1]](client)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    except OSError:
        pass
    client.close()


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
