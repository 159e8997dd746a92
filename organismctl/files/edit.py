"""Edits of the operator's files that keep comments, order and spelling.

Present values are replaced with tomlkit. Keys and tables are put in and taken out line by line instead:
tomlkit counts the comments above the next table as the end of the one before, so it would write behind them,
or drop them. Every edit is proven: the new text must mean what was asked and nothing else, or it is refused.
A file that somebody else changed meanwhile is not overwritten.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError, RefusedError
from organismctl.files.atomic import read_text, write_atomic
from organismctl.files.keypath import child, item, quote_key
from organismctl.files.locate import Locator

if TYPE_CHECKING:
    from pathlib import Path

    from tomlkit import TOMLDocument

Edit = Callable[[str], str]
"""Text of a file to its new text."""


def edit(path: Path, *edits: Edit, validate: Callable[[str], object] | None = None) -> bool:
    """Apply edits to a file, all or none.

    Args:
        path: A TOML file.
        *edits: Applied in order; see the functions below.
        validate: Raises when the new text may not stand, for example :func:`parse_organism`.

    Returns:
        Whether the file changed.

    Raises:
        PathError: The system refused; the old content is untouched.
        InputError: The new text would not be valid.
        RefusedError: Somebody else changed the file meanwhile.
    """
    before = read_text(path)
    after = before
    for one in edits:
        after = one(after)
    if after == before:
        return False
    _loads(after)
    if validate is not None:
        validate(after)
    if read_text(path) != before:
        raise RefusedError(f"{path} was changed by somebody else meanwhile", advice="run the command again")
    write_atomic(path, after.encode())
    return True


def set_value(key_path: tuple[str | int, ...], value: Any) -> Edit:
    """Set one value; tables on the way are made, list positions must be there.

    Args:
        key_path: Keys and list positions: ``("node", 0, "roster")``.
        value: Text, boolean, integer, array or table.
    """

    def run(text: str) -> str:
        import tomlkit

        wanted = _loads(text)
        _put(wanted, key_path, value)
        *above, key = key_path
        new = _insert_key(text, above, str(key), value)
        if new is None or not _means(new, wanted):
            document = _parse(text)
            _put(document, key_path, value)
            new = tomlkit.dumps(document)
        return _prove(new, wanted, _dotted(key_path))

    return run


def unset(key_path: tuple[str | int, ...]) -> Edit:
    """Take one key away, if it is there; for a whole table of an array use :func:`remove_table`."""

    def run(text: str) -> str:
        import tomlkit

        document = _parse(text)
        place: Any = document
        for step in key_path[:-1]:
            if isinstance(step, str) and step not in place:
                return text
            place = place[step]
        if key_path[-1] in place:
            del place[key_path[-1]]
        return tomlkit.dumps(document)

    return run


def add_node(values: Mapping[str, Any]) -> Edit:
    """Append a ``[[node]]``; a node of that name is refused.

    Args:
        values: The table's keys as they stand in the file.
    """

    def run(text: str) -> str:
        _refuse_known(text, "node", str(values["name"]))
        return _append(text, ("node",), values)

    return run


def remove_node(name: str) -> Edit:
    """Take a ``[[node]]`` out, with its ticket entries; comments around it stay."""

    def run(text: str) -> str:
        text = remove_table(("node",), _index(text, "node", name))(text)
        return _drop_tickets(text, lambda ticket: ticket.get("node") == name)

    return run


def set_roster(name: str, *, on: bool) -> Edit:
    """Say whether a node is wished on the roster."""

    def run(text: str) -> str:
        return set_value(("node", _index(text, "node", name), "roster"), on)(text)

    return run


def set_ticket(span: str, node: str, file: str, *, beside: bool = False) -> Edit:
    """Name the ticket file of a node for a spanned member: the present entry's, or a new entry.

    Args:
        span: The spanned member.
        node: The node.
        file: Its file.
        beside: Other entries of the pair stay as they are.
    """

    def run(text: str) -> str:
        index = _index(text, "span", span)
        tickets = _loads(text)["span"][index].get("ticket", [])
        if beside:
            if {"node": node, "file": file} in tickets:
                return text
            tickets = []
        for i, ticket in enumerate(tickets):
            if ticket.get("node") == node:
                return text if ticket.get("file") == file else set_value(
                    ("span", index, "ticket", i, "file"), file
                )(text)  # fmt: skip
        return _append(text, ("span", index, "ticket"), {"node": node, "file": file})

    return run


def set_admission(node: str, file: str) -> Edit:
    """Name a node's ticket file for our own committee; others that it names stay."""

    def run(text: str) -> str:
        index = _index(text, "node", node)
        known = _loads(text)["node"][index].get("tickets", [])
        if file in known:
            return text
        return set_value(("node", index, "tickets"), [file, *known])(text)

    return run


def remove_ticket(span: str, node: str) -> Edit:
    """Take the ticket entries of a node for a spanned member out."""

    def run(text: str) -> str:
        index = _index(text, "span", span)
        return _drop_tickets(text, lambda ticket: ticket.get("node") == node, only=index)

    return run


def remove_table(array: tuple[str | int, ...], index: int) -> Edit:
    """Take one ``[[table]]`` out, with the tables below it; comments after its last value stay.

    Args:
        array: Keys and positions of the array of tables: ``("node",)`` or ``("span", 0, "ticket")``.
        index: Position in it.

    Returns:
        The edit; it raises :class:`InputError` when the tables are not written one after the other.
    """

    def run(text: str) -> str:
        target = _dotted((*array, index))
        wanted = _loads(text)
        holder = _get(wanted, array[:-1])
        del holder[array[-1]][index]
        if not holder[array[-1]]:
            del holder[array[-1]]
        first, last = _extent(text, target)
        lines = text.split("\n")
        return _prove("\n".join([*lines[: first - 1], *lines[last:]]), wanted, target)

    return run


def _extent(text: str, table: str, *, own: bool = False) -> tuple[int, int]:
    """First and last line of a written table, without the comments that follow it.

    Args:
        text: The file.
        table: Its path.
        own: Only its own keys, not the tables below it.

    Raises:
        InputError: It is not written under a header of its own.
    """
    lines = text.split("\n")
    found = Locator(text).lines
    first = found.get(table)
    if first is None or not lines[first - 1].lstrip().startswith("["):
        raise InputError(f"{table} is not written as a [[table]]", advice="edit the file by hand")
    headers = {line for line in found.values() if lines[line - 1].lstrip().startswith("[")}
    mine = {
        line for path, line in found.items() if path == table or path.startswith((f"{table}.", f"{table}["))
    }
    ends = [
        line for line in found.values() if line > first and (line not in mine or (own and line in headers))
    ]
    last = min(ends, default=len(lines) + 1) - 1
    while last > first and _is_comment(lines[last - 1]):
        last -= 1
    return first, last


def _insert_key(text: str, table: list[str | int], key: str, value: Any) -> str | None:
    """The text with a new key at the end of a written table; ``None`` when that is not the case."""
    import tomlkit

    try:
        if key in _get(_loads(text), table):
            return None
        _, last = _extent(text, _dotted(table), own=True)
    except (InputError, LookupError):
        return None
    lines = text.split("\n")
    lines.insert(last, f"{quote_key(key)} = {tomlkit.item(value).as_string()}")
    return "\n".join(lines)


def _append(text: str, array: tuple[str | int, ...], values: Mapping[str, Any]) -> str:
    """Append a table to an array of tables: behind its last one, else behind what holds it."""
    import tomlkit

    wanted = _loads(text)
    present = _get(wanted, array[:-1]).setdefault(array[-1], [])
    present.append(dict(values))
    header = ".".join(quote_key(step) for step in array if isinstance(step, str))
    new = [f"{quote_key(name)} = {tomlkit.item(value).as_string()}" for name, value in values.items()]
    lines = text.split("\n")
    if len(present) > 1:
        _, last = _extent(text, _dotted((*array, len(present) - 2)))
    elif len(array) > 1:
        _, last = _extent(text, _dotted(array[:-1]))
    else:
        last = len(lines) - 1 if lines[-1] == "" else len(lines)
    gap = [] if len(array) > 1 else [""]
    lines[last:last] = [*gap, f"[[{header}]]", *new]
    return _prove("\n".join(lines), wanted, _dotted(array))


def _prove(new: str, wanted: Mapping[str, Any], what: str) -> str:
    """The new text, when it means what is wanted and nothing else."""
    if not _means(new, wanted):
        raise InputError(f"{what} cannot be edited alone as the file is written", advice="edit it by hand")
    return new


def _means(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except (ValueError, RecursionError):
        return False


def _get(values: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        values = values[step]
    return values


def _put(place: Any, key_path: Sequence[str | int], value: Any) -> None:
    """Set a value in plain or tomlkit values; missing tables are made."""
    for step in key_path[:-1]:
        if isinstance(step, str) and step not in place:
            place[step] = {}
        place = place[step]
    place[key_path[-1]] = value


def _dotted(key_path: Sequence[str | int]) -> str:
    """Keys and positions as a path."""
    path = ""
    for step in key_path:
        path = item(path, step) if isinstance(step, int) else child(path, step)
    return path


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _drop_tickets(text: str, match: Callable[[Mapping[str, Any]], bool], only: int | None = None) -> str:
    """Take matching ticket entries out, of one spanned member or of all."""
    for i, span in enumerate(_loads(text).get("span", [])):
        if only is not None and i != only:
            continue
        for j in reversed(range(len(span.get("ticket", [])))):
            if match(span["ticket"][j]):
                text = remove_table(("span", i, "ticket"), j)(text)
    return text


def _index(text: str, array: str, name: str) -> int:
    """Position of the table of that name.

    Raises:
        InputError: There is none.
    """
    names = [one.get("name") for one in _loads(text).get(array, [])]
    if name not in names:
        known = ", ".join(str(one) for one in names) or "none"
        raise InputError(f"no [[{array}]] is named {name}", advice=f"known: {known}")
    return names.index(name)


def _refuse_known(text: str, array: str, name: str) -> None:
    if any(one.get("name") == name for one in _loads(text).get(array, [])):
        raise InputError(f"a [[{array}]] named {name} is there already", advice="choose another name")


def _loads(text: str) -> dict[str, Any]:
    """The text's values.

    Raises:
        InputError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InputError(f"not valid TOML: {exc}", advice="mend the file first") from exc


def _parse(text: str) -> TOMLDocument:
    """The text as tomlkit holds it; the seam for that library's errors."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, RecursionError) as exc:
        raise InputError(f"not valid TOML: {exc}", advice="mend the file first") from exc
