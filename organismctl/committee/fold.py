"""The fold: certified entries in, state and effects out, with checkpoints and digests at heights.

A fold keeps one machine state, the state digests of the last heights, and nothing that grows with the log.
It is the owner of its state. It knows nothing of files: checkpoints are values that its owner stores.

Three rules for a node that replays:

- *Trust.* Vouches of entries up to an :class:`Anchor` (a height whose state digest this node has written down
  before) are believed, which makes the replay several times faster; at the anchor the digest must come out
  again, else :class:`AnchorError` says so and the owner replays without it.
- *Resolution.* With a ``resolver``, an Observe that this node did not vouch for itself is resolved upstream
  first. A definite "gone" stops the fold *before* that entry: :class:`EvidenceUnresolvedError`. The ledger
  goes on; a certified VoidEvidence of that height and pointer (:meth:`Fold.void`) lets the fold go on too.
  The Observe then counts as it did everywhere else, so every node comes to the same digest.
- *Seal.* After the seal heights still count, but the state and its digest stay as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from organismctl.committee.command import CommandError, Observe, VoidEvidence, decode_command
from organismctl.committee.evidence import Pointer, Verifier, trust_certified, verify_signature
from organismctl.committee.machine import (
    Effects,
    MachineConfig,
    State,
    decode_state,
    encode_state,
    initial_state,
    state_digest,
    step_bytes,
)
from organismctl.errors import OrganismError
from organismctl.exits import Exit

KEEP_DIGESTS = 1024
"""How many state digests are kept."""


class Resolution(StrEnum):
    """What became of a pointer upstream."""

    VOUCHED = "vouched"
    """This node saw or resolved it itself before."""
    RESOLVED = "resolved"
    """It resolves now."""
    GONE = "gone"
    """The upstream answers, and has it no more."""
    UNKNOWN = "unknown"
    """Nobody can say: no answer, or a surface without replay."""


Resolver: TypeAlias = "Callable[[int, Pointer], Resolution]"
"""``(height, pointer) -> resolution``; only ``GONE`` stops a fold."""


class EvidenceUnresolvedError(OrganismError):
    """A replay met an observation whose upstream commit is gone (finding ``EVIDENCE-UNRESOLVED``).

    Attributes:
        height: The Observe's height.
        pointer: What does not resolve.
    """

    exit = Exit.UNHEALTHY

    def __init__(self, height: int, pointer: Pointer) -> None:
        super().__init__(
            f"the evidence of entry {height} (position {pointer.position} of spanned member "
            f"{pointer.stable_id.hex()[:10]}) is gone upstream",
            advice="ask the spanned member's operator for longer retention; then, or instead, VoidEvidence",
        )
        self.height = height
        self.pointer = pointer


class AnchorError(OrganismError):
    """A replay on trust did not come to the digest that was written down; replay again without an anchor."""

    exit = Exit.UNHEALTHY


@dataclass(frozen=True, slots=True)
class Anchor:
    """A height whose state digest this node computed with full checks before."""

    height: int
    state_digest: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A fold at a height: enough to go on from there.

    Attributes:
        height: The last entry that is in it.
        state: The canonical encoding of the state (:func:`organismctl.committee.machine.encode_state`).
        digest: Its digest; compared on restore.
    """

    height: int
    state: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry, applied."""

    height: int
    effects: Effects


class Fold:
    """See the module.

    Args:
        config: The machine's config.
        verifier: How vouches are checked; share a ``CachedVerifier`` with the door.
        resolver: Resolves pointers while replaying; ``None`` for entries that this node took part in.
        anchor: Up to where entries are trusted.
        checkpoint_every: How many entries lie between two checkpoints; 0 for none.
        on_checkpoint: Called with each checkpoint.
        keep_digests: Of how many heights the state digest is kept.
    """

    def __init__(
        self,
        config: MachineConfig,
        *,
        verifier: Verifier = verify_signature,
        resolver: Resolver | None = None,
        anchor: Anchor | None = None,
        checkpoint_every: int = 0,
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
        keep_digests: int = KEEP_DIGESTS,
    ) -> None:
        self.config = config
        self.resolver = resolver
        self.stopped: EvidenceUnresolvedError | None = None
        self._verifier = verifier
        self._anchor = anchor
        self._checkpoint_every = checkpoint_every
        self._on_checkpoint = on_checkpoint
        self._keep_digests = keep_digests
        self._state = initial_state(config)
        self._height = -1
        self._digests: OrderedDict[int, bytes] = OrderedDict()
        self._voided: dict[int, Pointer] = {}

    @property
    def state(self) -> State:
        """The state at :attr:`height`; for reading. Take a copy to keep it."""
        return self._state

    @property
    def height(self) -> int:
        """The last applied entry; -1 before Genesis."""
        return self._height

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; the anchor, if any, still counts.

        Raises:
            StateError: The checkpoint is damaged or of another organism.
        """
        state = decode_state(self.config, checkpoint.state)
        digest = state_digest(state)
        if digest != checkpoint.digest or state.height > checkpoint.height:
            raise AnchorError(f"the checkpoint at height {checkpoint.height} does not match its digest")
        if state.height != checkpoint.height and not state.sealed:
            raise AnchorError(f"the checkpoint's state is of height {state.height}, not {checkpoint.height}")
        self._state, self._height = state, checkpoint.height
        self._digests.clear()
        self._note(digest)
        self.stopped = None

    def checkpoint(self) -> Checkpoint:
        """The fold as it stands."""
        data = encode_state(self._state)
        return Checkpoint(self._height, data, state_digest(self._state))

    def apply(self, height: int, data: bytes, *, digest: bool = True) -> Applied:
        """Apply the next certified entry.

        Args:
            height: One more than :attr:`height`.
            data: The entry's command bytes.
            digest: Whether to keep the state digest at this height; leave it out on a long replay.

        Raises:
            EvidenceUnresolvedError: Its evidence is gone; the state is as before, and the same call may be
                repeated after :meth:`void`.
            AnchorError: The trusted replay came out differently.
            ValueError: ``height`` does not follow; a defect of the caller.
        """
        if height != self._height + 1:
            raise ValueError(f"height {height} does not follow {self._height}")
        trusted = self._anchor is not None and height <= self._anchor.height
        if self.resolver is not None and not self._state.sealed:
            self._resolve(height, data, self.resolver)
        self._state, effects = step_bytes(
            self._state, height, data, trust_certified if trusted else self._verifier
        )
        self._height = height
        self._voided.pop(height, None)
        if trusted:
            self._check_anchor()
        if digest:
            self._note(state_digest(self._state))
        if (
            self._checkpoint_every
            and height % self._checkpoint_every == 0
            and self._on_checkpoint is not None
        ):
            self._on_checkpoint(self.checkpoint())
        return Applied(height, effects)

    def replay(self, entries: Iterable[tuple[int, bytes]], *, digests_from: int = 0) -> Iterator[Applied]:
        """Apply many entries, one at a time.

        Args:
            entries: Height and command bytes, in order.
            digests_from: From which height on state digests are kept: the certified height less
                :data:`KEEP_DIGESTS` is enough.

        Yields:
            Each entry's outcome, after it was applied.

        Raises:
            EvidenceUnresolvedError: See :meth:`apply`.
            AnchorError: See :meth:`apply`.
        """
        for height, data in entries:
            yield self.apply(height, data, digest=height >= digests_from)

    def digest_at(self, height: int) -> bytes | None:
        """The state digest at a height, or ``None`` when it is not kept (any more) or not reached."""
        if height == self._height and height not in self._digests:
            self._note(state_digest(self._state))
        return self._digests.get(height)

    def void(self, command: VoidEvidence) -> bool:
        """Take a certified VoidEvidence of an entry that is still to come into account.

        The owner of a replay looks through the certified entries ahead for them (:func:`voids`).

        Returns:
            Whether it lets the fold that stopped go on.
        """
        if command.height <= self._height:
            return False
        self._voided[command.height] = command.pointer
        stopped = self.stopped
        if stopped is not None and (stopped.height, stopped.pointer) == (command.height, command.pointer):
            self.stopped = None
            return True
        return False

    def _resolve(self, height: int, data: bytes, resolver: Resolver) -> None:
        try:
            command = decode_command(data)
        except CommandError:
            return
        if not isinstance(command, Observe) or self._voided.get(height) == command.pointer:
            return
        if resolver(height, command.pointer) is Resolution.GONE:
            self.stopped = EvidenceUnresolvedError(height, command.pointer)
            raise self.stopped
        self.stopped = None

    def _check_anchor(self) -> None:
        anchor = self._anchor
        if anchor is None or self._height != anchor.height:
            return
        self._anchor = None
        if state_digest(self._state) != anchor.state_digest:
            raise AnchorError(
                f"the trusted replay up to height {anchor.height} did not come to the digest written down",
                advice="replay with full checks; should it happen again, this is not the ledger it applied",
            )

    def _note(self, digest: bytes) -> None:
        self._digests[self._height] = digest
        while len(self._digests) > self._keep_digests:
            self._digests.popitem(last=False)


def voids(entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, VoidEvidence]]:
    """The VoidEvidence commands among certified entries, with their heights."""
    for height, data in entries:
        try:
            command = decode_command(data)
        except CommandError:
            continue
        if isinstance(command, VoidEvidence) and command.height < height:
            yield height, command
