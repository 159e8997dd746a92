"""The app of one node."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from organismctl import __version__
from organismctl.committee.api import acting, faults, keeping, looking, public, wire
from organismctl.committee.api.limits import Buckets, Gate
from organismctl.committee.carrier.endpoint import PeerEndpoint
from organismctl.committee.carrier.loopback import LoopbackCarrier
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
    for part in (public, wire, looking, acting, keeping):
        app.include_router(part.router)
    return app


def make_gate(node: CommitteeNode, buckets: Buckets | None = None) -> Gate:
    """What the server serves: the API within limits, and on the loopback carrier also the carrier's own endpoint."""
    peers = PeerEndpoint(node.carrier) if isinstance(node.carrier, LoopbackCarrier) else None
    return Gate(make_app(node), peers, buckets)
