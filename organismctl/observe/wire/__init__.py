"""The wire: what mosaik itself says over QUIC, from outside, with no co-operation of the observed binary.

A catalog look sends nothing but an empty catalog and leaves no trace in the network. A subscription has to publish
an entry of the observer first, because mosaik refuses consumers that it does not know; that entry carries
:data:`~organismctl.observe.wire.observer.OBSERVER_TAG` and is forgotten after 300 s.

Nothing here loads asyncio or iroh before a look begins.
"""

from organismctl.observe.wire.observer import Observer
from organismctl.observe.wire.sources import StreamSource, WireSource, look_catalogs
from organismctl.observe.wire.telling import CATALOG, PEER, STREAM, Telling, facts_of

__all__ = [
    "CATALOG",
    "PEER",
    "STREAM",
    "Observer",
    "StreamSource",
    "Telling",
    "WireSource",
    "facts_of",
    "look_catalogs",
]
