-- contract: a release that expects every score cannot read rows without one, so 0.2.0 is the oldest that may.
-- A score can be missing: real reports are not whole.
-- SQLite cannot take NOT NULL away from a column, so each is made anew.
ALTER TABLE seo_reports RENAME COLUMN performance TO old_performance;
ALTER TABLE seo_reports ADD COLUMN performance INTEGER;
ALTER TABLE seo_reports RENAME COLUMN accessibility TO old_accessibility;
ALTER TABLE seo_reports ADD COLUMN accessibility INTEGER;
ALTER TABLE seo_reports RENAME COLUMN best_practices TO old_best_practices;
ALTER TABLE seo_reports ADD COLUMN best_practices INTEGER;
ALTER TABLE seo_reports RENAME COLUMN seo TO old_seo;
ALTER TABLE seo_reports ADD COLUMN seo INTEGER;
UPDATE seo_reports SET performance = old_performance, accessibility = old_accessibility, best_practices = old_best_practices, seo = old_seo;
ALTER TABLE seo_reports DROP COLUMN old_performance;
ALTER TABLE seo_reports DROP COLUMN old_accessibility;
ALTER TABLE seo_reports DROP COLUMN old_best_practices;
ALTER TABLE seo_reports DROP COLUMN old_seo;
