"""Every entry of vectors.json; those with ``"rust": true`` were printed by mosaik itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from organismctl.identity import books
from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import derive, from_parts, from_uint, h, hashed, uid
from organismctl.identity.group_id import group_id as fold_group_id
from organismctl.identity.jwt import issue_jwt
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.sync import LogReplaySync, SnapshotSync, store_signature
from organismctl.identity.tdx import extra_signature
from organismctl.identity.validator import (
    JWT_CLASS,
    TDX_CLASS,
    JwtKey,
    JwtValidator,
    TdxCriteria,
    TdxValidator,
    key_fingerprint,
)

DOC = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
VECTORS = DOC["vectors"]
GIVEN = DOC["constants"]
NOOP = "mosaik::groups::machine::noop::NoOp"
ORG = "orgnode::machine::OpaqueMachine"


def jwt_sig(
    keys: list[JwtKey],
    non_expiring: bool = False,
    issuers: list[str] | None = None,
    audiences: list[str] | None = None,
    subject: str | None = None,
    lifetime: int | None = None,
    age: int | None = None,
    claims: dict[str, Any] | None = None,
) -> bytes:
    return JwtValidator(
        tuple(keys),
        tuple(issuers or ()),
        tuple(audiences or ()),
        subject,
        non_expiring,
        lifetime,
        age,
        claims or {},
    ).signature()


def group_id(secret: bytes, consensus: bytes, machine: bytes, sync: bytes, validators: Any = ()) -> bytes:
    return fold_group_id(h(secret), consensus, machine, sync, validators)


def names() -> dict[str, Any]:
    jsec, pk = h(b"mosaik.test.jwt.secret"), peer_id_from_seed(uid("stable-node-seed"))
    es, mrtd = bytes.fromhex(GIVEN["es"]), bytes.fromhex(GIVEN["m (mrtd)"])
    k1, k2, k3 = JwtKey("HS256", jsec), JwtKey("ES256", es), JwtKey("EdDSA", pk)
    j1 = jwt_sig([k1], issuers=["mosaik.test.jwt.issuer"])
    criteria = {
        "c0": TdxCriteria(),
        "c1": TdxCriteria(mrtd),
        "c2": TdxCriteria(mrtd, None, bytes.fromhex(GIVEN["r1 (rtmr1)"]), bytes.fromhex(GIVEN["r2 (rtmr2)"])),
    }
    by_signature = {one.signature(): one for one in criteria.values()}

    def tdx_sig(
        base: bytes,
        variants: Any = (),
        age: int | None = None,
        before: int | None = None,
        life: int | None = None,
    ) -> bytes:
        chosen = tuple(by_signature[one] for one in variants)
        return TdxValidator(by_signature[base], chosen, age, before, life).signature()

    def log_replay_sig(name: str, batch: int = 2000, timeout: int = 25) -> bytes:
        return LogReplaySync(name, batch, timeout).signature()

    sec, nsig, store = uid("secret1"), uid("mosaik_noop_state_machine"), uid("leaderboard")
    g0 = group_id(sec, consensus_digest(), nsig, log_replay_sig(NOOP))
    coalition, lattice = books.coalition_id("example"), books.lattice_id("acme.ethereum.mainnet", 1)
    instance = books.zipnet_instance("acme.mainnet")
    ticket = issue_jwt(
        "HS256", jsec, pk, issued_at_s=1700000000, expires_at_s=4102444800, issuer="mosaik.test.jwt.issuer"
    )
    return {
        "uid": uid, "derive": derive, "hashed": hashed, "from_parts": from_parts, "from_uint": from_uint, "H": h,
        "HEX": "0123456789abcdef" * 4, "D": uid("mosaik.universe"), "pk": pk, "sec": sec, "jsec": jsec, "es": es,
        "consensus_digest": consensus_digest, "log_replay_sig": log_replay_sig, "NOOP": NOOP, "nsig": nsig,
        "group_id": group_id, "g0": g0, "J1": j1, "g1": derive(g0, j1), "osig": uid("orgnode.machine.v1"), "O": ORG,
        "JWT_CLASS": JWT_CLASS, "TDX_CLASS": TDX_CLASS, "jwt_fp": key_fingerprint, "jwt_sig": jwt_sig, "k1": k1,
        "k2": k2, "k3": k3, "tdx_sig": tdx_sig, "tdx_extra_sig": extra_signature, "sid": store,
        "ms": store_signature("map", store, "alloc::string::String", "u64"),
        "ss": SnapshotSync("mosaik::collections::map::MapStateMachine<alloc::string::String, u64>").signature(),
        "tk": derive(JWT_CLASS, "abc.def.ghi"), "t": ticket, "I": instance, "L": lattice, "C": coalition,
        "L8": h(b"builder|acme.ethereum.mainnet|chain=" + (1).to_bytes(8, "little")),
        "R": books.coalition_root(coalition, [lattice]), "range": range, "bytes": bytes,
        **{name: one.signature() for name, one in criteria.items()},
    }  # fmt: skip


NAMES = names()


def computed(vector: dict[str, Any]) -> bytes:
    name, inputs = vector["name"], vector.get("inputs")
    if vector["section"] == "books":
        if name.startswith("ORGANISM"):
            return books.book_organism_id("example-organism", [NAMES["L"], NAMES["I"]], b"", b"")
        if name in books.ZIPNET_PARTS:
            return derive(NAMES["I"], name)
        if name in books.LATTICE_PARTS:
            return derive(NAMES["L"], name)
        if name in books.MODULES:
            return books.module_id(NAMES["R"], name)
        if name == "tickets":
            return books.tickets_root(NAMES["R"])
        if name == "member_id":
            return books.member_id(NAMES["L"])
    result = eval(inputs, {"__builtins__": {"True": True, "False": False}}, NAMES)
    assert isinstance(result, bytes)
    return result


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['section']}-{v['name']}" for v in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    assert computed(vector).hex() == vector["value"]


def test_the_constants_of_the_page_are_ours() -> None:
    assert len(VECTORS) == 86
    assert sum(vector["rust"] for vector in VECTORS) >= 20
    assert NAMES["es"].hex() == GIVEN["es"]
