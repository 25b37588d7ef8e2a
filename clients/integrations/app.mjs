// An Express service behind Gatepost: three protected routes, one of them metered, events out, a webhook in.
import { randomUUID } from "node:crypto";
import express from "express";
import { Webhook } from "standardwebhooks";
const { GATEPOST_URL, GATEPOST_SERVICE_KEY, WEBHOOK_SECRET, PORT } = process.env;
const STATUSES = { NOT_FOUND: 401, REVOKED: 401, EXPIRED: 401, DISABLED: 401, RATE_LIMITED: 429 };
const SERVICE = { authorization: `Bearer ${GATEPOST_SERVICE_KEY}`, "content-type": "application/json" };
const posts = new Map(), app = express(), onePost = { feature: "created_posts", quantity: 1 };

async function gatepost(path, body, headers = {}) {
  const request = { method: "POST", headers: { ...SERVICE, ...headers }, body: JSON.stringify(body) };
  const answer = await fetch(GATEPOST_URL + path, { ...request, signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
const needs = (scope, use) => async (req, res, next) => {
  const [, key = ""] = /^bearer (.+)$/i.exec(req.get("authorization")) ?? [];
  const question = { key, scopes: [scope], client_ip: req.ip, ...use };
  try {
    req.who = await gatepost("/api/v1/api-keys/verify", question);
  } catch (error) { // fail closed: nobody passes unseen
    console.error(error);
    return res.status(503).json({ error: "API keys cannot be verified at the moment." });
  }
  if (req.who.valid) return next();
  if (req.who.code === "RATE_LIMITED") res.set("retry-after", String(req.who.rate_limit.retry_after));
  res.status(STATUSES[req.who.code] ?? 403).json({ error: req.who.code });
};
app.get("/posts", needs("posts:read"), (req, res) =>
  res.json([...posts.values()].filter((post) => post.workspace_id === req.who.workspace_id)));
const isPost = ({ body }, res, next) =>
  typeof body?.title === "string" ? next() : res.status(422).json({ error: "title must be a string" });
app.post("/posts", express.json(), isPost, needs("posts:write", onePost), async (req, res) => {
  const post = { id: randomUUID(), title: req.body.title, workspace_id: req.who.workspace_id };
  posts.set(post.id, post);
  const event = { type: "post.created", data: { id: post.id, by: req.who.external_id } };
  const sent = gatepost("/api/v1/events", event, { "x-workspace-id": post.workspace_id, "idempotency-key": post.id });
  await sent.catch((error) => console.error("not sent:", event, error)); // a real service stores it, and sends it again
  res.status(201).json(post);
});
app.delete("/posts/:id", needs("posts:delete"), (req, res) => {
  const post = posts.get(req.params.id);
  if (post?.workspace_id !== req.who.workspace_id) return res.status(404).json({ error: "NOT_FOUND" });
  posts.delete(post.id);
  res.status(204).end();
});
app.post("/hooks", express.raw({ type: "*/*", limit: "2mb" }), (req, res) => {
  try {
    const { type, id } = new Webhook(WEBHOOK_SECRET).verify(req.body, req.headers);
    console.log("received", type, id);
  } catch {
    return res.status(401).json({ error: "INVALID_SIGNATURE" });
  }
  res.status(204).end();
});
app.use((error, req, res, next) => {
  if (!error.expose) console.error(error);
  res.status(error.status ?? 500).json({ error: error.expose ? error.message : "INTERNAL_ERROR" });
});
app.listen(Number(PORT), "127.0.0.1", (error) => { if (error) throw error; console.log("ready at port", PORT); });
