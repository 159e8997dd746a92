"""A client beside a change, whose acknowledged writes must all be there afterwards."""

from __future__ import annotations

import threading

from organismctl.errors import OrganismError
from tests.support.committee import Committee


class Witness:
    """Keeps asking for commands that change nothing, and remembers every height that was acknowledged."""

    def __init__(self, committee: Committee) -> None:
        self.committee = committee
        self.acknowledged: dict[int, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.1):
            number += 1
            request = f"witness-{id(self)}-{number}"
            for name in self.committee.names:
                try:
                    with self.committee.client(name, timeout=2.0) as client:
                        done = client.append({"type": "apply", "through": 0}, request)
                except OrganismError:
                    continue
                self.acknowledged[done.height] = request
                break
