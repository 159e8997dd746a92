"""How two nodes prove to each other who they are before frames pass: two requests, then a session.

``T = H(domain ‖ fingerprint ‖ caller ‖ callee ‖ caller's nonce ‖ callee's nonce)``. The callee proves itself
first (signature of its peer key and keyed hash of the peer token over ``T``), then the caller does, and both
know the session's name ``keyed(token, T ‖ "session")``. The token itself never travels, so a stranger that
listens on a node's port learns nothing, and a node of another organism (other fingerprint) proves nothing.

Wire, all raw bytes: hello = caller 32 ‖ callee 32 ‖ nonce 32; its answer = nonce 32 ‖ signature 64 ‖ mac 32;
proof = caller 32 ‖ callee's nonce 32 ‖ signature 64 ‖ mac 32 ‖ the caller's own URL (ASCII).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from blake3 import blake3

from organismctl.identity.digest import h
from organismctl.identity.peer import sign, verify

DOMAIN = b"organismctl/loopback-session/1"
HELLO = 96
ANSWER = 128
PROOF = 160
MAX_URL = 512


class SessionError(Exception):
    """The other side did not prove itself; the text says what is wrong, without anything secret."""


@dataclass(frozen=True, slots=True)
class Party:
    """This node, as it proves itself.

    Attributes:
        peer_id: Its peer id.
        seed: Its ed25519 seed.
        token: The committee's peer token, 32 bytes.
        fingerprint: The organism's fingerprint.
        url: Its own node API, which a peer that does not know it yet may use.
    """

    peer_id: bytes
    seed: bytes
    token: bytes
    fingerprint: bytes
    url: str

    def __repr__(self) -> str:
        return f"Party({self.peer_id.hex()[:10]})"

    def transcript(self, caller: bytes, callee: bytes, theirs: bytes, ours: bytes) -> bytes:
        """``T``, see the module; nonces in the order caller, callee."""
        return h(DOMAIN + self.fingerprint + caller + callee + theirs + ours)

    def prove(self, transcript: bytes, side: bytes) -> bytes:
        """Signature and keyed hash over a transcript, 96 bytes."""
        return sign(self.seed, h(transcript + side)) + _keyed(self.token, transcript + side)

    def check(self, peer: bytes, transcript: bytes, side: bytes, proof: bytes) -> None:
        """Check another party's proof.

        Raises:
            SessionError: It does not hold.
        """
        if not hmac.compare_digest(proof[64:], _keyed(self.token, transcript + side)):
            raise SessionError("it has another group secret, or is of another organism")
        if not verify(peer, h(transcript + side), proof[:64]):
            raise SessionError("it does not hold the key of that peer id")

    def session(self, transcript: bytes) -> str:
        """The session's name, 64 hex."""
        return _keyed(self.token, transcript + b"session").hex()


def _keyed(token: bytes, data: bytes) -> bytes:
    return blake3(data, key=token).digest()
