"""usage: serialize.py REQUEST SEED: every request to AWS that Mayfly can send, beside what botocore makes of it.

For each builder of include/mayfly/aws there is a function below that draws arguments and says which operation they must
become, with which parameters, as boto3's users write them. The program REQUEST (request.c) builds and signs the request.
botocore has to know the parameters and find them valid, to serialize them to the same set of pairs, or to the same JSON,
to send them to the same endpoint, and to sign them with the same headers. Of each builder the first request has every
optional member, the second has none, the others are drawn.
"""

import base64
import json
import pathlib
import random
import re
import string
import subprocess
import sys
import time
import urllib.parse

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import ParamValidationError
from botocore.serialize import create_serializer

from judges import aws_sent
from signatures import sign

TOP = pathlib.Path(__file__).resolve().parents[2]
PER_BUILDER = 40
REGIONS = ["us-east-1", "eu-central-1", "mx-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1",
           "us-isob-east-1"]
VISIBLE = string.digits + string.ascii_letters + string.punctuation + " é€ß漢🦀"
ODD = VISIBLE + "\t\n\r\x01\x7f\u0080\u2028"
VOLUMES = "gp2 gp3 io1 io2 st1 sc1 standard".split()
SECRET = string.ascii_letters + string.digits + "+/="


class Draw(random.Random):
    """What is drawn. optional: "all", "none" or "some" of the optional members are there."""

    optional = "some"

    def flag(self):
        return {"all": True, "none": False}.get(self.optional, self.random() < 0.5)

    def maybe(self, value):
        return value if self.flag() else None

    def text(self, letters=ODD, most=60):
        return "".join(self.choice(letters) for _ in range(self.randint(1, most)))

    def line(self):
        """As an option's value, which may have no blanks around it."""
        return "x" + self.text(VISIBLE) + "x"

    def some(self, make, most=12):
        n = {"all": most, "none": 1}.get(self.optional) or self.randint(1, most)
        return [make() for _ in range(n)]

    def id(self, kind):
        return kind + "-" + "".join(self.choice("0123456789abcdef") for _ in range(self.choice([8, 17])))

    def ids(self, kind):
        return self.some(lambda: self.id(kind), 1000 if self.random() < 0.1 else 12)

    def tags(self):
        return [{"Key": self.text(), "Value": self.maybe(self.text()) or ""} for _ in self.some(int, 50)]

    def filters(self):
        values = 200 if self.random() < 0.1 else 5
        return [{"Name": self.text(), "Values": self.some(self.text, values)} for _ in self.some(int, 8)]


def without_none(params):
    return {k: v for k, v in params.items() if v is not None}


def plain(rows):
    """As request.c reads filters and tags."""
    return [{k.lower(): v for k, v in row.items()} for row in rows]


# --- the options of a launch ---


def block_devices(r):
    """--block-devices, and the same with the end of each volume; a number may be written as a string."""
    def text():
        return r.text(VISIBLE + "\t\n\r\u2028")  # other control characters are refused

    written, want = [], []
    for i in range(r.randint(1, 4)):
        ebs = without_none({
            "VolumeSize": r.maybe(r.randint(1, 65536)), "VolumeType": r.maybe(r.choice(VOLUMES)),
            "Iops": r.maybe(r.randint(100, 256000)), "Throughput": r.maybe(r.randint(125, 2000)),
            "VolumeInitializationRate": r.maybe(r.randint(100, 300)), "Encrypted": r.maybe(r.random() < 0.5),
            "KmsKeyId": r.maybe(text()), "SnapshotId": r.maybe(r.id("snap")), "DeleteOnTermination": r.maybe(True)})
        entry = without_none({"DeviceName": f"/dev/sd{chr(98 + i)}" + text(), "VirtualName": r.maybe(text()),
                              "NoDevice": r.maybe(r.choice(["", text()]))})
        as_string = r.random() < 0.3
        ebs_written = {k: str(v) if as_string and type(v) is int else v for k, v in ebs.items()}
        written.append(entry | {"Ebs": ebs_written} if ebs else entry)
        want.append(entry | {"Ebs": ebs | {"DeleteOnTermination": True}} if ebs else entry)
    return json.dumps(written, ensure_ascii=r.random() < 0.5), want


def volume(r):
    """--volume-…"""
    kind, iops = r.maybe(r.choice(VOLUMES)), r.randint(100, 256000)
    if kind not in ("io1", "io2"):  # which must have it
        iops = r.maybe(iops) if kind in (None, "gp3") else None
    ebs = without_none({
        "VolumeSize": r.maybe(r.randint(1, 65536)), "VolumeType": kind, "Iops": iops,
        "Throughput": r.maybe(r.randint(125, 2000)) if kind in (None, "gp3") else None,
        "VolumeInitializationRate": r.maybe(r.randint(100, 300)), "Encrypted": r.maybe(True), "KmsKeyId": r.maybe(r.line())})
    flags = {"VolumeSize": "size", "VolumeType": "type", "Iops": "iops", "Throughput": "throughput",
             "VolumeInitializationRate": "initialization-rate", "KmsKeyId": "kms-key"}
    options = [f"--volume-{flags[k]}={v}" for k, v in ebs.items() if k in flags]
    options += ["--volume-encrypted"] if "Encrypted" in ebs else []
    if "KmsKeyId" in ebs:
        ebs["Encrypted"] = True
    return options, ebs | {"DeleteOnTermination": True} if ebs else None


def launch_options(r):
    """Options of start, the image's root device and its devices with volumes, and the parameters that all come to."""
    options, params, root = [], {"BlockDeviceMappings": []}, "/dev/" + r.text()
    if r.flag():
        text, params["BlockDeviceMappings"] = block_devices(r)
        options.append("--block-devices=" + text)
    own, ebs = volume(r)
    options += own
    device = r.maybe("/dev/" + r.line())
    if device:
        options.append("--device-name=" + device)
    if ebs:
        params["BlockDeviceMappings"].append({"DeviceName": device or root, "Ebs": ebs})
    metadata = without_none({
        "HttpTokens": r.maybe(r.choice(["required", "optional"])), "HttpPutResponseHopLimit": r.maybe(r.randint(1, 64)),
        "HttpEndpoint": r.maybe("enabled"), "HttpProtocolIpv6": r.maybe(r.choice(["enabled", "disabled"])),
        "InstanceMetadataTags": r.maybe(r.choice(["enabled", "disabled"]))})
    if metadata:
        options.append("--metadata-options=" + json.dumps(metadata))
    params["MetadataOptions"] = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"} | metadata
    group, tenancy = r.maybe(r.line()), r.maybe(r.choice(["default", "dedicated"]))
    credits = r.maybe(r.choice(["standard", "unlimited"]))
    options += ["--placement-group=" + group] if group else []
    options += ["--tenancy=" + tenancy] if tenancy else []
    options += ["--cpu-credits=" + credits] if credits else []
    if group or tenancy:
        params["Placement"] = without_none({"GroupName": group, "Tenancy": tenancy})
    if credits:
        params["CreditSpecification"] = {"CpuCredits": credits}
    volumes = [root] * r.randint(0, 1) + ["/dev/xvd" + r.text() for _ in range(r.randint(0, 20))] if r.flag() else []
    named = {m.get("DeviceName") for m in params["BlockDeviceMappings"]}
    for name in dict.fromkeys(volumes):
        if name not in named:
            params["BlockDeviceMappings"].append({"DeviceName": name, "Ebs": {"DeleteOnTermination": True}})
    return options, root, volumes, params


# --- the builders: each returns its arguments, the operation, the parameters ---


def ec2_run_instances_call(r):
    args = {
        "image": r.id("ami"), "type": r.text(), "subnet": r.id("subnet"), "client_token": r.text(), "groups": r.ids("sg"),
        "user_data": r.maybe(base64.b64encode(r.randbytes(r.randint(0, 12000))).decode()), "spot": r.flag(), "stops": r.flag(),
        "max_price": r.maybe("0.05"), "public_ip": r.maybe(r.choice(["yes", "no"])), "dry": r.flag(),
        "instance_profile": r.maybe(r.choice(["", "arn:aws:iam::123456789012:instance-profile/"]) + r.text()),
    }
    args["options"], args["device"], args["volumes"], params = launch_options(r)
    tags, profile = r.tags(), args["instance_profile"]
    args["tags"] = plain(tags)
    params |= {
        "ImageId": args["image"], "InstanceType": args["type"], "MinCount": 1, "MaxCount": 1, "ClientToken": args["client_token"],
        "UserData": args["user_data"], "InstanceInitiatedShutdownBehavior": "stop" if args["stops"] else "terminate",
        "IamInstanceProfile": {"Arn" if profile.startswith("arn:") else "Name": profile} if profile else None,
        "DryRun": args["dry"] or None,
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags}
                              for kind in ["instance", "volume"] + ["spot-instances-request"] * args["spot"]],
    }
    if args["public_ip"]:
        params["NetworkInterfaces"] = [{"DeviceIndex": 0, "SubnetId": args["subnet"], "Groups": args["groups"],
                                        "AssociatePublicIpAddress": args["public_ip"] == "yes", "DeleteOnTermination": True}]
    else:
        params |= {"SubnetId": args["subnet"], "SecurityGroupIds": args["groups"]}
    if args["spot"]:
        params["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": without_none({
            "MaxPrice": args["max_price"], "SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"})}
    return args, "RunInstances", params


def literal(text):
    """As EC2 has to be asked for exactly this value of a filter."""
    return re.sub(r"[*?\\]", r"\\\g<0>", text)


def described(r, operation, most):
    filters, token = r.filters(), r.maybe(r.text())
    literally = [{"Name": f["Name"], "Values": [literal(v) for v in f["Values"]]} for f in filters]
    params = {"Filters": literally, "MaxResults": most, "NextToken": token}
    return {"filters": plain(filters), "token": token}, operation, params


def ec2_describe_instances_call(r):
    return described(r, "DescribeInstances", 200)


def ec2_fleet_call(r):
    return described(r, "DescribeInstances", 200)


def ec2_list_leftovers_call(r):
    kind, operation, owners = r.choice([
        ("volume", "DescribeVolumes", None), ("spot request", "DescribeSpotInstanceRequests", None),
        ("image", "DescribeImages", ["self"]), ("snapshot", "DescribeSnapshots", ["self"])])
    args, operation, params = described(r, operation, 200)
    if owners:
        params["OwnerIds" if kind == "snapshot" else "Owners"] = owners
    return {"kind": kind, **args}, operation, params


def ec2_remove_leftover_call(r):
    kind, operation, name = r.choice([("volume", "DeleteVolume", "VolumeId"), ("image", "DeregisterImage", "ImageId"),
                                      ("snapshot", "DeleteSnapshot", "SnapshotId"),
                                      ("spot request", "CancelSpotInstanceRequests", "SpotInstanceRequestIds")])
    id = r.text()
    return {"kind": kind, "id": id}, operation, {name: [id] if name.endswith("s") else id}


def ec2_terminate_instances_call(r):
    ids = r.ids("i")
    return {"ids": ids}, "TerminateInstances", {"InstanceIds": ids}


def ec2_describe_images_call(r):
    if r.flag():
        ids = r.ids("ami")
        return {"ids": ids}, "DescribeImages", {"ImageIds": ids}
    owner, name = r.choice(["self", "amazon", "123456789012"]), r.text()
    return {"owner": owner, "name": name}, "DescribeImages", {"Owners": [owner], "Filters": [{"Name": "name", "Values": [name]}]}


def ec2_get_console_output_call(r):
    id, latest = r.id("i"), r.flag()
    return {"id": id, "latest": latest}, "GetConsoleOutput", {"InstanceId": id, "Latest": latest or None}


def tagged(ids, args, key, value):
    tag = without_none({"Key": key, "Value": value})
    operation = "DeleteTags" if value is None else "CreateTags"
    return {**args, "key": key, "value": value}, operation, {"Resources": ids, "Tags": [tag]}


def ec2_tag_call(r):
    id = r.id(r.choice(["i", "vol", "ami"]))
    return tagged([id], {"id": id}, r.text(), r.maybe(r.choice(["", r.text()])))


def ec2_tag_many_call(r):
    ids = r.ids("i")
    return tagged(ids, {"ids": ids}, r.text(), r.maybe(r.choice(["", r.text()])))


def ec2_create_image_call(r):
    tags, id, name, description = r.tags(), r.id("i"), "abc" + r.text(), r.maybe(r.text())
    return ({"id": id, "name": name, "description": description, "tags": plain(tags)}, "CreateImage",
            {"InstanceId": id, "Name": name, "Description": description,
             "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]})


def ec2_copy_image_call(r):
    tags, id, name, description = r.tags(), r.id("ami"), "abc" + r.text(), r.maybe(r.text())
    args = {"id": id, "name": name, "description": description, "source_region": r.choice(REGIONS), "client_token": r.text()}
    return ({**args, "tags": plain(tags)}, "CopyImage",
            {"SourceImageId": id, "Name": name, "Description": description, "SourceRegion": args["source_region"],
             "ClientToken": args["client_token"],
             "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]})


def ec2_share_image_call(r):
    id, accounts = r.id("ami"), r.some(lambda: r.text(string.digits))
    permission = {"Add": [{"UserId": a} for a in accounts]}
    return {"id": id, "ids": accounts}, "ModifyImageAttribute", {"ImageId": id, "LaunchPermission": permission}


def ec2_deprecate_image_call(r):
    id, at = r.id("ami"), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(r.randint(0, 4102444800)))
    return {"id": id, "at": at}, "EnableImageDeprecation", {"ImageId": id, "DeprecateAt": at}


def looked_up(operation, filter, **more):
    """Described by the values of one filter."""
    def draw(r):
        ids = r.some(r.text)
        return {"ids": ids}, operation, {"Filters": [{"Name": filter, "Values": [literal(i) for i in ids]}], **more}
    return draw


ec2_describe_subnets_call = looked_up("DescribeSubnets", "subnet-id")
ec2_describe_route_tables_call = looked_up("DescribeRouteTables", "vpc-id")
ec2_describe_groups_call = looked_up("DescribeSecurityGroups", "group-id")
def ec2_describe_regions_call(r):
    return {}, "DescribeRegions", {}


def ec2_get_encryption_call(r):
    return {}, "GetEbsEncryptionByDefault", {}


def ec2_get_default_key_call(r):
    return {}, "GetEbsDefaultKmsKeyId", {}


ec2_describe_offerings_call = looked_up("DescribeInstanceTypeOfferings", "instance-type", LocationType="availability-zone")


def ssm_get_parameter_call(r):
    name = r.text()
    return {"name": name}, "GetParameter", {"Name": name}


def ssm_put_parameter_call(r):
    name, value, image = r.text(), r.text(), r.flag()
    return ({"name": name, "value": value, "is_image": image}, "PutParameter",
            {"Name": name, "Value": value, "Type": "String", "DataType": "aws:ec2:image" if image else "text", "Overwrite": True})


def sts_get_caller_identity_call(_):
    return {}, "GetCallerIdentity", {}


def sts_assume_role_call(r):
    args = {"arn": "arn:aws:iam::123456789012:role/" + r.text(), "session_name": "s" + r.text(),
            "duration": r.maybe(r.randint(900, 43200)) or 0}
    params = {"RoleArn": args["arn"], "RoleSessionName": args["session_name"], "DurationSeconds": args["duration"] or None}
    if r.random() < 0.5:
        args["web_token"] = params["WebIdentityToken"] = "token" + r.text()
        return args, "AssumeRoleWithWebIdentity", params
    args["external_id"] = params["ExternalId"] = r.maybe("id" + r.text())
    return args, "AssumeRole", params


def sts_decode_message_call(r):
    encoded = r.text(most=5000)
    return {"encoded": encoded}, "DecodeAuthorizationMessage", {"EncodedMessage": encoded}


# --- the judge ---


class Botocore:
    def __init__(self):
        session = botocore.session.get_session()
        loader = session.get_component("data_loader")
        partitions = loader.load_data("partitions")
        self.models = {s: session.get_service_model(s) for s in ("ec2", "ssm", "sts")}
        self.rules = {service: EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
                      for service in self.models}

    def request(self, service, operation, params):
        """What its serializer makes of the parameters, which it checks first."""
        model = self.models[service]
        serializer = create_serializer(model.resolved_protocol, include_validation=True)
        return serializer.serialize_to_request(params, model.operation_model(operation))

    def endpoint(self, service, region):
        return self.rules[service].resolve_endpoint(Region=region, UseFIPS=False, UseDualStack=False).url + "/"

    def headers(self, service, operation, headers, url, body, q):
        """Those that the request is sent with: its own and those of the signature."""
        request = AWSRequest("POST", url, headers=headers | {"Host": urllib.parse.urlsplit(url).netloc}, data=body)
        if self.models[service].operation_model(operation).auth_type == "none":
            del request.headers["Host"]  # ours comes from libcurl then
        else:
            sign(request, Credentials(q["access_key"], q["secret_key"], q["session_token"]), service, q["region"], q["time"])
        return {name.lower(): value for name, value in request.headers.items()}


def pairs(body):
    found = urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True)
    if len(dict(found)) != len(found):
        raise ValueError("a name comes twice")
    return dict(found)


def differences(ours, theirs):
    """Of two dicts, short enough to be read."""
    return [f"{name}: Mayfly has {ours.get(name)!r:.200}, botocore has {theirs.get(name)!r:.200}"
            for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]


def judge(botocore, q, operation, params, got):
    """What is wrong with a request, or None."""
    service = q["call"].split("_")[0]
    try:
        want = botocore.request(service, operation, without_none(params))
    except ParamValidationError as e:
        return f"botocore refuses the parameters: {e}"
    url = botocore.endpoint(service, q["region"])
    if (got["name"], got["method"], got["url"]) != (operation, want["method"], url):
        return f"{got['name']} {got['method']} {got['url']} is not {operation} {want['method']} {url}"
    form = isinstance(want["body"], dict)
    ours = pairs(got["body"]) if form else json.loads(got["body"])
    wrong = differences(ours, {k: str(v) for k, v in want["body"].items()} if form else json.loads(want["body"]))
    headers = dict(h.split(": ", 1) for h in got["headers"])
    signed = botocore.headers(service, operation, dict(want["headers"]), url, got["body"].encode(), q)
    wrong += differences({name.lower(): value for name, value in headers.items()}, signed)
    return "; ".join(wrong) or None


def draw(builder, seed):
    """The lines for request.c, and what is to come of each."""
    lines, wanted = [], []
    for i in range(PER_BUILDER):
        r = Draw(f"{seed} {builder} {i}")
        r.optional = {0: "all", 1: "none"}.get(i, "some")
        args, operation, params = globals()[builder](r)
        lines.append({"call": builder, "region": r.choice(REGIONS), "time": r.randint(0, 4102444800),
                      "access_key": "AKIA" + r.text(string.ascii_uppercase, 16), "secret_key": r.text(SECRET, 40),
                      "session_token": r.maybe(r.text(SECRET, 1200)), **args})
        wanted.append((operation, params))
    return lines, wanted


def ask(program, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=False)
    got = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    if done.returncode != 0 or len(got) != len(lines):
        raise RuntimeError(f"{len(got)} of {len(lines)} came back: {done.stderr.strip()}")
    return got


def builders():
    """Those that the headers declare."""
    headers = "".join(p.read_text() for p in sorted((TOP / "include/mayfly/aws").glob("*.h")))
    return sorted(set(re.findall(r"struct aws_call \*((?:ec2|ssm|sts)_\w+_call)\(", headers)))


def operations_of_source(botocore):
    """Every name of an operation that a string of src/aws/*.c spells, errors.c's apart: it speaks of what users do."""
    known = {name for model in botocore.models.values() for name in model.operation_names}
    texts = [p.read_text() for p in (TOP / "src/aws").glob("*.c") if p.name != "errors.c"]
    return {name for text in texts for name in re.findall(r'"(?:AmazonSSM\.)?(\w+)"', text) if name in known}


def main():
    program, seed = sys.argv[1:]
    botocore, failed, judged = Botocore(), False, set()
    for builder in builders():
        problem = None
        try:
            lines, wanted = draw(builder, seed)
            for q, (operation, params), got in zip(lines, wanted, ask(program, lines)):
                problem = problem or judge(botocore, q, operation, params, got)
                judged.add(operation)
        except (KeyError, RuntimeError, ValueError) as e:
            problem = repr(e)
        failed |= problem is not None
        print(f"not ok - serialize: {builder}: {problem} (MAYFLY_SEED={seed})" if problem else f"ok - serialize: {builder}")
    listed = {name.split(":")[1] for name in aws_sent()}  # as the lint finds them, which does not know botocore
    missed = (operations_of_source(botocore) ^ judged) | (listed ^ judged)
    print(f"not ok - serialize: in the source or judged, but not both: {' '.join(sorted(missed))}" if missed
          else f"ok - serialize: all {len(judged)} operations of the source are judged")
    return failed or bool(missed)


if __name__ == "__main__":
    sys.exit(main())
