-- People who can sign in, where they belong, and what proves who they are. Of secrets only digests and hashes are kept;
-- the secret of an authenticator app is sealed.
CREATE TABLE members (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    email              TEXT NOT NULL,
    -- The address in lower case, by which an account is found.
    email_folded       TEXT NOT NULL,
    name               TEXT NOT NULL,
    password_hash      TEXT NOT NULL,
    authenticator      TEXT,
    -- The step of the clock whose code was used last.
    authenticator_step INTEGER,
    second_factor_at   INTEGER,
    last_seen_at       INTEGER,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    disabled_at        INTEGER
) STRICT;
CREATE UNIQUE INDEX members_email ON members (email_folded);

CREATE TABLE memberships (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    member_id    INTEGER NOT NULL REFERENCES members (id),
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX memberships_member ON memberships (member_id, workspace_id);
CREATE INDEX memberships_workspace ON memberships (workspace_id, id);

CREATE TABLE recovery_codes (
    member_id INTEGER NOT NULL REFERENCES members (id),
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (member_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    email        TEXT,
    email_folded TEXT,
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    invited_by   INTEGER REFERENCES members (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    accepted_at  INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX invitations_digest ON invitations (digest);
CREATE INDEX invitations_workspace ON invitations (workspace_id, id);

-- A member has at most one link to another password.
CREATE TABLE password_resets (
    member_id  INTEGER PRIMARY KEY NOT NULL REFERENCES members (id),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX password_resets_digest ON password_resets (digest);

-- Sessions that have not ended.
CREATE TABLE sessions (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    digest               BLOB NOT NULL CHECK (length(digest) = 32),
    member_id            INTEGER NOT NULL REFERENCES members (id),
    workspace_id         INTEGER NOT NULL REFERENCES workspaces (id),
    created_at           INTEGER NOT NULL,
    last_used_at         INTEGER NOT NULL,
    authenticated_at     INTEGER NOT NULL,
    awaits_second_factor INTEGER NOT NULL CHECK (awaits_second_factor IN (0, 1)),
    ip_address           TEXT,
    user_agent           TEXT
) STRICT;
CREATE UNIQUE INDEX sessions_digest ON sessions (digest);
CREATE INDEX sessions_member ON sessions (member_id, id);
CREATE INDEX sessions_last_used_at ON sessions (last_used_at);

-- Failures to sign in, by the digest of who tried and from where: addresses of people who have no account are not kept.
CREATE TABLE sign_in_failures (
    subject BLOB PRIMARY KEY NOT NULL CHECK (length(subject) = 32),
    count   INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_failures_last_at ON sign_in_failures (last_at);

-- What a form of the dashboard came to that shows a secret, so that a reload shows it again and does nothing more. Sealed with
-- the random id of the form, which is not kept.
CREATE TABLE form_submissions (
    digest     BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    member_id  INTEGER NOT NULL REFERENCES members (id),
    outcome    BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX form_submissions_expires_at ON form_submissions (expires_at);

INSERT INTO schema_compatibility (migration, oldest_version) VALUES ('2026-12-05-000020_people', '0.2.0');
