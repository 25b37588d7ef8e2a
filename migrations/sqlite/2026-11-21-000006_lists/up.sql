-- contract: the indices are made anew at once, with more columns.
-- What lists are read from: page by page, each row found in its place.
CREATE INDEX workspaces_created ON workspaces (created_at, id) WHERE deleted_at IS NULL;
-- With the column of its condition, so that it covers the query.
CREATE INDEX api_keys_created ON api_keys (workspace_id, created_at, id, revoked_at) WHERE revoked_at IS NULL;
CREATE INDEX events_workspace ON events (workspace_id, environment, created_at, sequence);
DROP INDEX audit_log_workspace;
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, environment, created_at, id);
DROP INDEX webhook_deliveries_endpoint;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at, id);

-- The words that are searched for, and whose they are. The texts stay where they are; triggers keep the words up to date.
CREATE VIRTUAL TABLE workspaces_search USING fts5 (
    name, slug, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);
CREATE VIRTUAL TABLE api_keys_search USING fts5 (
    owner, name, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);
CREATE VIRTUAL TABLE webhook_endpoints_search USING fts5 (
    owner, url, description, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO workspaces_search (rowid, name, slug) SELECT id, name, slug FROM workspaces;
INSERT INTO api_keys_search (rowid, owner, name) SELECT id, 'w' || workspace_id, name FROM api_keys;
INSERT INTO webhook_endpoints_search (rowid, owner, url, description) SELECT id, 'w' || workspace_id, url, description FROM webhook_endpoints;

CREATE TRIGGER workspaces_search_insert AFTER INSERT ON workspaces BEGIN
    INSERT INTO workspaces_search (rowid, name, slug) VALUES (new.id, new.name, new.slug);
END;
CREATE TRIGGER workspaces_search_delete AFTER DELETE ON workspaces BEGIN
    DELETE FROM workspaces_search WHERE rowid = old.id;
END;
CREATE TRIGGER workspaces_search_update AFTER UPDATE OF name, slug ON workspaces BEGIN
    DELETE FROM workspaces_search WHERE rowid = old.id;
    INSERT INTO workspaces_search (rowid, name, slug) VALUES (new.id, new.name, new.slug);
END;
CREATE TRIGGER api_keys_search_insert AFTER INSERT ON api_keys BEGIN
    INSERT INTO api_keys_search (rowid, owner, name) VALUES (new.id, 'w' || new.workspace_id, new.name);
END;
CREATE TRIGGER api_keys_search_delete AFTER DELETE ON api_keys BEGIN
    DELETE FROM api_keys_search WHERE rowid = old.id;
END;
CREATE TRIGGER api_keys_search_update AFTER UPDATE OF name ON api_keys BEGIN
    DELETE FROM api_keys_search WHERE rowid = old.id;
    INSERT INTO api_keys_search (rowid, owner, name) VALUES (new.id, 'w' || new.workspace_id, new.name);
END;
CREATE TRIGGER webhook_endpoints_search_insert AFTER INSERT ON webhook_endpoints BEGIN
    INSERT INTO webhook_endpoints_search (rowid, owner, url, description) VALUES (new.id, 'w' || new.workspace_id, new.url, new.description);
END;
CREATE TRIGGER webhook_endpoints_search_delete AFTER DELETE ON webhook_endpoints BEGIN
    DELETE FROM webhook_endpoints_search WHERE rowid = old.id;
END;
CREATE TRIGGER webhook_endpoints_search_update AFTER UPDATE OF url, description ON webhook_endpoints BEGIN
    DELETE FROM webhook_endpoints_search WHERE rowid = old.id;
    INSERT INTO webhook_endpoints_search (rowid, owner, url, description) VALUES (new.id, 'w' || new.workspace_id, new.url, new.description);
END;

-- What all processes on this database must know and nobody else: the key of list cursors.
CREATE TABLE server_secrets (
    name       TEXT PRIMARY KEY NOT NULL,
    value      BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
