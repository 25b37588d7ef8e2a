-- Requests of a key by UTC day (days since 1970) and class of status.
CREATE TABLE api_key_usage (
    api_key_id   BIGINT NOT NULL REFERENCES api_keys (id),
    day          BIGINT NOT NULL,
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    successes    BIGINT NOT NULL,
    redirects    BIGINT NOT NULL,
    refusals     BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    PRIMARY KEY (api_key_id, day)
);

-- How much of a key's daily quota was leased to processes.
CREATE TABLE api_key_day_leases (
    api_key_id BIGINT NOT NULL REFERENCES api_keys (id),
    day        BIGINT NOT NULL,
    leased     BIGINT NOT NULL,
    PRIMARY KEY (api_key_id, day)
);
