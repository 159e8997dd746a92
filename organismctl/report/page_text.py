"""The page of ``report`` as plain text: the same parts as the HTML page, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

from organismctl.report import health
from organismctl.report.interface import Style
from organismctl.report.page import Page
from organismctl.report.text import aligned, clean, stamp, wrap
from organismctl.report.timeline import admission_text, majority_text
from organismctl.report.watch import change_text, committee_text, node_cells


def page_text(page: Page, style: Style) -> str:
    """The page, wrapped to the style's width."""
    now = page["judged_ms"]
    parts = [
        f"{page['organism']['name']}, seen {stamp(page['seen_ms'] or now)}, judged {stamp(now)}",
        _part("IDENTITY", _identity(page, style)),
        _part("COMMITTEE", [*wrap(committee_text(page), style.width), *_nodes(page, style)]),
        _part("WHO LOSES QUORUM WHEN", _timeline(page, style)),
        _part("SPANNED MEMBERS, AS EACH NODE HEARS THEM", _health(page, style)),
        _part("LAG HISTORY", _history(page, style)),
        _part("CHANGE IN PROGRESS", wrap(change_text(page), style.width)),
        _part("FINDINGS", _findings(page, style)),
    ]
    return "\n".join(parts) + "\n"


def _part(title: str, lines: Sequence[str]) -> str:
    return "\n".join(["", title, *(lines or ["none"])])


def _identity(page: Page, style: Style) -> list[str]:
    organism, identity = page["organism"], page["identity"]
    rows = [
        ("fingerprint", organism["fingerprint"] or f"unknown: {organism['fingerprint_unknown']}"),
        ("group id", organism["group_id"] or f"unknown: {organism['group_id_unknown']}"),
        ("stable id", identity["stable_id"] or "unknown"),
        ("network", identity["network"]),
    ]
    for name in ("deployed", "next"):
        stanza = identity[name]
        rows.append((f"lock, {name}", "nothing" if stanza is None else stanza["fingerprint"]))
    lines = aligned(rows, ("WHAT", "ID"), max(style.width, 80)).splitlines()
    spans = [(one["name"], one["kind"], one["stable_id"][:10], (one["content_hash"] or "not pinned")[:10],
              one["status"], one["summary"]) for one in identity["spans"]]  # fmt: skip
    head = ("SPANNED MEMBER", "KIND", "STABLE ID", "CONTENT", "STATUS", "WHAT IT SHOWS")
    return [*lines, "", *aligned(spans, head, style.width).splitlines()] if spans else lines


def _nodes(page: Page, style: Style) -> list[str]:
    rows = [node_cells(one) for one in page["nodes"]]
    return (
        aligned(rows, ("NODE", "STATE", "ROLE", "HEIGHT", "DIGEST", "NOTE"), style.width).splitlines()
        if rows
        else []
    )


def _timeline(page: Page, style: Style) -> list[str]:
    now, lines = page["judged_ms"], []
    for line in page["timeline"]["spans"]:
        title = f"{line['name']}{' (our own committee)' if line['own'] else ''}: {majority_text(line, now)}"
        lines += wrap(clean(title), style.width)
        for node in line["nodes"]:
            lines += [f"  {clean(node['node'])}: {clean(admission_text(node, now))}"]
    return lines


def _health(page: Page, style: Style) -> list[str]:
    now = page["judged_ms"]
    rows = [
        (
            f"{row['span']}/{row['surface']}",
            row["node"],
            health.lag_text(row),
            health.ago(row["last_event_ms"], now),
            health.until(row, now),
            f"{health.side_text(row)}{': ' + row['reason'] if row['reason'] else ''}",
        )
        for row in page["health"]
    ]
    head = ("SPANNED MEMBER", "NODE", "LAG", "LAST EVENT", "ADMITTED", "SIDE")
    return aligned(rows, head, style.width).splitlines() if rows else []


def _history(page: Page, style: Style) -> list[str]:
    lines = []
    for series in page["history"]:
        about = f"{series['span']}/{series['surface']}"
        if series["reason"]:
            lines += wrap(clean(f"{about}: {series['reason']}"), style.width)
        for line in series["lines"]:
            known = [events for _, events, _ in line["points"] if events is not None]
            span = f"{stamp(line['points'][0][0])} to {stamp(line['points'][-1][0])}"
            said = f"lag {min(known)} to {max(known)} events, last {known[-1]}" if known else "lag not known"
            lines += wrap(clean(f"{about} {line['node']}: {said}, {span}"), style.width)
    return lines


def _findings(page: Page, style: Style) -> list[str]:
    rows = [
        (row["status"] + ("*" if row["accepted"] else ""), row["code"], row["subject"], row["summary"])
        for row in page["findings"]
        if row["status"] != "ok"
    ]
    counts = page["counts"]
    said = ", ".join(
        f"{counts[key]} {key}" for key in ("bad", "unknown", "warn", "accepted", "ok") if counts[key]
    )
    table = aligned(rows, ("STATUS", "CODE", "SUBJECT", "SUMMARY"), style.width).splitlines() if rows else []
    return [*table, f"{said or 'nothing to judge'}; exit {page['exit']}"]
