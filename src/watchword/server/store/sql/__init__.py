"""The intentions in plain SQL: short synchronous functions over one transaction."""
