"""Source: ticket files. Gives ``ticket.file`` per file; the bytes never leave a snapshot for an output."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import OBSERVER, Fact

if TYPE_CHECKING:
    from organismctl.identity.config import Json

KIND = "ticket.file"
MAX_TICKET = 64 << 10
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class TicketPath:
    """One file: the node that holds the ticket, the spanned member that it is for, and where it is."""

    node: str
    span: str
    path: Path
    name: str

    @property
    def subject(self) -> str:
        """How facts and findings name the pair."""
        return pair(self.node, self.span)


def pair(node: str, span: str) -> str:
    """The subject of a node at a spanned member."""
    return f"{node} × {span}"


@dataclass(frozen=True, slots=True)
class TicketFiles:
    """All ticket files of a deployment; local reads, so one thread does."""

    paths: Sequence[TicketPath]

    def wants(self) -> Sequence[Want]:
        """See :meth:`Source.wants`."""
        return [Want(KIND, one.subject, f"file {one.name}") for one in self.paths]

    def look(self) -> Iterator[Fact]:
        """See :meth:`Source.look`."""
        for one in self.paths:
            yield read_ticket_file(one)


def read_ticket_file(one: TicketPath) -> Fact:
    """One ticket file as a fact; a file that is not there is seen to be absent."""
    import errno

    from organismctl.errors import OrganismError
    from organismctl.files.atomic import PathError, read_bounded

    source = f"file {one.name}"
    head: dict[str, Json] = {"node": one.node, "span": one.span, "file": one.name}
    try:
        raw = read_bounded(one.path, MAX_TICKET)
    except PathError as exc:
        if exc.errno == errno.ENOENT:
            return Fact(KIND, one.subject, {**head, "absent": True}, source, seen_ms=now_ms())
        return Fact.unseen(KIND, one.subject, source, exc.message, OBSERVER)
    except OrganismError as exc:
        return Fact.unseen(KIND, one.subject, source, exc.message, OBSERVER)
    return Fact(KIND, one.subject, {**head, **ticket_value(raw)}, source, seen_ms=now_ms())


def ticket_value(raw: bytes) -> dict[str, Json]:
    """Class, id and bytes of a ticket file's content.

    A TDX ticket is a zstd frame; everything else is taken as a JWT, its surrounding white space dropped.
    """
    from organismctl.identity.digest import derive
    from organismctl.identity.validator import JWT_CLASS, TDX_CLASS

    data = ticket_bytes(raw)
    kind = TDX_CLASS if data.startswith(_ZSTD) else JWT_CLASS
    return {
        "class": kind.hex(),
        "ticket_id": derive(kind, data).hex(),
        "data": base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii"),
    }


def ticket_bytes(raw: bytes) -> bytes:
    """The ticket itself: a JWT without the white space around it; a TDX ticket is binary and stays as it is."""
    return raw if raw.startswith(_ZSTD) else raw.strip()
