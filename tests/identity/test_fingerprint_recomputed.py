"""The published fingerprint, recomputed from the TOML by an encoder of its own: nothing of ours is imported.

It follows docs/formats/fingerprint.md alone, so that page, vector and code cannot drift apart together.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
DOC = json.loads((FORMATS / "fingerprint.json").read_text(encoding="utf-8"))
CONFIG = tomllib.loads((FORMATS / "organism.toml").read_text(encoding="utf-8"))
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def h(data: bytes) -> bytes:
    return blake3(data).digest()


def derive(start: bytes, *parts: str | bytes) -> bytes:
    for part in parts:
        start = h(start + (part.encode() if isinstance(part, str) else part))
    return start


def uid(text: str) -> bytes:
    return (
        bytes.fromhex(text)
        if len(text) == 64 and not text.strip("0123456789abcdefABCDEF")
        else h(text.encode())
    )


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw


def option(value: str | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + bytes.fromhex(value)


def seq(items: list[bytes]) -> bytes:
    return varint(len(items)) + b"".join(items)


def ms(duration: str) -> int:
    number = duration.rstrip("dhms")
    return int(number) * UNITS[duration[len(number) :]]


def jwt_signature(table: dict[str, Any]) -> bytes:
    """Enough of mosaik's formula for the example's acl: EdDSA keys, no claims, no subject."""
    assert set(table) == {"type", "issuers", "keys", "max_lifetime"}
    mark = uid("mosaik.tickets.jwt.v1")
    for key in table["keys"]:
        assert key["alg"] == "EdDSA"
        mark = derive(mark, "EdDSA", derive(uid("EdDsa"), bytes.fromhex(key["key"])))
    lifetime = (ms(table["max_lifetime"]) // 1000).to_bytes(8, "little")
    return derive(mark, b"\x00", ",".join(table["issuers"]), "", "", lifetime, bytes(8))


def member(span: dict[str, Any]) -> bytes:
    reads = sorted((one["type"], uid(one["id"])) for one in span.get("surface", []))
    return (
        text(span["kind"]) + text(span["clock"]) + bytes.fromhex(span["stable_id"]) + option(span.get("content_hash"))
        + seq([text(kind) + one for kind, one in reads])
    )  # fmt: skip


def preimage(config: dict[str, Any]) -> bytes:
    driver = config["driver"]
    parameters = {
        "content": config["content"],
        "driver": {
            "fold": driver["fold"], "stall": driver["stall"],
            "apply_deadline": ms(driver["apply_deadline"]), "period": ms(driver["period"]),
        },
    }  # fmt: skip
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    surfaces = [text(one["name"]) + text(one["type"]) + option(one.get("id")) for one in config["surface"]]
    return (
        b"organism|\x01|" + text(config["name"])
        + seq([member(one) for one in sorted(config["span"], key=lambda span: str(span["stable_id"]))])
        + uid(config["network"]) + seq(surfaces) + text(canonical)
        + seq([jwt_signature(one) for one in config["acl"]])
    )  # fmt: skip


PIN = h(preimage(CONFIG))


def test_the_preimage_from_the_toml_is_the_published_one() -> None:
    assert preimage(CONFIG).hex() == DOC["preimage"]
    assert preimage(CONFIG).hex() == "".join(row["encoding"] for row in DOC["fields"])
    assert PIN.hex() == DOC["fingerprint"]


def test_every_field_has_its_digest() -> None:
    for row in DOC["fields"]:
        assert h(bytes.fromhex(row["encoding"])).hex() == row["digest"], row["path"]


def test_the_ids_that_follow_are_the_published_ones() -> None:
    name_and_network = text(CONFIG["name"]) + uid(CONFIG["network"])
    assert h(b"organism-id|\x01|" + name_and_network).hex() == DOC["stable_id"]
    machine = derive(uid(CONFIG["group"]["machine"]), PIN)
    assert machine.hex() == DOC["machine_signature"]
    assert DOC["surface_ids"] == {
        one["name"]: derive(PIN, "surface", one["name"]).hex() for one in CONFIG["surface"]
    }


def test_the_group_id_is_the_published_one() -> None:
    group, told = CONFIG["group"], DOC["group"]
    consensus = h(
        ms(group["heartbeat"]).to_bytes(16, "little")
        + ms(group["heartbeat_jitter"]).to_bytes(16, "little")
        + group["max_missed_heartbeats"].to_bytes(16, "little")
    )
    sync = derive(
        h(b"mosaik_log_replay_sync"),
        group["machine_type"],
        group["sync"]["batch"].to_bytes(8, "little"),
        (ms(group["sync"]["fetch_timeout"]) // 1000).to_bytes(8, "little"),
    )
    hashed = h(uid(told["secret"]))
    assert hashed.hex() == told["secret_hash"]
    machine = derive(uid(group["machine"]), PIN)
    acl = [jwt_signature(one) for one in CONFIG["acl"]]
    assert derive(hashed, consensus, machine, sync, *acl).hex() == told["group_id"]


@pytest.mark.parametrize("path", ["name", "network"])
def test_this_test_can_fail(path: str) -> None:
    assert preimage(CONFIG | {path: "another"}).hex() != DOC["preimage"]
