"""usage: answers.py SIMULATOR MAYFLY [NODE_MODULES]: what the simulator answers, judged by botocore.

Each action that it serves is asked by botocore, and of the answer every element must be one that the model of the service
has there, with a value of its type. Then credentials are fetched from each source by botocore, or for a workflow's OIDC
token by @actions/core, and by Mayfly, through a proxy: both must have sent the same requests, and what botocore got has to
work.
"""

import base64
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.session
from botocore.exceptions import ClientError

TOP = pathlib.Path(__file__).resolve().parents[2]
REGION, ROLE = "us-east-1", "arn:aws:iam::123456789012:role/ci"

# --- is an answer as the model says? ---

SCALARS = {
    "integer": lambda s: int(s), "long": lambda s: int(s), "double": lambda s: float(s), "float": lambda s: float(s),
    "boolean": lambda s: {"true": 1, "false": 0}[s], "blob": lambda s: base64.b64decode(s, validate=True),
    "timestamp": lambda s: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", s).group(),
}


def strange_text(shape, text, path):
    if getattr(shape, "enum", None) and text not in shape.enum:
        yield f"{path}: `{text}` is not one of its values"
    try:
        SCALARS.get(shape.type_name, str)(text)
    except (ValueError, KeyError, AttributeError):
        yield f"{path}: `{text}` is no {shape.type_name}"


def local(element):
    return element.tag.rpartition("}")[2]


def strange_xml(shape, element, path):
    """What the model does not know."""
    if shape.type_name == "structure":
        members = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        seen = set()
        for child in element:
            name = local(child)
            if name not in members or name in seen:
                yield f"{path}/{name}: {'comes twice' if name in seen else 'there is no such element'}"
            else:
                yield from strange_xml(members[name], child, f"{path}/{name}")
            seen.add(name)
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            if local(child) != item:
                yield f"{path}/{local(child)}: items are called {item}"
            yield from strange_xml(shape.member, child, f"{path}/{item}")
    elif len(element):
        yield f"{path}: has elements, and is a {shape.type_name}"
    else:
        yield from strange_text(shape, element.text or "", path)


def strange_json(shape, value, path):
    if shape.type_name == "structure":
        for name, v in value.items():
            if name in shape.members:
                yield from strange_json(shape.members[name], v, f"{path}/{name}")
            else:
                yield f"{path}/{name}: there is no such member"
    elif shape.type_name in ("string", "timestamp", "long", "integer", "boolean"):
        want = {"string": str, "boolean": bool, "timestamp": (int, float)}.get(shape.type_name, int)
        if not isinstance(value, want):
            yield f"{path}: {value!r} is no {shape.type_name}"
    else:
        yield f"{path}: no rule for a {shape.type_name}"


def strange(model, body):
    shape, protocol = model.output_shape, model.service_model.resolved_protocol
    if protocol == "json":
        yield from strange_json(shape, json.loads(body), model.name)
        return
    root = xml.etree.ElementTree.fromstring(body)
    if local(root) != model.name + "Response":
        yield f"the root is {local(root)}"
    ids = {"ec2": "requestId", "query": "ResponseMetadata"}[protocol]
    namespace = {"ec2": f"http://ec2.amazonaws.com/doc/{model.service_model.api_version}/",
                 "query": model.service_model.metadata.get("xmlNamespace")}[protocol]
    if not root.tag.startswith("{%s}" % namespace):
        yield f"its namespace is not {namespace}"
    found = [child for child in root if local(child) == ids]
    if len(found) != 1:
        yield f"{len(found)} elements {ids}"
    for child in found:
        root.remove(child)
    if protocol == "query":
        (root,) = root  # the result
        if local(root) != shape.serialization["resultWrapper"]:
            yield f"the result is {local(root)}"
    if shape is None:  # EC2 says so all the same, by its API reference
        if [(local(child), child.text) for child in root] != [("return", "true")]:
            yield "an answer other than <return>true</return>"
    else:
        yield from strange_xml(shape, root, model.name)


# --- every action that is served ---


class Asker:
    def __init__(self, url):
        self.asked, self.wrong, self.url = set(), {}, url
        self.ec2, self.ssm, self.sts = (self.client(s) for s in ("ec2", "ssm", "sts"))

    def client(self, service):
        client = botocore.session.get_session().create_client(service, endpoint_url=self.url, region_name=REGION)
        client.meta.events.register("before-parse", self.look)
        return client

    def look(self, operation_model, response_dict, **_):
        if response_dict["status_code"] == 200:
            self.asked.add(operation_model.name)
            self.wrong.setdefault(operation_model.name, []).extend(strange(operation_model, response_dict["body"]))

    def wait(self, what, *wanted, **by):
        """For a state: instances and images take their time."""
        for _ in range(500):
            answer = getattr(self.ec2, what)(**by)
            rows = answer.get("Images") or [i for r in answer.get("Reservations", []) for i in r["Instances"]]
            states = [row["State"] if isinstance(row["State"], str) else row["State"]["Name"] for row in rows]
            if states and set(states) <= set(wanted):
                return answer
            time.sleep(0.01)
        raise RuntimeError(f"{what} {by}: {states}")


def refused(ask, code, **by):
    """An error that botocore can read."""
    try:
        ask(**by)
    except ClientError as e:
        got = e.response
        if got["Error"]["Code"] == code and got["Error"].get("Message") is not None and got["ResponseMetadata"]["RequestId"]:
            return []
        return [f"{code}: botocore reads {got}"]
    return [f"{code}: it was done"]


def web_token(settings):
    """Of a workflow's job, as GitHub's documentation of OpenID Connect fetches it."""
    url = urllib.parse.urlsplit(settings["ACTIONS_ID_TOKEN_REQUEST_URL"])
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.request("GET", f"{url.path}?{url.query}&audience=sts.amazonaws.com",
                       headers={"Authorization": "Bearer " + settings["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]})
    return json.load(connection.getresponse())["value"]


def ask_all(a, token):
    """Asks for everything once or oftener, in an order in which it is done."""
    ec2, tags = a.ec2, [{"Key": "mayfly:role", "Value": "runner"}, {"Key": "empty", "Value": ""}]
    image, group = "ami-0a11ce00000000001", ec2.create_security_group(GroupName="mine", Description="new")["GroupId"]
    disk = {"VolumeSize": 9, "VolumeType": "gp3", "DeleteOnTermination": False}
    run = {"ImageId": image, "InstanceType": "m7i.large", "MinCount": 1, "MaxCount": 1, "SubnetId": "subnet-0a11ce01",
           "SecurityGroupIds": [group], "TagSpecifications": [{"ResourceType": k, "Tags": tags} for k in ("instance", "volume")],
           "MetadataOptions": {"HttpTokens": "required"}, "UserData": "#!/bin/sh\ntrue\n", "IamInstanceProfile": {"Name": "ci"},
           "BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": disk}]}
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    one, two = (ec2.run_instances(**run, **more)["Instances"][0] for more in ({}, spot))
    ids = [one["InstanceId"], two["InstanceId"]]
    a.wait("describe_instances", "running", InstanceIds=ids)
    wrong = refused(ec2.run_instances, "InvalidAMIID.NotFound", **{**run, "ImageId": "ami-00000000000000000"})
    wrong += refused(ec2.terminate_instances, "DryRunOperation", InstanceIds=ids, DryRun=True)
    wrong += refused(a.ssm.get_parameter, "ParameterNotFound", Name="/none")
    forbidden = ROLE.replace("role/ci", "role/forbidden")
    wrong += refused(a.sts.assume_role, "AccessDenied", RoleArn=forbidden, RoleSessionName="me")
    ec2.get_console_output(InstanceId=ids[0], Latest=True)
    ec2.create_tags(Resources=ids, Tags=[{"Key": "a", "Value": "<&>"}])
    ec2.describe_tags(Filters=[{"Name": "key", "Values": ["a"]}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "a"}])
    ec2.describe_instances(MaxResults=5)
    ec2.describe_spot_instance_requests()
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[two["SpotInstanceRequestId"]])
    ec2.stop_instances(InstanceIds=ids[:1])
    a.wait("describe_instances", "stopped", InstanceIds=ids[:1])
    of_image = [{"ResourceType": "image", "Tags": tags}]
    made = ec2.create_image(InstanceId=ids[0], Name="made", TagSpecifications=of_image)["ImageId"]
    a.wait("describe_images", "available", ImageIds=[made])
    ec2.copy_image(SourceRegion="eu-west-1", SourceImageId="ami-0a11ce00000003003", Name="copied", TagSpecifications=of_image)
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    ec2.enable_image_deprecation(ImageId=made, DeprecateAt="2035-01-01T00:00:00Z")
    mappings = ec2.describe_images(Owners=["self"], ImageIds=[made])["Images"][0]["BlockDeviceMappings"]
    ec2.start_instances(InstanceIds=ids[:1])
    a.wait("describe_instances", "running", InstanceIds=ids[:1])
    ec2.deregister_image(ImageId=made)
    ec2.describe_snapshots(OwnerIds=["self"])
    for mapping in (m for m in mappings if "SnapshotId" in m.get("Ebs", {})):
        ec2.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])
    ec2.terminate_instances(InstanceIds=ids)
    a.wait("describe_instances", "terminated", InstanceIds=ids)
    for volume in ec2.describe_volumes(Filters=[{"Name": "status", "Values": ["available"]}])["Volumes"]:
        ec2.delete_volume(VolumeId=volume["VolumeId"])
    ec2.describe_subnets()
    ec2.describe_security_groups()
    ec2.describe_route_tables()
    ec2.describe_instance_type_offerings(LocationType="availability-zone")
    ec2.describe_regions()
    ec2.get_ebs_encryption_by_default()
    ec2.get_ebs_default_kms_key_id()
    ec2.describe_instance_types()
    a.ssm.put_parameter(Name="/mayfly/x", Value=image, Type="String", DataType="aws:ec2:image")
    a.ssm.get_parameter(Name="/mayfly/x")
    a.sts.get_caller_identity()
    a.sts.assume_role(RoleArn=ROLE, RoleSessionName="me")
    a.sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="me", WebIdentityToken=token)
    return wrong


def denied(a, control):
    """A refusal for want of a permission, whose message is decoded."""
    control("POST", "faults", [{"service": "ec2", "action": "TerminateInstances", "fault": "unauthorized", "times": 1}])
    try:
        a.ec2.terminate_instances(InstanceIds=["i-00000000000000000"], DryRun=True)
    except ClientError as e:
        encoded = e.response["Error"]["Message"].split("failure message: ")[1]
        json.loads(a.sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])


def served():
    """The actions of the simulator's tables."""
    text = "".join((TOP / "src/sim" / name).read_text() for name in ("ec2.c", "sts.c", "ssm.c"))
    return set(re.findall(r'^    \{ "([A-Z]\w+)", \w+[ ,]', text, re.MULTILINE))


# --- the sources of credentials ---


class Recorder:
    """Before the simulator; knows what was asked through it."""

    # What says how it was sent, and by whom.
    TRANSPORT = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "amz-sdk-invocation-id",
                 "amz-sdk-request"}

    def __init__(self, url):
        recorder, onward, self.seen = self, urllib.parse.urlsplit(url).netloc, []

        class Handler(BaseHTTPRequestHandler):
            def serve(self):
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                recorder.add(self.command, self.path, self.headers, sent)
                connection = http.client.HTTPConnection(onward, timeout=30)
                connection.request(self.command, self.path, sent or None, headers=dict(self.headers))
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", answer.getheader("Content-Type"))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = serve

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def add(self, method, target, headers, body):
        path, _, query = target.partition("?")
        own = {k.lower(): v for k, v in headers.items() if k.lower() not in self.TRANSPORT}
        self.seen.append((method, path, sorted(urllib.parse.parse_qsl(query, keep_blank_values=True)), own, json.loads(body) if body else None))

    def take(self):
        seen, self.seen = self.seen, []
        return seen

# As aws-actions/configure-aws-credentials asks for it.
NODE = "require('@actions/core').getIDToken('sts.amazonaws.com').then(t => require('fs').writeFileSync(process.argv[1], t))"


def by_botocore(environment, sim):
    """Who the credentials make of it."""
    old = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        session = botocore.session.get_session()
        credentials = session.get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
        if not keys:
            return "nobody"
        sts = session.create_client("sts", endpoint_url=sim, region_name=REGION, aws_access_key_id=keys.access_key,
                                    aws_secret_access_key=keys.secret_key, aws_session_token=keys.token)
        return sts.get_caller_identity()["Arn"]
    finally:
        os.environ.clear()
        os.environ.update(old)


def by_node(environment, sim, modules, home):
    """The same by the token, whose exchange for credentials is botocore's."""
    file = home / "token"
    environment = {**environment, "NODE_PATH": modules, "AWS_ENDPOINT_URL_STS": sim}
    subprocess.run(["node", "-e", NODE, str(file)], env=environment, check=True, capture_output=True)
    return by_botocore({**environment, "AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_ARN": ROLE}, sim)


def judge_source(name, settings, sim, recorder, mayfly, modules):
    home = pathlib.Path(os.environ["HOME"])  # botocore has asked for it already
    plain = {"HOME": str(home), "PATH": os.environ["PATH"], "AWS_REGION": REGION}
    own = {k: v.replace(sim, recorder.url) for k, v in settings.items() if k != "accessToken"}
    environment = {**plain, **own}
    if name.startswith("sso"):
        environment["AWS_PROFILE"] = "sso"
        environment["AWS_ENDPOINT_URL_SSO_OIDC"] = recorder.url
        cache = write_sso(home, settings["accessToken"], name == "sso, renewed")
        before = cache.read_text()
    who = by_node(environment, sim, modules, home) if name == "oidc" else by_botocore(environment, sim)
    theirs = recorder.take()
    if name.startswith("sso"):
        kept = json.loads(cache.read_text())
        cache.write_text(before)
    options = ["--role-arn", ROLE] if name == "oidc" else []
    environment["AWS_ENDPOINT_URL_STS"] = sim
    done = subprocess.run([mayfly, "doctor", "--credentials", *options], env=environment, capture_output=True, text=True)
    ours = recorder.take()
    if name.startswith("sso") and not same_cache(kept, json.loads(cache.read_text())):
        return f"the judge leaves {kept} in the cache, Mayfly {cache.read_text()}"
    if not who.startswith("arn:aws:sts::123456789012:assumed-role/") or done.returncode:
        return f"{who}; {done.returncode}: {done.stdout}{done.stderr}"
    return None if ours == theirs and ours else f"Mayfly asks {ours}, the judge {theirs}"


def same_cache(a, b):
    """But for the seconds between the two."""
    ends = [datetime.datetime.fromisoformat(c["expiresAt"].replace("Z", "+00:00")) for c in (a, b)]
    return {**a, "expiresAt": 0} == {**b, "expiresAt": 0} and abs(ends[0] - ends[1]) < datetime.timedelta(minutes=1)


def write_sso(home, token, ended):
    config = home / ".aws"
    (config / "sso/cache").mkdir(parents=True, exist_ok=True)
    (config / "config").write_text("[profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = dev+co=,.@x\n"
                                   "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n")
    cache = config / "sso/cache" / (hashlib.sha1(b"s").hexdigest() + ".json")
    renewable = {"startUrl": "https://x.awsapps.com/start", "region": "eu-west-1", "accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z",
                 "clientId": "client", "clientSecret": "client-secret", "registrationExpiresAt": "2999-01-01T00:00:00Z",
                 "refreshToken": f"refresh-{token}"}
    cache.write_text(json.dumps(renewable if ended else {"accessToken": token, "expiresAt": "2999-01-01T00:00:00Z"}))
    return cache


def main():
    sim, mayfly, modules = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
    failed = 0

    def report(name, wrong):
        nonlocal failed
        failed += bool(wrong)
        print(f"not ok - answers: {name}: {wrong}" if wrong else f"ok - answers: {name}", flush=True)

    def control(method, path, body=None):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(sim).netloc, timeout=30)
        connection.request(method, "/_sim/" + path, json.dumps(body) if body else None)
        return json.loads(connection.getresponse().read() or "null")

    sources = control("GET", "sources")
    recorder = Recorder(sim)
    a = Asker(sim)
    for name in ("instance", "container", "sso", "sso, renewed") + (("oidc",) if modules else ()):
        report(f"the requests for credentials: {name}", judge_source(name, sources[name.partition(",")[0]], sim, recorder, mayfly, modules))
    report("errors", ask_all(a, web_token(sources["oidc"])))
    denied(a, control)
    for operation in sorted(served() | a.asked):
        wrong = a.wrong.get(operation) if operation in a.asked else ["it was not asked for"]
        report(operation, wrong and "; ".join(dict.fromkeys(wrong)))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
