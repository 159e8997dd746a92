"""What every unit of ours has in common: who runs it, what it may not do, and how text is written into a unit file.

``docs/how-to/run-under-systemd.md`` says what each line of the hardening costs. A unit that the tool writes passes
``systemd-analyze verify`` without a word, and ``systemd-analyze security`` at 2.0 or less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from organismctl.errors import InputError
from organismctl.exits import Exit
from organismctl.files.credentials import OBSERVER_KEY, PREFIX

NO_RESTART = (Exit.DRIFT, Exit.REFUSED, Exit.USAGE)
"""Exit codes that a restart cannot mend. An error (1) is not among them: it is also what a port that is still taken, or
a relay that is not up yet, ends with; the start limit gives up on what stays wrong."""
STARTS, WITHIN_S = 5, 300
"""So many starts within so many seconds, then the manager gives up, and the unit is failed."""
INSTANCE = "\ue000"
"""Stands for the node's name, and becomes ``%i``: a character for private use, which no path of anybody's holds."""
CREDSTORE = PurePath("/etc/credstore.encrypted")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BARE = re.compile(r"[^A-Za-z0-9_/.:=@%+,-]")
_STATE = re.compile(rf"/var/lib/([A-Za-z0-9_./{INSTANCE}-]+)")
_HOMES = (PurePath("/home"), PurePath("/root"), PurePath("/run/user"))

# A process that needs none of it: it reads files, writes one folder, and speaks IP and to the manager.
_HARDENING = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateMounts=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "PrivateIPC=yes",
    "PrivateUsers=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RemoveIPC=yes",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    "LimitCORE=0",
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where and as whom the services of an organism run.

    Attributes:
        organism: The organism's name.
        deployment: Absolute path of its deployment.toml.
        program: Absolute path of organismctl.
        user: Who runs it.
        reads: Further folders that it reads: the interpreter's.
        local: Whether everything that it speaks with is on this host.
        secrets: Credential to file, of the secrets that deployment.toml names.
        encrypted: Whether they come from :data:`CREDSTORE` instead, encrypted for this host.
    """

    organism: str
    deployment: PurePath
    program: PurePath
    user: str
    reads: tuple[PurePath, ...] = ()
    local: bool = False
    secrets: Mapping[str, PurePath] | None = None
    encrypted: bool = False

    @property
    def label(self) -> str:
        """The organism's name as part of a unit's."""
        return _UNSAFE.sub("_", self.organism)


def who(user: str) -> str:
    """The line that says who runs it.

    Raises:
        InputError: That cannot be a user's name.
    """
    if not _USER.fullmatch(user):
        raise InputError(f"{user[:40]!r} is no user's name", advice="--user NAME")
    return f"User={user}"


def hardening(site: Site, *, local: bool, umask: str = "0077") -> list[str]:
    """What the service may not do.

    Args:
        site: Where it runs.
        local: Whether it speaks with this host alone.
        umask: Of the files that it writes.
    """
    needed = (site.deployment, site.program, *site.reads)
    home = any(path.is_relative_to(home) for path in needed for home in _HOMES)
    lines = [f"UMask={umask}", f"ProtectHome={'read-only' if home else 'yes'}", *_HARDENING]
    return [*lines, "IPAddressDeny=any", "IPAddressAllow=localhost"] if local else lines


def writes(folder: PurePath) -> list[str]:
    """That it writes there: the manager makes what is below /var/lib, anything else is there already."""
    if found := _STATE.fullmatch(str(absolute(folder))):
        return [f"StateDirectory={found[1].replace(INSTANCE, '%i')}", "StateDirectoryMode=0700"]
    return [f"ReadWritePaths={path_value(folder)}"]


def credentials(site: Site, names: Sequence[str]) -> list[str]:
    """A line for each secret of those names that the site has."""
    if site.encrypted:
        folder = CREDSTORE / site.label
        return [
            f"LoadCredentialEncrypted={_instance(name)}:{_instance(str(folder / name))}" for name in names
        ]
    known = site.secrets or {}
    return [f"LoadCredential={_instance(name)}:{_rest(known[name])}" for name in names if name in known]


def reading(site: Site) -> list[str]:
    """The credentials of what only looks: to ask nodes, to know the group id, to be the observer."""
    known = site.secrets or {}
    read, operate = f"{PREFIX}read_token", f"{PREFIX}operate_token"
    token = operate if not site.encrypted and read not in known else read
    observer = [OBSERVER_KEY] if OBSERVER_KEY in known else []
    return credentials(site, [f"{PREFIX}group", token, *observer])


def resident(site: Site, kind: str, command: Sequence[str], *, watchdog_s: int, node: str = "") -> list[str]:
    """The lines of a service that stays, tells the manager how it fares, and is watched by it.

    Args:
        site: Where it runs.
        kind: What it is: ``node``, ``relay``, ``exporter``.
        command: What runs, beginning with the program.
        node: The node whose it is; :data:`INSTANCE` in a template.
        watchdog_s: How long it may make no progress.

    Raises:
        InputError: Something cannot stand in a unit.
    """
    return [
        "Type=notify", "NotifyAccess=main", who(site.user),
        f"ExecStart={' '.join(quoted(word) for word in command)}",
        "Restart=on-failure", "RestartSec=5s",
        f"RestartPreventExitStatus={' '.join(str(int(code)) for code in NO_RESTART)}",
        f"WatchdogSec={watchdog_s}s", "TimeoutStartSec=120s", "TimeoutStopSec=30s",
        # What every thread did when the watchdog ended it goes to the journal.
        "Environment=PYTHONFAULTHANDLER=1",
        *journal(site, kind, node),
    ]  # fmt: skip


def journal(site: Site, kind: str, node: str = "") -> list[str]:
    """By which fields the service's lines are found in the journal."""
    fields = [f"ORGANISM={site.organism}", *([f"NODE={node}"] if node else [])]
    return [f"SyslogIdentifier=organismctl-{kind}", f"LogExtraFields={' '.join(map(quoted, fields))}"]


def text(only: str, sections: Mapping[str, Sequence[str]]) -> str:
    """A unit file."""
    parts = [
        f"# Made by `organismctl export systemd --only {only}`; a change of deployment.toml may need it again.\n"
    ]
    parts += ["\n".join([f"[{name}]", *lines]) + "\n" for name, lines in sections.items()]
    return parts[0] + "\n".join(parts[1:])


def head(description: str, after: Sequence[str] = ()) -> list[str]:
    """The unit section of a service that stays.

    Args:
        description: One line; :data:`INSTANCE` is the node's name.
        after: Units that start before it when both do.
    """
    return [
        f"Description={_instance(plain(description))}",
        "Documentation=https://github.com/organismctl/organismctl/blob/main/docs/how-to/run-under-systemd.md",
        "Wants=network-online.target",
        f"After={' '.join(['network-online.target', 'time-sync.target', *after])}",
        f"StartLimitIntervalSec={WITHIN_S}s",
        f"StartLimitBurst={STARTS}",
    ]


# Text.


def span(ms: int) -> str:
    """A duration as systemd reads it."""
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def absolute(path: PurePath) -> PurePath:
    """The path itself.

    Raises:
        InputError: It is not absolute.
    """
    if not path.is_absolute():
        raise InputError(
            f"{path} is not absolute", advice="systemd runs in no folder of yours: name it whole"
        )
    return path


def plain(words: str) -> str:
    """Text of a description: one line, no specifier.

    Raises:
        InputError: It holds a control character.
    """
    if _CONTROL.search(words):
        raise InputError(f"{words[:80]!r} holds a control character", advice="no unit file can say it")
    return words.replace("%", "%%")


def quoted(word: str) -> str:
    """A word of a command line: neither specifiers nor variables are expanded in it, but for :data:`INSTANCE`."""
    escaped = _escaped(word).replace("$", "$$")
    return _instance(f'"{escaped}"' if _BARE.search(word.replace(INSTANCE, "")) else escaped)


def path_value(path: PurePath) -> str:
    """A path where systemd expects a list of them."""
    return _instance(f'"{_escaped(str(absolute(path)))}"')


def _rest(path: PurePath) -> str:
    """A path that is the rest of its line, which nothing unquotes."""
    written = plain(str(absolute(path)))
    if written.endswith("\\"):
        raise InputError(f"{path} ends with a backslash", advice="no unit file can say it")
    return _instance(written)


def _instance(written: str) -> str:
    return written.replace(INSTANCE, "%i")


def _escaped(words: str) -> str:
    return plain(words).replace("\\", "\\\\").replace('"', '\\"')
