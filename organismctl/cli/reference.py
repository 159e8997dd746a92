"""The reference pages that are made from the code: ``python -m organismctl.cli.reference docs/reference``.

Finding codes, exit codes, the keys of each file, the node API's routes and the exporter's series. A test holds them
fresh. The page per command is made by :mod:`organismctl.cli.generate`, the JSON Schemas beside their shapes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from organismctl.check.codes import CODES, exit_of
from organismctl.check.finding import Status
from organismctl.exits import SEVERITY, Exit
from organismctl.exporter.series import page as metrics_page
from organismctl.files.fields import Each, Strings
from organismctl.files.jsonschemas import DOCUMENTS
from organismctl.files.schema import Field, Shape, Table, Tables, Tagged, allowed_of

MADE = "Generated from the code; `make docs` renews it."
EXITS: dict[Exit, str] = {
    Exit.OK: "all that was asked is as it should be; a warning alone too, unless `--strict`",
    Exit.ERROR: "an error of the tool or of its input",
    Exit.DRIFT: "an identity drifted, or a change is needed",
    Exit.BREACH: "a horizon or a lag limit is breached",
    Exit.REFUSED: "refused as unsafe",
    Exit.UNKNOWN: "unknown or incomplete: something could not be seen",
    Exit.UNHEALTHY: "unhealthy now: no quorum, diverged, forked, dark",
    Exit.USAGE: "the command line is wrong",
}
FILES = {"organism": "organism.toml", "deployment": "deployment.toml", "lock": "organism.lock",
         "contexts": "contexts.toml"}  # fmt: skip
"""File stem of a shape to the file that it describes."""


def pages() -> dict[str, str]:
    """File name to text of every page."""
    return {
        "README.md": _index(),
        "finding-codes.md": _codes(),
        "exit-codes.md": _exits(),
        "file-keys.md": _files(),
        "node-api.md": _api(),
        "metrics.md": metrics_page(),
    }


def _index() -> str:
    rows = (
        ("[Commands](../commands/README.md)", "a page a command: options, examples, exit codes"),
        ("[Finding codes](finding-codes.md)", "what each means, its status, exit class and runbook"),
        ("[Exit codes](exit-codes.md)", "and which of several decides"),
        ("[File keys](file-keys.md)", "every key of organism.toml, deployment.toml, organism.lock, contexts.toml"),
        ("[Node API](node-api.md)", "every route, and who may call it"),
        ("[Metrics](metrics.md)", "every series of `organismctl exporter`"),
        ("[JSON Schemas](../schemas)", "of the files, and of every command's `--format json`"),
    )  # fmt: skip
    return _text("# Reference", "", MADE, "", *_table(("page", "tells"), rows))


# Codes.


def _codes() -> str:
    rows = [
        (
            f"[`{code.code}`](#{code.code.lower()})", code.title, code.default.value, str(int(exit_of(code))),
            f"[{code.runbook}](../../runbooks/{code.runbook}.md)",
        )
        for code in CODES.values()
    ]  # fmt: skip
    parts = [
        "# Finding codes", "", MADE, "",
        "A code is stable for ever. `organismctl explain CODE` prints the same as this page. Each code also has an",
        "ok row; the status here is the one that its finding has when it is not ok and nothing else is said. A row",
        "that is bad exits with the code's class, one that is unknown with 5, a warning alone with 0.", "",
        *_table(("code", "is about", "status", "exit", "runbook"), rows),
    ]  # fmt: skip
    for code in CODES.values():
        bad = "" if code.default is Status.BAD else f" Where it is bad: exit {int(code.exit)}."
        acting = " and ".join(code.concerns)
        parts += [
            "", f"## {code.code}", "", f"*{code.title}.* {code.meaning}", "", f"**To do.** {code.action}", "",
            f"Concerns the {acting}.{bad} Runbook: [{code.runbook}](../../runbooks/{code.runbook}.md).",
        ]  # fmt: skip
    return _text(*parts)


def _exits() -> str:
    rows = [(str(int(code)), code.name, meaning) for code, meaning in EXITS.items()]
    order = ", ".join(str(int(code)) for code in SEVERITY)
    return _text(
        "# Exit codes", "", MADE, "", *_table(("exit", "name", "meaning"), rows), "",
        f"The worst finding decides, in the order {order}. The exit codes of each command stand below its help.",
    )  # fmt: skip


# Files.


def _files() -> str:
    parts = [
        "# Keys of each file", "", MADE, "",
        "A whole example of each, with comments, stands in [formats](../formats/files.md). `[]` behind a key is a",
        "list; a key that must be there is marked with *. An unknown key is an error that names the nearest known one.",
    ]  # fmt: skip
    for stem, table in DOCUMENTS.items():
        rows = [
            (f"`{path}`{'*' if field.required else ''}", field.doc, _allowed(field.shape), _default(field))
            for path, field in _keys(table, "")
        ]
        example = f"[example](../formats/{FILES[stem]}), [schema](../schemas/{stem}.schema.json)"
        parts += ["", f"## {FILES[stem]}", "", f"{_sentence(table.doc)}: {example}.", ""]
        parts += _table(("key", "says", "allowed", "default"), rows)
    return _text(*parts)


def _sentence(doc: str) -> str:
    """What stands behind a shape's file name, with a capital letter."""
    said = doc.partition(": ")[2]
    return said[:1].upper() + said[1:]


def _keys(shape: Shape, path: str) -> Iterator[tuple[str, Field]]:
    """Every key below a shape, each before what is inside of it; one of several tables' keys once."""
    if isinstance(shape, Table):
        for key, field in shape.fields.items():
            at = f"{path}.{key}" if path else key
            yield at + ("[]" if isinstance(field.shape, (Tables, Strings)) else ""), field
            yield from _keys(field.shape, at)
    elif isinstance(shape, Tables):
        yield from _keys(shape.each, f"{path}[]")
    elif isinstance(shape, Each):
        yield from _keys(shape.shape, f"{path}.NAME")
    elif isinstance(shape, Tagged):
        yield from _variants(shape, path)


def _variants(shape: Tagged, path: str) -> Iterator[tuple[str, Field]]:
    from organismctl.files.fields import Choice

    required = shape.default is None
    yield (
        f"{path}.{shape.tag}",
        Field(
            Choice(tuple(shape.variants)),
            "which of the kinds it is",
            required=required,
            default=shape.default,
        ),
    )
    for tag, table in shape.variants.items():
        for at, field in _keys(table, path):
            said = f"{shape.tag} = {tag}" + (f": {field.doc}" if field.doc else "")
            yield (
                at,
                Field(field.shape, said, required=field.required, default=field.default, shown=field.shown),
            )


def _allowed(shape: Shape) -> str:
    if isinstance(shape, (Table, Tagged)):
        return "a table"
    if isinstance(shape, Tables):
        return f"tables, {shape.count()}"
    return allowed_of(shape)


def _default(field: Field) -> str:
    if isinstance(field.shown, bool):
        return f"`{str(field.shown).lower()}`"
    return f"`{field.shown}`" if isinstance(field.shown, (str, int)) else ""


# The node API.


def _api() -> str:
    rows = [(f"`{method}`", f"`{path}`", access, text) for method, path, access, text in _routes()]
    return _text(
        "# Routes of the node API", "", MADE, "",
        "`open`: anybody; `read`, `operate`: `Authorization: Bearer TOKEN` with that scope, operate includes read.",
        "A node serves the whole OpenAPI 3.1 document at `/openapi.json`. What the answers hold, the limits and the",
        "errors stand in [the node API's format](../formats/node-api.md).", "",
        *_table(("method", "path", "access", "does"), rows),
    )  # fmt: skip


def _routes() -> Iterator[tuple[str, str, str, str]]:
    """Method, path with its query, access and first line of every route."""
    from typing import cast

    from organismctl.committee.api.app import make_app
    from organismctl.committee.node.node import CommitteeNode

    document = make_app(cast("CommitteeNode", None)).openapi()
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            asked = "&".join(f"{one['name']}=" for one in told.get("parameters", ()) if one["in"] == "query")
            text = told.get("description", told.get("summary", "")).split("\n")[0]
            yield method.upper(), path + (f"?{asked}" if asked else ""), _access(told), text


def _access(told: dict[str, Any]) -> str:
    """By the answers that a route documents: 403 only where the operate scope is asked for."""
    if "security" not in told:
        return "open"
    return "operate" if "403" in told["responses"] else "read"


# Text.


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Write every page into a folder."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m organismctl.cli.reference FOLDER\n")
        return 64
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
