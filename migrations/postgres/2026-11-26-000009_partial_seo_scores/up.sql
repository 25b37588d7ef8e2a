-- contract: a release that expects every score cannot read rows without one, so 0.2.0 is the oldest that may.
-- A score can be missing: real reports are not whole.
ALTER TABLE seo_reports
    ALTER COLUMN performance DROP NOT NULL,
    ALTER COLUMN accessibility DROP NOT NULL,
    ALTER COLUMN best_practices DROP NOT NULL,
    ALTER COLUMN seo DROP NOT NULL;
