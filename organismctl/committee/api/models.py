"""The shapes of the API's answers and bodies, for the OpenAPI document and for checking what comes in."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

HEX64 = r"^[0-9a-f]{64}$"
B64 = r"^[A-Za-z0-9_-]*$"
Hex: TypeAlias = Annotated[str, Field(pattern=HEX64)]
Seq: TypeAlias = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
RequestId: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Fence: TypeAlias = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]


class Body(BaseModel):
    """A request's body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class HealthAnswer(BaseModel):
    """Whether the node is well."""

    ok: bool
    schema_: int = Field(alias="schema", default=1)
    sealed: bool


class SurfaceAnswer(BaseModel):
    """One surface."""

    name: str
    type: str
    id: Hex
    next_seq: int
    sealed: bool
    last_item_ms: int | None


class SurfacesAnswer(BaseModel):
    """The organism's surfaces."""

    fingerprint: Hex
    surfaces: list[SurfaceAnswer]


class ItemsAnswer(BaseModel):
    """Items by seq; each is a postcard SurfaceItem in base64url."""

    items: list[str]
    next: int
    sealed: bool


class MemberAnswer(BaseModel):
    """A committee member."""

    peer_id: Hex
    name: str


class GenesisAnswer(BaseModel):
    """The first roster and its digest."""

    roster: Hex
    members: list[MemberAnswer]


class RosterAnswer(BaseModel):
    """A roster."""

    version: int
    members: list[MemberAnswer]


class ChainAnswer(BaseModel):
    """The signed chain from the first roster to the present one; links are postcard in base64url."""

    genesis: GenesisAnswer
    links: list[str]
    roster: RosterAnswer


class CatalogAnswer(BaseModel):
    """Signed peer entries as mosaik's catalog sync sends them: postcard in base64url."""

    catalog: str


class ConfigAnswer(BaseModel):
    """What the node was started with."""

    fingerprint: Hex
    group_id: Hex | None
    fields: dict[str, str]


class TicketAnswer(BaseModel):
    """One ticket, never its bytes."""

    model_config = ConfigDict(populate_by_name=True)
    span: str
    class_: Hex = Field(alias="class")
    ticket_id: Hex
    horizon_ms: int | None
    valid: bool
    failing_step: str | None


class TicketsAnswer(BaseModel):
    """The tickets that the node holds."""

    tickets: list[TicketAnswer]


class TicketBody(Body):
    """A ticket to install."""

    span: str = Field(min_length=1, max_length=255)
    class_: str = Field(alias="class", pattern=HEX64)
    data: str = Field(min_length=1, max_length=90_000, pattern=B64)
    replace: bool = False


class InstalledAnswer(BaseModel):
    """The installed ticket."""

    ticket_id: Hex


class SubscriptionAnswer(BaseModel):
    """One subscription."""

    span: str
    surface: str
    state: str
    reason: str
    last_event_ms: int | None
    received: int
    observed: int
    position: int | None
    marker: dict[str, Any] | None
    arrived: int | None
    missed: int
    dropped: int
    producers: int | None
    vouches: list[int] | None


class WaitingAnswer(BaseModel):
    """An input that the next fact waits for, since when (certified time)."""

    span: str
    surface: str
    since_ms: int
    clock_event: int


class StallAnswer(BaseModel):
    """The stall policy, and what it does now."""

    policy: str
    waiting_for: list[WaitingAnswer]


class SubscriptionsAnswer(BaseModel):
    """Subscriptions, each by itself, and what the next fact waits for."""

    now_ms: int
    started_ms: int
    subscriptions: list[SubscriptionAnswer]
    stall: StallAnswer


class EntryAnswer(BaseModel):
    """One certified entry."""

    height: int
    epoch: int
    digest: Hex
    command: dict[str, Any]


class LogAnswer(BaseModel):
    """Certified entries."""

    entries: list[EntryAnswer]
    certified: int


class DigestAnswer(BaseModel):
    """The digests at a height."""

    height: int
    digest: Hex
    state_digest: Hex | None


class EvidenceItem(BaseModel):
    """One observation's evidence."""

    height: int
    pointer: dict[str, Any]
    state: str


class OldestEvidence(BaseModel):
    """The oldest observation of a surface that is kept."""

    height: int
    pointer: dict[str, Any]


class EvidenceExtent(BaseModel):
    """What is kept of one surface's evidence."""

    stable_id: Hex
    surface_id: Hex
    count: int
    gone: int
    oldest: OldestEvidence


class EvidenceAnswer(BaseModel):
    """The newest observations' evidence, how far it goes back, and why nothing is applied any more."""

    evidence: list[EvidenceItem]
    extent: list[EvidenceExtent]
    unresolved: str | None


class AppendBody(Body):
    """A command to certify; its fields depend on ``type`` and are checked by the machine's own codec."""

    command: dict[str, Any]
    request_id: RequestId | None = None


class AppendedAnswer(BaseModel):
    """A certified command."""

    outcome: str
    height: int
    effects: list[dict[str, Any]]


class DrainBody(Body):
    """Whom to drain."""

    node: str = Field(pattern=HEX64)
    drained: bool
    fence: Fence | None = None
    request_id: RequestId | None = None


class ProposerAnswer(BaseModel):
    """The proposer afterwards, as this node sees it."""

    proposer: Hex | None


class RetireBody(Body):
    """A retirement."""

    effective_at: str = Field(min_length=1, max_length=128)
    replacement: str | None = Field(default=None, min_length=1, max_length=512)
    reason: str = Field(default="", max_length=512)
    fence: Fence | None = None
    request_id: RequestId | None = None


class CancelBody(Body):
    """Cancels the retirement."""

    reason: str = Field(default="", max_length=512)
    fence: Fence | None = None
    request_id: RequestId | None = None


class ChangeItem(BaseModel):
    """A change whose journal is copied here."""

    id: str
    lines: int
    updated_ms: int


class ChangesAnswer(BaseModel):
    """The journal copies."""

    changes: list[ChangeItem]


class ChangeAnswer(BaseModel):
    """One journal copy."""

    id: str
    plan: dict[str, Any]
    lines: list[str]


class ChangeBody(Body):
    """Lines to append from number ``from`` on; the plan comes with the first ones."""

    plan: dict[str, Any] | None = None
    from_: int = Field(alias="from", ge=0, le=1 << 32)
    lines: list[Annotated[str, Field(max_length=1 << 20)]] = Field(max_length=10_000)


class CountAnswer(BaseModel):
    """How many lines there are now."""

    lines: int


class StoppingAnswer(BaseModel):
    """The node is stopping."""

    stopping: bool


class StopBody(Body):
    """Nothing to say."""
