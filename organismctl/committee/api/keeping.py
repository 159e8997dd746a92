"""What a node keeps for people: tickets, and copies of changes' journals."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Path

from organismctl.committee.api.access import OPERATE, READ, ServedNode
from organismctl.committee.api.faults import ApiError, answers
from organismctl.committee.api.models import (
    ChangeAnswer,
    ChangeBody,
    ChangesAnswer,
    CountAnswer,
    InstalledAnswer,
    TicketBody,
    TicketsAnswer,
)
from organismctl.committee.node import status
from organismctl.committee.node.change_store import ContradictionError, FullError, MissingLinesError
from organismctl.committee.node.node import wall_ms
from organismctl.committee.strict import MalformedAnswerError, blob

router = APIRouter(prefix="/v1", tags=["keeping"])
ChangeId: TypeAlias = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


@router.get("/tickets", response_model=TicketsAnswer, responses=answers(401), dependencies=[READ])
async def tickets(node: ServedNode) -> dict[str, Any]:
    """The tickets that this node holds; never their bytes."""
    return await asyncio.to_thread(status.tickets, node)


@router.post(
    "/tickets",
    response_model=InstalledAnswer,
    responses=answers(401, 403, 413, 422),
    dependencies=[OPERATE],
)
async def install(node: ServedNode, body: TicketBody) -> dict[str, Any]:
    """Install a ticket for a spanned member; on mosaik it is published when this answers."""
    try:
        data = blob(body.data, "data")
    except MalformedAnswerError as exc:
        raise ApiError(422, "malformed", str(exc)) from exc
    ticket_id = await asyncio.to_thread(
        node.tickets.install, body.span, bytes.fromhex(body.class_), data, replace=body.replace
    )
    if node.mosaik is not None:
        await node.mosaik.publish()
    return {"ticket_id": ticket_id.hex()}


@router.get("/changes", response_model=ChangesAnswer, responses=answers(401), dependencies=[READ])
async def changes(node: ServedNode) -> dict[str, Any]:
    """The journal copies that this node keeps."""
    listed = await asyncio.to_thread(node.changes.listed)
    return {"changes": [{"id": one.id, "lines": one.lines, "updated_ms": one.updated_ms} for one in listed]}


@router.get(
    "/changes/{change}", response_model=ChangeAnswer, responses=answers(401, 404, 422), dependencies=[READ]
)
async def change_copy(node: ServedNode, change: ChangeId) -> dict[str, Any]:
    """One journal copy."""
    found = await asyncio.to_thread(node.changes.get, change)
    if found is None:
        raise ApiError(404, "not_found", "no copy of that change is here")
    return {"id": change, "plan": found[0], "lines": found[1]}


@router.post(
    "/changes/{change}",
    response_model=CountAnswer,
    responses=answers(401, 403, 409, 413, 422),
    dependencies=[OPERATE],
)
async def put_change(node: ServedNode, change: ChangeId, body: ChangeBody) -> dict[str, Any]:
    """Append lines of a journal; lines that are here already must be the same."""
    try:
        count = await asyncio.to_thread(
            node.changes.put, change, body.plan, body.from_, body.lines, wall_ms()
        )
    except ContradictionError as exc:
        raise ApiError(409, "contradiction", exc.message) from exc
    except MissingLinesError as exc:
        raise ApiError(409, "missing_lines", exc.message) from exc
    except FullError as exc:
        raise ApiError(413, "too_large", exc.message) from exc
    return {"lines": count}
