"""The same listing as one pass of the reaper, by the SDK: every instance of the fleet, every runner, matched by id."""

import json
import os
import sys
import urllib.request

import boto3


def instances(fleet, region):
    ec2 = boto3.client("ec2", region_name=region, endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    filters = [
        {"Name": "tag:mayfly:fleet", "Values": [fleet]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    for page in ec2.get_paginator("describe_instances").paginate(Filters=filters, PaginationConfig={"PageSize": 1000}):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                tags = {t["Key"]: t["Value"] for t in instance["Tags"]}
                yield instance["InstanceId"], instance["LaunchTime"], int(tags["mayfly:runner-id"])


def runners(repo):
    page = 1
    while True:
        url = f"{os.environ['GITHUB_API_URL']}/repos/{repo}/actions/runners?per_page=100&page={page}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['MAYFLY_GITHUB_TOKEN']}"})
        with urllib.request.urlopen(request) as answer:
            rows = json.load(answer)["runners"]
        yield from ((r["id"], r["status"], r["busy"]) for r in rows)
        if len(rows) < 100:
            return
        page += 1


def main():
    repo, region = sys.argv[1:]
    fleet = {runner: (instance, launched) for instance, launched, runner in instances(repo, region)}
    busy = sum(1 for runner, status, is_busy in runners(repo) if runner in fleet and status == "online" and is_busy)
    print(f"{len(fleet)} instances, {busy} of them busy")


main()
