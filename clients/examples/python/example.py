"""Keys, events and deliveries, by a client that openapi-python-client made from /openapi.json:

    openapi-python-client generate --url https://gatepost.example.com/openapi.json

GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace, WEBHOOK_URL where events are to go.
"""

import os
import time

from gatepost_api_client import AuthenticatedClient
from gatepost_api_client.api.api_keys import (
    create_api_key,
    get_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
    verify_api_key,
)
from gatepost_api_client.api.entitlements import consume_entitlement, release_entitlement
from gatepost_api_client.api.events import create_event
from gatepost_api_client.api.webhooks import create_webhook, list_webhook_deliveries
from gatepost_api_client.api.workspaces import create_workspace
from gatepost_api_client.models import (
    AcceptedEventItem,
    ApiKeyPage,
    CreateApiKeyBody,
    CreatedApiKeyMessage,
    CreatedWebhookMessage,
    CreateEventBody,
    CreateWebhookBody,
    CreateWorkspaceBody,
    ErrorBody,
    RecordedUsageView,
    RotateApiKeyBody,
    RotatedApiKeyMessage,
    UseEntitlementBody,
    ValidationErrorBody,
    VerificationCode,
    VerificationView,
    VerifyApiKeyBody,
    WebhookDeliveryPage,
    WorkspaceMessage,
)

url, key, webhook_url = (os.environ[name] for name in ("GATEPOST_URL", "GATEPOST_KEY", "WEBHOOK_URL"))
root = AuthenticatedClient(base_url=url, token=key)

# A workspace, and a key of its own.
workspace = create_workspace.sync(client=root, body=CreateWorkspaceBody(name="Python", tier="enterprise"))
assert isinstance(workspace, WorkspaceMessage), workspace
first = create_api_key.sync(
    client=root, body=CreateApiKeyBody(name="First", scopes=["*"]), x_workspace_id=workspace.data.id
)
assert isinstance(first, CreatedApiKeyMessage), first
client = AuthenticatedClient(base_url=url, token=first.data.key)

# Sixty keys, made safely and read page by page.
for number in range(1, 60):
    body = CreateApiKeyBody(name=f"Key {number}", scopes=["posts:read"])
    made = create_api_key.sync(client=client, body=body, idempotency_key=f"key-{number}")
    assert isinstance(made, CreatedApiKeyMessage), made
keys = []
page = 1
while True:
    listed = list_api_keys.sync(client=client, page=page, per_page=25, sort="-id")
    assert isinstance(listed, ApiKeyPage), listed
    keys.extend(listed.data)
    if listed.links.next_ is None:
        break
    page += 1
assert len({key.id for key in keys}) == 60

# The newest one is rotated; its successor is revoked.
rotated = rotate_api_key.sync(keys[0].id, client=client, body=RotateApiKeyBody())
assert isinstance(rotated, RotatedApiKeyMessage), rotated
assert rotated.data.key.startswith("sk_live_")
assert revoke_api_key.sync_detailed(rotated.data.id, client=client).status_code == 204

# Errors have types too.
gone = get_api_key.sync(rotated.data.id, client=client)
assert isinstance(gone, ErrorBody) and gone.error == "not_found", gone
invalid = create_api_key.sync(client=client, body=CreateApiKeyBody(name="", scopes=["nonsense"]))
assert isinstance(invalid, ValidationErrorBody), invalid
assert invalid.errors and set(invalid.errors.additional_properties) == {"name", "scopes.0"}, invalid

# Deciding about a key, and a seat that is taken and given back, each with the fewest members.
verified = verify_api_key.sync(client=root, body=VerifyApiKeyBody(key=first.data.key))
assert isinstance(verified, VerificationView) and verified.code == VerificationCode.VALID, verified
taken = consume_entitlement.sync(client=client, body=UseEntitlementBody(feature="posts"))
assert isinstance(taken, RecordedUsageView), taken
returned = release_entitlement.sync(client=client, body=UseEntitlementBody(feature="posts"))
assert isinstance(returned, RecordedUsageView), returned
assert returned.current_usage == taken.current_usage - 1

# An event, and what became of it.
webhook = create_webhook.sync(client=client, body=CreateWebhookBody(url=webhook_url, events=["post.*"]))
assert isinstance(webhook, CreatedWebhookMessage), webhook
event = create_event.sync(client=client, body=CreateEventBody(type_="post.created", data={"id": 7}))
assert isinstance(event, AcceptedEventItem), event
while True:
    deliveries = list_webhook_deliveries.sync(webhook.data.id, client=client, event_id=event.data.id)
    assert isinstance(deliveries, WebhookDeliveryPage), deliveries
    if deliveries.data[0].status == "success":
        break
    assert deliveries.data[0].status == "pending", deliveries
    time.sleep(0.05)
print("Python: a workspace, 60 keys, an event and its delivery")
