"""The published surface items: as the code writes them, and believed by a stranger who has the page alone."""

import json
from typing import Any

import pytest
from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.identity import surface_doc

DOC = json.loads(surface_doc.PATH.read_text(encoding="utf-8"))
PIN, SURFACE = bytes.fromhex(DOC["fingerprint"]), bytes.fromhex(DOC["surface"]["id"])


def h(data: bytes) -> bytes:
    return blake3(data).digest()


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)


def text(value: str) -> bytes:
    return varint(len(value.encode())) + value.encode()


def signers(message: bytes, tail: bytes, members: list[bytes]) -> set[bytes]:
    """Reads ``Vec<([u8; 32], [u8; 64])>`` and gives the members whose signature holds."""
    count, pairs = tail[0], tail[1:]
    assert len(pairs) == count * 96
    found = set()
    for at in range(0, len(pairs), 96):
        peer, mark = pairs[at : at + 32], pairs[at + 32 : at + 96]
        try:
            Ed25519PublicKey.from_public_bytes(peer).verify(mark, message)
        except InvalidSignature:
            continue
        found.add(peer)
    return found & set(members)


def roster_digest(members: list[bytes]) -> bytes:
    return h(b"organismctl/roster/1" + varint(len(members)) + b"".join(sorted(members)))


def rosters() -> list[list[bytes]]:
    members = [bytes.fromhex(one) for one in DOC["genesis"]["members"]]
    assert roster_digest(members).hex() == DOC["genesis"]["digest"]
    found = [members]
    for link in DOC["links"]:
        assert link["version"] == len(found) + 1
        peer = bytes.fromhex(link["peer_id"])
        body = varint(link["version"]) + varint(link["height"]) + bytes([link["add"]]) + peer
        message = h(b"organismctl/roster-link/1" + PIN + roster_digest(found[-1]) + body)
        assert message.hex() == link["message"]
        raw = bytes.fromhex(link["encoding"])
        assert raw.startswith(body)
        assert len(signers(message, raw[len(body) :], found[-1])) >= len(found[-1]) // 2 + 1
        found.append([*found[-1], peer])
    return found


def body_of(item: dict[str, Any]) -> bytes:
    if "fact" in item:
        raw = bytes.fromhex(item["fact"])
        return b"\x00" + varint(len(raw)) + raw
    replacement = b"\x00" if item["replacement"] is None else b"\x01" + text(item["replacement"])
    return b"\x01" + text(item["effective_at"]) + replacement + text(item["reason"])


@pytest.mark.parametrize("item", DOC["items"], ids=lambda item: f"seq-{item['seq']}")
def test_a_stranger_believes_each_published_item(item: dict[str, Any]) -> None:
    body = body_of(item)
    assert body.hex() == item["item"]
    places = item["seq"].to_bytes(8, "little") + item["height"].to_bytes(8, "little")
    message = h(b"organismctl/surface-item/1" + PIN + SURFACE + places + body)
    assert message.hex() == item["message"]
    head = varint(item["seq"]) + varint(item["height"]) + body + varint(item["roster_version"])
    raw = bytes.fromhex(item["encoding"])
    assert raw.startswith(head)
    roster = rosters()[item["roster_version"] - 1]
    signed = signers(message, raw[len(head) :], roster)
    assert signed == {bytes.fromhex(one) for one in item["signers"]}
    assert len(signed) >= len(roster) // 2 + 1
    assert not signers(h(message), raw[len(head) :], roster)


def test_the_published_fact_is_laid_out_as_the_page_says() -> None:
    raw = bytes.fromhex(DOC["items"][0]["fact"])
    head = varint(1) + varint(0) + varint(300) + varint(1_795_514_400_000) + varint(2)
    pointer = 32 + 32 + len(varint(300) + varint(17)) + 32
    assert raw.startswith(head)
    assert len(raw) == len(head) + 2 * pointer + 1
    assert raw[-1] == 0
    assert raw[len(head) : len(head) + 32] < raw[len(head) + pointer : len(head) + pointer + 32]


def test_the_published_vector_is_what_the_code_gives() -> None:
    assert surface_doc.PATH.read_text(encoding="utf-8") == surface_doc.text(), (
        "write it anew: python -m tests.identity.surface_doc"
    )
