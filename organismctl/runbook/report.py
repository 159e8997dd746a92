"""A run as a report for the incident's record: JSON, and the runbook in Markdown with what was found in place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import iso
from organismctl.runbook.model import Block, Kind, Section
from organismctl.runbook.record import finding_of
from organismctl.runbook.world import World, fill_prose

if TYPE_CHECKING:
    from organismctl.runbook.record import Kept


def report_json(kept: Kept) -> dict[str, Any]:
    """Everything that a run did, JSON-ready."""
    memory, book = kept.memory, kept.book
    return {
        "schema": 1,
        "id": kept.id,
        "runbook": book.name,
        "title": book.front.title,
        "codes": list(book.front.codes),
        "severity": book.front.severity,
        "organism": kept.about["organism"],
        "operator": kept.about["operator"],
        "host": kept.about["host"],
        "begun": kept.about["begun"],
        "ended": iso(kept.lines[-1].at_ms) if memory.done is not None else None,
        "state": kept.state,
        "exit": None if memory.done is None else memory.done["exit"],
        "values": dict(memory.given),
        "sections": [_section(kept, number, section) for number, section in enumerate(book.sections)],
        "remaining": [_row(row) for row in _list(memory.done, "remaining")],
        "others": [_row(row) for row in _list(memory.done, "others")],
    }


def _section(kept: Kept, number: int, section: Section) -> dict[str, Any]:
    told = kept.memory.sections.get(number)
    return {
        "title": section.title,
        "when": section.when.text if section.when else None,
        "applies": None if told is None else told["applies"],
        "findings": [_row(row) for row in _list(told, "findings")],
        "steps": [
            {"kind": _kind(step), "line": step["line"], "at": step["at"], "exit": step.get("exit"),
             "took_ms": step.get("took_ms"), "output": step.get("output"), "why": step.get("why")}
            for key, step in kept.memory.steps.items()
            if key.partition(".")[0] == str(number)
        ],
    }  # fmt: skip


def _kind(step: Mapping[str, Any]) -> str:
    return {"probed": "probe", "ran": "run", "intent": "begun", "skipped": "skipped"}[str(step["state"])]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("code", "status", "subject", "summary")}


def _list(data: Mapping[str, Any] | None, key: str) -> Sequence[Mapping[str, Any]]:
    return () if data is None else data.get(key, ())


def report_markdown(kept: Kept, world: World) -> str:
    """The runbook as it was gone through: sections that applied, each command with its output.

    Args:
        kept: The run.
        world: The organism, for names and contacts in the text.
    """
    return "\n".join(_lines(kept, world)).rstrip() + "\n"


def _lines(kept: Kept, world: World) -> Iterator[str]:
    memory, front = kept.memory, kept.book.front
    yield from (f"# {front.title}: run {kept.id}", "")
    ended = iso(kept.lines[-1].at_ms) if memory.done is not None else f"not yet ({kept.state})"
    rows = {
        "Organism": kept.about["organism"], "Operator": f"{kept.about['operator']} on {kept.about['host']}",
        "Begun": kept.about["begun"], "Ended": ended, "Outcome": outcome(memory.done),
    }  # fmt: skip
    yield from (f"- {key}: {_md(str(value))}" for key, value in rows.items())
    yield from (f"- {{{name}}}: {_md(value)}" for name, value in memory.given.items())
    yield ""
    left_out = []
    for number, section in enumerate(kept.book.sections):
        told = memory.sections.get(number)
        if told is not None and told["applies"]:
            yield from _shown(kept, number, section, told, world)
        elif told is not None:
            left_out.append(section.title)
    if left_out:
        yield from ("Sections that did not apply: " + "; ".join(_md(title) for title in left_out) + ".", "")
    for title, key in (("Still open", "remaining"), ("Open elsewhere", "others")):
        if found := _list(memory.done, key):
            yield from (f"## {title}", "", *(_finding(row) for row in found), "")


def outcome(done: Mapping[str, Any] | None) -> str:
    """How a run ended, in a few words."""
    if done is None:
        return "not ended"
    if done["exit"] == 0:
        return "well"
    count = len(done["remaining"])
    return f"exit {done['exit']}" + (
        f"; {count} finding{'s' if count != 1 else ''} still open" if count else ""
    )


def _shown(kept: Kept, number: int, section: Section, told: Mapping[str, Any], world: World) -> Iterator[str]:
    if section.title:
        yield from (f"## {section.title}", "")
    rows = _list(told, "findings")
    if rows:
        yield from ("It applied by:", "", *(_finding(row) for row in rows), "")
    findings = [finding_of(row) for row in rows]
    for at, block in enumerate(section.blocks):
        if block.kind is Kind.PROSE:
            text = fill_prose(block.text, findings, kept.memory.given, world)
            yield from (re.sub(r"\A# .*\n*", "", text), "")
        elif block.kind is Kind.CODE:
            yield from (block.text, "")
        else:
            yield from _steps(kept, f"{number}.{at}.", block)


def _steps(kept: Kept, prefix: str, block: Block) -> Iterator[str]:
    for key, step in kept.memory.steps.items():
        if not key.startswith(prefix):
            continue
        took = f", {step['took_ms'] / 1000:.1f} s" if "took_ms" in step else ""
        end = {
            "skipped": f"not run: {_md(str(step.get('why')))}",
            "intent": "begun; how it ended is not known",
        }.get(str(step["state"]), f"exit {step.get('exit')}")
        does = "Probe" if block.kind is Kind.PROBE else "Action"
        yield from (f"{does} at {step['at']}: {end}{took}", "")
        yield from (*fenced(f"$ {step['line']}\n{step.get('output') or ''}".rstrip()), "")


def fenced(text: str) -> list[str]:
    """A text in a fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}text", *text.split("\n"), fence]


def _finding(row: Mapping[str, Any]) -> str:
    return f"- **{row['status']}** `{row['code']}` {_md(str(row['subject']))}: {_md(str(row['summary']))}"


def _md(text: str) -> str:
    """Text of remote origin in a line of Markdown: it is no markup and no second line."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))
