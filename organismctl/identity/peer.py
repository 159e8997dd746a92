"""Peer ids: ed25519 public keys, and signatures under them. ``cryptography`` loads on first use."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING

from organismctl.identity.digest import is_hex64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PEER_ID_SIZE = 32
SIGNATURE_SIZE = 64
_BASE32_LENGTH = 52


def parse_peer_id(text: str) -> bytes:
    """Read a peer id: 64 hex characters, or base32 without padding (52 characters), either case.

    Returns:
        32 bytes. Whether they are a point of the curve shows when a signature is checked.

    Raises:
        ValueError: Anything else.
    """
    if is_hex64(text):
        return bytes.fromhex(text)
    if len(text) == _BASE32_LENGTH and text.isascii():
        try:
            raw = base64.b32decode(text.upper() + "====")
        except binascii.Error as exc:
            raise ValueError("not a peer id: neither 64 hex characters nor base32") from exc
        # Four spare bits in the last character must be zero, or two texts would name one peer.
        if base64.b32encode(raw).decode().rstrip("=") == text.upper():
            return raw
    raise ValueError("not a peer id: neither 64 hex characters nor 52 of unpadded base32")


@lru_cache(maxsize=256)
def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=1024)
def _public(peer_id: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(peer_id)


def peer_id_from_seed(seed: bytes) -> bytes:
    """The peer id of a 32-byte ed25519 seed.

    Raises:
        ValueError: The seed is not 32 bytes.
    """
    return _private(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte ed25519 signature of a message.

    Raises:
        ValueError: The seed is not 32 bytes.
    """
    return _private(seed).sign(message)


def verify(peer_id: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a peer signed a message; a malformed id or signature is simply ``False``."""
    from cryptography.exceptions import InvalidSignature

    if len(peer_id) != PEER_ID_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        _public(peer_id).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
