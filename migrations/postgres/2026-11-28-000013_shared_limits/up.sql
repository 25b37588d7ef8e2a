-- What was leased of the days of whole workspaces, where a plan bounds all keys of one together.
CREATE TABLE workspace_day_leases (
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    day          BIGINT NOT NULL,
    leased       BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day)
);
-- A new key begins where those stand that ended just before it.
CREATE INDEX api_keys_by_revocation ON api_keys (workspace_id, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_by_end ON api_keys (workspace_id, expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO schema_compatibility (migration, oldest_version)
VALUES ('2026-11-28-000013_shared_limits', '0.1.0');
