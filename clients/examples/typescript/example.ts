// Keys, events and deliveries, by a client that openapi-typescript made from /openapi.json:
//
//   npx openapi-typescript https://gatepost.example.com/openapi.json -o gatepost.ts
//
// GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace, WEBHOOK_URL where events are to go.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./gatepost.js";

const { GATEPOST_URL, GATEPOST_KEY, WEBHOOK_URL } = process.env;
assert(GATEPOST_URL && GATEPOST_KEY && WEBHOOK_URL, "GATEPOST_URL, GATEPOST_KEY and WEBHOOK_URL must be set");

const root = createClient<paths>({
  baseUrl: GATEPOST_URL,
  headers: { Authorization: `Bearer ${GATEPOST_KEY}` },
});

// A workspace, and a key of its own.
const workspace = await root.POST("/api/v1/workspaces", { body: { name: "TypeScript", tier: "enterprise" } });
assert(workspace.data, "the workspace is made");
const first = await root.POST("/api/v1/api-keys", {
  params: { header: { "X-Workspace-ID": workspace.data.data.id } },
  body: { name: "First", scopes: ["*"] },
});
assert(first.data, "its first key is made");
const client = createClient<paths>({
  baseUrl: GATEPOST_URL,
  headers: { Authorization: `Bearer ${first.data.data.key}` },
});

// Sixty keys, made safely and read page by page.
for (let number = 1; number < 60; number += 1) {
  const made = await client.POST("/api/v1/api-keys", {
    params: { header: { "Idempotency-Key": `key-${number}` } },
    body: { name: `Key ${number}`, scopes: ["posts:read"] },
  });
  assert(made.data, "a key is made");
}
const keys: components["schemas"]["ApiKeyView"][] = [];
for (let page = 1; ; page += 1) {
  const listed = await client.GET("/api/v1/api-keys", { params: { query: { page, per_page: 25, sort: "-id" } } });
  assert(listed.data, "a page of keys is read");
  keys.push(...listed.data.data);
  if (listed.data.links.next === null) break;
}
assert.equal(new Set(keys.map((key) => key.id)).size, 60);

// The newest one is rotated; its successor is revoked.
const newest = keys[0];
assert(newest, "there is a newest key");
const rotated = await client.POST("/api/v1/api-keys/{id}/rotate", {
  params: { path: { id: newest.id } },
});
assert(rotated.data, rotated.error?.message);
assert(rotated.data.data.key.startsWith("sk_live_"));
const path = { id: rotated.data.data.id };
const revoked = await client.DELETE("/api/v1/api-keys/{id}", { params: { path } });
assert.equal(revoked.response.status, 204);

// Errors have types too.
const gone = await client.GET("/api/v1/api-keys/{id}", { params: { path } });
assert(gone.error, "what is revoked is not found");
assert.equal(gone.error.error, "not_found");
assert.equal(gone.error.message, "Resource not found.");
const invalid = await client.POST("/api/v1/api-keys", { body: { name: "", scopes: ["nonsense"] } });
assert(invalid.error && "errors" in invalid.error, "a body that breaks rules is refused");
assert.deepEqual(Object.keys(invalid.error.errors ?? {}), ["name", "scopes.0"]);

// Deciding about a key, and a seat that is taken and given back, each with the fewest members.
const verified = await root.POST("/api/v1/api-keys/verify", { body: { key: first.data.data.key } });
assert(verified.data, verified.error?.message);
const code: components["schemas"]["VerificationCode"] = verified.data.code;
assert.equal(code, "VALID");
const taken = await client.POST("/api/v1/entitlements/consume", { body: { feature: "posts" } });
assert(taken.data, taken.error?.message);
const returned = await client.POST("/api/v1/entitlements/release", { body: { feature: "posts" } });
assert(returned.data, returned.error?.message);
assert.equal(returned.data.current_usage, taken.data.current_usage - 1);

// An event, and what became of it.
const webhook = await client.POST("/api/v1/webhooks", { body: { url: WEBHOOK_URL, events: ["post.*"] } });
assert(webhook.data, "the endpoint is made");
const event = await client.POST("/api/v1/events", { body: { type: "post.created", data: { id: 7 } } });
assert(event.data, "the event is accepted");
for (;;) {
  const deliveries: { data?: components["schemas"]["WebhookDeliveryPage"] } = await client.GET("/api/v1/webhooks/{id}/deliveries", {
    params: { path: { id: webhook.data.data.id }, query: { event_id: event.data.data.id } },
  });
  const delivery: components["schemas"]["WebhookDeliveryView"] | undefined = deliveries.data?.data[0];
  assert(delivery, "the event has a delivery");
  if (delivery.status === "success") break;
  assert.equal(delivery.status, "pending");
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log("TypeScript: a workspace, 60 keys, an event and its delivery");
