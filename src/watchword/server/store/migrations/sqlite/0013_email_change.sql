-- The address that a user wants to change to, until it is confirmed from its mailbox: one a user, the newest.

CREATE TABLE email_changes (
  user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  from_key TEXT NOT NULL,              -- the address it was asked for at,
  floor INTEGER NOT NULL,              -- and the floor: a later ban or change of either makes it void
  digest BLOB UNIQUE,                  -- NULL: spent, or void
  expires_at INTEGER NOT NULL,
  full_at INTEGER NOT NULL             -- when as many links may be sent as ever
);
CREATE INDEX email_changes_email ON email_changes (email_key);
