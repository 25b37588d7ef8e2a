-- What was leased of the days of whole workspaces, where a plan bounds all keys of one together.
CREATE TABLE workspace_day_leases (
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    day          INTEGER NOT NULL,
    leased       INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, day)
) STRICT;
-- The first of the keys that replaced each other up to this one: what they have used counts together. Set when a key replaces another.
ALTER TABLE api_keys ADD COLUMN chain_id INTEGER;
WITH RECURSIVE chain (id, first_id) AS (
    SELECT id, id FROM api_keys WHERE rotated_from_id IS NULL
    UNION ALL
    SELECT api_keys.id, chain.first_id FROM chain JOIN api_keys ON api_keys.rotated_from_id = chain.id
)
UPDATE api_keys SET chain_id = (SELECT first_id FROM chain WHERE chain.id = api_keys.id) WHERE rotated_from_id IS NOT NULL;
-- A new key begins where those stand that ended just before it.
CREATE INDEX api_keys_by_revocation ON api_keys (workspace_id, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_by_end ON api_keys (workspace_id, expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO schema_compatibility (migration, oldest_version)
VALUES ('2026-11-28-000013_shared_limits', '0.1.0');
