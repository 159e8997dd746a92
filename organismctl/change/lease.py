"""The lease: the ledger's certified right of one change to act, and the fence that goes with it.

Acquire and takeover give a fence, a number that only grows; renew and release name it. The runner renews
before every action: a renewal is certified, so it cannot succeed once another runner has taken over, and the
old runner stops before it acts. There is no local fallback: without a majority nothing may change.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from organismctl.change.canonical import clean, iso
from organismctl.change.errors import BusyError, LedgerRefusedError, SupersededError, TransientError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

TTL_MS = 30_000
"""How long a lease holds without renewal: long enough for an election, short enough for the next operator."""


@dataclass(frozen=True, slots=True)
class Held:
    """The lease as the ledger has it.

    Attributes:
        change: The change that holds it.
        holder: Who runs that change: ``alice@acme (host, process 123)``.
        fence: Its fence.
        since_ms: Since when, Unix ms.
        live: Whether it has not expired yet.
    """

    change: str
    holder: str
    fence: int
    since_ms: int
    live: bool = True


class Ledger(Protocol):
    """What the lease needs of the committee."""

    def append(self, command: Mapping[str, Json], request_id: str) -> Mapping[str, Any]:
        """Certify a command; the same ``request_id`` is applied once.

        Raises:
            LedgerRefusedError: Refused for certain.
            TransientError: No majority, nobody answered, or the outcome is open.
        """
        ...

    def lease(self) -> Held | None:
        """The lease as last certified; ``None`` when nobody has it.

        Raises:
            TransientError: No node could say.
        """
        ...

    def sealed(self) -> bool:
        """Whether a seal was seen: then there is no lease any more, and nothing to fence."""
        ...


class Guard(Protocol):
    """What the runner needs of a lease."""

    fence: int
    held: bool

    def acquire(self, *, takeover: bool) -> None:
        """Get it, see :meth:`Lease.acquire`."""
        ...

    def check(self) -> None:
        """Prove that it is still ours, see :meth:`Lease.check`."""
        ...

    def keep(self) -> None:
        """Renew when it is time, see :meth:`Lease.keep`."""
        ...

    def release(self) -> None:
        """Give it back, see :meth:`Lease.release`."""
        ...


class Lease:
    """One change's lease.

    Args:
        ledger: The committee.
        change: The change's id.
        holder: Who runs it, for the next operator to read.
        monotonic: Seconds that never go back.
        ttl_ms: How long it holds without renewal.
    """

    def __init__(
        self, ledger: Ledger, change: str, holder: str, monotonic: Callable[[], float], ttl_ms: int = TTL_MS
    ) -> None:
        self.ledger = ledger
        self.change = change
        self.holder = holder
        self.fence = 0
        self.held = False
        self._monotonic = monotonic
        self._ttl_ms = ttl_ms
        self._renewed = 0.0

    def acquire(self, *, takeover: bool) -> None:
        """Get the lease, with a fence above every earlier one.

        Args:
            takeover: Also from another runner of the *same* change, who is dead or is to stop.

        Raises:
            BusyError: Another change has it, or (without ``takeover``) another runner of this one.
            TransientError: The committee cannot decide now.
        """
        now = self.ledger.lease()
        if now is not None and now.live and now.change != self.change:
            raise self._busy(now)
        if now is not None and now.change == self.change:
            # Our own name there means that the answer to an earlier try was lost.
            if not takeover and now.live and now.holder != self.holder:
                raise self._busy(now)
            fence = self._append("takeover", now.fence)
        else:
            fence = self._append("acquire", 0)
        if fence is None:
            # The answer to an earlier try was lost; what was certified then is to be read.
            got = self.ledger.lease()
            if got is None or got.change != self.change or got.holder != self.holder:
                raise self._busy(got) if got else TransientError("the lease was granted and is gone again")
            fence = got.fence
        self.fence = fence
        self.held = True
        self._renewed = self._monotonic()

    def check(self) -> None:
        """A certified renewal: proof that no other runner may act.

        Raises:
            SupersededError: Another runner has it, or it expired and somebody else acted.
            TransientError: The committee cannot say now.
        """
        try:
            self.ledger.append(self._command("renew", self.fence), self._request())
        except LedgerRefusedError as exc:
            self.held = False
            self._regain(exc)
        self._renewed = self._monotonic()

    def _regain(self, cause: LedgerRefusedError) -> None:
        """After an expiry: get it back when nobody else had it since, which the fence's number proves."""
        if self.ledger.sealed():
            raise cause
        now = self.ledger.lease()
        if now is not None and now.live and (now.change, now.fence) != (self.change, self.fence):
            raise self._superseded(cause) from cause
        ours = self.fence
        self.acquire(takeover=True)
        if self.fence != ours + 1:
            self.release()
            raise self._superseded(cause) from cause

    def keep(self) -> None:
        """Renew when a third of the time is over; a committee that cannot say now is asked again later.

        Raises:
            SupersededError: Another runner has it.
        """
        if self._monotonic() - self._renewed < self._ttl_ms / 3000:
            return
        try:
            self.check()
        except TransientError:
            return

    def release(self) -> None:
        """Give it back; nothing to do when it is not ours any more.

        Raises:
            TransientError: The committee cannot say now; it then expires by itself.
        """
        if self.ledger.sealed():
            self.held = False
            return
        now = self.ledger.lease()
        if now is not None and now.change == self.change and now.fence <= self.fence:
            # Refused means that somebody else has it now, which is as good.
            with contextlib.suppress(LedgerRefusedError):
                self.ledger.append(self._command("release", now.fence), self._request())
        self.held = False

    def _append(self, action: str, fence: int) -> int | None:
        try:
            answer = self.ledger.append(self._command(action, fence), self._request())
        except LedgerRefusedError as exc:
            now = self.ledger.lease()
            if now is not None and now.live:
                raise self._busy(now) from exc
            raise
        effects = answer.get("effects")
        granted = [
            effect
            for effect in (effects if isinstance(effects, list) else [])
            if isinstance(effect, dict) and effect.get("type") == "lease_granted"
        ]
        return int(granted[0]["fence"]) if granted else None

    def _command(self, action: str, fence: int) -> dict[str, Json]:
        return {
            "type": "lease",
            "action": action,
            "change": self.change,
            "holder": self.holder,
            "fence": fence,
            "ttl_ms": 0 if action == "release" else self._ttl_ms,
        }

    def _request(self) -> str:
        return secrets.token_hex(16)

    def _busy(self, now: Held) -> BusyError:
        what = "this change" if now.change == self.change else f"change {clean(now.change, 128)}"
        advice = (
            "wait for it; if its runner is dead, `organismctl change takeover` raises the fence and goes on"
            if now.change == self.change
            else f"let it end first: `organismctl change show {clean(now.change, 128)}`"
        )
        return BusyError(
            f"{what} holds the lease: {clean(now.holder, 256)}, fence {now.fence}, since {iso(now.since_ms)}",
            advice=advice,
        )

    def _superseded(self, cause: LedgerRefusedError) -> SupersededError:
        try:
            now = self.ledger.lease()
        except TransientError:
            now = None
        by = (
            f"by {clean(now.holder, 256)} since {iso(now.since_ms)} (fence {now.fence}, ours {self.fence})"
            if now is not None
            else f"({cause.message})"
        )
        return SupersededError(
            f"this runner's lease is over: taken over {by}; nothing more is done here",
            advice="`organismctl change show` tells how it goes on there",
        )
