-- What was found out about a page. The indexes serve its list, newest or oldest first, as a whole and by page.
CREATE TABLE seo_reports (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id   INTEGER NOT NULL REFERENCES workspaces (id),
    environment    TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    url            TEXT NOT NULL,
    performance    INTEGER NOT NULL,
    accessibility  INTEGER NOT NULL,
    best_practices INTEGER NOT NULL,
    seo            INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    warnings       INTEGER NOT NULL,
    infos          INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX seo_reports_workspace ON seo_reports (workspace_id, environment, created_at, id);
CREATE INDEX seo_reports_url ON seo_reports (workspace_id, environment, url, created_at, id);
CREATE INDEX seo_reports_created_at ON seo_reports (created_at);

-- The issues of a report, each by itself; `severity` is a rank: 1 info, 2 warning, 3 error.
CREATE TABLE seo_issues (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    report_id    INTEGER NOT NULL REFERENCES seo_reports (id),
    url          TEXT NOT NULL,
    issue_type   TEXT NOT NULL,
    severity     INTEGER NOT NULL,
    details      TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX seo_issues_workspace ON seo_issues (workspace_id, environment, created_at, id);
CREATE INDEX seo_issues_url ON seo_issues (workspace_id, environment, url, created_at, id);
CREATE INDEX seo_issues_report ON seo_issues (report_id);
CREATE INDEX seo_issues_created_at ON seo_issues (created_at);

-- Whose pages are those of a domain; `*.example.com` are all below it. A copy of what workspaces say in their settings, which
-- makes sure that a domain has one owner.
CREATE TABLE pixel_domains (
    domain       TEXT PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id)
) STRICT;
CREATE INDEX pixel_domains_workspace ON pixel_domains (workspace_id);

-- What happened on pages. No full address: `network` is a /24, or of IPv6 a /48.
CREATE TABLE pixel_events (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id INTEGER NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    event        TEXT NOT NULL,
    url          TEXT NOT NULL,
    referrer     TEXT,
    user_agent   TEXT,
    network      TEXT,
    properties   TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX pixel_events_created_at ON pixel_events (created_at);

-- The same, added up by quarter hours since 1970 (`slot`), in the transaction that keeps them: once by `event`, once by the
-- `url` of the page, and once by the `referrer` (`dimension`; what it is in each is the `value`).
CREATE TABLE pixel_counts (
    workspace_id INTEGER NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    dimension    TEXT NOT NULL CHECK (dimension IN ('event', 'url', 'referrer')),
    slot         INTEGER NOT NULL,
    event        TEXT NOT NULL,
    value        TEXT NOT NULL,
    count        INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, environment, dimension, slot, event, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX pixel_counts_slot ON pixel_counts (slot);

-- Requests of keys by quarter hour and class of status: 2 for 1xx and 2xx, 3, 4, 5. What `api_key_usage` has by day.
CREATE TABLE request_counts (
    workspace_id INTEGER NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    slot         INTEGER NOT NULL,
    api_key_id   INTEGER NOT NULL,
    status_class INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, environment, slot, api_key_id, status_class)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_counts_slot ON request_counts (slot);
