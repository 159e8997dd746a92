"""With the operate scope: commands, drain, hand-over, retirement, stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from organismctl.committee.api.access import OPERATE, ServedNode
from organismctl.committee.api.faults import ApiError, answers
from organismctl.committee.api.models import (
    AppendBody,
    AppendedAnswer,
    CancelBody,
    DrainBody,
    ProposerAnswer,
    RetireBody,
    StopBody,
    StoppingAnswer,
)
from organismctl.committee.codec import FieldError
from organismctl.committee.command import (
    Amend,
    Barrier,
    Cancel,
    Command,
    CommandError,
    Drain,
    Genesis,
    Roster,
    Schedule,
    command_from_json,
    encode_command,
)
from organismctl.committee.ledger.effects import Certified, Outcome, Reason, Refused
from organismctl.committee.machine import LeaseRefused, effect_to_json, refusal
from organismctl.committee.moment import Moment, parse_moment
from organismctl.committee.node.door import Declined, Done
from organismctl.committee.node.node import CommitteeNode

router = APIRouter(prefix="/v1", tags=["acting"], dependencies=[OPERATE])
_ERRORS = answers(401, 403, 409, 413, 422, 503, 504)
_BRING_BACK = "bring nodes back until a majority of the roster answers, then repeat"


@router.post("/ledger/append", response_model=AppendedAnswer, responses=_ERRORS)
async def append(node: ServedNode, body: AppendBody) -> dict[str, Any]:
    """Certify a command; the same request id is never applied twice."""
    try:
        command = command_from_json(body.command)
    except CommandError as exc:
        raise ApiError(422, "malformed", exc.message, advice=exc.advice) from exc
    if isinstance(command, Genesis | Barrier):
        raise ApiError(422, "malformed", "that is the ledger's own entry, not a command to ask for")
    if body.request_id is not None and not isinstance(command, Roster):
        command = replace(command, request_id=body.request_id)
    return await _certify(node, command)


@router.post("/drain", response_model=AppendedAnswer, responses=_ERRORS)
async def drain(node: ServedNode, body: DrainBody) -> dict[str, Any]:
    """Certify a Drain; a drained proposer hands over."""
    command = Drain(
        peer_id=bytes.fromhex(body.node), drained=body.drained, fence=body.fence, request_id=body.request_id
    )
    return await _certify(node, command)


@router.post("/step-down", response_model=ProposerAnswer, responses=_ERRORS)
async def step_down(node: ServedNode, body: StopBody) -> dict[str, Any]:  # noqa: ARG001 # an empty body
    """Hand the proposer's role over, when this node has it."""
    proposer = await node.step_down()
    return {"proposer": None if proposer is None else proposer.hex()}


@router.post("/retire", response_model=AppendedAnswer, responses=_ERRORS)
async def retire(node: ServedNode, body: RetireBody) -> dict[str, Any]:
    """Schedule the retirement."""
    return await _certify(node, Schedule(effective_at=_moment(body.effective_at), **_rest(body)))


@router.post("/retire/amend", response_model=AppendedAnswer, responses=_ERRORS)
async def amend(node: ServedNode, body: RetireBody) -> dict[str, Any]:
    """Replace the scheduled retirement as a whole."""
    return await _certify(node, Amend(effective_at=_moment(body.effective_at), **_rest(body)))


@router.post("/retire/cancel", response_model=AppendedAnswer, responses=_ERRORS)
async def cancel(node: ServedNode, body: CancelBody) -> dict[str, Any]:
    """Cancel the scheduled retirement."""
    return await _certify(node, Cancel(reason=body.reason, fence=body.fence, request_id=body.request_id))


@router.post("/stop", response_model=StoppingAnswer, responses=_ERRORS)
async def stop(node: ServedNode, body: StopBody) -> dict[str, Any]:  # noqa: ARG001 # an empty body
    """Stop this node's process in order."""
    node.stop_asked.set()
    return {"stopping": True}


def _rest(body: RetireBody) -> dict[str, Any]:
    return {
        "replacement": body.replacement,
        "reason": body.reason,
        "fence": body.fence,
        "request_id": body.request_id,
    }


def _moment(text: str) -> Moment:
    try:
        return parse_moment(text)
    except FieldError as exc:
        raise ApiError(422, "malformed", f"effective_at: {exc}") from exc


async def _certify(node: CommitteeNode, command: Command) -> dict[str, Any]:
    try:
        encode_command(command)
    except CommandError as exc:
        raise ApiError(422, "malformed", exc.message, advice=exc.advice) from exc
    outcome = await node.append(command)
    if isinstance(outcome, Declined):
        raise ApiError(409, outcome.code, outcome.reason)
    if not isinstance(outcome, Done):
        raise _fault(outcome)
    effects = [dict(effect_to_json(effect)) for effect in outcome.effects]
    refused = refusal(outcome.effects)
    if refused is not None:
        code = "lease" if isinstance(refused, LeaseRefused) else refused.code
        raise ApiError(409, code, refused.reason, effects=effects)
    return {"outcome": "certified", "height": outcome.height, "effects": effects}


def _fault(outcome: Outcome) -> ApiError:
    """The error answer for an append that is not certified."""
    if isinstance(outcome, Certified):
        raise TypeError("a certified outcome is no fault")
    if not isinstance(outcome, Refused):
        advice = "it may yet be certified: repeat with the same request_id"
        return ApiError(504, "outcome_unknown", outcome.text, advice=advice)
    if outcome.reason is Reason.INVALID:
        return ApiError(409, "invalid", outcome.text)
    if outcome.reason is Reason.SUPERSEDED:
        return ApiError(
            503, "no_majority", "the proposer changed meanwhile; it was not taken", advice="repeat"
        )
    if outcome.reason is Reason.STOPPED:
        return ApiError(503, "stopped", outcome.text, advice="ask another node")
    if outcome.reason is Reason.BUSY:
        return ApiError(503, "busy", outcome.text, advice="ask again in a moment")
    return ApiError(503, "no_majority", outcome.text, advice=_BRING_BACK)
