DELETE FROM schema_compatibility WHERE migration = '2026-11-27-000011_erased_secrets';
