-- Whose a key is in the systems of those who made it, what they keep with it, and since when it is disabled.
ALTER TABLE api_keys ADD COLUMN external_id TEXT COLLATE "C";
ALTER TABLE api_keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_keys ADD COLUMN disabled_at timestamptz;
CREATE INDEX api_keys_external_id ON api_keys (workspace_id, external_id, id) WHERE external_id IS NOT NULL;

ALTER TABLE workspaces ADD COLUMN external_id TEXT COLLATE "C";
CREATE UNIQUE INDEX workspaces_external_id ON workspaces (external_id) WHERE external_id IS NOT NULL AND deleted_at IS NULL;

-- An older program would let disabled keys in.
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-12-03-000018_external_ids', '0.2.0');
