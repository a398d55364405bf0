-- Times are milliseconds since 1970 unless a column says seconds. Ids and hashes are lower-case hex. Booleans are 0 or 1.
-- Texts are compared byte by byte: the server's own collations take accents away and would let one name open another's
-- account. The columns are those of SQLite, whose migrations explain them.
--
-- The server commits each of these statements by itself, so each does no harm a second time.

CREATE TABLE IF NOT EXISTS setting (
    name VARCHAR(700) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS account (
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    -- The address that went into the stretching of the password; the salt until the next password.
    stretched_address TEXT NOT NULL,
    address_verified SMALLINT NOT NULL,
    -- Without a password these are empty until its owner sets one.
    salt VARBINARY(64),
    hash_memory BIGINT,
    hash_passes BIGINT,
    hash_lanes BIGINT,
    verify_hash VARBINARY(64),
    wrap_wrap_kb VARBINARY(64),
    ka VARBINARY(64) NOT NULL,
    created_at BIGINT NOT NULL,
    verifier_set_at BIGINT NOT NULL,
    keys_changed_at BIGINT NOT NULL,
    profile_changed_at BIGINT NOT NULL,
    locale TEXT,
    display_name TEXT,
    role VARCHAR(64) NOT NULL,
    disabled SMALLINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Every way to say an account, each unique among all.
CREATE TABLE IF NOT EXISTS login_name (
    name VARCHAR(700) NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Whether the account has confirmed the address that the name follows from.
    owned SMALLINT NOT NULL DEFAULT 1,
    INDEX login_name_uid (uid),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS avatar (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    kind VARCHAR(64) NOT NULL,
    picture MEDIUMBLOB NOT NULL,
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    auth_key VARBINARY(64) NOT NULL,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    -- Seconds.
    auth_at BIGINT NOT NULL,
    verified SMALLINT NOT NULL,
    user_agent TEXT NOT NULL,
    INDEX session_uid (uid, last_used),
    INDEX session_last_used (last_used),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Credentials of one use, and those of a reset.
CREATE TABLE IF NOT EXISTS token (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    kind VARCHAR(64) NOT NULL,
    auth_key VARBINARY(64) NOT NULL,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- The encrypted bundle of a key-fetch token.
    data VARBINARY(1024),
    tries BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    INDEX token_uid (uid, expires),
    INDEX token_expires (expires),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS refresh_token (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    session_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    code_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    created_at BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    INDEX refresh_token_uid (uid, last_used),
    INDEX refresh_token_session (session_id),
    INDEX refresh_token_code (code_hash),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES session (id_hash) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS access_token (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    session_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    refresh_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    code_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    created_at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    INDEX access_token_uid (uid, created_at),
    INDEX access_token_session (session_id),
    INDEX access_token_refresh (refresh_id),
    INDEX access_token_code (code_hash),
    INDEX access_token_expires (expires),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES session (id_hash) ON DELETE CASCADE,
    FOREIGN KEY (refresh_id) REFERENCES refresh_token (id_hash) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS oauth_code (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    challenge TEXT NOT NULL,
    keys_jwe MEDIUMTEXT,
    -- The session that asked; the code dies with it.
    session_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    offline SMALLINT NOT NULL,
    -- Seconds.
    auth_at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- A used code stays until it expires, so that a second use is noticed.
    used SMALLINT NOT NULL,
    INDEX oauth_code_uid (uid, expires),
    INDEX oauth_code_session (session_id),
    INDEX oauth_code_expires (expires),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES session (id_hash) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS device (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    session_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin UNIQUE,
    refresh_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin UNIQUE,
    name TEXT NOT NULL,
    kind VARCHAR(64) NOT NULL,
    -- A JSON object of texts.
    commands MEDIUMTEXT NOT NULL,
    push_callback TEXT,
    push_public_key TEXT,
    push_auth_key TEXT,
    created_at BIGINT NOT NULL,
    -- The highest index given to a command so far.
    last_index BIGINT NOT NULL,
    INDEX device_uid (uid),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES session (id_hash) ON DELETE CASCADE,
    FOREIGN KEY (refresh_id) REFERENCES refresh_token (id_hash) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS command (
    device_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idx BIGINT NOT NULL,
    command TEXT NOT NULL,
    payload MEDIUMTEXT NOT NULL,
    sender TEXT,
    expires BIGINT NOT NULL,
    PRIMARY KEY (device_id, idx),
    INDEX command_expires (expires),
    FOREIGN KEY (device_id) REFERENCES device (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Codes that wait for the account's owner. They are kept as they are: the operator hands them over.
CREATE TABLE IF NOT EXISTS verification_code (
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(64) NOT NULL,
    code TEXT NOT NULL,
    tries BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (uid, kind),
    INDEX verification_code_expires (expires),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS password_link (
    code_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    expires BIGINT NOT NULL,
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS invitation (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    role VARCHAR(64) NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    is_first SMALLINT NOT NULL,
    used_at BIGINT,
    used_by VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    -- To which address it was mailed, in the form in which names are compared.
    address TEXT,
    INDEX invitation_used_by (used_by),
    FOREIGN KEY (used_by) REFERENCES account (uid) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS security_event (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    time BIGINT NOT NULL,
    kind VARCHAR(64) NOT NULL,
    address TEXT NOT NULL,
    INDEX security_event_uid (uid, id),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS services (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service VARCHAR(64) NOT NULL UNIQUE,
    pattern TEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO services (service, pattern) VALUES ('sync-1.5', '{node}/1.5/{uid}');
INSERT IGNORE INTO services (service, pattern) VALUES ('sync-1.1', '{node}/1.1/{uid}');

CREATE TABLE IF NOT EXISTS nodes (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service BIGINT NOT NULL,
    node VARCHAR(700) NOT NULL,
    available BIGINT NOT NULL,
    current_load BIGINT NOT NULL,
    capacity BIGINT NOT NULL,
    downed SMALLINT NOT NULL,
    backoff BIGINT NOT NULL,
    -- The node of this very server: known by the mark, since its address changes with the public one.
    is_own SMALLINT NOT NULL DEFAULT 0,
    -- Whether the configuration names the node: one it no longer names keeps its users and takes no new ones.
    is_listed SMALLINT NOT NULL DEFAULT 1,
    UNIQUE (service, node),
    FOREIGN KEY (service) REFERENCES services (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Each row is a store. The counter never gives out a uid twice.
CREATE TABLE IF NOT EXISTS users (
    uid BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service BIGINT NOT NULL,
    email VARCHAR(700) NOT NULL,
    generation BIGINT NOT NULL,
    client_state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    replaced_at BIGINT,
    nodeid BIGINT NOT NULL,
    keys_changed_at BIGINT,
    INDEX users_lookup (email, service, created_at),
    INDEX users_replaced (service, replaced_at),
    INDEX users_node (nodeid),
    FOREIGN KEY (service) REFERENCES services (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Stores that nobody may use any more: emptied at once, and again when the last token for them has expired.
CREATE TABLE IF NOT EXISTS closed_store (
    uid BIGINT NOT NULL PRIMARY KEY,
    -- Whether its account is gone; a store that was merely replaced is not refused.
    is_removed SMALLINT NOT NULL,
    -- When to empty it next.
    due BIGINT NOT NULL,
    last_expiry BIGINT NOT NULL,
    -- The node on which the store is to be emptied.
    nodeid BIGINT,
    INDEX closed_store_due (due)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Mails that wait to be sent. They carry codes as they are: a row is deleted once its mail is sent, and goes with its
-- account or its invitation.
CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    invitation BIGINT,
    address TEXT NOT NULL,
    kind VARCHAR(64) NOT NULL,
    -- A JSON object of texts.
    letter MEDIUMTEXT NOT NULL,
    posted_at BIGINT NOT NULL,
    -- When to try it next. A process that takes a mail moves this on, so that no other takes it meanwhile.
    due BIGINT NOT NULL,
    -- When it is of no use any more.
    expires BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    INDEX outbox_due (due),
    INDEX outbox_expires (expires),
    INDEX outbox_uid (uid),
    INDEX outbox_invitation (invitation),
    FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
    FOREIGN KEY (invitation) REFERENCES invitation (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Resets begun for addresses that no account has, and the eight digits of such. Nothing in a row leads back to the address.
CREATE TABLE IF NOT EXISTS reset_of_nobody (
    id_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    -- Of the credential that names the reset, or of the digits.
    kind VARCHAR(64) NOT NULL,
    auth_key VARBINARY(64) NOT NULL,
    -- An account's id that follows from the address. No account has it.
    uid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    tries BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- Counts writes that stand for those that an account would have: a code, a mail, an event.
    writes BIGINT NOT NULL DEFAULT 0,
    INDEX reset_of_nobody_uid (uid, expires),
    INDEX reset_of_nobody_expires (expires, id_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Each change of credentials raises this counter in its own transaction and takes its number. So numbers have no gaps and
-- rise in the order of commits, which AUTO_INCREMENT promises nowhere.
CREATE TABLE IF NOT EXISTS change_counter (
    -- The only row has 1.
    id BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS credential_change (
    seq BIGINT NOT NULL PRIMARY KEY,
    -- A hash of the account's id. NULL: the change concerns all accounts.
    alias VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    at BIGINT NOT NULL,
    INDEX credential_change_at (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
