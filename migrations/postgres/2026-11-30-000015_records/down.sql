DELETE FROM schema_compatibility WHERE migration = '2026-11-30-000015_records';
DROP TABLE record_items;
DROP TABLE record_keys;
DROP TABLE records;
DROP TABLE resource_fields;
DROP TABLE resource_types;
