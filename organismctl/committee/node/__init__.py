"""A node: the process of one committee member, around the ledger, the machine and the driver."""
