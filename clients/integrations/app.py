"""A FastAPI service behind Gatepost: three protected routes, one of them metered, events out, a webhook in."""
import logging
import os
import uuid

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

SERVICE = {"Authorization": f"Bearer {os.environ['GATEPOST_SERVICE_KEY']}"}
STATUSES = {"NOT_FOUND": 401, "REVOKED": 401, "EXPIRED": 401, "DISABLED": 401, "RATE_LIMITED": 429}
gatepost = httpx.AsyncClient(base_url=os.environ["GATEPOST_URL"], headers=SERVICE, timeout=5)
posts: dict[str, dict] = {}
app = FastAPI()

def needs(scope: str, feature: str | None = None):
    async def verify(request: Request) -> dict:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key if scheme.lower() == "bearer" else ""
        question = {"key": key, "scopes": [scope], "client_ip": request.client.host}
        question |= {"feature": feature, "quantity": 1} if feature else {}
        try:
            answer = await gatepost.post("/api/v1/api-keys/verify", json=question)
            decision = answer.raise_for_status().json()
        except httpx.HTTPError as error:  # fail closed: nobody passes unseen
            logging.error("verify: %r %s", error, getattr(getattr(error, "response", None), "text", ""))
            raise HTTPException(503, "API keys cannot be verified at the moment.") from error
        if decision["valid"]:
            return decision
        wait = (decision["rate_limit"] or {}).get("retry_after")
        headers = {"Retry-After": str(wait)} if wait else None
        raise HTTPException(STATUSES.get(decision["code"], 403), decision["code"], headers)
    return Depends(verify)

@app.get("/posts")
async def list_posts(who: dict = needs("posts:read")):
    return [post for post in posts.values() if post["workspace_id"] == who["workspace_id"]]

@app.post("/posts", status_code=201)
async def create_post(post: dict, who: dict = needs("posts:write", feature="posts")):
    post = {**post, "id": str(uuid.uuid4()), "workspace_id": who["workspace_id"]}
    posts[post["id"]] = post
    headers = {"X-Workspace-ID": str(who["workspace_id"]), "Idempotency-Key": post["id"]}
    event = {"type": "post.created", "data": {"id": post["id"], "by": who["external_id"]}}
    (await gatepost.post("/api/v1/events", json=event, headers=headers)).raise_for_status()
    return post

@app.delete("/posts/{id}", status_code=204)
async def delete_post(id: str, who: dict = needs("posts:delete")):
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
