-- Whether the account has confirmed the address that the name follows from. Until then it only claims the name, and whoever
-- confirms the address gets it. A name that its owner chose belongs to no address. The release before knows nothing of
-- claims and adds names as owned.
ALTER TABLE login_name ADD COLUMN owned INTEGER NOT NULL DEFAULT 1;
UPDATE login_name SET owned = 0
    WHERE (name LIKE '%@%' OR LENGTH(name) = 32) AND uid IN (SELECT uid FROM account WHERE address_verified = 0);

-- To whom an invitation was mailed, in the form in which names are compared.
ALTER TABLE invitation ADD COLUMN address TEXT;
