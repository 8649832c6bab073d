"""A relay on a free port of 127.0.0.1, which it prints: in front of TARGET with TLS, or a proxy for anything, or for
nothing.

usage: relay.py tls TARGET_PORT CERTIFICATE_AND_KEY | relay.py proxy LOG |
       relay.py refuse STATUS
"""

import re
import socket
import ssl
import sys
import threading


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def join(a, b):
    threading.Thread(target=pump, args=(a, b), daemon=True).start()
    pump(b, a)


def proxy(client):
    """CONNECT, and one request in absolute form a connection."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            return
        head += data
    line, _, rest = head.partition(b"\r\n")
    method, where, _ = line.decode().split(" ")
    with open(sys.argv[2], "a") as log:
        log.write(f"{method} {where}\n")
    host, port, path = re.fullmatch(r"(?:http://)?([^:/]+):(\d+)(.*)", where).groups()
    server = socket.create_connection((host, int(port)))
    if method == "CONNECT":
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        rest = re.sub(rb"(?i)\r\nproxy-connection: [^\r]*", b"", rest)
        server.sendall(f"{method} {path} HTTP/1.1\r\nConnection: close\r\n".encode() + rest)
    join(client, server)


def tls(client):
    join(client, socket.create_connection(("127.0.0.1", int(sys.argv[2]))))


def refuse(client):
    client.recv(65536)
    client.sendall(f"HTTP/1.1 {sys.argv[2]} No\r\nContent-Length: 0\r\n\r\n".encode())
    client.close()


def serve(handler, client, context):
    try:
        handler(context.wrap_socket(client, server_side=True) if context else client)
    except (OSError, ValueError):
        client.close()


HANDLERS = {"tls": tls, "proxy": proxy, "refuse": refuse}
listener = socket.create_server(("127.0.0.1", 0))
context = None
if sys.argv[1] == "tls":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3])
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(HANDLERS[sys.argv[1]], listener.accept()[0], context), daemon=True).start()
