DELETE FROM schema_compatibility WHERE migration = '2026-11-28-000013_shared_limits';
DROP TABLE workspace_day_leases;
DROP INDEX api_keys_by_revocation;
DROP INDEX api_keys_by_end;
ALTER TABLE api_keys DROP COLUMN chain_id;
