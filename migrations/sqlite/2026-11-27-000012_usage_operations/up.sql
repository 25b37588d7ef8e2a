-- What is in use can be given back, or set. `quantity` is what the counter changed by, below zero where something was given back;
-- `requested` is the figure of the request where that differs.
ALTER TABLE entitlement_usage
    ADD COLUMN operation TEXT NOT NULL DEFAULT 'add' CHECK (operation IN ('add', 'release', 'set'));
ALTER TABLE entitlement_usage ADD COLUMN requested INTEGER;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-11-27-000012_usage_operations', '0.2.0');
