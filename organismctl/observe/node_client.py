"""The node client as the observer uses it: it gathers, and leaves the judging to the checks."""

from __future__ import annotations

import ssl
from functools import cache

from organismctl.committee.client import NodeClient
from organismctl.committee.strict import JsonObject


class LookingClient(NodeClient):
    """A node client that takes a NodeStatus as it is."""

    def raw_status(self) -> JsonObject:
        """NodeStatus as a JSON object, unread.

        The checks read it, so that a snapshot's file is read just as carefully as a node; reading it twice
        would cost a look at n nodes with n bonds each a second pass over all of them.
        """
        return self._read("/v1/status", dict)

    def _tls(self) -> ssl.SSLContext:
        """The context for plain HTTP, which is never used but always built, is shared by all nodes."""
        return super()._tls() if self.url.startswith("https:") else _unused()


def warm_up() -> None:
    """Load what a first request loads, once and here: a hundred threads would wait for each other's imports."""
    import encodings.idna  # noqa: F401 # what the first look-up of a host's name loads

    with LookingClient("http://127.0.0.1") as client:
        client._session()


@cache
def _unused() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
