"""Parses a command line by the tool's own parser, and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def prove(words: Sequence[str]) -> str | None:
    """What is wrong with a command line.

    Args:
        words: Its words after ``organismctl``.

    Returns:
        What the parser says, or ``None`` when it takes the line.
    """
    from typer._click.exceptions import ClickException  # typer re-exports no base of its usage errors

    from organismctl.cli.app import command
    from organismctl.cli.generate import NAME, context_of

    left = list(words)
    node: Any = command()
    context = context_of(node)
    while left and hasattr(node, "list_commands") and left[0] in node.list_commands(context):
        node = node.get_command(context, left[0])
        context = context_of(node, context, left.pop(0))
    if hasattr(node, "list_commands") and not getattr(node, "invoke_without_command", False):
        return f"{context.command_path}: no such command: {left[0] if left else 'none is named'}"
    try:
        # Parsing alone: an unknown option or a missing argument raises; nothing is run.
        node.make_context(node.name or NAME, left, parent=context.parent)
    except ClickException as error:
        return str(error.format_message())
    return None
