"""The node client as the observer uses it: it gathers, and leaves the judging to the checks.

A look asks every node at the same moment, so on one core its length is one answer plus the CPU that all requests
take together. The standard library's client takes a third of httpx's for such a single GET (0.4 against 1.1 ms,
``benchmarks/committee_check.py``), and nothing has to be imported for it that takes long. What it must translate
ends in :meth:`LookingClient._call`, the seam.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from organismctl.committee.answers import read_fault
from organismctl.committee.client import NodeAnswerError, NodeClient
from organismctl.committee.client_http import MAX_FAULT, _fault
from organismctl.committee.strict import JsonObject, MalformedAnswerError, read_json
from organismctl.errors import UnreachableError

_CHUNK = 64 << 10


class LookingClient(NodeClient):
    """A node client for single questions, that takes a NodeStatus as it is."""

    def raw_status(self) -> JsonObject:
        """NodeStatus as a JSON object, unread.

        The checks read it, so that a snapshot's file is read just as carefully as a node; reading it twice
        would cost a look at n nodes with n bonds each a second pass over all of them.
        """
        return self._read("/v1/status", dict)

    def document(self, path: str, limit: int) -> JsonObject:
        """The JSON object at a path, unread: for another server of ours than a node.

        Raises:
            NodeError: It answers with something else.
            UnreachableError: It does not answer.
        """
        return self._read(path, dict, limit=limit)

    def wire_catalog(self, limit: int) -> bytes:
        """The catalog of the node's mosaik network, as catalog sync would send it; nothing of it is checked here.

        Args:
            limit: Most bytes of the answer.

        Raises:
            NodeAnswerError: It answers with something else.
            NodeNotFoundError: It has none: its carrier is not mosaik.
            UnreachableError: It does not answer.
        """
        return self._read("/v1/wire/catalog", _catalog, limit=limit)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, int] | None,
        body: Mapping[str, Any] | None,
        *,
        limit: int,
        timeout: float,
    ) -> bytes:
        if body is not None or method != "GET":
            return super()._call(method, path, query, body, limit=limit, timeout=timeout)
        end = time.monotonic() + timeout
        try:
            connection, base = self._connect(timeout)
            try:
                connection.request("GET", base + path + _query(query), headers=self._headers())
                with connection.getresponse() as response:  # it keeps the socket open for itself
                    data = self._bounded(response, limit if response.status == 200 else MAX_FAULT, end)
            finally:
                connection.close()
        except TimeoutError as exc:
            raise self._unreachable(exc) from exc
        except (
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as exc:  # ValueError: the url or a host's name
            raise self._unreachable(exc) from exc
        if response.status != 200:
            fault = self._checked(lambda raw: read_fault(read_json(raw)), data)
            raise _fault(self.url, response.status, fault)
        return data

    def _connect(self, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        """A connection that is not open yet, and the path that the url begins with."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, parts.port, timeout=timeout, context=self._tls()
            ), parts.path
        return http.client.HTTPConnection(host, parts.port, timeout=timeout), parts.path

    def _headers(self) -> dict[str, str]:
        headers = {"accept-encoding": "identity", "user-agent": "organismctl"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    def _bounded(self, response: http.client.HTTPResponse, limit: int, end: float) -> bytes:
        data = bytearray()
        while chunk := response.read1(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise NodeAnswerError(
                    f"{self.url} answers with more than {limit} bytes",
                    code="too_large",
                    advice="check the url in deployment.toml",
                )
            if time.monotonic() > end:
                raise UnreachableError(
                    f"{self.url} did not finish its answer in time", advice="is the node overloaded?"
                )
        if response.length:  # read1 gives what there is when the peer leaves early
            raise http.client.IncompleteRead(bytes(data), response.length)
        return bytes(data)


def _catalog(raw: JsonObject) -> bytes:
    """The bytes of ``{"catalog": base64url}``."""
    text = raw.get("catalog")
    if not isinstance(text, str):
        raise MalformedAnswerError("catalog is no text")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error) as exc:
        raise MalformedAnswerError("catalog is not base64url") from exc


def _query(query: Mapping[str, int] | None) -> str:
    return f"?{urlencode(query)}" if query else ""


def warm_up() -> None:
    """Load what a first request loads, once and here: a hundred threads would wait for each other's imports."""
    import encodings.idna  # noqa: F401 # what the first look-up of a host's name loads
