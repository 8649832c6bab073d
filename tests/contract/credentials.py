"""Both of botocore and Mayfly decide where credentials come from, for the same environment and files.

usage: credentials.py PROGRAM    (tests/contract/credential.c)

A case names what both have to find; where the two differ on purpose, it says why, and Mayfly says so when it runs, unless
one of the two fails or the reason begins with "elsewhere: ": it is others of AWS's tools that read it as Mayfly does.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse
import warnings

import botocore.credentials
import botocore.loaders
import botocore.session
import botocore.utils
import dateutil.parser
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

PROGRAM = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def ask(environment, *args):
    """Mayfly's answer: status, out, err. One process answers all."""
    PROGRAM.stdin.write(json.dumps({"env": environment, "args": args}) + "\n")
    PROGRAM.stdin.flush()
    line = PROGRAM.stdout.readline()
    if not line:
        raise RuntimeError(f"tests/contract/credential ended with status {PROGRAM.wait()}")
    return json.loads(line)


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
     "elsewhere: there it is a part of the value; AWS's other tools and we end the value at a blank and a #"),
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
    ("a file that is a directory", None, "[default]\n" + keys("D"), {}, None, ""),
    ("a file that cannot be read", "@loop", "[default]\n" + keys("D"), {}, None, ""),
    ("a file that cannot be read, keys in the environment", "@loop", "@loop", ENV, None, ""),
    ("a named profile and a file that cannot be read", "@loop", "", {"AWS_PROFILE": "p"}, None, ""),
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



# The same for what a user's report brought out, setting by setting.
EMPTY = "an empty variable is a value there; a workflow has no other way to leave one out, so it is none here"
HALF = "half of a key is passed over there; a mistake that we report"
TWO = "[p]\n" + keys("P") + "[q]\n" + keys("Q")
IPV6 = {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6"}
CASES += [
    ("AWS_DEFAULT_PROFILE", "", TWO, {"AWS_DEFAULT_PROFILE": "q"}, None, ""),
    ("AWS_DEFAULT_PROFILE beats AWS_PROFILE", "", TWO, {"AWS_DEFAULT_PROFILE": "q", "AWS_PROFILE": "p"}, None, ""),
    ("a profile by flag beats AWS_DEFAULT_PROFILE", "", TWO, {"AWS_DEFAULT_PROFILE": "q"}, "p", ""),
    ("AWS_DEFAULT_PROFILE that is not there", "", TWO, {"AWS_DEFAULT_PROFILE": "r"}, None, ""),
    ("environment beats AWS_DEFAULT_PROFILE", "", TWO, {**ENV, "AWS_DEFAULT_PROFILE": "q"}, None, ""),
    ("an empty AWS_DEFAULT_PROFILE", "", TWO, {"AWS_DEFAULT_PROFILE": "", "AWS_PROFILE": "p"}, None, EMPTY),
    ("an empty AWS_PROFILE", "", "[default]\n" + keys("D"), {"AWS_PROFILE": ""}, None, EMPTY),
    ("AWS_DEFAULT_REGION beats the profile's", "[default]\nregion = eu-west-1\n" + keys("C"), "", {"AWS_DEFAULT_REGION": "eu-west-2"}, None, ""),
    ("AWS_REGION alone", "", "", {**ENV, "AWS_REGION": "eu-west-2"}, None,
     "elsewhere: botocore itself does not know it; the AWS CLI and all other SDKs do"),
    ("AWS_REGION and AWS_DEFAULT_REGION", "", "", {**ENV, "AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, None,
     "botocore itself knows the second only; the AWS CLI and all other SDKs take the first"),
    ("an empty AWS_DEFAULT_REGION", "[default]\nregion = eu-west-1\n" + keys("C"), "", {"AWS_DEFAULT_REGION": ""}, None, "elsewhere: " + EMPTY),
    ("AWS_SECURITY_TOKEN", "", "", {**ENV, "AWS_SECURITY_TOKEN": "t"}, None, ""),
    ("AWS_SECURITY_TOKEN and AWS_SESSION_TOKEN", "", "", {**ENV, "AWS_SECURITY_TOKEN": "t", "AWS_SESSION_TOKEN": "u"}, None, ""),
    ("an empty AWS_SECURITY_TOKEN", "", "", {**ENV, "AWS_SECURITY_TOKEN": "", "AWS_SESSION_TOKEN": "u"}, None, ""),
    ("aws_security_token", "", "[default]\n" + keys("D") + "aws_security_token = t\n", {}, None, ""),
    ("aws_security_token and aws_session_token", "[default]\n" + keys("D", "u") + "aws_security_token = t\n", "", {}, None, ""),
    ("a secret key alone", "", "[default]\n" + keys("D"), {"AWS_SECRET_ACCESS_KEY": "s"}, None, HALF),
    ("a secret key alone in a file", "", "[default]\naws_secret_access_key = s\n", {}, None, HALF),
    ("an end that is to come", "", "", {**ENV, "AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"}, None, ""),
    ("an end that is past", "", "", {**ENV, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}, None,
     "botocore refuses them without asking; the variable may be a left-over, so we warn when they are used, and ask"),
    ("$HOME in a file's name", "[default]\n" + keys("C"), "", {"AWS_CONFIG_FILE": "$HOME/config"}, None, ""),
    ("${HOME} in a file's name", "", "[default]\n" + keys("D"), {"AWS_SHARED_CREDENTIALS_FILE": "${HOME}/credentials"}, None, ""),
    ("~ in a file's name", "[default]\n" + keys("C"), "", {"AWS_CONFIG_FILE": "~/config"}, None, ""),
    ("a variable that is not set in a file's name", "[default]\n" + keys("C"), "", {"AWS_CONFIG_FILE": "$NOT_SET/config"}, None, ""),
    ("a colon", "", "[default]\naws_access_key_id: D\naws_secret_access_key : s:t=u\n", {}, None, ""),
    ("a colon before an =", "", "[default]\naws_access_key_id:D=E\naws_secret_access_key=s:t\n", {}, None, ""),
    ("[DEFAULT]", "[DEFAULT]\nregion = eu-west-3\n[profile p]\nregion = eu-west-1\n", "[p]\n" + keys("P"), {}, "p", ""),
    ("[DEFAULT] gives its values to all", "[DEFAULT]\nregion = eu-west-3\n[profile p]\noutput = json\n", "[p]\n" + keys("P"), {}, "p",
     "its values count for all sections there; no documentation of AWS knows it"),
    ("text behind a section", "[default] x\n" + keys("C"), "", {}, None, "it is passed over there; a mistake that we report"),
    ("a process with a ; in quotes", "[default]\ncredential_process = sh -c \"X=1 ; exec /bin/echo '{\\\"Version\\\": 1, \\\"AccessKeyId\\\": \\\"P\\\", "
     "\\\"SecretAccessKey\\\": \\\"s\\\"}'\"\n", "", {}, None, ""),
    ("a process with a #", "[default]\n" + PROCESS.rstrip("\n").replace("/bin/echo ", "sh -c 'echo \"$1\"' # ") + "\n", "", {}, None, ""),
    ("source: any letters", "[profile a]\n" + role("a", credential_source="ec2instanceMETADATA"), "", {}, "a", ""),
    ("aws login", "[default]\nlogin_session = arn:aws:iam::123456789012:user/x\n", "", {}, None, ""),
    ("aws login beside a process", "[default]\nlogin_session = arn:aws:iam::123456789012:user/x\n" + PROCESS, "", {}, None,
     "the session is used there, if it can be; the process is our way to it"),
    ("boto's own file", "", "[Credentials]\n" + keys("B"), {"BOTO_CONFIG": "$HOME/credentials"}, None,
     "the file of a tool that ended in 2021; instance metadata are what is left for us"),
    ("the file of the first EC2 tools", "", "[q]\nAWSAccessKeyId=A\nAWSSecretKey=s\n", {"AWS_CREDENTIAL_FILE": "~/credentials"}, None,
     "the file of tools that ended in 2014; instance metadata are what is left for us"),
    ("IMDS, another endpoint", "", "", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9/x"}, None, ""),
    ("IMDS by IPv6", "", "", IPV6, None, ""),
    ("IMDS by IPv6 of the profile", "[default]\nec2_metadata_service_endpoint_mode = IPv6\n", "", {}, None, ""),
    ("IMDS by the older variable", "", "", {"AWS_IMDS_USE_IPV6": "true"}, None, ""),
    ("IMDS by the older key", "[default]\nimds_use_ipv6 = True\n", "", {}, None, ""),
    ("the mode beats the older variable", "", "", {"AWS_IMDS_USE_IPV6": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv4"}, None, ""),
    ("the endpoint beats the mode", "", "", {**IPV6, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}, None, ""),
    ("a mode that is none", "", "", {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv5"}, None, ""),
    ("IMDS, a timeout", "", "", {"AWS_METADATA_SERVICE_TIMEOUT": "5"}, None, ""),
    ("IMDS, a timeout of the profile", "[default]\nmetadata_service_timeout = 7\n", "", {}, None, ""),
    ("IMDS, attempts", "", "", {"AWS_METADATA_SERVICE_NUM_ATTEMPTS": "9"}, None, ""),
    ("IMDS, attempts of the profile", "[default]\nmetadata_service_num_attempts = 4\n", "", {}, None, ""),
    ("IMDS, half a second", "", "", {"AWS_METADATA_SERVICE_TIMEOUT": "0.5"}, None, ""),
    ("IMDS, a timeout that is none, and not needed", "", "", {**ENV, "AWS_METADATA_SERVICE_TIMEOUT": "x"}, None,
     "elsewhere: it is refused there though it is not used"),
    ("STS everywhere", "", "", {**ENV, "AWS_STS_REGIONAL_ENDPOINTS": "legacy"}, None, ""),
]

# Values in odd writing, a row a value.
ODD_NUMBERS = ["5.0", " 5", "+5", "05", "5s", "-1", "0", "61", "1e1", "5_0", "\u0665"]
CASES += [(f"IMDS, {name} `{v}`", "", "", {variable: v}, None, "") for v in ODD_NUMBERS for name, variable in (
    ("a timeout of", "AWS_METADATA_SERVICE_TIMEOUT"), ("attempts of", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"))]
CASES += [(f"a role for `{v}` seconds", "[profile p]\n" + role("r", "k", duration_seconds=v) + "[profile k]\n" + keys("K"), "", {}, "p", "")
          for v in ["900", " 1800 ", "1800.0", "+1800", "01800", "30m", "", "0", "-1", "899", "43201", "1_800"]]
CASES += [(f"no IMDS by `{v}`", "", "", {"AWS_EC2_METADATA_DISABLED": v}, None, "") for v in ["True", "yes", "on", " true", "", "false"]]
CASES += [(f"IMDS by IPv6 by `{v}`", "", "", {"AWS_IMDS_USE_IPV6": v}, None, "") for v in ["TRUE", "1", "yes", "", " true", "false"]]
CASES += [(f"a mode of `{v}`", "", "", {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": v}, None, "") for v in ["IPv4", "IPV6", " ipv6", "", "6"]]
CASES += [(f"a session named `{v}`", "[profile p]\n" + role("r", "k", role_session_name=v) + "[profile k]\n" + keys("K"), "", {}, "p", "")
          for v in ["a", "a b", "a" * 65, "a@b=c,d.e-f", "\u00fc", ""]]
CASES += [(f"{name} in a title", f"{title}\n" + keys("P"), "", {}, profile, "") for name, title, profile in (
    ("apostrophes", "[profile 'p q']", "p q"), ("two words without quotes", "[profile p q]", "p q"), ("an escaped quote", '[profile "p\\"q"]', 'p"q'),
    ("PROFILE in capitals", "[PROFILE p]", "p"), ("a name in other letters", "[profile P]", "p"), ("a quote that does not end", '[profile "p]', "p"),
    ("a tab", "[profile\tp]", "p"), ("a blank before ]", "[profile p ]", "p"), ("blanks around the whole", "[ profile p ]", "p"),
    ("an empty name", "[profile]", "p"), ("no name at all", "[]", "p"), ("a comment behind it", "[profile p] # mine", "p"),
    ("a blank before [", " [profile p]", "p"), ("a # in the name", "[profile p#q]", "p#q"), ("a ] in the name", "[profile p]q]", "p"))]
CASES += [(f"{name} in a credentials file's title", "", f"{title}\n" + keys("P"), {}, profile, "") for name, title, profile in (
    ("`profile`", "[profile p]", "p"), ("quotes", '["p q"]', "p q"), ("two words", "[p q]", "p q"), ("blanks", "[ p ]", "p"))]
CASES += [(f"{name} in a file", f"[default]\n{text}", "", {}, None, "") for name, text in (
    ("a value that goes on", "aws_access_key_id = C\n  D\naws_secret_access_key = s\n"),
    ("an empty line amid a value", "s3 =\n  a = b\n\n  c = d\n" + keys("C")),
    ("a comment amid a value", "s3 =\n  a = b\n# x\n  c = d\n" + keys("C")),
    ("a value in quotes", 'aws_access_key_id = "C"\naws_secret_access_key = \'s\'\n'),
    ("a % in a value", "aws_access_key_id = C%(x)s\naws_secret_access_key = %s%%\n"),
    ("a blank in a key's name", "aws access key id = C\n" + keys("C")), ("a key without a name", "= x\n" + keys("C")),
    ("tabs around =", "aws_access_key_id\t=\tC\naws_secret_access_key\t=\ts\n"), ("no last line end", keys("C").rstrip("\n")),
    ("a ; behind a value", "aws_access_key_id = C ; mine\naws_secret_access_key = s\n"), ("old Macintosh line ends", keys("C").replace("\n", "\r")),
    ("a key twice in two writings", "AWS_ACCESS_KEY_ID = B\n" + keys("C")), ("REM", "REM one\n" + keys("C")), ("a NUL", "x = a\0b\n" + keys("C")),
    ("a form feed", "\f\n" + keys("C")), ("a no-break space", "aws_access_key_id = C\u00a0\naws_secret_access_key = s\n"))]
CASES += [
    ("AWS_CA_BUNDLE", "[default]\nca_bundle = /b\n", "", {**ENV, "AWS_CA_BUNDLE": "/a"}, None, ""),
    ("ca_bundle", "[default]\nca_bundle = /b\n", "", ENV, None, ""),
    ("an empty AWS_CA_BUNDLE", "[default]\nca_bundle = /b\n", "", {**ENV, "AWS_CA_BUNDLE": ""}, None, "elsewhere: " + EMPTY),
    ("an empty AWS_CONFIG_FILE", "[default]\nregion = eu-west-1\n", "", {**ENV, "AWS_CONFIG_FILE": ""}, None, ""),
    ("an empty AWS_SHARED_CREDENTIALS_FILE", "[default]\n" + keys("C"), "[default]\n" + keys("D"), {"AWS_SHARED_CREDENTIALS_FILE": ""}, None, ""),
    ("an empty AWS_SESSION_TOKEN", "", "", {**ENV, "AWS_SESSION_TOKEN": ""}, None, ""),
    ("a blank around keys", "", "", {"AWS_ACCESS_KEY_ID": " E ", "AWS_SECRET_ACCESS_KEY": "s\n"}, None, ""),
    ("an empty AWS_ROLE_SESSION_NAME", "", "", {**WEB, "AWS_ROLE_SESSION_NAME": ""}, None, ""),
    ("an empty AWS_WEB_IDENTITY_TOKEN_FILE", "", "[default]\n" + keys("D"), {**WEB, "AWS_WEB_IDENTITY_TOKEN_FILE": ""}, None, ""),
    ("an empty AWS_ROLE_ARN", "", "[default]\n" + keys("D"), {**WEB, "AWS_ROLE_ARN": ""}, None, ""),
    ("a web identity's file below ~", "", "", {**WEB, "AWS_WEB_IDENTITY_TOKEN_FILE": "~/token"}, None, ""),
    ("an empty container URI", "", "[default]\n" + keys("D"), {"AWS_CONTAINER_CREDENTIALS_FULL_URI": ""}, None, ""),
    ("an empty role_arn", "[default]\nrole_arn =\n" + keys("C"), "", {}, None, ""),
    ("an empty source_profile", "[default]\n" + role("r") + "source_profile =\n" + keys("C"), "", {}, None, ""),
    ("an empty credential_process", "[default]\ncredential_process =\n" + keys("C"), "", {}, None, ""),
    ("an empty sso_session", "[default]\nsso_session =\n" + SSO + keys("C"), "", {}, None, ""),
    ("an empty external_id", "[profile p]\n" + role("r", "k", external_id="") + "[profile k]\n" + keys("K"), "", {}, "p", ""),
    ("source: empty", "[profile a]\n" + role("a", credential_source=""), "", ENV, "a", ""),
    ("a circle of three", "[profile a]\n" + role("a", "b") + "[profile b]\n" + role("b", "c") + "[profile c]\n" + role("c", "a"), "", {}, "a", ""),
    ("a role from default", "[default]\n" + keys("D") + "[profile a]\n" + role("a", "default"), "", {}, "a", ""),
    ("a role's source in other letters", "[profile a]\n" + role("a", "K") + "[profile k]\n" + keys("K"), "", {}, "a", ""),
    ("a role with MFA", "[profile a]\n" + role("a", "k", mfa_serial="arn:aws:iam::1:mfa/x") + "[profile k]\n" + keys("K"), "", {}, "a", ""),
    ("a session's title in quotes", '[profile p]\nsso_session = my one\n' + SSO + SESSION.replace("session s]", 'session "my one"]'), "", {}, "p", ""),
    ("an SSO session in the credentials file", "", "[p]\nsso_session = s\n" + SSO + SESSION, {}, "p", ""),
    ("SSO, a session without a region", "[profile p]\nsso_session = s\n" + SSO + SESSION.replace("sso_region = eu-west-1\n", ""), "", {}, "p", ""),
    ("SSO, an account without its zeros", "[profile p]\nsso_session = s\nsso_account_id = 12345\nsso_role_name = r\n" + SESSION, "", {}, "p", ""),
    ("retries that are none", "[default]\nretry_mode = x\nmax_attempts = y\n", "", ENV, None, ""),
    ("AWS_MAX_ATTEMPTS and AWS_RETRY_MODE that are none", "", "", {**ENV, "AWS_MAX_ATTEMPTS": "x", "AWS_RETRY_MODE": "y"}, None, ""),
]

# Why the two differ on rows of the lists above, by their names.
DIGITS = "Python's int() takes signs, blanks, underscores and the digits of other scripts; we take digits, and say so"
RANGE = "any number is taken there, and the request then refused or never ended; we say what range is meant"
DROPPED = "what is no number is passed over there, so that the role lasts an hour; we refuse it"
NONE = "an empty value is taken for one there and refused; here it is not given, as an empty variable"
TRIMMED = "the section is passed over there; AWS's other tools and we pass over blanks"
REASONS = {
    **{f"IMDS, {name} `{v}`": DIGITS for v in (" 5", "+5", "5_0", "\u0665") for name in ("a timeout of", "attempts of")},
    **{f"IMDS, {name} `{v}`": RANGE for v in ("-1", "0") for name in ("a timeout of", "attempts of")},
    "IMDS, a timeout of `61`": RANGE,
    **{f"a role for `{v}` seconds": DIGITS for v in ("+1800", "1_800")},
    **{f"a role for `{v}` seconds": RANGE for v in ("-1", "899", "43201")},
    **{f"a role for `{v}` seconds": DROPPED for v in ("1800.0", "30m", "0")},
    "a mode of ``": EMPTY,
    "blanks around the whole in a title": TRIMMED,
    "blanks in a credentials file's title": TRIMMED,
    "a value that goes on in a file": "the line end becomes a part of the key there, and the request then fails; we refuse it",
    "a ; behind a value in a file": "elsewhere: there it is a part of the value; AWS's other tools and we end the value at a blank and a ;",
    "old Macintosh line ends in a file": "no program has written them since 2001; we take the file for one line, and refuse it",
    "a key twice in two writings in a file": "it is refused there; AWS's other tools and we take the last",
    "a NUL in a file": "a text that holds one was damaged; we refuse it",
    "a form feed in a file": "it is a blank for Python; we refuse the line",
    "a no-break space in a file": "it is a blank for Python; for us it belongs to the key, which is then none",
    "a blank around keys": "it is sent as it is there, and AWS then refuses the signature; we say which variable has it",
    "an empty role_arn": NONE,
    "an empty credential_process": NONE,
    "an empty external_id": "elsewhere: it is sent there, and STS refuses it; AWS's other tools and we leave it out",
}

# A table in docs/credentials.md has a row for each of these, and for no other.
NAMES = re.compile(r"\b(?:AWS|BOTO|BOTOCORE)_[A-Z0-9_]*[A-Z0-9]\b")
NOT_VARIABLES = {  # names in the source of botocore that are not of environment variables
    "BOTOCORE_DEFAUT_SESSION_VARIABLES", "BOTOCORE_ROOT", "BOTO_CONFIG_ENV", "AWS_S3_FORCE_PATH_STYLE", "AWS_S3_USE_GLOBAL_ENDPOINT",
    "AWS_STS_USE_GLOBAL_ENDPOINT", "AWS_S3_DISABLE_MRAP", "AWS_S3_ACCELERATE", "AWS_USE_FIPS", "AWS_USE_DUALSTACK",
    "AWS_S3CONTROL_USE_ARN_REGION", "AWS_BEARER_TOKEN", "AWS_ENDPOINT_URL", "AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV", "AWS_DOC_BASE"}


def judge_names():
    """Is every setting that botocore reads told of in the documentation, and are those that it says are read read?"""
    package = pathlib.Path(botocore.session.__file__).parent
    known = {n for f in package.rglob("*.py") if "vendored" not in f.parts for n in NAMES.findall(f.read_text())} - NOT_VARIABLES
    top = pathlib.Path(__file__).resolve().parents[2]
    told = {}
    for line in (top / "docs/credentials.md").read_text().splitlines():
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 5:
            told.update({name: cells[2] for name in NAMES.findall(cells[1])})
    source = "".join(f.read_text() for f in (top / "src").rglob("*.c"))
    for name in sorted(known - told.keys()):
        yield f"botocore reads {name}, and docs/credentials.md does not say what Mayfly does with it"
    for name, what in told.items():
        if (f'"{name}"' in source) != what.startswith("read") and not what.startswith("warns"):
            yield f"docs/credentials.md says of {name}: {what}"
        if name not in known and name not in ("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
            yield f"botocore does not read {name}"


DATES = """2026-01-02T03:04:05Z|2026-01-02 03:04:05+00:00|2026-01-02 03:04:05.123456+00:00|2026-01-02T03:04:05,5Z|2026-01-02t03:04:05z
2026-01-02T03:04:05+0000|2026-01-02T04:04:05+01|2026-01-01T21:34:05-0530|2026-01-02T03:04:05UTC|2026-01-02 03:04:05 UTC|2026-01-02 03:04:05 GMT
20260102T030405Z|2026-01-02T03:04Z|Fri, 02 Jan 2026 03:04:05 GMT|2026-01-02T03:04:05|2026-01-02 03:04:05.5|2026-01-02|1767323045|tomorrow
2026-01-02T03:0405Z|2026-01-02 24:04:05Z|2026-02-29 03:04:05Z|2026-13-02 03:04:05Z|2026-01-02T03:04:05.Z|2026-01-02T03:04:05 -05:00|2026-01-02 03:04:05 EST"""
# Dates in words, of one digit, without minutes: dateutil guesses what they mean, and no program writes them.
GUESSED = ["2026-01-02T03Z", "2026/01/02 03:04:05Z", "2026-1-2T3:4:5Z", "Jan 2 2026 03:04:05 UTC"]


def judge_dates():
    warnings.simplefilter("ignore")  # of dateutil, about zones that it does not know
    for text in DATES.replace("\n", "|").split("|") + GUESSED:
        try:
            date = dateutil.parser.parse(text)
            want = str(int(date.timestamp())) if date.tzinfo else "none"  # which botocore cannot compare with now
        except ValueError:
            want = "none"
        got = ask({}, "--date", text)["out"].strip()
        if (got == want) == (text in GUESSED):
            yield f"`{text}`: botocore {want}, Mayfly {got}"


def fetched(*_, **__):
    """What a container and the instance answer, so that nobody is asked."""
    return {"AccessKeyId": "F", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z",
            "role_name": "r", "access_key": "F", "secret_key": "s", "token": "t", "expiry_time": "2099-01-01T00:00:00Z"}


IMDS = {}


def retrieve(self):
    IMDS.update(url=self.get_base_url(), timeout=self._timeout, attempts=self._num_attempts)
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
    elif creds.method == "iam-role":
        ret.update(imds={**IMDS, "url": IMDS["url"].rstrip("/")})
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
        ret["ca"] = session.get_config_variable("ca_bundle")
        return ret
    except Exception:  # each of its many kinds is a refusal
        return FAILS
    finally:
        os.environ.clear()
        os.environ.update(old)


WARNINGS = []  # of the last run


def ours(environment, profile):
    done = ask(environment, *([profile] if profile else []))
    WARNINGS[:] = [line for line in done["err"].splitlines() if line.startswith("warning: ")]
    if done["status"]:
        return FAILS
    said = json.loads(done["out"])
    ret = {"source": SOURCES[said["source"]], "roles": said["roles"], "region": said["region"], "ca": said["ca"]}
    if said["key"]:
        ret.update(key=said["key"], secret=said["secret"], token=said["token"])
    elif said["source"] == "web identity":
        ret.update(file=said["file"], role=said["role"]["arn"], session=said["role"]["session"])
    elif said["source"] == "instance metadata":
        ret.update(imds={"url": said["url"].removesuffix("/latest/"), "timeout": said["imds_ms"] // 1000,
                         "attempts": said["imds_attempts"]})
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
    why = why or REASONS.get(name, "")
    home = os.path.join(directory, f"{CASES.index(case)}")
    os.mkdir(home)
    environment = {"HOME": home, "PATH": os.environ["PATH"],
                   "AWS_CONFIG_FILE": write(home, "config", config),
                   "AWS_SHARED_CREDENTIALS_FILE": write(home, "credentials", credentials), **environment}
    a, b = theirs(environment, profile), ours(environment, profile)
    if "num_attempts" not in str(case).lower():
        for found in (a, b):  # we ask once more than botocore does
            if found != FAILS:
                found.get("imds", {}).pop("attempts", None)
    if why and a == b:
        return f"they agree now, so it does not hold that {why}"
    if why and FAILS not in (a, b) and not why.startswith("elsewhere: ") and not WARNINGS:
        return f"botocore: {a}, Mayfly: {b}, and nobody is warned"
    if not why and a != b:
        return f"botocore: {a}, Mayfly: {b}"
    return None


REGIONS = ["us-east-1", "eu-central-1", "mx-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1",
           "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"]
SERVICES = ["ec2", "ssm", "sts", "sso", "sso-oidc"]
FILE = """[default]
endpoint_url = http://127.0.0.1:1
services = mine
[services mine]
ec2 =
  endpoint_url = http://127.0.0.1:2
sts =
  retries = 3
  endpoint_url=http://127.0.0.1:3
sso_oidc =
  endpoint_url = http://127.0.0.1:6
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


# Settings of endpoints in odd writing, and why the two differ. Both have to send a request for EC2 to the same place.
SWITCHES = ["TRUE", "True", "1", "yes", " true", "on", "", "false"]
URLS = ["http://127.0.0.1:1", "http://127.0.0.1:1/", "HTTP://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://x.example:443", "",
        "127.0.0.1:1", "http://", " http://127.0.0.1:1", "http://127.0.0.1:1 ", "http://127.0.0.1:99999", "ftp://127.0.0.1", "http://127.0.0.1:1?x",
        "http://u:p@127.0.0.1:1", "http://127.0.0.1:1/path", "http://x.example"]
ODD_ENDPOINTS = [(f"{name}=`{v}`", config, {**more, name: v}) for v in SWITCHES for name, config, more in (
    ("AWS_USE_FIPS_ENDPOINT", "", {}), ("AWS_USE_DUALSTACK_ENDPOINT", "", {}), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", FILE, {}),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "", ALL))]
ODD_ENDPOINTS += [(f"{name} = {v}", f"[default]\n{name} = {v}\n{more}", {}) for v in SWITCHES for name, more in (
    ("use_fips_endpoint", ""), ("use_dualstack_endpoint", ""), ("ignore_configured_endpoint_urls", "endpoint_url = http://127.0.0.1:1\n"))]
ODD_ENDPOINTS += [(f"{name}=`{v}`", FILE, {name: v}) for v in URLS for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2")]
ODD_ENDPOINTS += [(f"endpoint_url = {v}", f"[default]\nendpoint_url = {v}\n", {}) for v in URLS]
ODD_ENDPOINTS += [(f"services: {name}", f"[default]\nservices = {wanted}\n{text}", {}) for name, wanted, text in (
    ("none such", "none", "[services mine]\nec2 =\n  endpoint_url = http://127.0.0.1:2\n"),
    ("empty", "", "[services mine]\nec2 =\n  endpoint_url = http://127.0.0.1:2\n"),
    ("tabs", "mine", "[services mine]\nec2 =\n\tendpoint_url\t=\thttp://127.0.0.1:2\n"),
    ("capitals", "mine", "[services mine]\nEC2 =\n  ENDPOINT_URL = http://127.0.0.1:2\n"),
    ("a comment within", "mine", "[services mine]\nec2 =\n  # here\n  endpoint_url = http://127.0.0.1:2\n"),
    ("an empty URL", "mine", "[services mine]\nec2 =\n  endpoint_url =\n"),
    ("two of them", "mine", "[services mine]\nec2 =\n  endpoint_url = http://127.0.0.1:2\n  endpoint_url = http://127.0.0.1:3\n"),
    ("not indented", "mine", "[services mine]\nec2 =\nendpoint_url = http://127.0.0.1:2\n"),
    ("a name in quotes", "my one", '[services "my one"]\nec2 =\n  endpoint_url = http://127.0.0.1:2\n'))]
LATER = "the request fails there once it is sent; we say so before"
WHY_ENDPOINTS = {
    **{f"{name}{v}{end}": LATER for v in ("http://127.0.0.1:99999", "ftp://127.0.0.1", "http://127.0.0.1:1?x")
       for name, end in (("AWS_ENDPOINT_URL=`", "`"), ("AWS_ENDPOINT_URL_EC2=`", "`"), ("endpoint_url = ", ""))},
    **{f"{name}=`{v}`": LATER for v in (" http://127.0.0.1:1", "http://127.0.0.1:1 ") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2")},
    **{f"{name}{v}{end}": why for v, why in (
        ("http://u:p@127.0.0.1:1", "no endpoint of AWS takes a password, and a URL is printed"),
        ("http://127.0.0.1:1/path", "no endpoint of AWS has a path"),
        ("http://x.example", "credentials would cross the network in the clear"))
       for name, end in (("AWS_ENDPOINT_URL=`", "`"), ("AWS_ENDPOINT_URL_EC2=`", "`"), ("endpoint_url = ", ""))},
    "services: empty": NONE,
}


# One for all sessions: models, which are long, are read once.
LOADER = botocore.loaders.create_loader()


def new_session():
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    return session


def same_place(url):
    """A URL in the one writing that it is sent in."""
    u = urllib.parse.urlsplit(url)
    port = {"https": ":443", "http": ":80"}.get(u.scheme, "-")
    return f"{u.scheme}://{u.netloc.lower().removesuffix(port)}{u.path.rstrip('/')}{'?' if u.query else ''}{u.query}/"


def their_ec2(environment):
    old = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        return same_place(new_session().create_client("ec2", region_name="us-east-1").meta.endpoint_url)
    except Exception:  # each of its many kinds is a refusal
        return FAILS
    finally:
        os.environ.clear()
        os.environ.update(old)


def judge_odd_endpoints(directory):
    for i, (name, config, variables) in enumerate(ODD_ENDPOINTS):
        environment = {"HOME": directory, "PATH": os.environ["PATH"], **ENV, "AWS_CONFIG_FILE": write(directory, f"odd-{i}", config), **variables}
        want, done, why = their_ec2(environment), ask(environment, "", "ec2", "us-east-1"), WHY_ENDPOINTS.get(name)
        got = FAILS if done["status"] else done["out"].strip()
        if why and want == got:
            yield f"{name}: they agree now, so it does not hold that {why}"
        if why and FAILS not in (want, got) and "warning: " not in done["err"] and not why.startswith("elsewhere: "):
            yield f"{name}: botocore {want}, Mayfly {got}, and nobody is warned"
        if not why and want != got:
            yield f"{name}: botocore {want}, Mayfly {got} {done['err'].strip()}"


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
        session = new_session()
        for service in SERVICES:
            want = their_endpoint(session, service, region)
            done = ask(environment, "", service.replace("-", "_"), region)
            known += want is not None
            if want is not None and done["out"].strip() != want:
                wrong.append(f"{service} {region} {variables}: botocore {want}, Mayfly {done['out'].strip()}{done['err']}")
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
        for name, judge_all in (("the names of the settings", judge_names), ("dates", judge_dates)):
            problems = list(judge_all())
            failed |= bool(problems)
            print(f"not ok - credentials: {name}: {'; '.join(problems)}" if problems else f"ok - credentials: {name}")
        known, wrong = judge_endpoints(directory)
        wrong += judge_odd_endpoints(directory)
        unknown = REASONS.keys() - {case[0] for case in CASES} | WHY_ENDPOINTS.keys() - {row[0] for row in ODD_ENDPOINTS}
        wrong += [f"there is no row {name}" for name in sorted(unknown)]
        for line in wrong:
            print(f"not ok - endpoints: {line}")
        print(f"ok - endpoints: {known + len(ODD_ENDPOINTS) - len(WHY_ENDPOINTS)} are the same" if known > 100 and not wrong
              else f"not ok - endpoints: {known} known, {len(wrong)} differ")
    PROGRAM.stdin.close()
    if PROGRAM.wait():  # a sanitizer's report, a leak
        print(f"not ok - credentials: the program ended with status {PROGRAM.returncode}")
    return failed or bool(wrong) or PROGRAM.returncode != 0


sys.exit(main())
