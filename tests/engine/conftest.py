"""A relay and nodes on 127.0.0.1; without the built engine every test here says what is missing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from organismctl.identity.digest import h

if TYPE_CHECKING:
    import organismctl_engine

NETWORK = h(b"organismctl tests")
PATIENCE = 60.0


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition, and say which one never came."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {patience:.0f} s"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def engine() -> Any:
    try:
        import organismctl_engine
    except ModuleNotFoundError:
        pytest.skip(
            "the engine is not built here: cargo and `make engine` (maturin develop in engine/) are needed"
        )
    return organismctl_engine


@pytest.fixture(scope="module")
def relay(engine: Any) -> Iterator[organismctl_engine.Relay]:
    relay = engine.Relay.start("127.0.0.1", 0)
    yield relay
    relay.close()


class Nodes:
    """Starts nodes that know each other, and closes what is left of them."""

    def __init__(self, engine: Any, relay: Any) -> None:
        self.engine = engine
        self.relay = relay
        self.open: list[Any] = []

    def start(self, name: str, *, bind: str = "127.0.0.1:0", strangers: bool = False, **options: Any) -> Any:
        known = [] if strangers else [(node.peer_id, node.addresses) for node in self.open]
        node = self.engine.Network.start(
            NETWORK, h(name.encode()), relay=self.relay.url, bind=[bind], **{"bootstrap": known, **options}
        )
        self.open.append(node)
        return node

    def start_all(self, *names: str) -> list[Any]:
        """Start several at once: mosaik takes three seconds for each."""
        with ThreadPoolExecutor(len(names)) as pool:
            started = list(pool.map(lambda name: self.start(name, strangers=True), names))
        for node in started[1:]:
            self.meet(started[0], node)
        return started

    def meet(self, one: Any, other: Any) -> None:
        """Exchange catalogs; one attempt in a few times out."""

        def met() -> bool:
            with contextlib.suppress(self.engine.EngineError):
                one.sync_with(other.peer_id, other.addresses)
                return True
            return False

        until(met, "the exchange of catalogs")

    def close(self, node: Any) -> None:
        self.open.remove(node)
        node.close()


@pytest.fixture
def nodes(engine: Any, relay: Any) -> Iterator[Nodes]:
    nodes = Nodes(engine, relay)
    yield nodes
    if nodes.open:
        with ThreadPoolExecutor(len(nodes.open)) as pool:
            list(pool.map(lambda node: node.close(0.6), nodes.open))
