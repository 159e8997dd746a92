"""Checks: pure functions from config, snapshot and time to findings; one file a check."""
