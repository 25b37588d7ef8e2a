// An Express service behind Gatepost: three protected routes, one of them metered, events out, a webhook in.
import { randomUUID } from "node:crypto";
import express from "express";
import { Webhook } from "standardwebhooks";

const { GATEPOST_URL, GATEPOST_SERVICE_KEY, WEBHOOK_SECRET, PORT } = process.env;
const STATUSES = { NOT_FOUND: 401, REVOKED: 401, EXPIRED: 401, DISABLED: 401, RATE_LIMITED: 429 };
const SERVICE = { authorization: `Bearer ${GATEPOST_SERVICE_KEY}`, "content-type": "application/json" };
const posts = new Map();
const app = express();

async function gatepost(path, body, headers = {}) {
  const request = { method: "POST", headers: { ...SERVICE, ...headers }, body: JSON.stringify(body) };
  const answer = await fetch(GATEPOST_URL + path, { ...request, signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`Gatepost answers ${answer.status}`);
  return answer.json();
}
const needs = (scope, feature) => async (req, res, next) => {
  const [, key = ""] = /^bearer (.+)$/i.exec(req.get("authorization") ?? "") ?? [];
  const once = (req.get("idempotency-key") ?? randomUUID()).slice(0, 255);
  const use = feature ? { feature, quantity: 1, idempotency_key: once } : {};
  try {
    const question = { key, scopes: [scope], client_ip: req.ip, ...use };
    req.who = await gatepost("/api/v1/api-keys/verify", question);
  } catch { // fail closed: nobody passes unseen
    return res.status(503).json({ error: "API keys cannot be verified at the moment." });
  }
  if (req.who.valid) return next();
  const wait = req.who.rate_limit?.retry_after;
  if (wait) res.set("retry-after", String(wait));
  res.status(STATUSES[req.who.code] ?? 403).json({ error: req.who.code });
};
app.get("/posts", needs("posts:read"), (req, res) => {
  res.json([...posts.values()].filter((post) => post.workspace_id === req.who.workspace_id));
});
app.post("/posts", needs("posts:write", "posts"), express.json(), async (req, res) => {
  const { workspace_id, external_id } = req.who;
  const post = { ...req.body, id: randomUUID(), workspace_id };
  posts.set(post.id, post);
  const headers = { "x-workspace-id": String(workspace_id), "idempotency-key": post.id };
  const event = { type: "post.created", data: { id: post.id, by: external_id } };
  await gatepost("/api/v1/events", event, headers);
  res.status(201).json(post);
});
app.delete("/posts/:id", needs("posts:delete"), (req, res) => {
  const post = posts.get(req.params.id);
  if (post?.workspace_id !== req.who.workspace_id) return res.status(404).json({ error: "NOT_FOUND" });
  posts.delete(post.id);
  res.status(204).end();
});
app.post("/hooks", express.raw({ type: "*/*" }), (req, res) => {
  try {
    const event = new Webhook(WEBHOOK_SECRET).verify(req.body, req.headers);
    console.log("received", event.type, event.id);
    res.status(204).end();
  } catch {
    res.status(401).json({ error: "INVALID_SIGNATURE" });
  }
});
app.listen(Number(PORT), "127.0.0.1", (error) => { if (error) throw error; });
