-- Records of declared resources: what each holds as JSON, and columns of two kinds for what they are filtered and sorted by. Which field has
-- which column, resource_fields says; neither a field's number nor its column is ever another's. What is unique is a key, each item of
-- a list and each word that is searched (field 0) an item. All that one index filters and orders, it answers alone.
CREATE TABLE resource_types (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    declaration TEXT NOT NULL
) STRICT;
CREATE TABLE resource_fields (
    type_id INTEGER NOT NULL REFERENCES resource_types (id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    place TEXT,
    PRIMARY KEY (type_id, number),
    UNIQUE (type_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    type_id INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    public_id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    t1 TEXT, t2 TEXT, t3 TEXT, t4 TEXT, t5 TEXT, t6 TEXT, t7 TEXT, t8 TEXT, n1 INTEGER, n2 INTEGER, n3 INTEGER, n4 INTEGER, n5 INTEGER, n6 INTEGER, n7 INTEGER, n8 INTEGER,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX records_list ON records (type_id, workspace_id, environment, id);
CREATE INDEX records_t1 ON records (type_id, workspace_id, environment, t1, id) WHERE t1 IS NOT NULL;
CREATE INDEX records_t2 ON records (type_id, workspace_id, environment, t2, id) WHERE t2 IS NOT NULL;
CREATE INDEX records_t3 ON records (type_id, workspace_id, environment, t3, id) WHERE t3 IS NOT NULL;
CREATE INDEX records_t4 ON records (type_id, workspace_id, environment, t4, id) WHERE t4 IS NOT NULL;
CREATE INDEX records_t5 ON records (type_id, workspace_id, environment, t5, id) WHERE t5 IS NOT NULL;
CREATE INDEX records_t6 ON records (type_id, workspace_id, environment, t6, id) WHERE t6 IS NOT NULL;
CREATE INDEX records_t7 ON records (type_id, workspace_id, environment, t7, id) WHERE t7 IS NOT NULL;
CREATE INDEX records_t8 ON records (type_id, workspace_id, environment, t8, id) WHERE t8 IS NOT NULL;
CREATE INDEX records_n1 ON records (type_id, workspace_id, environment, n1, id) WHERE n1 IS NOT NULL;
CREATE INDEX records_n2 ON records (type_id, workspace_id, environment, n2, id) WHERE n2 IS NOT NULL;
CREATE INDEX records_n3 ON records (type_id, workspace_id, environment, n3, id) WHERE n3 IS NOT NULL;
CREATE INDEX records_n4 ON records (type_id, workspace_id, environment, n4, id) WHERE n4 IS NOT NULL;
CREATE INDEX records_n5 ON records (type_id, workspace_id, environment, n5, id) WHERE n5 IS NOT NULL;
CREATE INDEX records_n6 ON records (type_id, workspace_id, environment, n6, id) WHERE n6 IS NOT NULL;
CREATE INDEX records_n7 ON records (type_id, workspace_id, environment, n7, id) WHERE n7 IS NOT NULL;
CREATE INDEX records_n8 ON records (type_id, workspace_id, environment, n8, id) WHERE n8 IS NOT NULL;
CREATE TABLE record_keys (
    type_id INTEGER NOT NULL,
    field_number INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment TEXT NOT NULL,
    value TEXT NOT NULL,
    record_id INTEGER NOT NULL,
    PRIMARY KEY (type_id, field_number, workspace_id, environment, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE record_items (
    type_id INTEGER NOT NULL,
    field_number INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment TEXT NOT NULL,
    value TEXT NOT NULL,
    record_id INTEGER NOT NULL,
    PRIMARY KEY (type_id, field_number, workspace_id, environment, value, record_id)
) STRICT, WITHOUT ROWID;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-11-30-000015_records', '0.2.0');
