"""Tokens: what goes into them, who signs them, how they are refreshed and how they die."""
