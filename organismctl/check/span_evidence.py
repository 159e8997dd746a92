"""The retention that a spanned member's surface leaves to our evidence: until when the oldest pointer resolves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.check.scope import Scope
    from organismctl.check.span_view import SurfaceView


def lost_at_ms(scope: Scope, view: SurfaceView) -> int | None:  # noqa: ARG001 # projected from span.evidence
    """When the oldest pointer into a surface is projected to be lost upstream, Unix ms; ``None``: not known."""
    return None
