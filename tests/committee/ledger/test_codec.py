"""Messages and commands survive their bytes, and nothing else is read."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.ledger import codec
from organismctl.committee.ledger.codec import decode, encode, pack, unpack
from organismctl.committee.ledger.entry import Epoch, Kind, chain, link
from organismctl.committee.ledger.messages import Fetch, Prepare
from organismctl.committee.ledger.roster import Action, GenesisRecord, Roster, RosterChange, after
from organismctl.committee.ledger.wire import MalformedError, Reader, Writer

ids = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "number": u64,
    "height": st.integers(-1, 2**63),
    "flag": st.booleans(),
    "id": ids,
    "epoch": st.builds(Epoch, u64, ids),
    "commands": st.lists(st.binary(max_size=40), max_size=5).map(tuple),
    "command": st.binary(max_size=40),
    "text": st.text(max_size=40),
}
messages = st.one_of(
    *[st.builds(kind, **{name: FIELDS[what] for name, what in layout}) for kind, layout in codec._LAYOUT]
)


@given(messages)
def test_every_message_survives(message: Any) -> None:
    assert decode(encode(message)) == message


def test_every_field_of_every_message_is_in_its_layout() -> None:
    for kind, layout in codec._LAYOUT:
        assert [name for name, _ in layout] == [field.name for field in dataclasses.fields(kind)]


@given(messages, st.data())
def test_a_shortened_or_lengthened_message_is_refused(message: Any, data: st.DataObject) -> None:
    encoded = encode(message)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedError):
        decode(encoded + b"\x00")
    with pytest.raises(MalformedError):
        decode(encoded[:cut])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    for read, write in ((decode, encode), (unpack, pack)):
        try:
            value = read(data)
        except MalformedError:
            continue
        assert write(value) == data  # type: ignore[operator]


@given(messages, st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_crashes_the_reader(message: Any, at: int, byte: int) -> None:
    encoded = bytearray(encode(message))
    encoded[at % len(encoded)] = byte
    with contextlib.suppress(MalformedError):
        assert encode(decode(bytes(encoded))) == bytes(encoded)


@given(st.lists(messages, max_size=4))
def test_frames_survive(bundle: list[Any]) -> None:
    assert unpack(pack(bundle)) == bundle


def test_limits_hold() -> None:
    many = (
        Writer().u64(5).epoch(Epoch(1, bytes(32))).height(0).id(bytes(32)).u64(codec.MAX_COMMANDS + 1).done()
    )
    with pytest.raises(MalformedError, match="values where at most"):
        decode(many)
    with pytest.raises(MalformedError, match="are allowed"):
        decode(bytes(codec.MAX_MESSAGE + 1))
    with pytest.raises(MalformedError, match="are allowed"):
        unpack(bytes(codec.MAX_FRAME + 1))
    with pytest.raises(MalformedError, match="at most"):
        unpack(pack([Prepare(Epoch(1, bytes(32)))] * (codec.MAX_BUNDLE + 1)))
    with pytest.raises(MalformedError, match="tag"):
        decode(b"\x7f")


@given(
    st.builds(RosterChange, st.just(Action.ADD), ids, u64)
    | st.builds(RosterChange, st.just(Action.REMOVE), ids)
)
def test_roster_changes_survive(change: RosterChange) -> None:
    assert RosterChange.parse(change.command()) == change


@given(ids, st.sets(ids, min_size=1, max_size=5), st.binary(max_size=30))
def test_genesis_survives(fingerprint: bytes, peers: set[bytes], extra: bytes) -> None:
    record = GenesisRecord(fingerprint, tuple(sorted(peers)), extra)
    assert GenesisRecord.parse(record.command()) == record


@given(st.binary(max_size=120))
def test_any_command_is_a_roster_change_or_refused(data: bytes) -> None:
    roster = Roster.of([bytes(32)])
    for kind in (Kind.ROSTER, Kind.GENESIS):
        with contextlib.suppress(MalformedError):
            assert after(roster, bytes([kind]) + data) is not None


def test_rosters_refuse_what_cannot_be() -> None:
    a, b = b"a" * 32, b"b" * 32
    roster = Roster.of([a])
    for change in (
        RosterChange(Action.ADD, a),
        RosterChange(Action.REMOVE, a),
        RosterChange(Action.REMOVE, b),
    ):
        with pytest.raises(ValueError, match=r"on the roster|last member"):
            roster.apply(change)
        with pytest.raises(MalformedError, match="cannot be"):
            after(roster, change.command())
    assert roster.version == 1
    assert roster.apply(RosterChange(Action.ADD, b, 7)).members == {a: 0, b: 7}
    with pytest.raises(MalformedError, match="empty"):
        after(roster, b"")


def test_the_chain_is_what_the_design_says() -> None:
    from blake3 import blake3

    first = blake3(bytes(32) + (0).to_bytes(8, "little") + b"x").digest()
    assert chain(bytes(32), 0, b"x") == first
    entries = link(bytes(32), 0, (b"x", b"y"), Epoch(1, bytes(32)))
    assert entries[0].digest == first
    assert entries[1].digest == blake3(first + (1).to_bytes(8, "little") + b"y").digest()


def test_a_reader_takes_no_more_than_there_is() -> None:
    with pytest.raises(MalformedError, match="shortest"):
        Reader(b"\x80\x00").u64()
    with pytest.raises(MalformedError, match="64 bits"):
        Reader(b"\xff" * 10).u64()
    with pytest.raises(MalformedError, match="neither 0 nor 1"):
        Reader(b"\x02").flag()
    with pytest.raises(ValueError, match="32 bytes"):
        Writer().id(b"short")
    assert encode(Fetch(0, bytes(32), 1))[0] == codec._TAGS[Fetch]
