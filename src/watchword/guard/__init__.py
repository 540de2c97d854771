"""The guard: what an API holds to know who is calling, without asking anybody at the time."""
