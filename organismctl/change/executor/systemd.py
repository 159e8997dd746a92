"""The ``systemd`` executor: units of the local machine, or of another one over the system's own ssh.

ssh joins its arguments with spaces and hands them to the remote login shell, so each is quoted for it. Keys,
agents, jump hosts and known hosts are the operator's own ssh configuration; a password is never asked for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from organismctl.change.executor import Host, Outcome
from organismctl.change.executor.command import Command, ExecutorError, run
from organismctl.errors import InputError

UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,255}", re.ASCII)
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
SSH_FAILED = 255
"""ssh's own exit code for its own failures; says nothing about the unit."""
NO_SUCH_COMMAND = 127
_THERE = "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there"
_SSH_SAYS = (
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is another than the known one",
        f"compare it ({_THERE}); if it was set up anew, `ssh-keygen -R {{host}}`; else somebody may stand in between",
    ),
    (
        "Host key verification failed",
        "its host key is not known here",
        f"compare it with the host's own ({_THERE}), and take it once by `ssh {{ssh}} true`",
    ),
    (
        "Permission denied",
        "it takes none of the keys that this user has",
        "`ssh-add -l` shows what the agent has; put the public key there: `ssh-copy-id {ssh}`",
    ),
    (
        "Could not resolve hostname",
        "its name is not known here",
        "see ssh of [[node]] {node} in deployment.toml, and `ssh -G {ssh}` for what ssh makes of it",
    ),
)
"""What ssh says of itself: a part of its words, what that means, and the next step."""
_UNREACHED = (
    "it does not answer",
    "is the host up, and its sshd? `ssh -o BatchMode=yes {ssh} true` tells; `organismctl runbook run node-down`",
)


class Systemd:
    """Starts and stops a unit.

    Args:
        host: The node; ``unit`` is needed, ``ssh`` optional.
        secrets: Values that must not appear in any output.
        timeout_s: How long one command may take.

    Raises:
        InputError: The unit's or the host's name cannot be one.
    """

    def __init__(self, host: Host, *, secrets: Sequence[str], timeout_s: float) -> None:
        if host.unit is None or not UNIT.fullmatch(host.unit):
            raise InputError(f"node {host.node}: unit {host.unit!r} is not the name of a systemd unit")
        if host.ssh is not None and (host.ssh.startswith("-") or not host.ssh or re.search(r"\s", host.ssh)):
            raise InputError(f"node {host.node}: ssh {host.ssh!r} is not user@host")
        self.host = host
        self._unit = host.unit
        self._secrets = tuple(secrets)
        self._timeout_s = timeout_s
        self._probe = Command(host, secrets=secrets, timeout_s=timeout_s)

    def start(self) -> Outcome:
        """See :meth:`Executor.start`."""
        return self._must("start")

    def stop(self) -> Outcome:
        """See :meth:`Executor.stop`."""
        return self._must("stop")

    def fenced(self) -> bool | None:
        """See :meth:`Executor.fenced`; by the ``fenced`` command if there is one, else by the unit."""
        if self.host.fenced:
            return self._probe.fenced()
        try:
            code, output = self._systemctl("show", "--property=ActiveState,LoadState", "--value")
        except ExecutorError:
            return None
        if code != 0:
            return None
        states = set(output.split())
        if "active" in states or "activating" in states or "deactivating" in states or "reloading" in states:
            return False
        # A unit that was never loaded says nothing about a process that somebody started by hand.
        return True if "loaded" in states and states & {"inactive", "failed"} else None

    def argv(self, verb: str, *options: str) -> list[str]:
        """The command that is run, for ``systemctl <verb>``."""
        command = ["systemctl", "--no-ask-password", verb, *options, "--", self._unit]
        if self.host.ssh is None:
            return command
        return [*SSH, "--", self.host.ssh, shlex.join(command)]

    def _systemctl(self, verb: str, *options: str) -> tuple[int, str]:
        return run(
            self.argv(verb, *options),
            cwd=self.host.deployment.parent,
            timeout_s=self._timeout_s,
            secrets=self._secrets,
        )

    def _must(self, verb: str) -> Outcome:
        code, output = self._systemctl(verb)
        where = f" on {self.host.ssh}" if self.host.ssh else ""
        if code == SSH_FAILED and self.host.ssh is not None:
            raise self._unreached(output)
        if code == NO_SUCH_COMMAND:
            raise ExecutorError(
                f"node {self.host.node}: there is no systemctl{where}: {output or 'no output'}",
                advice=f'does a systemd run there? see executor = "systemd" of [[node]] {self.host.node}',
            )
        if code != 0:
            raise ExecutorError(
                f"node {self.host.node}: systemctl {verb} {self._unit}{where} ended with exit code {code}: "
                f"{output or 'no output'}",
                advice=f"look at `systemctl status {self._unit}`{where}",
            )
        return Outcome(f"systemctl {verb} {self._unit}{where}", output)

    def _unreached(self, output: str) -> ExecutorError:
        """Why ssh did not come through; nothing is known of the unit then."""
        found = (rest for words, *rest in _SSH_SAYS if words in output)
        why, advice = next(found, _UNREACHED)
        ssh = self.host.ssh or ""
        names = {"ssh": ssh, "host": ssh.rpartition("@")[2], "node": self.host.node}
        return ExecutorError(
            f"node {self.host.node}: {ssh} is not reached by ssh (exit code {SSH_FAILED}): {why}: "
            f"{output or 'no output'}",
            advice=advice.format(**names),
        )
