"""Postcard: round trips, canonical only, bounded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.postcard import PostcardError, Reader, Writer

u64 = st.integers(0, 2**64 - 1)
values = st.tuples(
    u64, st.integers(-(2**63), 2**63 - 1), st.binary(max_size=200),
    st.text(st.characters(exclude_categories=("Cs",))), st.none() | u64, st.lists(st.binary(max_size=3)), st.booleans(),
    st.binary(min_size=4, max_size=4),
)  # fmt: skip


def write(value: tuple[Any, ...]) -> bytes:
    number, signed, raw, text, option, seq, flag, fixed = value
    writer = Writer().varint(number).zigzag(signed).bytes(raw).text(text).option(option, Writer.varint)
    return writer.seq(seq, Writer.bytes).boolean(flag).fixed(fixed, 4).finish()


def read(data: bytes) -> tuple[Any, ...]:
    reader = Reader(data)
    value = (
        reader.varint(), reader.zigzag(), reader.bytes(), reader.text(), reader.option(Reader.varint),
        reader.seq(Reader.bytes), reader.boolean(), reader.fixed(4),
    )  # fmt: skip
    reader.finish()
    return value


@given(values)
def test_round_trip(value: tuple[Any, ...]) -> None:
    assert read(write(value)) == value


@given(st.binary(max_size=60))
def test_what_reads_is_the_one_encoding_and_all_else_is_our_error(data: bytes) -> None:
    try:
        value = read(data)
    except PostcardError:
        return
    assert write(value) == data


@given(values, st.data())
def test_every_cut_is_refused(value: tuple[Any, ...], data: st.DataObject) -> None:
    raw = write(value)
    with pytest.raises(PostcardError):
        read(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    ("number", "raw"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ffffffffffffffffff01")],
)
def test_varints_of_the_specification(number: int, raw: str) -> None:
    assert Writer().varint(number).finish().hex() == raw
    assert Reader(bytes.fromhex(raw)).varint() == number


@pytest.mark.parametrize(
    ("number", "raw"), [(0, "00"), (-1, "01"), (1, "02"), (-(2**63), "ffffffffffffffffff01")]
)
def test_zigzag_of_the_specification(number: int, raw: str) -> None:
    assert Writer().zigzag(number).finish().hex() == raw


@pytest.mark.parametrize("raw", ["8000", "80", "ffffffffffffffffff02", "ffffffffffffffffffff01", ""])
def test_overlong_short_and_too_large_varints_are_refused(raw: str) -> None:
    with pytest.raises(PostcardError):
        Reader(bytes.fromhex(raw)).varint()


def test_limits() -> None:
    with pytest.raises(PostcardError, match="limit of 2"):
        Reader(b"\x03abc").bytes(2)
    with pytest.raises(PostcardError, match="items exceed"):
        Reader(b"\xff\xff\xff\xff\x0fabc").seq(Reader.varint)
    with pytest.raises(PostcardError, match="exceeds 5"):
        Reader(b"\x06").varint(5)
    with pytest.raises(PostcardError, match="not UTF-8"):
        Reader(b"\x01\xff").text()
    with pytest.raises(PostcardError, match="boolean"):
        Reader(b"\x02").boolean()
    with pytest.raises(PostcardError, match="trailing"):
        Reader(b"\x00").finish()


@pytest.mark.parametrize(
    "write_bad",
    [
        lambda w: w.varint(-1), lambda w: w.varint(2**64), lambda w: w.zigzag(2**63), lambda w: w.text("\ud800"),
        lambda w: w.fixed(b"abc", 4),
    ],
)  # fmt: skip
def test_a_value_without_an_encoding_is_our_error(write_bad: Any) -> None:
    with pytest.raises(PostcardError):
        write_bad(Writer())
