-- contract: no release wrote the events that are dropped; they were a sketch of this table.
-- Events, with the payload byte for byte as it is signed and sent; `sequence` is the order in which they were stored.
DROP TABLE events;
CREATE TABLE events (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    id           TEXT NOT NULL,
    event_type   TEXT NOT NULL,
    payload      TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_id ON events (workspace_id, environment, id);
CREATE INDEX events_created_at ON events (created_at);

-- Where a tenant wants to hear of its events. Secrets and headers may be sealed.
CREATE TABLE webhook_endpoints (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id         INTEGER NOT NULL REFERENCES workspaces (id),
    environment          TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    url                  TEXT NOT NULL,
    description          TEXT,
    events               TEXT NOT NULL,
    headers              TEXT NOT NULL,
    secret               TEXT NOT NULL,
    previous_secrets     TEXT NOT NULL,
    is_active            INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    disabled_reason      TEXT,
    success_count        INTEGER NOT NULL,
    failure_count        INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    last_delivery_at     INTEGER,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    deleted_at           INTEGER
) STRICT;
CREATE INDEX webhook_endpoints_workspace ON webhook_endpoints (workspace_id, environment, id);

-- One event on its way to one endpoint. `due_at` is when somebody may take it: its next attempt, or the end of the lease
-- of whoever has it (`claim_id`); null while its endpoint is not active, and once it has ended.
CREATE TABLE webhook_deliveries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id   INTEGER NOT NULL REFERENCES workspaces (id),
    environment    TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    endpoint_id    INTEGER NOT NULL REFERENCES webhook_endpoints (id),
    event_sequence INTEGER NOT NULL REFERENCES events (sequence),
    event_id       TEXT NOT NULL,
    event_type     TEXT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('pending', 'retrying', 'success', 'failed')),
    attempts       INTEGER NOT NULL,
    manual_retries INTEGER NOT NULL,
    due_at         INTEGER,
    claim_id       INTEGER,
    response_code  INTEGER,
    error          TEXT,
    delivered_at   INTEGER,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (updated_at) WHERE due_at IS NULL;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_sequence);

-- What each attempt came to.
CREATE TABLE webhook_attempts (
    delivery_id   INTEGER NOT NULL REFERENCES webhook_deliveries (id),
    number        INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    response_code INTEGER,
    response_body TEXT,
    error         TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;
