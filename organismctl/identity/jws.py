"""The seven signature algorithms of JWT tickets; ``cryptography`` loads on first use of a public-key one.

Signatures stand as RFC 7518 and RFC 8037 say: the MAC, r ‖ s in fixed width, or the ed25519 signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from organismctl.identity.validator import SECRET_ALGS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_COORDINATE = {"ES256": 32, "ES384": 48, "ES512": 66}


def public_key(alg: str, secret: bytes) -> bytes:
    """The verifying key of a private key, in the raw form that organism.toml holds."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if alg in SECRET_ALGS:
        return secret
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    private = ec.derive_private_key(int.from_bytes(secret, "big"), _curve(alg))
    return private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )


@lru_cache(maxsize=1024)
def verifier(alg: str, key: bytes) -> Callable[[bytes, bytes], bool]:
    """A verifying function of (what is signed, raw signature); a key that is none verifies nothing.

    Building the key costs as much as a verification, so it is kept.
    """
    if alg in SECRET_ALGS:
        return lambda signed, mark: hmac.compare_digest(hmac.digest(key, signed, _HASHES[alg]().name), mark)
    return _public_verifier(alg, key)


def _public_verifier(alg: str, key: bytes) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        if alg == "EdDSA":
            edwards = ed25519.Ed25519PublicKey.from_public_bytes(key)
        else:
            weierstrass = ec.EllipticCurvePublicKey.from_encoded_point(_curve(alg), key)
            algorithm = ec.ECDSA(_digest(alg))
            size = _COORDINATE[alg]
    except ValueError:
        return lambda _signed, _mark: False

    def verify(signed: bytes, mark: bytes) -> bool:
        try:
            if alg == "EdDSA":
                edwards.verify(mark, signed)
                return True
            if len(mark) != 2 * size:
                return False
            r, s = int.from_bytes(mark[:size], "big"), int.from_bytes(mark[size:], "big")
            weierstrass.verify(encode_dss_signature(r, s), signed, algorithm)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify


def sign(alg: str, secret: bytes, signed: bytes) -> bytes:
    """The raw signature of a private key: MAC, r ‖ s of fixed width, or ed25519 signature.

    Args:
        alg: One of the seven names.
        secret: HS* secret, big-endian ES* scalar, or ed25519 seed.
        signed: What is signed.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if alg in SECRET_ALGS:
        return hmac.digest(secret, signed, _HASHES[alg]().name)
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret).sign(signed)
    private = ec.derive_private_key(int.from_bytes(secret, "big"), _curve(alg))
    r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(_digest(alg))))
    size = _COORDINATE[alg]
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _curve(alg: str) -> EllipticCurve:
    from cryptography.hazmat.primitives.asymmetric import ec

    if alg == "ES256":
        return ec.SECP256R1()
    return ec.SECP384R1() if alg == "ES384" else ec.SECP521R1()


def _digest(alg: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    if alg == "ES256":
        return hashes.SHA256()
    return hashes.SHA384() if alg == "ES384" else hashes.SHA512()
