"""The resident exporter: looks again and again, remembers since when, and tells Prometheus; it never acts."""
