"""State that may be lost: counters of attempts, in one process, in Valkey or Redis, or where the store has room."""
