DELETE FROM schema_compatibility WHERE migration = '2026-11-29-000014_words_by_owner';
