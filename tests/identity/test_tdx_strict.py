"""TDX tickets whose frame or layout mosaik's decoders refuse, and what the binding hashes."""

import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.postcard import Writer
from organismctl.identity.tdx import (
    MAX_TICKET,
    decode_tdx,
    encode_tdx,
    extra_signature,
    parse_quote,
    signature_holds,
    validate_tdx,
)
from organismctl.identity.validator import TdxValidator
from tests.identity.test_tdx import NETWORK, NOW, PEER, V, pack, quote, ticket


def step(data: bytes, validator: TdxValidator = V) -> str | None:
    return validate_tdx(data, validator, PEER, NETWORK, NOW).failing_step


def test_only_one_whole_frame_decodes() -> None:
    data = ticket()
    assert step(data) is None
    assert step(data + b"\x00") == "decompress"
    assert step(data + data) == "decompress"
    checked = zstandard.ZstdCompressor(write_checksum=True).compress(
        zstandard.ZstdDecompressor().decompress(data)
    )
    assert step(checked) is None
    # Short of the checksum alone, everything has been decompressed already.
    assert step(checked[:-1]) == "decompress"
    assert step(checked[:-1] + bytes([checked[-1] ^ 1])) == "decompress"


WHOLE = ticket()  # One for every example: its key is of chance, and so is its length.


@given(st.integers(0, len(WHOLE) - 1))
def test_every_cut_of_a_ticket_is_refused(length: int) -> None:
    assert step(WHOLE[:length]) == "decompress"


@pytest.mark.parametrize("told", [True, False])
def test_a_bomb_is_refused_within_bounds_whatever_its_frame_claims(told: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=told).compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        assert step(bomb) == "decompress"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_ticket_of_the_greatest_size_decodes() -> None:
    bound = extra_signature(PEER, NETWORK, NOW, NOW)
    head = Writer().bytes(quote(bound)).fixed(PEER, 32).fixed(NETWORK, 32).finish()
    time = Writer().text("2023-11-14T22:13:20Z").finish()
    plain = head + time + time + b"\x00"
    assert step(pack(plain.ljust(MAX_TICKET, b"\x00"))) is None
    assert step(pack(plain.ljust(MAX_TICKET + 1, b"\x00"))) == "decompress"


def test_an_expiration_of_another_kind_does_not_decode() -> None:
    head = Writer().bytes(quote(bytes(32))).fixed(PEER, 32).fixed(NETWORK, 32)
    head.text("2023-11-14T22:13:20Z").text("2023-11-14T22:13:20Z")
    assert step(pack(head.varint(2).finish())) == "decode"


@pytest.mark.parametrize(
    "text",
    [
        "20231114T221320Z", "2023-W46-2T22:13:20Z", "2023-11-14T22:13Z", "2023-11-14", "2023-11-14T22:13:20+02",
        "2023-11-14T22:13:20+99:00", "2023-11-14T22:13:60Z", "2023-02-30T00:00:00Z", "２023-11-14T22:13:20Z",
    ],
)  # fmt: skip
def test_spellings_that_python_reads_and_chrono_does_not(text: str) -> None:
    head = Writer().bytes(quote(bytes(32))).fixed(PEER, 32).fixed(NETWORK, 32).text(text)
    assert step(pack(head.text("2023-11-14T22:13:20Z").varint(0).finish())) == "decode"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2023-11-14t22:13:20.999999999z", 1_700_000_000),
        ("2023-11-14 23:13:20.5+01:00", 1_700_000_000),
        ("1969-12-31T23:59:59.5Z", -1),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140),
    ],
)
def test_times_are_floored_to_whole_seconds_as_mosaik_binds_them(text: str, seconds: int) -> None:
    bound = extra_signature(PEER, NETWORK, seconds, NOW)
    head = Writer().bytes(quote(bound)).fixed(PEER, 32).fixed(NETWORK, 32).text(text)
    data = pack(head.text("2023-11-14T22:13:20Z").varint(0).finish())
    assert decode_tdx(data).started_at_s == seconds
    assert step(data) is None


@given(st.integers(-62_135_596_800, 253_402_300_799), st.none() | st.integers(1, 253_402_300_799))
def test_times_read_back(seconds: int, expires: int | None) -> None:
    bound = extra_signature(PEER, NETWORK, seconds, seconds, expires)
    decoded = decode_tdx(encode_tdx(quote(bound), PEER, NETWORK, seconds, seconds, expires))
    assert (decoded.started_at_s, decoded.quoted_at_s, decoded.expires_at_s) == (seconds, seconds, expires)
    assert decoded.binding == bound


GOOD = quote(bytes(32))
BODY_5 = quote(bytes(32), 5)


@pytest.mark.parametrize(
    "data",
    [
        b"", GOOD[:49], GOOD[:-1], GOOD[:700],
        b"\x03" + GOOD[1:],                                     # version 3 is SGX
        GOOD[:2] + b"\x03" + GOOD[3:],                          # a P-384 attestation key
        GOOD[:4] + b"\x00" + GOOD[5:],                          # SGX's TEE type
        GOOD[:632] + (127).to_bytes(4, "little") + GOOD[636:],  # a signature section too short
        GOOD[:632] + b"\xff" * 4 + GOOD[636:],                  # one longer than the quote
        BODY_5[:48] + b"\x02" + BODY_5[49:],                    # body type and size at odds
        BODY_5[:48] + b"\x01" + BODY_5[49:],                    # an SGX body
        BODY_5[:50] + b"\xff" * 4 + BODY_5[54:],
    ],
)  # fmt: skip
def test_what_is_no_tdx_quote(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"quote|version|signature|body"):
        parse_quote(data)
    assert step(encode_tdx(data, PEER, NETWORK, NOW, NOW, None)) == "quote"


@given(st.binary(max_size=1200), st.sampled_from([4, 5]))
def test_random_quotes_never_raise_anything_else(data: bytes, version: int) -> None:
    head = version.to_bytes(2, "little") + b"\x02\x00\x81\x00\x00\x00"
    for raw in (data, head + data):
        try:
            found = parse_quote(raw)
        except ValueError:
            continue
        assert not signature_holds(found)
