-- The oldest version of Gatepost that may still use a database with a migration. Each migration from here on adds its own row: the
-- version that it came with, unless older ones do not mind it.
CREATE TABLE schema_compatibility (
    migration TEXT PRIMARY KEY NOT NULL,
    oldest_version TEXT NOT NULL
);
INSERT INTO schema_compatibility (migration, oldest_version) VALUES
    ('2026-11-20-000001_foundation', '0.1.0'),
    ('2026-11-20-000002_usage', '0.1.0'),
    ('2026-11-20-000003_webhooks', '0.1.0'),
    ('2026-11-20-000004_entitlements', '0.1.0'),
    ('2026-11-21-000005_log_references', '0.1.0'),
    ('2026-11-21-000006_lists', '0.1.0'),
    ('2026-11-25-000007_seo_pixel_analytics', '0.1.0'),
    ('2026-11-26-000008_json_as_sent', '0.2.0'),
    ('2026-11-26-000009_partial_seo_scores', '0.2.0'),
    ('2026-11-27-000010_compatibility', '0.1.0');
