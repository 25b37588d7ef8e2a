DROP TABLE request_counts;
DROP TABLE pixel_counts;
DROP TABLE pixel_events;
DROP TABLE pixel_domains;
DROP TABLE seo_issues;
DROP TABLE seo_reports;
