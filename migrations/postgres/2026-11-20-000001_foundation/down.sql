DROP TABLE idempotency_records;
DROP TABLE changes;
DROP TABLE events;
DROP TABLE audit_log;
DROP TABLE api_keys;
DROP TABLE workspaces;
