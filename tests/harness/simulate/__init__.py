"""A cluster in one process, on one virtual time: what happens, what fails, and in which order, is drawn from a seed."""
