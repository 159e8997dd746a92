"""``organismctl fingerprint``: what the organism is, why, and whether an edit moves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.judging import Organism, Output
from organismctl.cli.output import wants_json

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.cli.judging import Subject
    from organismctl.identity.diff import Change, ConfigDiff

app = typer.Typer(
    help="What the organism is: its two pins, their preimage, and what an edit moves.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")]
CheckFormat = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json, junit or github.")]
CHECK_FORMATS = ("table", "json", "junit", "github")


@app.command()
def show(
    *,
    as_ref: Annotated[
        bool, typer.Option("--as-ref", help="Print what a downstream pastes: the REF and its [[span]].")
    ] = False,
    format_: Format = "table",
    output: Output = None,
    organism: Organism = None,
) -> None:
    """Show the fingerprint (the integrators' pin), the group id (the committee's), and every derived id."""
    from organismctl.cli.output import emit, emit_json, table
    from organismctl.errors import UsageError

    scope = _scope(organism)
    identity, config = _identity(scope), scope.organism.config
    if as_ref:
        if wants_json(format_):
            raise UsageError(
                "--as-ref prints what is pasted into a TOML file; --format json does not go with it"
            )
        emit(_reference(scope), output)
        return
    shown: dict[str, Any] = {
        "schema": 1,
        "name": config.name,
        "fingerprint": identity.fingerprint.hex(),
        "group_id": _hex(scope.group_id),
        "group_id_unknown": scope.group_unknown,
        "scheme": identity.scheme,
        "stable_id": _hex(identity.stable_id),
        "machine_signature": _hex(identity.machine_signature),
        "network": config.network.hex(),
        "surfaces": {name: surface.hex() for name, surface in identity.surface_ids.items()},
    }
    if wants_json(format_):
        emit_json(shown, output)
        return
    rows = [
        ["organism", config.name],
        ["fingerprint", shown["fingerprint"]],
        ["group id", shown["group_id"] or f"unknown: {scope.group_unknown}"],
        ["stable id", shown["stable_id"] or "unknown: the scheme does not tell it"],
        ["scheme", identity.scheme],
        *([f"surface {name}", surface] for name, surface in shown["surfaces"].items()),
    ]
    emit(table(rows), output)


@app.command()
def explain(*, format_: Format = "table", output: Output = None, organism: Organism = None) -> None:
    """Print the whole preimage, field by field, so that anybody can recompute the fingerprint."""
    from organismctl.cli.output import emit, emit_json, table
    from organismctl.errors import InputError
    from organismctl.identity.fingerprint import SCHEME, preimage
    from organismctl.identity.fingerprint import explain as rows_of

    scope = _scope(organism)
    config, identity = scope.organism.config, _identity(scope)
    if identity.scheme != SCHEME:
        raise InputError(
            f"scheme {identity.scheme}: the preimage is the organism's own, so only its result is known",
            advice="`organismctl fingerprint show` prints it",
        )
    rows = rows_of(config)
    if wants_json(format_):
        told = [
            {"path": row.path, "text": row.text, "encoding": row.encoding.hex(), "digest": row.digest.hex()}
            for row in rows
        ]
        emit_json(
            {
                "schema": 1,
                "name": config.name,
                "scheme": identity.scheme,
                "fingerprint": identity.fingerprint.hex(),
                "preimage": preimage(config).hex(),
                "fields": told,
            },
            output,
        )
        return
    cells = [
        [row.path, _cell(row.text, 44), _cut(row.encoding.hex(), 24), row.digest.hex()[:10]] for row in rows
    ]
    lines = [
        table(cells, ["field", "value", "encoding", "digest"]),
        "",
        f"preimage     {len(preimage(config))} bytes, the encodings joined (in full: --format json)",
        f"fingerprint  {identity.fingerprint.hex()} = blake3(preimage)",
    ]
    emit("\n".join(lines), output)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The organism.toml that is deployed.")],
    new: Annotated[Path, typer.Argument(help="The one that would be.")],
    *,
    format_: Format = "table",
    output: Output = None,
) -> None:
    """Compare two configs: per field which identity it moves, who must act, and the verdict for integrators.

    Exit codes: 0 nothing moves; 2 an identity or a surface's id moves.
    """
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import emit, emit_json, table
    from organismctl.errors import InputError
    from organismctl.exits import Exit
    from organismctl.identity.diff import diff as compare

    for path in (old, new):
        if not path.exists():
            raise InputError(f"there is no {path}", advice="diff compares two organism.toml files")
    before, after = load_subject(str(old)), load_subject(str(new))
    found = compare(
        before.organism.config,
        after.organism.config,
        _hashed(before) or _hashed(after),
        identities=(_identity(_scope_of(before)), _identity(_scope_of(after))),
    )
    if wants_json(format_):
        emit_json(_diff_json(found), output)
    else:
        cells = [_row(change) for change in found.changes]
        lines = [
            table(cells, ["field", "old", "new", "moves", "who must act"]) if cells else "no field differs",
            "",
        ]
        lines.append(_pin("fingerprint", found.old.fingerprint, found.new.fingerprint))
        lines.append(_pin("group id", found.old_group, found.new_group))
        lines.append(f"integrators  {found.verdict}; who must act: {', '.join(found.actors)}")
        emit("\n".join(lines), output)
    raise typer.Exit(Exit.DRIFT if found.moves or found.verdict != "none" else Exit.OK)


@app.command()
def check(
    *,
    format_: CheckFormat = "table",
    output: Output = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails too (exit 2).")] = False,
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="WHOM", help="any, committee or integrators.")
    ] = "any",
    organism: Organism = None,
) -> None:
    """Hold organism.toml against organism.lock: the CI gate. Needs neither network nor deployment.toml.

    Exit codes: 0 as accepted; 2 drifted; 5 it cannot be told.
    """
    from organismctl.cli.check import Asked, judge
    from organismctl.errors import UsageError

    if format_ not in CHECK_FORMATS:
        raise UsageError(f"--format {format_[:40]!r}: allowed: {', '.join(CHECK_FORMATS)}")
    judge(["fingerprint"], Asked(organism, format_, output, strict, fail_on), command="fingerprint check")


def _scope(organism: str | None) -> Scope:
    """The organism's files and identities; nothing is looked at."""
    from organismctl.cli.judging import load_subject

    return _scope_of(load_subject(organism))


def _scope_of(subject: Subject) -> Scope:
    from organismctl.cli.judging import now_ms
    from organismctl.observe.snapshot import Snapshot

    return subject.scope(Snapshot(now_ms(), ()), now_ms())


def _hashed(subject: Subject) -> bytes | None:
    """``H(group secret)``: of the secret where it is here, else as the lock keeps it."""
    return subject.secret_hash or (subject.lock.group_secret_hash if subject.lock else None)


def _identity(scope: Scope) -> Any:
    from organismctl.errors import InputError

    if scope.identity is None:
        raise InputError(
            f"the identity cannot be made: {scope.identity_unknown}", advice="see [identity] in organism.toml"
        )
    return scope.identity


def _reference(scope: Scope) -> str:
    from organismctl.errors import InputError
    from organismctl.identity.reference import OrganismRef, span_stanza

    identity, config = _identity(scope), scope.organism.config
    if identity.stable_id is None:
        raise InputError(
            "the scheme tells no stable id, so there is no reference", advice="declare identity.stable_id"
        )
    ref = OrganismRef("organism", config.name, identity.stable_id, identity.fingerprint)
    types = {surface.name: surface.type for surface in config.surfaces}
    surfaces = tuple(
        (name, types.get(name, "stream"), surface) for name, surface in identity.surface_ids.items()
    )
    return f"{ref}\n\n{span_stanza(ref, surfaces)}"


def _diff_json(found: ConfigDiff) -> dict[str, Any]:
    return {
        "schema": 1,
        "verdict": found.verdict,
        "moves": list(found.moves),
        "actors": list(found.actors),
        "fingerprint": {"old": found.old.fingerprint.hex(), "new": found.new.fingerprint.hex()},
        "group_id": {"old": _hex(found.old_group), "new": _hex(found.new_group)},
        "changes": [
            {
                "path": change.path,
                "old": change.old,
                "new": change.new,
                "moves": list(change.moves),
                "actors": list(change.actors),
            }
            for change in found.changes
        ],
    }


def _row(change: Change) -> list[str]:
    moves = " and ".join(move.replace("_", " ") for move in change.moves) or "neither"
    return [
        _cell(change.path, 48),
        _cell(change.old or "-", 24),
        _cell(change.new or "-", 24),
        moves,
        ", ".join(change.actors),
    ]


def _pin(name: str, old: bytes | None, new: bytes | None) -> str:
    if old is None or new is None:
        return f"{name:<12} unknown: neither file has the group secret or its hash beside it"
    return f"{name:<12} {old.hex()[:10]}" + (f" → {new.hex()[:10]}" if old != new else " stays")


def _hex(value: bytes | None) -> str | None:
    return value.hex() if value is not None else None


def _cell(text: str, size: int) -> str:
    """Text for a cell: ids short, then no longer than ``size``."""
    import re

    return _cut(re.sub(r"\b([0-9a-f]{10})[0-9a-f]{54}\b", r"\1", text), size)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
