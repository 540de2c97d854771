"""State that may be lost: counters of attempts."""
