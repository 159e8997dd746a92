"""The identity table: what the organism is, what was accepted, and what it pins of each spanned member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from organismctl.check.finding import Finding, Status
from organismctl.report.model import ORDER

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.files.lock import Stanza

_IDENTITY_CODES = ("SPAN-", "ANSWER-MALFORMED")


def identity_json(scope: Scope, findings: Sequence[Finding]) -> dict[str, Any]:
    """JSON-ready: our own identities beside those of organism.lock, and each spanned member's."""
    config, identity = scope.organism.config, scope.identity
    return {
        "scheme": config.identity.scheme,
        "network": config.network.hex(),
        "stable_id": identity.stable_id.hex() if identity and identity.stable_id else None,
        "surfaces": [
            {"name": one.name, "type": one.type, "id": _surface_id(scope, one.name)}
            for one in config.surfaces
        ],
        "deployed": _stanza(scope.lock.deployed) if scope.lock else None,
        "next": _stanza(scope.lock.next) if scope.lock else None,
        "spans": [
            {
                "name": member.name,
                "kind": member.kind,
                "stable_id": member.stable_id.hex(),
                "content_hash": member.content_hash.hex() if member.content_hash else None,
                **_judged(member.name, findings),
            }
            for member in config.span
        ],
    }


def _surface_id(scope: Scope, name: str) -> str | None:
    found = scope.identity.surface_ids.get(name) if scope.identity else None
    return found.hex() if found else None


def _stanza(stanza: Stanza | None) -> dict[str, Any] | None:
    if stanza is None:
        return None
    return {
        "fingerprint": stanza.fingerprint.hex(),
        "group_id": stanza.group_id.hex() if stanza.group_id else None,
        "accepted_by": stanza.accepted_by,
        "accepted_at": stanza.accepted_at.isoformat(),
        "reason": stanza.reason,
    }


def _judged(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The worst of what was found about its identity, and that in one line."""
    told = [row for row in findings if row.subject == name and row.code.startswith(_IDENTITY_CODES)]
    if not told:
        return {"status": Status.UNKNOWN.value, "summary": "nothing was judged"}
    worst = min(told, key=lambda row: ORDER.index(row.status))
    said = "as pinned" if worst.status is Status.OK else worst.summary
    return {"status": worst.status.value, "summary": said}
