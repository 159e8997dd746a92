"""Normalised configs for tests: one fixed, and a strategy for any."""

import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from organismctl.identity.config import (
    CLOCKS,
    FOLDS,
    KINDS,
    STALLS,
    SURFACE_TYPES,
    Driver,
    OrganismConfig,
    ReadSurface,
    SpannedMember,
    Surface,
)
from organismctl.identity.digest import h, uid
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.validator import JwtKey, JwtValidator, TdxCriteria, TdxValidator

KEY = peer_id_from_seed(h(b"an obviously fake admission key"))
MEMBER = SpannedMember(
    "up",
    "lattice",
    h(b"up"),
    None,
    "slot",
    (ReadSurface("b", "stream", h(b"b")), ReadSurface("a", "map", h(b"a"))),
)
CONFIG = OrganismConfig(
    name="acme.test",
    network=uid("mosaik.universe"),
    span=(
        MEMBER,
        SpannedMember(
            "other", "organism", h(b"other"), h(b"pin"), "tick", (ReadSurface("f", "vec", h(b"f")),)
        ),
    ),
    driver=Driver("join", 2000, "wait", 1000),
    content={"n": 1},
    surfaces=(Surface("facts", "stream"),),
    acl=(JwtValidator((JwtKey("EdDSA", KEY),), ("acme",), max_lifetime_s=3600),),
    network_text="mosaik.universe",
)


def with_member(index: int = 0, **fields: Any) -> OrganismConfig:
    span = list(CONFIG.span)
    span[index] = replace(span[index], **fields)
    return replace(CONFIG, span=tuple(span))


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=6).map(
    lambda t: unicodedata.normalize("NFC", t)
)
names = st.text("ab,\x00é", min_size=1, max_size=4)
ids = st.sampled_from([h(bytes([n])) for n in range(3)]) | st.binary(min_size=32, max_size=32)
ints = st.integers(-(2**53) + 1, 2**53 - 1)
content = st.recursive(
    st.booleans() | ints | text,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(text, below, max_size=3),
    max_leaves=6,
)
reads = st.lists(
    st.builds(ReadSurface, text, st.sampled_from(SURFACE_TYPES), ids),
    max_size=3,
    unique_by=lambda r: (r.type, r.id),
).map(tuple)
members = st.builds(
    SpannedMember, text, st.sampled_from(KINDS), ids, st.none() | ids, st.sampled_from(CLOCKS), reads
)
seconds = st.none() | st.integers(1, 2**40)
plain = st.text("abc", min_size=1, max_size=2)
jwt = st.builds(
    JwtValidator,
    st.lists(
        st.builds(JwtKey, st.sampled_from(["EdDSA", "ES256"]), st.just(KEY)), min_size=1, max_size=2
    ).map(tuple),
    st.lists(plain, max_size=2).map(tuple),
    st.lists(plain, max_size=2).map(tuple),
    st.none() | plain,
    st.booleans(),
    seconds,
    seconds,
    st.dictionaries(plain, st.none() | st.booleans() | st.integers(-9, 9) | plain, max_size=2),
)
register = st.none() | st.sampled_from([b"\x11" * 48, b"\x12" * 48])
criteria = st.builds(TdxCriteria, register, register, register, register, register)
tdx = st.builds(TdxValidator, criteria, st.lists(criteria, max_size=2).map(tuple), seconds, seconds, seconds)
validators = jwt | tdx
configs = st.builds(
    OrganismConfig,
    name=names,
    network=ids,
    span=st.lists(members, max_size=3, unique_by=lambda m: m.stable_id).map(tuple),
    driver=st.builds(
        Driver, st.sampled_from(FOLDS), st.integers(0, 9), st.sampled_from(STALLS), st.integers(0, 9)
    ),
    content=st.dictionaries(text, content, max_size=3),
    surfaces=st.lists(
        st.builds(Surface, names, st.sampled_from(SURFACE_TYPES), st.none() | ids), min_size=1, max_size=2
    ).map(tuple),
    acl=st.lists(validators, min_size=1, max_size=2).map(tuple),
)
