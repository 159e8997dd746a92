"""The identity that the nodes run against the one that the files say, and their versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.finding import Finding, Status
from organismctl.check.values import listed, short, source

if TYPE_CHECKING:
    from organismctl.check.committee_view import View
    from organismctl.check.scope import Scope
    from organismctl.identity.config import Json

COMMITTEE = "committee"


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both identities, 64 hex each; ``None`` where one is not known."""

    fingerprint: str | None
    group_id: str | None

    def agrees(self, other: _Pair) -> bool:
        """Whether what both know is equal."""
        return _same(self.fingerprint, other.fingerprint) and _same(self.group_id, other.group_id)

    @property
    def shown(self) -> str:
        return f"{short(self.fingerprint)}/{short(self.group_id)}"


def _same(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def identity_rows(scope: Scope, view: View) -> Iterator[Finding]:
    """Nodes among each other, then all of them against the files; then versions."""
    running = {one.name: _Pair(told.fingerprint, told.group_id) for one, told in view.answering}
    if not running:
        yield finding("GROUP-FORKED", Status.UNKNOWN, COMMITTEE, "no node told its identity")
        return
    yield from _forked(view, running)
    yield from _deployed(scope, running)
    yield from _versions(view)


def _forked(view: View, running: dict[str, _Pair]) -> Iterator[Finding]:
    groups: dict[_Pair, list[str]] = {}
    for name, pair in running.items():
        groups.setdefault(pair, []).append(name)
    blind = [name for name, pair in running.items() if pair.group_id is None]
    for name in blind:
        seen = next(one for one in view.members if one.name == name)
        yield finding("GROUP-UNKNOWN", None, name, "the node has no group id: it lacks the group secret",
                      sources=source(seen.fact))  # fmt: skip
    pins = {pair.fingerprint for pair in groups}
    ids = {pair.group_id for pair in groups} - {None}
    values: dict[str, Json] = {"identities": {pair.shown: [*names] for pair, names in groups.items()}}
    if len(pins) > 1 or len(ids) > 1:
        shown = "; ".join(f"{pair.shown} on {listed(names)}" for pair, names in groups.items())
        yield finding(
            "GROUP-FORKED", Status.BAD, COMMITTEE, f"nodes run different identities: {shown}", values=values
        )
        return
    unseen = [one.name for one in view.members if one.name not in running]
    pair = next(iter(groups))
    if unseen:
        shown = f"{pair.shown} on those seen; not seen: {listed(unseen)}"
        yield finding("GROUP-FORKED", Status.UNKNOWN, COMMITTEE, shown, values=values)
    elif not blind:
        yield finding("GROUP-FORKED", Status.OK, COMMITTEE, f"{pair.shown} on every node", values=values)


def _deployed(scope: Scope, running: dict[str, _Pair]) -> Iterator[Finding]:
    """The running identity against organism.toml's, and against what the lock says is deployed."""
    if scope.identity is None:
        summary = scope.identity_unknown or "organism.toml's fingerprint is not known"
        yield finding("IDENTITY-UNDEPLOYED", Status.UNKNOWN, COMMITTEE, summary)
        return
    wanted = _Pair(scope.identity.fingerprint.hex(), scope.group_id.hex() if scope.group_id else None)
    odd = {name: pair for name, pair in running.items() if not wanted.agrees(pair)}
    values: dict[str, Json] = {"fingerprint": wanted.fingerprint, "group_id": wanted.group_id, "odd": [*odd]}
    if not odd:
        if wanted.group_id is None:
            yield finding("GROUP-UNKNOWN", None, COMMITTEE, scope.group_unknown or "it is not known here")
        yield finding(
            "IDENTITY-UNDEPLOYED", Status.OK, COMMITTEE, f"{wanted.shown} as computed", values=values
        )
        return
    pending = scope.lock is not None and scope.lock.next is not None
    deployed = scope.lock.deployed if scope.lock is not None else None
    old = None
    if deployed is not None:
        old = _Pair(deployed.fingerprint.hex(), deployed.group_id.hex() if deployed.group_id else None)
    if pending and old is not None and all(old.agrees(pair) for pair in odd.values()):
        summary = f"{old.shown} runs; the accepted {wanted.shown} is not deployed yet"
        yield finding("IDENTITY-UNDEPLOYED", Status.WARN, COMMITTEE, summary, values=values)
        return
    found = next(iter(odd.values())).shown
    summary = f"{listed([*odd])} run {found}, organism.toml gives {wanted.shown}"
    yield finding("IDENTITY-UNDEPLOYED", Status.BAD, COMMITTEE, summary, values=values)


def _versions(view: View) -> Iterator[Finding]:
    versions: dict[str, list[str]] = {}
    for one, told in view.answering:
        versions.setdefault(told.version, []).append(one.name)
    alike = len(versions) == 1
    shown = "; ".join(f"{version} on {listed(names)}" for version, names in versions.items())
    yield finding(
        "VERSION-SKEW", Status.OK if alike else Status.WARN, COMMITTEE,
        f"{next(iter(versions))} on every node that answers" if alike else shown,
        values={"versions": {version: [*names] for version, names in versions.items()}},
    )  # fmt: skip
