// The same listing as one pass of the reaper, by the SDK: every instance of the fleet, every runner, matched by id.
import { EC2Client, paginateDescribeInstances } from "@aws-sdk/client-ec2";

const [repo, region] = process.argv.slice(2);

async function* instances() {
  const Filters = [
    { Name: "tag:mayfly:fleet", Values: [repo] },
    { Name: "instance-state-name", Values: ["pending", "running", "stopping", "stopped"] },
  ];
  for await (const page of paginateDescribeInstances({ client: new EC2Client({ region }), pageSize: 1000 }, { Filters }))
    for (const { Instances } of page.Reservations)
      for (const i of Instances)
        yield [Number(i.Tags.find((t) => t.Key === "mayfly:runner-id").Value), [i.InstanceId, i.LaunchTime]];
}

async function* runners() {
  for (let page = 1; ; page++) {
    const answer = await fetch(`${process.env.GITHUB_API_URL}/repos/${repo}/actions/runners?per_page=100&page=${page}`, {
      headers: { Authorization: `Bearer ${process.env.MAYFLY_GITHUB_TOKEN}` },
    });
    const { runners } = await answer.json();
    yield* runners;
    if (runners.length < 100) return;
  }
}

async function main() {
  const fleet = new Map();
  for await (const [runner, instance] of instances()) fleet.set(runner, instance);
  let busy = 0;
  for await (const r of runners()) if (fleet.has(r.id) && r.status === "online" && r.busy) busy++;
  console.log(`${fleet.size} instances, ${busy} of them busy`);
}

main();
