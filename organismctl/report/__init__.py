"""One result, many formats."""
