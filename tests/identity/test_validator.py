"""Validators: the spellings that mosaik's signature cannot tell apart are refused."""

from dataclasses import replace

import pytest

from organismctl.identity.config import IdentityScheme
from organismctl.identity.digest import h, uid
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.group_id import group_id_of, group_secret, secret_hash, why_no_group_id
from organismctl.identity.sync import store_signature
from organismctl.identity.validator import (
    PLACEHOLDERS,
    JwtKey,
    JwtValidator,
    TdxCriteria,
    TdxValidator,
    key_fingerprint,
    validator_problems,
)
from tests.identity.configs import CONFIG, KEY

GOOD = JwtValidator(
    (JwtKey("EdDSA", KEY),), ("acme",), max_lifetime_s=60, claims={"role": "member", "n": None}
)
CANARY = b"canary-secret-obviously-fake-000"


def test_a_sound_validator_has_no_problems() -> None:
    assert validator_problems(GOOD) == []
    assert validator_problems(TdxValidator(TdxCriteria(b"\x07" * 48), max_age_s=60)) == []
    hs = JwtKey("HS256", fingerprint=key_fingerprint("HS256", CANARY))
    assert validator_problems(replace(GOOD, keys=(hs,))) == []
    assert replace(GOOD, keys=(hs,)).signature() == replace(GOOD, keys=(JwtKey("HS256", CANARY),)).signature()


@pytest.mark.parametrize(
    ("validator", "key"),
    [
        (replace(GOOD, keys=()), "keys"),
        (replace(GOOD, keys=(JwtKey("ES256K", KEY),)), "keys[0].alg"),
        (replace(GOOD, keys=(JwtKey("HS256", CANARY),)), "keys[0].key"),
        (replace(GOOD, keys=(JwtKey("EdDSA"),)), "keys[0]"),
        (replace(GOOD, keys=(JwtKey("EdDSA", KEY[:-1]),)), "keys[0].key"),
        (replace(GOOD, keys=(JwtKey("ES256", b"\x04" + KEY),)), "keys[0].key"),
        (replace(GOOD, keys=(JwtKey("EdDSA", KEY, h(b"x")),)), "keys[0].fingerprint"),
        (replace(GOOD, keys=(JwtKey("HS256", fingerprint=b"x"),)), "keys[0].fingerprint"),
        (replace(GOOD, issuers=("a,b",)), "issuers[0]"),
        (replace(GOOD, issuers=("",)), "issuers[0]"),
        (replace(GOOD, audiences=("a", "b,")), "audiences[1]"),
        (replace(GOOD, subject=""), "subject"),
        (replace(GOOD, max_lifetime_s=0), "max_lifetime"),
        (replace(GOOD, max_age_s=-1), "max_age"),
        (replace(GOOD, max_age_s=1.5), "max_age"),  # type: ignore[arg-type]
        (replace(GOOD, claims={"sub": "x"}), "claims.sub"),
        (replace(GOOD, claims={"n": 1.5}), "claims.n"),  # type: ignore[dict-item]
        (replace(GOOD, claims={"n": 2**64}), "claims.n"),
        (TdxValidator(TdxCriteria(b"\x07" * 47)), "mrtd"),
        (TdxValidator(variants=(TdxCriteria(rtmr3=PLACEHOLDERS["rtmr3"]),)), "variants[0].rtmr3"),
        (TdxValidator(not_before_s=0), "not_before"),
        (TdxValidator(max_age_s=0), "max_age"),
        (TdxValidator(max_lifetime_s=0), "max_lifetime"),
    ],
)
def test_an_ambiguous_spelling_is_named(validator: JwtValidator | TdxValidator, key: str) -> None:
    rows = validator_problems(validator)
    assert [row[0] for row in rows] == [key]
    assert CANARY.decode() not in str(rows) and CANARY.hex() not in str(rows)


def test_those_spellings_do_collide_in_mosaik() -> None:
    assert replace(GOOD, issuers=("a,b",)).signature() == replace(GOOD, issuers=("a", "b")).signature()
    assert replace(GOOD, issuers=("",)).signature() == replace(GOOD, issuers=()).signature()
    assert replace(GOOD, max_age_s=0).signature() == GOOD.signature()
    assert replace(GOOD, subject="").signature() == GOOD.signature()
    assert TdxValidator(TdxCriteria(mrtd=PLACEHOLDERS["mrtd"])).signature() == TdxValidator().signature()


def test_a_secret_never_shows() -> None:
    key = JwtKey("HS256", CANARY)
    for shown in (repr(key), str(key), repr(replace(GOOD, keys=(key,)))):
        assert "canary" not in shown and CANARY.hex() not in shown


def test_a_key_needs_bytes_or_fingerprint() -> None:
    with pytest.raises(ValueError, match="neither"):
        JwtKey("EdDSA").key_id()
    with pytest.raises(ValueError, match="ES256K"):
        key_fingerprint("ES256K", KEY)


def test_group_id_of_a_config() -> None:
    hashed = secret_hash(group_secret(" an obviously fake secret\n"))
    assert hashed == h(uid("an obviously fake secret"))
    one = group_id_of(CONFIG, hashed)
    assert one is not None and why_no_group_id(CONFIG, hashed) is None
    assert group_id_of(CONFIG, hashed, identity_of(CONFIG)) == one
    assert group_id_of(replace(CONFIG, content={"n": 2}), hashed) != one
    assert group_id_of(CONFIG, None) is None
    assert "secret" in (why_no_group_id(CONFIG, None) or "")
    declared = replace(CONFIG, identity=IdentityScheme("declared", h(b"f")))
    assert group_id_of(declared, hashed) is None
    assert "machine signature" in (why_no_group_id(declared, hashed) or "")
    asked = replace(CONFIG, identity=IdentityScheme("exec", command=("fake",)))
    assert group_id_of(asked, hashed) is None
    assert "binary" in (why_no_group_id(asked, hashed) or "")


def test_a_collection_has_a_known_kind_and_its_types() -> None:
    with pytest.raises(ValueError, match="not one of"):
        store_signature("queue", h(b"s"), "u64")
    with pytest.raises(ValueError, match="two types"):
        store_signature("map", h(b"s"), "u64")
