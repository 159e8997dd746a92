"""Papers of a committee across hosts: certificates of a test authority, tickets of a test issuer; all obvious fakes."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from organismctl.identity.digest import uid
from organismctl.identity.jws import public_key, sign

ISSUER = "acme-admission"
ISSUER_SEED = uid("an obviously fake admission issuer")
ISSUER_KEY = public_key("EdDSA", ISSUER_SEED)
DAY_S = 86_400


@dataclass(frozen=True)
class Tls:
    """One certificate for every host of a net, which is its own authority."""

    certificate: Path
    key: Path


def certificate(folder: Path, addresses: Iterable[str]) -> Tls:
    """A certificate that is good for those addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme test across hosts")])
    now = datetime.now(UTC)
    names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "hosts.pem", folder / "hosts.key")
    tls.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.touch(0o600)
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return tls


def admission(peer_id: bytes, lasts_s: float = 10 * DAY_S) -> bytes:
    """A ticket for our own committee, as its [[acl]] asks for; it expires ``lasts_s`` from now."""
    now = time.time()
    claims = {"iss": ISSUER, "sub": peer_id.hex(), "iat": int(now), "exp": int(now + lasts_s)}
    signed = _part({"alg": "EdDSA", "typ": "JWT"}) + b"." + _part(claims)
    return signed + b"." + _b64(sign("EdDSA", ISSUER_SEED, signed))


def _part(value: Mapping[str, object]) -> bytes:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
