"""Whatever mosaik itself makes of an input, identity/ computes too."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.group_id import group_id, secret_hash
from organismctl.identity.jwt import validate_jwt
from organismctl.identity.map_group import map_group_id
from organismctl.identity.sync import LogReplaySync
from organismctl.identity.validator import (
    KEY_SIZES,
    JwtKey,
    JwtValidator,
    TdxCriteria,
    TdxValidator,
    key_fingerprint,
)
from tests.identity.test_vectors import NAMES, VECTORS, computed

SEED = 20_261_124
COUNT = 60
# A fingerprint is seen in mosaik only within a signature.
ALONE = {
    "HS384 only": JwtKey("HS384", bytes(range(48))),
    "HS512 only": JwtKey("HS512", bytes(range(64))),
    "ES256 only": JwtKey("ES256", NAMES["es"]),
    "EdDSA only": JwtKey("EdDSA", NAMES["pk"]),
}


@pytest.fixture(scope="module")
def printed(engine: Any) -> dict[str, Any]:
    return json.loads(engine.vectors(SEED, COUNT))


def validator(given: dict[str, Any]) -> JwtValidator | TdxValidator:
    if given["type"] == "jwt":
        return JwtValidator(
            tuple(JwtKey(alg, bytes.fromhex(key)) for alg, key in given["keys"]),
            tuple(given["issuers"]),
            tuple(given["audiences"]),
            given["subject"],
            given["allow_non_expiring"],
            given["max_lifetime_s"],
            given["max_age_s"],
            given["claims"],
        )
    return TdxValidator(
        criteria(given["baseline"]),
        tuple(criteria(variant) for variant in given["variants"]),
        given["max_age_s"],
        given["not_before_s"],
        given["max_lifetime_s"],
    )


def criteria(given: dict[str, str | None]) -> TdxCriteria:
    return TdxCriteria(
        **{name: None if value is None else bytes.fromhex(value) for name, value in given.items()}
    )


def test_the_release_is_the_pinned_one(engine: Any, printed: dict[str, Any]) -> None:
    assert printed["mosaik"] == engine.MOSAIK_VERSION == "0.3.18"
    assert printed["types"] == {
        "machine": "organismctl_engine::Machine",
        "item": "organismctl_engine::SurfaceItem",
    }


def test_the_fixed_vectors_are_those_of_the_page(printed: dict[str, Any]) -> None:
    known = {(vector["section"], vector["name"]): vector for vector in VECTORS}
    seen = 0
    for vector in printed["vectors"]:
        key = (vector["section"], vector["name"])
        if vector["name"] in ALONE:
            expected = JwtValidator((ALONE[vector["name"]],)).signature()
        else:
            expected = computed(known[key])
            assert known[key]["value"] == vector["value"], key
            seen += 1
        assert expected.hex() == vector["value"], key
    assert seen >= 40
    marked = {key for key, vector in known.items() if vector["rust"]}
    assert marked <= {(vector["section"], vector["name"]) for vector in printed["vectors"]}


def test_random_validators_have_mosaiks_signatures(printed: dict[str, Any]) -> None:
    algorithms, kinds = set(), set()
    for vector in printed["random"]:
        for given in vector.get("validators", []):
            assert validator(given).signature().hex() == given["signature"], given
            kinds.add(given["type"])
            algorithms |= {alg for alg, _ in given.get("keys", [])}
    assert kinds == {"jwt", "tdx"}
    assert algorithms == set(KEY_SIZES)


def test_random_groups_have_mosaiks_ids(printed: dict[str, Any]) -> None:
    groups = [vector for vector in printed["random"] if vector["kind"] == "group"]
    assert len(groups) == COUNT
    for given in groups:
        expected = group_id(
            secret_hash(bytes.fromhex(given["secret"])),
            consensus_digest(
                given["heartbeat_ms"], given["heartbeat_jitter_ms"], given["max_missed_heartbeats"]
            ),
            bytes.fromhex(given["machine"]),
            LogReplaySync(given["machine_type"], given["batch"], given["fetch_timeout_s"]).signature(),
            [validator(one).signature() for one in given["validators"]],
        )
        assert expected.hex() == given["value"], given


def test_random_maps_have_mosaiks_ids(printed: dict[str, Any]) -> None:
    maps = [vector for vector in printed["random"] if vector["kind"] == "map"]
    assert len(maps) == COUNT
    for given in maps:
        signatures = [validator(one).signature() for one in given["validators"]]
        expected = map_group_id(
            bytes.fromhex(given["store_id"]), given["key_type"], given["value_type"], signatures
        )
        assert expected.hex() == given["value"], given


def test_mosaiks_own_tickets_get_mosaiks_verdict(printed: dict[str, Any]) -> None:
    tickets = [vector for vector in printed["random"] if vector["kind"] == "ticket"]
    for given in tickets:
        policy = validator(given["validator"])
        assert isinstance(policy, JwtValidator)
        peer = bytes.fromhex(given["peer_id"])
        verdict = validate_jwt(given["ticket"].encode(), policy, peer, int(time.time()))
        assert verdict.valid is given["value"], (given, verdict)
    assert {given["value"] for given in tickets} == {True, False}


def test_the_binding_signs_as_the_crate_does(engine: Any, printed: dict[str, Any]) -> None:
    for vector in printed["random"]:
        for given in vector.get("validators", []):
            assert bound(engine, given).signature.hex() == given["signature"], given


def bound(engine: Any, given: dict[str, Any]) -> Any:
    if given["type"] == "jwt":
        return engine.Validator.jwt(
            [(alg, bytes.fromhex(key)) for alg, key in given["keys"]],
            claims=json.dumps(given["claims"]),
            **{
                name: given[name]
                for name in (
                    "issuers",
                    "audiences",
                    "subject",
                    "max_lifetime_s",
                    "max_age_s",
                    "allow_non_expiring",
                )
            },
        )
    return engine.Validator.tdx(
        **registers(given["baseline"]),
        variants=[registers(variant) for variant in given["variants"]],
        max_age_s=given["max_age_s"],
        not_before_unix_s=given["not_before_s"],
        max_lifetime_s=given["max_lifetime_s"],
    )


def registers(given: dict[str, str | None]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in given.items() if value is not None}


def test_a_key_is_only_its_fingerprint(engine: Any) -> None:
    given = JwtKey("HS256", fingerprint=key_fingerprint("HS256", bytes(32)))
    assert engine.Validator.jwt([("HS256", bytes(32))]).signature == JwtValidator((given,)).signature()
