"""Logging in, step by step; the steps return to the flow and never call each other."""
