-- For SQLite, whose words were not apart by owner. Here the index of words is joined with that of owners.
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-11-29-000014_words_by_owner', '0.2.0');
