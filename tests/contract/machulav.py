"""usage: machulav.py BUILD: inputs of machulav/ec2-github-runner, usual and odd, and the RunInstances that come of them.

`theirs` is what its action does with inputs, by the behaviour of version 2.5 and the AWS SDK for JavaScript under it: which
parameters go out, in which regions, or that it fails before. Mayfly gets the same inputs in the environment, as action.yml
hands them on. A row where the two differ names the row of docs/migrating.md that says so, and Mayfly says so when it runs.
"""

import base64
import gzip
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUILD = sys.argv[1]
MIGRATING = (pathlib.Path(__file__).resolve().parents[2] / "docs/migrating.md").read_text()
FAILS = "fails"
BASIC = {"ec2-image-id": "ami-0a11ce00000000003", "ec2-instance-type": "t3.nano", "subnet-id": "subnet-0a11ce01",
         "security-group-id": "sg-0a11ce01"}
DEFAULTS = {"aws-resource-tags": "[]", "block-device-mappings": "[]", "metadata-options": "{}", "packages": "[]",
            "ec2-device-name": "/dev/sda1"}
REGION = "us-east-1"


# --- their side ---

def js_text(value):
    """What the SDK sends of a value: String() of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def flat(value, prefix=""):
    """The members of a structure that are sent; null is left out."""
    if isinstance(value, dict):
        return {k: v for name, member in value.items() for k, v in flat(member, f"{prefix}.{name}" if prefix else name).items()}
    return {} if value is None else {prefix: js_text(value)}


MEMBERS = {"DeviceName", "VirtualName", "NoDevice", "HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6",
           "InstanceMetadataTags"} | {f"Ebs.{m}" for m in ("VolumeSize", "VolumeType", "Iops", "Throughput", "Encrypted", "KmsKeyId",
                                                           "SnapshotId", "DeleteOnTermination", "VolumeInitializationRate")}
CHOICES = {"Ebs.VolumeType": "gp2 gp3 io1 io2 st1 sc1 standard", "HttpTokens": "required optional", "HttpEndpoint": "enabled disabled",
           "InstanceMetadataTags": "enabled disabled"}
RANGES = {"Ebs.VolumeSize": 65536, "HttpPutResponseHopLimit": 64}


def ec2_refuses(call):
    """What is sent, and EC2 knows to be wrong before it launches."""
    sent = [*call["devices"], call["metadata"]]
    return (any(v not in CHOICES[k].split() for m in sent for k, v in m.items() if k in CHOICES)
            or any(not re.fullmatch("[0-9]+", v) or not 1 <= int(v) <= RANGES[k] for m in sent for k, v in m.items() if k in RANGES)
            or any("DeviceName" not in d for d in call["devices"]))


def known(value):
    """The members of a structure that the SDK knows, and so sends."""
    return {k: v for k, v in flat(value).items() if k in MEMBERS} if isinstance(value, dict) else {}


def theirs(inputs):
    """A list of the instances that are asked for, one after the other."""
    got = {name: value.strip() for name, value in {**DEFAULTS, **inputs}.items()}
    text = lambda name: got.get(name) or DEFAULTS.get(name, "")  # noqa: E731 an input that is empty has its default
    try:
        tags, devices = json.loads(text("aws-resource-tags")), json.loads(text("block-device-mappings"))
        metadata, packages = json.loads(text("metadata-options")), json.loads(text("packages"))
        places = json.loads(text("availability-zones-config") or "[]")
    except ValueError:
        return FAILS
    if None in (tags, devices, metadata) or isinstance(packages, str):  # of which JavaScript reads a member, or calls one
        return FAILS
    tags, devices, packages = (v if isinstance(v, list) else [] for v in (tags, devices, packages))
    tags = [t for t in tags if isinstance(t, dict) and t.get("Key") is not None]
    if len({js_text(t["Key"]) for t in tags}) < len(tags):  # which EC2 refuses
        return FAILS
    if not isinstance(places, list) or not all(isinstance(p, dict) and p.get("imageId") and p.get("subnetId") and p.get("securityGroupId")
                                               for p in places):
        return FAILS
    single = [text("ec2-image-id"), text("subnet-id"), text("security-group-id")]
    if not text("ec2-instance-type") or (not places and not all(single)):
        return FAILS
    if text("use-jit") == "true" and text("run-runner-as-service") == "true":
        return FAILS
    places = [(p["imageId"], p["subnetId"], p["securityGroupId"], p.get("region") or REGION) for p in places] or [(*single, REGION)]
    if not devices and (text("ec2-volume-size") or text("ec2-volume-type")):
        devices = [{"DeviceName": text("ec2-device-name"),
                    "Ebs": {"VolumeSize": text("ec2-volume-size") or None, "VolumeType": text("ec2-volume-type") or None}}]
    calls = [{"ImageId": image, "SubnetId": subnet, "SecurityGroupId": group, "region": region, "InstanceType": text("ec2-instance-type"),
             "profile": text("iam-role-name"), "market": "spot" if text("market-type") == "spot" else "",
             "tags": {js_text(t["Key"]): js_text("" if t.get("Value") is None else t["Value"]) for t in tags}, "devices": [known(d) for d in devices],
             "metadata": known(metadata), "packages": [js_text(p) for p in packages], "user": text("run-runner-as-user"),
             "dir": text("runner-home-dir"), "script": text("pre-runner-script")}
            for image, subnet, group, region in places]
    return FAILS if any(ec2_refuses(c) for c in calls) else calls


# --- our side ---

class Cloud(BaseHTTPRequestHandler):
    """Stands before the simulator, and refuses each RunInstances: there is no room."""
    protocol_version = "HTTP/1.1"
    seen, behind = [], None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        if form.get("Action") == "RunInstances":
            Cloud.seen.append((self.headers["Authorization"].split("/")[2], form))
            answer, status = (b"<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>none</Message></Error></Errors>"
                              b"<RequestID>r</RequestID></Response>"), 500
        else:
            c = http.client.HTTPConnection(Cloud.behind)
            c.request("POST", self.path, body, dict(self.headers))
            r = c.getresponse()
            answer, status = r.read(), r.status
            c.close()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def script_of(user_data):
    data = base64.b64decode(user_data)
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


def assigned(script, name):
    """The value of a shell's NAME='…' at the head of the user-data."""
    found = re.search(rf"^{name}='((?:[^']|'\\'')*)'", script, re.MULTILINE)
    return found.group(1).replace("'\\''", "'") if found else ""


def members(form, prefix):
    """PREFIX.N.REST: [{REST: value}, …]"""
    rows = {}
    for key, value in form.items():
        if m := re.fullmatch(rf"{prefix}\.(\d+)\.(.+)", key):
            rows.setdefault(int(m.group(1)), {})[m.group(2)] = value
    return [rows[n] for n in sorted(rows)]


def taken_apart(region, form):
    script = script_of(form["UserData"])
    tags = {}
    for spec in members(form, "TagSpecification"):
        if spec["ResourceType"] == "instance":
            tags = {t["Key"]: t["Value"] for t in members(spec, "Tag")}
    return {"ImageId": form["ImageId"], "SubnetId": form.get("SubnetId") or form.get("NetworkInterface.1.SubnetId"),
            "SecurityGroupId": form.get("SecurityGroupId.1") or form.get("NetworkInterface.1.SecurityGroupId.1"), "region": region,
            "InstanceType": form["InstanceType"], "profile": form.get("IamInstanceProfile.Name", ""),
            "market": form.get("InstanceMarketOptions.MarketType", ""), "tags": tags, "devices": members(form, "BlockDeviceMapping"),
            "metadata": {k.removeprefix("MetadataOptions."): v for k, v in form.items() if k.startswith("MetadataOptions.")},
            "packages": assigned(script, "MAYFLY_PACKAGES").split(), "user": assigned(script, "MAYFLY_USER"),
            "dir": assigned(script, "MAYFLY_RUNNER_DIR"),
            "script": base64.b64decode(assigned(script, "MAYFLY_PRE_RUNNER")).decode().strip()}


def ours(inputs, environment):
    Cloud.seen.clear()
    given = {"INPUT_" + name.upper().replace("-", "_"): value for name, value in inputs.items()}
    done = subprocess.run([f"{BUILD}/mayfly", "start"], env={**environment, **given}, capture_output=True, text=True, timeout=60)
    if done.returncode < 0 or "Sanitizer" in done.stderr:
        raise RuntimeError(done.stderr)
    return [taken_apart(*s) for s in Cloud.seen] or FAILS, done.stderr


def only_theirs(want, got):
    """What Mayfly adds is taken away: its tags, the options of metadata and the volumes' that nobody gave."""
    if FAILS in (want, got) or len(want) != len(got):
        return got
    ret = []
    for a, b in zip(want, got):
        own = {k: v for k, v in b["tags"].items() if k in a["tags"] or not (k == "Name" or k.startswith("mayfly:"))}
        devices = [{k: v for k, v in d.items() if k in w} for w, d in zip(a["devices"], b["devices"])]
        ret.append({**b, "tags": own, "devices": devices if len(a["devices"]) <= len(b["devices"]) else b["devices"],
                    "metadata": {k: v for k, v in b["metadata"].items() if k in a["metadata"]}})
    return ret


# --- the table: the inputs beside the basic ones ---

WEST = {"imageId": "ami-0a11ce00000002003", "subnetId": "subnet-0a11ce21", "securityGroupId": "sg-0a11ce21", "region": "us-west-2"}
HOME = {"imageId": BASIC["ec2-image-id"], "subnetId": "subnet-0a11ce02", "securityGroupId": "sg-0a11ce01"}


def rows_of(name, *values):
    return [{name: value} for value in values]


ROWS = [
    {},
    *rows_of("ec2-image-id", " ami-0a11ce00000000003 ", "", "ami-0a11ce00000000001\n"),
    *rows_of("ec2-instance-type", " t3.nano", "", "t3.large\n"),
    *rows_of("subnet-id", " subnet-0a11ce02 ", "", "\tsubnet-0a11ce01"),
    *rows_of("security-group-id", "sg-0a11ce01\n", "", " sg-0a11ce01"),
    *rows_of("iam-role-name", "role", " role ", "a+b=c,d.e@f-g", ""),
    *rows_of("market-type", "spot", " spot ", "", "Spot", "on-demand", "SPOT", "none"),
    *rows_of("aws-resource-tags", "[]", "", '[{"Key":"a","Value":"1"}]', '[{"Key":"a","Value":1},{"Key":"b","Value":true}]',
             '[{"Key":"a","Value":""}]', '[{"Key":"a b","Value":"x,y=z"}]', '[{"Value":"1","Key":"a"}]', "{}", "[", "null", '"a"', "[1]",
             '[{"Key":"a","Value":1.5}]', ' [ {"Key" : "a" , "Value" : "\\u00fc"} ] ', '[{"Key":"Name","Value":"mine"}]', '[{"Key":"a"}]',
             '[{"key":"a","value":"1"}]', '[{"Key":"a","Value":"1","X":2}]', '[{"Key":"a","Value":"1"},{"Key":"a","Value":"2"}]', "a=b"),
    *rows_of("runner-home-dir", "/home/runner", " /opt/x ", "/opt/a b", "", "/opt/it's", "relative", "/opt/x/"),
    *rows_of("run-runner-as-user", "ubuntu", " root ", "", "ec2-user", "a b"),
    *rows_of("pre-runner-script", "echo a", "", " \n echo 'a b'\n\n", "echo a\r\necho b\r\n", "echo $HOME `x` ${y}", "#!/bin/sh\nx"),
    *rows_of("packages", "[]", "", '["git"]', '["git","docker.io"]', "git", '"git"', "{}", "[1]", '["a b"]', '[""]'),
    *rows_of("ec2-volume-size", "20", " 20 ", "", "20GB", "0", "1e2", "20.0", "-1"),
    *rows_of("ec2-volume-type", "gp3", " gp2", "", "GP3", "none"),
    {"ec2-volume-size": "20", "ec2-device-name": "/dev/xvda"},
    {"ec2-volume-size": "20", "ec2-device-name": ""},
    {"ec2-volume-size": "20", "ec2-device-name": "sda1"},
    {"ec2-volume-size": "20", "ec2-volume-type": "gp3", "block-device-mappings": '[{"DeviceName":"/dev/sda1","Ebs":{"VolumeSize":30}}]'},
    *rows_of("block-device-mappings", "[]", "", '[{"DeviceName":"/dev/sda1","Ebs":{"VolumeSize":30,"VolumeType":"gp3"}}]',
             '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":"30","Encrypted":"true"}}]', '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":30,"Iops":null}}]',
             '[{"DeviceName":"/dev/sdf","VirtualName":"ephemeral0"}]', "{}", "[", "null", '[{"DeviceName":"/dev/sdf","NoDevice":""}]',
             '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":30,"DeleteOnTermination":false}}]', '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":1.5}}]',
             '[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":30,"X":1}}]', '[{"Ebs":{"VolumeSize":30}}]'),
    *rows_of("metadata-options", "{}", "", '{"HttpTokens":"optional"}', '{"HttpPutResponseHopLimit":2}', '{"HttpPutResponseHopLimit":"2"}',
             '{"HttpTokens":null}', '{"HttpEndpoint":"disabled"}', '{"InstanceMetadataTags":"enabled"}', "[]", "[", "null", '{"X":1}',
             '{"HttpPutResponseHopLimit":65}', '{"httpTokens":"optional"}'),
    *rows_of("use-jit", "true", "false", "", "TRUE", "yes", "0"),
    *rows_of("run-runner-as-service", "true", "false", "", "TRUE", "yes"),
    {"use-jit": "true", "run-runner-as-service": "true"},
    *rows_of("runner-group-id", "1", " 1 ", "", "1.5", "1x", "x", "0", "-1"),
    *rows_of("runner-debug", "true", "false", "", "TRUE", "1"),
    *rows_of("label", "a", " a ", "", "feature/x", "a b", "a,b", "-a", "\u00fc", "a" * 101),
    *rows_of("startup-timeout-minutes", "5", " 5 ", "", "7.5", "5m", "0", "-1", "x", "61", "1e1"),
    *rows_of("startup-quiet-period-seconds", "30", "", "30s", "x", "-1"),
    *rows_of("startup-retry-interval-seconds", "10", "", "2.5", "x", "0"),
    *[{"availability-zones-config": json.dumps(v) if isinstance(v, list) else v} for v in (
        [HOME], [HOME, WEST], [WEST], [], "", "{}", "[", "null", "[1]", [{**HOME, "region": ""}], [{**HOME, "region": None}],
        [{**HOME, "imageId": ""}], [{**HOME, "x": 1}], [{k: v for k, v in HOME.items() if k != "subnetId"}], [{**WEST, "regoin": "x"}])],
    {"availability-zones-config": json.dumps([HOME]), "ec2-image-id": "", "subnet-id": "", "security-group-id": ""},
    {"availability-zones-config": json.dumps([HOME]), "ec2-instance-type": ""},
]


# Where the two differ: what docs/migrating.md says of it, an input, its values.
UNLIKE = {(name, value): why for why, name, values in (
    ("an unknown `market-type` launches on demand", "market-type", ["Spot", "SPOT", "none"]),
    ("of a wrong kind counts as nothing", "aws-resource-tags", ["{}", '"a"', "[1]", '[{"key":"a","value":"1"}]']),
    ("of a wrong kind counts as nothing", "packages", ["{}"]),
    ("of a wrong kind counts as nothing", "block-device-mappings", ["{}"]),
    ("of a wrong kind counts as nothing", "metadata-options", ["[]"]),
    ("tags and packages are JSON", "aws-resource-tags", ["a=b"]),
    ("tags and packages are JSON", "packages", ["git"]),
    ("an unknown member of `block-device-mappings` or `metadata-options`", "block-device-mappings",
     ['[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":30,"X":1}}]']),
    ("an unknown member of `block-device-mappings` or `metadata-options`", "metadata-options", ['{"X":1}', '{"httpTokens":"optional"}']),
    ("`block-device-mappings` may keep a volume", "block-device-mappings",
     ['[{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":30,"DeleteOnTermination":false}}]']),
    ("`metadata-options` may switch the metadata off", "metadata-options", ['{"HttpEndpoint":"disabled"}']),
    ("are any text", "runner-home-dir", ["relative"]),
    ("are any text", "run-runner-as-user", ["a b"]),
    ("are any text", "packages", ['["a b"]', '[""]']),
    ("are any text", "ec2-device-name", ["sda1"]),
    ("a `pre-runner-script` with Windows line endings", "pre-runner-script", ["echo a\r\necho b\r\n"]),
    ("`use-jit: true` and `run-runner-as-service: true` together fail", "run-runner-as-service", ["true and use-jit"]),
    ("`runner-group-id` is read by `parseInt()`", "runner-group-id", ["1.5", "1x", "x", "0", "-1"]),
    ("`label` is any word", "label", ["a b", "a,b", "-a", "\u00fc", "a" * 101]),
    ("less than 0 and what is no number are refused", "startup-timeout-minutes", ["-1", "x", "61"]),
    ("a place without `imageId` fails", "availability-zones-config", [json.dumps([{**HOME, "imageId": ""}])]),
    ("one that looks misspelled (`regoin`) is refused", "availability-zones-config", [json.dumps([{**WEST, "regoin": "x"}])]),
) for value in values}


def reason(inputs):
    """Of a row: its last input decides, which for two that fail together is not its value."""
    name, value = list(inputs.items())[-1] if inputs else ("", "")
    return UNLIKE.get((name, f"{value} and use-jit" if inputs.get("use-jit") == "true" and len(inputs) > 1 else value), "")


def judge(inputs, why, environment):
    whole = {**BASIC, **inputs}
    want = theirs(whole)
    got, said = ours(whole, environment)
    got = only_theirs(want, got)
    if why and why not in MIGRATING:
        return f"docs/migrating.md does not say `{why}`"
    if why and want == got:
        return f"they agree now, so it does not hold that {why}"
    if why and FAILS not in (want, got) and "::warning::" not in said:
        return f"machulav: {want}, Mayfly: {got}, and nobody is warned"
    if not why and want != got:
        differ = [(k, a[k], b[k]) for a, b in zip(want, got) for k in a if a[k] != b[k]] if FAILS not in (want, got) else (want == FAILS, got == FAILS)
        return f"machulav and Mayfly: {differ}: {[x for x in said.splitlines() if 'each runner' not in x][:3]}"
    return None


def start_simulator(directory):
    path = pathlib.Path(directory) / "env"
    process = subprocess.Popen([f"{BUILD}/mayfly-sim", "--port", "0", "--env-file", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not path.exists() or not path.read_text().endswith("\n"):
        if process.poll() is not None:
            raise RuntimeError("the simulator does not start")
        time.sleep(0.02)
    return process, dict(line.split("=", 1) for line in path.read_text().splitlines())


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        process, environment = start_simulator(directory)
        Cloud.behind = urllib.parse.urlsplit(environment["AWS_ENDPOINT_URL"]).netloc
        server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment |= {"AWS_ENDPOINT_URL_EC2": f"http://127.0.0.1:{server.server_port}", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7",
                        "GITHUB_RUN_ATTEMPT": "1", "HOME": directory, "PATH": os.environ["PATH"]}
        for inputs in ROWS:
            name = ", ".join(f"{k}=`{' '.join(v.split())[:90]}`" for k, v in inputs.items()) or "nothing beside"
            problem = judge(inputs, reason(inputs), environment)
            failed += problem is not None
            print(f"not ok - machulav: {name}: {problem}" if problem else f"ok - machulav: {name}")
        for name, value in UNLIKE.keys() - {row for inputs in ROWS for row in inputs.items()} - {("run-runner-as-service", "true and use-jit")}:
            failed += 1
            print(f"not ok - machulav: there is no row {name}=`{value}`")
        process.terminate()
        process.wait()
    return failed > 0


sys.exit(main())
