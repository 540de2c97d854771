-- A name as it is searched: folded by the program, so that every database finds the same people.

ALTER TABLE users ADD COLUMN name_key TEXT;
