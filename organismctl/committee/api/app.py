"""The app of one node."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from organismctl import __version__
from organismctl.committee.api import acting, faults, keeping, looking, public
from organismctl.committee.api.limits import Buckets, Gate
from organismctl.committee.carrier.endpoint import PeerEndpoint
from organismctl.committee.node.node import CommitteeNode


def make_app(node: CommitteeNode) -> FastAPI:
    """The API alone, without the carrier's endpoint and the limits."""
    app = FastAPI(
        title="organismctl node API",
        version=__version__,
        summary="One committee member's node: docs/formats/node-api.md",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(faults.refuse_unknown_query)],
    )
    app.state.node = node
    faults.install(app)
    for part in (public, looking, acting, keeping):
        app.include_router(part.router)
    return app


def make_gate(node: CommitteeNode, buckets: Buckets | None = None) -> Gate:
    """What the server serves: the carrier's endpoint and, within limits, the API."""
    return Gate(make_app(node), PeerEndpoint(node.carrier), buckets)
