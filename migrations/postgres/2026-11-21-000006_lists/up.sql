-- contract: the indices are made anew at once, with more columns.
-- What lists are read from: page by page, each row found in its place.
CREATE INDEX workspaces_created ON workspaces (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_created ON api_keys (workspace_id, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX events_workspace ON events (workspace_id, environment, created_at, sequence);
DROP INDEX audit_log_workspace;
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, environment, created_at, id);
DROP INDEX webhook_deliveries_endpoint;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at, id);

-- Like other texts that are sorted.
ALTER TABLE webhook_endpoints ALTER COLUMN url TYPE TEXT COLLATE "C";

-- The words that are searched for: runs of letters and digits, whatever their case. Not the parser of full-text search, which
-- takes host names and addresses for one word each. By the database's own collation on both sides, whatever the column's.
CREATE FUNCTION gatepost_words(text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_to_tsvector(array_remove(regexp_split_to_array(lower($1 COLLATE "default"), '[^[:alnum:]]+'), ''));
-- Every word, or the beginning of one.
CREATE FUNCTION gatepost_words_query(text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT string_agg(quote_literal(word) || ':*', ' & ')::tsquery
        FROM unnest(array_remove(regexp_split_to_array(lower($1 COLLATE "default"), '[^[:alnum:]]+'), '')) word
    );
CREATE INDEX workspaces_search ON workspaces USING gin (gatepost_words(name || ' ' || slug));
CREATE INDEX api_keys_search ON api_keys USING gin (gatepost_words(name));
CREATE INDEX webhook_endpoints_search ON webhook_endpoints
    USING gin (gatepost_words(url || ' ' || coalesce(description, '')));

-- What all processes on this database must know and nobody else: the key of list cursors.
CREATE TABLE server_secrets (
    name       TEXT COLLATE "C" PRIMARY KEY,
    value      BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
