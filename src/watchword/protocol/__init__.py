"""What server and guard say to each other: access token, challenge, scope, metadata, revocations."""
