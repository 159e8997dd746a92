"""What a retirement looks at, and the document that announces it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organismctl.change.canonical import canonical, clean, digest, iso, parse_object
from organismctl.change.errors import JournalError
from organismctl.change.fleet import Survey
from organismctl.change.site import Site
from organismctl.change.step import Probe
from organismctl.errors import InputError, UnreachableError
from organismctl.identity.roster import majority

if TYPE_CHECKING:
    from organismctl.identity.config import Json

RETIRED = "OrganismRetired"
"""The Chronicle's entry kind."""
ALLOWANCE_S = 60.0
"""How long after the moment a seal may take before it is called a stall: ticks, elections, catching up."""


def _moment(text: str) -> Any:
    from organismctl.committee.codec import FieldError
    from organismctl.committee.moment import parse_moment

    try:
        return parse_moment(text)
    except FieldError as exc:
        raise InputError(f"--effective-at {text[:80]!r}: {exc}") from exc


def effective(text: str) -> tuple[int | None, int | None]:
    """A moment's wall-clock time (Unix ms; of a tick: its fallback) and tick number.

    Raises:
        InputError: It is not a moment.
    """
    moment = _moment(text)
    return moment.unix_ms, moment.tick


def with_fallback(text: str, *, fallback: str | None, ticks: int, period_s: float, now_ms: int) -> str:
    """A moment in full: a tick gets the wall-clock time at which the seal comes even if ticks stop.

    Args:
        text: What the operator typed.
        fallback: The fallback that they gave, or ``None``: a day after the tick is expected.
        ticks: The present tick number.
        period_s: The period of a tick.
        now_ms: Unix ms.

    Raises:
        InputError: It is not a moment.
    """
    from organismctl.committee.moment import time_text

    moment = _moment(text)
    if moment.tick is None or moment.unix_ms is not None:
        return str(moment)
    if fallback is not None:
        return str(_moment(f"tick:{moment.tick} or {fallback}"))
    expected = now_ms + round(max(0, moment.tick - ticks) * period_s * 1000)
    return f"tick:{moment.tick} or {time_text((expected + 86_400_000) // 1000 * 1000)}"


def untimely(site: Site, moment: str, parameters: Mapping[str, Json]) -> list[str]:
    """Why the moment may not be scheduled: it is past, or integrators would get too little notice.

    Args:
        site: The organism.
        moment: The moment in full.
        parameters: ``ticks_now``: the tick number at planning, when it was known.
    """
    ticks = parameters.get("ticks_now")
    if _is_past(site, moment, ticks if isinstance(ticks, int) else None):
        return [_past(moment)]
    return _owed(site, moment, parameters)


def still_ahead(site: Site, moment: str) -> Probe:
    """Whether a moment that is about to be certified is still to come; the change may have been left for days.

    Args:
        site: The organism.
        moment: The moment in full.
    """
    latest = site.fleet.survey().latest
    if _is_past(site, moment, None if latest is None else latest.ticks):
        return Probe.no(
            _past(moment),
            advice="`organismctl change abort` ends this change; plan it anew with a later moment",
        )
    return Probe.yes(f"{moment} is still to come")


def _is_past(site: Site, moment: str, ticks: int | None) -> bool:
    """Whether a moment is there already, by the wall clock or by the tick number where that is known."""
    at_ms, tick = effective(moment)
    reached = tick is not None and ticks is not None and tick <= ticks
    return reached or (at_ms is not None and at_ms <= site.now_ms())


def _past(moment: str) -> str:
    return f"{moment} is past: the organism would be sealed at once, and that cannot be taken back"


def _owed(site: Site, moment: str, parameters: Mapping[str, Json]) -> list[str]:
    """Why integrators would get too little notice: nothing, or one sentence.

    Args:
        site: The organism.
        moment: The moment in full.
        parameters: ``ticks_now``: the tick number at planning, when it was known.
    """
    at_ms, tick = effective(moment)
    lead_s = site.limits.lead_time_s
    now = site.now_ms()
    expected, ticks = at_ms, parameters.get("ticks_now")
    if tick is not None and isinstance(ticks, int):
        expected = now + round(max(0, tick - ticks) * site.limits.period_s * 1000)
    elif tick is not None and lead_s > 0:
        return ["no node tells its tick number, so the notice that integrators get is unknown; give a time"]
    if not lead_s or expected is None or expected >= now + round(lead_s * 1000):
        return []
    earliest = when(now + round(lead_s * 1000))
    return [
        f"integrators are owed {lead_s / 3600:.1f} h notice (thresholds.lead_time): not before {earliest}"
    ]


def announcement(site: Site, parameters: Mapping[str, Json], *, kind: str) -> dict[str, Json]:
    """The document: what happens, when, and what an integrator does.

    Args:
        site: The organism.
        parameters: ``effective_at``, ``replacement``, ``reason``.
        kind: ``retirement``, ``retirement-amended`` or ``retirement-cancelled``.
    """
    replacement = parameters.get("replacement")
    todo = {
        "retirement": "Stop at the marker: it is the last item of every surface."
        + (f" Move to {replacement}." if replacement else " There is no replacement."),
        "retirement-amended": "This replaces the earlier notice of this change.",
        "retirement-cancelled": "The earlier notice of this change is void; the organism goes on.",
    }[kind]
    return {
        "schema": 1,
        "kind": kind,
        "change": site.change,
        "organism": site.organism,
        "fingerprint": site.fingerprint,
        "group_id": site.group_id,
        "stable_id": site.stable_id,
        "surfaces": list(site.surfaces),
        "effective_at": parameters.get("effective_at"),
        "replacement": replacement,
        "reason": parameters.get("reason") or "",
        "what_to_do": todo,
        "channel": site.channel,
    }


def write_announcement(path: Path, document: Mapping[str, Json]) -> None:
    """Write the document, whole or not at all.

    Raises:
        JournalError: It cannot be written.
    """
    import os

    from organismctl.change.journal import fsync_folder

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(canonical(document) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as exc:
        raise JournalError(f"{path}: cannot be written ({exc.strerror}); nothing further is done") from exc


def announced(path: Path, document: Mapping[str, Json]) -> Probe:
    """Whether that very document is there."""
    try:
        found = parse_object(path.read_bytes())
    except (OSError, ValueError):
        return Probe.wait(f"no announcement at {path}", blocker=str(path))
    if found != dict(document):
        return Probe.wait(f"{path} says something else", blocker=str(path))
    return Probe.yes(f"announcement {digest(canonical(dict(document)))[:10]} at {path}")


def scheduled(survey: Survey) -> Mapping[str, Any] | None:
    """The certified schedule by the node that has certified most, or ``None``."""
    return survey.latest.retirement if survey.latest is not None else None


def is_scheduled(survey: Survey) -> Probe:
    """Whether a majority of the roster has the schedule, or the seal came already."""
    latest = survey.latest
    if latest is None:
        return Probe.wait("no node answers", blocker="all nodes")
    if survey.sealed:
        return Probe.yes("the organism is sealed already")
    if latest.retirement is None:
        return Probe.wait("no retirement is scheduled", blocker=latest.name)
    same = [node for node in survey.seen.values() if node.retirement == latest.retirement]
    need = majority(len(latest.roster))
    if len(same) < need:
        return Probe.wait(f"{len(same)} of {need} nodes have the schedule")
    return Probe.yes(
        f"scheduled for {clean(str(latest.retirement.get('effective_at')), 80)} on {len(same)} nodes"
    )


def date_has_come(site: Site, survey: Survey) -> Probe:
    """Whether the moment is there: sealed, or past by the wall clock. Parks when it is far off."""
    if survey.sealed:
        return Probe.yes("the seal is certified")
    latest = survey.latest
    if latest is None:
        return Probe.wait("no node answers", blocker="all nodes")
    if latest.retirement is None:
        return Probe.no(
            "no retirement is scheduled any more: it was cancelled",
            advice="`organismctl change abort` ends this change",
        )
    text = clean(str(latest.retirement.get("effective_at")), 120)
    return due(site, text, latest.ticks)


def due(site: Site, text: str, ticks: int | None) -> Probe:
    """Whether a moment is there; parks when it is further off than is waited for.

    Args:
        site: The organism.
        text: The moment.
        ticks: The present tick number, when it is known.
    """
    at_ms, tick = effective(text)
    now = site.now_ms()
    if at_ms is not None and now >= at_ms:
        return Probe.yes(f"{text} is there")
    expected = [] if at_ms is None else [at_ms]
    if tick is not None and ticks is not None:
        # How long it takes at least; that it is there is only for the machine to say, by the seal.
        expected.append(now + round(max(0, tick - ticks) * site.limits.period_s * 1000))
    until = min(expected, default=None)
    left_s = 0.0 if until is None else (until - now) / 1000
    if left_s > site.limits.wait_s:
        return Probe.park(text, until, advice="`organismctl change resume` goes on when the date is there")
    return Probe.wait(f"{text} is {left_s:.0f} s away", blocker="the date")


def is_sealed(site: Site, survey: Survey) -> Probe:
    """Whether every node that answers has the certified seal, and a majority of the roster is among them."""
    open_ = sorted(node.name for node in survey.seen.values() if not node.sealed)
    sealed = [node for node in survey.seen.values() if node.sealed and node.peer_id in survey.roster]
    need = majority(len(survey.roster)) if survey.roster else 1
    if open_ or len(sealed) < need:
        missing = open_ or sorted(survey.unseen)
        return Probe.wait(
            f"{len(sealed)} of {len(survey.roster)} nodes are sealed", blocker=", ".join(missing)
        )
    return Probe.yes(f"sealed on all {len(sealed)} nodes that answer ({site.organism})")


def marker_is_last(site: Site) -> Probe:
    """Whether an integrator finds the marker as the last item of every surface, on every node."""
    endings = site.eyes.endings()
    seen = [ending for ending in endings if ending.seen]
    wrong = [ending for ending in seen if not ending.ok]
    if not seen:
        return Probe.wait("no surface could be read", blocker="all nodes")
    if wrong:
        first = wrong[0]
        return Probe.wait(f"{first.node}: {first.surface}: {first.detail}", blocker=first.node)
    missing = sorted({*site.surfaces} - {ending.surface for ending in seen})
    if missing:
        return Probe.wait(f"surface {missing[0]} could not be read anywhere", blocker=missing[0])
    lasts = {(ending.surface, ending.last_seq) for ending in seen}
    if len(lasts) > len(site.surfaces):
        return Probe.wait("the nodes end at different seqs", blocker="diverged")
    told = ", ".join(f"{surface} at seq {last}" for surface, last in sorted(lasts, key=str))
    return Probe.yes(
        f"the marker is the last item, certified from [genesis]: {told}, on {len(seen)} readings"
    )


def in_chronicles(site: Site) -> Probe:
    """Whether every coalition's Chronicle has the retirement; parks until people have entered it."""
    waiting = []
    kept = [coalition for coalition in site.coalitions if coalition.chronicle]
    for coalition in kept:
        try:
            entries = site.eyes.chronicle(str(coalition.chronicle))
        except UnreachableError as exc:
            return Probe.wait(f"the Chronicle of {coalition.name}: {exc.message}", blocker=coalition.name)
        if not any(_is_ours(site, entry) for entry in entries):
            waiting.append(f"{coalition.name} (contact {coalition.contact or 'unknown'})")
    if waiting:
        return Probe.park(
            f"{RETIRED} in the Chronicle of {', '.join(waiting)}",
            advice="ask them to enter it; `organismctl change resume` looks again",
        )
    if not kept:
        return Probe.yes("no coalition keeps a Chronicle for us")
    return Probe.yes(f"{RETIRED} stands in {', '.join(coalition.name for coalition in kept)}")


def _is_ours(site: Site, entry: Mapping[str, Json]) -> bool:
    ours = {site.fingerprint, site.stable_id} - {None}
    return entry.get("kind") == RETIRED and bool(
        ours & {str(entry.get("fingerprint")), str(entry.get("stable_id"))}
    )


def slug(text: str) -> str:
    """A node's name as part of a step's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def when(ms: int) -> str:
    """A date for people."""
    return iso(ms)[:19] + "Z"
