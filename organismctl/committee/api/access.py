"""Who may call what: two bearer tokens, compared in constant time; operate includes read."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from organismctl.committee.api.faults import ApiError
from organismctl.committee.node.node import CommitteeNode

_bearer = HTTPBearer(auto_error=False, description="The read token or the operate token.")
Given: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def the_node(request: Request) -> CommitteeNode:
    """The node that this app serves."""
    node: CommitteeNode = request.app.state.node
    return node


ServedNode: TypeAlias = Annotated[CommitteeNode, Depends(the_node)]


def _scope(
    *, operate: bool
) -> Callable[[CommitteeNode, HTTPAuthorizationCredentials | None], Coroutine[Any, Any, None]]:
    async def check(node: ServedNode, given: Given) -> None:
        token = b"" if given is None else given.credentials.encode()
        settings = node.settings
        # Both are compared, always, so that the time tells nothing about which one was near.
        reads = hmac.compare_digest(token, settings.read_token.reveal().encode())
        operates = hmac.compare_digest(token, settings.operate_token.reveal().encode())
        if not (reads or operates):
            raise ApiError(
                401,
                "unauthorized",
                "no token, or not one of this node's",
                advice="send `Authorization: Bearer TOKEN`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if operate and not operates:
            raise ApiError(403, "forbidden", "this needs the operate scope", advice="use the operate token")

    return check


READ = Depends(_scope(operate=False))
OPERATE = Depends(_scope(operate=True))
