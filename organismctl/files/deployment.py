"""deployment.toml: our side of an organism, as plain values; and what it must agree on with organism.toml.

Durations are milliseconds; paths are text as written, made absolute by :meth:`Deployment.resolve`.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from organismctl.errors import Problem
from organismctl.files.atomic import read_text
from organismctl.files.credentials import KEYS, OBSERVER_KEY, PREFIX, credential, key_name
from organismctl.files.deployment_shape import DEPLOYMENT
from organismctl.files.hosts import is_loopback
from organismctl.files.locate import Locator
from organismctl.files.schema import Reader
from organismctl.files.secret import Secret, mode_problem, read_secret

if TYPE_CHECKING:
    from organismctl.files.organism import LoadedOrganism

__all__ = ["Secret", "read_secret"]  # one place to find what belongs to a deployment


@dataclass(frozen=True, slots=True)
class Secrets:
    """Paths to secrets; ``None`` where there is none."""

    group: str | None = None
    read_token: str | None = None
    operate_token: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One committee member's node.

    Attributes:
        name: Its name here, in journals and in the roster.
        peer_id: ed25519 public key, 32 bytes.
        url: Its node API, or ``None``.
        key: File of its ed25519 seed, or ``None`` away from its host.
        ca: Certificate authority file of its API, or ``None``.
        address: ``HOST:PORT`` of its mosaik endpoint, or ``None``.
        metrics: mosaik's Prometheus exporter of it, or ``None``.
        tickets: Files of its tickets for our own committee, whose members ``[[acl]]`` admits.
        data: Folder of its ledger and logs, or ``None``.
        executor: ``manual``, ``command`` or ``systemd``.
        start: Argument list with placeholders.
        stop: Argument list with placeholders.
        fenced: Argument list with placeholders; exit 0 means surely off.
        unit: systemd unit, or ``None``.
        ssh: Host for the system's ssh, or ``None`` for this host.
        roster: Whether the file wishes it on the roster; false for a spare.
    """

    name: str
    peer_id: bytes
    url: str | None = None
    key: str | None = None
    ca: str | None = None
    address: str | None = None
    metrics: str | None = None
    tickets: tuple[str, ...] = ()
    data: str | None = None
    executor: str = "manual"
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    fenced: tuple[str, ...] = ()
    unit: str | None = None
    ssh: str | None = None
    roster: bool = True


@dataclass(frozen=True, slots=True)
class TicketFile:
    """Where one node's ticket for one spanned member is kept."""

    node: str
    file: str


@dataclass(frozen=True, slots=True)
class SpanSide:
    """What we know of a spanned member beside organism.toml; ``name`` joins the two.

    Attributes:
        period_ms: Period of its clock, or ``None`` when not told.
        dark_after: Periods without an event until it counts as dark.
        card: Path or URL of its published card, or ``None``.
        peers: ``PEERID@HOST:PORT`` of mosaik peers of it.
    """

    name: str
    endpoints: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    card: str | None = None
    contact: str | None = None
    period_ms: int | None = None
    dark_after: int = 5
    tickets: tuple[TicketFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Mosaik:
    """How mosaik's network is reached: a relay of our own, or ``None`` for its public ones."""

    relay: str | None = None


@dataclass(frozen=True, slots=True)
class Observer:
    """Who looks at the network: file of a seed (``None``: another identity each time), ticket files."""

    key: str | None = None
    tickets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exporter:
    """Where a resident ``organismctl exporter`` listens, or ``None`` when there is none."""

    url: str | None = None


@dataclass(frozen=True, slots=True)
class Runbooks:
    """A folder with runbooks of our own, and whom an operator on call turns to next; ``None`` where not told."""

    folder: str | None = None
    escalate: str | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits; durations in milliseconds, ``commit_lag`` in entries, ``span_lag_events`` in events."""

    ticket_warn_ms: int = 604_800_000
    ticket_bad_ms: int = 172_800_000
    commit_lag: int = 20
    span_lag_ms: int = 30_000
    span_lag_events: int = 1000
    evidence_warn_ms: int = 604_800_000
    evidence_bad_ms: int = 86_400_000
    clock_skew_ms: int = 2_000
    probe_timeout_ms: int = 3_000
    change_deadline_ms: int = 600_000
    lead_time_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class Retire:
    """How long nodes linger after the seal, and the command for an organism without our node API."""

    linger_ms: int = 2_592_000_000
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coalition:
    """A coalition that the organism belongs to; ``atlas`` is a path, a URL or ``map:STORE@PEERID@HOST:PORT``."""

    name: str
    chronicle: str | None = None
    contact: str | None = None
    atlas: str | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """A finding that a person has accepted, up to and including the day ``until``."""

    code: str
    subject: str
    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """Our side of one organism.

    Attributes:
        path: The file, absolute.
        file: The file as the operator named it, for problems.
        operator: Who stands in journals; ``login@host`` unless the file says.
        locator: Lines of the file's keys.
        warnings: What a person should look at.
    """

    path: Path
    organism: str = "organism.toml"
    lock: str = "organism.lock"
    state: str = ".organism"
    shared_changes: str | None = None
    carrier: str = "loopback"
    operator: str = ""
    mosaik: Mosaik = Mosaik()
    observer: Observer = Observer()
    exporter: Exporter = Exporter()
    runbooks: Runbooks = Runbooks()
    secrets: Secrets = Secrets()
    nodes: tuple[Node, ...] = ()
    spans: tuple[SpanSide, ...] = ()
    thresholds: Thresholds = Thresholds()
    retire: Retire = Retire()
    coalitions: tuple[Coalition, ...] = ()
    accepts: tuple[Accept, ...] = ()
    file: str = "deployment.toml"
    locator: Locator | None = None
    warnings: tuple[Problem, ...] = ()

    def resolve(self, relative: str) -> Path:
        """A path of the file, absolute: relative ones start at the file's folder, ``~`` at home."""
        return self.path.parent / Path(relative).expanduser()

    def line(self, key_path: str) -> int | None:
        """The 1-based line of a key, else of the table around it."""
        return self.locator.line(key_path) if self.locator else None

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    def span(self, name: str) -> SpanSide | None:
        """The spanned member of that name."""
        return next((span for span in self.spans if span.name == name), None)


def load_deployment(path: Path) -> Deployment:
    """Read and validate a deployment.toml.

    Raises:
        PathError: The system refused to read it.
        InputError: It holds problems; all of them are in ``problems``.
    """
    return parse_deployment(read_text(path), path)


def parse_deployment(text: str, path: Path) -> Deployment:
    """Validate the text of a deployment.toml.

    Args:
        text: TOML.
        path: Where it stands or would stand; relative paths start at its folder.

    Raises:
        InputError: It holds problems; all of them are in ``problems``.
    """
    reader = Reader(str(path), text)
    values = DEPLOYMENT.read(reader.parse(), "", reader)
    reader.finish()
    if not isinstance(values, dict):  # the root of a TOML document is always a table
        raise TypeError("the root is no table")
    _warn_plain_http(values, reader)
    return _deployment(values, path, reader)


def _deployment(values: Mapping[str, Any], path: Path, reader: Reader) -> Deployment:
    """The deployment of values that hold no problem."""
    retire, operator = values["retire"], values["operator"]
    return Deployment(
        path=path.absolute(),
        file=str(path),
        organism=values["organism"],
        lock=values["lock"],
        state=values["state"],
        shared_changes=values["shared_changes"],
        carrier=values["carrier"],
        operator=(operator or {}).get("name") or default_operator(),
        mosaik=Mosaik(**(values["mosaik"] or {})),
        observer=Observer(**(values["observer"] or {})),
        exporter=Exporter(**(values["exporter"] or {})),
        runbooks=Runbooks(**(values["runbooks"] or {})),
        secrets=Secrets(**(values["secrets"] or {})),
        nodes=tuple(Node(**one) for one in values["node"]),
        spans=tuple(_span(one) for one in values["span"]),
        thresholds=_thresholds(values["thresholds"] or {}),
        retire=Retire(retire["linger"], retire["exec"]) if retire else Retire(),
        coalitions=tuple(Coalition(**one) for one in values["coalition"]),
        accepts=tuple(Accept(**one) for one in values["accept"]),
        locator=Locator(reader.text),
        warnings=tuple(reader.warnings),
    )


def _span(values: Mapping[str, Any]) -> SpanSide:
    same = {key: values[key] for key in ("name", "endpoints", "peers", "card", "contact", "dark_after")}
    tickets = tuple(TicketFile(**one) for one in values["ticket"])
    return SpanSide(**same, period_ms=values["period"], tickets=tickets)


def _thresholds(values: Mapping[str, int]) -> Thresholds:
    counts = ("commit_lag", "span_lag_events")
    return Thresholds(**{(key if key in counts else f"{key}_ms"): value for key, value in values.items()})


def default_operator() -> str:
    """``login@host``, for journals."""
    try:
        login = getpass.getuser()
    except (OSError, KeyError):  # no passwd entry, as in some containers
        login = "unknown"
    return f"{login}@{socket.gethostname()}"


def _warn_plain_http(values: Mapping[str, Any], reader: Reader) -> None:
    """A bearer token over plain HTTP to another host is readable on the way."""
    secrets = values["secrets"] or {}
    if not (secrets.get("read_token") or secrets.get("operate_token")):
        return
    for i, node in enumerate(values["node"]):
        parts = urlsplit(node["url"] or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            reader.warn(
                f"node[{i}].url", "plain HTTP to another host", "https, since tokens travel with each request"
            )


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What the two files and the secrets' files say together."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def cross_check(organism: LoadedOrganism, deployment: Deployment) -> CrossCheck:
    """Look at both files together, and at the modes of the secrets' files."""
    problems: list[Problem] = []
    warnings = [*organism.warnings, *deployment.warnings]
    ours = {span.name for span in deployment.spans}
    theirs = [span.name for span in organism.config.span]
    for i, span in enumerate(deployment.spans):
        if span.name not in theirs:
            allowed = "a [[span]] of organism.toml: " + (" | ".join(theirs) or "none")
            key = f"span[{i}].name"
            problems.append(Problem(deployment.file, deployment.line(key), key, f'"{span.name}"', allowed))
    for i, name in enumerate(theirs):
        if name not in ours:
            key = f"span[{i}].name"
            allowed = f"a [[span]] of that name in {deployment.file} (endpoints, card, contact, tickets)"
            warnings.append(Problem(organism.file, organism.line(key), key, f'"{name}"', allowed))
    for key, name in _secret_files(deployment):
        found = _file_mode(deployment.resolve(name))
        where = (deployment.file, deployment.line(key), key)
        if found is None and not key.startswith("node["):  # a node's key is only on the node's own host
            warnings.append(
                Problem(*where, f"{name}, which is not there or cannot be seen", "a file with mode 0600")
            )
        elif found is not None and (fault := mode_problem(found)):
            problems.append(Problem(*where, f"{name}, which {fault}", f"mode 0600 (`chmod 600 {name}`)"))
    if not any(node.roster for node in deployment.nodes):
        warnings.append(Problem(deployment.file, None, "node", "none on the roster", "one [[node]] or more"))
    return CrossCheck(tuple(problems), tuple(warnings))


def _secret_files(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Key path and file of every secret that is read where the deployment says."""
    named = [(f"secrets.{key}", PREFIX + key, getattr(deployment.secrets, key)) for key in KEYS]
    named.append(("observer.key", OBSERVER_KEY, deployment.observer.key))
    named += [(f"node[{i}].key", key_name(node.name), node.key) for i, node in enumerate(deployment.nodes)]
    for key, given, name in named:
        if name and credential(given) is None:
            yield key, name


def _file_mode(path: Path) -> int | None:
    """``st_mode``, or ``None`` when there is no such file or its folder is closed to us."""
    try:
        return path.stat().st_mode
    except OSError:
        return None
