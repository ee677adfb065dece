"""Why a store cannot do what it is asked. The words go into the log and to refused clients."""


class StoreError(Exception):
    """`str()` is one sentence for an operator."""


class Full(StoreError):
    """The disk is full, or the file as large as the configuration allows."""


class ReadOnly(StoreError):
    """The file or its folder cannot be written."""


class Broken(StoreError):
    """The disk fails: an input or output error."""


class Corrupt(StoreError):
    """The file is not what was written."""


class Schema(StoreError):
    """The file was written by a newer version of emqtwist."""


class Locked(StoreError):
    """Another process uses the folder."""


class Stopped(StoreError):
    """The store has ended, or ended while it was asked."""


KINDS = {kind.__name__: kind for kind in (StoreError, Full, ReadOnly, Broken, Corrupt, Schema, Locked, Stopped)}
