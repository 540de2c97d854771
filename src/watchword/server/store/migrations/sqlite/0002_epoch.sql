-- Refresh tokens of an epoch before oldest_epoch are dead. A key of an audience signs for that API alone;
-- the issuer's own keys have none.

ALTER TABLE head ADD COLUMN oldest_epoch INTEGER NOT NULL DEFAULT 0;

ALTER TABLE signing_keys ADD COLUMN audience TEXT NOT NULL DEFAULT '';
DROP INDEX signing_keys_one;
CREATE UNIQUE INDEX signing_keys_one ON signing_keys (purpose, audience, state) WHERE state IN ('next', 'active');
