-- A deleted endpoint needs no secret any more; from now on deleting one erases it.
UPDATE webhook_endpoints SET secret = '', headers = '""'::jsonb, previous_secrets = '[]'::jsonb WHERE deleted_at IS NOT NULL;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-11-27-000011_erased_secrets', '0.1.0');
