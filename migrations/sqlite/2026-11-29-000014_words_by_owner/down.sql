DELETE FROM schema_compatibility WHERE migration = '2026-11-29-000014_words_by_owner';
DROP TABLE workspaces_search_words;
DROP TABLE api_keys_search_words;
DROP TABLE webhook_endpoints_search_words;
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
INSERT INTO webhook_endpoints_search (rowid, owner, url, description)
SELECT id, 'w' || workspace_id, url, description FROM webhook_endpoints;
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
    INSERT INTO webhook_endpoints_search (rowid, owner, url, description)
    VALUES (new.id, 'w' || new.workspace_id, new.url, new.description);
END;
CREATE TRIGGER webhook_endpoints_search_delete AFTER DELETE ON webhook_endpoints BEGIN
    DELETE FROM webhook_endpoints_search WHERE rowid = old.id;
END;
CREATE TRIGGER webhook_endpoints_search_update AFTER UPDATE OF url, description ON webhook_endpoints BEGIN
    DELETE FROM webhook_endpoints_search WHERE rowid = old.id;
    INSERT INTO webhook_endpoints_search (rowid, owner, url, description)
    VALUES (new.id, 'w' || new.workspace_id, new.url, new.description);
END;
