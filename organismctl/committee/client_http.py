"""The client's seam to the HTTP library: its exceptions end here; answers are bounded in size and time."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from organismctl.committee import answers
from organismctl.committee.answers import Fault
from organismctl.committee.strict import JsonObject, MalformedAnswerError, read_json
from organismctl.errors import InputError, OrganismError, RefusedError, UnreachableError
from organismctl.exits import Exit

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

TIMEOUT_S = 3.0
"""How long an ordinary answer may take."""
APPEND_TIMEOUT_S = 15.0
"""How long a command may take: longer than the node itself waits for a majority."""
MAX_ANSWER = 16 << 20
MAX_FAULT = 1 << 20
MAX_LINE = 1 << 20


class NodeError(OrganismError):
    """Base of what can go wrong with a node that answers.

    Attributes:
        status: The HTTP status, or 0.
        code: The node's error code, or a word of ours.
    """

    exit = Exit.UNKNOWN

    def __init__(self, message: str, *, status: int = 0, code: str = "", advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.code = code


class NodeAnswerError(NodeError):
    """What answers does not speak the contract."""


class NodeAccessError(NodeError):
    """The node refuses this caller (401, 403): says nothing about the committee."""


class NodeNotFoundError(NodeError):
    """There is no such thing on this node (404)."""


class NodeBusyError(NodeError):
    """A limit of the node is reached (429, 503 ``busy``): ask again later."""


class NoMajorityError(NodeError):
    """Less than a majority in sight: the command was not taken and will not be."""

    exit = Exit.UNHEALTHY


class OutcomeUnknownError(NodeError):
    """The command was proposed and may yet be certified: repeat it with the same request id."""


class NodeRefusedError(RefusedError):
    """The committee refuses for certain (409): not applied, nor will be.

    Attributes:
        status: 409.
        code: The machine's or the API's code: ``fence``, ``sealed``, ``contradiction``, ``missing_lines``.
        effects: The command's effects in JSON form, when it was certified and refused (``lease_refused``).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 409,
        code: str = "refused",
        advice: str | None = None,
        effects: tuple[JsonObject, ...] = (),
    ) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.code = code
        self.effects = effects


class Http:
    """A node's address, token and connections; ``NodeClient`` is its face."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        ca: str | Path | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token):
            raise InputError("the token holds characters that no token has", advice="write its file anew")
        self._token = token
        self._ca = ca
        self._client: httpx2.Client | None = None
        self._mutex = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections; a later call opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read(
        self,
        path: str,
        read: Callable[[JsonObject], T],
        query: Mapping[str, int] | None = None,
        limit: int = MAX_ANSWER,
    ) -> T:
        data = self._call("GET", path, query, None, limit=limit, timeout=self.timeout)
        return self._checked(lambda raw: read(read_json(raw)), data)

    def _post(self, path: str, body: Mapping[str, Any], read: Callable[[JsonObject], T]) -> T:
        data = self._call(
            "POST", path, None, body, limit=MAX_ANSWER, timeout=max(self.timeout, APPEND_TIMEOUT_S)
        )
        return self._checked(lambda raw: read(read_json(raw)), data)

    def _checked(self, read: Callable[[bytes], T], data: bytes) -> T:
        try:
            return read(data)
        except MalformedAnswerError as exc:
            raise NodeAnswerError(
                f"{self.url} does not answer as a node of ours: {exc}",
                code="malformed",
                advice="check the url in deployment.toml, and that the node runs this version",
            ) from exc

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
        deadline = time.monotonic() + timeout
        with self._stream(method, path, query, body, timeout) as response:
            return self._drain(response, limit, deadline)

    @contextmanager
    def _stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, int] | None,
        body: Mapping[str, Any] | None,
        timeout: float,
    ) -> Iterator[httpx2.Response]:
        import httpx2

        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"accept-encoding": "identity"}
        if content is not None:
            headers["content-type"] = "application/json"
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        limits = httpx2.Timeout(timeout, connect=min(timeout, self.timeout))
        try:
            with self._session().stream(
                method,
                self.url + path,
                params=None if query is None else {key: str(value) for key, value in query.items()},
                content=content,
                headers=headers,
                timeout=limits,
            ) as response:
                if response.status_code != 200:
                    self._fail(response, time.monotonic() + self.timeout)
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as exc:
            raise self._unreachable(exc) from exc

    def _session(self) -> httpx2.Client:
        with self._mutex:
            if self._client is None:
                import httpx2

                self._client = httpx2.Client(verify=self._tls(), trust_env=False, follow_redirects=False)
            return self._client

    def _tls(self) -> ssl.SSLContext:
        if not self.url.startswith("https:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return ssl.create_default_context(cafile=None if self._ca is None else str(self._ca))
        except (OSError, ssl.SSLError) as exc:
            raise InputError(
                f"the certificate authority {self._ca} cannot be used: {exc}",
                advice="`ca` names a PEM file with the authority's certificate",
            ) from exc

    def _drain(self, response: httpx2.Response, limit: int, deadline: float) -> bytes:
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > limit:
                raise NodeAnswerError(
                    f"{self.url} answers with more than {limit} bytes",
                    code="too_large",
                    advice="check the url in deployment.toml",
                )
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{self.url} did not finish its answer in time", advice="is the node overloaded?"
                )
        return bytes(data)

    def _lines(self, response: httpx2.Response, timeout: float) -> Iterator[bytes]:
        rest, began = b"", time.monotonic()
        for chunk in response.iter_raw():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if lines:
                began = time.monotonic()
            elif time.monotonic() - began > timeout:
                raise UnreachableError(
                    f"{self.url} did not finish a line in time", advice="is the node overloaded?"
                )
            if len(rest) > MAX_LINE:
                break
        if rest:
            raise NodeAnswerError(f"{self.url} sends a line that does not end", code="malformed")

    def _unreachable(self, exc: Exception) -> UnreachableError:
        why = "no answer in time" if "Timeout" in type(exc).__name__ else str(exc) or type(exc).__name__
        return UnreachableError(
            f"{self.url} cannot be reached: {why}",
            advice="is the node running there (`organismctl committee status`)? Unreachable is not unhealthy",
        )

    def _fail(self, response: httpx2.Response, deadline: float) -> None:
        status = response.status_code
        data = self._drain(response, 1 << 20, deadline)
        fault = self._checked(lambda raw: answers.read_fault(read_json(raw)), data)
        raise _fault(self.url, status, fault)


def _fault(url: str, status: int, fault: Fault) -> OrganismError:
    """The exception for an error answer."""
    message = f"{url}: {fault.message}"
    if status in (401, 403):
        return NodeAccessError(
            f"{url} refuses this caller: {fault.message}",
            status=status,
            code=fault.code,
            advice=fault.advice or "check the token files that deployment.toml names",
        )
    if status == 409:
        return NodeRefusedError(
            fault.message, status=status, code=fault.code, advice=fault.advice, effects=fault.effects
        )
    kind = NodeError
    if status == 404:
        kind = NodeNotFoundError
    elif fault.code == "no_majority":
        kind = NoMajorityError
    elif fault.code == "outcome_unknown":
        kind = OutcomeUnknownError
    elif status in (429, 503):
        kind = NodeBusyError
    return kind(message, status=status, code=fault.code, advice=fault.advice)
