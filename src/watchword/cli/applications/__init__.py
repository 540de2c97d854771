"""Reading an application: its routes, and what each demands of its caller."""
