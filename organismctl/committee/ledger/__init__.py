"""The certified ledger: a durable, hash-chained log of commands that a majority of the roster has on disk."""
