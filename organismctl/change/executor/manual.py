"""The ``manual`` executor: says what to do, asks, and leaves the proof to the step.

Without a terminal nobody can be asked: the change parks, and ``change resume`` looks whether it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from organismctl.change.errors import ParkedError
from organismctl.change.executor import Host, Outcome
from organismctl.change.executor.command import Command


class Manual:
    """Asks a person.

    Args:
        host: The node.
        ask: Asks whether it was done; ``None`` without a terminal.
        secrets: Values that must not appear in the output of ``fenced``.
        timeout_s: How long ``fenced`` may take.
    """

    def __init__(
        self, host: Host, *, ask: Callable[[str], bool] | None, secrets: Sequence[str], timeout_s: float
    ) -> None:
        self.host = host
        self._ask = ask
        self._probe = Command(host, secrets=secrets, timeout_s=timeout_s)

    def start(self) -> Outcome:
        """See :meth:`Executor.start`."""
        host = self.host
        return self._do(
            "start",
            f"start node {host.node} (peer {host.peer_id[:10]}, data {host.data}) under the present "
            f"organism.toml, so that it answers at {host.url}",
        )

    def stop(self) -> Outcome:
        """See :meth:`Executor.stop`."""
        return self._do("stop", f"stop node {self.host.node} ({self.host.url}), and keep its data")

    def fenced(self) -> bool | None:
        """See :meth:`Executor.fenced`."""
        seen = self._probe.fenced()
        if seen is not None or self._ask is None:
            return seen
        asked = f"Is the host of node {self.host.node} switched off, or its process surely ended for good?"
        return True if self._ask(asked) else None

    def _do(self, what: str, task: str) -> Outcome:
        if self._ask is None or not self._ask(f"Please {task}. Done?"):
            raise ParkedError(
                f"a person to {task}", advice="when it is done, `organismctl change resume` looks and goes on"
            )
        return Outcome(f"a person says that they did: {what} {self.host.node}")
