"""A lattice on real mosaik that admits by ticket, and a committee that reads it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from organismctl.committee.carrier.mosaik_engine import load_engine
from organismctl.files.deployment import load_deployment
from organismctl.identity.digest import h, uid
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.surface_item import Certificate, Fact, Item, SurfaceItem, encode_item
from tests.support.committee import Committee, Span, free_ports, make_committee, quicken
from tests.support.finding import JOURNAL
from tests.support.mosaik import require_engine
from tests.support.upstream import pulse

ISSUER = h(b"the issuer of alpha, a test key")
SEED = h(b"alpha's producer, a test seed")
OBSERVER = h(b"the observer, a test seed")
STREAM = h(b"alpha's events")
SUBJECT = "alpha / events"
DAY_S = 86_400
PATIENT = '[thresholds]\nprobe_timeout = "20s"\n'
"""More of deployment.toml: a look at the wire takes its time on a busy machine."""


class Alpha:
    """A lattice on the wire: one producer of one stream that asks for tickets."""

    def __init__(self, relay: str, port: int, buffer: int = 100_000) -> None:
        engine = load_engine()
        self.network = engine.Network.start(
            uid("mosaik.universe"), SEED, relay=relay, bind=[f"127.0.0.1:{port}"]
        )
        key = [("EdDSA", public_key("EdDSA", ISSUER))]
        validator = engine.Validator.jwt(key, issuers=["alpha"])
        self.producer = self.network.producer(STREAM, validators=[validator], buffer=buffer)
        self.port = port
        self.seq = 0

    def send(self, item: Item | None = None) -> None:
        data = item if item is not None else Fact(b"alpha %d" % self.seq)
        self.producer.send(encode_item(SurfaceItem(self.seq, self.seq, data, Certificate(1, ()))))
        self.seq += 1

    def flood(self, count: int) -> None:
        for _ in range(count):
            self.send()

    def serves(self, committee: Committee) -> set[str]:
        """The nodes that are subscribed now."""
        subscribed = set(self.producer.consumers())
        nodes = load_deployment(committee.deployment).nodes
        return {node.name for node in nodes if node.peer_id in subscribed}

    def pulse(self) -> contextlib.AbstractContextManager[None]:
        """An event ten times a second, as long as the block lasts."""
        return pulse(self.send)


def paper(committee: Committee, name: str, peer: bytes, days: float) -> None:
    """A ticket of a peer for alpha."""
    now = int(time.time())
    ticket = issue_jwt(
        "EdDSA", ISSUER, peer, issued_at_s=now - 9 * DAY_S, expires_at_s=now + round(days * DAY_S), issuer="alpha"
    )  # fmt: skip
    path = committee.folder / "tickets" / f"{name}.alpha.ticket"
    path.write_bytes(ticket)
    path.chmod(0o600)


@contextlib.contextmanager
def spanning_alpha(
    folder: Path, lapsed: tuple[str, ...] = (), **alpha_s: int
) -> Iterator[tuple[Committee, Alpha]]:
    """Three nodes on mosaik that read alpha's stream; the tickets of those lapsed ended yesterday."""
    require_engine()
    (port,) = free_ports(1)
    issuer = (
        '[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = ["alpha"]\n'
        f'keys = [{{ alg = "EdDSA", key = "{public_key("EdDSA", ISSUER).hex()}" }}]\n'
    )
    span = Span("alpha", f"{7:064x}", STREAM.hex(), (), extra=issuer)
    committee = make_committee(folder / "acme", spans=[span], fold="fan-in", carrier="mosaik")
    quicken(committee)
    place = f"{peer_id_from_seed(SEED).hex()}@127.0.0.1:{port}"
    text = committee.deployment.read_text().replace("endpoints = []", f'peers = ["{place}"]')
    text = text.replace("[secrets]\n", f"{PATIENT}[secrets]\n")
    for name in committee.names:
        text += f'[[span.ticket]]\nnode = "{name}"\nfile = "tickets/{name}.alpha.ticket"\n'
    committee.deployment.write_text(text)
    for node in load_deployment(committee.deployment).nodes:
        paper(committee, node.name, node.peer_id, -1 if node.name in lapsed else 30)
    alpha = None
    try:
        committee.start_relay()
        alpha = Alpha(f"http://127.0.0.1:{committee.relay_port}", port, **alpha_s)
        committee.start()
        committee.bonded()
        yield committee, alpha
    finally:
        if alpha is not None:
            alpha.network.close()
        committee.close()
        print("\n".join(JOURNAL))
