"""Keys, validators and crafted tickets that the tests of JWT share; every secret is an obvious fake."""

import base64
import json
from typing import Any

from organismctl.identity.digest import h, uid
from organismctl.identity.jws import sign
from organismctl.identity.jwt import validate_jwt
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.validator import JwtKey, JwtValidator

NOW = 1_800_000_000
PEER = peer_id_from_seed(uid("stable-node-seed"))
HS = h(b"an obviously fake shared secret")
SECRETS = {
    "HS256": HS,
    "HS384": HS + HS[:16],
    "HS512": HS + HS,
    "ES256": HS,
    "ES384": b"\x01" + HS + bytes(15),
    "ES512": b"\x00" + HS + HS + b"\x07",
    "EdDSA": HS,
}
HEADER = b'{"alg":"HS256","typ":"JWT"}'
ANYTHING = JwtValidator((JwtKey("HS256", HS),), allow_non_expiring=True)


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sealed(header: bytes, claims: bytes, *, encoded: bool = False, alg: str = "HS256") -> bytes:
    """A ticket whose signature holds, whatever stands in its parts."""
    signed = header + b"." + claims if encoded else b64(header) + b"." + b64(claims)
    return signed + b"." + b64(sign(alg, SECRETS[alg], signed))


def ticket(text: str | None = None, **claims: Any) -> bytes:
    return sealed(HEADER, (text or json.dumps({"sub": PEER.hex()} | claims)).encode())


def step(data: bytes, validator: JwtValidator = ANYTHING, now: int = NOW) -> str | None:
    verdict = validate_jwt(data, validator, PEER, now)
    assert verdict.valid is (verdict.failing_step is None)
    assert bool(verdict.detail) is (verdict.failing_step is not None)
    return verdict.failing_step


FULL = JwtValidator((JwtKey("HS256", HS),), ("acme",), ("org",), None, False, 3600, 600, {"role": "node"})
