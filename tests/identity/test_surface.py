"""The roster chain, surface items and references: what a stranger believes, and what not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.config import KINDS
from organismctl.identity.digest import h
from organismctl.identity.peer import peer_id_from_seed, sign
from organismctl.identity.postcard import PostcardError
from organismctl.identity.reference import OrganismRef, parse_ref, span_stanza
from organismctl.identity.roster import (
    ChainError,
    Roster,
    RosterChange,
    RosterLink,
    apply_change,
    decode_link,
    encode_link,
    link_message,
    majority,
    roster_digest,
    verify_chain,
)
from organismctl.identity.surface_item import (
    Certificate,
    Fact,
    Item,
    RetirementMarker,
    SurfaceItem,
    certificate,
    decode_body,
    decode_item,
    encode_body,
    encode_item,
    item_message,
    verify_item,
)

SEEDS = [h(f"an obviously fake node {n}".encode()) for n in range(5)]
PEERS = [peer_id_from_seed(seed) for seed in SEEDS]
SEED_OF = dict(zip(PEERS, SEEDS, strict=True))
PIN, SURFACE = h(b"fingerprint"), h(b"surface")
FIRST = Roster(1, tuple(PEERS[:3]))
GENESIS = roster_digest(FIRST.members)


def link(
    previous: Roster, height: int, change: RosterChange, signers: list[bytes], pin: bytes = PIN
) -> RosterLink:
    message = link_message(pin, previous, height, change)
    return RosterLink(height, change, tuple((peer, sign(SEED_OF[peer], message)) for peer in signers))


ADD = link(FIRST, 5, RosterChange(True, PEERS[3], 2), PEERS[:2])
SECOND = apply_change(FIRST, ADD.change)
REMOVE = link(SECOND, 9, RosterChange(False, PEERS[0], 3), [PEERS[1], PEERS[2], PEERS[3]])


def test_a_chain_proves_every_roster() -> None:
    rosters = verify_chain(PIN, GENESIS, FIRST, [ADD, REMOVE])
    assert [roster.version for roster in rosters] == [1, 2, 3]
    assert set(rosters[-1].members) == set(PEERS[1:4])
    assert [majority(size) for size in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    assert roster_digest(reversed(FIRST.members)) == GENESIS
    assert all(decode_link(encode_link(one)) == one for one in (ADD, REMOVE))


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ([replace(ADD, signatures=ADD.signatures[:1])], "link 1: 1 of 2"),
        ([replace(ADD, signatures=ADD.signatures[:1] * 2)], "link 1: 1 of 2"),
        ([replace(ADD, height=6)], "link 1: 0 of 2"),
        ([replace(ADD, change=replace(ADD.change, peer_id=PEERS[4]))], "link 1: 0 of 2"),
        ([link(FIRST, 5, ADD.change, PEERS[:2], h(b"another organism"))], "link 1: 0 of 2"),
        ([link(FIRST, 5, ADD.change, [PEERS[3], PEERS[4]])], "link 1: 0 of 2"),
        ([ADD, replace(REMOVE, height=5)], "link 2: height 5"),
        ([ADD, link(SECOND, 9, REMOVE.change, PEERS[:2])], "link 2: 2 of 3"),
        ([REMOVE], "link 1: "),
        ([link(FIRST, 5, RosterChange(True, PEERS[0], 2), PEERS[:2])], "link 1: adds a member who sits"),
        (
            [link(FIRST, 5, RosterChange(False, PEERS[4], 2), PEERS[:2])],
            "link 1: removes a member who does not",
        ),
        ([link(FIRST, 5, RosterChange(True, PEERS[3], 7), PEERS[:2])], "link 1: version 7"),
        ([ADD, ADD], "link 2: height"),
    ],
)
def test_a_link_that_is_not_proven_is_named(links: list[RosterLink], says: str) -> None:
    with pytest.raises(ChainError, match=says):
        verify_chain(PIN, GENESIS, FIRST, links)


def test_a_forged_first_roster_is_refused() -> None:
    with pytest.raises(ChainError, match="genesis"):
        verify_chain(PIN, GENESIS, Roster(1, tuple(PEERS[2:])), [])
    with pytest.raises(ChainError, match="last member"):
        apply_change(Roster(1, (PEERS[0],)), RosterChange(False, PEERS[0], 2))


def item(body: Item, signers: list[bytes], seq: int = 7, height: int = 20, version: int = 1) -> SurfaceItem:
    message = item_message(PIN, SURFACE, seq, height, body)
    return SurfaceItem(
        seq, height, body, certificate(version, {p: sign(SEED_OF[p], message) for p in signers})
    )


MARKER = RetirementMarker("2026-12-01T00:00:00Z", "organism:b@" + "1" * 64, "moved")


@pytest.mark.parametrize("body", [Fact(b"fact"), Fact(b""), MARKER, RetirementMarker("tick:5")])
def test_a_majority_makes_an_item_verified(body: Item) -> None:
    one = item(body, PEERS[:2])
    verdict = verify_item(one, PIN, SURFACE, FIRST)
    assert verdict.verified and verdict.threshold == 2
    assert verdict.valid == set(PEERS[:2]) and verdict.missing == {PEERS[2]}
    assert decode_item(encode_item(one)) == one
    assert one.retirement == (body if isinstance(body, RetirementMarker) else None)


def test_what_does_not_prove_an_item() -> None:
    one = item(MARKER, PEERS[:2])
    for forged in (
        replace(one, seq=8), replace(one, height=21), replace(one, item=Fact(b"x")), item(MARKER, PEERS[:1]),
        item(MARKER, PEERS[3:]), replace(one, certificate=replace(one.certificate, roster_version=2)),
    ):  # fmt: skip
        assert not verify_item(forged, PIN, SURFACE, FIRST).verified
    assert not verify_item(one, h(b"other"), SURFACE, FIRST).verified
    assert not verify_item(one, PIN, h(b"other"), FIRST).verified
    mixed = verify_item(item(MARKER, [PEERS[0], PEERS[4]]), PIN, SURFACE, FIRST)
    assert (mixed.valid, mixed.strangers) == ({PEERS[0]}, {PEERS[4]})
    bad = replace(one, certificate=certificate(1, {PEERS[0]: bytes(64)}))
    assert verify_item(bad, PIN, SURFACE, FIRST).invalid == {PEERS[0]}


def test_one_item_has_one_encoding() -> None:
    one = item(MARKER, PEERS[:2])
    turned = replace(one, certificate=Certificate(1, one.certificate.signatures[::-1]))
    twice = replace(one, certificate=Certificate(1, one.certificate.signatures[:1] * 2))
    for bad in (turned, twice):
        with pytest.raises(PostcardError, match="sorted"):
            decode_item(encode_item(bad))
    with pytest.raises(PostcardError, match="kind 9"):
        decode_body(b"\x09")


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
bodies = st.builds(Fact, st.binary(max_size=50)) | st.builds(
    RetirementMarker, texts, st.none() | texts, texts
)
u64 = st.integers(0, 2**64 - 1)
marks = st.dictionaries(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), max_size=3)


@given(bodies, u64, u64, u64, marks)
def test_items_read_back(body: Item, seq: int, height: int, version: int, signed: dict[bytes, bytes]) -> None:
    one = SurfaceItem(seq, height, body, certificate(version, signed))
    assert decode_item(encode_item(one)) == one
    assert decode_body(encode_body(body)) == body


@given(st.binary(max_size=200))
def test_hostile_bytes_are_our_error(data: bytes) -> None:
    for decode in (decode_item, decode_body, decode_link):
        try:
            decode(data)
        except PostcardError:
            continue


@given(
    st.sampled_from(KINDS),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.none() | st.just(PIN),
)
def test_references_read_back(kind: str, name: str, content: bytes | None) -> None:
    ref = OrganismRef(kind, name, h(name.encode()), content)
    assert parse_ref(str(ref)) == ref
    assert parse_ref(f"  {ref}\n") == ref
    assert len(str(ref).split()) == 1


HEX = "1" * 64


@pytest.mark.parametrize(
    "text",
    [
        "", "organism:a", f"organism:a@{HEX[1:]}", f"organism:a@{HEX}#", f"moon:a@{HEX}", f"organism:@{HEX}",
        f"organism:a b@{HEX}", f"organism:a@{HEX}#{HEX}0", f"organism:a@{HEX} #{HEX}", f"organism:-a@{HEX}",
        f"organism:a@{'A' * 64}",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_told_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="STABLE_ID"):
        parse_ref(text)


def test_the_stanza_is_toml_that_says_the_same() -> None:
    import tomllib

    ref = OrganismRef("organism", "acme.settlement", h(b"s"), PIN)
    (span,) = tomllib.loads(span_stanza(ref, (("facts", "stream", SURFACE),)))["span"]
    assert (span["name"], span["kind"], span["stable_id"]) == ("acme.settlement", "organism", h(b"s").hex())
    assert span["content_hash"] == PIN.hex()
    assert span["surface"] == [
        {"name": "facts", "type": "stream", "id": SURFACE.hex(), "decode": "surface-item"}
    ]
    assert "content_hash" not in span_stanza(replace(ref, content_hash=None))
