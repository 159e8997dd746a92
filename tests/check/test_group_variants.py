from __future__ import annotations

from dataclasses import replace

import pytest

from organismctl.check.group_variants import Known, explain, variants
from organismctl.files.organism import parse_organism
from organismctl.identity.config import OrganismConfig
from organismctl.identity.digest import h
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.group_id import group_id_of, group_secret, secret_hash, secret_readings
from organismctl.identity.validator import JwtValidator
from tests.check.worlds import NEXT_KEY, ORGANISM, STABLE

HEX_SECRET = h(b"a test secret").hex()
SECRET_HASH = secret_hash(group_secret(HEX_SECRET))
ISSUER_KEY = ORGANISM.partition('keys = [{ alg = "EdDSA", key = "')[2][:64]
SECOND = f"""
[[acl]]
type = "jwt"
issuers = ["acme-second"]
keys = [{{ alg = "EdDSA", key = "{NEXT_KEY}" }}]
"""
TUNED = ORGANISM.replace(
    '[group]\nheartbeat = "500ms"', SECOND + '[group]\nheartbeat = "250ms"\nheartbeat_jitter = "50ms"'
)
CONFIG = parse_organism(TUNED).config
FIRST = CONFIG.acl[0]
assert isinstance(FIRST, JwtValidator)


def known(config: OrganismConfig = CONFIG, **more: object) -> Known:
    return Known(config, identity_of(config), SECRET_HASH, secret_readings(HEX_SECRET), **more)  # type: ignore[arg-type]


def runs(config: OrganismConfig, hashed: bytes = SECRET_HASH) -> bytes:
    """The group that a committee of that config joins."""
    return group_id_of(config, hashed, identity_of(config)) or b""


def tuned(**changes: object) -> OrganismConfig:
    return replace(CONFIG, group=replace(CONFIG.group, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "key", "word"),
    [
        (tuned(heartbeat_ms=500), "group.heartbeat", "heartbeat is 500ms (mosaik's default)"),
        (
            tuned(heartbeat_ms=500, heartbeat_jitter_ms=150),
            "group.heartbeat, group.heartbeat_jitter",
            "150ms",
        ),
        (replace(CONFIG, acl=CONFIG.acl[::-1]), "acl", "the validators stand in reverse order"),
        (replace(CONFIG, acl=CONFIG.acl[:1]), "acl", "acl[1] is missing"),
        (
            tuned(machine_type="organismctl_engine::machine::Machine"),
            "group.machine_type",
            "machine::Machine",
        ),
        (
            replace(CONFIG, acl=(replace(FIRST, issuers=()), CONFIG.acl[1])),
            "acl",
            "issuers is missing",
        ),
    ],
)
def test_a_common_mistake_is_named(other: OrganismConfig, key: str, word: str) -> None:
    found = explain(known(), [runs(other), h(b"a map")])
    assert found is not None
    assert found.key == key
    assert word in found.what
    assert found.group_id == runs(other)


def test_a_secret_read_as_text_and_one_with_a_line_end() -> None:
    as_text = explain(known(), [runs(CONFIG, h(h(HEX_SECRET.encode())))])
    assert as_text is not None
    assert as_text.key == "secret"
    assert "as text, not as hex" in as_text.what
    line_end = explain(known(), [runs(CONFIG, h(h(f"{HEX_SECRET}\n".encode())))])
    assert line_end is not None
    assert "line end" in line_end.what
    assert HEX_SECRET not in as_text.what


def test_two_mistakes_in_different_parts() -> None:
    other = replace(tuned(heartbeat_ms=500), acl=CONFIG.acl[::-1])
    found = explain(known(), [runs(other)])
    assert found is not None
    assert "heartbeat is 500ms" in found.what
    assert "reverse order" in found.what


def test_an_old_key_and_a_next_root() -> None:
    one = parse_organism(ORGANISM).config
    key = 'issuers = ["acme-admission"]\nkeys = [{ alg = "EdDSA", key = "'
    old = parse_organism(ORGANISM.replace(key + ISSUER_KEY, key + NEXT_KEY)).config
    spanning_next = parse_organism(
        ORGANISM.replace(
            "\n[driver]",
            '[[span.issuer]]\nstate = "next"\ntype = "jwt"\nissuers = ["beta"]\n'
            f'keys = [{{ alg = "EdDSA", key = "{NEXT_KEY}" }}]\n\n[driver]',
        )
    ).config
    assert (
        identity_of(one).fingerprint == identity_of(spanning_next).fingerprint
    )  # issuers are not part of it
    found = explain(known(spanning_next), [runs(old)])
    assert found is not None
    assert "acl[0].keys" in found.what
    assert "stands for key 0" in found.what


def test_an_accepted_identity_of_the_lock_comes_first() -> None:
    old = replace(CONFIG, content={"quorum_of_offers": 9})
    pin = identity_of(old).fingerprint
    whole = explain(known(accepted={"organism.lock's deployed stanza": (pin, runs(old))}), [runs(old)])
    assert whole is not None
    assert whole.what == "it runs the identity of organism.lock's deployed stanza"
    by_pin = explain(known(accepted={"the lock": (pin, None)}), [runs(old)])
    assert by_pin is not None
    assert by_pin.what == "it runs the config of the lock"


def test_nothing_explains_a_strange_id_and_the_right_one_is_no_variant() -> None:
    assert explain(known(), [h(b"strange"), bytes.fromhex(STABLE)]) is None
    made = list(variants(known()))
    assert runs(CONFIG) not in {one.group_id for one in made}
    assert len(made) < 5000
