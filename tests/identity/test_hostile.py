"""Every reader of identity/ on hostile input: its own error or a value, never anything else; one spelling each."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from organismctl.identity.digest import h, is_hex64, near_hex, parse_digest, uid
from organismctl.identity.durations import format_duration, parse_duration, parse_seconds
from organismctl.identity.peer import parse_peer_id, peer_id_from_seed
from organismctl.identity.postcard import PostcardError, Reader
from organismctl.identity.reference import parse_ref
from organismctl.identity.roster import RosterChange, RosterLink, decode_link, encode_link
from organismctl.identity.surface_item import (
    Fact,
    RetirementMarker,
    SurfaceItem,
    certificate,
    decode_body,
    decode_item,
    encode_body,
    encode_item,
)

anything = st.text() | st.text("0123456789abcdefABCDEFxX@#:. \n\x00dhms-", max_size=80)


@pytest.mark.parametrize("read", [parse_digest, parse_duration, parse_seconds, parse_peer_id, parse_ref])
@given(text=anything)
@example(text="9" * 5000)
@example(text="9" * 19 + "d")
@example(text="1" * 64 + "\n")
@example(text="\ud800" * 52)
@example(text="ﬀ" * 32)
def test_readers_of_text_raise_value_errors_alone(read: Callable[[str], Any], text: str) -> None:
    with contextlib.suppress(ValueError):
        read(text)


@given(st.text("0123456789abcdefABCDEFxX \t", max_size=75))
@example("0x")
@example("0x" + "a" * 64)
@example("a" * 64 + " ")
def test_an_id_is_exact_or_near_or_neither(text: str) -> None:
    assert not (is_hex64(text) and near_hex(text))
    assert uid(text) == (bytes.fromhex(text) if is_hex64(text) else h(text.encode()))
    stripped = text.strip()
    if 60 <= len(stripped) <= 70 and set(stripped) <= set("0123456789abcdefABCDEF") and text != stripped:
        assert near_hex(text)


@given(st.text("0123456789dhms", max_size=12))
def test_a_duration_that_reads_formats_to_its_shortest_form(text: str) -> None:
    try:
        ms = parse_duration(text)
    except ValueError:
        return
    assert parse_duration(format_duration(ms)) == ms


FACT = SurfaceItem(3, 300, Fact(b"fact"), certificate(2, {h(bytes([n])): bytes([n]) * 64 for n in range(2)}))
MARKER = SurfaceItem(4, 301, RetirementMarker("tick:5", "r", ""), FACT.certificate)
LINK = RosterLink(200, RosterChange(True, peer_id_from_seed(h(b"fake")), 2), FACT.certificate.signatures)
FORMS: list[tuple[bytes, Callable[[bytes], Any], Callable[[Any], bytes]]] = [
    (encode_item(FACT), decode_item, encode_item),
    (encode_item(MARKER), decode_item, encode_item),
    (encode_link(LINK), decode_link, encode_link),
    (encode_body(FACT.item), decode_body, encode_body),
    (encode_body(MARKER.item), decode_body, encode_body),
]


@pytest.mark.parametrize(("whole", "decode", "encode"), FORMS)
@given(data=st.data())
def test_a_mutated_encoding_is_another_value_or_our_error(
    whole: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(at, min(at + 3, len(whole))))
    mutated = whole[:at] + data.draw(st.binary(max_size=3)) + whole[cut:]
    try:
        value = decode(mutated)
    except PostcardError:
        return
    assert encode(value) == mutated
    assert (value == decode(whole)) == (mutated == whole)


@pytest.mark.parametrize(("whole", "decode", "encode"), FORMS)
def test_every_prefix_and_every_longer_form_is_refused(
    whole: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]
) -> None:
    assert encode(decode(whole)) == whole
    for end in range(len(whole)):
        with pytest.raises(PostcardError):
            decode(whole[:end])
    with pytest.raises(PostcardError):
        decode(whole + b"\x00")


@pytest.mark.parametrize("count", [256, 2**32, 2**64 - 1])
def test_a_claimed_count_allocates_nothing(count: int) -> None:
    from organismctl.identity.postcard import Writer

    claim = Writer().varint(count).finish()
    with pytest.raises(PostcardError):
        decode_item(encode_item(FACT)[: -(1 + 2 * 96)] + claim)
    with pytest.raises(PostcardError):
        decode_link(encode_link(LINK)[: -(1 + 2 * 96)] + claim)
    with pytest.raises(PostcardError):
        decode_body(b"\x00" + claim)
    with pytest.raises(PostcardError):
        Reader(claim).seq(Reader.varint)


@given(
    st.binary(max_size=40),
    st.lists(st.sampled_from(["varint", "zigzag", "boolean", "bytes", "text"]), max_size=6),
)
def test_a_reader_never_raises_anything_else(data: bytes, calls: list[str]) -> None:
    reader = Reader(data)
    try:
        for call in calls:
            getattr(reader, call)()
        reader.option(Reader.text)
        reader.seq(Reader.bytes, 4)
        reader.fixed(3)
        reader.finish()
    except PostcardError:
        assert reader.remaining >= 0
