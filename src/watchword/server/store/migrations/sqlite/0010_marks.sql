-- A position in the log has an identity: each sequence gets a random mark, so that a database that was rolled back
-- and went on is told from the one that was known. Triggers write them, so that a node of the version before does too.

ALTER TABLE head ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;          -- of the newest sequence
ALTER TABLE head ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;         -- the latest time that anything was written at
ALTER TABLE head ADD COLUMN counted_at INTEGER NOT NULL DEFAULT 0;    -- the sequence at which entries are counted next
ALTER TABLE head ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN instance TEXT NOT NULL DEFAULT '';        -- random; another one after a restore or a move
ALTER TABLE head ADD COLUMN former_instances TEXT NOT NULL DEFAULT ''; -- whose refresh tokens still count
ALTER TABLE head ADD COLUMN old_nodes_until INTEGER NOT NULL DEFAULT 0;

CREATE TABLE log_marks (
  sequence INTEGER PRIMARY KEY,
  mark INTEGER NOT NULL
);

UPDATE head SET mark = (random() & 9223372036854775807) | 1, instance = lower(hex(randomblob(8)));
INSERT INTO log_marks SELECT sequence, (random() & 9223372036854775807) | 1 FROM revocations;
INSERT OR REPLACE INTO log_marks SELECT sequence, mark FROM head;

CREATE TRIGGER head_marked AFTER UPDATE OF sequence ON head WHEN new.sequence <> old.sequence
BEGIN
  UPDATE head SET mark = (random() & 9223372036854775807) | 1;
  INSERT OR REPLACE INTO log_marks SELECT sequence, mark FROM head;
END;
