-- Times are milliseconds since 1970 unless a column says seconds. Ids and hashes are lower-case hex.

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE account (
    uid                TEXT    NOT NULL PRIMARY KEY,
    address            TEXT    NOT NULL,
    -- The address that went into the stretching of the password; the salt until the next password.
    stretched_address  TEXT    NOT NULL,
    address_verified   INTEGER NOT NULL,
    -- Without a password these are empty until its owner sets one.
    salt               BLOB,
    hash_memory        INTEGER,
    hash_passes        INTEGER,
    hash_lanes         INTEGER,
    verify_hash        BLOB,
    wrap_wrap_kb       BLOB,
    ka                 BLOB    NOT NULL,
    created_at         INTEGER NOT NULL,
    verifier_set_at    INTEGER NOT NULL,
    keys_changed_at    INTEGER NOT NULL,
    profile_changed_at INTEGER NOT NULL,
    locale             TEXT,
    display_name       TEXT,
    role               TEXT    NOT NULL,
    disabled           INTEGER NOT NULL
);

-- Every way to say an account, each unique among all.
CREATE TABLE login_name (
    name TEXT NOT NULL PRIMARY KEY,
    uid  TEXT NOT NULL REFERENCES account (uid) ON DELETE CASCADE
);
CREATE INDEX login_name_uid ON login_name (uid);

CREATE TABLE avatar (
    id      TEXT NOT NULL PRIMARY KEY,
    uid     TEXT NOT NULL UNIQUE REFERENCES account (uid) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    picture BLOB NOT NULL
);

CREATE TABLE session (
    id_hash    TEXT    NOT NULL PRIMARY KEY,
    auth_key   BLOB    NOT NULL,
    uid        TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    last_used  INTEGER NOT NULL,
    -- Seconds.
    auth_at    INTEGER NOT NULL,
    verified   INTEGER NOT NULL,
    user_agent TEXT    NOT NULL
);
CREATE INDEX session_uid ON session (uid, last_used);
CREATE INDEX session_last_used ON session (last_used);

-- Credentials of one use, and those of a reset.
CREATE TABLE token (
    id_hash  TEXT    NOT NULL PRIMARY KEY,
    kind     TEXT    NOT NULL,
    auth_key BLOB    NOT NULL,
    uid      TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    -- The encrypted bundle of a key-fetch token.
    data     BLOB,
    tries    INTEGER NOT NULL,
    expires  INTEGER NOT NULL
);
CREATE INDEX token_uid ON token (uid, expires);
CREATE INDEX token_expires ON token (expires);

CREATE TABLE refresh_token (
    id_hash    TEXT    NOT NULL PRIMARY KEY,
    uid        TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id  TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    session_id TEXT    REFERENCES session (id_hash) ON DELETE CASCADE,
    code_hash  TEXT,
    created_at INTEGER NOT NULL,
    last_used  INTEGER NOT NULL
);
CREATE INDEX refresh_token_uid ON refresh_token (uid, last_used);
CREATE INDEX refresh_token_session ON refresh_token (session_id);
CREATE INDEX refresh_token_code ON refresh_token (code_hash);

CREATE TABLE access_token (
    id_hash    TEXT    NOT NULL PRIMARY KEY,
    uid        TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id  TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    session_id TEXT    REFERENCES session (id_hash) ON DELETE CASCADE,
    refresh_id TEXT    REFERENCES refresh_token (id_hash) ON DELETE CASCADE,
    code_hash  TEXT,
    created_at INTEGER NOT NULL,
    expires    INTEGER NOT NULL
);
CREATE INDEX access_token_uid ON access_token (uid, created_at);
CREATE INDEX access_token_session ON access_token (session_id);
CREATE INDEX access_token_refresh ON access_token (refresh_id);
CREATE INDEX access_token_code ON access_token (code_hash);
CREATE INDEX access_token_expires ON access_token (expires);

CREATE TABLE oauth_code (
    id_hash     TEXT    NOT NULL PRIMARY KEY,
    uid         TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id   TEXT    NOT NULL,
    scope       TEXT    NOT NULL,
    challenge   TEXT    NOT NULL,
    keys_jwe    TEXT,
    -- The session that asked; the code dies with it.
    session_id  TEXT    NOT NULL REFERENCES session (id_hash) ON DELETE CASCADE,
    offline     INTEGER NOT NULL,
    -- Seconds.
    auth_at     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    -- A used code stays until it expires, so that a second use is noticed.
    used        INTEGER NOT NULL
);
CREATE INDEX oauth_code_uid ON oauth_code (uid, expires);
CREATE INDEX oauth_code_session ON oauth_code (session_id);
CREATE INDEX oauth_code_expires ON oauth_code (expires);

CREATE TABLE device (
    id              TEXT    NOT NULL PRIMARY KEY,
    uid             TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    session_id      TEXT    UNIQUE REFERENCES session (id_hash) ON DELETE CASCADE,
    refresh_id      TEXT    UNIQUE REFERENCES refresh_token (id_hash) ON DELETE CASCADE,
    name            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    -- A JSON object of texts.
    commands        TEXT    NOT NULL,
    push_callback   TEXT,
    push_public_key TEXT,
    push_auth_key   TEXT,
    created_at      INTEGER NOT NULL,
    -- The highest index given to a command so far.
    last_index      INTEGER NOT NULL
);
CREATE INDEX device_uid ON device (uid);

CREATE TABLE command (
    device_id TEXT    NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    idx       INTEGER NOT NULL,
    command   TEXT    NOT NULL,
    payload   TEXT    NOT NULL,
    sender    TEXT,
    expires   INTEGER NOT NULL,
    PRIMARY KEY (device_id, idx)
);
CREATE INDEX command_expires ON command (expires);

-- Codes that wait for the account's owner. They are kept as they are: the operator hands them over.
CREATE TABLE verification_code (
    uid     TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    kind    TEXT    NOT NULL,
    code    TEXT    NOT NULL,
    tries   INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (uid, kind)
);
CREATE INDEX verification_code_expires ON verification_code (expires);

CREATE TABLE password_link (
    code_hash TEXT    NOT NULL PRIMARY KEY,
    uid       TEXT    NOT NULL UNIQUE REFERENCES account (uid) ON DELETE CASCADE,
    expires   INTEGER NOT NULL
);

CREATE TABLE invitation (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash  TEXT    NOT NULL UNIQUE,
    role       TEXT    NOT NULL,
    note       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    is_first   INTEGER NOT NULL,
    used_at    INTEGER,
    used_by    TEXT    REFERENCES account (uid) ON DELETE SET NULL
);

CREATE TABLE security_event (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    uid     TEXT    NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    time    INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    address TEXT    NOT NULL
);
CREATE INDEX security_event_uid ON security_event (uid, id);

CREATE TABLE services (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT    NOT NULL UNIQUE,
    pattern TEXT    NOT NULL
);
INSERT INTO services (service, pattern) VALUES ('sync-1.5', '{node}/1.5/{uid}');

CREATE TABLE nodes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    service      INTEGER NOT NULL REFERENCES services (id),
    node         TEXT    NOT NULL,
    available    INTEGER NOT NULL,
    current_load INTEGER NOT NULL,
    capacity     INTEGER NOT NULL,
    downed       INTEGER NOT NULL,
    backoff      INTEGER NOT NULL,
    -- The node of this very server: known by the mark, since its address changes with the public one.
    is_own       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (service, node)
);

-- Each row is a store. AUTOINCREMENT: a uid is never given out twice.
CREATE TABLE users (
    uid             INTEGER PRIMARY KEY AUTOINCREMENT,
    service         INTEGER NOT NULL REFERENCES services (id),
    email           TEXT    NOT NULL,
    generation      INTEGER NOT NULL,
    client_state    TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    replaced_at     INTEGER,
    nodeid          INTEGER NOT NULL,
    keys_changed_at INTEGER
);
CREATE INDEX users_lookup ON users (email, service, created_at);
CREATE INDEX users_replaced ON users (service, replaced_at);
CREATE INDEX users_node ON users (nodeid);

-- Stores that nobody may use any more: emptied at once, and again when the last token for them has expired.
CREATE TABLE closed_store (
    uid         INTEGER NOT NULL PRIMARY KEY,
    -- Whether its account is gone; a store that was merely replaced is not refused.
    is_removed  INTEGER NOT NULL,
    -- When to empty it next.
    due         INTEGER NOT NULL,
    last_expiry INTEGER NOT NULL
);
CREATE INDEX closed_store_due ON closed_store (due);
