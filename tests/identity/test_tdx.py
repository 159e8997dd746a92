"""TDX tickets: quotes of Intel's layout signed by a key of our own, judged in mosaik's order."""

from dataclasses import replace
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.digest import h
from organismctl.identity.postcard import Writer
from organismctl.identity.tdx import (
    MAX_TICKET,
    decode_tdx,
    encode_tdx,
    extra_signature,
    parse_quote,
    validate_tdx,
)
from organismctl.identity.validator import REGISTERS, TdxCriteria, TdxValidator

NOW = 1_700_000_000
PEER, NETWORK = h(b"peer"), h(b"network")
VALUES = {name: bytes([0x20 + n]) * 48 for n, name in enumerate(REGISTERS)}
OFFSETS = {"mrtd": 136, "rtmr0": 328, "rtmr1": 376, "rtmr2": 424, "rtmr3": 472}
KEY = ec.derive_private_key(12345, ec.SECP256R1())
V = TdxValidator()


def quote(report: bytes, version: int = 4, *, break_signature: bool = False) -> bytes:
    body = bytearray(584 if version == 4 else 648)
    for name, at in OFFSETS.items():
        body[at : at + 48] = VALUES[name]
    body[520:584] = report.ljust(64, b"\0")
    header = version.to_bytes(2, "little") + b"\x02\x00" + (0x81).to_bytes(4, "little") + bytes(40)
    kind = b"" if version == 4 else b"\x03\x00" + len(body).to_bytes(4, "little")
    signed = header + kind + bytes(body)
    r, s = decode_dss_signature(KEY.sign(signed, ec.ECDSA(hashes.SHA256())))
    point = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    mark = (r ^ break_signature).to_bytes(32, "big") + s.to_bytes(32, "big")
    return signed + (128).to_bytes(4, "little") + mark + point


def ticket(
    *, started: int = NOW - 60, quoted: int = NOW - 50, expires: int | None = NOW + 500, report: bytes | None = None,
    version: int = 4, broken: bool = False, peer: bytes = PEER, network: bytes = NETWORK,
) -> bytes:  # fmt: skip
    bound = extra_signature(peer, network, started, quoted, expires) if report is None else report
    return encode_tdx(quote(bound, version, break_signature=broken), peer, network, started, quoted, expires)


def pack(plain: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(plain)


CRITERIA = TdxCriteria(VALUES["mrtd"], rtmr2=VALUES["rtmr2"])
WRONG = TdxCriteria(rtmr1=b"\x01" * 48)
CASES: list[tuple[bytes, TdxValidator, str | None]] = [
    (b"", V, "decompress"),
    (b"not zstd", V, "decompress"),
    (pack(bytes(MAX_TICKET + 1)), V, "decompress"),
    (pack(b"\x00"), V, "decode"),
    (encode_tdx(b"short", PEER, NETWORK, NOW, NOW, None), V, "quote"),
    (ticket(broken=True), V, "quote-signature"),
    (ticket(report=h(b"else")), V, "report-data"),
    (ticket(), TdxValidator(WRONG), "baseline"),
    (ticket(), TdxValidator(variants=(WRONG,)), "variant"),
    (ticket(peer=h(b"else")), V, "peer"),
    (ticket(network=h(b"else")), V, "network"),
    (ticket(), TdxValidator(max_age_s=49), "max-age"),
    (ticket(quoted=NOW + 5), TdxValidator(max_age_s=1000), "max-age"),
    (ticket(), TdxValidator(not_before_s=NOW - 49), "not-before"),
    (ticket(), TdxValidator(max_lifetime_s=549), "max-lifetime"),
    (ticket(expires=None), TdxValidator(max_lifetime_s=10**9), "max-lifetime"),
    (ticket(expires=NOW - 60), TdxValidator(max_lifetime_s=10**9), "max-lifetime"),
    (ticket(expires=NOW), V, "expired"),
    (ticket(), V, None),
    (ticket(version=5), TdxValidator(CRITERIA), None),
    (ticket(expires=None), TdxValidator(CRITERIA, (WRONG, CRITERIA), 50, NOW - 50), None),
    (ticket(), TdxValidator(max_lifetime_s=550), None),
]


@pytest.mark.parametrize(("data", "validator", "step"), CASES)
def test_the_first_failing_step_is_named(data: bytes, validator: TdxValidator, step: str | None) -> None:
    verdict = validate_tdx(data, validator, PEER, NETWORK, NOW)
    assert (verdict.valid, verdict.failing_step) == (step is None, step), verdict.detail
    assert "attested" not in verdict.detail
    if step is None:
        assert verdict.detail == "measurements match"


def test_horizons() -> None:
    verdict = validate_tdx(ticket(), TdxValidator(max_age_s=100), PEER, NETWORK, NOW)
    assert (verdict.expires_at_s, verdict.horizon_s, verdict.issued_at_s) == (NOW + 500, NOW + 50, NOW - 50)
    never = validate_tdx(ticket(expires=None), V, PEER, NETWORK, NOW)
    assert (never.never_expires, never.horizon_s) == (True, None)


def test_registers_come_from_intels_offsets() -> None:
    for version in (4, 5):
        assert dict(parse_quote(quote(b"r", version)).registers) == VALUES
        assert parse_quote(quote(b"r", version)).report_data == b"r".ljust(64, b"\0")
    decoded = decode_tdx(ticket())
    assert (decoded.peer_id, decoded.network, decoded.quoted_at_s) == (PEER, NETWORK, NOW - 50)


def raw(started: str, tail: bytes = b"") -> bytes:
    quoted = "2023-11-14T22:12:30Z"
    bound = extra_signature(PEER, NETWORK, NOW, NOW - 50)
    writer = Writer().bytes(quote(bound)).fixed(PEER, 32).fixed(NETWORK, 32)
    return pack(writer.text(started).text(quoted).varint(0).finish() + tail)


@pytest.mark.parametrize(
    "text", ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.123456789Z", "2023-11-15T00:13:20.9+02:00"]
)
def test_times_as_chrono_writes_them(text: str) -> None:
    assert validate_tdx(raw(text), V, PEER, NETWORK, NOW).valid is True
    # postcard lets bytes follow, and so does mosaik.
    assert validate_tdx(raw(text, b"\x00"), V, PEER, NETWORK, NOW).valid is True


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20", "yesterday", "", "2023-13-14T22:13:20Z", "9" * 60])
def test_other_times_do_not_decode(text: str) -> None:
    assert validate_tdx(raw(text), V, PEER, NETWORK, NOW).failing_step == "decode"


def test_a_bomb_takes_no_memory() -> None:
    bomb = pack(bytes(200_000_000))
    assert len(bomb) < 50_000
    assert validate_tdx(bomb, V, PEER, NETWORK, NOW).failing_step == "decompress"
    with pytest.raises(ValueError, match=r"^decompress"):
        decode_tdx(bomb)


@given(
    st.binary(max_size=80)
    | st.binary(max_size=300).map(pack)
    | st.binary(max_size=900).map(lambda q: encode_tdx(q, PEER, NETWORK, NOW, NOW, None))
)
def test_nothing_but_our_error_comes_of_hostile_bytes(data: bytes) -> None:
    assert validate_tdx(data, V, PEER, NETWORK, NOW).valid is False
    with pytest.raises(ValueError, match=r"^(decompress|decode|quote): "):
        decode_tdx(data)


@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from([4, 5]))
def test_a_flipped_byte_of_what_is_signed_is_refused(position: int, mask: int, version: int) -> None:
    bound = extra_signature(PEER, NETWORK, NOW, NOW, None)
    data = bytearray(quote(bound, version))
    data[position % (len(data) - 132)] ^= mask
    packed = encode_tdx(bytes(data), PEER, NETWORK, NOW, NOW, None)
    assert validate_tdx(packed, V, PEER, NETWORK, NOW).valid is False


@pytest.mark.parametrize(
    "change", [{"started": NOW - 61}, {"quoted": NOW - 51}, {"expires": None}, {"peer": h(b"x")}]
)
def test_the_quote_binds_every_field(change: dict[str, Any]) -> None:
    other = ticket(report=extra_signature(PEER, NETWORK, NOW - 60, NOW - 50, NOW + 500), **change)
    assert validate_tdx(other, replace(V), PEER, NETWORK, NOW).failing_step == "report-data"
