"""Histories of a few clients, played to the broker and to a naive reference that judges every packet it sends."""
