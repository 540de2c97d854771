-- The first schema. Times are milliseconds since the epoch, lists are texts joined by one space.
-- What is sorted or looked up compares by bytes, so that the order does not depend on the cluster's locale.

-- The name under which SQLite knows strpos: one query serves both.
CREATE FUNCTION instr(TEXT, TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS 'SELECT strpos($1, $2)';

CREATE TABLE head (
  "only" BIGINT PRIMARY KEY CHECK ("only" = 1),
  epoch BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  base BIGINT NOT NULL,
  longest_life BIGINT NOT NULL,        -- milliseconds
  lower_life BIGINT,                   -- what longest_life falls to ...
  lower_at BIGINT                      -- ... once tokens of the old length are gone
);

-- Whoever moves the log wakes the other nodes when he commits. The message is empty: they read the log again.
CREATE FUNCTION watchword_log_moved() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('watchword_log', '');
  RETURN NULL;
END $$;
CREATE TRIGGER head_moved AFTER UPDATE ON head FOR EACH ROW EXECUTE FUNCTION watchword_log_moved();

CREATE TABLE meta (
  name TEXT COLLATE "C" PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE users (
  n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  email TEXT NOT NULL,
  email_key TEXT COLLATE "C" NOT NULL UNIQUE,
  username TEXT,
  username_key TEXT COLLATE "C" UNIQUE,
  name TEXT,
  roles TEXT NOT NULL,
  password_digest TEXT,
  email_verified BOOLEAN NOT NULL,
  banned BOOLEAN NOT NULL,
  ban_reason TEXT,
  banned_until BIGINT,
  version BIGINT NOT NULL,
  floor BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  last_login_at BIGINT
);

CREATE TABLE clients (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  floor BIGINT NOT NULL,
  disabled BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
  n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  client_id TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
  version BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  counter BIGINT NOT NULL,
  secret_digest BYTEA NOT NULL,
  audience TEXT COLLATE "C" NOT NULL,
  scope TEXT,                          -- NULL: all that the roles carry
  amr TEXT NOT NULL,
  auth_time BIGINT NOT NULL,
  device TEXT,
  address TEXT,
  user_agent TEXT,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  idle_expires_at BIGINT NOT NULL,
  token_expires_at BIGINT NOT NULL,    -- when its newest access token is over
  spent_1 BIGINT,                      -- when the counter before the current one was first spent ...
  spent_2 BIGINT,
  spent_3 BIGINT,
  spent_4 BIGINT,                      -- ... and the three before that
  spent_address TEXT,
  ended_at BIGINT,
  end_reason TEXT
) WITH (fillfactor = 80);              -- room for the next refresh of a row on its own page
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE roles (
  name TEXT COLLATE "C" PRIMARY KEY,
  scope TEXT NOT NULL,
  built_in BOOLEAN NOT NULL
);

CREATE TABLE apis (
  audience TEXT COLLATE "C" PRIMARY KEY,
  scope TEXT NOT NULL,
  built_in BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
  kid TEXT COLLATE "C" PRIMARY KEY,
  purpose TEXT NOT NULL CHECK (purpose IN ('token', 'feed')),
  algorithm TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired', 'compromised')),
  public_jwk TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  active_at BIGINT,
  retired_at BIGINT,
  gone_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_one ON signing_keys (purpose, state) WHERE state IN ('next', 'active');

CREATE TABLE revocations (
  sequence BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  owner TEXT,                          -- what many of them fold into: the session of a token, the user of a session
  body TEXT NOT NULL,                  -- the entry as it stands on the wire
  expires_at BIGINT NOT NULL           -- 0: never
);
CREATE INDEX revocations_of_id ON revocations (id) WHERE id <> '';
CREATE INDEX revocations_of_owner ON revocations (owner) WHERE owner IS NOT NULL;
CREATE INDEX revocations_by_end ON revocations (expires_at) WHERE expires_at > 0;

CREATE TABLE events (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at BIGINT NOT NULL,
  type TEXT COLLATE "C" NOT NULL,
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
  digest BYTEA PRIMARY KEY,
  purpose TEXT NOT NULL,
  subject TEXT,
  expires_at BIGINT NOT NULL
);
