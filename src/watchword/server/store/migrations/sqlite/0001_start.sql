-- The first schema. Times are milliseconds since the epoch, lists are texts joined by one space.

CREATE TABLE head (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  base INTEGER NOT NULL,
  longest_life INTEGER NOT NULL,       -- milliseconds
  lower_life INTEGER,                  -- what longest_life falls to ...
  lower_at INTEGER                     -- ... once tokens of the old length are gone
);

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE users (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL UNIQUE,
  username TEXT,
  username_key TEXT UNIQUE,
  name TEXT,
  roles TEXT NOT NULL,
  password_digest TEXT,
  email_verified INTEGER NOT NULL,
  banned INTEGER NOT NULL,
  ban_reason TEXT,
  banned_until INTEGER,
  version INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_login_at INTEGER
);

CREATE TABLE clients (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  disabled INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE sessions (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  client_id TEXT NOT NULL REFERENCES clients (id),
  version INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  secret_digest BLOB NOT NULL,
  audience TEXT NOT NULL,
  scope TEXT,                          -- NULL: all that the roles carry
  amr TEXT NOT NULL,
  auth_time INTEGER NOT NULL,
  device TEXT,
  address TEXT,
  user_agent TEXT,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  idle_expires_at INTEGER NOT NULL,
  token_expires_at INTEGER NOT NULL,   -- when its newest access token is over
  spent_1 INTEGER,                     -- when the counter before the current one was first spent ...
  spent_2 INTEGER,
  spent_3 INTEGER,
  spent_4 INTEGER,                     -- ... and the three before that
  spent_address TEXT,
  ended_at INTEGER,
  end_reason TEXT
);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE roles (
  name TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  built_in INTEGER NOT NULL
);

CREATE TABLE apis (
  audience TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  built_in INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE signing_keys (
  kid TEXT PRIMARY KEY,
  purpose TEXT NOT NULL CHECK (purpose IN ('token', 'feed')),
  algorithm TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired', 'compromised')),
  public_jwk TEXT NOT NULL,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  active_at INTEGER,
  retired_at INTEGER,
  gone_at INTEGER
);
CREATE UNIQUE INDEX signing_keys_one ON signing_keys (purpose, state) WHERE state IN ('next', 'active');

CREATE TABLE revocations (
  sequence INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT,                          -- what many of them fold into: the session of a token, the user of a session
  body TEXT NOT NULL,                  -- the entry as it stands on the wire
  expires_at INTEGER NOT NULL          -- 0: never
);
CREATE INDEX revocations_of_id ON revocations (id) WHERE id <> '';
CREATE INDEX revocations_of_owner ON revocations (owner) WHERE owner IS NOT NULL;
CREATE INDEX revocations_by_end ON revocations (expires_at) WHERE expires_at > 0;

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  actor TEXT NOT NULL,
  user_id TEXT,
  session_id TEXT,
  client_id TEXT,
  address TEXT,
  user_agent TEXT,
  detail TEXT NOT NULL
);
CREATE INDEX events_of_user ON events (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX events_of_type ON events (type, id);

CREATE TABLE one_time (
  digest BLOB PRIMARY KEY,
  purpose TEXT NOT NULL,
  subject TEXT,
  expires_at INTEGER NOT NULL
);
