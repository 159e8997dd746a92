"""Deterministic simulation of the certified ledger: seeded schedules of everything that can go wrong."""
