// Leads and conversations of the preset `anvil`, by a client that openapi-typescript made from its /openapi.json.
//
// GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./anvil-document.js";

const { GATEPOST_URL, GATEPOST_KEY } = process.env;
assert(GATEPOST_URL && GATEPOST_KEY, "GATEPOST_URL and GATEPOST_KEY must be set");

const client = createClient<paths>({
  baseUrl: GATEPOST_URL,
  headers: { Authorization: `Bearer ${GATEPOST_KEY}` },
});

// Twenty-five leads, read page by page.
for (let number = 1; number <= 25; number += 1) {
  const made = await client.POST("/v1/leads", {
    params: { header: { "Idempotency-Key": `ts-lead-${number}` } },
    body: { name: `TypeScript ${number}`, score: number, tags: ["ts"] },
  });
  assert(made.data, made.error?.error.message);
}
const leads: components["schemas"]["Lead"][] = [];
for (let page = 1; ; page += 1) {
  const listed = await client.GET("/v1/leads", { params: { query: { page, tags: ["ts"], sort: "-score" } } });
  assert(listed.data, listed.error?.error.message);
  leads.push(...listed.data.data);
  if (leads.length >= listed.data.meta.total) break;
}
assert.deepEqual(leads.map((lead) => lead.score), Array.from({ length: 25 }, (_, index) => 25 - index));

// One is changed and tagged.
const id = leads[0]?.id;
assert(id, "there is a first lead");
const path = { id };
const changed = await client.PATCH("/v1/leads/{id}", { params: { path }, body: { status: "qualified", company: null } });
assert.equal(changed.data?.data.status, "qualified");
const tagged = await client.POST("/v1/leads/{id}/tag", { params: { path }, body: { tags: ["vip"] } });
assert.deepEqual(tagged.data?.data.tags, ["ts", "vip"]);

// A conversation that a person takes over from a bot, and its messages.
const conversation = await client.POST("/v1/conversations", { body: { lead_id: id } });
assert(conversation.data, conversation.error?.error.message);
const of = { path: { id: conversation.data.data.id } };
const message = await client.POST("/v1/conversations/{id}/messages", {
  params: of,
  body: { author: "customer", body: "Is anybody there?" },
});
assert(message.data, message.error?.error.message);
const taken = await client.POST("/v1/conversations/{id}/take_over", { params: of, body: { agent: "Grace" } });
assert.equal(taken.data?.data.handler, "human");
const again = await client.POST("/v1/conversations/{id}/take_over", { params: of, body: { agent: "Grace" } });
assert.equal(again.error?.error.code, "INVALID_STATE");
const messages = await client.GET("/v1/conversations/{id}/messages", { params: of });
assert.deepEqual(messages.data?.data.map((one) => one.body), ["Is anybody there?"]);

// What was made is deleted.
const deleted = await client.DELETE("/v1/leads/{id}", { params: { path } });
assert.equal(deleted.data?.data.deleted, true);
const gone = await client.GET("/v1/leads/{id}", { params: { path } });
assert.equal(gone.error?.error.code, "NOT_FOUND");
console.log("25 leads, a conversation and its message");
