-- Records whose parent was deleted, of which there can be any number: nobody sees them any more, and they are deleted in batches.
CREATE TABLE record_purges (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    type_id INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    parent_id TEXT NOT NULL
) STRICT;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-12-01-000016_record_purges', '0.2.0');
