"""Source: what a resident exporter remembers, ``GET {exporter.url}/v1/memory``. Gives ``exporter.memory``.

A look sees one moment; since when a spanned member is silent only somebody knows who has watched. What the
exporter tells is remote input like any other: something else behind its url is said, and nothing is taken from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from organismctl.errors import OrganismError
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, OBSERVER, UNREACHABLE, Fact

if TYPE_CHECKING:
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.config import Json

KIND = "exporter.memory"
PATH = "/v1/memory"
SCHEMA = 1
MAX_ANSWER = 8 << 20
MAX_NODES = 1024


@dataclass(frozen=True, slots=True)
class ExporterDocument:
    """One document of a resident exporter, by ``SPAN/SURFACE``; a kind of it says what it is and how it is read.

    Attributes:
        url: The exporter's address.
        organism: Whose it must be.
        subjects: ``SPAN/SURFACE`` of every surface that organism.toml reads.
        timeout_s: Seconds for the answer.
    """

    url: str
    organism: str
    subjects: tuple[str, ...]
    timeout_s: float = 3.0

    kind: ClassVar[str]
    path: ClassVar[str]
    key: ClassVar[str]

    def read(self, told: object) -> Json:
        """The fact's value, of what the exporter tells of a subject (``None``: nothing).

        Raises:
            ValueError: It is not there, or malformed; the text says so.
        """
        raise NotImplementedError

    def refused(self, exc: OrganismError) -> str:
        """Why there is no document, in words."""
        return exc.message

    def wants(self) -> Sequence[Want]:
        """See :meth:`organismctl.observe.look.Source.wants`."""
        return [Want(self.kind, subject, self._source) for subject in self.subjects]

    def look(self) -> Iterator[Fact]:
        """See :meth:`organismctl.observe.look.Source.look`."""
        begun = time.monotonic()
        try:
            told = ask(self.url, self.path, self.key, self.organism, self.timeout_s)
        except OrganismError as exc:
            reason, cause = self.refused(exc), cause_of(exc)
            yield from (Fact.unseen(self.kind, one, self._source, reason, cause) for one in self.subjects)
            return
        took = round((time.monotonic() - begun) * 1000)
        for subject in self.subjects:
            try:
                value = self.read(told.get(subject))
            except ValueError as exc:
                yield Fact.unseen(self.kind, subject, self._source, str(exc), MALFORMED)
            else:
                yield Fact(self.kind, subject, value, self._source, seen_ms=now_ms(), took_ms=took)

    @property
    def _source(self) -> str:
        return f"exporter {self.url}"


class ExporterMemory(ExporterDocument):
    """What it remembers; see the module."""

    __slots__ = ()
    kind, path, key = KIND, PATH, "memory"

    def read(self, told: object) -> Json:
        """See :meth:`ExporterDocument.read`."""
        if isinstance(told, dict) and _well_formed(told):
            return told
        raise ValueError("the exporter does not know it" if told is None else "its memory of it is malformed")

    def refused(self, exc: OrganismError) -> str:
        """See :meth:`ExporterDocument.refused`."""
        return f"no exporter of ours: {exc.message}" if cause_of(exc) == MALFORMED else exc.message


def subjects_of(organism: LoadedOrganism) -> tuple[str, ...]:
    """``SPAN/SURFACE`` of every surface that an organism reads, in its order."""
    return tuple(
        f"{member.name}/{surface.name}" for member in organism.config.span for surface in member.surfaces
    )


def ask(url: str, path: str, key: str, organism: str, timeout_s: float) -> Mapping[str, Any]:
    """One of an exporter's documents.

    Args:
        url: The exporter's address.
        path: The document's path.
        key: Under which key it has what is wanted, by ``SPAN/SURFACE``.
        organism: Whose it must be.
        timeout_s: Seconds for the answer.

    Raises:
        OrganismError: Nobody answers there, or something else does.
    """
    from organismctl.committee.client import NodeAnswerError
    from organismctl.observe.node_client import LookingClient

    with LookingClient(url, timeout=timeout_s) as client:
        answer = client.document(path, MAX_ANSWER)
    told = answer.get(key)
    if answer.get("schema") != SCHEMA or not isinstance(told, dict):
        raise NodeAnswerError(
            f"{url} is no exporter of ours: it tells no {key} of schema {SCHEMA}",
            code="malformed",
            advice="check [exporter] url in deployment.toml",
        )
    if answer.get("organism") != organism:
        raise NodeAnswerError(
            f"{url} is the exporter of another organism",
            code="malformed",
            advice="check [exporter] url in deployment.toml",
        )
    return told


def cause_of(exc: OrganismError) -> str:
    """The kind of reason why an exporter's document is not there, for a fact."""
    from organismctl.committee.client import NodeAccessError, NodeError

    if isinstance(exc, NodeAccessError):
        return OBSERVER
    return MALFORMED if isinstance(exc, NodeError) else UNREACHABLE


def _well_formed(value: Mapping[str, object]) -> bool:
    """Whether what the checks rely on is there, and of its type."""
    whole = all(_moment(value.get(key)) for key in ("last_event_ms", "dark_since_ms", "last_position"))
    nodes = value.get("by_node")
    return (
        whole
        and _count(value.get("watched_since_ms"))
        and _count(value.get("events"))
        and isinstance(nodes, dict)
        and len(nodes) <= MAX_NODES
        and all(isinstance(one, dict) for one in nodes.values())
    )


def _moment(value: object) -> bool:
    return value is None or _count(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
