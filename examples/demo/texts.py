"""The demo's files, as an operator would write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# organismctl itself, in the way in which this demo runs it.
WHICH = '"--deployment", "{{deployment}}", "--node", "{{node}}"'
START = f'["{{python}}", "-m", "organismctl", "committee", "serve", {WHICH}, "--detach"]'
STOP = f'["{{python}}", "-m", "organismctl", "committee", "stop", {WHICH}]'
FENCED = STOP[:-1] + ', "--check"]'


def upstream(name: str, issuer: str) -> str:
    """organism.toml of an upstream that produces an event per period; ``issuer`` is its root of tickets."""
    return f"""\
schema = 1
name = "{name}"
network = "demo.universe"

[driver]
fold = "ticker"
period = "500ms"
apply_deadline = "500ms"
stall = "wait"

[content]

[[surface]]
name = "facts"
type = "stream"

{issuer}"""


def composite(spans: Sequence[str], acl: str) -> str:
    """organism.toml of the composite organism.

    Args:
        spans: The stanzas of the organisms that it spans.
        acl: Who may sit on its committee.
    """
    stanzas = "\n".join(spans)
    return f"""\
schema = 1
name = "demo.settlement"
network = "demo.universe"

{stanzas}
[driver]                       # how observations become facts
fold = "fan-in"
period = "500ms"
apply_deadline = "500ms"
stall = "partial"

[content]
least_offers = 2

[[surface]]
name = "facts"
type = "stream"

{acl}"""


@dataclass(frozen=True)
class Wire:
    """What a deployment on mosaik has beside: the relay, a UDP port a node, a peer a spanned member."""

    relay: str
    ports: Mapping[str, int]
    peers: Mapping[str, str]


def deployment(
    nodes: Mapping[str, int],
    spares: Sequence[str],
    spans: Mapping[str, int],
    python: str,
    wire: Wire | None = None,
    linger_s: int = 25,
) -> str:
    """deployment.toml: nodes and spanned members by name, each with its port; ``wire``: on real mosaik.

    ``linger_s`` is how long the nodes serve latecomers after the seal, in seconds.
    """
    carrier = f'carrier = "mosaik"\n\n[mosaik]\nrelay = "{wire.relay}"\n' if wire else ""
    head = (
        f'schema = 1\n{carrier}\n[operator]\nname = "demo-operator"\n\n[secrets]\ngroup = "secrets/group.secret"\n'
        'read_token = "secrets/read.token"\noperate_token = "secrets/operate.token"\n'
    )
    parts = [head]
    for number, (name, port) in enumerate(nodes.items(), 1):
        parts.append(
            f'[[node]]\nname = "{name}"\npeer_id = "{number:064x}"   # replaced when its key is made\n'
            f'key = "secrets/{name}.key"\nurl = "http://127.0.0.1:{port}"\ndata = "nodes/{name}"\n'
            + (f'address = "127.0.0.1:{wire.ports[name]}"\n' if wire else "")
            + f'executor = "command"\nstart = {START.format(python=python)}\nstop = {STOP.format(python=python)}\n'
            f"fenced = {FENCED.format(python=python)}\n" + ("roster = false\n" if name in spares else "")
        )
    for name, port in spans.items():
        parts.append(
            f'[[span]]\nname = "{name}"\nendpoints = ["http://127.0.0.1:{port}"]\n'
            f'card = "http://127.0.0.1:{port}/v1/card"\ncontact = "ops@{name}.example"\nperiod = "500ms"\n'
            + (f'peers = ["{wire.peers[name]}"]\n' if wire else "")
        )
    parts.append(
        '[thresholds]\nticket_warn = "7d"\nticket_bad = "2d"\nchange_deadline = "2m"\n'
        'probe_timeout = "8s"          # everything on one machine, which may be busy\n'
        'lead_time = "0s"             # a rehearsal; an organism with integrators gives them days\n\n'
        f'[retire]\nlinger = "{linger_s}s"               # a rehearsal; the default is 30 days\n'
    )
    return "\n".join(parts)
