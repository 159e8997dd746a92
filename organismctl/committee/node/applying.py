"""The fold at work: certified entries in, state, effects and published items out, with checkpoints and constant memory.

Order per batch: resolve what must be resolved, apply entry by entry, keep what came of it, then the checkpoint, all in
one transaction of the node's store; then tell whoever waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from organismctl.committee.answers import DIGEST_STRIDE
from organismctl.committee.command import CommandError, Genesis, Observe, VoidEvidence, decode_command
from organismctl.committee.evidence import CachedVerifier, Pointer, pointer_bytes
from organismctl.committee.fold import AnchorError, EvidenceUnresolvedError, Fold, Resolution, voids
from organismctl.committee.ledger.entry import Entry
from organismctl.committee.ledger.runner import LedgerRunner
from organismctl.committee.machine import (
    Effects,
    EvidenceVoided,
    LeaseRefused,
    Refused,
    State,
    StateError,
)
from organismctl.committee.node.publishing import Publisher
from organismctl.committee.node.settings import NodeSettings
from organismctl.committee.node.store import NodeStore
from organismctl.committee.node.vouching import Vouching, observed

CHECKPOINT_EVERY = 1024
REMEMBER = 1024
"""Effects of the last entries, for whoever asked for them."""
log = logging.getLogger(__name__)

Heard: TypeAlias = "Callable[[Effects], None]"


class Applier:
    """See the module.

    Args:
        settings: The node.
        store: What is kept.
        runner: Certified entries.
        publisher: Where items go.
        vouching: Resolves evidence.
        verifier: Checks vouches.
        heard: Called with the effects of every entry, after it was applied.
        on_fault: Called when :attr:`fault` changed.
        started_ms: When this process started, Unix ms: entries that were certified before are a replay.
    """

    def __init__(
        self,
        settings: NodeSettings,
        store: NodeStore,
        runner: LedgerRunner,
        *,
        publisher: Publisher,
        vouching: Vouching,
        verifier: CachedVerifier,
        heard: Heard,
        on_fault: Callable[[], None],
        started_ms: int,
    ) -> None:
        self._settings = settings
        self._store = store
        self._runner = runner
        self._publisher = publisher
        self._vouching = vouching
        self._heard = heard
        self._on_fault = on_fault
        self._started_ms = started_ms
        self._resolved: dict[Pointer, Resolution] = {}
        self._effects: OrderedDict[int, Effects] = OrderedDict()
        self._waiting: dict[int, list[asyncio.Future[Effects]]] = {}
        self._checkpointed = -1
        self._verifier = verifier
        self.fold = Fold(settings.machine, verifier=verifier, resolver=self._resolution)
        self.fault: str | None = None

    @property
    def state(self) -> State:
        """The state as applied."""
        return self.fold.state

    def restore(self) -> None:
        """Go on from the checkpoint; a damaged one is dropped, and everything replayed."""
        checkpoint = self._store.checkpoint()
        if checkpoint is None:
            return
        try:
            self.fold.restore(checkpoint)
            self._checkpointed = checkpoint.height
        except (StateError, AnchorError) as exc:
            log.warning("the checkpoint is dropped, everything is replayed: %s", exc.message)
            self._store.forget_checkpoint()
            self.fold = Fold(self._settings.machine, verifier=self._verifier, resolver=self._resolution)

    # Running.

    async def run(self) -> None:
        """Apply for ever; returns when the runner closes or stops."""
        async for batch in self._runner.follow(self.fold.height + 1):
            await self._resolve(batch)
            rest = batch
            while rest:
                try:
                    self._apply(rest)
                    rest = []
                except EvidenceUnresolvedError as exc:
                    rest = [entry for entry in rest if entry.height > self.fold.height]
                    await self._stand_still(exc)
            await asyncio.sleep(0)

    def _apply(self, batch: list[Entry]) -> None:
        done: list[tuple[Entry, Effects]] = []
        try:
            with self._store.together():
                for entry in batch:
                    # The newest height's digest is made when it is asked for: it costs more than the entry.
                    keep = entry.height % DIGEST_STRIDE == 0
                    applied = self.fold.apply(entry.height, entry.command, digest=keep)
                    self._keep(entry, applied.effects)
                    done.append((entry, applied.effects))
                if self.fold.height - self._checkpointed >= CHECKPOINT_EVERY:
                    self.checkpoint()
        except EvidenceUnresolvedError:
            with self._store.together():
                for entry, effects in done:
                    self._keep(entry, effects)
            raise
        finally:
            self._publisher.settle()
            for entry, effects in done:
                self._tell(entry.height, effects)

    def _keep(self, entry: Entry, effects: Effects) -> None:
        state = self.fold.state
        if entry.height == 0:
            self._begin(entry)
        if effects and not isinstance(effects[0], Refused | LeaseRefused):
            self._publisher.take(effects, state)
        for effect in effects:
            if isinstance(effect, EvidenceVoided):
                self._store.void_evidence(effect.height, pointer_bytes(effect.pointer))
        if entry.command[:1] == b"\x00" and self._resolved:
            self._note_evidence(entry)

    def _begin(self, entry: Entry) -> None:
        command = decode_command(entry.command)
        if isinstance(command, Genesis):
            self._publisher.genesis(command.members)

    def _note_evidence(self, entry: Entry) -> None:
        try:
            command = decode_command(entry.command)
        except CommandError:
            return
        if isinstance(command, Observe):
            outcome = self._resolved.get(command.pointer, Resolution.UNKNOWN)
            self._store.note_evidence(entry.height, pointer_bytes(command.pointer), outcome.value)

    def checkpoint(self) -> None:
        """Keep the fold as it stands."""
        if self.fold.height > self._checkpointed:
            self._store.save_checkpoint(self.fold.checkpoint())
            self._checkpointed = self.fold.height

    def _tell(self, height: int, effects: Effects) -> None:
        self._effects[height] = effects
        if len(self._effects) > REMEMBER:
            self._effects.popitem(last=False)
        for future in self._waiting.pop(height, ()):
            if not future.done():
                future.set_result(effects)
        self._heard(effects)

    async def effects(self, height: int) -> Effects:
        """The effects of an entry, once it is applied here; empty when that is too long ago."""
        if height <= self.fold.height:
            return self._effects.get(height, ())
        future: asyncio.Future[Effects] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(height, []).append(future)
        return await future

    # Evidence.

    async def _resolve(self, batch: list[Entry]) -> None:
        """Resolve the observations of a batch, where this node did not take part in them."""
        pointers = observed(entry.command for entry in batch)
        if pointers and self._replaying():
            self._resolved = await self._vouching.resolve_all(pointers)
        else:
            self._resolved = {pointer: self._vouching.known(pointer) for pointer in pointers}

    def _replaying(self) -> bool:
        state = self.fold.state
        member = self._settings.peer_id in state.roster.members
        return not member or state.tick_ms < self._started_ms

    def _resolution(self, height: int, pointer: Pointer) -> Resolution:  # noqa: ARG002 # a Resolver's signature
        return self._resolved.get(pointer, Resolution.UNKNOWN)

    async def _stand_still(self, exc: EvidenceUnresolvedError) -> None:
        """Apply nothing until a certified VoidEvidence lets this entry pass; the ledger goes on meanwhile."""
        self.fault = f"EVIDENCE-UNRESOLVED: {exc.message}"
        log.error("stopped applying: %s", self.fault)
        self._store.note_evidence(exc.height, pointer_bytes(exc.pointer), Resolution.GONE.value)
        self._on_fault()
        async for batch in self._runner.follow(exc.height + 1):
            for _, command in voids((entry.height, entry.command) for entry in batch):
                if self._lets_pass(command, exc):
                    self.fault = None
                    self._on_fault()
                    log.warning("a certified VoidEvidence lets entry %d pass", exc.height)
                    return

    def _lets_pass(self, command: VoidEvidence, exc: EvidenceUnresolvedError) -> bool:
        self.fold.void(command)
        return (command.height, command.pointer) == (exc.height, exc.pointer)
