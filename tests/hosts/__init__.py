"""Committees across hosts: one network namespace a host, one bridge between them; needs root, iproute2 and nftables."""
