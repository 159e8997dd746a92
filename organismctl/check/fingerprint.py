"""Check ``fingerprint``: organism.toml against organism.lock. Needs neither network nor deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from organismctl.check.codes import finding
from organismctl.check.drift import FieldDrift, field_drift, verdict, who
from organismctl.check.finding import Finding, Place, SourceRef, Status
from organismctl.check.scope import Scope
from organismctl.check.values import listed, short
from organismctl.identity.fingerprint import field_digests

if TYPE_CHECKING:
    from organismctl.files.lock import LockFile, Stanza
    from organismctl.identity.config import Json
    from organismctl.identity.fingerprint import Identity

SUBJECT, GROUP = "fingerprint", "group id"


def check_fingerprint(scope: Scope) -> list[Finding]:
    """Drift per field with its line, which identity moves, who must act, and the verdict for integrators."""
    return [*_identities(scope), *_fixed_surfaces(scope)]


def _identities(scope: Scope) -> Iterator[Finding]:
    if scope.identity is None:
        yield finding(
            "FINGERPRINT-UNKNOWN", None, SUBJECT, scope.identity_unknown or "it cannot be computed",
            place=Place(scope.organism.file, scope.organism.line("identity")),
        )  # fmt: skip
        return
    stanza = scope.lock.baseline() if scope.lock else None
    if scope.lock is None or stanza is None:
        name = scope.lock.file if scope.lock else "organism.lock"
        yield finding(
            "LOCK-MISSING", None, SUBJECT,
            f"{name} accepts no identity; organism.toml has fingerprint {short(scope.identity.fingerprint)}",
            values={"fingerprint": scope.identity.fingerprint.hex()}, place=Place(scope.organism.file),
        )  # fmt: skip
        return
    yield from _against(scope, scope.lock, stanza, scope.identity)
    if scope.lock.next is not None and scope.lock.deployed is not None:
        yield finding(
            "LOCK-PENDING", None, SUBJECT,
            f"{short(scope.lock.next.fingerprint)} is accepted, {short(scope.lock.deployed.fingerprint)} is deployed",
            values=_stanza_values(scope.lock.next), sources=(SourceRef(scope.lock.file),),
        )  # fmt: skip


def _stanza_values(stanza: Stanza) -> dict[str, Json]:
    return {
        "fingerprint": stanza.fingerprint.hex(),
        "group_id": stanza.group_id.hex() if stanza.group_id else None,
        "accepted_by": stanza.accepted_by,
        "accepted_at": stanza.accepted_at.isoformat(),
        "reason": stanza.reason,
        "announcement": stanza.announcement,
    }


def _against(scope: Scope, lock: LockFile, stanza: Stanza, identity: Identity) -> Iterator[Finding]:
    moved = identity.fingerprint != stanza.fingerprint
    drifts = field_drift(scope.organism, stanza.field_digests(), _digests(scope))
    pin = [one for one in drifts if "fingerprint" in one.moves]
    group = [one for one in drifts if one.moves == ("group_id",)]
    if moved:
        yield _moved(scope, lock, stanza, identity, pin)
        yield from (_field(one) for one in pin)
    elif pin and identity.scheme != "organismctl/1":
        yield finding(
            "FINGERPRINT-DRIFT", Status.WARN, SUBJECT,
            f"fields moved ({listed([one.path for one in pin])}) under one fingerprint of scheme {identity.scheme}",
            values={"fields": [one.path for one in pin]}, place=pin[0].place,
        )  # fmt: skip
    else:
        yield finding(
            "FINGERPRINT-DRIFT", Status.OK, SUBJECT,
            f"{short(identity.fingerprint)} as accepted by {stanza.accepted_by}",
            values={"fingerprint": identity.fingerprint.hex(), "verdict": "none"},
            limits={"fingerprint": stanza.fingerprint.hex()}, sources=(SourceRef(lock.file),),
        )  # fmt: skip
    yield _group(scope, lock, stanza, group, moved=moved)
    yield from (_group_field(one) for one in group)


def _digests(scope: Scope) -> dict[str, str]:
    """Field digests; nothing when a declared organism's parameters have no form of ours."""
    try:
        return field_digests(scope.organism.config)
    except ValueError:
        return {}


def _moved(
    scope: Scope, lock: LockFile, stanza: Stanza, identity: Identity, pin: Sequence[FieldDrift]
) -> Finding:
    acting = who(fingerprint=True, group=True)
    said = verdict(pin) if pin else "rebuild"  # declared anew, with no field to show for it
    names = listed([one.path for one in pin]) if pin else "the declared fingerprint"
    return finding(
        "FINGERPRINT-DRIFT", Status.BAD, SUBJECT,
        f"{short(stanza.fingerprint)} is accepted, organism.toml gives {short(identity.fingerprint)}: {names}; "
        f"integrators: {said}; must act: {', '.join(acting)}",
        values={
            "fingerprint": identity.fingerprint.hex(),
            "fields": [one.path for one in pin],
            "moves": ["fingerprint", "group_id"],
            "verdict": said,
            "who": list(acting),
        },
        limits={"fingerprint": stanza.fingerprint.hex()},
        sources=(SourceRef(lock.file),),
        place=pin[0].place if pin else Place(scope.organism.file, scope.organism.line("identity")),
    )  # fmt: skip


def _field(one: FieldDrift) -> Finding:
    moves, said = "fingerprint and group id", verdict([one])
    return finding(
        "FINGERPRINT-DRIFT", Status.BAD, one.path, f"{one.change}; moves {moves}; integrators: {said}",
        values={"change": one.change, "moves": list(one.moves), "verdict": said,
                "who": list(who(fingerprint=True, group=True))},
        place=one.place,
    )  # fmt: skip


def _group_field(one: FieldDrift) -> Finding:
    return finding(
        "GROUP-DRIFT", Status.BAD, one.path, f"{one.change}; moves the group id alone; integrators: none",
        values={"change": one.change, "moves": list(one.moves), "verdict": "none",
                "who": list(who(fingerprint=False, group=True))},
        place=one.place,
    )  # fmt: skip


def _group(
    scope: Scope, lock: LockFile, stanza: Stanza, group: Sequence[FieldDrift], *, moved: bool
) -> Finding:
    acting = who(fingerprint=moved, group=True)
    values: dict[str, Json] = {
        "group_id": scope.group_id.hex() if scope.group_id else None,
        "moves": ["group_id"],
        "who": [*acting],
    }
    limits: dict[str, Json] = {"group_id": stanza.group_id.hex() if stanza.group_id else None}
    place = group[0].place if group else None
    refs = (SourceRef(lock.file),)
    if moved or group:
        why = "with the fingerprint" if moved else f"by {listed([one.path for one in group])}"
        shown = f"{short(stanza.group_id)} is accepted, now {short(scope.group_id)}"
        return finding("GROUP-DRIFT", Status.BAD, GROUP, f"{shown}: it moves {why}; must act: {', '.join(acting)}",
                       values=values, limits=limits, sources=refs, place=place)  # fmt: skip
    if scope.group_id is None or stanza.group_id is None:
        reason = scope.group_unknown or stanza.group_id_unknown or "the lock accepted none"
        return finding("GROUP-UNKNOWN", None, GROUP, reason, values=values, limits=limits, sources=refs)
    if scope.group_id != stanza.group_id:
        shown = f"{short(stanza.group_id)} is accepted, now {short(scope.group_id)}"
        return finding("GROUP-DRIFT", Status.BAD, GROUP, f"{shown}: no public input moved, so the group secret did; "
                       f"must act: {', '.join(acting)}", values=values, limits=limits, sources=refs)  # fmt: skip
    summary = f"{short(scope.group_id)} as accepted by {stanza.accepted_by}"
    return finding("GROUP-DRIFT", Status.OK, GROUP, summary, values=values, limits=limits, sources=refs)


def _fixed_surfaces(scope: Scope) -> Iterator[Finding]:
    for index, surface in enumerate(scope.organism.config.surfaces):
        if surface.explicit_id is not None:
            yield finding(
                "SURFACE-ID-FIXED", None, f"surface {surface.name}",
                f"its id {short(surface.explicit_id)} is given and will not move with the fingerprint",
                values={"id": surface.explicit_id.hex()},
                place=Place(scope.organism.file, scope.organism.line(f"surface[{index}].id")),
            )  # fmt: skip
