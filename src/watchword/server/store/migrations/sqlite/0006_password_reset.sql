-- The link by which a user may choose another password: one a user, the newest; and how many he was sent of late.

CREATE TABLE password_resets (
  user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  digest BLOB UNIQUE,                  -- NULL: spent, or dead
  expires_at INTEGER NOT NULL,
  full_at INTEGER NOT NULL             -- when as many may be sent as ever
);
