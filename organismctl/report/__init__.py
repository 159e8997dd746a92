"""One result, many formats. Nothing here prints: a formatter gives text, and the CLI puts it somewhere."""
