"""What passes between two hosts: a UDP echo, and how many datagrams come back and when.

``python -m tests.hosts.probe echo`` answers on port 7000 of every address; ``… ask ADDRESS COUNT MUST`` prints
``{"sent", "back", "fastest_ms", "errors"}``.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Literal

from tests.hosts.net import ROOT, Host

PORT = 7000
Must = Literal["all", "some", "none"]
SILENCE_S: dict[Must, tuple[float, float]] = {"all": (5.0, 5.0), "some": (5.0, 1.0), "none": (0.6, 0.6)}
"""How long the first answer, and then each next one, is waited for, by what must come back."""
SO_RCVBUFFORCE = 33
ROOMY = 16 << 20
"""A receive buffer that loses nothing itself."""
PROBE = [sys.executable, "-m", "tests.hosts.probe"]


def echo() -> None:
    """Send every datagram back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOMY)
        sock.bind(("0.0.0.0", PORT))
        print("ready", flush=True)
        while True:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data, sender)


def ask(address: str, count: int, must: Must) -> dict[str, Any]:
    """Send ``count`` datagrams at once, wait until all are back or it is silent."""
    first_s, next_s = SILENCE_S[must]
    sent: dict[int, float] = {}
    back: dict[int, float] = {}
    errors = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOMY)
        for number in range(count):
            sent[number] = time.monotonic()
            try:
                sock.sendto(number.to_bytes(4), (address, PORT))
            except OSError:
                errors += 1
        with contextlib.suppress(TimeoutError):
            while len(back) < count:
                sock.settimeout(next_s if back else first_s)
                number = int.from_bytes(sock.recv(2048))
                back[number] = (time.monotonic() - sent[number]) * 1000
    return {
        "sent": count,
        "back": len(back),
        "fastest_ms": min(back.values(), default=None),
        "errors": errors,
    }


@contextlib.contextmanager
def echoing(*hosts: Host) -> Iterator[None]:
    """An echo on each host."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for host in hosts:
            one = subprocess.Popen(host.inside(*PROBE, "echo"), cwd=ROOT, stdout=subprocess.PIPE)
            started.append(one)
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        yield
    finally:
        for one in started:
            one.terminate()
            one.wait(5)
            if one.stdout is not None:
                one.stdout.close()


def passes(sender: Host, to: str, count: int = 5, *, must: Must = "all") -> dict[str, Any]:
    """What comes back to ``sender`` from an echo at an address.

    Args:
        sender: Who asks.
        to: The echo's address.
        count: How many datagrams.
        must: What must come back; it alone says how long what does not come is waited for.
    """
    argv = sender.inside(*PROBE, "ask", to, str(count), must)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=30, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """The command line."""
    if sys.argv[1] == "echo":
        echo()
    must: Must = sys.argv[4]  # type: ignore[assignment] # another word is a KeyError
    print(json.dumps(ask(sys.argv[2], int(sys.argv[3]), must)))


if __name__ == "__main__":
    main()
