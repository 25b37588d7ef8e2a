-- What tenants send is kept as the text that it came as: JSONB rounds no number, but sorts members, drops what is there twice
-- and refuses some texts.
ALTER TABLE workspaces ALTER COLUMN settings TYPE TEXT USING settings::text;
ALTER TABLE entitlement_usage ALTER COLUMN metadata TYPE TEXT USING metadata::text;
ALTER TABLE seo_issues ALTER COLUMN details TYPE TEXT USING details::text;
ALTER TABLE pixel_events ALTER COLUMN properties TYPE TEXT USING properties::text;
