-- What each step did, so that a database of another build is told from one of ours; and who serves from this database.

ALTER TABLE schema_migrations ADD COLUMN digest TEXT NOT NULL DEFAULT '';

CREATE TABLE nodes (
  id TEXT PRIMARY KEY,          -- random, for as long as one process serves
  settings TEXT NOT NULL,       -- those that all must agree in, as JSON
  seen_at INTEGER NOT NULL       -- when it last said that it is there
);
