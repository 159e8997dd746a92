"""Format ``html``: one page that stands by itself: no script, no request, no font or picture from elsewhere.

The page's own policy forbids everything but its style sheet, so that a remote text which got this far, against all
escaping, could still do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from organismctl.check.values import moment
from organismctl.report import health
from organismctl.report.html_chart import DEFS, Window, admissions, h, lag, majorities, sample
from organismctl.report.html_style import CSS
from organismctl.report.page import Page
from organismctl.report.text import stamp
from organismctl.report.timeline import admission_text, majority_text
from organismctl.report.watch import change_text, committee_text, node_cells

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SHAPES = {"ok": "●", "warn": "▲", "bad": "✖", "unknown": "◆"}
_BARS = (
    '<p class="soft">A bar lasts as long as a ticket admits; hatching begins where fewer than a majority of the '
    "committee is left; dots are not known. Time runs to the right from the moment of judgement.</p>"
)
_PARTS = (
    ("quorum", "Who loses quorum when"),
    ("lag", "Spanned members, as each node hears them"),
    ("history", "Lag history"),
    ("committee", "Committee"),
    ("identity", "Identities"),
    ("findings", "Findings"),
)
_TAG = re.compile(r"<[^>]*>|&[a-z#0-9]+;")
_SHORT = 24
"""Cells of at most so many characters stay on one line."""


def page_html(page: Page) -> str:
    """The page."""
    name = h(page["organism"]["name"])
    made = (_quorum, _lag, _history, _committee, _identity, _findings)
    body = "".join(
        f'<section id="{key}"><h2>{title}</h2>{part(page)}</section>'
        for (key, title), part in zip(_PARTS, made, strict=True)
    )
    links = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title in _PARTS)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{h(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{name}: organism report</title><style>{CSS}</style></head><body>{DEFS}"
        f'<header><h1>{name}</h1>{_verdict(page)}<nav aria-label="parts"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main>{_footer(page)}</body></html>\n"
    )


def _verdict(page: Page) -> str:
    counts, organism = page["counts"], page["organism"]
    status = next((one for one in ("bad", "unknown", "warn") if counts[one]), "ok")
    said = ", ".join(
        f"{counts[key]} {key}" for key in ("bad", "unknown", "warn", "accepted", "ok") if counts[key]
    )
    return (
        f'<div class="verdict {status}"><p>{mark(status)} &nbsp;{h(said or "nothing was judged")}; '
        f"exit code {page['exit']}</p><p>{h(committee_text(page))}</p><p>Change in progress: {h(change_text(page))}</p>"
        f"<p>fingerprint {_id(organism['fingerprint'], organism['fingerprint_unknown'])}<br>"
        f"group id {_id(organism['group_id'], organism['group_id_unknown'])}</p></div>"
        f'<p class="soft">Judged at {stamp(page["judged_ms"])}, by a look at {_looked(page)} (all times are UTC).</p>'
    )


def _looked(page: Page) -> str:
    return stamp(page["seen_ms"] or page["judged_ms"])


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{h(summary)}</summary>{inside}</details>"


def mark(status: str, more: str = "") -> str:
    """A status as a shape and a word."""
    return f'<span class="mark {status}">{_SHAPES.get(status, "◆")} {status}{h(more)}</span>'


def _id(value: str | None, unknown: str | None = None) -> str:
    return (
        f"<code>{h(value)}</code>"
        if value
        else f'<span class="soft">unknown: {h(unknown or "not told")}</span>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells are HTML already. On a narrow screen each row becomes a list."""
    if not rows:
        return '<p class="soft">None.</p>'
    titles = "".join(f'<th scope="col">{h(title)}</th>' for title in head)
    body = "".join(f"<tr>{''.join(map(_cell, head, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _cell(title: str, inside: str) -> str:
    whole = ' class="whole"' if len(_TAG.sub("", inside)) <= _SHORT else ""
    return f'<td{whole} data-label="{h(title)}">{inside}</td>'


def _findings(page: Page) -> str:
    open_ones = [row for row in page["findings"] if row["status"] != "ok"]
    fine = [row for row in page["findings"] if row["status"] == "ok"]
    head = ("Status", "Code", "Subject", "What was found", "Runbook")
    rows = [
        (
            mark(row["status"], ", accepted" if row["accepted"] else ""),
            f"<code>{h(row['code'])}</code>",
            h(row["subject"]),
            h(row["summary"]) + _accepted(row["accepted"]),
            h(row["runbook"] or ""),
        )
        for row in open_ones
    ]
    more = ""
    if fine:
        good = [(f"<code>{h(row['code'])}</code>", h(row["subject"]), h(row["summary"])) for row in fine]
        more = _folded(f"{len(fine)} findings are ok", table(("Code", "Subject", "What was found"), good))
    note = "<p>Nothing is wrong, and nothing is unknown.</p>" if not open_ones else table(head, rows)
    return f'{note}{more}<p class="soft">organismctl explain CODE tells what a code means and what to do.</p>'


def _accepted(told: dict[str, Any] | None) -> str:
    return (
        f'<br><span class="soft">accepted until {h(told["until"])}: {h(told["reason"])}</span>'
        if told
        else ""
    )


def _committee(page: Page) -> str:
    rows = [tuple(map(h, node_cells(one))) for one in page["nodes"]]
    return f"<p>{h(committee_text(page))}</p>" + table(
        ("Node", "State", "Role", "Height", "Digest", "Note"), rows
    )


def _quorum(page: Page) -> str:
    told, now = page["timeline"], page["judged_ms"]
    lines, window = told["spans"], Window(told["from_ms"], told["until_ms"])
    if not lines:
        return '<p class="soft">No spanned member demands a ticket, or no deployment.toml is here.</p>'
    parts = [_BARS]
    if len(lines) > 1:
        parts.append(
            f"<figure><figcaption>The first to lose its majority first</figcaption>{majorities(lines, window)}</figure>"
        )
    for line in lines:
        own = " (our own committee)" if line["own"] else ""
        parts.append(
            f"<figure><figcaption><h3>{h(line['name'])}{own}</h3>{h(majority_text(line, now))}</figcaption>"
            f"{admissions(line, window)}</figure>"
        )
    rows = [
        (h(line["name"]), h(node["node"]), h(admission_text(node, now)), h(node["issuer"] or ""))
        for line in lines
        for node in line["nodes"]
    ]
    head = ("Spanned member", "Node", "Admission", "Issuer")
    parts.append(_folded("The same as a table", table(head, rows)))
    return "".join(parts)


def _lag(page: Page) -> str:
    now = page["judged_ms"]
    rows = [
        (
            h(f"{row['span']}/{row['surface']}"),
            h(row["node"]),
            h(health.lag_text(row)),
            h(health.ago(row["last_event_ms"], now)),
            h(health.until(row, now)),
            _side(row),
        )
        for row in health.worst_first(page["health"])
    ]
    head = ("Spanned member", "Node", "Lag", "Last event", "Admitted", "Whose side")
    note = '<p class="soft">One row per committee member and spanned member; nothing is summed up.</p>'
    return note + table(head, rows)


def _side(row: health.Row) -> str:
    status = "ok" if health.well(row) else "unknown" if row["side"] == "unknown" else "bad"
    shape = f'<span class="mark {status}">{_SHAPES[status]} {h(health.side_text(row))}</span>'
    lost = row["evidence_oldest_ms"]
    more = f"; oldest evidence is lost upstream {moment(lost)}" if lost is not None else ""
    return f"{shape} {h((row['reason'] or '') + more)}"


def _history(page: Page) -> str:
    parts = []
    for series in page["history"]:
        title = h(f"{series['span']}/{series['surface']}")
        if series["reason"]:
            parts.append(f'<p><strong>{title}</strong>: <span class="soft">{h(series["reason"])}</span></p>')
            continue
        known = any(point[1] is not None for line in series["lines"] for point in line["points"])
        unit = "events" if known else "seconds"
        key = "".join(
            f"<li>{sample(index)} {h(line['node'])}: {h(_course(line['points'], unit))}</li>"
            for index, line in enumerate(series["lines"])
        )
        parts.append(
            f"<figure><figcaption><h3>{title}</h3>{_watched(series)}</figcaption>{lag(series['lines'], unit)}"
            f'<ul class="key">{key}</ul></figure>'
        )
    return "".join(parts) or '<p class="soft">No spanned member is read.</p>'


def _course(points: Sequence[Sequence[Any]], unit: str) -> str:
    column = 1 if unit == "events" else 2
    known = [point[column] for point in points if point[column] is not None]
    if not known:
        return "not known"
    return f"{min(known):g} to {max(known):g}, last {known[-1]:g} {unit}"


def _watched(series: dict[str, Any]) -> str:
    since = series["watched_since_ms"]
    said = [] if since is None else [f"watched since {stamp(since)}"]
    if series["dark_since_ms"] is not None:
        said.append(f"dark since {stamp(series['dark_since_ms'])}")
    return h("; ".join(said))


def _identity(page: Page) -> str:
    organism, identity = page["organism"], page["identity"]
    rows = [
        ("Fingerprint", _id(organism["fingerprint"], organism["fingerprint_unknown"])),
        ("Group id", _id(organism["group_id"], organism["group_id_unknown"])),
        ("Stable id", _id(identity["stable_id"])),
        ("Network", _id(identity["network"])),
        *((f"Surface {h(one['name'])} ({h(one['type'])})", _id(one["id"])) for one in identity["surfaces"]),
        *((f"Lock: {name}", _stanza(identity[name], organism)) for name in ("deployed", "next")),
    ]
    spans = [
        (
            h(one["name"]),
            h(one["kind"]),
            _id(one["stable_id"]),
            _id(one["content_hash"]) if one["content_hash"] else "not pinned",
            f"{mark(one['status'])} {h(one['summary'])}",
        )
        for one in identity["spans"]
    ]
    head = ("Spanned member", "Kind", "Stable id", "Content hash", "What it publishes")
    return table(("What", "Id"), rows) + "<h3>Spanned members</h3>" + table(head, spans)


def _stanza(told: dict[str, Any] | None, ours: dict[str, Any]) -> str:
    if told is None:
        return '<span class="soft">nothing</span>'
    same = [told[key] == ours[key] for key in ("fingerprint", "group_id") if told[key] and ours[key]]
    verdict = "unknown" if not same else "ok" if all(same) else "bad"
    words = {"ok": "the same as above", "bad": "not what stands above", "unknown": "not compared"}
    return (
        f'<span class="mark {verdict}">{_SHAPES[verdict]} {words[verdict]}</span><br>'
        f"fingerprint {_id(told['fingerprint'])}<br>group id {_id(told['group_id'])}<br>"
        f"accepted {h(told['accepted_at'])} by {h(told['accepted_by'])}: {h(told['reason'])}"
    )


def _footer(page: Page) -> str:
    return (
        f"<footer>Made by {h(page['made_by'])} from one look at {_looked(page)}. It shows that moment and does not "
        "renew itself. What could not be seen stands as unknown, never as ok.</footer>"
    )
