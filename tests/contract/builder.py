"""What moto lacks for a bake: a proxy in front of it that plays the builder and the smoke boot.

usage: builder.py MOTO_URL PORT_FILE

Every request goes on as it came, signature and all, but for three: GetConsoleOutput of a machine that the proxy saw launched
is answered from its user-data, and then the machine powers off; CreateImage goes without the tags of the snapshots, which
moto cannot take, and these are set afterwards, as all tags of CopyImage, which moto passes over.
"""

import base64
import gzip
import http.client
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.session

moto = urllib.parse.urlsplit(sys.argv[1]).netloc
session = botocore.session.get_session()


def client(region):
    return session.create_client("ec2", endpoint_url=sys.argv[1], region_name=region)


ec2 = client("us-east-1")
machines = {}  # id -> (role, script)


def launched(form, answer):
    """Remembers what a machine of a bake is to say."""
    tags = {form[f"TagSpecification.1.Tag.{n}.Key"]: form.get(f"TagSpecification.1.Tag.{n}.Value", "")
            for n in range(1, 51) if f"TagSpecification.1.Tag.{n}.Key" in form}
    data = base64.b64decode(form.get("UserData", ""))
    script = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    found = re.search(r"<instanceId>(i-\w+)</instanceId>", answer)
    if found:
        machines[found[1]] = tags["mayfly:role"], script


def console(machine):
    """Its words, and its end."""
    role, script = machines[machine]
    value = {name: re.search(f"^export {name}='(.*)'$", script, re.M)[1] for name in ("MAYFLY_NONCE", "MAYFLY_STEPS")}
    if role == "bake":
        ec2.stop_instances(InstanceIds=[machine])
    else:
        ec2.terminate_instances(InstanceIds=[machine])
    phases = [f"mayfly: phase bake-{step} (1.0s)" for step in value["MAYFLY_STEPS"].split() if role == "bake"]
    words = "\r\n".join([*phases, f"mayfly: {role} ok {value['MAYFLY_NONCE']}", ""])
    return (f'<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instanceId>{machine}</instanceId>'
            f"<output>{base64.b64encode(words.encode()).decode()}</output></GetConsoleOutputResponse>")


def tags_of(form):
    return {k: [{"Key": form[f"TagSpecification.{n}.Tag.{i}.Key"], "Value": form[f"TagSpecification.{n}.Tag.{i}.Value"]}
                for i in range(1, 51) if f"TagSpecification.{n}.Tag.{i}.Key" in form]
            for n in (1, 2) for k in [form[f"TagSpecification.{n}.ResourceType"]]}


def image(form):
    tags = tags_of(form)
    made = ec2.create_image(InstanceId=form["InstanceId"], Name=form["Name"], Description=form["Description"],
                            TagSpecifications=[{"ResourceType": "image", "Tags": tags["image"]}])["ImageId"]
    mappings = ec2.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"]
    ec2.create_tags(Resources=[m["Ebs"]["SnapshotId"] for m in mappings if "Ebs" in m], Tags=tags["snapshot"])
    return (f'<CreateImageResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imageId>{made}</imageId>'
            "</CreateImageResponse>")


def copy(form, region):
    there, tags = client(region), tags_of(form)
    named = {k: form[k] for k in ("Name", "Description", "SourceRegion", "SourceImageId", "ClientToken")}
    made = there.copy_image(**named)["ImageId"]
    mappings = there.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"]
    there.create_tags(Resources=[made], Tags=tags["image"])
    there.create_tags(Resources=[m["Ebs"]["SnapshotId"] for m in mappings if "Ebs" in m], Tags=tags["snapshot"])
    return (f'<CopyImageResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imageId>{made}</imageId>'
            "</CopyImageResponse>")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)) if body[:1] != b"{" else {}
        action = form.get("Action")
        if action == "GetConsoleOutput" and form["InstanceId"] in machines:
            self.answer(200, console(form["InstanceId"]).encode())
        elif action == "CreateImage":
            self.answer(200, image(form).encode())
        elif action == "CopyImage":
            self.answer(200, copy(form, self.headers["Authorization"].split("/")[2]).encode())
        else:
            onward = http.client.HTTPConnection(moto, timeout=60)
            onward.request("POST", self.path, body, dict(self.headers))  # Host too: it is signed
            told = onward.getresponse()
            text = told.read()
            if action == "RunInstances" and told.status == 200:
                launched(form, text.decode())
            self.answer(told.status, text)

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
with open(sys.argv[2], "w", encoding="utf-8") as f:
    f.write(f"{server.server_port}\n")
server.serve_forever()
