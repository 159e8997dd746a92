"""A delay line between two interfaces: every Ethernet frame goes on after a seeded delay, in order.

``python -m tests.hosts.delayline NEAR FAR --ms 50 --jitter 5 --seed 7`` prints ``ready``, then runs until SIGTERM.
It works on frames, not on UDP datagrams, so that nobody has to be told another address: mosaik's peers learn
each other's real addresses by discovery, and dial those. UDP, TCP to the relay and ARP are delayed alike.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import random
import select
import signal
import socket
import sys
import time

SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
FRAME = 1 << 17
MAX_HELD = 20_000
"""Frames under way; more are dropped, as a real line's buffer would."""


class DelayLine:
    """Two packet sockets and what is under way between them.

    Args:
        near: One interface.
        far: The other.
        delay_s: Of every frame.
        jitter_s: Added to it, evenly between 0 and this.
        seed: Of the jitter.
    """

    def __init__(self, near: str, far: str, delay_s: float, jitter_s: float, seed: int) -> None:
        self._sockets = (_open(near), _open(far))
        self._delay = delay_s
        self._jitter = jitter_s
        self._random = random.Random(seed)
        self._held: list[tuple[float, int, int, bytes]] = []
        self._count = itertools.count()
        self._last = [0.0, 0.0]

    def run(self) -> None:
        """Until an exception ends it."""
        poll = select.epoll()
        for sock in self._sockets:
            poll.register(sock.fileno(), select.EPOLLIN)
        sides = {sock.fileno(): side for side, sock in enumerate(self._sockets)}
        while True:
            wait = max(0.0, self._held[0][0] - time.monotonic()) if self._held else -1
            for fd, _ in poll.poll(wait):
                self._take(sides[fd])
            self._give(time.monotonic())

    def _take(self, side: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self._sockets[side].recv(FRAME)
                if len(self._held) >= MAX_HELD:
                    continue
                due = time.monotonic() + self._delay + self._random.uniform(0.0, self._jitter)
                due = self._last[side] = max(due, self._last[side])
                heapq.heappush(self._held, (due, next(self._count), 1 - side, frame))

    def _give(self, now: float) -> None:
        while self._held and self._held[0][0] <= now:
            _, _, side, frame = heapq.heappop(self._held)
            # A full or vanished interface loses the frame, as a cable does.
            with contextlib.suppress(OSError):
                self._sockets[side].send(frame)


def _open(interface: str) -> socket.socket:
    """A raw socket that carries offloaded checksums along (virtio header) and hears only what arrives."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.bind((interface, ETH_P_ALL))
    opened.setblocking(False)
    return opened


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("near")
    parser.add_argument("far")
    parser.add_argument("--ms", type=float, required=True)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    line = DelayLine(given.near, given.far, given.ms / 1000, given.jitter / 1000, given.seed)
    print("ready", flush=True)
    line.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
