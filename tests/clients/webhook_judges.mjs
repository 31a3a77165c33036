// Verifies and parses deliveries of meetwatch with third-party libraries: standardwebhooks and cloudevents for Node, from the
// folder that NODE_FOLDER names. See webhook_judges.py for the input.

import { createRequire } from "node:module";
import { strict as assert } from "node:assert";

const require = createRequire(`${process.env.NODE_FOLDER}/`);
const { Webhook } = require("standardwebhooks");
const { HTTP } = require("cloudevents");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const given = JSON.parse(Buffer.concat(chunks).toString());
assert(given.standard.length > 5 && given.cloudevents.length > 5, "too few deliveries");

const webhook = new Webhook(given.secret);
for (const { headers, body } of [...given.standard, ...given.cloudevents, ...given.batches]) {
  webhook.verify(body, headers);
  assert.throws(() => webhook.verify(`${body} `, headers), /signature/i);
}
console.log("standardwebhooks: agrees");

const single = given.cloudevents.map(({ headers, body }) => HTTP.toEvent({ headers, body }));
const batched = given.batches.flatMap(({ headers, body }) => HTTP.toEvent({ headers, body }));
assert.deepEqual(batched.map((event) => event.id), single.map((event) => event.id));
for (const event of [...single, ...batched]) {
  assert(event.validate());
  assert.equal(event.id, event.data.id);
  assert.equal(event.type, `dev.meetwatch.${event.data.type}.v1`);
  assert.equal(event.source, `//meet.googleapis.com/${event.data.conference.name}`);
  assert.equal(event.sequence, String(event.data.sequence).padStart(20, "0"));
}
console.log("cloudevents: agrees");
