"""Clients that lie, seeded: against the core in this process, and against a broker in a process of its own."""
