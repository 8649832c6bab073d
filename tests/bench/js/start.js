// What `mayfly start` asks for, by the AWS SDK and Octokit: N runners under one label, from nothing to online.
import { DescribeImagesCommand, EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Octokit } from "@octokit/rest";
import { setTimeout as sleep } from "node:timers/promises";

const IMAGE = "ami-0a11ce00000000001", TYPE = "m7i.large", SUBNET = "subnet-0a11ce01", GROUP = "sg-0a11ce01";
// The simulator finds the configuration by this variable.
const script = (jit) => `#!/bin/sh
MAYFLY_JIT='${jit}'
shutdown -h +60
cd /opt/actions-runner && su runner -c "./run.sh --jitconfig $MAYFLY_JIT"
poweroff
`;
const POLL_MS = 850; // as Mayfly

const [count, label] = [Number(process.argv[2]), process.argv[3]];
const [owner, repo] = process.env.GITHUB_REPOSITORY.split("/");
// EC2 lets two machines a second be launched: what asks for more of them has to wait and to try again.
const ec2 = new EC2Client({ retryMode: "adaptive", maxAttempts: 100 });
const hub = new Octokit({ auth: process.env.MAYFLY_GITHUB_TOKEN, baseUrl: process.env.GITHUB_API_URL }).rest.actions;

async function launch(i) {
  const { data } = await hub.generateRunnerJitconfigForRepo({ owner, repo, name: `${label}-${i}`, runner_group_id: 1, labels: [label] });
  await ec2.send(new RunInstancesCommand({
    ImageId: IMAGE,
    InstanceType: TYPE,
    SubnetId: SUBNET,
    SecurityGroupIds: [GROUP],
    MinCount: 1,
    MaxCount: 1,
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: { HttpTokens: "required" },
    UserData: Buffer.from(script(data.encoded_jit_config)).toString("base64"),
    TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "Name", Value: `${label}-${i}` }] }],
  }));
  return data.runner.id;
}

async function runners(waiting) {
  if (waiting.size === 1) {
    const [runner_id] = waiting;
    return [(await hub.getSelfHostedRunnerForRepo({ owner, repo, runner_id })).data];
  }
  const all = [];
  for (let page = 1; ; page++) {
    const { data } = await hub.listSelfHostedRunnersForRepo({ owner, repo, per_page: 100, page });
    all.push(...data.runners);
    if (data.runners.length < 100) return all;
  }
}

async function main() {
  await Promise.all([
    ec2.send(new DescribeImagesCommand({ ImageIds: [IMAGE] })),
    hub.listRunnerApplicationsForRepo({ owner, repo }),
    new STSClient({}).send(new GetCallerIdentityCommand({})),
  ]);
  const waiting = new Set(await Promise.all(Array.from({ length: count }, (_, i) => launch(i))));
  while (waiting.size) {
    await sleep(POLL_MS);
    for (const r of await runners(waiting)) if (r.status === "online") waiting.delete(r.id);
  }
  console.log(`${count} online`);
}

main();
