"""A look at an organism with three spanned members, something wrong at each, for the pages that show it all."""

from __future__ import annotations

from typing import Any

from organismctl.check.run import CHECKS, run_scope
from organismctl.check.scope import Scope, make_scope
from organismctl.check.span_health import span_health
from organismctl.files.organism import parse_organism
from organismctl.observe.snapshot import Fact, Snapshot
from organismctl.report.model import Named, Report
from organismctl.report.page import page_json
from organismctl.report.status import ChangeLine
from tests.check.worlds import (
    NAMES,
    NOW_MS,
    ORGANISM,
    SECRET_HASH,
    card,
    deployment,
    file_fact,
    healthy,
    lock,
    organism,
    ticket,
    unseen,
)

HOSTILE = "\x1b[31mred\x07\u202e<img src=x onerror=alert(1)>\u200b</script>\n2026"
"""What a remote may send where a sentence is expected."""
CHANGE = ChangeLine(
    "20261124T000000Z-acme-1", "parked", "rotate node-a out, node-d in", "the tickets of node-d"
)
_SPANS = ("gamma", "delta")
_DAYS = {"beta": (30, 21.5, 12), "gamma": (6, 5, None), "delta": (-1.2, 3, -4)}


def wide() -> Any:
    """The organism of the checks' worlds, with two more spanned members of the same issuer."""
    head, driver, rest = ORGANISM.partition("[driver]")
    block = head[head.index("[[span]]") :]
    more = ""
    for number, name in enumerate(_SPANS, 1):
        one = block.replace('"beta"', f'"{name}"', 1).replace("beta.facts", f"{name}.facts")
        one = "\n".join(
            f'stable_id = "{number:064x}"' if line.startswith("stable_id") else line
            for line in one.splitlines()
            if not line.startswith("content_hash")
        )
        more += one + "\n\n"
    return parse_organism(head + more + driver + rest)


def subscription(span: str, **changes: Any) -> dict[str, Any]:
    """What a node says of one subscription; well, but for the changes."""
    return {
        "span": span, "surface": "facts", "state": "live", "reason": "", "last_event_ms": NOW_MS - 700,
        "received": 41, "observed": 41, "position": 40, "arrived": 40, "missed": 0, "marker": None, **changes,
    }  # fmt: skip


def _subscriptions(node: str) -> Fact:
    if node == "node-c":
        return unseen("node.subscriptions", node, reason=f"no answer within 3 s {HOSTILE}")
    rows = [
        subscription("beta"),
        subscription("gamma", arrived=43 if node == "node-a" else 52, last_event_ms=NOW_MS - 64_000),
        subscription("delta", state="refused", reason=f"closed with 30403 {HOSTILE}", last_event_ms=None),
    ]
    return Fact("node.subscriptions", node, {"subscriptions": rows}, f"node-api {node}", seen_ms=NOW_MS)


def _memory() -> list[Fact]:
    """A day of beta's lag: quiet, a hole, a hill, and down again."""
    by_node = {}
    for number, node in enumerate(NAMES):
        history: list[list[Any]] = []
        for step in range(144):
            lag = max(0, 60 - abs(step - 90 - 8 * number)) if step > 40 else step % (3 + number)
            history.append([NOW_MS - (144 - step) * 600_000, None if 20 < step < 30 else lag, None])
        by_node[node] = history
    value: dict[str, Any] = {
        "watched_since_ms": NOW_MS - 144 * 600_000, "last_event_ms": NOW_MS - 900, "dark_since_ms": None,
        "events": 90_000, "rate_per_s": 1.0, "last_position": 40, "by_node": {},
    }  # fmt: skip
    where = "exporter http://127.0.0.1:9560"
    return [
        Fact("exporter.memory", "beta/facts", value, where, seen_ms=NOW_MS),
        Fact("exporter.history", "beta/facts", {"by_node": by_node}, where, seen_ms=NOW_MS),
    ]


def world(*, well: bool = False, name: str = "acme.settlement") -> Scope:
    """A scope: everything well, or one thing wrong of each kind."""
    loaded = wide() if not well else organism()
    if name != "acme.settlement":
        loaded = parse_organism(ORGANISM.replace("acme.settlement", name))
    facts = [*healthy(), card()]
    side = deployment()
    if well:
        facts += [file_fact(node, ticket(node)) for node in NAMES]
        facts += [
            Fact("node.subscriptions", node, {"subscriptions": [subscription("beta")]}, "x", seen_ms=NOW_MS)
            for node in NAMES
        ]
    else:
        more = ""
        for span in _SPANS:
            more += f'[[span]]\nname = "{span}"\nperiod = "2s"\n'
            for node in NAMES:
                more += f'[[span.ticket]]\nnode = "{node}"\nfile = "tickets/{node}.{span}.ticket"\n'
        side = deployment(more=more)
        for span, days in _DAYS.items():
            facts += [
                file_fact(node, ticket(node, days=left, issued_at_s=None) if left is not None else None, span)
                for node, left in zip(NAMES, days, strict=True)
            ]
        facts += [*map(_subscriptions, NAMES), *_memory()]
        facts.append(
            unseen("exporter.history", "gamma/facts", reason="the exporter has no history of it yet")
        )
    return make_scope(
        loaded, Snapshot(NOW_MS, tuple(facts)), side, lock(organism()), NOW_MS, secret_hash=SECRET_HASH
    )


def report(scope: Scope, command: str = "report") -> Report:
    """Every check's findings on it."""
    return Report(command, Named.of(scope), run_scope(list(CHECKS), scope), NOW_MS, NOW_MS)


def page(scope: Scope | None = None) -> dict[str, Any]:
    """The page of ``report`` on it."""
    scope = scope or world()
    return page_json(scope, report(scope), (CHANGE,), span_health(scope))
