"""What the fuzzer must not do, and what no schema can say, each with its reason."""

import os
import uuid

import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoverageScenario

# The fuzzer's own key: whoever takes it away, or its rights, ends the test and not the server. Another number instead.
OWN_KEY = os.environ["GATEPOST_KEY_ID"]
NOBODYS_KEY = 999_999_999
ENDS_A_KEY = {
    "DELETE /api/v1/api-keys/{id}",
    "PATCH /api/v1/api-keys/{id}",
    "POST /api/v1/api-keys/{id}/rotate",
}


@schemathesis.hook
def filter_case(context, case):
    # HTTP lets everybody add headers; those that are not known are ignored.
    phase = case.meta.phase.data if case.meta else None
    scenario = getattr(phase, "scenario", None)
    if scenario == CoverageScenario.OBJECT_UNEXPECTED_PROPERTIES and phase.parameter_location == "header":
        return False
    # Forward auth answers every method alike, for proxies that pass on the method of the request that they ask about; a
    # document lists methods one by one.
    return not (scenario == CoverageScenario.UNSPECIFIED_HTTP_METHOD and case.operation.path == "/api/v1/auth")


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.label in ENDS_A_KEY and str((case.path_parameters or {}).get("id")) == OWN_KEY:
        case.path_parameters["id"] = NOBODYS_KEY
    # The fuzzer takes "is required" for "may not be empty"; a key that is empty is one that nobody has.
    if case.operation.label == "POST /api/v1/api-keys/verify" and isinstance(case.body, dict) and case.body.get("key") == "":
        case.body["key"] = 0
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    headers, query, body = case.headers, case.query or {}, case.body
    # A key belongs to one request: the same one with another body is refused.
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # What the resource is known by is in no schema.
    if "If-Match" in headers:
        headers["If-Match"] = "*"
    # Any number may be a workspace; this one there is.
    if "X-Workspace-ID" in headers:
        headers["X-Workspace-ID"] = "1"
    # With `fields`, members that the schema requires are left out on purpose.
    query.pop("fields", None)
    # A cursor is made by the server, for one list.
    query.pop("cursor", None)
    # Not every text that begins like an address is one; which, no pattern says.
    if isinstance(query.get("url"), str):
        query["url"] = "https://example.com/page"
    if "/analytics/" in case.operation.path:
        # The second is not before the first, nor too far from it; pages and referrers are counted each by themselves.
        query.pop("from", None)
        query.pop("to", None)
        # What a host is, no pattern says.
        if isinstance(query.get("referrer"), str):
            query["referrer"] = "google.com"
        if query.get("url") or query.get("group_by") in ("url", "referrer"):
            query.pop("referrer", None)
        if query.get("group_by") == "referrer":
            query.pop("url", None)
    if isinstance(body, dict):
        # Slugs and idempotency keys are unique.
        if isinstance(body.get("slug"), str):
            body["slug"] = uuid.uuid4().hex
        if isinstance(body.get("idempotency_key"), str):
            body["idempotency_key"] = uuid.uuid4().hex
        # The plans are the operator's; a key's is not above its workspace's.
        for member in ("tier", "rate_limit_tier"):
            if isinstance(body.get(member), str):
                body[member] = "enterprise"
        # Which addresses are public, only the name service knows.
        if isinstance(body.get("url"), str):
            body["url"] = "https://example.com/" + uuid.uuid4().hex
        # A schema knows no time; this is in the future.
        if isinstance(body.get("expires_at"), str):
            body["expires_at"] = "2999-01-01T00:00:00Z"
        # How much of which feature: `null` is the same as leaving it out, which `dependentRequired` cannot say.
        if case.operation.label == "POST /api/v1/api-keys/verify" and not body.get("feature"):
            body.pop("quantity", None)
            body.pop("idempotency_key", None)
        # What is counted by period is not given back, which depends on the feature.
        if case.operation.label == "POST /api/v1/entitlements/release" and isinstance(body.get("feature"), str):
            body["feature"] = "posts"
        # Networks, and addresses of either version, have no format in JSON Schema, and some names of headers are the server's own.
        if body.get("allowed_ips"):
            body["allowed_ips"] = ["192.0.2.0/24", "2001:db8::1"]
        # Ending the older secrets at once leaves them no grace.
        if body.get("expire_previous"):
            body.pop("grace_period_hours", None)
        if body.get("headers"):
            body["headers"] = {"X-Team": "orders"}
        if isinstance(body.get("client_ip"), str):
            body["client_ip"] = "192.0.2.7"
        # Null characters, which PostgreSQL cannot store, somewhere in it; and what no time zone is.
        if isinstance(body.get("metadata"), dict):
            body["metadata"] = {"order": 1234}
        if isinstance(body.get("properties"), dict):
            body["properties"] = {"title": "Page Title"}
        for issue in body.get("issues") or []:
            for member in set(issue) - {"type", "severity"}:
                issue[member] = "img.hero-image"
        if isinstance(body.get("settings"), dict):
            body["settings"] = {"locale": "en_GB"}
