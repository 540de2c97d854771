-- A position in the log has an identity: each sequence gets a random mark, so that a database that was rolled back
-- and went on is told from the one that was known. Triggers write them, so that a node of the version before does too.

ALTER TABLE head
  ADD COLUMN mark BIGINT NOT NULL DEFAULT 0,            -- of the newest sequence
  ADD COLUMN clock BIGINT NOT NULL DEFAULT 0,           -- the latest time that anything was written at
  ADD COLUMN counted_at BIGINT NOT NULL DEFAULT 0,      -- the sequence at which entries are counted next
  ADD COLUMN issuer TEXT NOT NULL DEFAULT '',
  ADD COLUMN instance TEXT NOT NULL DEFAULT '',         -- random; another one after a restore or a move
  ADD COLUMN former_instances TEXT NOT NULL DEFAULT '', -- whose refresh tokens still count
  ADD COLUMN old_nodes_until BIGINT NOT NULL DEFAULT 0; -- nodes of the version before read no newer refresh tokens

CREATE TABLE log_marks (
  sequence BIGINT PRIMARY KEY,
  mark BIGINT NOT NULL
);

CREATE FUNCTION random_mark() RETURNS BIGINT VOLATILE LANGUAGE sql AS $$
  SELECT (('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint & 9223372036854775807) | 1
$$;

-- Nodes of the version before may still run on a database that is in use: for a day they get tokens they can read.
UPDATE head SET mark = random_mark(), instance = left(replace(gen_random_uuid()::text, '-', ''), 16),
  old_nodes_until = CASE WHEN EXISTS (SELECT 1 FROM users)
    THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 86400000 ELSE 0 END;
INSERT INTO log_marks SELECT sequence, random_mark() FROM revocations;
INSERT INTO log_marks SELECT sequence, mark FROM head
  ON CONFLICT (sequence) DO UPDATE SET mark = excluded.mark;

CREATE FUNCTION watchword_mark_head() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW.mark := random_mark();
  INSERT INTO log_marks VALUES (NEW.sequence, NEW.mark) ON CONFLICT (sequence) DO UPDATE SET mark = excluded.mark;
  RETURN NEW;
END $$;
CREATE TRIGGER head_marked BEFORE UPDATE ON head FOR EACH ROW WHEN (NEW.sequence <> OLD.sequence)
  EXECUTE FUNCTION watchword_mark_head();
