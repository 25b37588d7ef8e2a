DELETE FROM schema_compatibility WHERE migration = '2026-12-04-000019_event_requests';
ALTER TABLE events DROP COLUMN request_id;
