// Receives webhooks using only Node's standard library. docs/WEBHOOKS.md shows its functions.
//
// It listens on a free local port, prints the port, and then a line for each delivery: its id if the signature is valid,
// `refused` if not.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

function verify(secrets, headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const given = (headers["webhook-signature"] ?? "").split(" ").filter((part) => part.startsWith("v1,"));
  return secrets.some((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
    return given.some((part) => {
      const signature = Buffer.from(part.slice(3), "base64");
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    });
  });
}

const secrets = process.env.WEBHOOK_SECRETS.split(" ");
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const good = verify(secrets, request.headers, Buffer.concat(chunks));
  console.log(good ? request.headers["webhook-id"] : "refused");
  response.writeHead(good ? 204 : 401).end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
