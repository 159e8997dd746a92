"""The seam to ``organismctl-engine``, the extension that speaks mosaik: loaded late, typed here, errors translated.

The shapes below are those of the extension's own stubs (``engine/organismctl_engine.pyi``), as far as a node uses
them; the package itself never needs the extension to be there.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from organismctl.errors import OrganismError

MODULE = "organismctl_engine"
BUILD = "build and install it with `make engine` (it needs cargo), or install the wheel organismctl-engine"


class Validator(Protocol):
    """What a group, stream or map requires of the other side."""

    @property
    def signature(self) -> bytes:
        """As mosaik folds it into a group id."""
        ...


class Producer(Protocol):
    """This node's end of a stream that it serves."""

    def send(self, data: bytes) -> str:
        """``sent``, ``offline`` (nobody subscribed), ``full`` or ``closed``; never blocks."""
        ...

    def consumers(self) -> list[bytes]:
        """Who is subscribed: a peer id each."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Subscription(Protocol):
    """This node's end of a stream that it reads."""

    @property
    def producers(self) -> list[bytes]:
        """Who serves it to us now."""
        ...

    @property
    def received(self) -> int:
        """Items since it began."""
        ...

    @property
    def dropped(self) -> int:
        """Items that gave way because nobody took them."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Inbox(Protocol):
    """Many subscriptions, one queue."""

    def subscribe(
        self,
        stream_id: bytes,
        tag: int,
        *,
        validators: list[Validator] = ...,
        only: list[bytes] | None = ...,
        limit: int = ...,
    ) -> Subscription:
        """Subscribe; what comes in carries the tag."""
        ...

    def recv(self, timeout_s: float, limit: int = ...) -> list[tuple[int, bytes]]:
        """What came in; empty after the timeout, and at once when closed. Blocks, without the GIL."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class ItemMap(Protocol):
    """A mosaik map from seq to surface item."""

    def insert(self, key: int, item: bytes, timeout_s: float) -> None:
        """Insert; blocks, without the GIL."""
        ...

    def get(self, key: int) -> bytes | None:
        """What stands under a key."""
        ...

    def keys(self) -> list[int]:
        """Every key."""
        ...

    def online(self) -> bool:
        """Whether it can be read and written now."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class GroupStatus(Protocol):
    """How a group stands, as mosaik tells it."""

    leader: bytes | None
    bonds: list[bytes]
    committed: int
    term: int
    index: int
    online: bool


class Group(Protocol):
    """A joined mosaik group."""

    @property
    def id(self) -> bytes:
        """Its id."""
        ...

    def status(self) -> GroupStatus:
        """How it stands."""
        ...

    def leave(self) -> None:
        """Leave it."""
        ...


class Network(Protocol):
    """One peer on a mosaik network; see the extension's own stubs for the arguments."""

    peer_id: bytes
    addresses: list[str]

    def set_tickets(self, tickets: list[tuple[bytes, bytes]]) -> None:
        """Publish these: what is new first, then what is gone is taken back."""
        ...

    def catalog(self) -> bytes:
        """Postcard of every signed peer entry that it knows, its own included."""
        ...

    def peers(self) -> list[bytes]:
        """Whom its catalog holds, itself left out."""
        ...

    def group(
        self,
        secret: bytes,
        signature: bytes,
        *,
        validators: list[Validator] = ...,
        batch: int = ...,
        fetch_timeout_s: int = ...,
        heartbeat_ms: int = ...,
        heartbeat_jitter_ms: int = ...,
        max_missed_heartbeats: int = ...,
    ) -> Group:
        """Join a group."""
        ...

    def producer(
        self,
        stream_id: bytes,
        *,
        validators: list[Validator] = ...,
        only: list[bytes] | None = ...,
        buffer: int = ...,
    ) -> Producer:
        """Serve a stream."""
        ...

    def inbox(self) -> Inbox:
        """A queue for subscriptions."""
        ...

    def map_writer(self, store_id: bytes, *, validators: list[Validator] = ...) -> ItemMap:
        """Write a map."""
        ...

    def map_reader(self, store_id: bytes, *, validators: list[Validator] = ...) -> ItemMap:
        """Read a map."""
        ...

    def close(self, grace_s: float = ...) -> None:
        """Leave in order; blocks, without the GIL."""
        ...


class Relay(Protocol):
    """A running relay."""

    @property
    def url(self) -> str:
        """Where peers reach it."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def load_engine() -> Any:
    """The extension's module.

    Raises:
        OrganismError: It is not installed, or cannot be loaded here.
    """
    try:
        return importlib.import_module(MODULE)
    except ModuleNotFoundError as exc:
        if exc.name != MODULE:
            raise
        raise OrganismError(
            "the mosaik carrier needs the extension organismctl-engine, which is not installed", advice=BUILD
        ) from exc
    except ImportError as exc:
        raise OrganismError(f"organismctl-engine cannot be loaded: {exc}", advice=BUILD) from exc


@contextmanager
def translated(what: str, advice: str | None = None) -> Iterator[None]:
    """Turn the extension's errors into ours.

    Args:
        what: What was tried, to stand after "mosaik cannot".
        advice: The next step.

    Raises:
        OrganismError: The extension failed.
    """
    try:
        yield
    except (RuntimeError, ValueError) as exc:
        # A ValueError is the extension's own word for an argument that it does not take.
        if isinstance(exc, RuntimeError) and not isinstance(exc, load_engine().EngineError):
            raise
        raise OrganismError(f"mosaik cannot {what}: {str(exc)[:500]}", advice=advice) from exc


def start_network(
    network: bytes,
    seed: bytes,
    *,
    relay: str | None,
    bind: list[str],
    bootstrap: list[tuple[bytes, list[str]]],
    tickets: list[tuple[bytes, bytes]],
    timeout_s: float,
) -> Network:
    """Begin to take part in a network; blocks for some seconds.

    Raises:
        OrganismError: It cannot: the address is taken, the relay does not answer.
    """
    engine = load_engine()
    bind = [_numeric(one) for one in bind]
    advice = (
        f"is the relay {relay} up, and is the address {', '.join(bind)} free?"
        if relay is not None
        else f"is the address {', '.join(bind)} free? Without [mosaik] relay, mosaik needs the internet"
    )
    with translated("start the network", advice):
        return cast(
            "Network",
            engine.Network.start(
                network,
                seed,
                relay=relay,
                bind=bind,
                bootstrap=bootstrap,
                tickets=tickets,
                timeout_s=timeout_s,
            ),
        )


def _numeric(address: str) -> str:
    """``HOST:PORT`` with the host as an IP address, which is what a socket is bound to; blocks.

    Raises:
        OrganismError: The name does not resolve.
    """
    host, _, port = address.rpartition(":")
    try:
        family, _, _, _, found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    except OSError as exc:
        raise OrganismError(
            f"the address {address} does not resolve on this host: {exc.strerror}",
            advice="give the [[node]] an address of this host",
        ) from exc
    return f"[{found[0]}]:{port}" if family == socket.AF_INET6 else f"{found[0]}:{port}"


def start_relay(host: str, port: int) -> Relay:
    """Start a relay.

    Raises:
        OrganismError: It cannot be started: the port is taken.
    """
    engine = load_engine()
    with translated(f"start a relay on {host}:{port}", "is another process using that port?"):
        return cast("Relay", engine.Relay.start(host, port))
