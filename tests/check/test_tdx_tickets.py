"""TDX tickets in the matrix: a quote signed by a key of the test, so measurements match and nothing is attested."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from organismctl.check.finding import Finding, Status
from organismctl.identity.digest import uid
from organismctl.identity.tdx import encode_tdx, extra_signature
from organismctl.observe.snapshot import Fact
from organismctl.observe.ticket_files import ticket_value
from tests.check.worlds import DAY_S, ISSUER_KEY, NOW_MS, NOW_S, PEERS, deployment, organism, pick, run

MRTD = bytes([0x91]) * 48
NETWORK = uid("mosaik.universe")
OLD = f'type = "jwt"\nissuers = ["beta"]\nkeys = [{{ alg = "EdDSA", key = "{ISSUER_KEY}" }}]\n\n[driver]'
PAIR = "node-a × beta"


def quote(report: bytes, mrtd: bytes) -> bytes:
    """A version 4 quote with that MRTD and report data."""
    body = bytearray(584)
    body[136:184] = mrtd
    body[520:552] = report
    signed = b"\4\0\2\0\x81\0\0\0" + bytes(40) + bytes(body)
    key = ec.derive_private_key(7, ec.SECP256R1())
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    public = key.public_key().public_numbers()
    numbers = b"".join(one.to_bytes(32, "big") for one in (r, s, public.x, public.y))
    return signed + (128).to_bytes(4, "little") + numbers


def judged(
    expires_s: int | None, *, mrtd: bytes = MRTD, extra: str = "", holder: str = "node-a"
) -> list[Finding]:
    """The rows of one node whose ticket is a TDX one."""
    peer = bytes.fromhex(PEERS[holder])
    report = extra_signature(peer, NETWORK, NOW_S - 60, NOW_S - 30, expires_s)
    data = encode_tdx(quote(report, mrtd), peer, NETWORK, NOW_S - 60, NOW_S - 30, expires_s)
    value = {"node": "node-a", "span": "beta", "file": "t", **ticket_value(data)}
    assert base64.urlsafe_b64decode(str(value["data"]) + "==") == data
    loaded = organism((OLD, f'type = "tdx"\nmrtd = "{MRTD.hex()}"\n{extra}\n[driver]'))
    fact = Fact("ticket.file", PAIR, value, "file t", seen_ms=NOW_MS)
    return run("tickets", [fact], loaded=loaded, deployed=deployment(("node-a",), url=False))


def test_measurements_match_and_nothing_is_called_attested() -> None:
    row = pick(judged(NOW_S + 30 * DAY_S), "TICKET-HORIZON")
    assert row.status is Status.OK
    assert row.summary.startswith("measurements match; 30 d left")
    assert "attested" not in row.summary


def test_max_age_counts_from_the_quote() -> None:
    row = pick(judged(NOW_S + 30 * DAY_S, extra='max_age = "1d"\n'), "TICKET-HORIZON")
    assert row.values["horizon_ms"] == (NOW_S - 30 + DAY_S) * 1000
    assert row.status is Status.BAD


def test_other_measurements_and_another_holder_fail_at_their_step() -> None:
    assert pick(judged(None, mrtd=bytes(48)), "TICKET-INVALID").values["failing_step"] == "baseline"
    assert pick(judged(None, holder="node-b"), "TICKET-INVALID").values["failing_step"] == "peer"


def test_a_self_issued_ticket_never_expires_and_is_flagged() -> None:
    assert pick(judged(None), "TICKET-NEVER-EXPIRES").status is Status.WARN


def test_an_expired_one_is_past() -> None:
    assert "ago" in pick(judged(NOW_S - 5), "TICKET-HORIZON").summary
