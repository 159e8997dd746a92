"""Vouches for events of a surface without replay: who missed one says so, and who is silent holds up nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from organismctl.committee.driver import Driver
from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Resolution
from organismctl.committee.machine import Input
from organismctl.committee.node import vouching
from organismctl.committee.node.settings import NodeSettings
from organismctl.committee.node.store import NodeStore
from organismctl.committee.node.subscriptions import Subscription
from organismctl.committee.node.talk import Denied, Talk, VouchAsk
from organismctl.committee.node.vouching import Vouching

ME, OTHER, SILENT = b"1" * 32, b"2" * 32, b"3" * 32
POINTER = Pointer(b"s" * 32, b"u" * 32, 4, 4, b"h" * 32)


class Away:
    """A reader that knows of nothing; its surface replays or not."""

    def __init__(self, *, replays: bool) -> None:
        self.replays = replays

    def passed(self, _surface: Any, _position: int) -> bool:
        return not self.replays

    async def resolve(self, _surface: Any, pointers: list[Pointer]) -> dict[Pointer, Resolution]:
        return dict.fromkeys(pointers, Resolution.UNKNOWN)


class World:
    """A node's vouching, with what it denied and said."""

    def __init__(self, folder: Path, *, replays: bool, position: int | None) -> None:
        self.denied: list[bytes] = []
        self.said: list[tuple[bytes, Talk]] = []
        driver = SimpleNamespace(
            knows=lambda _: False,
            on_denied=lambda _, peer: self.denied.append(peer),
            on_vouch=lambda *_: True,
        )
        reader = Away(replays=replays)
        subscription = SimpleNamespace(
            reader=reader,
            seen=SimpleNamespace(surface=None, position=position),
            passed=lambda at: reader.passed(None, at) and position is not None and position >= at,
        )
        settings = SimpleNamespace(peer_id=ME)
        self.vouching = Vouching(
            cast("NodeSettings", settings),
            NodeStore(folder),
            cast("Driver", driver),
            {Input(POINTER.stable_id, POINTER.surface_id): cast("Subscription", subscription)},
            send=lambda peer, talk: self.said.append((peer, talk)),
            wake=lambda: None,
        )


@pytest.mark.parametrize(
    ("replays", "position", "answer"),
    [
        (False, 9, [(OTHER, Denied(POINTER))]),
        (False, 3, []),
        (False, None, []),
        (True, 9, []),
    ],
)
def test_who_went_past_an_event_without_replay_denies_it(
    tmp_path: Path, replays: bool, position: int | None, answer: list[tuple[bytes, Talk]]
) -> None:
    async def work() -> None:
        world = World(tmp_path, replays=replays, position=position)
        world.vouching.on_ask(OTHER, VouchAsk(POINTER, b"event"))
        await asyncio.gather(*world.vouching._tasks)
        assert world.said == answer
        await world.vouching.close()

    asyncio.run(work())


@pytest.mark.parametrize("replays", [False, True])
def test_a_silent_member_holds_up_no_event_that_another_missed(
    tmp_path: Path, replays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(vouching.time, "monotonic", lambda: now)
    world = World(tmp_path, replays=replays, position=9)
    world.vouching.on_denied(OTHER, Denied(POINTER))
    world.vouching.request(POINTER, b"event", (ME, OTHER, SILENT))
    assert world.denied == [OTHER]
    assert [peer for peer, _ in world.said] == [OTHER, SILENT]
    now += vouching.SILENT_S
    world.vouching.request(POINTER, b"event", (ME, OTHER, SILENT))
    assert world.denied == ([OTHER] if replays else [OTHER, ME, OTHER, SILENT])
