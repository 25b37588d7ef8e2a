ALTER TABLE workspaces ALTER COLUMN settings TYPE JSONB USING settings::jsonb;
ALTER TABLE entitlement_usage ALTER COLUMN metadata TYPE JSONB USING metadata::jsonb;
ALTER TABLE seo_issues ALTER COLUMN details TYPE JSONB USING details::jsonb;
ALTER TABLE pixel_events ALTER COLUMN properties TYPE JSONB USING properties::jsonb;
