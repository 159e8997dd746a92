"""The normalised OrganismConfig: what organism.toml says, after validation, as plain values.

``files/organism.py`` makes it from TOML; everything else reads it. Ids are 32 raw bytes, durations are
integer milliseconds unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from organismctl.identity.validator import JwtValidator, TdxValidator

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Validator: TypeAlias = "JwtValidator | TdxValidator"

SCHEMA_VERSION = 1
KINDS = ("lattice", "organism", "atlas", "almanac", "chronicle", "compute", "randomness")
CLOCKS = ("slot", "tick")
SURFACE_TYPES = ("stream", "map", "vec")
DECODERS = ("surface-item", "exec")
FOLDS = ("join", "fan-in", "ticker")
STALLS = ("wait", "partial")
SCHEMES = ("organismctl/1", "declared", "exec")


@dataclass(frozen=True, slots=True)
class ReadSurface:
    """A public primitive of a spanned member that we read.

    Attributes:
        name: Our label; not part of the fingerprint.
        type: One of :data:`SURFACE_TYPES`.
        id: StreamId or StoreId, 32 bytes (the ``uid`` rule applied to the text of the file).
        decode: One of :data:`DECODERS`, or ``None``: events are counted, not read.
        command: The decoder's argv when ``decode`` is ``exec``.
    """

    name: str
    type: str
    id: bytes
    decode: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issuer:
    """A ticket issuer of a spanned member: whose tickets our nodes need there. Not in the fingerprint."""

    state: Literal["current", "next"]
    validator: Validator


@dataclass(frozen=True, slots=True)
class SpannedMember:
    """An upstream that the organism reads.

    Attributes:
        name: The operator's own label; not part of the fingerprint.
        kind: One of :data:`KINDS`.
        stable_id: 32 bytes.
        content_hash: 32 bytes when pinned, else ``None``.
        clock: One of :data:`CLOCKS`.
    """

    name: str
    kind: str
    stable_id: bytes
    content_hash: bytes | None
    clock: str
    surfaces: tuple[ReadSurface, ...] = ()
    issuers: tuple[Issuer, ...] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """How observations become facts.

    Attributes:
        fold: ``join`` (a fact per clock event that all spanned members reported), ``fan-in`` (a fact per
            observation) or ``ticker`` (no spanned member: a fact per period).
        apply_deadline_ms: After this long a started fact is applied, by ``stall``.
        stall: ``wait`` for every spanned member, or commit ``partial`` evidence at the deadline.
        period_ms: How often Tick (and for ``ticker`` a fact) is proposed.
    """

    fold: str
    apply_deadline_ms: int
    stall: str
    period_ms: int


@dataclass(frozen=True, slots=True)
class Surface:
    """One of our own public primitives; ``explicit_id`` is ``None`` when the id is derived."""

    name: str
    type: str
    explicit_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """Inputs of mosaik's GroupId that stand outside the OrganismConfig (domain: A.4 to A.6)."""

    heartbeat_ms: int = 500
    heartbeat_jitter_ms: int = 150
    max_missed_heartbeats: int = 10
    machine: str = "organism.machine.v1"
    machine_type: str = "organismctl_engine::Machine"
    sync_batch: int = 2000
    sync_fetch_timeout_s: int = 25


@dataclass(frozen=True, slots=True)
class ChangeChannel:
    """Where notices are published, and the OpenSSH public keys that sign them."""

    url: str
    signers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Genesis:
    """Where a stranger's trust in the roster starts: the digest of the first roster."""

    roster: bytes


@dataclass(frozen=True, slots=True)
class IdentityScheme:
    """How the fingerprint is made.

    Attributes:
        scheme: One of :data:`SCHEMES`.
        fingerprint: For ``declared``: 32 bytes.
        stable_id: For ``declared``: 32 bytes, or ``None``.
        machine_signature: For ``declared``: 32 bytes, or ``None``.
        surface_ids: For ``declared``: surface name to 32 bytes.
        command: For ``exec``: argv of the organism's own binary, which prints JSON with the same keys.
    """

    scheme: str = "organismctl/1"
    fingerprint: bytes | None = None
    stable_id: bytes | None = None
    machine_signature: bytes | None = None
    surface_ids: Mapping[str, bytes] = field(default_factory=dict)
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrganismConfig:
    """One organism, whole and in public."""

    name: str
    network: bytes
    span: tuple[SpannedMember, ...]
    driver: Driver
    content: Mapping[str, Json]
    surfaces: tuple[Surface, ...]
    acl: tuple[Validator, ...]
    group: GroupInputs = field(default_factory=GroupInputs)
    change_channel: ChangeChannel | None = None
    genesis: Genesis | None = None
    identity: IdentityScheme = field(default_factory=IdentityScheme)
    network_text: str = ""
