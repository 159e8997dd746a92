"""Proves runbooks: every command line, code, link and anchor exists, and each answers the codes that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from organismctl.check.codes import CODES, nearest
from organismctl.errors import InputError, Problem
from organismctl.runbook.commands import looks, stays, words
from organismctl.runbook.library import Library
from organismctl.runbook.model import ESCALATION, PLACEHOLDER, PROOF, Block, Kind, Runbook
from organismctl.runbook.parse import load_runbook
from organismctl.runbook.world import SAMPLES, fill

Prove = Callable[[Sequence[str]], str | None]
"""Parses a command line (without the tool's name) and runs nothing: what is wrong with it, or ``None``."""
MUST = (PROOF, ESCALATION)
"""Sections that every runbook has."""
MAX_COLUMNS = 110
_CODE = re.compile(r"`([A-Z]{2,}(?:-[A-Z]+)+)`")
_INLINE = re.compile(r"`(organismctl [^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"#{1,6} +(.*?)(?: +#+)?")


def check_library(library: Library, prove: Prove) -> tuple[list[Runbook], list[Problem]]:
    """Prove every runbook of a library, and that each code's runbook is there and answers it.

    Args:
        library: Where they are.
        prove: Parses command lines.

    Returns:
        The runbooks that can be read, and every problem of all of them.
    """
    books: dict[str, Runbook] = {}
    problems: list[Problem] = []
    for name, path in library.paths().items():
        try:
            books[name] = load_runbook(path)
        except InputError as error:
            problems += error.problems
    anchors = {book.name: frozenset(_anchors(book.text)) for book in books.values()}
    for book in books.values():
        folder = library.paths()[book.name].parent
        problems += [*_codes(book), *_commands(book, prove), *_links(book, folder, anchors), *_shape(book)]
    problems += _complete(books, library)
    return list(books.values()), problems


def _complete(books: Mapping[str, Runbook], library: Library) -> Iterator[Problem]:
    """Findings, `explain` and alerts name runbooks: each is there and says that it answers the code."""
    for code in CODES.values():
        book = books.get(code.runbook)
        if book is None:
            yield Problem(
                str(library.shipped), None, code.code, f"no runbook {code.runbook}", "one of that name"
            )
        elif code.code not in book.front.codes:
            line = book.front.lines.get("codes")
            yield Problem(book.file, line, "codes", f"no {code.code}", "every code whose runbook it is")


def _codes(book: Runbook) -> Iterator[Problem]:
    line = book.front.lines.get("codes")
    asked = {code for section in book.sections if section.when for code in section.when.codes()}
    for code in book.front.codes:
        if code not in CODES:
            yield _unknown(book, line, code)
        elif code not in asked:
            yield Problem(
                book.file, line, "codes", code, "codes that the condition (`When:`) of a section names"
            )
    for section in book.sections:
        for code in section.when.codes() if section.when else ():
            if code not in CODES and section.when is not None:
                yield _unknown(book, section.when.line, code)
    for section, block in book.blocks(Kind.RUN):
        when = book.condition(section)
        if block.code is not None and (when is None or block.code not in when.codes()):
            yield Problem(book.file, block.line, "run", block.code, "a code that its section's `When:` names")
    for number, text in enumerate(book.text.split("\n"), 1):
        for code in _CODE.findall(text):
            if code not in CODES and not text.startswith("When:"):
                yield _unknown(book, number, code)


def _unknown(book: Runbook, line: int | None, code: str) -> Problem:
    return Problem(book.file, line, "code", code, "a code of `organismctl explain --list`", nearest(code))


# Command lines.


def _commands(book: Runbook, prove: Prove) -> Iterator[Problem]:
    for _, block in book.blocks(Kind.PROBE, Kind.RUN):
        for line, text in block.commands:
            yield from _command(book, line, text, block, prove)
    for _, block in book.blocks(Kind.PROSE):
        # An inline command may be broken over two lines.
        for found in _INLINE.finditer(block.text):
            line = block.line + block.text[: found.start()].count("\n")
            yield from _command(book, line, " ".join(found[1].split()), None, prove)


def _command(book: Runbook, line: int, text: str, block: Block | None, prove: Prove) -> Iterator[Problem]:
    for name in PLACEHOLDER.findall(text):
        if name not in SAMPLES:
            yield Problem(
                book.file, line, "placeholder", f"{{{name}}}", ", ".join(f"{{{one}}}" for one in SAMPLES)
            )
    try:
        argv = [fill(word, tuple(SAMPLES.items())) for word in words(text)]
    except ValueError as exc:
        yield Problem(book.file, line, "command", repr(text[:80]), f"a command line of organismctl ({exc})")
        return
    if (wrong := prove(argv[1:])) is not None:
        yield Problem(book.file, line, "command", repr(text[:80]), f"one that the tool takes: {wrong}")
    if block is None:
        return
    if stays(argv):
        yield Problem(
            book.file, line, block.kind.value, repr(text[:80]), "a command that ends and asks nothing"
        )
    elif looks(argv) is not (block.kind is Kind.PROBE):
        found = "a command that " + ("acts" if block.kind is Kind.PROBE else "only looks")
        allowed = "commands that only look" if block.kind is Kind.PROBE else "commands that act"
        yield Problem(book.file, line, block.kind.value, f"{found}: {text[:60]}", allowed)


# Links.


def _links(book: Runbook, folder: Path, anchors: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    own = anchors[book.name]
    for _, block in book.blocks(Kind.PROSE):
        for found in _LINK.finditer(block.text):
            target = found[1]
            line = block.line + block.text[: found.start()].count("\n")
            if re.match(r"(?:https?|mailto):", target):
                continue
            path, _, anchor = target.partition("#")
            known = own if not path else anchors.get(Path(path).stem) if Path(path).suffix == ".md" else None
            if known is None and not (folder / path).exists():
                yield Problem(book.file, line, "link", target, "a runbook, or a file beside it")
            elif anchor and known is not None and anchor not in known:
                yield Problem(
                    book.file, line, "anchor", f"#{anchor}", "a heading of " + (path or "this file")
                )


def _anchors(text: str) -> Iterator[str]:
    """The anchors that a Markdown page gives its headings, as forges make them."""
    seen: dict[str, int] = {}
    for line in text.split("\n"):
        found = _HEADING.fullmatch(line.rstrip())
        if found is None:
            continue
        plain = re.sub(r"[^\w\- ]", "", found[1].lower()).replace(" ", "-")
        count = seen[plain] = seen.get(plain, -1) + 1
        yield f"{plain}-{count}" if count else plain


# Shape.


def _shape(book: Runbook) -> Iterator[Problem]:
    titles = [section.title for section in book.sections]
    for wanted in MUST:
        if wanted not in titles:
            yield Problem(book.file, None, "section", None, f"a section `## {wanted}`")
    first = "\n".join(block.text for block in book.sections[0].blocks) if book.sections else ""
    if "**Symptom.**" not in first:
        yield Problem(
            book.file, None, "symptom", None, "a paragraph that begins with **Symptom.** before all sections"
        )
    if not any(True for _ in book.blocks(Kind.PROBE)):
        yield Problem(book.file, None, "probe", None, "at least one probe")
    for number, text in enumerate(book.text.split("\n"), 1):
        if len(text) > MAX_COLUMNS:
            yield Problem(book.file, number, "line", f"{len(text)} characters", f"at most {MAX_COLUMNS}")
