"""Hosts as an operator writes them."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Whether only this host reaches it: an address of 127.0.0.0/8, ``::1`` or ``localhost``.

    Args:
        host: A name or an address, an IPv6 one without brackets, as ``urlsplit(url).hostname`` gives it.
    """
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
