-- What a session is: a log-in, or an API key, whose secret_digest is of the key's own secret.

ALTER TABLE sessions ADD COLUMN kind TEXT NOT NULL DEFAULT 'login';
