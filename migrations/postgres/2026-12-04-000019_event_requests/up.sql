-- Which request has caused an event; for whoever looks for what became of one.
ALTER TABLE events ADD COLUMN request_id TEXT;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-12-04-000019_event_requests', '0.2.0');
