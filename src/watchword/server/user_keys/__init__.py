"""Keys that users make for their programs: API keys and signing keys, and the tokens they are traded for."""
