"""The whole story on real HTTP: a server, two payroll APIs, and people who log in, cheat and are thrown out."""
