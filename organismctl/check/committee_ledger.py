"""The committee's ledger and rosters: who is behind, and whether all certified the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.committee_view import View
from organismctl.check.finding import Finding, Status
from organismctl.check.values import hex_id, listed, short, source, table, whole

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.deployment import Thresholds
    from organismctl.identity.config import Json

COMMITTEE = "committee"
Digests = dict[int, dict[str, tuple[str, str | None]]]
"""Height to node to (ledger digest, state digest)."""


def ledger_rows(scope: Scope, view: View, limits: Thresholds) -> Iterator[Finding]:
    """Lag per node, one digest at one height, one roster at one version, the wish and the certified."""
    yield from _lag(view, limits)
    yield _diverged(scope, view)
    yield from _rosters(view)
    yield from _wish(scope, view)


def _lag(view: View, limits: Thresholds) -> Iterator[Finding]:
    furthest = max((told.certified for _, told in view.answering), default=0)
    for one, told in view.answering:
        height = told.certified
        behind = furthest - height
        status = Status.BAD if behind > limits.commit_lag else Status.OK
        shown = f"certified {height}" + (f", {behind} behind" if behind else "")
        yield finding(
            "COMMIT-LAG", status, one.name, shown, values={"certified": height, "behind": behind},
            limits={"commit_lag": limits.commit_lag}, sources=source(one.fact),
        )  # fmt: skip


def digests_of(scope: Scope, view: View) -> Digests:
    """What each node holds at which height: its own certified one, and the common one that was asked for."""
    out: Digests = {}

    def put(name: str, height: int | None, digest: str | None, state: str | None) -> None:
        if height is not None and digest is not None:
            out.setdefault(height, {})[name] = (digest, state)

    for one, status in view.answering:
        put(one.name, status.certified, status.digest, status.state_digest)
        fact = scope.snapshot.get("node.digest", one.name)
        if fact is not None and fact.seen:
            told = table(fact.value)
            for one_told in (told, table(told.get("below"))):
                put(
                    one.name,
                    whole(one_told.get("height")),
                    hex_id(one_told.get("digest")),
                    hex_id(one_told.get("state_digest")),
                )
    return out


def sound_nodes(scope: Scope, view: View) -> frozenset[str]:
    """Nodes that hold one ledger with a majority of the roster, at the highest height at which one is seen."""
    members = {peer.name for peer in view.members}
    for _, row in sorted(digests_of(scope, view).items(), reverse=True):
        for names in _groups(row).values():
            if len(members.intersection(names)) >= view.needed:
                return frozenset(names)
    return frozenset()


def _diverged(scope: Scope, view: View) -> Finding:
    """Any height at which two nodes differ is a divergence; else the height that most nodes share is shown."""
    digests = digests_of(scope, view)
    for height in sorted(digests):
        groups = _groups(digests[height])
        if len(groups) > 1:
            shown = "; ".join(f"{listed(names)}: {short(digest)}" for digest, names in groups.items())
            return finding(
                "LEDGER-DIVERGED", Status.BAD, COMMITTEE, f"different ledgers at height {height}: {shown}",
                values={"height": height, "digests": {digest: [*names] for digest, names in groups.items()}},
            )  # fmt: skip
        if (states := _state_groups(digests[height])) and len(states) > 1:
            shown = "; ".join(f"{listed(names)}: {short(digest)}" for digest, names in states.items())
            return finding(
                "LEDGER-DIVERGED", Status.BAD, COMMITTEE, f"one ledger, different states at height {height}: {shown}",
                values={"height": height, "state_digests": {digest: [*names] for digest, names in states.items()}},
            )  # fmt: skip
    return _alike(view, digests)


def _alike(view: View, digests: Digests) -> Finding:
    size = len(view.members)
    if not digests:
        return finding("LEDGER-DIVERGED", Status.UNKNOWN, COMMITTEE, "no node told a digest")
    height = max(digests, key=lambda one: (len(digests[one]), one))
    names = list(digests[height])
    digest = next(iter(digests[height].values()))[0]
    values: dict[str, Json] = {"height": height, "digest": digest, "compared": [*names]}
    if len(names) == size:
        shown = f"{short(digest)} at height {height} on all {size}"
        return finding("LEDGER-DIVERGED", Status.OK, COMMITTEE, shown, values=values)
    shown = f"{len(names)} of {size} compared at height {height}"
    return finding("LEDGER-DIVERGED", Status.UNKNOWN, COMMITTEE, shown, values=values)


def _groups(row: Mapping[str, tuple[str, str | None]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, (digest, _) in row.items():
        groups.setdefault(digest, []).append(name)
    return groups


def _state_groups(row: Mapping[str, tuple[str, str | None]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, (_, state) in row.items():
        if state is not None:
            groups.setdefault(state, []).append(name)
    return groups


def _rosters(view: View) -> Iterator[Finding]:
    """One version has one roster on every node."""
    newest = {peer.peer_id for peer in view.members}
    for one, told in view.answering:
        version = told.roster_version
        if view.roster_version is not None and version < view.roster_version:
            status, shown = Status.WARN, f"version {version}, the newest is {view.roster_version}"
        elif told.roster.keys() != newest:
            status, shown = Status.BAD, f"other members under the same version {version}"
        else:
            status, shown = Status.OK, f"version {version}"
        values: dict[str, Json] = {"version": version}
        if status is not Status.OK:
            values["members"] = [*told.roster]
        yield finding(
            "ROSTER-DISAGREE", status, one.name, shown, values=values,
            sources=source(one.fact),
        )  # fmt: skip


def _wish(scope: Scope, view: View) -> Iterator[Finding]:
    """The file's wish against the certified roster."""
    nodes = scope.deployment.nodes if scope.deployment else ()
    wished = {node.peer_id.hex(): node.name for node in nodes if node.roster}
    if view.roster_version is None:
        yield finding("ROSTER-DRIFT", Status.UNKNOWN, COMMITTEE, "no node told the certified roster")
        return
    certified = {one.peer_id: one for one in view.members}
    missing = [name for peer, name in wished.items() if peer not in certified]
    extra = [one.name for peer, one in certified.items() if peer not in wished]
    if not missing and not extra:
        shown = f"version {view.roster_version}, as wished"
        yield finding("ROSTER-DRIFT", Status.OK, COMMITTEE, shown, values={"version": view.roster_version})
        return
    parts = [f"wished but not certified: {listed(missing)}"] if missing else []
    parts += [f"certified but not wished: {listed(extra)}"] if extra else []
    yield finding(
        "ROSTER-DRIFT", Status.BAD, COMMITTEE, "; ".join(parts),
        values={"version": view.roster_version, "missing": [*missing], "extra": [*extra]},
    )  # fmt: skip
