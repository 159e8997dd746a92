"""The papers of a ticket renewal: the request that goes to an issuer, and the bundle that comes back.

Both are JSON with a schema number. A request holds nothing secret. A bundle holds tickets, so its file is 0600.
Examples: ``docs/formats/ticket-request.json`` and ``docs/formats/ticket-bundle.json``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError, Problem
from organismctl.files.atomic import read_bounded, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
MAX_PAPER = 4 << 20
"""Longest paper that is read, bytes."""
_ID = "64 hex characters"


@dataclass(frozen=True, slots=True)
class Holder:
    """A node that needs a ticket: its name, and its 32-byte peer id."""

    node: str
    peer_id: bytes


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """What goes to a spanned member's issuer.

    Attributes:
        organism: Our organism's name.
        fingerprint: Ours, 32 bytes.
        network: The network id, 32 bytes.
        span: Our label of the spanned member.
        stable_id: The spanned member's, 32 bytes.
        issuers: The ``iss`` values that its validator accepts; empty = any.
        audiences: The ``aud`` values, likewise.
        lifetime_s: The wanted lifetime, seconds.
        holders: The nodes.
        contact: Where the answer should go, or ``None``.
    """

    organism: str
    fingerprint: bytes
    network: bytes
    span: str
    stable_id: bytes
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    lifetime_s: int
    holders: tuple[Holder, ...]
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """One ticket of a bundle; ``data`` never shows in ``repr``."""

    peer_id: bytes
    ticket_class: bytes
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TicketBundle:
    """What comes back: tickets for one spanned member, by its stable id."""

    stable_id: bytes
    tickets: tuple[Issued, ...]


def render_request(request: TicketRequest) -> bytes:
    """A request as JSON."""
    return _render({
        "schema": SCHEMA,
        "kind": "ticket-request",
        "organism": request.organism,
        "fingerprint": request.fingerprint.hex(),
        "network": request.network.hex(),
        "span": request.span,
        "stable_id": request.stable_id.hex(),
        "issuers": list(request.issuers),
        "audiences": list(request.audiences),
        "lifetime_s": request.lifetime_s,
        "contact": request.contact,
        "holders": [{"node": one.node, "peer_id": one.peer_id.hex()} for one in request.holders],
    })  # fmt: skip


def load_request(path: Path) -> TicketRequest:
    """Read a request.

    Raises:
        InputError: With everything that is wrong in it.
    """
    paper = _Paper(path, "ticket-request")
    holders = [
        Holder(paper.text(row, "node", where), paper.digest(row, "peer_id", where))
        for where, row in paper.rows("holders")
    ]
    request = TicketRequest(
        organism=paper.text(paper.root, "organism"),
        fingerprint=paper.digest(paper.root, "fingerprint"),
        network=paper.digest(paper.root, "network"),
        span=paper.text(paper.root, "span"),
        stable_id=paper.digest(paper.root, "stable_id"),
        issuers=paper.texts("issuers"),
        audiences=paper.texts("audiences"),
        lifetime_s=paper.number("lifetime_s"),
        holders=tuple(holders),
        contact=paper.optional("contact"),
    )
    paper.close()
    return request


def render_bundle(bundle: TicketBundle) -> bytes:
    """A bundle as JSON."""
    return _render({
        "schema": SCHEMA,
        "kind": "ticket-bundle",
        "stable_id": bundle.stable_id.hex(),
        "tickets": [
            {
                "peer_id": one.peer_id.hex(),
                "class": one.ticket_class.hex(),
                "data": base64.urlsafe_b64encode(one.data).rstrip(b"=").decode(),
            }
            for one in bundle.tickets
        ],
    })  # fmt: skip


def write_bundle(path: Path, bundle: TicketBundle) -> None:
    """Write a bundle, mode 0600."""
    write_atomic(path, render_bundle(bundle), 0o600)


def load_bundle(path: Path) -> TicketBundle:
    """Read a bundle.

    Raises:
        InputError: With everything that is wrong in it; never with a ticket's bytes.
    """
    paper = _Paper(path, "ticket-bundle")
    tickets = [
        Issued(
            paper.digest(row, "peer_id", where),
            paper.digest(row, "class", where),
            paper.data(row, "data", where),
        )
        for where, row in paper.rows("tickets")
    ]
    bundle = TicketBundle(paper.digest(paper.root, "stable_id"), tuple(tickets))
    paper.close()
    return bundle


def _render(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


class _Paper:
    """Reads one paper and gathers what is wrong with it."""

    def __init__(self, path: Path, kind: str) -> None:
        self._file = str(path)
        self._kind = kind
        self.problems: list[Problem] = []
        self.root: Mapping[str, Any] = {}
        try:
            value = json.loads(read_bounded(path, MAX_PAPER))
        except (ValueError, RecursionError):
            self._wrong("", "something that is no JSON", f"a {kind} as organismctl writes it")
            self.close()
            return
        if not isinstance(value, dict) or value.get("kind") != kind or not _is_schema(value):
            self._wrong("kind", "another document", f'"kind": "{kind}", "schema": {SCHEMA}')
            self.close()
            return
        self.root = value

    def close(self) -> None:
        """Raise when anything was wrong."""
        if self.problems:
            raise InputError(
                f"{self._file} is no {self._kind} that can be used",
                self.problems,
                advice="ask its sender for it anew; nothing was written",
            )

    def text(self, row: Mapping[str, Any], key: str, where: str = "") -> str:
        value = row.get(key)
        if value and _is_text(value):
            return str(value)
        self._wrong(where + key, _kind_of(value), "text of at most 256 characters")
        return ""

    def optional(self, key: str) -> str | None:
        return None if self.root.get(key) is None else self.text(self.root, key)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.root.get(key, [])
        if isinstance(value, list) and all(_is_text(one) for one in value):
            return tuple(value)
        self._wrong(key, _kind_of(value), "a list of texts")
        return ()

    def number(self, key: str) -> int:
        value = self.root.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 53:
            return value
        self._wrong(key, _kind_of(value), "a whole number of seconds above zero")
        return 1

    def digest(self, row: Mapping[str, Any], key: str, where: str = "") -> bytes:
        from organismctl.identity.digest import parse_digest

        value = row.get(key)
        try:
            return parse_digest(value if isinstance(value, str) else "")
        except ValueError:
            self._wrong(where + key, _kind_of(value), _ID)
            return b""

    def data(self, row: Mapping[str, Any], key: str, where: str) -> bytes:
        value = row.get(key)
        try:
            if not isinstance(value, str) or not value:
                raise ValueError
            data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            # The library skips foreign characters and spare bits: one ticket would have many spellings.
            if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != value:
                raise ValueError
        except (ValueError, binascii.Error):
            self._wrong(where + key, "something else", "the ticket's bytes in base64url without padding")
            return b""
        return data

    def rows(self, key: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        value = self.root.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
            self._wrong(key, _kind_of(value), "a list of at least one object")
            return []
        return [(f"{key}[{index}].", row) for index, row in enumerate(value)]

    def _wrong(self, key: str, found: str | None, allowed: str) -> None:
        self.problems.append(Problem(self._file, None, key, found, allowed))


def _is_schema(value: Mapping[str, Any]) -> bool:
    number = value.get("schema")
    return number == SCHEMA and not isinstance(number, bool)


def _is_text(value: object) -> bool:
    """Text of at most 256 characters; a lone surrogate, which JSON can spell, is none."""
    return (
        isinstance(value, str) and len(value) <= 256 and not any("\ud800" <= one <= "\udfff" for one in value)
    )


def _kind_of(value: object) -> str | None:
    """What was found, by its kind alone: a paper's values may be tickets."""
    return None if value is None else f"a {type(value).__name__} of another form"
