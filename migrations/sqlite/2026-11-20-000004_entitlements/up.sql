-- How much of a feature is used in a period, which is known by its first instant.
CREATE TABLE entitlement_counters (
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    feature      TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    used         INTEGER NOT NULL CHECK (used >= 0),
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, environment, feature, period_start)
) STRICT;

-- Every use, and every refusal that has an idempotency key. `used` is the count after it, `limit_value` what was allowed then
-- (null: no limit), `reason` why it was refused.
CREATE TABLE entitlement_usage (
    id              INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id    INTEGER NOT NULL REFERENCES workspaces (id),
    environment     TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    feature         TEXT NOT NULL,
    quantity        INTEGER NOT NULL,
    period_start    INTEGER NOT NULL,
    reset_at        INTEGER,
    used            INTEGER NOT NULL,
    limit_value     INTEGER,
    soft            INTEGER NOT NULL CHECK (soft IN (0, 1)),
    plan            TEXT NOT NULL,
    reason          TEXT,
    metadata        TEXT,
    idempotency_key TEXT,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entitlement_usage_idempotency ON entitlement_usage (workspace_id, environment, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX entitlement_usage_created_at ON entitlement_usage (created_at);

-- Which thresholds of a period were told of.
CREATE TABLE entitlement_alerts (
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    feature      TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    threshold    INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, environment, feature, period_start, threshold)
) STRICT;
