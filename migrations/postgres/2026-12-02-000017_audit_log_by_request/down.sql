DELETE FROM schema_compatibility WHERE migration = '2026-12-02-000017_audit_log_by_request';
DROP INDEX audit_log_request;
