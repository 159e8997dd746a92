"""The operator's files: load, validate, save."""
