-- Letters that wait to be sent. They carry codes as they are: a row is deleted once its letter is sent, and goes with
-- its account or its invitation.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        TEXT    REFERENCES account (uid) ON DELETE CASCADE,
    invitation INTEGER REFERENCES invitation (id) ON DELETE CASCADE,
    address    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    -- A JSON object of texts.
    letter     TEXT    NOT NULL,
    posted_at  INTEGER NOT NULL,
    -- When to try it next. Whoever takes a letter moves this on, so that nobody else takes it meanwhile.
    due        INTEGER NOT NULL,
    -- When it is of no use any more.
    expires    INTEGER NOT NULL,
    tries      INTEGER NOT NULL
);
CREATE INDEX outbox_due ON outbox (due);
CREATE INDEX outbox_expires ON outbox (expires);
CREATE INDEX outbox_uid ON outbox (uid);
CREATE INDEX outbox_invitation ON outbox (invitation);
