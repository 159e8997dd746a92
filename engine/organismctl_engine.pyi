"""mosaik for organismctl: network, groups, streams, maps and a relay (a Rust extension).

Ids, keys and digests are 32 bytes. Every wait releases the interpreter's lock and ends on Ctrl-C. Every
failure raises :class:`EngineError` with a plain sentence; an argument that cannot be used, ``ValueError``.
"""

from typing import Literal, final

__version__: str
MOSAIK_VERSION: str

class EngineError(RuntimeError):
    """What the engine, the network or mosaik could not do."""

@final
class Relay:
    """A plain-HTTP iroh relay, for sites without internet."""

    @staticmethod
    def start(host: str, port: int) -> Relay:
        """Listen on host and port (0: any)."""

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:3340``."""

    def close(self) -> None:
        """Stop it and wait until its port is free; again is a no-op."""

@final
class Validator:
    """What a group, stream or map requires of the other side: mosaik's own validators."""

    @staticmethod
    def jwt(
        keys: list[tuple[str, bytes]],
        *,
        issuers: list[str] = ...,
        audiences: list[str] = ...,
        subject: str | None = None,
        max_lifetime_s: int | None = None,
        max_age_s: int | None = None,
        allow_non_expiring: bool = False,
        claims: str = "{}",
    ) -> Validator:
        """A JWT policy: keys are ``(mosaik's algorithm name, bytes)`` in order, claims a JSON object's text."""

    @staticmethod
    def tdx(
        *,
        mrtd: bytes | None = None,
        rtmr0: bytes | None = None,
        rtmr1: bytes | None = None,
        rtmr2: bytes | None = None,
        rtmr3: bytes | None = None,
        variants: list[dict[str, bytes]] = ...,
        max_age_s: int | None = None,
        not_before_unix_s: int | None = None,
        max_lifetime_s: int | None = None,
    ) -> Validator:
        """A TDX policy: registers are 48 bytes, an unset one matches anything."""

    @property
    def signature(self) -> bytes:
        """mosaik's signature of the policy, a part of every group id."""

    @property
    def ticket_class(self) -> bytes:
        """The class of the tickets that it reads."""

    def admits(self, peer_id: bytes, network: bytes, data: bytes) -> bool:
        """mosaik's own verdict on a ticket of this peer in this network, as of now."""

@final
class Network:
    """One mosaik node. Dropped without :meth:`close`, it closes in the background, at the latest at exit."""

    @staticmethod
    def start(
        network: bytes,
        secret_key: bytes,
        *,
        relay: str | None = None,
        bind: list[str] = ...,
        bootstrap: list[tuple[bytes, list[str]]] = ...,
        tickets: list[tuple[bytes, bytes]] = ...,
        announce_s: float = 5.0,
        timeout_s: float = 30.0,
    ) -> Network:
        """Start a node and wait until it is reachable.

        Args:
            network: The network's id.
            secret_key: The seed of the node's ed25519 key.
            relay: The relay's URL; ``None``: mosaik's own relays, and its DHT, on the internet.
            bind: ``address:port`` texts; none: any port on every interface.
            bootstrap: Peers to start from, ``(peer id, ["host:port", …])``; they are asked again, with
                pauses of 1 s to 10 s, for as long as one of them is not in the catalog.
            tickets: Own tickets, ``(class, data)``.
            announce_s: How often the own entry is announced, give or take half.
            timeout_s: How long all of it may take.
        """

    @property
    def peer_id(self) -> bytes: ...
    @property
    def addresses(self) -> list[str]:
        """Where the node is reached directly, ``address:port``."""

    def sync_with(self, peer_id: bytes, addresses: list[str], timeout_s: float = 5.0) -> None:
        """Exchange catalogs with a peer now, and keep it as one to start from."""

    def set_tickets(self, tickets: list[tuple[bytes, bytes]]) -> None:
        """Publish these tickets and no others: new ones are added before old ones go."""

    def catalog(self) -> bytes:
        """Postcard of every signed entry, the own one included, as catalog sync sends it."""

    def peers(self) -> list[bytes]:
        """The peers in the catalog, without ourselves."""

    def group(
        self,
        secret: bytes,
        signature: bytes,
        *,
        validators: list[Validator] = ...,
        batch: int = 2000,
        fetch_timeout_s: int = 25,
        heartbeat_ms: int = 500,
        heartbeat_jitter_ms: int = 150,
        max_missed_heartbeats: int = 10,
        record: bool = False,
    ) -> Group:
        """Join a group; all but ``record`` is part of its id."""

    def producer(
        self,
        stream_id: bytes,
        *,
        validators: list[Validator] = ...,
        only: list[bytes] | None = None,
        buffer: int = 1024,
    ) -> Producer:
        """Begin to produce a stream, for everybody or ``only`` for these peers."""

    def inbox(self) -> Inbox:
        """One queue for many subscriptions."""

    def map_writer(self, store_id: bytes, *, validators: list[Validator] = ...) -> ItemMap:
        """Join a map's writers."""

    def map_reader(self, store_id: bytes, *, validators: list[Validator] = ...) -> ItemMap:
        """Join a map as a reader."""

    def close(self, grace_s: float = 1.5) -> None:
        """Leave everything, let peers hear of it, and close the node; again is a no-op."""

@final
class Group:
    """A joined group; dropping it leaves."""

    @property
    def id(self) -> bytes: ...
    def status(self) -> GroupStatus:
        """What this node knows of the group now."""

    def execute(self, commands: list[bytes], timeout_s: float) -> int:
        """Bare mosaik's answer: the index of the last command. Not safe by itself: a minority answers too."""

    def applied(self) -> list[bytes]:
        """Every command that this node's machine applied, in order; needs ``record=True``."""

    def leave(self) -> None:
        """Leave; again is a no-op."""

@final
class GroupStatus:
    """A group as one node sees it."""

    @property
    def leader(self) -> bytes | None: ...
    @property
    def bonds(self) -> list[bytes]: ...
    @property
    def committed(self) -> int: ...
    @property
    def term(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def online(self) -> bool: ...

@final
class Producer:
    """The sending side of a stream; dropping it closes it."""

    def send(self, data: bytes) -> Literal["sent", "offline", "full", "closed"]:
        """Send a datum as it is to every subscriber; never waits."""

    def consumers(self) -> list[bytes]:
        """Who is subscribed now."""

    def close(self) -> None:
        """Turn every subscriber away; again is a no-op. mosaik goes on advertising the stream."""

@final
class Inbox:
    """One queue for many subscriptions."""

    def subscribe(
        self,
        stream_id: bytes,
        tag: int,
        *,
        validators: list[Validator] = ...,
        only: list[bytes] | None = None,
        limit: int = 100_000,
    ) -> Subscription:
        """Subscribe to a stream, of every producer or ``only`` of these peers.

        Beyond ``limit`` waiting items (or 64 MiB) of this subscription its oldest go, and are counted.
        """

    def recv(self, timeout_s: float, limit: int = 1000) -> list[tuple[int, bytes]]:
        """``(tag, data)``, oldest first; empty after the timeout, and at once when closed."""

    def close(self) -> None:
        """End every wait, now and from now on."""

@final
class Subscription:
    """The receiving side of a stream; dropping it ends it."""

    @property
    def producers(self) -> list[bytes]:
        """Whom it is connected to now."""

    @property
    def received(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    def close(self) -> None:
        """End it; what waits in the inbox is forgotten. Again is a no-op."""

@final
class ItemMap:
    """A surface as a replicated map from seq to item, the marker under 2**64 - 1; dropping it leaves."""

    @property
    def group_id(self) -> bytes: ...
    def insert(self, key: int, item: bytes, timeout_s: float) -> None:
        """Write an item (postcard, checked), and wait until the map has it."""

    def get(self, key: int) -> bytes | None:
        """The item under a key, as postcard."""

    def keys(self) -> list[int]:
        """Every key, in ascending order."""

    def online(self) -> bool:
        """Whether the map can be written to, or is caught up, as far as this node knows."""

    def close(self) -> None:
        """Leave; again is a no-op."""

def vectors(seed: int, count: int) -> str:
    """Golden vectors out of mosaik's own types, as JSON: fixed ones, and ``count`` random configs by seed."""
