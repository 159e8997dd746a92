"""The one-screen summary: what the organism is, how it fares, what is under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from organismctl.check.committee_view import Life, View, make_view
from organismctl.check.finding import Finding, Status
from organismctl.check.quorum import quorum_of
from organismctl.check.scope import Scope
from organismctl.check.ticket_matrix import Cell, State, matrix_of
from organismctl.check.values import duration, table, text, whole
from organismctl.report.interface import Style
from organismctl.report.model import ORDER, Report, finding_json
from organismctl.report.text import aligned, clean

STATUS_SCHEMA = 1
HEARD = frozenset(
    ("SPAN-LAG", "SPAN-SUBSCRIPTION", "SPAN-REFUSED", "SPAN-PRODUCER-GONE", "MEMBER-DARK", "SPAN-RETIRING")
)
"""Codes that say how a spanned member is heard."""
SHOWN = 8
"""Findings that the screen shows; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change that is under way."""

    id: str
    state: str
    what: str
    waits_for: str | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"id": self.id, "state": self.state, "what": self.what, "waits_for": self.waits_for}


def status_json(scope: Scope, report: Report, changes: Sequence[ChangeLine]) -> dict[str, Any]:
    """The summary, JSON-ready; its schema is published as ``status.schema.json``."""
    view = make_view(scope)
    return {
        "schema": STATUS_SCHEMA,
        "organism": report.organism.as_json(),
        "judged_ms": report.judged_ms,
        "seen_ms": report.seen_ms,
        "exit": int(report.exit),
        "counts": dict(report.counts),
        "committee": _committee(view, report.findings),
        "nodes": _nodes(view),
        "spans": _spans(scope, report.findings),
        "changes": [change.as_json() for change in changes],
        "findings": [finding_json(row) for row in report.sorted() if row.status is not Status.OK],
    }


def _row(findings: Sequence[Finding], code: str) -> Finding | None:
    return next((row for row in findings if row.code == code), None)


def _committee(view: View, findings: Sequence[Finding]) -> dict[str, Any]:
    tolerance = _row(findings, "COMMITTEE-TOLERANCE")
    ledger = _row(findings, "LEDGER-DIVERGED")
    leader = _row(findings, "LEADER-UNIQUE")
    proposers = table(leader.values).get("proposers") if leader else None
    alike = {Status.OK: True, Status.BAD: False}.get(ledger.status) if ledger else None
    told = [one for _, one in view.answering]
    retirement = next((one.effective_at for one in told if one.effective_at is not None), None)
    lease = next((one.lease for one in told if one.lease is not None), None)
    return {
        "size": len(view.members),
        "needed": view.needed,
        "there": view.count(Life.UP, Life.VOUCHED),
        "replicas": table(tolerance.values).get("replicas") if tolerance else None,
        "tolerance": table(tolerance.values).get("tolerance") if tolerance else None,
        "one_host": view.one_host,
        "roster_version": view.roster_version,
        "proposers": proposers if isinstance(proposers, list) else [],
        "epoch": whole(table(leader.values).get("epoch")) if leader else None,
        "ledger": {
            "height": whole(table(ledger.values).get("height")) if ledger else None,
            "digest": text(table(ledger.values).get("digest")) if ledger else None,
            "alike": alike,
        },
        "sealed": view.sealed,
        "retirement": retirement,
        "lease": lease,
    }


def _nodes(view: View) -> list[dict[str, Any]]:
    drained = {peer for _, told in view.answering for peer in told.drained}
    rows = []
    for one in view.members:
        told = one.told
        reason = one.malformed or one.stopped or (one.fact.reason if one.fact is not None else None)
        rows.append(
            {
                "name": one.name,
                "peer_id": one.peer_id,
                "life": view.life[one.peer_id].value,
                "role": told.role if told else None,
                "certified": one.certified,
                "digest": told.digest if told else None,
                "version": told.version if told else None,
                "drained": one.peer_id in drained,
                "reason": reason,
            }
        )
    return rows


def _spans(scope: Scope, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    matrix = matrix_of(scope)
    rows = []
    for member in scope.organism.config.span:
        cells = [matrix.cell(node, member.name) for node in matrix.roster]
        quorum = quorum_of(cells, scope.now_ms) if cells else None
        rows.append(
            {
                "name": member.name,
                "kind": member.kind,
                "stable_id": member.stable_id.hex(),
                "pinned": member.content_hash is not None,
                "card": _card(member.name, findings).value,
                "heard": _heard(member.name, findings).value,
                "tickets_valid": sum(cell.state in (State.VALID, State.FREE) for cell in cells),
                "tickets_unknown": sum(cell.state is State.UNKNOWN for cell in cells),
                "committee": len(cells),
                "horizon_ms": _earliest(cells),
                "quorum_until_ms": quorum.surely_until_ms if quorum else None,
                "tickets": [_cell_json(cell) for cell in cells],
            }
        )
    return rows


def _card(name: str, findings: Sequence[Finding]) -> Status:
    """The worst of what its card says; unknown when nothing was judged."""
    told = [
        row.status
        for row in findings
        if row.subject == name and (row.code.startswith("SPAN-") or row.code == "ANSWER-MALFORMED")
    ]
    return min(told, key=ORDER.index, default=Status.UNKNOWN)


def _heard(name: str, findings: Sequence[Finding]) -> Status:
    """The worst of how our nodes hear its surfaces: this spanned member alone; unknown when nothing was judged."""
    told = [
        row.status
        for row in findings
        if row.code in HEARD and row.subject.rpartition(" × ")[2].partition(" / ")[0] == name
    ]
    return min(told, key=ORDER.index, default=Status.UNKNOWN)


def _earliest(cells: Sequence[Cell]) -> int | None:
    valid = (cell.horizon_ms for cell in cells if cell.state is State.VALID)
    return min((horizon for horizon in valid if horizon is not None), default=None)


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "node": cell.node,
        "state": cell.state.value,
        "horizon_ms": cell.horizon_ms,
        "failing_step": cell.step,
    }


def status_text(value: dict[str, Any], report: Report, style: Style) -> str:
    """The summary as one screen of plain text."""
    parts = [clean(report.organism.line()) + "\n", _committee_lines(value["committee"]), "\n"]
    if value["nodes"]:
        rows = [_node_row(one) for one in value["nodes"]]
        parts += [aligned(rows, ("NODE", "STATE", "ROLE", "CERTIFIED", "NOTE"), style.width), "\n"]
    if value["spans"]:
        rows = [_span_row(one, report.judged_ms) for one in value["spans"]]
        head = ("SPANNED MEMBER", "CARD", "HEARD", "ADMITTED", "NEXT HORIZON", "MAJORITY UNTIL")
        parts += [aligned(rows, head, style.width), "\n"]
    changes = [f"{one['id']} {one['state']}: {one['what']}" for one in value["changes"]]
    parts += [f"change: {clean(line)}\n" for line in changes] or ["changes: none under way\n"]
    parts.append(_finding_lines(value["findings"], report))
    return "".join(parts)


def _committee_lines(value: dict[str, Any]) -> str:
    ledger = value["ledger"]
    alike = {True: "alike", False: "DIVERGED", None: "not compared on all"}[ledger["alike"]]
    height = "unknown" if ledger["height"] is None else ledger["height"]
    leader = ", ".join(clean(str(name)) for name in value["proposers"]) or "none seen"
    head = (
        f"committee  {value['there']} of {value['size']} there, {value['needed']} needed, "
        f"tolerance {'unknown' if value['tolerance'] is None else value['tolerance']}; "
        f"proposer {leader}; ledger {height}, {alike}\n"
    )
    lines = [head]
    if value["one_host"]:
        lines.append("one host   replicas=1, tolerance=0: fault domains between hosts cannot apply\n")
    if value["sealed"]:
        lines.append("sealed     the marker is the last item on every surface\n")
    elif value["retirement"] is not None:
        lines.append(f"retirement effective at {clean(value['retirement'])}\n")
    if value["lease"] is not None:
        lines.append(f"lease      held by change {clean(value['lease'])}\n")
    return "".join(lines)


def _node_row(one: dict[str, Any]) -> tuple[str, ...]:
    certified = "-" if one["certified"] is None else str(one["certified"])
    notes = [*(["drained"] if one["drained"] else []), *([one["reason"]] if one["reason"] else [])]
    return one["name"], one["life"], one["role"] or "-", certified, "; ".join(notes)


def _span_row(one: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    admitted = f"{one['tickets_valid']} of {one['committee']}"
    if one["tickets_unknown"]:
        admitted += f", {one['tickets_unknown']} unknown"
    horizon = _left(one["horizon_ms"], now_ms) if one["tickets_valid"] else "-"
    majority = "unknown" if one["tickets_unknown"] else _left(one["quorum_until_ms"], now_ms)
    return one["name"], one["card"], one["heard"], admitted, horizon, majority


def _left(moment_ms: int | None, now_ms: int) -> str:
    if moment_ms is None:
        return "no end"
    left = moment_ms - now_ms
    return f"in {duration(left)}" if left > 0 else "past"


def _finding_lines(findings: Sequence[dict[str, Any]], report: Report) -> str:
    counts = report.counts
    said = ", ".join(
        f"{counts[key]} {key}" for key in ("bad", "unknown", "warn", "accepted", "ok") if counts[key]
    )
    lines = [f"findings: {said or 'none'}; exit {int(report.exit)}\n"]
    lines += [
        clean(f"  {row['status']:<8}{row['code']} {row['subject']}: {row['summary']}") + "\n"
        for row in findings[:SHOWN]
    ]
    if len(findings) > SHOWN:
        lines.append(f"  and {len(findings) - SHOWN} more: organismctl check all\n")
    return "".join(lines)
