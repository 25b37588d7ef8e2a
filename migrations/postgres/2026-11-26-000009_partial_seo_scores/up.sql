-- A score can be missing: real reports are not whole.
ALTER TABLE seo_reports
    ALTER COLUMN performance DROP NOT NULL,
    ALTER COLUMN accessibility DROP NOT NULL,
    ALTER COLUMN best_practices DROP NOT NULL,
    ALTER COLUMN seo DROP NOT NULL;
