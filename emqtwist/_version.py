"""The version, kept once: setup.py reads it from here, and so does whatever reports it at run time."""

__version__ = "0.1.0"
