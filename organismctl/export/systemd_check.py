"""systemd: a service that runs ``check all`` into the textfile collector, and the timer that starts it.

The service ends well when the check could be made, whatever it found: findings are what the file is for, and a unit
that fails with each of them would hide the one failure that counts, that nothing was checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from organismctl.errors import InputError
from organismctl.exits import Exit

FOUND = (Exit.DRIFT, Exit.BREACH, Exit.UNKNOWN, Exit.UNHEALTHY)
"""Exit codes that tell of findings; any other than 0 is a failure of the check itself."""
GRACE_MS = 20_000
"""What a run may take beyond its look."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")


@dataclass(frozen=True, slots=True)
class Timed:
    """A check that runs by itself.

    Attributes:
        organism: The organism's name.
        deployment: Absolute path of its deployment.toml.
        program: Absolute path of organismctl.
        textfiles: Absolute path of the collector's folder (``--collector.textfile.directory``).
        user: Who runs it: whoever may read the secrets' files.
        every_ms: From run to run.
        timeout_ms: For one look.
    """

    organism: str
    deployment: PurePath
    program: PurePath
    textfiles: PurePath
    user: str
    every_ms: int = 60_000
    timeout_ms: int = 10_000

    @property
    def unit(self) -> str:
        """The units' name, without its ending."""
        return f"organismctl-check-{_UNSAFE.sub('_', self.organism)}"

    @property
    def file(self) -> PurePath:
        """What it writes."""
        return self.textfiles / f"organismctl_{_UNSAFE.sub('_', self.organism)}.prom"


def units(timed: Timed) -> dict[str, str]:
    """File name to text of the service and of its timer.

    Raises:
        InputError: A path or the user cannot stand in a unit.
    """
    return {f"{timed.unit}.service": _service(timed), f"{timed.unit}.timer": _timer(timed)}


def _service(timed: Timed) -> str:
    if not USER.fullmatch(timed.user):
        raise InputError(f"{timed.user[:40]!r} is no user's name", advice="--user NAME")
    command = [
        str(_absolute(timed.program)), "check", "all", "--organism", str(_absolute(timed.deployment)),
        "--format", "prometheus", "--timeout", f"{timed.timeout_ms}ms", "-o", str(_absolute(timed.file)),
    ]  # fmt: skip
    found = " ".join(str(int(code)) for code in FOUND)
    return f"""\
# Made by `organismctl export systemd --only check`.
# {_plain(timed.user)} must be able to write to the folder of -o, and the node exporter to read there.
[Unit]
Description=Check {_plain(timed.organism)} into the textfile collector
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={timed.user}
ExecStart={" ".join(_quoted(word) for word in command)}
SuccessExitStatus={found}
TimeoutStartSec={timed.timeout_ms + GRACE_MS}ms
Environment=ORGANISMCTL_QUIET=1
UMask=0022
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={_path(timed.textfiles)}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""


def _timer(timed: Timed) -> str:
    return f"""\
# Made by `organismctl export systemd --only check`.
[Unit]
Description=Check {_plain(timed.organism)} every {_span(timed.every_ms)}

[Timer]
OnBootSec=1min
OnUnitActiveSec={_span(timed.every_ms)}
RandomizedDelaySec={max(timed.every_ms // 20, 1)}ms
AccuracySec=1s
Unit={timed.unit}.service

[Install]
WantedBy=timers.target
"""


def _span(ms: int) -> str:
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def _absolute(path: PurePath) -> PurePath:
    if not path.is_absolute():
        raise InputError(
            f"{path} is not absolute", advice="systemd runs in no folder of yours: name it whole"
        )
    return path


def _safe(text: str) -> str:
    if _CONTROL.search(text):
        raise InputError(f"{text[:80]!r} holds a control character", advice="no unit file can say it")
    return text


def _plain(text: str) -> str:
    """Text of a description: one line, no specifier."""
    return _safe(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line: neither specifiers nor variables are expanded in it."""
    escaped = _escaped(word).replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[^A-Za-z0-9_/.:=@%+,-]", word) else escaped


def _path(path: PurePath) -> str:
    return f'"{_escaped(str(_absolute(path)))}"'


def _escaped(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace('"', '\\"')
