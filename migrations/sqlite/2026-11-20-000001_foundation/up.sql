-- Times are microseconds since 1970 UTC; JSON is text; digests are 32 bytes.
CREATE TABLE workspaces (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name       TEXT NOT NULL,
    slug       TEXT NOT NULL,
    tier       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX workspaces_slug ON workspaces (slug) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id         INTEGER NOT NULL REFERENCES workspaces (id),
    environment          TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    name                 TEXT NOT NULL,
    prefix               TEXT NOT NULL,
    digest               BLOB NOT NULL CHECK (length(digest) = 32),
    scopes               TEXT NOT NULL,
    rate_limit_tier      TEXT,
    allowed_ips          TEXT NOT NULL,
    expires_at           INTEGER,
    last_used_at         INTEGER,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    revoked_at           INTEGER,
    rotated_from_id      INTEGER REFERENCES api_keys (id),
    rotated_to_id        INTEGER REFERENCES api_keys (id),
    grace_period_ends_at INTEGER
) STRICT;
CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id, id);

CREATE TABLE audit_log (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id       INTEGER NOT NULL REFERENCES workspaces (id),
    environment        TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    action             TEXT NOT NULL,
    actor_type         TEXT NOT NULL,
    actor_id           INTEGER,
    actor_workspace_id INTEGER,
    target_type        TEXT NOT NULL,
    target_id          INTEGER NOT NULL,
    request_id         TEXT,
    ip_address         TEXT,
    details            TEXT NOT NULL,
    created_at         INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, environment, id);

-- What happened, for the webhooks; written in the transaction of the change itself.
CREATE TABLE events (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    event_type   TEXT NOT NULL,
    data         TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX events_workspace ON events (workspace_id, environment, created_at);

-- What other processes have to forget; ids grow in the order of commits.
CREATE TABLE changes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_id   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency_records (
    api_key_id      INTEGER NOT NULL REFERENCES api_keys (id),
    idempotency_key TEXT NOT NULL,
    workspace_id    INTEGER NOT NULL REFERENCES workspaces (id),
    environment     TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    fingerprint     BLOB NOT NULL CHECK (length(fingerprint) = 32),
    status          INTEGER NOT NULL,
    sealed          INTEGER NOT NULL,
    content_type    TEXT NOT NULL,
    body            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (api_key_id, idempotency_key)
) STRICT;
CREATE INDEX idempotency_records_expires_at ON idempotency_records (expires_at);
