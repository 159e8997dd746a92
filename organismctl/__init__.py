"""organismctl: the operator's tool for composite organisms on mosaik."""

__version__ = "0.1.0"
