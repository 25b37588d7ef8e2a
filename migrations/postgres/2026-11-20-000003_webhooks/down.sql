DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
DROP TABLE events;
CREATE TABLE events (
    id           TEXT COLLATE "C" PRIMARY KEY,
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    event_type   TEXT COLLATE "C" NOT NULL,
    data         JSONB NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE INDEX events_workspace ON events (workspace_id, environment, created_at);
