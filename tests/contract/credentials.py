"""Both of botocore and Mayfly decide where credentials come from, for the same environment and files.

usage: credentials.py PROGRAM    (tests/contract/credential.c)

A case names what both have to find; where the two differ on purpose, it says why.
"""

import json
import os
import subprocess
import sys
import tempfile

import botocore.credentials
import botocore.session
import botocore.utils
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

PROGRAM = sys.argv[1]
SOURCES = {
    "environment": "env",
    "credentials file": "shared-credentials-file",
    "config file": "config-file",
    "credential_process": "custom-process",
    "web identity": "assume-role-with-web-identity",
    "SSO": "sso",
    "container": "container-role",
    "instance metadata": "iam-role",
}


def keys(name, token=None):
    text = f"aws_access_key_id = {name}\naws_secret_access_key = secret-of-{name}\n"
    return text + (f"aws_session_token = {token}\n" if token else "")


def role(name, source=None, **more):
    text = f"role_arn = arn:aws:iam::123456789012:role/{name}\n"
    text += f"source_profile = {source}\n" if source else ""
    return text + "".join(f"{k} = {v}\n" for k, v in more.items())


ENV = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "secret-of-E"}
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/env"}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/credentials"}
NO_IMDS = {"AWS_EC2_METADATA_DISABLED": "true"}
PROCESS = "credential_process = /bin/echo '{\"Version\": 1, \"AccessKeyId\": \"P\", \"SecretAccessKey\": \"s\"}'\n"
SSO = "sso_account_id = 123456789012\nsso_role_name = r\n"
SESSION = "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
FAILS = "fails"

# name, config file, credentials file, environment, profile by flag, why the two differ ("" when they must not)
CASES = [
    ("nothing", "", "", {}, None, ""),
    ("nothing, no IMDS", "", "", NO_IMDS, None, ""),
    ("no IMDS, in capitals", "", "", {"AWS_EC2_METADATA_DISABLED": "TRUE"}, None, ""),
    ("IMDS not disabled", "", "", {"AWS_EC2_METADATA_DISABLED": "1"}, None, ""),
    ("environment", "", "", ENV, None, ""),
    ("environment with a token", "", "", {**ENV, "AWS_SESSION_TOKEN": "t"}, None, ""),
    ("environment beats the default profile", "[default]\n" + keys("C"), "[default]\n" + keys("D"), ENV, None, ""),
    ("environment beats AWS_PROFILE", "", "[p]\n" + keys("P"), {**ENV, "AWS_PROFILE": "p"}, None, ""),
    ("a profile by flag beats the environment", "", "[p]\n" + keys("P"), ENV, "p", ""),
    ("a profile by flag beats AWS_PROFILE", "", "[p]\n" + keys("P") + "[q]\n" + keys("Q"), {"AWS_PROFILE": "q"}, "p", ""),
    ("half an environment", "", "[default]\n" + keys("D"), {"AWS_ACCESS_KEY_ID": "E"}, None, ""),
    ("empty variables", "", "[default]\n" + keys("D"), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, None, ""),
    ("credentials file", "", "[default]\n" + keys("D"), {}, None, ""),
    ("credentials file with a token", "", "[default]\n" + keys("D", "t"), {}, None, ""),
    ("config file", "[default]\n" + keys("C", "t"), "", {}, None, ""),
    ("config file, a profile", "[profile p]\n" + keys("C"), "", {"AWS_PROFILE": "p"}, None, ""),
    ("config file, [profile default]", "[profile default]\n" + keys("C"), "", {}, None, ""),
    ("[default] and [profile default] behind", "[default]\n" + keys("C") + "[profile default]\n" + keys("P"), "", {}, None, ""),
    ("[profile default] and [default] behind", "[profile default]\n" + keys("P") + "[default]\n" + keys("C"), "", {}, None,
     "the last of the two counts there; [profile default] wins for AWS's documentation and us"),
    ("credentials file beats config file", "[default]\n" + keys("C"), "[default]\n" + keys("D"), {}, None, ""),
    ("keys and token of two files", "[default]\n" + keys("C", "t"), "[default]\n" + keys("D"), {}, None, ""),
    ("half a credentials file", "", "[default]\naws_access_key_id = D\n", {}, None, ""),
    ("region alone", "[default]\nregion = eu-west-1\n", "", {}, None, ""),
    ("region of the profile", "[default]\nregion = eu-west-1\n[profile p]\nregion = eu-west-2\n" + keys("P"), "", {}, "p", ""),
    ("the credentials file's region", "[default]\nregion = eu-west-1\n", "[default]\nregion = eu-west-2\n" + keys("D"), {}, None, ""),
    ("a profile that is not there", "[profile q]\n" + keys("Q"), "", {}, "p", ""),
    ("AWS_PROFILE that is not there", "[profile q]\n" + keys("Q"), "", {"AWS_PROFILE": "p"}, None, ""),
    ("a config section without `profile`", "[p]\n" + keys("P"), "", {}, "p", ""),
    ("a profile without anything", "[profile p]\nregion = us-east-1\n", "", {}, "p", ""),
    ("a name in quotes", '[profile "my one"]\n' + keys("P"), "", {}, "my one", ""),
    ("a name in quotes, of one word", '[profile "p"]\n' + keys("P"), "", {}, "p", ""),
    ("blanks in a section's title", "[profile \t p]\n" + keys("P"), "", {}, "p", ""),
    ("comments", "# one\n; two\n[default]\n# three\n" + keys("C") + "  # four\n", "", {}, None, ""),
    ("a comment behind a value", "[default]\naws_access_key_id = C # mine\naws_secret_access_key = s\n", "", {}, None,
     "there it is a part of the value; AWS's other tools and we end the value at a blank and a #"),
    ("a # in a value", "[default]\naws_access_key_id = C#D\naws_secret_access_key = s;t\n", "", {}, None, ""),
    ("an = in a value", "[default]\naws_access_key_id = C\naws_secret_access_key = a=b==\n", "", {}, None, ""),
    ("no blanks around =", "[default]\naws_access_key_id=C\naws_secret_access_key=s\n", "", {}, None, ""),
    ("keys in capitals", "[default]\nAWS_ACCESS_KEY_ID = C\nAws_Secret_Access_Key = s\n", "", {}, None, ""),
    ("indented keys", "[default]\n  aws_access_key_id = C\n  aws_secret_access_key = s\n", "", {}, None, ""),
    ("indented sub-properties", "[default]\ns3 =\n  max_concurrent_requests = 2\n  x = y\n" + keys("C"), "", {}, None, ""),
    ("sub-properties named as keys", "[default]\ns3 =\n  aws_access_key_id = X\n" + keys("C"), "", {}, None, ""),
    ("CRLF", ("[default]\n" + keys("C")).replace("\n", "\r\n"), "", {}, None, ""),
    ("a BOM", "\ufeff[default]\n" + keys("C"), "", {}, None, "it is refused there; Notepad writes it, and we drop it"),
    ("a section twice", "[default]\nregion = eu-west-1\n[default]\n" + keys("C"), "", {}, None,
     "it is refused there; AWS's other tools and we join the two"),
    ("a key twice", "[default]\naws_access_key_id = B\n" + keys("C"), "", {}, None,
     "it is refused there; AWS's other tools and we take the last"),
    ("an empty section", "[default]\n", "", {}, None, ""),
    ("an empty key", "[default]\naws_access_key_id =\naws_secret_access_key =\n", "[default]\n" + keys("D"), {}, None, ""),
    ("a line without =", "[default]\nhello\n" + keys("C"), "", {}, None, ""),
    ("a section without ]", "[default\n" + keys("C"), "", {}, None, ""),
    ("a key before any section", keys("C"), "", {}, None, ""),
    ("a long token", "[default]\n" + keys("C", "t" * 4000), "", {}, None, ""),
    ("a file that is a directory", None, "[default]\n" + keys("D"), {}, None,
     "there it counts as no file; a mistake that nobody would find, so we refuse it"),
    ("a file that cannot be read", "@loop", "[default]\n" + keys("D"), {}, None,
     "there it counts as no file; a mistake that nobody would find, so we refuse it"),
    ("files that are not there", "", "", {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}, None, ""),
    ("web identity of the environment", "", "", WEB, None, ""),
    ("web identity beats keys of the profile", "", "[default]\n" + keys("D"), WEB, None, ""),
    ("keys beat web identity", "", "", {**ENV, **WEB}, None, ""),
    ("web identity with a session name", "", "", {**WEB, "AWS_ROLE_SESSION_NAME": "me"}, None, ""),
    ("web identity without a role", "", "", {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, None, ""),
    ("a role without web identity", "", "", {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x"}, None, ""),
    ("web identity of a profile", "[profile p]\nweb_identity_token_file = /f\n" + role("p", role_session_name="s"), "", {}, "p", ""),
    ("web identity of a profile, no role", "[profile p]\nweb_identity_token_file = /f\n", "", {}, "p", ""),
    ("a profile by flag beats the variables' web identity", "[profile p]\n" + keys("P"), "", WEB, "p", ""),
    ("a role beats the variables' web identity", "[default]\n" + role("r", "k") + "[profile k]\n" + keys("K"), "", WEB, None, ""),
    ("a role", "[profile p]\n" + role("r", "k") + "[profile k]\n" + keys("K"), "", {}, "p", ""),
    ("a role, keys in the credentials file", "[profile p]\n" + role("r", "k"), "[k]\n" + keys("K", "t"), {}, "p", ""),
    ("a role in the credentials file", "", "[p]\n" + role("r", "k") + "[k]\n" + keys("K"), {}, "p", ""),
    ("a role with everything", "[profile p]\n" + role("r", "k", external_id="x", role_session_name="s", duration_seconds="1800")
     + "[profile k]\n" + keys("K"), "", {}, "p", ""),
    ("roles in a chain", "[profile a]\n" + role("a", "b") + "[profile b]\n" + role("b", "c") + "[profile c]\n" + keys("K"), "", {}, "a", ""),
    ("a chain that ends early at keys", "[profile a]\n" + role("a", "b") + "[profile b]\n" + keys("B") + role("b", "c")
     + "[profile c]\n" + keys("K"), "", {}, "a", ""),
    ("a role of its own keys", "[profile a]\n" + role("a", "a") + keys("A"), "", {}, "a", ""),
    ("a role of itself without keys", "[profile a]\n" + role("a", "a"), "", {}, "a", ""),
    ("a circle", "[profile a]\n" + role("a", "b") + "[profile b]\n" + role("b", "a"), "", {}, "a", ""),
    ("a source that is not there", "[profile a]\n" + role("a", "b"), "", {}, "a", ""),
    ("a source without credentials", "[profile a]\n" + role("a", "b") + "[profile b]\nregion = us-east-1\n", "", {}, "a", ""),
    ("a role without a source", "[profile a]\n" + role("a"), "", {}, "a", ""),
    ("two sources", "[profile a]\n" + role("a", "b", credential_source="Environment") + "[profile b]\n" + keys("B"), "", ENV, "a", ""),
    ("source: environment", "[profile a]\n" + role("a", credential_source="Environment"), "", ENV, "a", ""),
    ("source: environment, empty", "[profile a]\n" + role("a", credential_source="Environment"), "", {}, "a", ""),
    ("source: container", "[profile a]\n" + role("a", credential_source="EcsContainer"), "", CONTAINER, "a", ""),
    ("source: instance", "[profile a]\n" + role("a", credential_source="Ec2InstanceMetadata"), "", {}, "a", ""),
    ("source: unknown", "[profile a]\n" + role("a", credential_source="Elsewhere"), "", {}, "a", ""),
    ("source: a web identity", "[profile a]\n" + role("a", "w") + "[profile w]\nweb_identity_token_file = /f\n" + role("w"), "", {}, "a", ""),
    ("source: SSO", "[profile a]\n" + role("a", "s") + "[profile s]\nsso_session = s\n" + SSO + SESSION, "", {}, "a", ""),
    ("source: a process", "[profile a]\n" + role("a", "p") + "[profile p]\n" + PROCESS, "", {}, "a", ""),
    ("SSO by session", "[profile p]\nsso_session = s\n" + SSO + SESSION, "", {}, "p", ""),
    ("SSO without session", "[profile p]\nsso_start_url = https://x\nsso_region = eu-west-1\n" + SSO, "", {}, "p", ""),
    ("SSO without a start URL", "[profile p]\nsso_region = eu-west-1\n" + SSO, "", {}, "p", ""),
    ("SSO, half", "[profile p]\nsso_session = s\nsso_account_id = 1\n" + SESSION, "", {}, "p", ""),
    ("SSO, no such session", "[profile p]\nsso_session = none\n" + SSO, "", {}, "p", ""),
    ("SSO, profile and session differ", "[profile p]\nsso_session = s\nsso_region = us-east-1\n" + SSO + SESSION, "", {}, "p", ""),
    ("SSO beats keys", "[profile p]\nsso_session = s\n" + SSO + keys("P") + SESSION, "", {}, "p", ""),
    ("a process", "[default]\n" + PROCESS, "", {}, None, ""),
    ("keys in the credentials file beat a process", "[default]\n" + PROCESS, "[default]\n" + keys("D"), {}, None, ""),
    ("a process beats keys in the config file", "[default]\n" + PROCESS + keys("C"), "", {}, None, ""),
    ("a container", "", "", CONTAINER, None, ""),
    ("a container, relative", "", "", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}, None, ""),
    ("a profile beats a container", "", "[default]\n" + keys("D"), CONTAINER, None, ""),
    ("a container that is not to be trusted", "", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"}, None,
     "it is refused there when it is asked, here before"),
]


def fetched(*_, **__):
    """What a container and the instance answer, so that nobody is asked."""
    return {"AccessKeyId": "F", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z",
            "role_name": "r", "access_key": "F", "secret_key": "s", "token": "t", "expiry_time": "2099-01-01T00:00:00Z"}


def retrieve(self):
    return {} if self._disabled else fetched()


botocore.utils.ContainerMetadataFetcher.retrieve_full_uri = fetched
botocore.utils.InstanceMetadataFetcher.retrieve_iam_role_credentials = retrieve


def canonical(creds):
    """A botocore credentials object, taken apart: the base and the roles on top of it."""
    roles = []
    while creds.method == "assume-role":
        fetcher = creds._refresh_using.__self__
        kwargs = fetcher._assume_kwargs
        roles.insert(0, {"arn": kwargs["RoleArn"],
                         "session": None if fetcher._using_default_session_name else kwargs.get("RoleSessionName"),
                         "external_id": kwargs.get("ExternalId"), "duration": kwargs.get("DurationSeconds", 0)})
        creds = fetcher._source_credentials
    ret = {"source": creds.method, "roles": roles}
    if creds.method in ("env", "shared-credentials-file", "config-file"):
        ret.update(key=creds.access_key, secret=creds.secret_key, token=creds.token)
    elif creds.method == "assume-role-with-web-identity":
        fetcher = creds._refresh_using.__self__
        kwargs = fetcher._assume_kwargs
        ret.update(file=fetcher._web_identity_token_loader._web_identity_token_path, role=kwargs["RoleArn"],
                   session=None if fetcher._using_default_session_name else kwargs.get("RoleSessionName"))
    elif creds.method == "sso":
        fetcher = creds._refresh_using.__self__
        ret.update(account=fetcher._account_id, sso_role=fetcher._role_name, sso_region=fetcher._sso_region)
    return ret


def theirs(environment, profile):
    old = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        session = botocore.session.Session(profile=profile)
        creds = session.get_credentials()
        if creds is None:
            return FAILS
        ret = canonical(creds)
        ret["region"] = session.get_config_variable("region")
        return ret
    except Exception:  # each of its many kinds is a refusal
        return FAILS
    finally:
        os.environ.clear()
        os.environ.update(old)


def ours(environment, profile):
    done = subprocess.run([PROGRAM] + ([profile] if profile else []), env={**environment, "ASAN_OPTIONS": "abort_on_error=0"},
                          capture_output=True, text=True)
    if done.returncode == 1 and "Sanitizer" not in done.stderr:
        return FAILS
    if done.returncode:
        raise RuntimeError(done.stderr)
    said = json.loads(done.stdout)
    ret = {"source": SOURCES[said["source"]], "roles": said["roles"], "region": said["region"]}
    if said["key"]:
        ret.update(key=said["key"], secret=said["secret"], token=said["token"])
    elif said["source"] == "web identity":
        ret.update(file=said["file"], role=said["role"]["arn"], session=said["role"]["session"])
    elif said["source"] == "SSO":
        ret.update(account=said["account"], sso_role=said["sso_role"], sso_region=said["sso_region"])
    return ret


def write(directory, name, text):
    path = os.path.join(directory, name)
    if text is None:
        os.mkdir(path)
    elif text == "@loop":  # the one file that root cannot read either
        os.symlink(path, path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    return path


def judge(case, directory):
    name, config, credentials, environment, profile, why = case
    home = os.path.join(directory, name.replace("/", "_"))
    os.mkdir(home)
    environment = {"HOME": home, "PATH": os.environ["PATH"],
                   "AWS_CONFIG_FILE": write(home, "config", config),
                   "AWS_SHARED_CREDENTIALS_FILE": write(home, "credentials", credentials), **environment}
    a, b = theirs(environment, profile), ours(environment, profile)
    if why and a == b:
        return f"they agree now, so it does not hold that {why}"
    if not why and a != b:
        return f"botocore: {a}, Mayfly: {b}"
    return None


REGIONS = ["us-east-1", "eu-central-1", "mx-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1",
           "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"]
SERVICES = ["ec2", "ssm", "sts", "sso"]
FILE = """[default]
endpoint_url = http://127.0.0.1:1
services = mine
[services mine]
ec2 =
  endpoint_url = http://127.0.0.1:2
sts =
  retries = 3
  endpoint_url=http://127.0.0.1:3
"""
ALL, EC2 = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4"}, {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:5"}
IGNORE = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}


def endpoint_cases():
    for region in REGIONS:
        for fips in ("false", "true"):
            for dual in ("false", "true"):
                yield region, "", {"AWS_USE_FIPS_ENDPOINT": fips, "AWS_USE_DUALSTACK_ENDPOINT": dual}
    yield "us-east-1", "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n", {}
    for variables in ({}, ALL, EC2, {**ALL, **EC2}, IGNORE, {**ALL, **EC2, **IGNORE}):
        yield "us-east-1", FILE, variables
    yield "us-east-1", FILE + "[profile p]\nignore_configured_endpoint_urls = true\n", {"AWS_PROFILE": "p", **ALL}


def rules(session, service):
    loader = session.get_component("data_loader")
    return EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions"))


def their_endpoint(session, service, region):
    """As a request would be sent; None: the service's rules know of no such endpoint."""
    if session.get_config_variable("use_fips_endpoint") is None and session.get_config_variable("use_dualstack_endpoint") is None:
        return session.create_client(service, region_name=region).meta.endpoint_url.rstrip("/") + "/"
    fips, dual = (bool(session.get_config_variable(f"use_{name}_endpoint")) for name in ("fips", "dualstack"))
    try:
        return rules(session, service).resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual).url + "/"
    except EndpointProviderError:
        return None


def judge_endpoints(directory):
    known, wrong = 0, []
    for i, (region, config, variables) in enumerate(endpoint_cases()):
        environment = {"HOME": directory, "PATH": os.environ["PATH"], **ENV, **variables,
                       "AWS_CONFIG_FILE": write(directory, f"config-{i}", config)}
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        session = botocore.session.Session()
        for service in SERVICES:
            want = their_endpoint(session, service, region)
            done = subprocess.run([PROGRAM, "", service, region], env=environment, capture_output=True, text=True)
            known += want is not None
            if want is not None and done.stdout.strip() != want:
                wrong.append(f"{service} {region} {variables}: botocore {want}, Mayfly {done.stdout.strip()}{done.stderr}")
        os.environ.clear()
        os.environ.update(old)
    return known, wrong


def main():
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for case in CASES:
            problem = judge(case, directory)
            failed |= problem is not None
            print(f"not ok - credentials: {case[0]}: {problem}" if problem else f"ok - credentials: {case[0]}")
        known, wrong = judge_endpoints(directory)
        for line in wrong:
            print(f"not ok - endpoints: {line}")
        print(f"ok - endpoints: {known - len(wrong)} are the same" if known > 100 and not wrong
              else f"not ok - endpoints: {known} known, {len(wrong)} differ")
    return failed or bool(wrong)


sys.exit(main())
