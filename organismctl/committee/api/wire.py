"""Open to everybody: what a node on mosaik knows of its network, for whoever cannot ask it over UDP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from organismctl.committee.api.access import ServedNode
from organismctl.committee.api.faults import ApiError, answers
from organismctl.committee.api.models import CatalogAnswer
from organismctl.committee.strict import b64
from organismctl.errors import OrganismError

router = APIRouter(prefix="/v1/wire", tags=["public"])


@router.get("/catalog", response_model=CatalogAnswer, responses=answers(404, 503))
async def catalog(node: ServedNode) -> dict[str, Any]:
    """Every signed peer entry that this node knows: what any peer gets of it by a catalog sync."""
    if node.mosaik is None:
        raise ApiError(404, "not_found", "this node is on the loopback carrier, so it has no catalog")
    try:
        return {"catalog": b64(node.mosaik.network.catalog())}
    except OrganismError as exc:
        raise ApiError(503, "busy", exc.message, advice="ask another node") from exc
