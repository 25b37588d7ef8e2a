"""What the fuzzer must not do, and what no schema can say, each with its reason."""

import json
import os
import re
import uuid

import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoverageScenario

# The fuzzer's own key: whoever takes it away, or its rights, ends the test and not the server. Another number instead.
OWN_KEY = os.environ["GATEPOST_KEY_ID"]
NOBODYS_KEY = 999_999_999
# Where the operations are, and one record of each declared type, by what ids begin with.
BASE = os.environ["GATEPOST_BASE"]
RECORDS = json.loads(os.environ["GATEPOST_RECORDS"])
ENDS_A_KEY = {
    f"DELETE {BASE}/api-keys/{{id}}",
    f"PATCH {BASE}/api-keys/{{id}}",
    f"POST {BASE}/api-keys/{{id}}/rotate",
}
UNIQUE_NAMES = (f"{BASE}/brands", f"{BASE}/collections")
# What the core contract answers with 409 has, in contracts of few statuses, that of an input that breaks a rule; the code tells them apart.
STATE = {"CONFLICT", "INVALID_STATE", "IDEMPOTENCY_IN_PROGRESS"}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    operations = [operation for item in raw_schema["paths"].values() for operation in item.values()]
    if not any("409" in operation["responses"] for operation in operations):
        for operation in operations:
            operation["responses"]["409"] = operation["responses"].get("400", {"description": "Conflict"})


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 400:
        error = response.json().get("error")
        if isinstance(error, dict) and error.get("code") in STATE:
            response.status_code = 409


def with_records(value):
    """The same with records that there are."""
    if isinstance(value, dict):
        return {name: with_records(member) for name, member in value.items()}
    found = re.fullmatch(r"([a-z]+_)[0-9a-z]{16}", value) if isinstance(value, str) else None
    return RECORDS.get(found[1], value) if found else value


@schemathesis.hook
def filter_case(context, case):
    # HTTP lets everybody add headers; those that are not known are ignored.
    phase = case.meta.phase.data if case.meta else None
    scenario = getattr(phase, "scenario", None)
    if scenario == CoverageScenario.OBJECT_UNEXPECTED_PROPERTIES and phase.parameter_location == "header":
        return False
    # Forward auth answers every method alike, for proxies that pass on the method of the request that they ask about; a
    # document lists methods one by one.
    return not (scenario == CoverageScenario.UNSPECIFIED_HTTP_METHOD and case.operation.path == f"{BASE}/auth")


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.label in ENDS_A_KEY and str((case.path_parameters or {}).get("id")) == OWN_KEY:
        case.path_parameters["id"] = NOBODYS_KEY
    # Records that others refer to stay.
    if case.operation.method == "delete" and (case.path_parameters or {}).get("id") in RECORDS.values():
        case.path_parameters["id"] = case.path_parameters["id"].split("_")[0] + "_" + "0" * 16
    # The fuzzer takes "is required" for "may not be empty"; a key that is empty is one that nobody has.
    if case.operation.label == f"POST {BASE}/api-keys/verify" and isinstance(case.body, dict) and case.body.get("key") == "":
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
        # Which records there are, no schema says.
        body.update(with_records(body))
        # Some fields are unique, and what an address of email is, no pattern says.
        if isinstance(body.get("email"), str):
            body["email"] = uuid.uuid4().hex + "@example.com"
        if isinstance(body.get("name"), str) and case.operation.path.startswith(UNIQUE_NAMES):
            body["name"] = uuid.uuid4().hex
        # Slugs, external ids of workspaces and idempotency keys are unique.
        for member in ("slug", "external_id"):
            if isinstance(body.get(member), str):
                body[member] = uuid.uuid4().hex
        if isinstance(body.get("idempotency_key"), str):
            body["idempotency_key"] = uuid.uuid4().hex
        # The plans are the operator's; a key's is not above its workspace's.
        for member in ("tier", "rate_limit_tier"):
            if isinstance(body.get(member), str):
                body[member] = "enterprise"
        if isinstance(body.get("website"), str):
            body["website"] = "https://example.com/"
        # Which addresses are public, only the name service knows.
        if isinstance(body.get("url"), str):
            body["url"] = "https://example.com/" + uuid.uuid4().hex
        # A schema knows no time; this is in the future.
        if isinstance(body.get("expires_at"), str):
            body["expires_at"] = "2999-01-01T00:00:00Z"
        # How much of which feature: `null` is the same as leaving it out, which `dependentRequired` cannot say.
        if case.operation.label == f"POST {BASE}/api-keys/verify" and not body.get("feature"):
            body.pop("quantity", None)
            body.pop("idempotency_key", None)
        # What is counted by period is not given back, and what the platform counts nobody else does: that depends on the feature.
        counts = RECORDS and case.operation.path.startswith((f"{BASE}/entitlements/", f"{BASE}/api-keys/verify"))
        if (counts or case.operation.label == f"POST {BASE}/entitlements/release") and isinstance(body.get("feature"), str):
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
