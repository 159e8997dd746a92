"""One node over its API: what the fleet asks and commands, and the change store that keeps copies.

The seam for the client's exceptions: whatever leaves here is one of the kinds that the engine knows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, clean, parse_object
from organismctl.change.copies import ContradictionError, MissingLinesError
from organismctl.change.errors import LedgerRefusedError, TransientError
from organismctl.change.fleet import REFUSES
from organismctl.errors import UnreachableError

if TYPE_CHECKING:
    from organismctl.committee.client import NodeClient
    from organismctl.identity.config import Json


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn the client's exceptions into the engine's.

    Args:
        name: The node's name, for messages.

    Raises:
        ContradictionError, MissingLinesError: From the change store.
        LedgerRefusedError: Refused for certain.
        TransientError: The outcome is open, or there is no majority.
        UnreachableError: The node cannot be asked, or what answers is no node of ours.
    """
    from organismctl.committee.client import (
        NodeAccessError,
        NodeBusyError,
        NodeError,
        NodeRefusedError,
        NoMajorityError,
        OutcomeUnknownError,
    )

    try:
        yield
    except NodeRefusedError as exc:
        message = clean(exc.message, 500)
        if exc.code == "contradiction":
            raise ContradictionError(f"{name}: {message}") from exc
        if exc.code == "missing_lines":
            raise MissingLinesError(f"{name}: {message}") from exc
        raise LedgerRefusedError(message, code=exc.code, advice=exc.advice) from exc
    except (NoMajorityError, OutcomeUnknownError, NodeBusyError) as exc:
        message = clean(exc.message, 500)
        raise TransientError(f"{name}: {message}", blocker=message, advice=exc.advice) from exc
    except NodeAccessError as exc:
        raise UnreachableError(f"{name} {REFUSES}: {clean(exc.message, 500)}", advice=exc.advice) from exc
    except NodeError as exc:
        raise UnreachableError(f"{name}: {clean(exc.message, 500)}", advice=exc.advice) from exc
    except UnreachableError as exc:
        raise UnreachableError(f"{name}: {clean(exc.message, 500)}", advice=exc.advice) from exc


class Node:
    """A node of the deployment file.

    Args:
        name: Its name.
        peer_id: 64 hex.
        client: Its API; ``None`` when the deployment file gives no url.
    """

    def __init__(self, name: str, peer_id: str, client: NodeClient | None) -> None:
        self.name = name
        self.peer_id = peer_id
        self._client = client
        # A client serves one thread at a time; the fleet and the copies ask from threads of their own.
        self._lock = threading.Lock()

    @contextmanager
    def client(self) -> Iterator[NodeClient]:
        """The client, for this thread alone, with its exceptions translated.

        Raises:
            UnreachableError: The deployment file gives no url.
        """
        if self._client is None:
            raise UnreachableError(f"{self.name}: no url in deployment.toml")
        with self._lock, translated(self.name):
            yield self._client

    def status(self) -> Mapping[str, Any]:
        """See :meth:`NodeApi.status`."""
        with self.client() as client:
            return client.status()

    def digest(self, height: int) -> str | None:
        """See :meth:`NodeApi.digest`."""
        from organismctl.committee.client import NodeNotFoundError

        with self.client() as client:
            try:
                return client.log_digest(height).digest.hex()
            except NodeNotFoundError:
                return None

    def append(self, command: Mapping[str, Json], request_id: str) -> Mapping[str, Any]:
        """See :meth:`NodeApi.append`."""
        with self.client() as client:
            done = client.append(command, request_id)
            return {"height": done.height, "effects": [dict(effect) for effect in done.effects]}

    def step_down(self) -> None:
        """See :meth:`NodeApi.step_down`."""
        with self.client() as client:
            client.step_down()


class NodeTarget:
    """The change store of a node; see :class:`~organismctl.change.copies.Target`."""

    def __init__(self, node: Node, *, spare: bool = False) -> None:
        self.node = node
        self._spare = spare

    @property
    def name(self) -> str:
        """See :attr:`Target.name`."""
        return f"node {self.node.name}"

    @property
    def spare(self) -> bool:
        """See :attr:`Target.spare`."""
        return self._spare

    @contextmanager
    def _client(self) -> Iterator[NodeClient]:
        try:
            with self.node.client() as client:
                yield client
        except UnreachableError as exc:
            raise TransientError(exc.message, advice=exc.advice) from exc

    def ids(self) -> list[str]:
        """See :meth:`Target.ids`."""
        with self._client() as client:
            return [info.id for info in client.changes()]

    def get(self, change: str) -> tuple[str, list[str]] | None:
        """See :meth:`Target.get`."""
        from organismctl.committee.client import NodeNotFoundError

        with self._client() as client:
            try:
                copy = client.change(change)
            except NodeNotFoundError:
                return None
            return canonical(copy.plan).decode(), list(copy.lines)

    def put(self, change: str, plan: str | None, start: int, lines: Sequence[str]) -> None:
        """See :meth:`Target.put`."""
        body = None if plan is None else parse_object(plan)
        with self._client() as client:
            client.put_change(change, body, start, lines)
