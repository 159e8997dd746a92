"""Clients that write while things go wrong, and keep a record of every acknowledgement.

A client belongs to one node, as an application on that host would: it goes on asking it, cut off or not. A
command that was not acknowledged is repeated under its request id until it is, or until the client is told to
stop; so a height that two answers give to one request must be the same.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from organismctl.committee.client import NodeBusyError, NodeClient, NoMajorityError, OutcomeUnknownError
from organismctl.errors import OrganismError, UnreachableError
from tests.hosts.fleet import Fleet

_RUNS = itertools.count(1)
PACE_S = 0.04
"""Of one client between two writes: a steady load, which leaves the machine's two cores to the nodes."""
KINDS: tuple[tuple[type[OrganismError], str], ...] = (
    (NoMajorityError, "refused"),
    (OutcomeUnknownError, "unknown"),
    (UnreachableError, "unreachable"),
    (NodeBusyError, "busy"),
)


@dataclass(frozen=True)
class Ack:
    """One acknowledgement, as the client wrote it down.

    Attributes:
        node: The node that gave it.
        request_id: Of the command.
        height: Where it is certified, by the node's word.
        at: When it came, monotonic seconds.
    """

    node: str
    request_id: str
    height: int
    at: float


@dataclass
class Record:
    """What the clients saw.

    Attributes:
        acks: In the order of their coming.
        faults: Kind to number.
        slowest: Kind to the seconds that the slowest such answer took.
        texts: Kind to one message of it.
        began: Monotonic seconds.
        ended: Likewise.
    """

    acks: list[Ack] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0

    def longest_gap(self, node: str | None = None) -> float:
        """The longest time in which no client (none of that node) had an acknowledgement, seconds."""
        times = [ack.at for ack in list(self.acks) if node in (None, ack.node)]
        marks = [self.began, *sorted(times), self.ended or time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(marks))

    def count(self, node: str | None = None, since: float = 0.0) -> int:
        """How many acknowledgements came (from that node) since a moment."""
        return sum(ack.at >= since and node in (None, ack.node) for ack in list(self.acks))


class Load:
    """One client thread a node.

    Args:
        fleet: The committee.
        nodes: Whose clients.
        member: Whom the harmless command names (it is not drained; that is said once more).
    """

    def __init__(self, fleet: Fleet, nodes: Sequence[str], member: str) -> None:
        self.record = Record()
        self._fleet = fleet
        # A request id that the committee knows already is answered from memory, even by a node that is cut off.
        self._run = next(_RUNS)
        self._stop = threading.Event()
        self._mutex = threading.Lock()
        self._command = {
            "type": "drain",
            "peer_id": fleet.peer_id(member).hex(),
            "drained": False,
            "fence": None,
        }
        self._threads = [threading.Thread(target=self._write, args=(node,), name=node) for node in nodes]
        self._broken: list[BaseException] = []

    def start(self) -> None:
        """Begin."""
        self.record.began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End: no new commands, and wait for what is under way.

        Raises:
            AssertionError: A client ended by a fault that is none of the committee's answers.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self.record.ended = time.monotonic()
        assert not self._broken, f"a client broke: {self._broken[0]!r}"

    def _write(self, node: str) -> None:
        try:
            with self._fleet.client(node, timeout=3.0) as client:
                number = 0
                while not self._stop.is_set():
                    if self._once(client, node, f"{node}/{self._run}/{number}"):
                        number += 1
                    self._stop.wait(PACE_S)
        except BaseException as exc:  # noqa: BLE001 - reported by stop(), in the test's own thread
            self._broken.append(exc)

    def _once(self, client: NodeClient, node: str, request_id: str) -> bool:
        """One attempt; true when it is acknowledged."""
        began = time.monotonic()
        try:
            height = client.append(self._command, request_id).height
        except OrganismError as exc:
            kind = next((word for cls, word in KINDS if isinstance(exc, cls)), type(exc).__name__)
            with self._mutex:
                self.record.faults[kind] += 1
                self.record.slowest[kind] = max(self.record.slowest.get(kind, 0.0), time.monotonic() - began)
                self.record.texts.setdefault(kind, exc.message)
            return False
        with self._mutex:
            self.record.acks.append(Ack(node, request_id, height, time.monotonic()))
        return True


@contextmanager
def load(fleet: Fleet, *nodes: str, member: str | None = None) -> Iterator[Load]:
    """Clients of these nodes (the founders' by default) that write until the block ends."""
    chosen = nodes or tuple(fleet.founders)
    made = Load(fleet, chosen, member or chosen[-1])
    made.start()
    try:
        yield made
    finally:
        made.stop()
