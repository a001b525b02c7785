"""What can go wrong with the store, in the terms the API answers with."""


class StoreError(RuntimeError):
    """The store can't be read or written now (disk full, file damaged): 503, and the guard goes blind."""


class StoreHeld(StoreError):
    """Another process owns the DuckDB file; the text names it."""


class Busy(RuntimeError):
    """The writer's queue is full: 503 with Retry-After; nothing was lost, the sender keeps its events."""


class Rejected(ValueError):
    """One event can't be stored as it is: 4xx for that event alone."""
