DELETE FROM schema_compatibility WHERE migration = '2026-12-01-000016_record_purges';
DROP TABLE record_purges;
