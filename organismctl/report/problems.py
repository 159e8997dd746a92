"""What is wrong with an input file, in the formats that machines read: no report comes of it otherwise."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from organismctl.errors import InputError, Problem
from organismctl.exits import Exit
from organismctl.report.github_format import data_text, property_text
from organismctl.report.text import clean, relative

TITLE = "a file holds problems"


def problems_json(error: InputError, command: str) -> dict[str, Any]:
    """JSON-ready; its schema is published as ``input-problems.schema.json``."""
    return {
        "schema": 1,
        "command": command,
        "exit": int(Exit.ERROR),
        "error": clean(error.message),
        "problems": [asdict(one) for one in error.problems],
    }


def problems_page(error: InputError, form: str, command: str, base: str) -> str | None:
    """Every problem, in a format of ``check``.

    Args:
        error: The problems.
        form: ``--format``.
        command: ``fingerprint check``.
        base: Absolute path of the present folder; annotations name files from there.

    Returns:
        The text, or ``None`` for a format that has no place for them (they stand on standard error all the same).
    """
    if not error.problems:
        return None
    if form == "json":
        return json.dumps(problems_json(error, command), ensure_ascii=False, indent=2) + "\n"
    if form == "github":
        return "".join(_annotation(one, command, base) for one in error.problems)
    return _junit(error, command) if form == "junit" else None


def _annotation(one: Problem, command: str, base: str) -> str:
    place = [f"file={property_text(relative(one.file, base))}", *([f"line={one.line}"] if one.line else [])]
    title = f"title={property_text(f'organismctl {command}: {one.key}')}"
    return f"::error {','.join([*place, title])}::{data_text(_said(one))}\n"


def _junit(error: InputError, command: str) -> str:
    from organismctl.report.junit_format import (
        attribute,  # its library loads ssl, which the gate's start does without
    )

    count = len(error.problems)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<testsuites>",
        (
            f'<testsuite name={attribute(f"organismctl {command}")} tests="{count}" failures="0" errors="{count}" '
            'skipped="0" time="0">'
        ),
    ]
    for one in error.problems:
        line = f' line="{one.line}"' if one.line is not None else ""
        name, said, file = map(attribute, (one.key, _said(one), one.file))
        lines.append(
            f'<testcase classname="{TITLE}" name={name} file={file}{line}><error message={said}/></testcase>'
        )
    return "\n".join([*lines, "</testsuite>", "</testsuites>"]) + "\n"


def _said(one: Problem) -> str:
    """A problem without its place, which stands beside it."""
    return str(Problem("", None, one.key, one.found, one.allowed, one.hint)).removeprefix(": ")
