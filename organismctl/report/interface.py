"""What a format is: a name, and a function from the one result and the page's style to text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from organismctl.report.model import Report

FORMATS = ("table", "json", "junit", "github", "prometheus")
"""What ``--format`` takes."""


@dataclass(frozen=True, slots=True)
class Style:
    """Facts about where the text goes; a formatter never asks the terminal itself.

    Attributes:
        width: Columns of the page.
        colour: Whether control codes may be used: only a terminal that allows them, never a file.
        base: Absolute path of the present folder; annotations name files from there.
    """

    width: int = 100
    colour: bool = False
    base: str = ""


PLAIN = Style()


class Formatter(Protocol):
    """One format."""

    def format(self, report: Report, style: Style) -> str:
        """The report as text, its last line ended."""
        ...


def formatter(name: str) -> Formatter:
    """The formatter of a name.

    Raises:
        UsageError: There is none of that name.
    """
    from importlib import import_module

    from organismctl.errors import UsageError

    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", advice=f"--format takes {', '.join(FORMATS)}")
    made: Formatter = import_module(f"organismctl.report.{name}_format").FORMATTER
    return made


def render(report: Report, name: str, style: Style = PLAIN) -> str:
    """The report in a format by its name.

    Raises:
        UsageError: There is no format of that name.
    """
    return formatter(name).format(report, style)
