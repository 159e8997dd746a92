import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import derive, h, uid
from organismctl.identity.group_id import group_id
from organismctl.identity.peer import sign
from organismctl.identity.peer_entry import (
    MAX_TICKET,
    EntryPoint,
    PeerTicket,
    encode_catalog,
    encode_entry,
    read_catalog,
    read_entry,
    sign_entry,
)
from organismctl.identity.peer_entry_decoding import SMALL_ORDER
from organismctl.identity.postcard import PostcardError, Writer
from organismctl.identity.sync import LogReplaySync
from organismctl.identity.validator import JWT_CLASS
from tests.identity.entries import NETWORK, entries, entry, peer, seed, signed

VECTORS = Path(__file__).with_name("peer_entry_vectors.json")


@settings(deadline=None)
@given(entries())
def test_an_entry_survives_the_trip(made):
    one, secret = made
    raw = sign_entry(one, secret)
    read = read_entry(raw)
    assert read.entry == one
    assert read.trusted
    assert encode_entry(read.entry) + read.signature == raw


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_or_read_never_worse(data):
    try:
        read = read_entry(data)
    except PostcardError:
        pass
    else:
        assert not read.verified
    assert read_catalog(data).entries == ()


@settings(deadline=None)
@given(entries(), st.data())
def test_a_changed_byte_is_never_trusted(made, data):
    raw = bytearray(sign_entry(*made))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    catalog = read_catalog(encode_catalog([bytes(raw)]))
    assert catalog.entries == ()
    assert catalog.problems


@settings(deadline=None)
@given(entries(), st.data())
def test_a_truncated_entry_is_a_problem(made, data):
    raw = sign_entry(*made)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    with pytest.raises(PostcardError):
        read_entry(cut)
    (problem,) = read_catalog(b"\x01" + cut).problems
    assert problem.what.startswith("entry 1 of 1 is malformed")


@settings(deadline=None)
@given(entries(), st.data())
def test_what_mosaik_would_write_otherwise_is_no_encoding_of_it(made, data):
    """Whatever is read and trusted is the one encoding of what was read."""
    one, secret = made
    raw = bytearray(encode_entry(one))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        read = read_entry(bytes(raw) + sign(secret, h(bytes(raw))))
    except PostcardError:
        return
    if read.trusted and not read.left_out:
        assert encode_entry(read.entry) == bytes(raw)


def test_the_bytes_are_those_that_mosaik_writes():
    one = entry(
        "a",
        addresses=("[::1]:80", "127.0.0.1:300"),
        relays=("http://r/",),
        tags=(b"\x02" * 32, b"\x01" * 32),
        tickets=(PeerTicket(b"\x03" * 32, b"abc"),),
        started_ms=-1,
        updated_ms=64,
    )
    assert encode_entry(one) == (
        b"\x060.3.18" + NETWORK + b"\x01" + b"\x80\x01" + peer("a")
        + b"\x03" + b"\x00\x09http://r/" + b"\x01\x00\x7f\x00\x00\x01\xac\x02" + b"\x01\x01" + bytes(15) + b"\x01\x50"
        + b"\x02" + b"\x01" * 32 + b"\x02" * 32 + b"\x00" + b"\x00"
        + b"\x01" + derive(b"\x03" * 32, b"abc") + b"\x03" * 32 + b"\x03abc"
    )  # fmt: skip


def test_what_mosaik_itself_wrote():
    raw = bytes.fromhex(json.loads(VECTORS.read_text())["catalog"])
    catalog = read_catalog(raw)
    assert catalog.problems == ()
    b, a = (one.entry for one in catalog.entries)
    assert (a.peer_id, b.peer_id) == (peer("a"), peer("b"))
    assert {a.network, b.network} == {uid("mosaik.universe")}
    assert (a.protocol, a.relays, a.addresses) == ("0.3.18", ("http://127.0.0.1:3340/",), ("127.0.0.1:7301",))
    assert b.addresses == ("127.0.0.1:39737", "[::1]:42420")
    assert set(a.streams) == {h(b"one"), h(b"two")}
    machine = LogReplaySync("organismctl_engine::Machine").signature()
    assert a.groups == (group_id(h(uid("secret1")), consensus_digest(), uid("machine"), machine),)
    assert {ticket.kind for ticket in a.tickets} == {JWT_CLASS, h(b"another class")}
    assert PeerTicket(h(b"another class"), b"\x00\xff opaque") in a.tickets
    assert 1_795_525_474_926 == a.started_ms < a.updated_ms < b.started_ms + 10_000
    assert encode_catalog(encode_entry(one.entry) + one.signature for one in catalog.entries) == raw


def test_a_catalog_keeps_what_is_signed_and_names_the_rest():
    good, other = signed("a"), signed("b")
    unsigned = other[:-64] + bytes(64)
    forged = signed("c")[:-64] + other[-64:]
    catalog = read_catalog(encode_catalog([good, unsigned, forged]))
    assert [one.entry.peer_id for one in catalog.entries] == [peer("a")]
    assert [(p.peer_id, p.what) for p in catalog.problems] == [
        (peer("b"), "unsigned"),
        (peer("c"), "its signature does not verify"),
    ]


def test_what_stands_before_a_broken_entry_is_kept():
    catalog = read_catalog(encode_catalog([signed("a"), signed("b")])[:-1])
    assert [one.entry.peer_id for one in catalog.entries] == [peer("a")]
    assert [p.what for p in catalog.problems] == [
        "entry 2 of 2 is malformed, and nothing behind it can be read: truncated in the signature"
    ]


def test_too_many_entries_and_bytes_behind_them_are_problems():
    three = encode_catalog([signed("a"), signed("b"), signed("c")])
    few = read_catalog(three, max_entries=2)
    assert len(few.entries) == 2
    assert [p.what for p in few.problems] == ["it claims 3 entries; the first 2 were read"]
    assert [p.what for p in read_catalog(three + b"xy").problems] == ["2 bytes follow the last entry"]


def test_a_ticket_of_1_mb_is_left_out_and_its_peer_is_kept():
    small = PeerTicket(h(b"kind"), b"small")
    raw = signed("a", tickets=(PeerTicket(h(b"kind"), bytes(1 << 20)), small))
    catalog = read_catalog(encode_catalog([raw]))
    assert [one.entry.tickets for one in catalog.entries] == [(small,)]
    assert [(p.peer_id, p.what) for p in catalog.problems] == [
        (peer("a"), f"a ticket of 1048576 bytes was left out; at most {MAX_TICKET} are read")
    ]


def test_an_unordered_set_and_a_misnamed_ticket_are_not_trusted():
    raw = bytearray(
        encode_entry(entry("a", streams=(b"\x01" * 32, b"\x02" * 32), tickets=(PeerTicket(NETWORK, b"x"),)))
    )
    at = raw.index(b"\x01" * 32)
    raw[at : at + 64] = b"\x02" * 32 + b"\x01" * 32
    raw[-1] ^= 1
    read = read_entry(bytes(raw) + sign(seed("a"), h(bytes(raw))))
    assert read.verified
    assert not read.trusted
    assert read.faults == ("its streams are not in order, once each", "a ticket under another's id")


@pytest.mark.parametrize("point", sorted(SMALL_ORDER))
def test_a_peer_id_for_which_everybody_can_sign_is_not_believed(point):
    raw = encode_entry(entry("a", peer_id=point))
    assert not read_entry(raw + point + bytes(32)).verified


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (Writer().varint(10**6).finish(), "1000000 addresses; at most 256 are read"),
        (Writer().varint(1).varint(3).finish(), "an address of kind 3"),
        (Writer().varint(1).varint(1).varint(2).finish(), "a socket address of family 2"),
        (b"\x80\x00", "an overlong varint"),
        (b"\xff" * 11, "a varint longer than 64 bits"),
    ],
)  # fmt: skip
def test_a_broken_structure_says_what_is_broken(part, what):
    head = encode_entry(entry("a"))[:-5]
    with pytest.raises(PostcardError) as caught:
        read_entry(head + part + bytes(200))
    assert caught.value.message == what


def test_an_entry_is_signed_by_its_own_peer_alone():
    with pytest.raises(ValueError, match="not the entry's peer's"):
        sign_entry(entry("a"), seed("b"))


@pytest.mark.parametrize(
    "address", ["host:1", "1.2.3.4", "::1:80", "[1.2.3.4]:80", "1.2.3.4:70000", "1.2.3.4:x"]
)
def test_an_address_that_is_none_has_no_encoding(address):
    with pytest.raises(PostcardError):
        encode_entry(entry("a", addresses=(address,)))


def test_tickets_stay_out_of_reprs():
    read = read_entry(signed("a", tickets=(PeerTicket(NETWORK, b"fake-secret-ticket"),)))
    assert "fake-secret-ticket" not in repr(read)


@pytest.mark.parametrize("where", ["127.0.0.1:7301", "node-a.example.org:1", "[2001:db8::1]:65535"])
def test_an_entry_point_is_read_and_written(where):
    text = f"{peer('a').hex()}@{where}"
    assert str(EntryPoint.parse(text)) == text
    assert EntryPoint.parse(text).peer_id == peer("a")


@pytest.mark.parametrize(
    "text",
    ["", "x@1.2.3.4:1", "{}", "{}@", "{}@:1", "{}@host", "{}@host:0", "{}@host:65536", "{}@::1:80", "{}@[x]:80",
     "{}@ho st:80", "{}@host:8٠", "{}@host\n:80"],
)  # fmt: skip
def test_what_is_no_entry_point_is_refused(text):
    with pytest.raises(ValueError):
        EntryPoint.parse(text.format(peer("a").hex()))


@settings(deadline=None)
@given(st.text(max_size=90))
def test_entry_points_refuse_with_a_sentence_alone(text):
    try:
        read = EntryPoint.parse(text)
    except ValueError:
        return
    assert EntryPoint.parse(str(read)) == read
