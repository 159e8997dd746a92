"""Executors: how a node is started, stopped, and shown to be off. One file each.

An executor acts; whether the action had its effect is for the step's proof to say, over the node API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from organismctl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What an executor needs to know of a node.

    Attributes:
        node: Its name.
        peer_id: 64 hex.
        url: Its node API.
        data: Its folder, as the deployment file resolves it.
        deployment: The deployment file.
        start: argv template of the ``command`` executor.
        stop: Likewise.
        fenced: argv template whose exit code 0 proves that the node is off; any executor may have one.
        unit: The systemd unit.
        ssh: ``user@host`` when the unit is not local.
    """

    node: str
    peer_id: str
    url: str
    data: Path
    deployment: Path
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    fenced: tuple[str, ...] = ()
    unit: str | None = None
    ssh: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: one sentence, and the bounded, redacted output of a command."""

    said: str
    output: str = ""


class Executor(Protocol):
    """Starts and stops one node."""

    def start(self) -> Outcome:
        """Start the node; nothing happens when it runs already.

        Raises:
            ExecutorError: It could not be started.
            ParkedError: A person has to do it.
        """
        ...

    def stop(self) -> Outcome:
        """Stop the node; nothing happens when it is off already.

        Raises:
            ExecutorError: It could not be stopped.
            ParkedError: A person has to do it.
        """
        ...

    def fenced(self) -> bool | None:
        """Whether the node is surely off: ``True``, surely not: ``False``, or ``None``: cannot be told."""
        ...


def executor(
    kind: str,
    host: Host,
    *,
    ask: Callable[[str], bool] | None = None,
    secrets: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> Executor:
    """The executor that the deployment file names.

    Args:
        kind: ``manual``, ``command`` or ``systemd``.
        host: The node.
        ask: Asks a person whether something has been done; ``None`` without a terminal.
        secrets: Values that must not appear in any output.
        timeout_s: How long one command may take.

    Raises:
        InputError: Unknown kind, or the node lacks what it needs.
    """
    match kind:
        case "manual":
            from organismctl.change.executor.manual import Manual

            return Manual(host, ask=ask, secrets=secrets, timeout_s=timeout_s)
        case "command":
            from organismctl.change.executor.command import Command

            return Command(host, secrets=secrets, timeout_s=timeout_s)
        case "systemd":
            from organismctl.change.executor.systemd import Systemd

            return Systemd(host, secrets=secrets, timeout_s=timeout_s)
        case _:
            raise InputError(f"node {host.node}: no executor {kind!r}; allowed: manual, command, systemd")
