-- Requests of a key by UTC day (days since 1970) and class of status.
CREATE TABLE api_key_usage (
    api_key_id   INTEGER NOT NULL REFERENCES api_keys (id),
    day          INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    successes    INTEGER NOT NULL,
    redirects    INTEGER NOT NULL,
    refusals     INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    PRIMARY KEY (api_key_id, day)
) STRICT;

-- How much of a key's daily quota was leased to processes.
CREATE TABLE api_key_day_leases (
    api_key_id INTEGER NOT NULL REFERENCES api_keys (id),
    day        INTEGER NOT NULL,
    leased     INTEGER NOT NULL,
    PRIMARY KEY (api_key_id, day)
) STRICT;
