DELETE FROM schema_compatibility WHERE migration = '2026-11-27-000012_usage_operations';
ALTER TABLE entitlement_usage DROP COLUMN operation, DROP COLUMN requested;
