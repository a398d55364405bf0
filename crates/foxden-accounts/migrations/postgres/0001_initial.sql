-- Times are milliseconds since 1970 unless a column says seconds. Ids and hashes are lower-case hex. Booleans are 0 or 1.
-- Texts are compared byte by byte. The columns are those of SQLite, whose migrations explain them.

CREATE TABLE setting (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE account (
    uid                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    address            TEXT COLLATE "C" NOT NULL,
    -- The address that went into the stretching of the password; the salt until the next password.
    stretched_address  TEXT COLLATE "C" NOT NULL,
    address_verified   SMALLINT NOT NULL,
    -- Without a password these are empty until its owner sets one.
    salt               BYTEA,
    hash_memory        BIGINT,
    hash_passes        BIGINT,
    hash_lanes         BIGINT,
    verify_hash        BYTEA,
    wrap_wrap_kb       BYTEA,
    ka                 BYTEA    NOT NULL,
    created_at         BIGINT   NOT NULL,
    verifier_set_at    BIGINT   NOT NULL,
    keys_changed_at    BIGINT   NOT NULL,
    profile_changed_at BIGINT   NOT NULL,
    locale             TEXT COLLATE "C",
    display_name       TEXT COLLATE "C",
    role               TEXT COLLATE "C" NOT NULL,
    disabled           SMALLINT NOT NULL
);

-- Every way to say an account, each unique among all.
CREATE TABLE login_name (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid   TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    -- Whether the account has confirmed the address that the name follows from.
    owned SMALLINT NOT NULL DEFAULT 1
);
CREATE INDEX login_name_uid ON login_name (uid);

CREATE TABLE avatar (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid     TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES account (uid) ON DELETE CASCADE,
    kind    TEXT COLLATE "C" NOT NULL,
    picture BYTEA NOT NULL
);

CREATE TABLE session (
    id_hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    auth_key   BYTEA    NOT NULL,
    uid        TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    created_at BIGINT   NOT NULL,
    last_used  BIGINT   NOT NULL,
    -- Seconds.
    auth_at    BIGINT   NOT NULL,
    verified   SMALLINT NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL
);
CREATE INDEX session_uid ON session (uid, last_used);
CREATE INDEX session_last_used ON session (last_used);

-- Credentials of one use, and those of a reset.
CREATE TABLE token (
    id_hash  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind     TEXT COLLATE "C" NOT NULL,
    auth_key BYTEA  NOT NULL,
    uid      TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    -- The encrypted bundle of a key-fetch token.
    data     BYTEA,
    tries    BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);
CREATE INDEX token_uid ON token (uid, expires);
CREATE INDEX token_expires ON token (expires);

CREATE TABLE refresh_token (
    id_hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid        TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" REFERENCES session (id_hash) ON DELETE CASCADE,
    code_hash  TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    last_used  BIGINT NOT NULL
);
CREATE INDEX refresh_token_uid ON refresh_token (uid, last_used);
CREATE INDEX refresh_token_session ON refresh_token (session_id);
CREATE INDEX refresh_token_code ON refresh_token (code_hash);

CREATE TABLE access_token (
    id_hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid        TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" REFERENCES session (id_hash) ON DELETE CASCADE,
    refresh_id TEXT COLLATE "C" REFERENCES refresh_token (id_hash) ON DELETE CASCADE,
    code_hash  TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires    BIGINT NOT NULL
);
CREATE INDEX access_token_uid ON access_token (uid, created_at);
CREATE INDEX access_token_session ON access_token (session_id);
CREATE INDEX access_token_refresh ON access_token (refresh_id);
CREATE INDEX access_token_code ON access_token (code_hash);
CREATE INDEX access_token_expires ON access_token (expires);

CREATE TABLE oauth_code (
    id_hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid        TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    challenge  TEXT COLLATE "C" NOT NULL,
    keys_jwe   TEXT COLLATE "C",
    -- The session that asked; the code dies with it.
    session_id TEXT COLLATE "C" NOT NULL REFERENCES session (id_hash) ON DELETE CASCADE,
    offline    SMALLINT NOT NULL,
    -- Seconds.
    auth_at    BIGINT   NOT NULL,
    expires    BIGINT   NOT NULL,
    -- A used code stays until it expires, so that a second use is noticed.
    used       SMALLINT NOT NULL
);
CREATE INDEX oauth_code_uid ON oauth_code (uid, expires);
CREATE INDEX oauth_code_session ON oauth_code (session_id);
CREATE INDEX oauth_code_expires ON oauth_code (expires);

CREATE TABLE device (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid             TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    session_id      TEXT COLLATE "C" UNIQUE REFERENCES session (id_hash) ON DELETE CASCADE,
    refresh_id      TEXT COLLATE "C" UNIQUE REFERENCES refresh_token (id_hash) ON DELETE CASCADE,
    name            TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    -- A JSON object of texts.
    commands        TEXT COLLATE "C" NOT NULL,
    push_callback   TEXT COLLATE "C",
    push_public_key TEXT COLLATE "C",
    push_auth_key   TEXT COLLATE "C",
    created_at      BIGINT NOT NULL,
    -- The highest index given to a command so far.
    last_index      BIGINT NOT NULL
);
CREATE INDEX device_uid ON device (uid);

CREATE TABLE command (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    idx       BIGINT NOT NULL,
    command   TEXT COLLATE "C" NOT NULL,
    payload   TEXT COLLATE "C" NOT NULL,
    sender    TEXT COLLATE "C",
    expires   BIGINT NOT NULL,
    PRIMARY KEY (device_id, idx)
);
CREATE INDEX command_expires ON command (expires);

-- Codes that wait for the account's owner. They are kept as they are: the operator hands them over.
CREATE TABLE verification_code (
    uid     TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    kind    TEXT COLLATE "C" NOT NULL,
    code    TEXT COLLATE "C" NOT NULL,
    tries   BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (uid, kind)
);
CREATE INDEX verification_code_expires ON verification_code (expires);

CREATE TABLE password_link (
    code_hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid       TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES account (uid) ON DELETE CASCADE,
    expires   BIGINT NOT NULL
);

CREATE TABLE invitation (
    id         BIGINT   GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    code_hash  TEXT COLLATE "C" NOT NULL UNIQUE,
    role       TEXT COLLATE "C" NOT NULL,
    note       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT   NOT NULL,
    expires    BIGINT   NOT NULL,
    is_first   SMALLINT NOT NULL,
    used_at    BIGINT,
    used_by    TEXT COLLATE "C" REFERENCES account (uid) ON DELETE SET NULL,
    -- To which address it was mailed, in the form in which names are compared.
    address    TEXT COLLATE "C"
);
CREATE INDEX invitation_used_by ON invitation (used_by);

CREATE TABLE security_event (
    id      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    uid     TEXT COLLATE "C" NOT NULL REFERENCES account (uid) ON DELETE CASCADE,
    time    BIGINT NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL
);
CREATE INDEX security_event_uid ON security_event (uid, id);

CREATE TABLE services (
    id      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    service TEXT COLLATE "C" NOT NULL UNIQUE,
    pattern TEXT COLLATE "C" NOT NULL
);
INSERT INTO services (service, pattern) VALUES ('sync-1.5', '{node}/1.5/{uid}');
INSERT INTO services (service, pattern) VALUES ('sync-1.1', '{node}/1.1/{uid}');

CREATE TABLE nodes (
    id           BIGINT   GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    service      BIGINT   NOT NULL REFERENCES services (id),
    node         TEXT COLLATE "C" NOT NULL,
    available    BIGINT   NOT NULL,
    current_load BIGINT   NOT NULL,
    capacity     BIGINT   NOT NULL,
    downed       SMALLINT NOT NULL,
    backoff      BIGINT   NOT NULL,
    -- The node of this very server: known by the mark, since its address changes with the public one.
    is_own       SMALLINT NOT NULL DEFAULT 0,
    -- Whether the configuration names the node: one it no longer names keeps its users and takes no new ones.
    is_listed    SMALLINT NOT NULL DEFAULT 1,
    UNIQUE (service, node)
);

-- Each row is a store. The sequence never gives out a uid twice.
CREATE TABLE users (
    uid             BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    service         BIGINT NOT NULL REFERENCES services (id),
    email           TEXT COLLATE "C" NOT NULL,
    generation      BIGINT NOT NULL,
    client_state    TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    replaced_at     BIGINT,
    nodeid          BIGINT NOT NULL,
    keys_changed_at BIGINT
);
CREATE INDEX users_lookup ON users (email, service, created_at);
CREATE INDEX users_replaced ON users (service, replaced_at);
CREATE INDEX users_node ON users (nodeid);

-- Stores that nobody may use any more: emptied at once, and again when the last token for them has expired.
CREATE TABLE closed_store (
    uid         BIGINT   NOT NULL PRIMARY KEY,
    -- Whether its account is gone; a store that was merely replaced is not refused.
    is_removed  SMALLINT NOT NULL,
    -- When to empty it next.
    due         BIGINT   NOT NULL,
    last_expiry BIGINT   NOT NULL,
    -- The node on which the store is to be emptied.
    nodeid      BIGINT
);
CREATE INDEX closed_store_due ON closed_store (due);

-- Mails that wait to be sent. They carry codes as they are: a row is deleted once its mail is sent, and goes with its
-- account or its invitation.
CREATE TABLE outbox (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    uid        TEXT COLLATE "C" REFERENCES account (uid) ON DELETE CASCADE,
    invitation BIGINT REFERENCES invitation (id) ON DELETE CASCADE,
    address    TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    -- A JSON object of texts.
    letter     TEXT COLLATE "C" NOT NULL,
    posted_at  BIGINT NOT NULL,
    -- When to try it next. A process that takes a mail moves this on, so that no other takes it meanwhile.
    due        BIGINT NOT NULL,
    -- When it is of no use any more.
    expires    BIGINT NOT NULL,
    tries      BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due);
CREATE INDEX outbox_expires ON outbox (expires);
CREATE INDEX outbox_uid ON outbox (uid);
CREATE INDEX outbox_invitation ON outbox (invitation);

-- Resets begun for addresses that no account has, and the eight digits of such. Nothing in a row leads back to the address.
CREATE TABLE reset_of_nobody (
    id_hash  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Of the credential that names the reset, or of the digits.
    kind     TEXT COLLATE "C" NOT NULL,
    auth_key BYTEA  NOT NULL,
    -- An account's id that follows from the address. No account has it.
    uid      TEXT COLLATE "C" NOT NULL,
    tries    BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    -- Counts writes that stand for those that an account would have: a code, a mail, an event.
    writes   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX reset_of_nobody_uid ON reset_of_nobody (uid, expires);
CREATE INDEX reset_of_nobody_expires ON reset_of_nobody (expires, id_hash);

-- Each change of credentials raises this counter in its own transaction and takes its number. So numbers have no gaps and
-- rise in the order of commits, which a sequence promises nowhere.
CREATE TABLE change_counter (
    -- The only row has 1.
    id  BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE credential_change (
    seq   BIGINT NOT NULL PRIMARY KEY,
    -- A hash of the account's id. NULL: the change concerns all accounts.
    alias TEXT COLLATE "C",
    at    BIGINT NOT NULL
);
CREATE INDEX credential_change_at ON credential_change (at);
