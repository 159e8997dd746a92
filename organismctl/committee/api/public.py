"""Open to everybody: health, surfaces, the roster's chain, the card."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from organismctl.committee.api.access import ServedNode
from organismctl.committee.api.faults import ApiError, answers
from organismctl.committee.api.limits import MAX_STREAMS
from organismctl.committee.api.models import ChainAnswer, HealthAnswer, ItemsAnswer, Seq, SurfacesAnswer
from organismctl.committee.node import status
from organismctl.committee.node.node import CommitteeNode
from organismctl.committee.strict import b64
from organismctl.identity.surface_item import decode_item

BEAT_S = 5.0
SLICE_S = 0.5
PAGE = 256
router = APIRouter(prefix="/v1", tags=["public"])


@router.get("/health", response_model=HealthAnswer, responses=answers())
async def health(node: ServedNode) -> dict[str, Any]:
    """Whether this node is well; says nothing about the committee."""
    return {"ok": node.stopped is None, "schema": 1, "sealed": node.state.sealed}


@router.get("/surfaces", response_model=SurfacesAnswer, responses=answers())
async def surfaces(node: ServedNode) -> dict[str, Any]:
    """The organism's surfaces as this node serves them."""
    return status.surfaces(node)


@router.get("/surfaces/{name}/items", response_model=ItemsAnswer, responses=answers(404, 422))
async def items(
    node: ServedNode,
    name: str,
    start: Annotated[Seq, Query(alias="from")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """Items from a seq on."""
    lane = _lane(node, name)
    found = node.publisher.items(lane, start, limit)
    sealed = node.publisher.sealed(lane)
    return {
        "items": [b64(data) for _, data in found],
        "next": found[-1][0] + 1 if found else start,
        "sealed": sealed and (found[-1][0] + 1 if found else start) >= node.publisher.next_seq[lane],
    }


@router.get(
    "/surfaces/{name}/follow",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
        **answers(404, 422, 503),
    },
)
async def follow(
    node: ServedNode, name: str, start: Annotated[Seq, Query(alias="from")] = 0
) -> StreamingResponse:
    """Items from a seq on, then live, a line each; an empty line each 5 s; ends after the marker."""
    lane = _lane(node, name)
    if node.streams >= MAX_STREAMS:
        raise ApiError(503, "busy", "too many surfaces are followed here", advice="follow another node")
    return StreamingResponse(_lines(node, lane, start), media_type="application/x-ndjson")


@router.get("/roster", response_model=ChainAnswer, responses=answers(503))
async def roster(node: ServedNode) -> dict[str, Any]:
    """The chain from the first roster to the present one, for a stranger to prove."""
    if not node.publisher.chain()[0]:
        raise ApiError(503, "busy", "this node has not fetched the ledger yet", advice="ask another node")
    return status.roster(node)


@router.get("/card", responses=answers())
async def card(node: ServedNode) -> dict[str, Any]:
    """How the organism names itself to a coalition."""
    return status.card(node)


def _lane(node: CommitteeNode, name: str) -> int:
    lane = node.publisher.lane(name)
    if lane is None:
        known = ", ".join(node.settings.machine.surfaces)
        raise ApiError(404, "not_found", "there is no such surface", advice=f"one of {known}")
    return lane


async def _lines(node: CommitteeNode, lane: int, seq: int) -> AsyncIterator[bytes]:
    publisher = node.publisher
    loop = asyncio.get_running_loop()
    node.streams += 1
    try:
        beat = loop.time()
        while not node.stop_asked.is_set():
            found = publisher.items(lane, seq, PAGE)
            for at, data in found:
                yield json.dumps({"seq": at, "item": b64(data)}, separators=(",", ":")).encode() + b"\n"
                if decode_item(data).retirement is not None:
                    return
            if found:
                seq = found[-1][0] + 1
                beat = loop.time()
                continue
            if publisher.sealed(lane) and seq >= publisher.next_seq[lane]:
                return
            if loop.time() - beat >= BEAT_S:
                beat = loop.time()
                yield b"\n"
            await _moved(node, lane, seq)
    finally:
        node.streams -= 1


async def _moved(node: CommitteeNode, lane: int, seq: int) -> None:
    publisher = node.publisher
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SLICE_S), publisher.moved:
            await publisher.moved.wait_for(lambda: publisher.next_seq[lane] > seq)
