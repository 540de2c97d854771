"""The admin API: users, sessions, roles, APIs, keys, events; only an administrator comes in."""
