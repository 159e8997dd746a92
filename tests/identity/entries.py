"""Signed peer entries for tests: made by rule, and by hypothesis."""

from hypothesis import strategies as st

from organismctl.identity.digest import h
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import PeerEntry, PeerTicket, sign_entry

NETWORK = h(b"test network")
STARTED = 1_700_000_000_000


def seed(name: str) -> bytes:
    """The obviously fake seed of a peer."""
    return h(f"fake seed of {name}".encode())


def peer(name: str) -> bytes:
    """Its peer id."""
    return peer_id_from_seed(seed(name))


def entry(name: str, **fields: object) -> PeerEntry:
    """What a peer says of itself, when nothing else is asked for."""
    return PeerEntry(
        **{
            "protocol": "0.3.18",
            "network": NETWORK,
            "started_ms": STARTED,
            "updated_ms": STARTED + 1000,
            "peer_id": peer(name),
            **fields,
        }
    )


def signed(name: str, **fields: object) -> bytes:
    """The same, signed."""
    return sign_entry(entry(name, **fields), seed(name))


ids = st.binary(min_size=32, max_size=32)
id_sets = st.lists(ids, max_size=4, unique=True).map(lambda some: tuple(sorted(some)))
ports = st.integers(0, 65535)
sockets_4 = st.tuples(st.ip_addresses(v=4), ports)
sockets_6 = st.tuples(st.ip_addresses(v=6), ports)
customs = st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=80))
tickets = st.builds(PeerTicket, ids, st.binary(max_size=200))
protocols = st.from_regex(
    r"\A(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.[0-9](-rc\.[1-9])?(\+[a-z0-9]{1,5})?\Z"
)


@st.composite
def entries(draw: st.DrawFn) -> tuple[PeerEntry, bytes]:
    """An entry in its canonical order, and the seed of its peer."""
    secret = draw(st.binary(min_size=32, max_size=32))
    some = {one.id: one for one in draw(st.lists(tickets, max_size=3))}
    v4 = sorted(set(draw(st.lists(sockets_4, max_size=2))))
    v6 = sorted(set(draw(st.lists(sockets_6, max_size=2))))
    made = PeerEntry(
        draw(protocols),
        draw(ids),
        draw(st.integers(-(2**63), 2**63 - 1)),
        draw(st.integers(-(2**63), 2**63 - 1)),
        peer_id_from_seed(secret),
        tuple(
            sorted(
                draw(st.sets(st.sampled_from(["https://a.example./", "http://10.0.0.1:3340/"]), max_size=2))
            )
        ),
        (*(f"{host}:{port}" for host, port in v4), *(f"[{host}]:{port}" for host, port in v6)),
        draw(id_sets),
        draw(id_sets),
        draw(id_sets),
        tuple(some[key] for key in sorted(some)),
        (draw(customs),) if draw(st.booleans()) else (),
    )
    return made, secret
