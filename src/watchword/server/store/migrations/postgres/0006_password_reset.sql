-- The link by which a user may choose another password: one a user, the newest; and how many he was sent of late.

CREATE TABLE password_resets (
  user_id TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  digest BYTEA UNIQUE,                 -- NULL: spent, or dead
  expires_at BIGINT NOT NULL,
  full_at BIGINT NOT NULL              -- when as many may be sent as ever
);
