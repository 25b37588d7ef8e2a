"""A FastAPI service behind Gatepost: three protected routes, one of them metered, events out, a webhook in."""
import logging
import os
import uuid
import httpx
from fastapi import Body, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

SERVICE = {"Authorization": f"Bearer {os.environ['GATEPOST_SERVICE_KEY']}"}
STATUSES = {"NOT_FOUND": 401, "REVOKED": 401, "EXPIRED": 401, "DISABLED": 401, "RATE_LIMITED": 429}
gatepost = httpx.AsyncClient(base_url=os.environ["GATEPOST_URL"], headers=SERVICE, timeout=5)
posts: dict[str, dict] = {}
app = FastAPI()

async def verify(request: Request, scope: str, **use) -> dict:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key if scheme.lower() == "bearer" else ""
    question = {"key": key, "scopes": [scope], "client_ip": request.client.host, **use}
    try:
        decision = (await gatepost.post("/api/v1/api-keys/verify", json=question)).raise_for_status().json()
    except httpx.HTTPError as error:  # fail closed: nobody passes unseen
        logging.error("verify: %r %s", error, getattr(getattr(error, "response", None), "text", ""))
        raise HTTPException(503, "API keys cannot be verified at the moment.") from error
    if decision["valid"]:
        return decision
    retry = {"Retry-After": str(decision["rate_limit"]["retry_after"])} if decision["code"] == "RATE_LIMITED" else None
    raise HTTPException(STATUSES.get(decision["code"], 403), decision["code"], retry)

@app.get("/posts")
async def list_posts(request: Request):
    who = await verify(request, "posts:read")
    return [post for post in posts.values() if post["workspace_id"] == who["workspace_id"]]

@app.post("/posts", status_code=201)
async def create_post(request: Request, title: str = Body(embed=True)):
    who = await verify(request, "posts:write", feature="created_posts", quantity=1)
    post = {"id": str(uuid.uuid4()), "title": title, "workspace_id": who["workspace_id"]}
    posts[post["id"]] = post
    event = {"type": "post.created", "data": {"id": post["id"], "by": who["external_id"]}}
    headers = {"X-Workspace-ID": str(who["workspace_id"]), "Idempotency-Key": post["id"]}
    try:
        (await gatepost.post("/api/v1/events", json=event, headers=headers)).raise_for_status()
    except httpx.HTTPError as error:  # the post exists: a real service stores the event, and sends it again
        logging.error("not sent: %s %r", event, error)
    return post

@app.delete("/posts/{id}", status_code=204)
async def delete_post(id: str, request: Request):
    who = await verify(request, "posts:delete")
    if posts.get(id, {}).get("workspace_id") != who["workspace_id"]:
        raise HTTPException(404, "NOT_FOUND")
    del posts[id]

@app.post("/hooks", status_code=204)
async def receive(request: Request):
    try:
        event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(await request.body(), dict(request.headers))
    except WebhookVerificationError as error:
        raise HTTPException(401, "INVALID_SIGNATURE") from error
    print("received", event["type"], event["id"], flush=True)
