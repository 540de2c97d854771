"""People: their accounts, passwords and sessions."""
