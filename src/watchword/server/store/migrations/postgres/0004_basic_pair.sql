-- The temporary Basic pair of a session: one lives at a time, and the next one kills it.

ALTER TABLE sessions ADD COLUMN basic_jti TEXT;
ALTER TABLE sessions ADD COLUMN basic_expires_at BIGINT;
