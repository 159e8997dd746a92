"""How the exporter looks: one round of single answers a sweep, and beside it what needs several answers in a row.

Invariants:
    1. A sweep asks every source at once and waits for single answers alone, so that it takes no longer than the
       slowest of them: what a second round would ask is asked by what the last sweep saw.
    2. What needs several answers of one host in a row (a surface's ends, facts, cards and an Atlas, evidence upstream)
       goes on beside the sweeps, never twice at a time. A sweep takes the last such look that ended, with the times at
       which its facts were seen; one that is too old is dropped, so that what it told disappears. Only the first
       sweep waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from organismctl.exporter.sweep import Look, Watched, judge
from organismctl.observe import card, exporter_memory, node_api, span_endpoint, span_evidence
from organismctl.observe.look import Source, now_ms, observe
from organismctl.observe.snapshot import Fact, Snapshot
from organismctl.observe.sources import ALL_KINDS, STREAM_KIND, sources_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from organismctl.exporter.memory import Remembered
    from organismctl.exporter.memory_file import Key
    from organismctl.observe.sources import WireLook

SEVERAL = frozenset({span_endpoint.KIND, node_api.FACTS, "node.metrics"})
"""Kinds that need several answers of one host in a row."""
CARDS = frozenset({card.KIND})
"""Cards are asked twice, and an Atlas may be a group that has to be joined."""
SINGLE = frozenset(ALL_KINDS) - SEVERAL - CARDS - {span_evidence.KIND, exporter_memory.KIND, STREAM_KIND}
"""Kinds of a sweep; its own memory is put in without asking, streams only where listening was asked for."""
CARD_SWEEPS = 4
"""Sweeps between two looks at cards."""
EVIDENCE_SWEEPS = 20
"""Sweeps between two looks at evidence upstream: it asks for pages of items."""
KEPT = 3
"""Times its own period after which what a look beside told is dropped."""
PATIENCE = 6
"""Times a sweep's deadline that a look beside may take."""

Choose = Callable[[Watched, Snapshot], Sequence[Source]]


class Beside:
    """A look beside the sweeps; see the module.

    Args:
        choose: Its sources, by the files and by the last sweep.
        every_s: Seconds from the beginning of one to that of the next, at least.
        deadline_s: Seconds that one may take.
    """

    def __init__(self, choose: Choose, every_s: float, deadline_s: float) -> None:
        self._choose = choose
        self._every_s = every_s
        self._deadline_s = deadline_s
        self._begun: float | None = None
        self._thread: threading.Thread | None = None
        self._ended: tuple[float, tuple[Fact, ...]] | None = None

    def begin(self, watched: Watched, last: Snapshot) -> None:
        """Begin one, unless one is under way, it is too early, or there is nothing to ask."""
        now = time.monotonic()
        if self._thread is not None and self._thread.is_alive():
            return
        if self._begun is not None and now - self._begun < self._every_s:
            return
        sources = self._choose(watched, last)
        if not sources:
            return
        self._begun = now
        self._thread = threading.Thread(target=self._look, args=(sources,), name="beside", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the one that is under way, but no longer than so."""
        if self._thread is not None:
            self._thread.join(seconds)

    def facts(self) -> tuple[Fact, ...]:
        """What the last one told; nothing when it is too old."""
        if self._ended is None:
            return ()
        at, facts = self._ended
        limit = KEPT * self._every_s + self._deadline_s
        return facts if time.monotonic() - at <= limit else ()

    def _look(self, sources: Sequence[Source]) -> None:
        found = observe(sources, self._deadline_s).facts
        self._ended = (time.monotonic(), found)


class Looker:
    """Sweeps one organism again and again.

    Args:
        every_s: Seconds from one sweep to the next.
        deadline_s: Seconds that a sweep's round may take.
    """

    def __init__(self, every_s: float, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._last: Snapshot | None = None
        patience = PATIENCE * deadline_s
        self._beside = (
            Beside(_several, every_s, patience),
            Beside(_cards, CARD_SWEEPS * every_s, patience),
            Beside(_evidence, EVIDENCE_SWEEPS * every_s, patience),
        )

    def sweep(self, watched: Watched, wire: WireLook, surfaces: Mapping[Key, Remembered]) -> Look:
        """Look and judge.

        Args:
            watched: The files.
            wire: How the wire is looked at.
            surfaces: What is remembered of each surface.
        """
        begun = time.monotonic()
        first = self._last is None
        snapshot = self._last = self._round(watched, wire)
        if first:
            self._begin(watched, snapshot)
            for one in self._beside:
                one.wait(max(begun + self._deadline_s - time.monotonic(), 0.0))
        beside = tuple(fact for one in self._beside for fact in one.facts())
        whole = replace(snapshot, facts=snapshot.facts + beside)
        look = judge(watched, whole, surfaces, now_ms(), time.monotonic() - begun)
        if not first:
            self._begin(watched, snapshot)  # now that nobody waits for the processor
        return look

    def _begin(self, watched: Watched, snapshot: Snapshot) -> None:
        for one in self._beside:
            one.begin(watched, snapshot)

    def _round(self, watched: Watched, wire: WireLook) -> Snapshot:
        kinds = SINGLE | ({STREAM_KIND} if wire.listen_s > 0 else set())
        looks = sources_for(kinds, watched.organism, watched.deployment, wire)
        sources, then = [*looks.sources], looks.then
        if then is not None and self._last is not None:
            sources += then(self._last)
            then = None
        return observe(sources, self._deadline_s + wire.listen_s, then=then)


def _several(watched: Watched, _last: Snapshot) -> Sequence[Source]:
    return sources_for(SEVERAL, watched.organism, watched.deployment).sources


def _cards(watched: Watched, _last: Snapshot) -> Sequence[Source]:
    return sources_for(CARDS, watched.organism, watched.deployment).sources


def _evidence(watched: Watched, last: Snapshot) -> Sequence[Source]:
    then = sources_for({span_evidence.KIND}, watched.organism, watched.deployment).then
    return then(last) if then is not None else ()
