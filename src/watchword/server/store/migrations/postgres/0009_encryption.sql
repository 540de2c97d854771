-- The public key that the tokens of an API are encrypted to, as a JWK.

ALTER TABLE apis ADD COLUMN encryption_jwk TEXT;
