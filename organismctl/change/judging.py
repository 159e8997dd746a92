"""The findings that stand when a plan is made: what the checks of committee and tickets say of one fresh look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.files.organism import LoadedOrganism
    from organismctl.identity.config import Json

CHECKS = ("committee", "tickets")
LOOK_S = 10.0


def findings(
    organism: LoadedOrganism, deployment: Deployment, hashed_secret: bytes | None, now_ms: int
) -> list[dict[str, Json]]:
    """One row a finding, as plans keep them: code, status, subject, summary.

    Args:
        organism: organism.toml.
        deployment: deployment.toml.
        hashed_secret: ``H(group secret)``, or ``None``.
        now_ms: Unix ms.
    """
    from organismctl.check.run import kinds_of, run_scope
    from organismctl.check.scope import make_scope
    from organismctl.observe.look import observe
    from organismctl.observe.sources import sources_for

    looks = sources_for(kinds_of(CHECKS), organism, deployment)
    snapshot = observe(looks.sources, LOOK_S, then=looks.then)
    scope = make_scope(organism, snapshot, deployment, None, now_ms, secret_hash=hashed_secret)
    return [
        {"code": row.code, "status": row.status.value, "subject": row.subject, "summary": row.summary}
        for row in run_scope(CHECKS, scope)
    ]
