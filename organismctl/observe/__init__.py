"""Observation: one file a source; a snapshot is all facts of one look at the world."""
