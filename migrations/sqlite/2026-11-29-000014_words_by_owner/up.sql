-- contract: a file of SQLite is served by one process, which has ended; 0.2.0 is the oldest that may come back.
-- The words that are searched for, under whom they belong to: looking for some reads nobody else's. A workspace is its own owner. The
-- texts stay where they are.
CREATE TABLE workspaces_search_words (
    owner INTEGER NOT NULL,
    word  TEXT NOT NULL,
    id    INTEGER NOT NULL,
    PRIMARY KEY (owner, word, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX workspaces_search_words_id ON workspaces_search_words (id);
CREATE TABLE api_keys_search_words (
    owner INTEGER NOT NULL,
    word  TEXT NOT NULL,
    id    INTEGER NOT NULL,
    PRIMARY KEY (owner, word, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_search_words_id ON api_keys_search_words (id);
CREATE TABLE webhook_endpoints_search_words (
    owner INTEGER NOT NULL,
    word  TEXT NOT NULL,
    id    INTEGER NOT NULL,
    PRIMARY KEY (owner, word, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_endpoints_search_words_id ON webhook_endpoints_search_words (id);
-- The platform looks through all of them.
CREATE INDEX workspaces_search_words_word ON workspaces_search_words (word);

CREATE VIRTUAL TABLE workspaces_search_vocabulary USING fts5vocab (workspaces_search, 'instance');
INSERT OR IGNORE INTO workspaces_search_words (owner, word, id)
SELECT workspaces.id, known.term, workspaces.id FROM workspaces_search_vocabulary known JOIN workspaces ON workspaces.id = known.doc
WHERE known.col <> 'owner' AND workspaces.deleted_at IS NULL;
DROP TABLE workspaces_search_vocabulary;
DROP TRIGGER workspaces_search_insert;
DROP TRIGGER workspaces_search_delete;
DROP TRIGGER workspaces_search_update;
DROP TABLE workspaces_search;
CREATE VIRTUAL TABLE api_keys_search_vocabulary USING fts5vocab (api_keys_search, 'instance');
INSERT OR IGNORE INTO api_keys_search_words (owner, word, id)
SELECT api_keys.workspace_id, known.term, api_keys.id FROM api_keys_search_vocabulary known JOIN api_keys ON api_keys.id = known.doc
WHERE known.col <> 'owner';
DROP TABLE api_keys_search_vocabulary;
DROP TRIGGER api_keys_search_insert;
DROP TRIGGER api_keys_search_delete;
DROP TRIGGER api_keys_search_update;
DROP TABLE api_keys_search;
CREATE VIRTUAL TABLE webhook_endpoints_search_vocabulary USING fts5vocab (webhook_endpoints_search, 'instance');
INSERT OR IGNORE INTO webhook_endpoints_search_words (owner, word, id)
SELECT webhook_endpoints.workspace_id, known.term, webhook_endpoints.id FROM webhook_endpoints_search_vocabulary known JOIN webhook_endpoints ON webhook_endpoints.id = known.doc
WHERE known.col <> 'owner' AND webhook_endpoints.deleted_at IS NULL;
DROP TABLE webhook_endpoints_search_vocabulary;
DROP TRIGGER webhook_endpoints_search_insert;
DROP TRIGGER webhook_endpoints_search_delete;
DROP TRIGGER webhook_endpoints_search_update;
DROP TABLE webhook_endpoints_search;
INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-11-29-000014_words_by_owner', '0.2.0');
