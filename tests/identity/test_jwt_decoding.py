"""What of a JWT's bytes decodes: as strict as serde_json and base64 are, whoever sent them."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.identity.jwt import MAX_TICKET, inspect_jwt, validate_jwt
from tests.identity.jwts import ANYTHING, FULL, HEADER, NOW, PEER, b64, sealed, step, ticket


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"\xff\xfe.a.b", "utf-8"),
        (b"", "parts"),
        (b"a.b", "parts"),
        (b"A" * (MAX_TICKET + 1), "parts"),
        (b"!.b.c", "header"),
        (sealed(b64(HEADER) + b"=", b64(b"{}"), encoded=True), "header"),
        (sealed(b"eyJ+", b64(b"{}"), encoded=True), "header"),
        (sealed(b"", b"{}"), "header"),
        (sealed(b"[]", b"{}"), "header"),
        (sealed(b'"alg"', b"{}"), "header"),
        (sealed(b'{"typ":"JWT"}', b"{}"), "header"),
        (sealed(b'{"alg":256}', b"{}"), "header"),
        (sealed(b'{"alg":null}', b"{}"), "header"),
        (sealed(b'{"alg":"HS256"} x', b"{}"), "header"),
        (sealed(b'\xef\xbb\xbf{"alg":"HS256"}', b"{}"), "header"),
        (sealed(b'{"alg":"hs256"}', b"{}"), "algorithm"),
        (sealed(b'{"alg":"ES256K"}', b"{}"), "algorithm"),
        (sealed(b'{"alg":"HS256","alg":"none"}', b"{}"), "algorithm"),
        (ticket() + b"=", "signature"),
        (ticket() + b".x", "signature"),
        (ticket()[:-1] + b"-", "signature"),
        (sealed(HEADER, b""), "claims"),
        (sealed(HEADER, b"[]"), "claims"),
        (sealed(HEADER, b"{"), "claims"),
        (sealed(HEADER, b'{"a":"\xff"}'), "claims"),
        (sealed(HEADER, b"{'a':1}"), "claims"),
        (sealed(b64(HEADER), b64(b"{}") + b"==", encoded=True), "claims"),
        (sealed(b64(HEADER), b"e31", encoded=True), "claims"),
    ],
)
def test_what_does_not_decode(data: bytes, wanted: str) -> None:
    assert step(data) == wanted
    if wanted not in {"algorithm", "signature"}:
        with pytest.raises(ValueError, match=rf"^{wanted}: "):
            inspect_jwt(data)


def test_base64_has_one_spelling() -> None:
    """``e30`` is ``{}``; ``e31`` spells the same bytes with a spare bit set, and mosaik's decoder refuses it."""
    assert base64.urlsafe_b64decode("e31=") == base64.urlsafe_b64decode("e30=") == b"{}"
    assert step(sealed(b64(HEADER), b"e30", encoded=True)) == "subject"
    assert step(sealed(b64(HEADER), b"e31", encoded=True)) == "claims"


@pytest.mark.parametrize(
    "claims",
    [
        '"aud":["org"]',
        '"iss":7',
        '"sub":["a"]',
        '"jti":{}',
        '"exp":-1',
        '"exp":-0',
        '"exp":1.5',
        '"exp":1800000060.0',
        '"exp":18e8',
        '"exp":"1800000060"',
        '"exp":true',
        '"exp":18446744073709551616',
        '"nbf":-5',
        '"iat":0.1',
        '"iat":[]',
        '"exp":1800000060,"exp":1800000060',
        '"exp":null,"exp":1800000060',
        f'"sub":"{PEER.hex()}"',
        '"x":NaN',
        '"x":Infinity',
        '"x":1e400',
        '"x":-1e400',
        f'"x":{"9" * 400}',
        f'"x":{"9" * 9000}',
        '"x":"\\ud800"',
        '"\\udfff":1',
        '"x":01',
        '"x":"a\nb"',
        '"x":1,',
    ],
)
def test_claims_that_serde_refuses(claims: str) -> None:
    data = ticket(f'{{"sub":"{PEER.hex()}",{claims}}}')
    assert step(data, replace(ANYTHING, audiences=("org",))) == "claims"
    with pytest.raises(ValueError, match=r"^claims: "):
        inspect_jwt(data)


@pytest.mark.parametrize(
    "claims",
    [
        '"x":1,"x":2',
        '"exp":null',
        '"x":1e308',
        f'"x":{"9" * 300}',
        '"x":"\\ud83d\\ude00"',
        '"x":-0',
        '"x":null',
        '"":1',
    ],
)
def test_claims_that_serde_takes(claims: str) -> None:
    assert step(ticket(f' {{"sub":"{PEER.hex()}",{claims}}}\n')) is None


def test_the_last_of_a_repeated_private_claim_counts() -> None:
    wants_two = replace(ANYTHING, claims={"x": 2})
    assert step(ticket(f'{{"sub":"{PEER.hex()}","x":1,"x":2}}'), wants_two) is None
    assert step(ticket(f'{{"sub":"{PEER.hex()}","x":2,"x":1}}'), wants_two) == "claim"


@pytest.mark.parametrize(
    ("required", "told", "meets"),
    [
        (5, "5", True),
        (5, "5.0", False),
        (5, '"5"', False),
        (0, "-0", False),
        (0, "false", False),
        (1, "true", False),
        (True, "true", True),
        (True, "1", False),
        (None, "null", True),
        ("a", '"\\u0061"', True),
        ("a", '["a"]', False),
        ("é", '"e\u0301"', False),
        (2**64 - 1, "18446744073709551615", True),
        (-(2**63), "-9223372036854775808", True),
        (2**63, "9223372036854775808.0", False),
    ],
)
def test_a_claim_is_equal_as_serde_compares(required: Any, told: str, meets: bool) -> None:
    data = ticket(f'{{"sub":"{PEER.hex()}","x":{told}}}')
    assert step(data, replace(ANYTHING, claims={"x": required})) == (None if meets else "claim")


def test_a_required_null_is_not_met_by_absence() -> None:
    assert step(ticket(), replace(ANYTHING, claims={"x": None})) == "claim"


def test_an_expiry_beyond_the_calendar_fails_last() -> None:
    last = 8_210_266_876_799
    assert step(ticket(exp=last)) is None
    assert step(ticket(exp=last + 1)) == "expiry-range"
    assert step(ticket(exp=2**64 - 1)) == "expiry-range"
    assert step(ticket(exp=2**64 - 1), replace(ANYTHING, claims={"x": 1})) == "claim"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_fails_at_serdes_limit_and_never_at_pythons(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    assert step(ticket(f'{{"sub":"{PEER.hex()}","x":{nested(126)}}}')) is None
    for depth in (127, 500, 900, 990, 5000):
        assert step(ticket(f'{{"sub":"{PEER.hex()}","x":{nested(depth)}}}')) == "claims"
        assert step(sealed(f'{{"alg":"HS256","x":{nested(depth)}}}'.encode(), b"{}")) == "header"
    assert step(ticket(f'{{"sub":"{PEER.hex()}","x":"{"[" * 500}\\"{"[" * 500}"}}')) is None
    assert step(ticket(f'{{"sub":"{PEER.hex()}","x":{"[" * 9000}')) == "claims"


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(data: bytes) -> None:
    assert step(data) in {"utf-8", "parts", "header", "algorithm"}
    with pytest.raises(ValueError, match=r"^(utf-8|parts|header|claims|signature): "):
        inspect_jwt(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["iss", "sub", "aud", "jti", "exp", "nbf", "iat", "x"])


@given(st.dictionaries(NAMES, JSON, max_size=8), st.dictionaries(st.sampled_from(["alg", "typ"]), JSON))
def test_random_claims_never_raise(claims: dict[str, Any], header: dict[str, Any]) -> None:
    for head in (HEADER, json.dumps(header).encode()):
        data = sealed(head, json.dumps(claims).encode())
        verdict = validate_jwt(data, FULL, PEER, NOW)
        assert verdict.valid is False or claims.get("iss") == "acme"


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_random_parts_under_a_good_signature_never_raise(header: bytes, claims: bytes) -> None:
    assert step(sealed(header, claims)) in {"header", "algorithm"}
    assert step(sealed(HEADER, claims)) in {"claims", "subject"}
