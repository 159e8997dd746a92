"""A node's API from outside: every endpoint of docs/formats/node-api.md as a typed method.

Answers are remote input: bounded in size and time, read strictly (:mod:`organismctl.committee.answers`), and
whatever is wrong with them is a :class:`NodeError` with advice. A token is never part of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from organismctl.committee import answers
from organismctl.committee.answer_status import read_status
from organismctl.committee.answers import (
    Appended,
    ChangeCopy,
    ChangeInfo,
    EvidenceInfo,
    FollowedItem,
    Health,
    ItemsPage,
    LogDigest,
    LogPage,
    SubscriptionInfo,
    SurfaceInfo,
    SurfaceList,
    TicketInfo,
)
from organismctl.committee.client_http import (
    MAX_ANSWER,
    Http,
    NodeAccessError,
    NodeAnswerError,
    NodeBusyError,
    NodeError,
    NodeNotFoundError,
    NodeRefusedError,
    NoMajorityError,
    OutcomeUnknownError,
)
from organismctl.committee.strict import JsonObject, b64, digest, maybe

__all__ = [
    "Appended",
    "ChangeCopy",
    "ChangeInfo",
    "EvidenceInfo",
    "FollowedItem",
    "Health",
    "ItemsPage",
    "LogDigest",
    "LogPage",
    "NoMajorityError",
    "NodeAccessError",
    "NodeAnswerError",
    "NodeBusyError",
    "NodeClient",
    "NodeError",
    "NodeNotFoundError",
    "NodeRefusedError",
    "OutcomeUnknownError",
    "SubscriptionInfo",
    "SurfaceInfo",
    "SurfaceList",
    "TicketInfo",
]

BEAT_TIMEOUT_S = 15.0
"""A followed surface says something at least every 5 s; three misses are a lost connection."""
MAX_COPY = 80 << 20


class NodeClient(Http):
    """One node's API, synchronous; a context manager, usable from any thread.

    Args:
        url: The node's base URL, as deployment.toml has it.
        token: A bearer token, or ``None`` for what is open.
        ca: File of the certificate authority of its TLS certificate, or ``None`` for the system's.
        timeout: Seconds that an ordinary answer may take as a whole.

    Raises:
        InputError: The token or the CA file cannot be used.
    """

    # Open to everybody.

    def health(self) -> Health:
        """Whether the node is well, and the organism sealed."""
        return self._read("/v1/health", answers.read_health)

    def surfaces(self) -> SurfaceList:
        """The organism's surfaces as this node serves them."""
        return self._read("/v1/surfaces", answers.read_surfaces)

    def items(self, surface: str, start: int = 0, limit: int = 1000) -> ItemsPage:
        """Items of a surface from seq ``start`` on, at most ``limit`` (1000 at most)."""
        query = {"from": start, "limit": limit}
        return self._read(f"/v1/surfaces/{_part(surface)}/items", answers.read_items, query)

    def follow(
        self, surface: str, start: int = 0, on_beat: Callable[[], None] | None = None
    ) -> Iterator[FollowedItem]:
        """Items from seq ``start``: replay, then live; ends after the marker.

        Args:
            surface: The surface's name.
            start: The first seq wanted.
            on_beat: Called on each keep-alive (every 5 s), for a caller that wants to stop.

        Raises:
            UnreachableError: The connection ended otherwise; go on from the seq after the last one.
            NodeError: The node refuses, or a line is malformed.
        """
        path = f"/v1/surfaces/{_part(surface)}/follow"
        with self._stream("GET", path, {"from": start}, None, BEAT_TIMEOUT_S) as response:
            for line in self._lines(response, BEAT_TIMEOUT_S):
                if line:
                    yield self._checked(answers.read_line, line)
                elif on_beat is not None:
                    on_beat()

    def roster(self) -> JsonObject:
        """The chain of rosters: ``genesis``, ``links`` and ``roster``, unproven."""
        return self._read("/v1/roster", _same, limit=MAX_COPY)

    def card(self) -> JsonObject:
        """The organism's own member card."""
        return self._read("/v1/card", _same)

    # With a read token.

    def status(self) -> JsonObject:
        """NodeStatus, as a checked JSON mapping."""
        return self._read("/v1/status", read_status)

    def config(self) -> JsonObject:
        """``{"fingerprint", "group_id", "fields": {path: digest}}`` as the node was started."""
        return self._read("/v1/config", _same)

    def tickets(self) -> tuple[TicketInfo, ...]:
        """The tickets that the node holds."""
        return self._read("/v1/tickets", answers.read_tickets)

    def subscriptions(self) -> tuple[SubscriptionInfo, ...]:
        """The node's subscriptions, each by itself."""
        return self._read("/v1/subscriptions", answers.read_subscriptions)

    def log(self, start: int = 0, limit: int = 100) -> LogPage:
        """Certified entries from a height on, at most ``limit`` (1000 at most)."""
        return self._read("/v1/log", answers.read_log, {"from": start, "limit": limit}, limit=MAX_COPY)

    def log_digest(self, height: int) -> LogDigest:
        """The digests at a height.

        Raises:
            NodeNotFoundError: The height is not certified on this node.
        """
        return self._read("/v1/log/digest", answers.read_log_digest, {"at": height})

    def evidence(self, limit: int = 100) -> tuple[EvidenceInfo, ...]:
        """The newest observations' evidence, newest last."""
        return self._read("/v1/evidence", answers.read_evidence, {"limit": limit})

    def replay(self) -> JsonObject:
        """The evidence as it is told: ``evidence``, ``extent``, and ``unresolved``, why nothing is applied any more."""
        return self._read("/v1/evidence", _same)

    def changes(self) -> tuple[ChangeInfo, ...]:
        """The journal copies that the node keeps."""
        return self._read("/v1/changes", answers.read_changes)

    def change(self, change: str) -> ChangeCopy:
        """One journal copy, unchecked.

        Raises:
            NodeNotFoundError: The node has none of that change.
        """
        return self._read(f"/v1/changes/{_part(change)}", answers.read_change, limit=MAX_COPY)

    def metrics(self) -> str:
        """The node's metrics in Prometheus' text format."""
        data = self._call("GET", "/v1/metrics", None, None, limit=MAX_ANSWER, timeout=self.timeout)
        return data.decode("utf-8", "replace")

    # With an operate token.

    def append(self, command: Mapping[str, Any], request_id: str | None = None) -> Appended:
        """Certify a command; the same ``request_id`` is never applied twice.

        Raises:
            NodeRefusedError: Refused for certain; ``code`` says why.
            NoMajorityError: Not taken: less than a majority in sight.
            OutcomeUnknownError: It may yet be certified.
        """
        body = {"command": command, "request_id": request_id}
        return self._post("/v1/ledger/append", body, answers.read_appended)

    def drain(self, peer_id: bytes, drained: bool = True, *, fence: int | None = None) -> Appended:
        """Certify a Drain; a drained proposer hands over. Errors as :meth:`append`."""
        body = {"node": peer_id.hex(), "drained": drained, "fence": fence}
        return self._post("/v1/drain", body, answers.read_appended)

    def step_down(self) -> bytes | None:
        """Hand the proposer's role over; returns the proposer afterwards as this node sees it."""
        return self._post("/v1/step-down", {}, _proposer)

    def retire(
        self,
        effective_at: str,
        *,
        replacement: str | None = None,
        reason: str = "",
        request_id: str | None = None,
        fence: int | None = None,
        amend: bool = False,
    ) -> Appended:
        """Schedule the retirement, or amend it. Errors as :meth:`append`."""
        body = {
            "effective_at": effective_at,
            "replacement": replacement,
            "reason": reason,
            "request_id": request_id,
            "fence": fence,
        }
        return self._post("/v1/retire/amend" if amend else "/v1/retire", body, answers.read_appended)

    def cancel_retirement(
        self, reason: str = "", *, request_id: str | None = None, fence: int | None = None
    ) -> Appended:
        """Cancel the scheduled retirement. Errors as :meth:`append`."""
        body = {"reason": reason, "request_id": request_id, "fence": fence}
        return self._post("/v1/retire/cancel", body, answers.read_appended)

    def install_ticket(self, span: str, ticket_class: bytes, data: bytes, *, replace: bool = False) -> None:
        """Install a ticket for a spanned member; ``replace`` removes that span's older ones."""
        body = {"span": span, "class": ticket_class.hex(), "data": b64(data), "replace": replace}
        self._post("/v1/tickets", body, _same)

    def put_change(self, change: str, plan: JsonObject | None, start: int, lines: Sequence[str]) -> None:
        """Append journal lines from number ``start`` on; lines that the node has already are compared.

        Raises:
            NodeRefusedError: ``code`` is ``contradiction`` (it holds other lines) or ``missing_lines``.
        """
        body: dict[str, Any] = {"from": start, "lines": list(lines)}
        if plan is not None:
            body["plan"] = plan
        self._post(f"/v1/changes/{_part(change)}", body, _same)

    def stop(self) -> None:
        """Ask the node's process to stop in order."""
        self._post("/v1/stop", {}, _same)


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _same(raw: JsonObject) -> JsonObject:
    return raw


def _proposer(raw: JsonObject) -> bytes | None:
    return maybe(raw.get("proposer"), "proposer", digest)
