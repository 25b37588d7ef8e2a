DELETE FROM seo_issues WHERE report_id IN (SELECT id FROM seo_reports WHERE performance + accessibility + best_practices + seo IS NULL);
DELETE FROM seo_reports WHERE performance + accessibility + best_practices + seo IS NULL;
ALTER TABLE seo_reports
    ALTER COLUMN performance SET NOT NULL,
    ALTER COLUMN accessibility SET NOT NULL,
    ALTER COLUMN best_practices SET NOT NULL,
    ALTER COLUMN seo SET NOT NULL;
