"""The tickets that a node holds: files of the deployment, and installed ones in its own folder; bytes never leave."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from organismctl.committee.node.settings import Upstream
from organismctl.errors import InputError, OrganismError
from organismctl.files.atomic import os_errors, read_bounded, write_atomic
from organismctl.files.secret import create_secret
from organismctl.identity.config import Validator
from organismctl.identity.digest import derive
from organismctl.identity.jwt import validate_jwt
from organismctl.identity.validator import JWT_CLASS, TDX_CLASS, JwtValidator
from organismctl.identity.verdict import TicketVerdict

MAX_TICKET = 64 * 1024
ZSTD = b"\x28\xb5\x2f\xfd"
"""How a TDX ticket begins: it is compressed."""
_NAME = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{64}\.ticket")


@dataclass(frozen=True, slots=True)
class Held:
    """One ticket; its bytes stay hidden.

    Attributes:
        span: The spanned member's name.
        ticket_class: 32 bytes.
        ticket_id: ``d(class, data)``, 32 bytes.
        verdict: What the spanned member's current issuers say of it.
    """

    span: str
    ticket_class: bytes
    ticket_id: bytes
    verdict: TicketVerdict


def ticket_files(paths: Iterable[Path]) -> Iterator[tuple[bytes, bytes]]:
    """Class and bytes of the tickets in files; what cannot be read is left out."""
    for path in paths:
        try:
            data = read_bounded(path, MAX_TICKET + 16)
        except OrganismError:
            continue
        if data.startswith(ZSTD):
            yield TDX_CLASS, data
        elif data.strip():
            yield JWT_CLASS, data.strip()


class TicketStore:
    """See the module.

    Args:
        folder: The node's data folder.
        peer_id: The holder.
        network: The network id.
        upstreams: The spanned members.
    """

    def __init__(self, folder: Path, peer_id: bytes, network: bytes, upstreams: tuple[Upstream, ...]) -> None:
        self._folder = folder / "tickets"
        self._peer_id = peer_id
        self._network = network
        self._upstreams = {upstream.member.name: upstream for upstream in upstreams}

    def held(self, now_s: int) -> list[Held]:
        """Every ticket, judged now."""
        return [
            Held(
                name,
                ticket_class,
                derive(ticket_class, data),
                self._judge(upstream, ticket_class, data, now_s),
            )
            for name, upstream in self._upstreams.items()
            for ticket_class, data in self._tickets(upstream)
        ]

    def published(self) -> list[tuple[bytes, bytes]]:
        """Class and bytes of every ticket, as they are shown to peers; never for any output."""
        return [ticket for upstream in self._upstreams.values() for ticket in self._tickets(upstream)]

    def install(self, span: str, ticket_class: bytes, data: bytes, *, replace: bool) -> bytes:
        """Take in a ticket; durable when this returns.

        Returns:
            The ticket's id.

        Raises:
            InputError: No such spanned member, or no ticket.
            OrganismError: It cannot be written.
        """
        upstream = self._upstreams.get(span)
        if upstream is None:
            raise InputError(
                f"no spanned member {span[:80]!r}", advice=f"one of {', '.join(self._upstreams)}"
            )
        if not 0 < len(data) <= MAX_TICKET:
            raise InputError(f"a ticket has 1 to {MAX_TICKET} bytes")
        ticket_id = derive(ticket_class, data)
        older = [derive(c, d) for c, d in self._tickets(upstream) if d != data] if replace else []
        folder = self._span_folder(span)
        path = folder / f"{ticket_class.hex()}.{ticket_id.hex()}.ticket"
        if not path.exists():
            create_secret(path, data.hex())
        if older:
            self._retire(span, older)
        return ticket_id

    def _retire(self, span: str, ids: list[bytes]) -> None:
        folder = self._span_folder(span)
        gone = self._gone(span) | {one.hex() for one in ids}
        write_atomic(folder / "replaced.json", json.dumps(sorted(gone)).encode(), 0o600)
        for path in folder.glob("*.ticket"):
            if path.name.split(".")[1] in gone:
                with os_errors(path, "remove"):
                    path.unlink(missing_ok=True)

    def _gone(self, span: str) -> set[str]:
        try:
            value = json.loads(read_bounded(self._span_folder(span) / "replaced.json"))
        except (OrganismError, ValueError):
            return set()
        return {one for one in value if isinstance(one, str)} if isinstance(value, list) else set()

    def _tickets(self, upstream: Upstream) -> Iterator[tuple[bytes, bytes]]:
        """Class and bytes of every ticket; what cannot be read is left out."""
        gone = self._gone(upstream.member.name)
        seen: set[bytes] = set()
        for ticket_class, data in (*self._files(upstream), *self._installed(upstream.member.name)):
            ticket_id = derive(ticket_class, data)
            if ticket_id.hex() not in gone and ticket_id not in seen:
                seen.add(ticket_id)
                yield ticket_class, data

    def _files(self, upstream: Upstream) -> Iterator[tuple[bytes, bytes]]:
        yield from ticket_files(upstream.tickets)

    def _installed(self, span: str) -> Iterator[tuple[bytes, bytes]]:
        folder = self._span_folder(span)
        for path in sorted(folder.glob("*.ticket")) if folder.is_dir() else ():
            if _NAME.fullmatch(path.name) is None:
                continue
            try:
                data = bytes.fromhex(
                    read_bounded(path, 2 * MAX_TICKET + 16).decode("ascii", "replace").strip()
                )
            except (OrganismError, ValueError):
                continue
            yield bytes.fromhex(path.name.split(".")[0]), data

    def _span_folder(self, span: str) -> Path:
        return self._folder / derive(bytes(32), span).hex()[:20]

    def _judge(self, upstream: Upstream, ticket_class: bytes, data: bytes, now_s: int) -> TicketVerdict:
        """The best verdict of the spanned member's current issuers."""
        current = [issuer.validator for issuer in upstream.member.issuers if issuer.state == "current"]
        return judge(current, ticket_class, data, self._peer_id, self._network, now_s)


def judge(
    validators: Iterable[Validator],
    ticket_class: bytes,
    data: bytes,
    peer_id: bytes,
    network: bytes,
    now_s: int,
) -> TicketVerdict:
    """The best verdict on a ticket among validators of its class."""
    verdicts = [
        _verdict(validator, data, peer_id, network, now_s)
        for validator in validators
        if validator.class_ == ticket_class
    ]
    if not verdicts:
        return TicketVerdict(None, None, "no current issuer of this class is configured")
    return next((verdict for verdict in verdicts if verdict.valid), verdicts[0])


def _verdict(validator: Validator, data: bytes, peer_id: bytes, network: bytes, now_s: int) -> TicketVerdict:
    if isinstance(validator, JwtValidator):
        return validate_jwt(data, validator, peer_id, now_s)
    from organismctl.identity.tdx import validate_tdx

    return validate_tdx(data, validator, peer_id, network, now_s)
