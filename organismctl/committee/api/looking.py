"""With the read scope: status, config, subscriptions, log, evidence, metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from organismctl.committee.api.access import READ, ServedNode
from organismctl.committee.api.faults import ApiError, answers
from organismctl.committee.api.models import (
    ConfigAnswer,
    DigestAnswer,
    EvidenceAnswer,
    LogAnswer,
    Seq,
    SubscriptionsAnswer,
)
from organismctl.committee.command import CommandError, command_to_json, decode_command
from organismctl.committee.ledger.entry import Entry
from organismctl.committee.node import status

router = APIRouter(prefix="/v1", tags=["looking"], dependencies=[READ])


@router.get("/status", responses=answers(401))
async def node_status(node: ServedNode) -> dict[str, Any]:
    """NodeStatus."""
    return status.node_status(node)


@router.get("/config", response_model=ConfigAnswer, responses=answers(401))
async def config(node: ServedNode) -> dict[str, Any]:
    """What the node was started with."""
    settings = node.settings
    return {
        "fingerprint": settings.identity.fingerprint.hex(),
        "group_id": None if settings.group_id is None else settings.group_id.hex(),
        "fields": dict(settings.fields),
    }


@router.get("/subscriptions", response_model=SubscriptionsAnswer, responses=answers(401))
async def subscriptions(node: ServedNode) -> dict[str, Any]:
    """Subscriptions, each by itself."""
    return status.subscriptions(node)


@router.get("/log", response_model=LogAnswer, responses=answers(401, 422))
async def log(
    node: ServedNode,
    start: Annotated[Seq, Query(alias="from")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Certified entries from a height on."""
    found = await node.entries(start, limit)
    return {"entries": [_entry(entry) for entry in found], "certified": node.runner.certified}


@router.get("/log/digest", response_model=DigestAnswer, responses=answers(401, 404, 422))
async def log_digest(node: ServedNode, at: Annotated[Seq, Query()]) -> dict[str, Any]:
    """The digests at a height."""
    found = await node.entries(at, 1) if at <= node.runner.certified else []
    if not found:
        raise ApiError(404, "not_found", "that height is not certified here")
    state = node.applier.fold.digest_at(at)
    return {
        "height": at,
        "digest": found[0].digest.hex(),
        "state_digest": None if state is None else state.hex(),
    }


@router.get("/evidence", response_model=EvidenceAnswer, responses=answers(401, 422))
async def evidence(node: ServedNode, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> dict[str, Any]:
    """The newest observations' evidence."""
    return status.evidence(node, limit)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **answers(401)},
)
async def metrics(node: ServedNode) -> PlainTextResponse:
    """Prometheus' text format."""
    from organismctl.committee.api.metrics import CONTENT_TYPE, render

    return PlainTextResponse(render(node), media_type=CONTENT_TYPE)


def _entry(entry: Entry) -> dict[str, Any]:
    try:
        command: dict[str, Any] = dict(command_to_json(decode_command(entry.command)))
    except CommandError as exc:
        command = {"type": "malformed", "reason": exc.message}
    return {
        "height": entry.height,
        "epoch": entry.epoch.number,
        "digest": entry.digest.hex(),
        "command": command,
    }
