"""What ``check``, ``observe`` and ``status`` share: options, the files of an organism, and one look at the world."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.context import Context
    from organismctl.files.deployment import Deployment
    from organismctl.files.lock import LockFile
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.fingerprint import Identity
    from organismctl.observe.snapshot import Snapshot
    from organismctl.observe.sources import WireLook
    from organismctl.report.interface import Style

Organism = Annotated[
    str | None,
    typer.Option(
        "--organism",
        "--deployment",
        metavar="NAME|PATH",
        help="The organism: a named context, or its deployment.toml, organism.toml or folder.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead of standard output.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Judge what `observe -o FILE` kept, at its own time."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="Judge at this time: 2026-12-01T00:00Z, 2026-12-01, or +7d from now."
    ),
]
Deadline = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long the whole look may take.")
]
NoWire = Annotated[
    bool, typer.Option("--no-wire", help="Leave mosaik's own network out, though addresses are named.")
]
ViaNode = Annotated[
    list[str] | None,
    typer.Option("--via", metavar="NODE", help="Where UDP is blocked: ask this node's API; repeatable."),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="DURATION",
        help="Subscribe so long to the streams that are judged, with the observer's tickets.",
    ),
]
DEFAULT_DEADLINE = "10s"


@dataclass(frozen=True, slots=True)
class Subject:
    """One organism's files, read.

    Attributes:
        context: Where they are.
        organism: organism.toml.
        deployment: deployment.toml, or ``None``.
        lock: organism.lock, or ``None`` when there is none yet.
        secret_hash: ``H(group secret)`` when the secret is here.
        identity: Set when the organism's own binary was asked.
        identity_unknown: Why it could not be.
        secret_readings: Misreadings of the group secret, in words, to their ``H``; only where it is here.
    """

    context: Context
    organism: LoadedOrganism
    deployment: Deployment | None
    lock: LockFile | None
    secret_hash: bytes | None
    identity: Identity | None = None
    identity_unknown: str | None = None
    secret_readings: Mapping[str, bytes] = field(default_factory=dict)

    def scope(self, snapshot: Snapshot, now_ms: int) -> Scope:
        """The scope of checks over a snapshot."""
        from organismctl.check.scope import make_scope

        return make_scope(
            self.organism,
            snapshot,
            self.deployment,
            self.lock,
            now_ms,
            secret_hash=self.secret_hash,
            identity=self.identity,
            identity_unknown=self.identity_unknown,
            secret_readings=self.secret_readings,
        )


def load_subject(choice: str | None, *, needs_deployment: bool = True, quiet: bool = False) -> Subject:
    """Read the files of the organism that the options name.

    Args:
        choice: What ``--organism`` gave.
        needs_deployment: Whether problems in a deployment.toml that is there are errors; else they are said,
            and the file is left aside.
        quiet: Nothing is said of what is left aside or only warned of.

    Raises:
        OrganismError: Which organism is meant is not clear, or a file holds problems.
    """
    from organismctl.cli.output import say as aloud
    from organismctl.errors import OrganismError
    from organismctl.files.context import resolve_context
    from organismctl.files.lock import load_lock
    from organismctl.files.organism import load_organism

    say = unsaid if quiet else aloud
    context = resolve_context(choice, env=os.environ, cwd=Path.cwd())
    organism = load_organism(context.organism_path)
    deployment = None
    if context.deployment_path is not None:
        from organismctl.files.deployment import load_deployment

        try:
            deployment = load_deployment(context.deployment_path)
        except OrganismError as error:
            if needs_deployment:
                raise
            say(f"warning: deployment.toml is left aside: {error.message}")
    for problem in organism.warnings:
        say(f"warning: {problem}")
    lock = load_lock(context.lock_path) if context.lock_path.exists() else None
    identity, unknown = _ask_binary(organism, context)
    hashed, readings = _secret_hash(deployment, say)
    return Subject(context, organism, deployment, lock, hashed, identity, unknown, readings)


def unsaid(text: str) -> None:
    """Where narration goes that nobody wants."""
    del text


def _secret_hash(
    deployment: Deployment | None, say: Callable[[str], None]
) -> tuple[bytes | None, Mapping[str, bytes]]:
    """``H(group secret)`` when the secret is here and may be read, and ``H`` of its misreadings.

    The lock's hash stands in otherwise.
    """
    from organismctl.files.credentials import secret_file

    path = secret_file(deployment, "group") if deployment is not None else None
    if path is None:
        return None, {}
    from organismctl.errors import OrganismError
    from organismctl.files.secret import read_secret
    from organismctl.identity.group_id import group_secret, secret_hash, secret_readings

    try:
        if not path.exists():
            return None, {}
        text = read_secret(path).reveal()
        return secret_hash(group_secret(text)), secret_readings(text)
    except OrganismError as exc:
        say(f"warning: the group secret is not used: {exc.message}")
    except OSError as exc:
        say(f"warning: the group secret is not used: {path}: {exc.strerror}")
    return None, {}


def _ask_binary(organism: LoadedOrganism, context: Context) -> tuple[Identity | None, str | None]:
    """For the scheme ``exec``: what the organism's own binary answers, or why it did not."""
    if organism.config.identity.scheme != "exec":
        return None, None
    from organismctl.errors import OrganismError
    from organismctl.files.exec_identity import identity_here

    try:
        return identity_here(organism.config, context.organism_path.parent), None
    except OrganismError as exc:
        return None, exc.message


def wire_look(
    subject: Subject,
    *,
    no_wire: bool = False,
    via: list[str] | None = None,
    listen: str | None = None,
    names: Collection[str] = ("surfaces", "identity", "subscriptions"),
) -> WireLook:
    """How the wire is looked at, by the options.

    Args:
        subject: Whose wire.
        no_wire: Not at all.
        via: Through the APIs of these nodes.
        listen: How long to subscribe to streams.
        names: The checks that it is for: ``surfaces`` listens to our own streams, ``identity`` and
            ``subscriptions`` to spanned members'.

    Raises:
        UsageError: They contradict each other, or the time to listen is none.
    """
    from organismctl.errors import UsageError
    from organismctl.observe.sources import WireLook

    if no_wire and (via or listen):
        raise UsageError("--no-wire goes with neither --via nor --listen")
    if via and listen:
        raise UsageError("--listen needs UDP: a node's API tells the catalog, and no streams")
    if listen is None:
        return WireLook(no_wire, tuple(via or ()))
    streams: list[bytes] = []
    identity = subject.scope(empty(), now_ms()).identity
    if "surfaces" in names and identity is not None:
        own = [one.name for one in subject.organism.config.surfaces if one.type == "stream"]
        streams = [identity.surface_ids[name] for name in own if name in identity.surface_ids]
    spans = "identity" in names or "subscriptions" in names
    return WireLook(streams=tuple(streams), spans=spans, listen_s=seconds(listen, "--listen"))


def empty() -> Snapshot:
    """A look at nothing."""
    from organismctl.observe.snapshot import Snapshot

    return Snapshot(now_ms(), ())


def take_look(
    subject: Subject,
    kinds: Collection[str],
    timeout: str,
    meanwhile: Callable[[], object] | None = None,
    wire: WireLook | None = None,
) -> Snapshot:
    """Look at the world, with progress on standard error when it takes longer than a second.

    Raises:
        UsageError: The timeout is no duration.
    """
    if not kinds:
        return empty()
    from organismctl.cli.output import progress
    from organismctl.observe.look import observe
    from organismctl.observe.sources import sources_for

    looks = sources_for(kinds, subject.organism, subject.deployment, wire)
    listening = wire.listen_s if wire is not None else 0.0
    with progress("looking") as told:
        return observe(
            looks.sources,
            seconds(timeout, "--timeout") + listening,
            then=looks.then,
            on_progress=told.step,
            meanwhile=meanwhile,
        )


def now_ms() -> int:
    """The wall clock, Unix ms."""
    return time.time_ns() // 1_000_000


def seconds(text: str, option: str) -> float:
    """A duration of the command line, in seconds.

    Raises:
        UsageError: It is none, or zero.
    """
    from organismctl.errors import UsageError
    from organismctl.identity.durations import parse_duration

    try:
        ms = parse_duration(text)
    except ValueError as exc:
        raise UsageError(f"{option}: {text!r} is no duration", advice="such as 500ms, 10s, 5m, 7d") from exc
    if ms <= 0:
        raise UsageError(f"{option}: it must be longer than nothing")
    return ms / 1000


def parse_at(text: str | None, default_ms: int) -> int:
    """The moment of judgement, Unix ms.

    Args:
        text: ``2026-12-01T00:00Z``, a date (UTC midnight), ``+7d`` from now; ``None`` takes the default.
        default_ms: When nothing is said.

    Raises:
        UsageError: It is no moment.
    """
    from datetime import UTC, datetime

    from organismctl.errors import UsageError

    if text is None:
        return default_ms
    if text.startswith("+"):
        return now_ms() + round(seconds(text[1:], "--at") * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(
            f"--at: {text!r} is no moment", advice="such as 2026-12-01T00:00Z, 2026-12-01 or +7d"
        ) from exc
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def style(to: Path | None) -> Style:
    """How the page looks: control codes only on a terminal that takes them, never in a file."""
    from organismctl.cli.output import colour, width
    from organismctl.report.interface import Style

    return Style(width=width(), colour=to is None and colour(), base=str(Path.cwd()))
