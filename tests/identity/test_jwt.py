"""JWT tickets: mosaik's order of steps, each reached by a ticket that was crafted for it."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from organismctl.identity.digest import h
from organismctl.identity.jws import sign
from organismctl.identity.jwt import inspect_jwt, issue_jwt, public_key, validate_jwt
from organismctl.identity.validator import KEY_SIZES, SECRET_ALGS, JwtKey, JwtValidator
from tests.identity.jwts import ANYTHING, FULL, HEADER, HS, NOW, PEER, SECRETS, b64, sealed, step, ticket


@pytest.mark.parametrize("alg", KEY_SIZES)
def test_what_is_issued_validates(alg: str) -> None:
    key = public_key(alg, SECRETS[alg])
    assert len(key) == KEY_SIZES[alg]
    validator = JwtValidator(
        (JwtKey(alg, key),),
        ("acme", "beta"),
        ("org",),
        None,
        False,
        3600,
        600,
        {"role": "node", "n": 5, "ok": True},
    )
    data = issue_jwt(
        alg, SECRETS[alg], PEER, issued_at_s=NOW - 10, expires_at_s=NOW + 60, issuer="beta", audience="org",
        not_before_s=NOW, token_id="t-1", claims={"role": "node", "n": 5, "ok": True},
    )  # fmt: skip
    verdict = validate_jwt(data, validator, PEER, NOW)
    assert verdict.valid is True, verdict
    assert (verdict.expires_at_s, verdict.issued_at_s, verdict.not_before_s) == (NOW + 60, NOW - 10, NOW)
    assert (verdict.horizon_s, verdict.never_expires, verdict.issuer) == (NOW + 60, False, "beta")
    told = inspect_jwt(data)
    assert told.alg == alg
    assert told.registered["jti"] == "t-1"
    assert told.private == {"role": "node", "n": 5, "ok": True}
    assert SECRETS[alg].hex() not in repr(told)


@pytest.mark.parametrize("alg", KEY_SIZES)
def test_a_changed_bit_of_any_part_is_noticed(alg: str) -> None:
    validator = JwtValidator((JwtKey(alg, public_key(alg, SECRETS[alg])),), allow_non_expiring=True)
    data = issue_jwt(alg, SECRETS[alg], PEER, issued_at_s=NOW, expires_at_s=None)
    header, claims, mark = data.split(b".")
    raw = bytearray(base64.urlsafe_b64decode(mark + b"=="))
    raw[5] ^= 1
    assert step(header + b"." + claims + b"." + b64(bytes(raw)), validator) == "signature"
    assert step(header + b"." + claims + b"." + b64(bytes(raw[:-1])), validator) == "signature"
    assert step(header + b"." + claims + b".", validator) == "signature"
    other = issue_jwt(alg, SECRETS[alg], PEER, issued_at_s=NOW + 1, expires_at_s=None).split(b".")[1]
    assert step(header + b"." + other + b"." + mark, validator) == "signature"
    wrong = SECRETS[alg][:-1] + bytes([SECRETS[alg][-1] ^ 1])
    assert step(issue_jwt(alg, wrong, PEER, issued_at_s=NOW, expires_at_s=None), validator) == "signature"


@pytest.mark.parametrize("alg", KEY_SIZES)
def test_the_bytes_of_header_and_claims_are_mosaiks(alg: str) -> None:
    data = issue_jwt(
        alg, SECRETS[alg], PEER, issued_at_s=7, expires_at_s=9, issuer="ä", claims={"z": 1, "a": "b"}
    )
    header, claims, mark = data.split(b".")
    assert base64.urlsafe_b64decode(header + b"==") == f'{{"alg":"{alg}","typ":"JWT"}}'.encode()
    told = base64.urlsafe_b64decode(claims + b"==").decode()
    assert told == f'{{"iss":"ä","sub":"{PEER.hex()}","exp":9,"iat":7,"z":1,"a":"b"}}'
    assert b"=" not in data
    sizes = {"HS256": 32, "HS384": 48, "HS512": 64, "ES256": 64, "ES384": 96, "ES512": 132, "EdDSA": 64}
    assert len(base64.urlsafe_b64decode(mark + b"==")) == sizes[alg]


def test_any_key_of_the_ticket_s_algorithm_will_do() -> None:
    old, new = JwtKey("HS256", h(b"old")), JwtKey("HS256", HS)
    es = JwtKey("ES256", public_key("ES256", HS))
    assert step(ticket(), replace(ANYTHING, keys=(old, es, new))) is None
    assert step(ticket(), replace(ANYTHING, keys=(old, es))) == "signature"
    assert step(ticket(), replace(ANYTHING, keys=(es,))) == "algorithm"
    assert step(ticket(), replace(ANYTHING, keys=())) == "algorithm"


def test_a_public_key_is_no_shared_secret() -> None:
    """The old trick of signing HS256 with the bytes of a public key."""
    key = public_key("ES256", HS)
    signed = b64(HEADER) + b"." + b64(json.dumps({"sub": PEER.hex()}).encode())
    forged = signed + b"." + b64(sign("HS256", key, signed))
    assert step(forged, replace(ANYTHING, keys=(JwtKey("ES256", key),))) == "algorithm"
    none = b64(b'{"alg":"none"}') + signed[signed.index(b".") :] + b"."
    assert step(none) == "algorithm"


@pytest.mark.parametrize("key", [b"\x02" + b"\xff" * 32, b"\x05" + bytes(32), b"", bytes(33)])
def test_a_key_that_is_no_point_verifies_nothing(key: bytes) -> None:
    data = issue_jwt("ES256", HS, PEER, issued_at_s=NOW, expires_at_s=None)
    assert step(data, replace(ANYTHING, keys=(JwtKey("ES256", key),))) == "signature"
    data = issue_jwt("EdDSA", HS, PEER, issued_at_s=NOW, expires_at_s=None)
    assert step(data, replace(ANYTHING, keys=(JwtKey("EdDSA", key),))) == "signature"


GOOD: dict[str, Any] = {
    "iss": "acme", "sub": PEER.hex(), "aud": "org", "exp": NOW + 60, "nbf": NOW, "iat": NOW - 5, "role": "node",
}  # fmt: skip
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("issuer", {"iss": "mallory"}),
    ("subject", {"sub": h(b"another peer").hex()}),
    ("not-before", {"nbf": NOW + 1}),
    ("expiry-missing", {"exp": None}),
    ("expired", {"exp": NOW}),
    ("max-lifetime", {"exp": NOW + 3601}),
    ("issued-at-missing", {"iat": None}),
    ("max-age", {"iat": NOW - 601}),
    ("audience", {"aud": "others"}),
    ("claim", {"role": "guest"}),
]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_each_step_on_claims(name: str, fault: dict[str, Any]) -> None:
    assert step(ticket(**GOOD), FULL) is None
    assert step(ticket(**(GOOD | fault)), FULL) == name


def test_the_first_failing_step_in_mosaiks_order_is_told() -> None:
    """All faults at once, then mended one by one: the steps come in the order of mosaik's own code."""
    everything = GOOD.copy()
    # One key can be wrong in one way at a time, so each fault is laid over those that come after it.
    for name, fault in reversed(FAULTS):
        everything |= fault
        assert step(ticket(**everything), FULL) == name


def test_the_limits_are_inclusive_where_mosaiks_are() -> None:
    assert step(ticket(**(GOOD | {"exp": NOW + 1})), FULL) is None
    assert step(ticket(**(GOOD | {"exp": NOW + 3600})), FULL) is None
    assert step(ticket(**(GOOD | {"iat": NOW - 600})), FULL) is None
    assert step(ticket(**(GOOD | {"nbf": NOW})), FULL) is None


def test_a_missing_claim_fails_where_a_wrong_one_does() -> None:
    for name, wanted in (("iss", "issuer"), ("sub", "subject"), ("aud", "audience"), ("role", "claim")):
        left = {key: value for key, value in GOOD.items() if key != name}
        assert step(sealed(HEADER, json.dumps(left).encode()), FULL) == wanted
        if name != "role":
            assert step(ticket(**(GOOD | {name: None})), FULL) == wanted


def test_a_required_subject_replaces_the_peer() -> None:
    named = replace(ANYTHING, subject="fleet")
    assert step(ticket(sub="fleet"), named) is None
    assert step(ticket(), named) == "subject"
    assert step(ticket(sub=PEER.hex().upper())) == "subject"


def test_issued_in_the_future_counts_as_age_zero() -> None:
    assert step(ticket(iat=NOW + 10_000), replace(ANYTHING, max_age_s=1)) is None


def test_without_expiry_the_lifetime_is_not_limited() -> None:
    verdict = validate_jwt(ticket(), replace(ANYTHING, max_lifetime_s=1), PEER, NOW)
    assert verdict.valid is True
    assert verdict.never_expires
    assert verdict.horizon_s is None


@pytest.mark.parametrize(
    ("exp", "iat", "age", "horizon"),
    [
        (NOW + 500, NOW - 10, None, NOW + 500),
        (NOW + 500, NOW - 10, 100, NOW + 90),
        (NOW + 50, NOW - 10, 100, NOW + 50),
        (None, NOW - 10, 100, NOW + 90),
        (None, NOW - 10, None, None),
    ],
)
def test_the_horizon_is_the_earlier_of_expiry_and_age(
    exp: int | None, iat: int, age: int | None, horizon: int | None
) -> None:
    verdict = validate_jwt(ticket(exp=exp, iat=iat), replace(ANYTHING, max_age_s=age), PEER, NOW)
    assert verdict.valid is True
    assert verdict.horizon_s == horizon


def test_a_refused_ticket_still_tells_its_times() -> None:
    verdict = validate_jwt(ticket(exp=NOW - 3, iat=NOW - 9), ANYTHING, PEER, NOW)
    assert (verdict.failing_step, verdict.expires_at_s, verdict.issued_at_s) == ("expired", NOW - 3, NOW - 9)
    assert verdict.detail == "expired 3 s ago"
    forged = validate_jwt(ticket(exp=NOW + 3) + b"A", ANYTHING, PEER, NOW)
    assert (forged.failing_step, forged.expires_at_s) == ("signature", NOW + 3)


@pytest.mark.parametrize("alg", SECRET_ALGS)
def test_a_shared_secret_known_by_its_fingerprint_alone_says_unknown(alg: str) -> None:
    print_only = JwtKey(alg, fingerprint=JwtKey(alg, SECRETS[alg]).key_id())
    data = issue_jwt(alg, SECRETS[alg], PEER, issued_at_s=NOW, expires_at_s=NOW + 9, issuer="acme")
    verdict = validate_jwt(data, JwtValidator((print_only,)), PEER, NOW)
    assert verdict.valid is None
    assert verdict.failing_step is None
    assert "cannot be checked" in verdict.detail
    assert verdict.horizon_s == NOW + 9
    # What can be refused without the key is refused.
    late = validate_jwt(data, JwtValidator((print_only,)), PEER, NOW + 9)
    assert (late.valid, late.failing_step) == (False, "expired")
    # Another key of the name that verifies settles it.
    both = JwtValidator((print_only, JwtKey(alg, SECRETS[alg])))
    assert validate_jwt(data, both, PEER, NOW).valid is True


def test_no_detail_and_no_repr_holds_a_secret_or_the_ticket() -> None:
    data = ticket(iss="\x1b[31m" + "x" * 500)
    verdict = validate_jwt(data, FULL, PEER, NOW)
    assert verdict.failing_step == "issuer"
    assert "\x1b" not in verdict.detail
    assert len(verdict.detail) < 200
    assert data.decode()[:40] not in repr(verdict)
    assert HS.hex() not in repr(FULL)
