"""``check tickets`` of 100 nodes × 20 spanned members against the bare signature checks of the same tickets.

Both sides are whole processes over the same 2,000 files: ``organismctl check tickets`` on the one, a process that
reads the files and verifies each signature with ``cryptography`` and nothing else on the other.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, once, organismctl
from organismctl.identity.digest import h
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.peer import peer_id_from_seed

NODES, SPANS, RUNS = 100, 20, 5
LIMIT, MEMORY_LIMIT = 4.0, 150.0
_BARE = """
import base64, pathlib, sys
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
folder = pathlib.Path(sys.argv[1])
keys = [EllipticCurvePublicKey.from_encoded_point(SECP256R1(), bytes.fromhex(one))
        for one in (folder / "keys").read_text().split()]
algorithm = ECDSA(SHA256())
for span, key in enumerate(keys):
    for file in (folder / "tickets" / f"span-{span}").iterdir():
        signed, _, mark = file.read_bytes().rpartition(b".")
        raw = base64.urlsafe_b64decode(mark + b"=" * (-len(mark) % 4))
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key.verify(encode_dss_signature(r, s), signed, algorithm)
"""


def build(folder: Path) -> None:
    """The files: organism.toml, deployment.toml, 2,000 tickets, and the issuers' keys for the bare side."""
    now = int(time.time())
    secrets = [h(f"issuer {span}".encode()) for span in range(SPANS)]
    keys = [public_key("ES256", secret).hex() for secret in secrets]
    peers = [peer_id_from_seed(h(f"node {node}".encode())) for node in range(NODES)]
    organism = ["schema = 1", 'name = "bench.organism"', 'network = "mosaik.universe"']
    deployment = ["schema = 1"]
    for node, peer in enumerate(peers):
        deployment += ["[[node]]", f'name = "node-{node}"', f'peer_id = "{peer.hex()}"']
    for span, key in enumerate(keys):
        organism += [
            "[[span]]", f'name = "span-{span}"', 'kind = "organism"', f'stable_id = "{h(key.encode()).hex()}"',
            'clock = "tick"', "[[span.surface]]", 'name = "facts"', 'type = "stream"', f'id = "bench.{span}"',
            "[[span.issuer]]", 'state = "current"', 'type = "jwt"', f'issuers = ["issuer-{span}"]',
            f'keys = [{{ alg = "ES256", key = "{key}" }}]',
        ]  # fmt: skip
        deployment += ["[[span]]", f'name = "span-{span}"']
        place = folder / "tickets" / f"span-{span}"
        place.mkdir(parents=True)
        for node, peer in enumerate(peers):
            name = place / f"node-{node}.ticket"
            name.write_bytes(
                issue_jwt("ES256", secrets[span], peer, issued_at_s=now, expires_at_s=now + 30 * 86400,
                          issuer=f"issuer-{span}")
            )  # fmt: skip
            deployment += ["[[span.ticket]]", f'node = "node-{node}"', f'file = "{name.relative_to(folder)}"']
    organism += [
        "[driver]", 'fold = "join"', 'period = "1s"', 'apply_deadline = "2s"', 'stall = "wait"', "[content]",
        "[[surface]]", 'name = "facts"', 'type = "stream"', "[[acl]]", 'type = "jwt"', 'issuers = ["bench"]',
        f'keys = [{{ alg = "ES256", key = "{keys[0]}" }}]',
    ]  # fmt: skip
    (folder / "organism.toml").write_text("\n".join(organism) + "\n")
    (folder / "deployment.toml").write_text("\n".join(deployment) + "\n")
    (folder / "keys").write_text("\n".join(keys))


def rows() -> list[Row]:
    """The ratio of the medians, and the peak memory in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        ours, bare = [], []
        for _ in range(RUNS):  # side by side, so that a busy moment of the machine meets both
            bare.append(once([sys.executable, "-c", _BARE, name]))
            ours.append(once([organismctl(), "check", "tickets", "--organism", name, "--format", "json"]))
    for run in (*bare, *ours):
        if run.code != 0:
            raise RuntimeError(f"a run ended with {run.code}, so its time says nothing")
    took, floor = (sorted(run.seconds for run in runs)[RUNS // 2] for runs in (ours, bare))
    peak = max(run.peak for run in ours) / 1e6
    detail = f"{took * 1000:.0f} ms, bare {floor * 1000:.0f} ms"
    return [
        Row(
            f"check tickets, {NODES} nodes × {SPANS} spanned members / bare signatures",
            took / floor,
            LIMIT,
            detail,
        ),
        Row("check tickets, peak memory in MB", peak, MEMORY_LIMIT, f"{peak:.0f} MB"),
    ]


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.2f} (limit {row.limit}): {row.detail}")
