"""The published vector of the fingerprint. ``python -m tests.identity.vector_doc`` writes it anew."""

import json
from pathlib import Path

from organismctl.files.organism import load_organism
from organismctl.identity.digest import uid
from organismctl.identity.fingerprint import explain, identity_of, preimage
from organismctl.identity.group_id import group_id_of, secret_hash

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
PATH = FORMATS / "fingerprint.json"
SECRET = "an-obviously-fake-group-secret"


def vector() -> dict[str, object]:
    config = load_organism(FORMATS / "organism.toml").config
    identity = identity_of(config)
    hashed = secret_hash(uid(SECRET))
    group = group_id_of(config, hashed, identity)
    assert identity.stable_id and identity.machine_signature and group
    return {
        "scheme": identity.scheme,
        "config": "organism.toml",
        "fields": [
            {"path": row.path, "value": row.text, "encoding": row.encoding.hex(), "digest": row.digest.hex()}
            for row in explain(config)
        ],
        "preimage": preimage(config).hex(),
        "fingerprint": identity.fingerprint.hex(),
        "stable_id": identity.stable_id.hex(),
        "machine_signature": identity.machine_signature.hex(),
        "surface_ids": {name: one.hex() for name, one in identity.surface_ids.items()},
        "group": {"secret": SECRET, "secret_hash": hashed.hex(), "group_id": group.hex()},
    }


def text() -> str:
    return json.dumps(vector(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
