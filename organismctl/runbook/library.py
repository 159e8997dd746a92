"""Where runbooks are: those that ship with the tool, and an operator's own, which go before them by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from organismctl.check.codes import CODES, nearest
from organismctl.errors import InputError, UsageError
from organismctl.files.atomic import os_errors, read_text
from organismctl.runbook.model import NAME, Runbook
from organismctl.runbook.parse import load_runbook

SUFFIX = ".md"


def shipped_folder() -> Path:
    """The folder of the runbooks that ship: in the wheel beside this file, in a checkout at its root."""
    inside = Path(__file__).with_name("shipped")
    return inside if inside.is_dir() else Path(__file__).parents[2] / "runbooks"


@dataclass(frozen=True, slots=True)
class Library:
    """Runbooks of one or two folders.

    Attributes:
        own: The operator's own folder, or ``None``.
        shipped: The folder of those that ship.
    """

    own: Path | None = None
    shipped: Path = field(default_factory=shipped_folder)

    def paths(self) -> dict[str, Path]:
        """Name to file, in the order of the names; the operator's own go first.

        Raises:
            InputError: The operator's folder is not there.
            PathError: The system refused.
        """
        found = dict(_files(self.shipped))
        if self.own is not None:
            if not self.own.is_dir():
                raise InputError(
                    f"{self.own}: there is no such folder of runbooks",
                    advice="see --runbooks, or [runbooks] in deployment.toml; `organismctl runbook new` makes it",
                )
            found.update(_files(self.own))
        return dict(sorted(found.items()))

    def is_own(self, path: Path) -> bool:
        """Whether a file is the operator's own."""
        return self.own is not None and path.parent == self.own

    def path(self, name: str) -> Path:
        """The file of a runbook, by its name or by a finding's code.

        Raises:
            UsageError: There is none.
            InputError: The operator's folder is not there.
        """
        paths = self.paths()
        wanted = CODES[name.upper()].runbook if name.upper() in CODES else name.removesuffix(SUFFIX)
        if wanted in paths:
            return paths[wanted]
        raise UsageError(f"there is no runbook {name[:60]!r}", advice=_advice(name, list(paths)))

    def load(self, name: str) -> Runbook:
        """A runbook, by its name or by a finding's code.

        Raises:
            UsageError: There is none.
            InputError: It holds problems.
        """
        return load_runbook(self.path(name))

    def all(self) -> list[Runbook]:
        """Every runbook.

        Raises:
            InputError: One of them holds problems.
        """
        return [load_runbook(path) for path in self.paths().values()]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    with os_errors(folder, "read"):
        for path in folder.iterdir():
            if path.suffix == SUFFIX and NAME.fullmatch(path.stem) and path.is_file():
                yield path.stem, path


def _advice(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    if near := get_close_matches(name, known, n=1):
        return f"did you mean {near[0]}?"
    code = nearest(name) if name.isupper() else None
    return f"did you mean {code}?" if code else "organismctl runbook list"


TEMPLATE = """\
---
title: {title}
codes: []
severity: ticket
roles: [on-call]
takes: 5 minutes
---

# {title}

**Symptom.** What the operator sees.

```probe
organismctl status
```

## What it may be

When: COMMITTEE-QUORUM bad or LEADER-UNIQUE bad

What to do, and why. A `probe` block looks, a `run` block acts; both hold command lines of this tool. Give the
code of each finding that this runbook answers in its front matter, and in the condition of a section.

```probe
organismctl check committee
```

## How to know that it worked

```probe 60s
organismctl check committee
```

## When to escalate

After ten minutes without success: {{escalate}}.
"""


def draft(folder: Path, name: str, title: str) -> Path:
    """Write the beginning of a new runbook.

    Raises:
        UsageError: It is no name for one.
        RefusedError: There is a file already.
        PathError: The system refused.
    """
    from organismctl.errors import RefusedError
    from organismctl.files.atomic import write_atomic

    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:60]!r} is no name", advice="small letters, digits and single dashes: node-down"
        )
    path = folder / f"{name}{SUFFIX}"
    if path.exists():
        raise RefusedError(f"{path} is there already", advice="choose another name, or edit it")
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, TEMPLATE.format(title=title or name.replace("-", " ").capitalize()).encode())
    return path


def copy(source: Path, folder: Path) -> Path:
    """Copy a runbook that ships into the operator's own folder, to change it there.

    Raises:
        RefusedError: There is a file already.
        PathError: The system refused.
    """
    from organismctl.errors import RefusedError
    from organismctl.files.atomic import write_atomic

    path = folder / source.name
    if path.exists():
        raise RefusedError(f"{path} is there already", advice="edit it")
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, read_text(source).encode())
    return path
