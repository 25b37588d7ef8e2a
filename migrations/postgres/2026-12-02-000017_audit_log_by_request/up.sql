-- What one request has changed.
CREATE INDEX audit_log_request ON audit_log (workspace_id, environment, request_id) WHERE request_id IS NOT NULL;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-12-02-000017_audit_log_by_request', '0.2.0');
