"""The command lines of a Markdown document: which are there, which are run, and what they are said to print.

A fence of language ``sh`` is a script of which every command ends with 0. A fence of language ``console`` holds
commands after ``$ `` (``> `` goes on with one) and what they print; ``[exit 2]`` says what one exits with, ``[…]``
stands for lines left out. A comment ``<!-- not run: REASON -->`` before a fence says why its commands are not run. A
document that says ``<!-- run where the engine is -->`` needs real mosaik.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from organismctl.runbook.commands import NAME, looks

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("sh", "bash", "console")
_FENCE = re.compile(r"^(?P<indent> *)(?P<mark>```+|~~~+)(?P<language>[\w-]*)(?P<rest>[^\n]*)$")
_NOT_RUN = re.compile(r"^<!-- not run: (?P<why>.+) -->$")
_EXIT = re.compile(r"^\[exit (?P<code>\d+)\]$")
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
LEFT_OUT = "[…]"
STRICT = "set -e\n"
"""What a command of a script begins with: the first of its commands that fails ends it."""


@dataclass
class Command:
    """One command: of a script one that is whole, such as a loop with its body.

    Attributes:
        line: Where it stands, from 1.
        text: As a shell takes it.
        shown: What it is said to print, line by line.
        exit: What it is said to exit with.
    """

    line: int
    text: str
    shown: list[str] = field(default_factory=list)
    exit: int = 0

    @property
    def only_looks(self) -> bool:
        """Whether it is a single call of the tool that changes nothing, joined with nothing that might."""
        parts = shlex.shlex(self.text.removeprefix(STRICT), posix=True, punctuation_chars=True)
        parts.whitespace_split = True
        try:
            argv = list(parts)
        except ValueError:
            return False
        joined = any(word and set(word) <= set("();<>|&") for word in argv) or re.search(r"\$\(|`", self.text)
        # `watch` stays, but a documented one ends by itself.
        return argv[:1] == [NAME] and not joined and (looks(argv) or argv[1:2] == ["watch"])


@dataclass
class Fence:
    """One fenced block.

    Attributes:
        line: Where its first line stands, from 1.
        language: What stands behind the fence.
        lines: Its lines, without the fence's indent.
        not_run: Why its commands are not run, or ``None``.
    """

    line: int
    language: str
    lines: list[str]
    not_run: str | None = None

    def commands(self) -> list[Command]:
        """What a shell is given; nothing for a fence of another language."""
        if self.language == "console":
            return _console(self)
        if self.language in SCRIPTS:
            return _script(self)
        return []

    def ours(self) -> list[tuple[int, str]]:
        """Every line that calls the tool, with its continuations, whatever the language."""
        found: list[tuple[int, str]] = []
        open_line = False
        for number, line in enumerate(self.lines, self.line):
            text = re.sub(r"^\$ ", "", line.strip())
            if open_line:
                at, before = found[-1]
                found[-1] = (at, before.removesuffix("\\") + " " + re.sub(r"^> ", "", text))
            elif here := calls(text):
                found += [(number, one) for one in here]
            else:
                continue
            open_line = text.endswith("\\")
        return found


def calls(text: str) -> list[str]:
    """The tool's own calls in one shell line: `a && organismctl …; done` has one, and so has `$(organismctl …)`."""
    code = re.sub(r"\s{2,}#.*", "", text)
    inner: list[str] = []
    while found := _SUBSTITUTION.search(code):
        inner.append(found[1])
        code = code[: found.start()] + "X" + code[found.end() :]
    parts = [part for one in (code, *inner) for part in re.split(r"&&|\|\||;|\||(?<!\\)&(?!\d)", one)]
    words = [re.sub(r"^(?:do|then|if|while|until|!|exec)\s+", "", part.strip()) for part in parts]
    return [re.sub(r"\s+\d?>{1,2}\s*\S+", "", one) for one in words if one.startswith("organismctl ")]


def _console(fence: Fence) -> list[Command]:
    made: list[Command] = []
    for number, line in enumerate(fence.lines, fence.line):
        if line.startswith("$ "):
            made.append(Command(number, line[2:]))
        elif line.startswith("> ") and made and not made[-1].shown:
            made[-1].text += "\n" + line[2:]
        elif found := _EXIT.match(line):
            made[-1].exit = int(found["code"])
        elif made:
            made[-1].shown.append(line)
    return made


def _script(fence: Fence) -> list[Command]:
    """A script's commands, each of whole lines: one that only looks can then be repeated."""
    made: list[Command] = []
    lines: list[str] = []
    for number, line in enumerate(fence.lines, fence.line):
        lines.append(line)
        if _is_whole("\n".join(lines)):
            if any(one.strip() for one in lines):
                made.append(Command(number - len(lines) + 1, STRICT + "\n".join(lines)))
            lines = []
    assert not lines, f"a script has no end: {lines}"
    return made


def _is_whole(text: str) -> bool:
    """Whether a shell would wait for no more; it only warns of a here-document without an end."""
    if re.search(r"(?<!\\)(?:\\\\)*\\$", text):
        return False
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return done.returncode == 0 and not done.stderr


def fences(path: Path) -> list[Fence]:
    """Every fenced block of a document, in order."""
    made: list[Fence] = []
    mark, why = None, None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        found = _FENCE.match(line)
        if mark is None and found:
            mark = (found["indent"], found["mark"])
            made.append(Fence(number + 1, found["language"], [], why))
        elif mark is not None and found and found["mark"] == mark[1] and not found["language"]:
            mark = None
        elif mark is not None:
            made[-1].lines.append(line.removeprefix(mark[0]))
        if mark is None and line.strip():
            said = _NOT_RUN.match(line.strip())
            why = said["why"] if said else None
    assert mark is None, f"{path}: a fence has no end"
    return made


def documents() -> list[Path]:
    """Every document for people: the README, docs, runbooks."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "runbooks").glob("*.md")),
    ]
