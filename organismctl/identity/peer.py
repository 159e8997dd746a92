"""Peer ids: ed25519 public keys (iroh's EndpointId), and what their holders sign.

Source: iroh-base 0.97 ``key.rs`` (64 hex or unpadded base32 as text), domain fact sheet A.2 (a seed is the 32
bytes of a digest).
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SIZE = 64


def parse_peer_id(text: str) -> bytes:
    """A peer id's 32 bytes.

    Args:
        text: 64 hex characters, or 52 characters of unpadded base32, either case.

    Raises:
        ValueError: It is neither.
    """
    try:
        if len(text) == 64:
            return bytes.fromhex(text)
        if len(text) == 52:
            return base64.b32decode(text.upper() + "====")
    except (ValueError, binascii.Error):
        pass
    raise ValueError("64 hex characters, or 52 of base32")


@lru_cache(maxsize=64)
def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=1024)
def _public(peer_id: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(peer_id)


def peer_id_from_seed(seed: bytes) -> bytes:
    """The peer id whose secret key is this 32-byte seed."""
    return _private(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """An ed25519 signature, 64 bytes."""
    return _private(seed).sign(message)


def verify(peer_id: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the peer signed the message; ``False`` for anything malformed."""
    from cryptography.exceptions import InvalidSignature

    if len(peer_id) != 32 or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        _public(peer_id).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
