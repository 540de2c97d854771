"""Worker processes hand what they write to the one process that writes to the SQLite file."""
