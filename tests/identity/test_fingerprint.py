"""The fingerprint: the published vector, injectivity, and what moves it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.files.organism import load_organism
from organismctl.identity.config import IdentityScheme, OrganismConfig, Surface
from organismctl.identity.digest import derive, h, uid
from organismctl.identity.fingerprint import (
    IdentityError,
    explain,
    field_digests,
    file_path,
    fingerprint,
    identity_of,
    preimage,
    stable_id,
)
from organismctl.identity.parameters import ParameterError, canonical_parameters
from organismctl.identity.postcard import Reader
from tests.identity import vector_doc
from tests.identity.configs import CONFIG, MEMBER, configs, validators, with_member


def told(value: Any) -> Any:
    """Any JSON-like value with its types, so that 1, True and "1" differ."""
    if isinstance(value, Mapping):
        return tuple(sorted((key, told(item)) for key, item in value.items()))
    return (
        tuple(told(item) for item in value)
        if isinstance(value, list | tuple)
        else (type(value).__name__, value)
    )


def normal(config: OrganismConfig) -> Any:
    """What the fingerprint stands for: everything but labels and order of sets; validators by signature."""
    members = {
        (m.stable_id, m.kind, m.clock, m.content_hash, frozenset((r.type, r.id) for r in m.surfaces))
        for m in config.span
    }
    surfaces = tuple((s.name, s.type, s.explicit_id) for s in config.surfaces)
    driver = (
        config.driver.fold,
        config.driver.apply_deadline_ms,
        config.driver.stall,
        config.driver.period_ms,
    )
    acl = tuple(one.signature() for one in config.acl)
    return config.name, config.network, frozenset(members), surfaces, told(config.content), driver, acl


def test_the_published_vector_is_what_the_code_gives() -> None:
    assert vector_doc.PATH.read_text(encoding="utf-8") == vector_doc.text(), (
        "write it anew: python -m tests.identity.vector_doc"
    )


def test_the_published_vector_holds_without_our_code() -> None:
    doc = json.loads(vector_doc.PATH.read_text(encoding="utf-8"))
    raw = bytes.fromhex(doc["preimage"])
    assert raw.startswith(b"organism|\x01|")
    assert b"".join(bytes.fromhex(row["encoding"]) for row in doc["fields"]) == raw
    assert h(raw).hex() == doc["fingerprint"]
    pin = bytes.fromhex(doc["fingerprint"])
    assert h(h(pin + b"surface") + b"facts").hex() == doc["surface_ids"]["facts"]
    assert h(h(b"organism.machine.v1") + pin).hex() == doc["machine_signature"]
    assert h(b"organism-id|\x01|" + b"\x0facme.settlement" + h(b"mosaik.universe")).hex() == doc["stable_id"]


def test_the_preimage_reads_back_by_the_published_types() -> None:
    config = load_organism(vector_doc.FORMATS / "organism.toml").config
    reader = Reader(preimage(config).removeprefix(b"organism|\x01|"))
    assert reader.text() == config.name
    members = reader.seq(
        lambda r: (
            r.text(), r.text(), r.fixed(32), r.option(lambda o: o.fixed(32)), r.seq(lambda s: (s.text(), s.fixed(32)))
        )
    )  # fmt: skip
    assert [one[2] for one in members] == sorted(one.stable_id for one in config.span)
    assert reader.fixed(32) == uid("mosaik.universe")
    assert reader.seq(lambda r: (r.text(), r.text(), r.option(lambda o: o.fixed(32)))) == [
        ("facts", "stream", None)
    ]
    assert json.loads(reader.bytes()) == {
        "content": {"quorum_of_offers": 2},
        "driver": {"apply_deadline": 2000, "fold": "join", "period": 1000, "stall": "wait"},
    }
    assert reader.seq(lambda r: r.fixed(32)) == [one.signature() for one in config.acl]
    reader.finish()


@settings(max_examples=200, deadline=None)
@given(configs, configs)
def test_two_configs_share_a_preimage_only_when_they_are_the_same(
    one: OrganismConfig, two: OrganismConfig
) -> None:
    assert (preimage(one) == preimage(two)) == (normal(one) == normal(two))


@settings(max_examples=150, deadline=None)
@given(configs, configs, st.data())
def test_near_configs_share_a_preimage_only_when_they_are_the_same(
    one: OrganismConfig, other: OrganismConfig, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["name", "network", "span", "driver", "content", "surfaces", "acl"]))
    two = replace(one, **{name: getattr(other, name)})
    assert (preimage(one) == preimage(two)) == (normal(one) == normal(two))


@settings(max_examples=200, deadline=None)
@given(validators, validators)
def test_validators_share_a_signature_only_when_they_are_the_same(one: Any, two: Any) -> None:
    def policy(validator: Any) -> Any:
        claims = told(dict(validator.claims)) if validator.type == "jwt" else ()
        return replace(validator, **({"claims": {}} if validator.type == "jwt" else {})), claims

    assert (one.signature() == two.signature()) == (policy(one) == policy(two))


@settings(max_examples=100, deadline=None)
@given(configs)
def test_explain_is_the_whole_preimage_in_order(config: OrganismConfig) -> None:
    rows = explain(config)
    assert b"".join(row.encoding for row in rows) == preimage(config)
    assert fingerprint(config) == h(preimage(config))
    assert len({row.path for row in rows}) == len(rows)


@settings(max_examples=100, deadline=None)
@given(configs)
def test_order_of_sets_and_labels_move_nothing(config: OrganismConfig) -> None:
    span = tuple(replace(m, name="x", surfaces=m.surfaces[::-1]) for m in config.span[::-1])
    turned = replace(config, span=span)
    assert preimage(turned) == preimage(config)
    assert field_digests(turned) == field_digests(config)


def test_paths_of_the_lock_lead_back_to_the_file() -> None:
    up = MEMBER.stable_id.hex()
    # "map" sorts before "stream", so rank 0 is the second in the file.
    assert file_path(f"span[{up}].surface[0].id", CONFIG) == "span[0].surface[1].id"
    assert file_path(f"span[{up}].surface[7].id", CONFIG) == "span[0].surface[7].id"
    assert file_path(f"span[{up}].kind", CONFIG) == "span[0].kind"
    assert file_path(f"span[{up}].surface", CONFIG) == "span[0].surface"
    assert file_path(f"span[{'0' * 64}].kind", CONFIG) == f"span[{'0' * 64}].kind"
    assert file_path("driver.stall", CONFIG) == "driver.stall"


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        (replace(CONFIG, name="acme.other"), {"name"}),
        (replace(CONFIG, content={"n": 2}), {"content.n"}),
        (replace(CONFIG, driver=replace(CONFIG.driver, stall="partial")), {"driver.stall"}),
        (with_member(clock="tick"), {f"span[{MEMBER.stable_id.hex()}].clock"}),
        (with_member(content_hash=h(b"x")), {f"span[{MEMBER.stable_id.hex()}].content_hash"}),
        (replace(CONFIG, group=replace(CONFIG.group, heartbeat_ms=250)), {"group.heartbeat_ms"}),
    ],
)
def test_a_field_digest_moves_with_its_field_alone(changed: OrganismConfig, moved: set[str]) -> None:
    before, after = field_digests(CONFIG), field_digests(changed)
    assert {path for path in before if before[path] != after.get(path)} == moved


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"a": 1.5}, "content.a"),
        ({"a": None}, "content.a"),
        ({"a": [1, 2**53]}, "content.a[1]"),
        ({"a": {"b": -(2**53)}}, "content.a.b"),
        ({"a": "e\u0301"}, "content.a"),
        ({"a": "\ud800"}, "content.a"),
        ({"e\u0301": 1}, "content.e\u0301"),
    ],
)
def test_a_parameter_without_one_spelling_is_refused_by_path(content: Any, path: str) -> None:
    with pytest.raises(ParameterError) as caught:
        canonical_parameters(replace(CONFIG, content=content))
    assert caught.value.path == path


def test_ids_follow_from_the_fingerprint() -> None:
    config = replace(CONFIG, surfaces=(Surface("facts", "stream"), Surface("latest", "map", h(b"given"))))
    identity = identity_of(config)
    assert identity.scheme == "organismctl/1"
    assert identity.fingerprint == fingerprint(config)
    assert identity.machine_signature == derive(uid(config.group.machine), identity.fingerprint)
    assert identity.surface_ids == {
        "facts": derive(identity.fingerprint, "surface", "facts"),
        "latest": h(b"given"),
    }
    assert identity.stable_id == stable_id(replace(config, content={"n": 9}))


def test_a_declared_identity_is_taken_as_given() -> None:
    scheme = IdentityScheme("declared", h(b"f"), h(b"s"), None, {"facts": h(b"i")})
    identity = identity_of(replace(CONFIG, identity=scheme))
    assert (identity.fingerprint, identity.stable_id) == (h(b"f"), h(b"s"))
    assert identity.machine_signature is None
    with pytest.raises(IdentityError, match=r"identity\.fingerprint is missing"):
        identity_of(replace(CONFIG, identity=IdentityScheme("declared")))


def test_a_binary_is_believed_only_in_form() -> None:
    config = replace(CONFIG, identity=IdentityScheme("exec", command=("fake",)))
    pin = h(b"f").hex()
    identity = identity_of(config, exec_result={"fingerprint": pin, "surface_ids": {"facts": pin}})
    assert (identity.fingerprint, identity.stable_id) == (h(b"f"), None)
    bad: list[Mapping[str, object] | None] = [
        None, {}, {"fingerprint": "ab"}, {"fingerprint": 7}, {"fingerprint": pin, "extra": 1},
        {"fingerprint": pin, "surface_ids": []}, {"fingerprint": pin, "surface_ids": {"a": "x"}},
    ]  # fmt: skip
    for answer in bad:
        with pytest.raises(IdentityError):
            identity_of(config, exec_result=answer)
