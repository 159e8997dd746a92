"""From the files to a desk: reads organism.toml, deployment.toml, lock and secrets, and connects the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.api import Node, NodeTarget
from organismctl.change.canonical import parse_object
from organismctl.change.copies import FolderTarget, Target
from organismctl.change.desk import Desk
from organismctl.change.executor import Executor, Host, executor
from organismctl.change.fleet import Fleet
from organismctl.change.runner import Clock, Narrator, Silent
from organismctl.change.site import Coalition, Ending, Limits, Member, Site, Verdict
from organismctl.change.store import Store
from organismctl.errors import InputError, OrganismError, UnreachableError
from organismctl.files.exec_identity import identity_here
from organismctl.identity.group_id import group_id_of

if TYPE_CHECKING:
    from organismctl.files.context import Context
    from organismctl.files.deployment import Deployment
    from organismctl.files.deployment import Node as NodeSection
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.config import Json, OrganismConfig

MAX_CHRONICLE = 16 << 20


@dataclass(slots=True, kw_only=True)
class Asked:
    """What the command line gives to a desk.

    Attributes:
        narrator: Whom to tell.
        ask: Asks a person a yes/no question; ``None`` without a terminal.
        accepted_risks: Codes from ``--accept-risk``.
        wait_s: A date that is at most this far off is waited for.
        clock: The clock.
    """

    narrator: Narrator = field(default_factory=Silent)
    ask: Callable[[str], bool] | None = None
    accepted_risks: frozenset[str] = frozenset()
    wait_s: float = 60.0
    clock: Clock = field(default_factory=Clock)


def open_desk(context: Context, asked: Asked | None = None) -> Desk:
    """A desk for an organism.

    Args:
        context: Which organism; it needs a deployment file.
        asked: What the command line gives.

    Raises:
        InputError: No deployment file, or a file holds problems.
        OrganismError: A file or secret cannot be read.
    """
    return wire(context, asked).desk()


def wire(context: Context, asked: Asked | None = None) -> Wiring:
    """The parts of a desk, for what acts on single nodes and is no change. Arguments and errors: :func:`open_desk`."""
    from organismctl.files.deployment import load_deployment
    from organismctl.files.organism import load_organism

    if context.deployment_path is None:
        raise InputError(
            f"{context.name} has no deployment.toml: nothing here can be started, stopped or asked",
            advice="give --deployment PATH, or `organismctl init`",
        )
    deployment = load_deployment(context.deployment_path)
    loaded = load_organism(context.organism_path)
    return Wiring(context, deployment, loaded, asked or Asked())


class Wiring:
    """Holds what several parts need while they are connected."""

    def __init__(
        self, context: Context, deployment: Deployment, organism: LoadedOrganism, asked: Asked
    ) -> None:
        self.deployment = deployment
        self.organism = organism
        self.config = config = organism.config
        self.asked = asked
        self.path = deployment.path
        self.identity = identity_here(config, context.organism_path.parent)
        self.hashed_secret = _hashed_secret(deployment, context.lock_path)
        self.group_id = group_id_of(config, self.hashed_secret, self.identity)
        self.token, self.secrets = self._secrets()
        self.nodes = {section.name: self._node(section) for section in deployment.nodes}

    def desk(self) -> Desk:
        """See :func:`open_desk`."""
        targets: list[Target] = [
            NodeTarget(self.nodes[section.name], spare=not section.roster)
            for section in self.deployment.nodes
        ]
        if self.deployment.shared_changes is not None:
            targets.append(FolderTarget(self.deployment.resolve(self.deployment.shared_changes)))
        folder = self.deployment.resolve(self.deployment.state) / "changes"
        return Desk(
            organism=self.config.name,
            operator=self.deployment.operator,
            store=Store(folder, targets, say=self.asked.narrator.say),
            targets=tuple(targets),
            make_site=self.site,
            narrator=self.asked.narrator,
            clock=self.asked.clock,
            accepted_risks=self.asked.accepted_risks,
            judge=self.findings,
        )

    def findings(self) -> list[dict[str, Json]]:
        """What the checks say now, for a plan."""
        from organismctl.change.judging import findings

        return findings(self.organism, self.deployment, self.hashed_secret, self.asked.clock.now_ms())

    def site(
        self,
        *,
        change: str,
        folder: Path,
        accepted_risks: frozenset[str],
        note_risk: Callable[[str, str], None],
    ) -> Site:
        """The organism for one change."""
        deployment = self.deployment
        stable = self.identity.stable_id
        return Site(
            organism=self.config.name,
            fingerprint=self.identity.fingerprint.hex(),
            group_id=None if self.group_id is None else self.group_id.hex(),
            stable_id=None if stable is None else stable.hex(),
            surfaces=tuple(surface.name for surface in self.config.surfaces),
            members=tuple(
                Member(node.name, node.peer_id.hex(), node.url or "", node.executor, node.roster)
                for node in deployment.nodes
            ),
            fleet=Fleet([self.nodes[node.name] for node in deployment.nodes]),
            executor=self.executor,
            eyes=_Eyes(self),
            roster_file=_RosterFile(self.path),
            limits=_limits(deployment, self.config, self.asked.wait_s),
            coalitions=tuple(
                Coalition(item.name, item.chronicle, item.contact) for item in deployment.coalitions
            ),
            channel=None if self.config.change_channel is None else self.config.change_channel.url,
            retire_exec=deployment.retire.command,
            change=change,
            folder=folder,
            now_ms=self.asked.clock.now_ms,
            accepted_risks=accepted_risks,
            note_risk=note_risk,
        )

    def executor(self, name: str) -> Executor:
        """The executor of a node."""
        section = self.deployment.node(name)
        if section is None:
            raise InputError(f"no node {name[:80]!r} in deployment.toml")
        host = Host(
            node=section.name,
            peer_id=section.peer_id.hex(),
            url=section.url or "",
            data=self.deployment.resolve(section.data) if section.data else Path(),
            deployment=self.path,
            start=section.start,
            stop=section.stop,
            fenced=section.fenced,
            unit=section.unit,
            ssh=section.ssh,
        )
        return executor(section.executor, host, ask=self.asked.ask, secrets=self.secrets)

    def _node(self, section: NodeSection) -> Node:
        from organismctl.committee.client import NodeClient

        client = None
        if section.url is not None:
            ca = self.deployment.resolve(section.ca) if section.ca else None
            timeout = self.deployment.thresholds.probe_timeout_ms / 1000
            client = NodeClient(section.url, self.token, ca, timeout)
        return Node(section.name, section.peer_id.hex(), client)

    def _secrets(self) -> tuple[str | None, tuple[str, ...]]:
        from organismctl.files.credentials import KEYS, secret_file
        from organismctl.files.secret import read_secret

        values = {}
        for key in KEYS:
            path = secret_file(self.deployment, key)
            if path is not None and path.exists():
                values[key] = read_secret(path).reveal()
        token = values.get("operate_token") or values.get("read_token")
        return token, tuple(values.values())


def _hashed_secret(deployment: Deployment, lock: Path) -> bytes | None:
    """``H(group secret)`` by the secret, else by the lock; ``None`` where neither is there."""
    from organismctl.files.credentials import secret_file
    from organismctl.files.lock import load_lock
    from organismctl.files.secret import read_secret
    from organismctl.identity.group_id import group_secret, secret_hash

    path = secret_file(deployment, "group")
    if path is not None and path.exists():
        return secret_hash(group_secret(read_secret(path).reveal()))
    return load_lock(lock).group_secret_hash if lock.exists() else None


def _limits(deployment: Deployment, config: OrganismConfig, wait_s: float) -> Limits:
    thresholds = deployment.thresholds
    return Limits(
        change_deadline_s=thresholds.change_deadline_ms / 1000,
        lead_time_s=thresholds.lead_time_ms / 1000,
        commit_lag=thresholds.commit_lag,
        probe_timeout_s=thresholds.probe_timeout_ms / 1000,
        linger_s=deployment.retire.linger_ms / 1000,
        period_s=config.driver.period_ms / 1000,
        wait_s=wait_s,
    )


class _RosterFile:
    """The ``roster`` flags of deployment.toml; see :class:`~organismctl.change.site.RosterFile`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Mapping[str, bool]:
        """See :meth:`RosterFile.read`."""
        from organismctl.files.deployment import load_deployment

        return {node.name: node.roster for node in load_deployment(self.path).nodes}

    def write(self, flags: Mapping[str, bool]) -> None:
        """See :meth:`RosterFile.write`."""
        from organismctl.files.deployment import parse_deployment
        from organismctl.files.edit import edit, set_roster

        now = self.read()
        edits = [set_roster(name, on=flag) for name, flag in flags.items() if now.get(name) is not flag]
        if edits:
            edit(self.path, *edits, validate=lambda text: parse_deployment(text, self.path))


class _Eyes:
    """Looks that need other parts of the tool; see :class:`~organismctl.change.site.Eyes`."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring

    def tickets_outlive(self, nodes: Sequence[str], until_ms: int) -> list[Verdict]:
        """See :meth:`Eyes.tickets_outlive`."""
        from organismctl.change.tickets import outlive

        return outlive(
            self.wiring.organism, self.wiring.deployment, nodes, self.wiring.asked.clock.now_ms(), until_ms
        )

    def tickets_expired(self, node: str, now_ms: int) -> bool | None:
        """See :meth:`Eyes.tickets_expired`."""
        from organismctl.change.tickets import expired

        return expired(self.wiring.organism, self.wiring.deployment, node, now_ms)

    def endings(self) -> list[Ending]:
        """See :meth:`Eyes.endings`."""
        from organismctl.change.outside import endings_of

        wiring = self.wiring
        genesis = wiring.config.genesis
        names = tuple(surface.name for surface in wiring.config.surfaces)
        ids = {
            name: wiring.identity.surface_ids[name] for name in names if name in wiring.identity.surface_ids
        }

        def look(node: Node) -> list[Ending]:
            try:
                with node.client() as client:
                    return endings_of(
                        node.name,
                        client,
                        fingerprint=wiring.identity.fingerprint,
                        surface_ids=ids,
                        genesis=None if genesis is None else genesis.roster,
                    )
            except OrganismError as exc:
                return [Ending(node.name, name, ok=False, detail=exc.message, seen=False) for name in names]

        return [ending for node in wiring.nodes.values() for ending in look(node)]

    def chronicle(self, where: str) -> Sequence[Mapping[str, Json]]:
        """See :meth:`Eyes.chronicle`."""
        return _entries(_fetch(where, self.wiring.deployment), where)


def _fetch(where: str, deployment: Deployment) -> bytes:
    if "://" not in where:
        path = deployment.resolve(where)
        try:
            with path.open("rb") as file:
                return file.read(MAX_CHRONICLE)
        except OSError as exc:
            raise UnreachableError(f"{path}: {exc.strerror}") from exc
    import httpx2

    try:
        with httpx2.stream("GET", where, timeout=deployment.thresholds.probe_timeout_ms / 1000) as answer:
            answer.raise_for_status()
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_CHRONICLE:
                    raise UnreachableError(f"{where}: longer than any Chronicle")
            return bytes(content)
    except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
        raise UnreachableError(f"{where}: {exc}") from exc


def _entries(raw: bytes, where: str) -> list[dict[str, Any]]:
    """``{"entries": [{"kind", "stable_id", "fingerprint", …}]}``; other entries are for others to read."""
    try:
        entries = parse_object(raw)["entries"]
    except (ValueError, KeyError) as exc:
        raise UnreachableError(f"{where}: what is there is no Chronicle") from exc
    found: Iterable[Any] = entries if isinstance(entries, list) else []
    return [entry for entry in found if isinstance(entry, dict)]


__all__ = ["Asked", "Wiring", "open_desk", "wire"]
