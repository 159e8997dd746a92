"""A fact: what the organism publishes when it has folded observations.

The bytes are postcard of ``Fact { version: u8 = 1, fold: u8 (join | fan-in | ticker), clock_event: u64,
tick_ms: u64, observations: Vec<Pointer>, missing: Vec<(stable_id: [u8; 32], surface_id: [u8; 32])> }`` with
``Pointer { stable_id: [u8; 32], surface_id: [u8; 32], clock_event: u64, position: u64, blake3: [u8; 32] }``;
observations and missing inputs stand in the order of (stable_id, surface_id). A fact is *degraded* when
something is missing: the stall policy ``partial`` let it go at its deadline. ``tick_ms`` is the certified
time at which the fact was made, so every node writes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from organismctl.committee.codec import U64, Choice, FieldError, Fixed, Many, Record
from organismctl.committee.command import POINTER
from organismctl.committee.evidence import Pointer
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer
from organismctl.errors import OrganismError
from organismctl.identity.config import FOLDS, Json

FACT_VERSION = 1
MAX_INPUTS = 1024
"""The most inputs (spanned member × surface) of an organism."""


class FactError(OrganismError):
    """Bytes that are not a fact."""


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """One public surface of a spanned member that the fold reads."""

    stable_id: bytes
    surface_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """See the module."""

    fold: str
    clock_event: int
    tick_ms: int
    observations: tuple[Pointer, ...] = ()
    missing: tuple[Input, ...] = ()

    @property
    def degraded(self) -> bool:
        """Whether an input is missing."""
        return bool(self.missing)


_INPUT = Record(Input, ("stable_id", Fixed(32)), ("surface_id", Fixed(32)))
_FACT = Record(
    Fact,
    ("fold", Choice(FOLDS)),
    ("clock_event", U64()),
    ("tick_ms", U64()),
    ("observations", Many(POINTER, MAX_INPUTS)),
    ("missing", Many(_INPUT, MAX_INPUTS)),
)


def encode_fact(fact: Fact) -> bytes:
    """The canonical bytes of a fact."""
    writer = Writer()
    writer.u64(FACT_VERSION)
    _FACT.put(writer, fact)
    return writer.done()


def decode_fact(data: bytes) -> Fact:
    """Read a fact.

    Raises:
        FactError: The bytes are not one canonical fact.
    """
    try:
        reader = Reader(data)
        if reader.u64() != FACT_VERSION:
            raise FactError("not a fact of a known version")
        fact: Fact = _FACT.get(reader)
        reader.end()
    except (FieldError, MalformedError) as exc:
        raise FactError(f"not a fact: {exc}") from exc
    for keys in (
        [(item.stable_id, item.surface_id) for item in fact.observations],
        [(item.stable_id, item.surface_id) for item in fact.missing],
    ):
        if any(a >= b for a, b in pairwise(keys)):
            raise FactError("not a fact: its inputs are not in order")
    return fact


def fact_to_json(fact: Fact) -> dict[str, Json]:
    """The JSON form, with ``degraded`` said."""
    return {**_FACT.dump(fact), "degraded": fact.degraded}


def upstream_clock_event(data: bytes, seq: int) -> int:
    """The clock event of an item on a surface that is read with ``decode = "surface-item"``.

    Args:
        data: The bytes of the item's Fact.
        seq: The item's seq.

    Returns:
        The fact's own clock event; the seq for bytes of another make.
    """
    try:
        return decode_fact(data).clock_event
    except FactError:
        return seq
