"""A small issuer of tickets, for rehearsal and tests: a key in a file, and bundles that answer requests."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.errors import InputError
from organismctl.files.secret import create_secret, read_secret
from organismctl.files.ticket_papers import Issued, TicketBundle, load_request, write_bundle
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.validator import JWT_CLASS

if TYPE_CHECKING:
    from pathlib import Path

SCALAR = {"EdDSA": 32, "ES256": 32, "ES384": 48, "ES512": 66}
"""Bytes of a private key by algorithm."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a bundle holds: how many tickets, for whom, until when (Unix seconds)."""

    count: int
    span: str
    until_s: int


def make_key(path: Path, alg: str, issuer: str | None) -> str:
    """Make an issuer's key.

    Args:
        path: Where the private key goes, mode 0600; never replaced.
        alg: One of :data:`SCALAR`.
        issuer: ``iss`` for the stanza, or ``None``.

    Returns:
        The ``[[span.issuer]]`` stanza that whoever is admitted puts into organism.toml.

    Raises:
        InputError: The algorithm is unknown.
        OrganismError: The file is there already, or cannot be written.
    """
    if alg not in SCALAR:
        raise InputError(f"no algorithm {alg[:20]!r}", advice=f"allowed: {', '.join(SCALAR)}")
    # Thirty-one random bytes are below the order of every curve here, and not zero in any life of this universe.
    secret = secrets.token_bytes(31 if alg != "EdDSA" else 32).rjust(SCALAR[alg], b"\0")
    create_secret(path, json.dumps({"alg": alg, "secret": secret.hex()}))
    names = f'issuers = ["{issuer}"]\n' if issuer else ""
    return (
        f'[[span.issuer]]\nstate = "current"\ntype = "jwt"\n{names}'
        f'keys = [{{ alg = "{alg}", key = "{public_key(alg, secret).hex()}" }}]\n'
    )


def answer(key: Path, request: Path, output: Path, *, issuer: str | None, lifetime_s: int | None) -> Answered:
    """Answer a request with a bundle.

    Args:
        key: The issuer's key file.
        request: The request's file.
        output: Where the bundle goes, mode 0600.
        issuer: ``iss``; ``None`` takes the first that the request accepts.
        lifetime_s: Instead of the wanted lifetime, seconds.

    Raises:
        OrganismError: A file cannot be read or used.
    """
    alg, secret = _read_key(key)
    asked = load_request(request)
    now = int(time.time())
    until = now + (lifetime_s or asked.lifetime_s)
    named = issuer or next(iter(asked.issuers), None)
    tickets = tuple(
        Issued(
            holder.peer_id,
            JWT_CLASS,
            issue_jwt(
                alg, secret, holder.peer_id, issued_at_s=now, expires_at_s=until,
                issuer=named, audience=next(iter(asked.audiences), None),
            ),
        )
        for holder in asked.holders
    )  # fmt: skip
    write_bundle(output, TicketBundle(asked.stable_id, tickets))
    return Answered(len(tickets), asked.span, until)


def _read_key(path: Path) -> tuple[str, bytes]:
    try:
        value = json.loads(read_secret(path).reveal())
        alg, secret = value["alg"], bytes.fromhex(value["secret"])
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} is no issuer's key", advice="`tickets issue --new-key --key FILE` makes one"
        ) from None
    if alg not in SCALAR:
        raise InputError(f"{path} is a key of an unknown algorithm", advice=f"known: {', '.join(SCALAR)}")
    if len(secret) != SCALAR[alg] or not any(secret):
        raise InputError(f"{path} is no {alg} key: it has another length", advice="make a new one")
    return alg, secret
