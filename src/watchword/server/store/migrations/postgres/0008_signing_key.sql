-- What a session of kind signing_key is known by: a public key, as the JSON of a JWK.

ALTER TABLE sessions ADD COLUMN public_key TEXT;
