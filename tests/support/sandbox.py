"""Runs a unit's ExecStart under what the unit takes away, without systemd as process 1: for tests, as root.

``python -m tests.support.sandbox UNIT INSTANCE``: applies the hardening lines of a service file to itself with the
same means of the kernel (mounts, namespaces, no capability, seccomp with systemd's own syscall groups), and becomes
the command. A line that it does not know is an error, so that no new one goes untested. The user is one by a user
namespace, in which root's files are his. Not done here: IPAddressDeny and DevicePolicy (BPF programs on a cgroup),
timeouts and restarts, PrivateTmp (the test's own files are below /tmp), RemoveIPC and KeyringMode (at the end).
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import resource
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_BIND, _REC, _PRIVATE, _RDONLY = 4096, 16384, 1 << 18, 1
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
_NAMESPACES = 0x7E020000
_CAPBSET_DROP, _NO_NEW_PRIVS = 24, 38
_MOUNT_SETATTR, _RECURSIVE, _FDCWD = 442, 0x8000, -100
_ELSEWHERE = (
    "Type NotifyAccess ExecStart Restart RestartSec RestartPreventExitStatus WatchdogSec TimeoutStartSec "
    "TimeoutStopSec Environment SyslogIdentifier LogExtraFields LoadCredential PrivateTmp DevicePolicy RemoveIPC "
    "KeyringMode IPAddressDeny IPAddressAllow AmbientCapabilities SuccessExitStatus StateDirectoryMode"
)

_APPLIED = (
    "User ProtectSystem ProtectHome ReadWritePaths StateDirectory ProcSubset ProtectProc PrivateDevices PrivateMounts "
    "PrivateIPC PrivateUsers ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules "
    "ProtectKernelTunables CapabilityBoundingSet NoNewPrivileges RestrictAddressFamilies RestrictNamespaces "
    "RestrictRealtime RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute SystemCallArchitectures "
    "SystemCallFilter SystemCallErrorNumber LimitNOFILE LimitCORE UMask"
)
ELSEWHERE, APPLIED = frozenset(_ELSEWHERE.split()), frozenset(_APPLIED.split())


def service(unit: Path, instance: str) -> list[tuple[str, str]]:
    """The lines of a unit's service section, with its specifiers filled in."""
    section = unit.read_text().partition("[Service]\n")[2].partition("\n\n")[0]
    pairs = (line.split("=", 1) for line in section.splitlines())
    return [(key, value.replace("%i", instance).replace("%%", "%")) for key, value in pairs]


def command(lines: list[tuple[str, str]]) -> list[str]:
    """The words of ExecStart."""
    (line,) = (value for key, value in lines if key == "ExecStart")
    return [word.replace("$$", "$") for word in shlex.split(line)]


def give(lines: list[tuple[str, str]], folder: Path) -> None:
    """Make the credentials as the manager would."""
    folder.mkdir(mode=0o700)
    for key, value in lines:
        if key == "LoadCredential":
            name, _, file = value.partition(":")
            (folder / name).write_bytes(Path(file).read_bytes())
            (folder / name).chmod(0o400)


def _must(done: int) -> None:
    if done < 0:
        raise OSError(number := ctypes.get_errno(), os.strerror(number))


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    _must(_LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()))


def _readonly(path: str, *, on: bool) -> None:
    attributes = struct.pack("QQQQ", _RDONLY if on else 0, 0 if on else _RDONLY, 0, 0)
    _must(_LIBC.syscall(_MOUNT_SETATTR, _FDCWD, path.encode(), _RECURSIVE, attributes, len(attributes)))


def _filesystem(lines: list[tuple[str, str]]) -> None:
    """ProtectSystem=strict, ProtectHome, ReadWritePaths, StateDirectory, ProcSubset, PrivateDevices."""
    given = dict(lines)
    _must(_LIBC.unshare(_NEWNS | _NEWUTS | _NEWIPC))
    _mount("none", "/", flags=_REC | _PRIVATE)
    assert given["ProtectSystem"] == "strict"
    _mount("tmpfs", "/dev/shm", "tmpfs")
    devices = Path("/dev/shm")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (devices / name).touch()
        _mount(f"/dev/{name}", str(devices / name), flags=_BIND)
    _mount("/dev/shm", "/dev", flags=_BIND | _REC)
    writable = [path for key, value in lines if key == "ReadWritePaths" for path in shlex.split(value)]
    if "StateDirectory" in given:
        _mount("tmpfs", "/var/lib", "tmpfs")
        state = Path("/var/lib", given["StateDirectory"])
        state.mkdir(parents=True, mode=0o700)
        writable.append(str(state))
    for path in writable:
        _mount(path, path, flags=_BIND | _REC)
    if given["ProtectHome"] == "yes":
        for home in ("/home", "/root", "/run/user"):
            if Path(home).is_dir():
                _mount("tmpfs", home, "tmpfs", data="mode=0000")
    _readonly("/", on=True)
    for path in writable:
        _readonly(path, on=False)
    _mount("proc", "/proc", "proc", data=f"subset={given['ProcSubset']},hidepid={given['ProtectProc']}")
    for name, value in given.items():
        if name.startswith(("ProtectControl", "ProtectHostname", "ProtectKernel", "ProtectClock")):
            assert value == "yes", name  # what they protect is read-only, or not in this /proc at all


def _rights(lines: list[tuple[str, str]]) -> None:
    """User, PrivateUsers, CapabilityBoundingSet=, NoNewPrivileges; the test's files are that user's as it sees them."""
    given = dict(lines)
    assert (given["PrivateUsers"], given["CapabilityBoundingSet"], given["NoNewPrivileges"]) == (
        "yes",
        "",
        "yes",
    )
    user = pwd.getpwnam(given["User"]).pw_uid
    _must(_LIBC.unshare(_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} 0 1")
    Path("/proc/self/gid_map").write_text(f"{user} 0 1")
    for number in range(64):
        _LIBC.prctl(_CAPBSET_DROP, number, 0, 0, 0)
    _must(_LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))


class _Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


_NE, _MASKED = 1, 7
_ALLOW = 0x7FFF0000


def _errno(number: int) -> int:
    return 0x00050000 | number


class _Filter:
    """A libseccomp filter with one default."""

    def __init__(self, default: int) -> None:
        self._lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._made = ctypes.c_void_p(self._lib.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, call: str, *compare: _Compare) -> None:
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number == -1:
            return
        array = (_Compare * max(len(compare), 1))(*compare)
        done = self._lib.seccomp_rule_add_array(
            self._made, ctypes.c_uint32(action), number, len(compare), array
        )
        assert done in (0, -errno.EDOM, -errno.EEXIST), (call, done)

    def load(self) -> None:
        assert self._lib.seccomp_load(self._made) == 0


def _group(name: str) -> Iterator[str]:
    """The syscalls of one of systemd's groups, as systemd itself tells them."""
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
    ).stdout
    for line in told.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            yield from _group(word)
        elif word and not word.startswith("#"):
            yield word


def _calls(lines: list[tuple[str, str]]) -> Callable[[], None]:
    """SystemCallFilter, MemoryDenyWriteExecute, Restrict*, LockPersonality; made before /proc is cut, loaded last."""
    given = dict(lines)
    allowed: set[str] = set()
    for value in (value for key, value in lines if key == "SystemCallFilter"):
        names = {call for name in value.removeprefix("~").split() for call in _group(name)}
        allowed = allowed - names if value.startswith("~") else allowed | names
    assert given["SystemCallErrorNumber"] == "EPERM"
    assert {given[key] for key in ("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID")} == {"yes"}
    assert (given["LockPersonality"], given["MemoryDenyWriteExecute"]) == ("yes", "yes")
    one = _Filter(_errno(errno.EPERM))
    for call in allowed:
        one.rule(_ALLOW, call)
    two, denied = _Filter(_ALLOW), _errno(errno.EPERM)
    for call in ("mprotect", "pkey_mprotect"):
        two.rule(denied, call, _Compare(2, _MASKED, 4, 4))
    two.rule(denied, "mmap", _Compare(2, _MASKED, 6, 6))
    two.rule(denied, "shmat", _Compare(2, _MASKED, 0o100000, 0o100000))
    two.rule(_errno(errno.ENOSYS), "clone3")
    two.rule(denied, "setns")
    for bit in (1 << n for n in range(32) if _NAMESPACES >> n & 1):
        two.rule(denied, "unshare", _Compare(0, _MASKED, bit, bit))
        two.rule(denied, "clone", _Compare(0, _MASKED, bit, bit))
    for call, at in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("openat", 3)):
        for bit in (0o4000, 0o2000):
            two.rule(denied, call, _Compare(at, _MASKED, bit, bit))
    for policy in (1, 2, 6):
        two.rule(denied, "sched_setscheduler", _Compare(1, 4, policy, 0))
    two.rule(denied, "personality", _Compare(0, _NE, 0, 0))
    families = {int(getattr(socket, name)) for name in given["RestrictAddressFamilies"].split()}
    for family in set(range(64)) - families:
        two.rule(_errno(errno.EAFNOSUPPORT), "socket", _Compare(0, 4, family, 0))
    return lambda: (two.load(), one.load())[0]


def environment(lines: list[tuple[str, str]], more: dict[str, str]) -> dict[str, str]:
    """What the manager gives to a service, and nothing of ours."""
    made = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
        "LANG": "C.UTF-8",
        "HOME": "/",
        "USER": "root",
    }
    made |= dict(value.split("=", 1) for key, value in lines if key == "Environment")
    return made | more


def main(unit: Path, instance: str) -> None:
    """Become the unit's command."""
    lines = service(unit, instance)
    given = dict(lines)
    unknown = given.keys() - ELSEWHERE - APPLIED
    assert not unknown, f"not applied here: {unknown}"
    load = _calls(lines)
    env: Any = environment(lines, {name: os.environ[name] for name in os.environ if name in KEPT})
    os.umask(int(given["UMask"], 8))
    # In a container, root may be unable to raise its own hard limit.
    if files := min(int(given.get("LimitNOFILE", 0)), resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (int(given["LimitCORE"]),) * 2)
    argv = command(lines)
    os.chdir("/")
    _filesystem(lines)
    _rights(lines)
    load()
    os.execve(argv[0], argv, env)


KEPT = frozenset({"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"})

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
