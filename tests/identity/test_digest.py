"""Digests, durations and peer ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.digest import from_uint, h, is_hex64, near_hex, parse_digest, short, uid
from organismctl.identity.durations import format_duration, parse_duration, parse_seconds
from organismctl.identity.peer import parse_peer_id, peer_id_from_seed, sign, verify

HEX = "0123456789abcdef" * 4
SEED = h(b"an obviously fake seed")


@pytest.mark.parametrize(
    "text", ["0x" + HEX, HEX[:-1], HEX + "0", f" {HEX}", f"{HEX}\n", "0XAB", "a" * 60, "a" * 70]
)
def test_a_mistyped_id_is_noticed_and_hashed(text: str) -> None:
    assert near_hex(text)
    assert uid(text) == h(text.encode())
    with pytest.raises(ValueError, match="64 hex"):
        parse_digest(text)


@pytest.mark.parametrize(
    "text", [HEX, HEX.upper(), "mosaik.universe", "", "a" * 59, "a" * 71, "0x", "g" * 64]
)
def test_other_texts_are_not_suspected(text: str) -> None:
    assert not near_hex(text)


def test_only_64_ascii_hex_are_taken_as_they_are() -> None:
    assert uid(HEX.upper()) == uid(HEX.encode()) == parse_digest(HEX) == bytes.fromhex(HEX)
    assert uid(bytes(32)) == h(bytes(32))
    wide = "\uff11" * 64  # digits to Python, not to mosaik
    assert uid(wide) == h(wide.encode())
    assert not is_hex64(wide)
    assert short(bytes.fromhex(HEX)) == "0123456789"


@pytest.mark.parametrize(("value", "width"), [(256, 1), (-1, 4), (1, 0), (1, 33)])
def test_an_integer_that_does_not_fit_is_refused(value: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"width|fit"):
        from_uint(value, width)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500),
        ("2s", 2000),
        ("7d", 604_800_000),
        ("1h30m", 5_400_000),
        ("0s", 0),
        ("1d1ms", 86_400_001),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-1s", "1 s", "1s1s", "1m1h", "1w", "٣s", "9" * 19 + "d", "1s\n"]
)
def test_what_is_no_duration_is_refused_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(ValueError, match="largest first"):
        parse_duration(text)


@given(st.integers(0, 2**63 - 1))
def test_durations_read_back(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


def test_seconds_are_whole_and_positive() -> None:
    assert parse_seconds("1h") == 3600
    for text in ("0s", "500ms", "1s1ms"):
        with pytest.raises(ValueError, match="whole"):
            parse_seconds(text)
    assert format_duration(-90_000) == "-1m30s"


def test_peer_ids_in_both_spellings() -> None:
    import base64

    peer = peer_id_from_seed(SEED)
    base32 = base64.b32encode(peer).decode().rstrip("=")
    assert {parse_peer_id(t) for t in (peer.hex(), peer.hex().upper(), base32, base32.lower())} == {peer}
    # The last character carries four spare bits; set, they would be a second name of the same peer.
    twin = (
        base32[:-1]
        + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"["ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".index(base32[-1]) + 1]
    )
    for bad in (twin, base32 + "====", base32[:-1], "", "ß" * 52, "1" * 52):
        with pytest.raises(ValueError, match="not a peer id"):
            parse_peer_id(bad)


def test_signatures_hold_for_their_peer_and_message_alone() -> None:
    peer, mark = peer_id_from_seed(SEED), sign(SEED, b"m")
    assert verify(peer, b"m", mark)
    assert not verify(peer, b"n", mark)
    assert not verify(peer_id_from_seed(h(b"another")), b"m", mark)
    assert not verify(peer, b"m", mark[:-1])
    assert not verify(peer[:-1], b"m", mark)
    assert not verify(b"\xff" * 32, b"m", mark)


@given(st.binary(max_size=64), st.binary(max_size=8), st.binary(max_size=70))
def test_verify_never_raises(peer: bytes, message: bytes, mark: bytes) -> None:
    assert verify(peer, message, mark) is False
