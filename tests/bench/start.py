"""What `mayfly start` asks for, by boto3 and PyGithub: N runners under one label, from nothing to online."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from github import Auth, Github

IMAGE, TYPE, SUBNET, GROUP = "ami-0a11ce00000000001", "m7i.large", "subnet-0a11ce01", "sg-0a11ce01"
# The simulator finds the configuration by this variable.
SCRIPT = """#!/bin/sh
MAYFLY_JIT='%s'
shutdown -h +60
cd /opt/actions-runner && su runner -c "./run.sh --jitconfig $MAYFLY_JIT"
poweroff
"""
POLL_S = 0.85  # as Mayfly
AT_ONCE = 10


def main():
    count, label = int(sys.argv[1]), sys.argv[2]
    # EC2 lets two machines a second be launched: what asks for more of them has to wait and to try again.
    config = Config(retries={"mode": "adaptive", "max_attempts": 100}, max_pool_connections=AT_ONCE)
    ec2 = boto3.client("ec2", config=config)
    # PyGithub waits a quarter of a second between requests and a second between writes, unless it is told not to.
    hub = Github(
        base_url=os.environ["GITHUB_API_URL"],
        auth=Auth.Token(os.environ["MAYFLY_GITHUB_TOKEN"]),
        seconds_between_requests=0,
        seconds_between_writes=0,
        pool_size=AT_ONCE,
        lazy=True,
    )
    repo = hub.get_repo(os.environ["GITHUB_REPOSITORY"])

    def ask(method, path, **body):
        return repo.requester.requestJsonAndCheck(method, f"{repo.url}/actions/runners{path}", input=body or None)[1]

    def launch(i):
        runner = ask("POST", "/generate-jitconfig", name=f"{label}-{i}", runner_group_id=1, labels=[label])
        script = SCRIPT % runner["encoded_jit_config"]
        ec2.run_instances(
            ImageId=IMAGE,
            InstanceType=TYPE,
            SubnetId=SUBNET,
            SecurityGroupIds=[GROUP],
            MinCount=1,
            MaxCount=1,
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required"},
            UserData=script,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": f"{label}-{i}"}]}],
        )
        return runner["runner"]["id"]

    ec2.describe_images(ImageIds=[IMAGE])
    ask("GET", "/downloads")
    boto3.client("sts").get_caller_identity()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = set(pool.map(launch, range(count)))
    while waiting:
        time.sleep(POLL_S)
        some = [repo.get_self_hosted_runner(*waiting)] if len(waiting) == 1 else repo.get_self_hosted_runners()
        waiting -= {r.id for r in some if r.status == "online"}
    print(f"{count} online")


main()
