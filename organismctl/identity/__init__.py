"""Identities: digests, encodings, validators, tickets, fingerprints. Pure: no I/O and no clock."""
