// sign.js SECONDS: signs the request on stdin (as tests/contract/sign reads it) by the SDK for so long; prints the
// signature and how many a second of processor time.
import { SignatureV4 } from "@smithy/signature-v4";
import { HttpRequest } from "@smithy/core/protocols";
import { Hash } from "@smithy/core/serde";
import { readFileSync } from "node:fs";

async function main() {
  const seconds = Number(process.argv[2]), q = JSON.parse(readFileSync(0));
  const signer = new SignatureV4({
    credentials: { accessKeyId: q.key, secretAccessKey: q.secret, sessionToken: q.token },
    region: q.region,
    service: q.service,
    sha256: Hash.bind(null, "sha256"),
    applyChecksum: false, // one header less to sign, as the others
  });
  const body = Buffer.from(q.body, "base64"), signingDate = new Date(q.time * 1000);
  const start = process.cpuUsage();
  let n = 0, spent = 0, signed;
  do {
    for (let i = 0; i < 100; i++) {
      const request = new HttpRequest({
        protocol: "http:", method: "POST", hostname: q.host, path: "/", body,
        headers: { host: q.host, "content-type": q.content_type },
      });
      signed = await signer.sign(request, { signingDate });
    }
    n += 100;
    const { user, system } = process.cpuUsage(start);
    spent = (user + system) / 1e6;
  } while (spent < seconds);
  console.log(signed.headers.authorization);
  console.log(Math.round(n / spent));
}

main();
