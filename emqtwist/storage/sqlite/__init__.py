"""The store in one SQLite file. All but `client` runs in the store process, without Twisted.

Exactly one connection writes and checkpoints: that of the store process, which a flock on `store.lock` keeps alone. A
second connection only reads, for a back-up or a check.
"""
