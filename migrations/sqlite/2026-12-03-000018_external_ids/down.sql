DELETE FROM schema_compatibility WHERE migration = '2026-12-03-000018_external_ids';
DROP INDEX workspaces_external_id;
ALTER TABLE workspaces DROP COLUMN external_id;
DROP INDEX api_keys_external_id;
ALTER TABLE api_keys DROP COLUMN disabled_at;
ALTER TABLE api_keys DROP COLUMN metadata;
ALTER TABLE api_keys DROP COLUMN external_id;
