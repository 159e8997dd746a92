"""Edits of the operator's files that keep comments, order and spelling.

Values are set with tomlkit. Whole tables are taken out line by line instead, since tomlkit drops the comments
that follow the table. Every edit is proven before it is written: the new text must be valid, and the file
must still be the one that was read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError, RefusedError
from organismctl.files.atomic import read_text, write_atomic
from organismctl.files.locate import Locator, item

if TYPE_CHECKING:
    from pathlib import Path

    from tomlkit import TOMLDocument
    from tomlkit.items import AoT, Table

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

        document = _parse(text)
        place: Any = document
        for step in key_path[:-1]:
            if isinstance(step, str) and step not in place:
                place[step] = tomlkit.table()
            place = place[step]
        place[key_path[-1]] = value
        return tomlkit.dumps(document)

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
        return _append(text, "node", values)

    return run


def remove_node(name: str) -> Edit:
    """Take a ``[[node]]`` out, with its ticket entries; comments around it stay."""

    def run(text: str) -> str:
        text = remove_table("node", _index(text, "node", name))(text)
        return _drop_tickets(text, lambda ticket: ticket.get("node") == name)

    return run


def set_roster(name: str, *, on: bool) -> Edit:
    """Say whether a node is wished on the roster."""

    def run(text: str) -> str:
        return set_value(("node", _index(text, "node", name), "roster"), on)(text)

    return run


def set_ticket(span: str, node: str, file: str) -> Edit:
    """Name the ticket file of a node for a spanned member: the present entry's, or a new entry."""

    def run(text: str) -> str:
        import tomlkit

        index = _index(text, "span", span)
        tickets = _loads(text)["span"][index].get("ticket", [])
        for i, ticket in enumerate(tickets):
            if ticket.get("node") == node:
                return text if ticket.get("file") == file else set_value(
                    ("span", index, "ticket", i, "file"), file
                )(text)  # fmt: skip
        document = _parse(text)
        table: Any = document["span"]
        _append_to(table[index], "ticket", {"node": node, "file": file})
        return tomlkit.dumps(document)

    return run


def remove_ticket(span: str, node: str) -> Edit:
    """Take the ticket entries of a node for a spanned member out."""

    def run(text: str) -> str:
        index = _index(text, "span", span)
        return _drop_tickets(text, lambda ticket: ticket.get("node") == node, only=index)

    return run


def remove_table(array_path: str, index: int) -> Edit:
    """Take one ``[[table]]`` out, with the tables below it; comments after its last value stay.

    Args:
        array_path: Path of the array of tables: ``node`` or ``span[0].ticket``.
        index: Position in it.

    Returns:
        The edit; it raises :class:`InputError` when the tables are not written one after the other.
    """

    def run(text: str) -> str:
        target = item(array_path, index)
        locator = Locator(text)
        first = locator.exact(target)
        lines = text.split("\n")
        if first is None or not lines[first - 1].lstrip().startswith("["):
            raise InputError(f"{target} is not written as a [[table]]", advice="edit the file by hand")
        below = {
            line for path, line in locator.lines.items() if path == target or path.startswith(target + ".")
        }
        after = [line for line in locator.lines.values() if line > first and line not in below]
        last = min(after, default=len(lines) + 1) - 1
        while last > first and _is_comment(lines[last - 1]):
            last -= 1
        new = "\n".join([*lines[: first - 1], *lines[last:]])
        _prove_removed(text, new, array_path, index)
        return new

    return run


def _prove_removed(before: str, after: str, array_path: str, index: int) -> None:
    """The new text must mean the old one without that table, and nothing else."""
    wanted = _loads(before)
    holder, key = wanted, array_path
    if "." in array_path:  # span[0].ticket
        top, key = array_path.rsplit(".", 1)
        name, position = top[:-1].split("[")
        holder = wanted[name][int(position)]
    del holder[key][index]
    if not holder[key]:
        del holder[key]
    if _loads(after) != wanted:
        raise InputError(
            f"{item(array_path, index)} cannot be taken out alone", advice="edit the file by hand"
        )


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _drop_tickets(text: str, match: Callable[[Mapping[str, Any]], bool], only: int | None = None) -> str:
    """Take matching ticket entries out, of one spanned member or of all."""
    for i, span in enumerate(_loads(text).get("span", [])):
        if only is not None and i != only:
            continue
        for j in reversed(range(len(span.get("ticket", [])))):
            if match(span["ticket"][j]):
                text = remove_table(f"span[{i}].ticket", j)(text)
    return text


def _append(text: str, array: str, values: Mapping[str, Any]) -> str:
    """Append a table to a top-level array of tables."""
    import tomlkit

    document = _parse(text)
    if array not in document:  # behind everything, as text: tomlkit would put it before the first table
        new = tomlkit.document()
        _append_to(new, array, values)
        return text.rstrip("\n") + "\n\n" + tomlkit.dumps(new)
    _append_to(document, array, values)
    return tomlkit.dumps(document)


def _append_to(holder: TOMLDocument | Table, key: str, values: Mapping[str, Any]) -> None:
    """Append a table to an array of tables, which is made when it is missing."""
    import tomlkit

    table = tomlkit.table()
    for name, value in values.items():
        table.add(name, value)
    if key not in holder:
        holder.add(key, tomlkit.aot())
    array: AoT = holder[key]
    array.append(table)


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
