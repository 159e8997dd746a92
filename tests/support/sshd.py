"""A real sshd on loopback for one test: its own host key, port and authorised keys, ended by the test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.committee import free_ports

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
needs_sshd = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="no openssh-server here")


@dataclass(frozen=True)
class Server:
    """Where it is and how it is reached.

    Attributes:
        folder: Its files.
        port: Where it listens.
        bin: For the PATH of who asks: an ``ssh`` that is the system's own, told which configuration to read.
    """

    folder: Path
    port: int
    bin: Path

    @property
    def known_hosts(self) -> Path:
        """What the client knows of hosts."""
        return self.folder / "known_hosts"

    @property
    def authorized(self) -> Path:
        """Whose keys it takes."""
        return self.folder / "authorized_keys"


def _key(path: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "obviously-a-test", "-f", str(path)], check=True
    )
    return path.with_suffix(".pub").read_text()


def prepared(folder: Path, path: str) -> Server:
    """Keys and configurations; ``path`` is the PATH of its sessions. Nothing runs yet."""
    folder.mkdir()
    (port,) = free_ports(1)
    made = Server(folder, port, folder / "bin")
    host, client = _key(folder / "host"), _key(folder / "client")
    made.authorized.write_text(client)
    made.known_hosts.write_text(f"[127.0.0.1]:{port} {host}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {made.authorized}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nAllowUsers {getpass.getuser()}\nSetEnv PATH={path}\n"
    )
    # The client reads the configuration of whom the password file knows, whatever HOME says; so the test's stands here.
    (folder / "ssh_config").write_text(
        f"Host node-*\nHostName 127.0.0.1\nPort {port}\nUser {getpass.getuser()}\nIdentityFile {folder / 'client'}\n"
        f"IdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {made.known_hosts}\n"
        f"GlobalKnownHostsFile /dev/null\nHostKeyAlias [127.0.0.1]:{port}\nStrictHostKeyChecking ask\n"
    )
    made.bin.mkdir()
    (made.bin / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "ssh_config"} "$@"\n')
    (made.bin / "ssh").chmod(0o755)
    return made


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """sshd runs; its sessions' processes are theirs."""
    words = [str(SSHD), "-D", "-e", "-f", str(server.folder / "sshd_config")]
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        # As root it wants an empty folder below /run, which is not here: it gets a /run of its own.
        inner = 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", inner, "sh", *words]
    with (server.folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1.0):
                break
            assert process.poll() is None and time.monotonic() < end, (server.folder / "log").read_text()
            time.sleep(0.03)
        yield server
    finally:
        process.terminate()
        process.wait(10)
