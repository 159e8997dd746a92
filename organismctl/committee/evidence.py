"""Evidence: what an observation points to upstream, and the committee members who vouch for it.

A pointer names one upstream event; a vouch is a committee member's signature that says "I saw this event, or
resolved it, myself". Vouches of a majority of the roster are gathered before an Observe is proposed, so that
an upstream which does not answer never holds up the ledger; the machine checks hash and vouches alone, hence
every node comes to the same answer whatever it can reach.

The signed message is ``H(DOMAIN ‖ fingerprint ‖ postcard(pointer))``. The fingerprint keeps a vouch of one
organism from being used in another; the event itself is bound by the pointer's ``blake3``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import TypeAlias

from organismctl.identity.digest import h
from organismctl.identity.peer import sign, verify
from organismctl.identity.roster import majority

DOMAIN = b"organismctl/vouch/1|"
"""Domain separation of the signed message."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where an observed event stands upstream.

    Attributes:
        stable_id: The spanned member, 32 bytes.
        surface_id: Its stream or store, 32 bytes.
        clock_event: The slot or tick that the event reports (u64).
        position: Its place on the surface (u64): the seq, or what the decoder gives; strictly rising there.
        blake3: ``H(event)``, 32 bytes.
    """

    stable_id: bytes
    surface_id: bytes
    clock_event: int
    position: int
    blake3: bytes


@dataclass(frozen=True, slots=True)
class Vouch:
    """One committee member's signature over a pointer: peer id (32 bytes), ed25519 signature (64 bytes)."""

    peer_id: bytes
    signature: bytes


Verifier: TypeAlias = "Callable[[bytes, bytes, bytes], bool]"
"""``(peer_id, message, signature) -> valid``; must be a pure function of its arguments."""


@dataclass(frozen=True, slots=True)
class VouchResult:
    """What the vouches of an observation amount to.

    Attributes:
        needed: How many are needed: a majority of the roster.
        valid: Roster members whose vouch is valid.
        invalid: Signers whose signature does not verify.
        foreign: Signers who are not in the roster.
        hash_matches: Whether the event is the one that the pointer names.
    """

    needed: int
    valid: frozenset[bytes]
    invalid: frozenset[bytes]
    foreign: frozenset[bytes]
    hash_matches: bool

    @property
    def missing(self) -> int:
        """How many more valid vouches it takes."""
        return max(0, self.needed - len(self.valid))

    @property
    def verified(self) -> bool:
        """Whether the observation stands."""
        return self.hash_matches and not self.missing

    def __bool__(self) -> bool:
        """Same as :attr:`verified`."""
        return self.verified

    @property
    def reason(self) -> str:
        """Why it does not stand; empty when it does."""
        if not self.hash_matches:
            return "the event does not hash to its pointer"
        if self.missing:
            return f"{len(self.valid)} valid vouches of {self.needed} needed"
        return ""


def pointer_bytes(pointer: Pointer) -> bytes:
    """The canonical postcard encoding of a pointer: 64 raw bytes, two varints, 32 raw bytes."""
    return b"".join(
        (
            pointer.stable_id,
            pointer.surface_id,
            _varint(pointer.clock_event),
            _varint(pointer.position),
            pointer.blake3,
        )
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def vouch_message(fingerprint: bytes, pointer: Pointer) -> bytes:
    """The 32 bytes that a voucher signs.

    Args:
        fingerprint: The organism's fingerprint, 32 bytes.
        pointer: The event that is vouched for.
    """
    return h(DOMAIN + fingerprint + pointer_bytes(pointer))


def point(stable_id: bytes, surface_id: bytes, clock_event: int, position: int, event: bytes) -> Pointer:
    """The pointer of an event that was seen."""
    return Pointer(stable_id, surface_id, clock_event, position, h(event))


def make_vouch(seed: bytes, peer_id: bytes, fingerprint: bytes, pointer: Pointer) -> Vouch:
    """Vouch for a pointer.

    Args:
        seed: The node's ed25519 seed, 32 bytes.
        peer_id: Its public key.
        fingerprint: The organism's fingerprint.
        pointer: An event that this node saw or resolved itself.
    """
    return Vouch(peer_id, sign(seed, vouch_message(fingerprint, pointer)))


def verify_signature(peer_id: bytes, message: bytes, signature: bytes) -> bool:
    """The full check of one signature: the default :data:`Verifier`."""
    return verify(peer_id, message, signature)


def trust_certified(peer_id: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001
    """A :data:`Verifier` that believes every vouch of a roster member.

    Only for replaying entries whose outcome this node has checked before: up to a height at which it knows
    the state digest, which the replay must then reproduce (``fold.Anchor``). Anywhere else a false vouch
    would be let through that other nodes refused.
    """
    return True


class CachedVerifier:
    """Remembers the last valid signatures, so that what was checked at the door is not checked again.

    A node checks vouches when it gathers or acknowledges an Observe and again when it applies it. Only
    positive answers are kept, keyed by the whole triple, so the cache never changes an answer.

    Args:
        capacity: How many triples are remembered.
        verifier: What checks a signature that is not remembered.
    """

    def __init__(self, capacity: int = 4096, verifier: Verifier = verify_signature) -> None:
        self._capacity = capacity
        self._verifier = verifier
        self._known: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()

    def __call__(self, peer_id: bytes, message: bytes, signature: bytes) -> bool:
        """See :data:`Verifier`."""
        key = (peer_id, message, signature)
        if key in self._known:
            self._known.move_to_end(key)
            return True
        if not self._verifier(peer_id, message, signature):
            return False
        self._known[key] = None
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return True

    def __len__(self) -> int:
        return len(self._known)


def verify_vouches(
    pointer: Pointer,
    event: bytes,
    vouches: Iterable[Vouch],
    roster: Set[bytes],
    fingerprint: bytes,
    *,
    verifier: Verifier = verify_signature,
) -> VouchResult:
    """Judge an observation's evidence; never raises.

    Args:
        pointer: What it claims.
        event: The event's bytes.
        vouches: Signatures, in any order; a member who signed twice counts once.
        roster: Peer ids of the certified roster.
        fingerprint: The organism's fingerprint.
        verifier: How a signature is checked.

    Returns:
        A threshold result. Checking stops at a majority, so the surplus is in none of its sets.
    """
    needed = majority(len(roster))
    valid: set[bytes] = set()
    invalid: set[bytes] = set()
    foreign: set[bytes] = set()
    matches = h(event) == pointer.blake3
    message = vouch_message(fingerprint, pointer) if matches else b""
    for vouch in vouches if matches else ():
        if len(valid) >= needed:
            break
        if vouch.peer_id not in roster:
            foreign.add(vouch.peer_id)
        elif vouch.peer_id not in valid:
            good = verifier(vouch.peer_id, message, vouch.signature)
            (valid if good else invalid).add(vouch.peer_id)
    return VouchResult(needed, frozenset(valid), frozenset(invalid - valid), frozenset(foreign), matches)
