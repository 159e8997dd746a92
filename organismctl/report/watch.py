"""One look of ``watch``: the summary of ``status``, and how each node hears each spanned member.

A look is made whole before anything of it is shown, and says its own moment: a screen that stands still is seen to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from organismctl.check.values import short
from organismctl.report import health
from organismctl.report.status import ChangeLine, status_json
from organismctl.report.text import clean, escape_raw, stamp
from organismctl.report.timeline import majority_text, timeline_json

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.span_health import SpanHealth
    from organismctl.report.model import Report

WATCH_SCHEMA = 1

Look = dict[str, Any]
"""One look, JSON-ready; its schema is published as ``watch.schema.json``."""


def watch_json(
    scope: Scope,
    report: Report,
    changes: Sequence[ChangeLine],
    rows: Sequence[SpanHealth],
    before: Look | None = None,
) -> Look:
    """One look, JSON-ready.

    Args:
        scope: What was looked at.
        report: What was found.
        changes: Changes under way that this machine knows.
        rows: How each node hears each spanned member.
        before: The look before this one: what has come since then stands in ``lag_events_change``.
    """
    told = status_json(scope, report, changes)
    had = {health.key(row): row["lag_events"] for row in before["health"]} if before else {}
    return {
        **told,
        "schema": WATCH_SCHEMA,
        "health": [{**row, "lag_events_change": _change(row, had)} for row in health.health_json(rows)],
        "majorities": [
            {
                "name": line["name"],
                "until_ms": line["surely_until_ms"],
                "summary": majority_text(line, scope.now_ms),
            }
            for line in timeline_json(scope)["spans"]
        ],
    }


def _change(row: health.Row, had: Mapping[tuple[str, str, str], int | None]) -> int | None:
    now, then = row["lag_events"], had.get(health.key(row))
    return None if now is None or then is None else now - then


def json_line(look: Look) -> str:
    """A look on one line, for machines that follow along."""
    return escape_raw(json.dumps(look, ensure_ascii=False, allow_nan=False, separators=(",", ":"))) + "\n"


def committee_text(look: Look) -> str:
    """The committee in one line; a leader is the ledger's proposer."""
    value = look["committee"]
    if not value["size"]:
        return "no node is known here: deployment.toml names them"
    ledger = value["ledger"]
    alike = {True: "alike", False: "DIVERGED", None: "not compared on all"}[ledger["alike"]]
    height = "unknown" if ledger["height"] is None else ledger["height"]
    tolerance = "unknown" if value["tolerance"] is None else value["tolerance"]
    leader = ", ".join(map(str, value["proposers"])) or "none seen"
    return clean(
        f"{value['there']} of {value['size']} there, {value['needed']} needed, tolerance {tolerance}; "
        f"leader {leader}; ledger {height} {alike}"
    )


def change_text(look: Look) -> str:
    """The change in progress: ours, or that of whoever holds the lease."""
    lines = [
        f"{one['id']} {one['state']}: {one['what']}"
        + (f", waits for {one['waits_for']}" if one["waits_for"] else "")
        for one in look["changes"]
    ]
    lease = look["committee"]["lease"]
    if lease is not None and not any(one["id"] == lease for one in look["changes"]):
        lines.append(f"the lease is held by {lease}, which is not known here")
    return clean("; ".join(lines) or "none")


def node_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, state, role, certified height, digest there, and what is to be said of a node."""
    notes = [*(["drained"] if one["drained"] else []), *([one["reason"]] if one["reason"] else [])]
    certified = "-" if one["certified"] is None else str(one["certified"])
    digest = short(one["digest"]) if one["digest"] else "-"
    role = "leader" if one["role"] == "proposer" else one["role"] or "-"
    return one["name"], one["life"], role, certified, digest, "; ".join(notes)


def lines_text(look: Look) -> str:
    """A look as plain lines, each with its moment: for a pipe, a file or a log."""
    head = f"{stamp(look['judged_ms'])} {look['organism']['name']}"
    counts = ", ".join(
        f"{look['counts'][key]} {key}" for key in ("bad", "unknown", "warn") if look["counts"][key]
    )
    lines = [f"committee {committee_text(look)}"]
    for one in look["nodes"]:
        name, life, role, height, digest, note = node_cells(one)
        lines.append(f"node {name} {life} role={role} height={height} digest={digest}{_note(note)}")
    lines += [_span_line(row, look["judged_ms"]) for row in look["health"]]
    lines += [f"majority {one['name']} {one['summary']}" for one in look["majorities"]]
    lines += [f"change {change_text(look)}", f"findings {counts or 'none'}; exit {look['exit']}"]
    return "".join(clean(f"{head} {line}") + "\n" for line in lines)


def _span_line(row: health.Row, now_ms: int) -> str:
    return (
        f"span {row['span']}/{row['surface']} {row['node']} lag={health.lag_text(row, row['lag_events_change'])}; "
        f"last event {health.ago(row['last_event_ms'], now_ms)}; "
        f"admitted {health.until(row, now_ms)}; side={health.side_text(row)}{_note(row['reason'])}"
    )


def _note(text: str | None) -> str:
    return f" ({text})" if text else ""
