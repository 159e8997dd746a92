"""Drafts of organism.toml and deployment.toml: what ``init`` writes, commented, valid, and ready to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

CTL = '"organismctl", "committee"'
_NOWHERE = (
    '# endpoints = ["https://…"]     # nodes that serve its surfaces\n'
    '# card = "https://…"             # its published card\n'
)
HERE = '"--deployment", "{deployment}", "--node", "{node}"'


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node: its name, the URL of its API, and whether it sits on the roster (else it is a spare)."""

    name: str
    url: str
    roster: bool = True


@dataclass(frozen=True, slots=True)
class SpanDraft:
    """A spanned member.

    Attributes:
        name: Our label.
        stanza: Its ``[[span]]`` stanza with what belongs to it, as text.
        endpoint: The URL of a node that serves its surfaces; empty when it is not known yet.
    """

    name: str
    stanza: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the drafts are made of.

    Attributes:
        name: The organism's public name.
        network: Text or 64 hex.
        acl_key: The ed25519 public key of whoever issues admission tickets, 64 hex.
        nodes: At least one.
        spans: None for a ticker.
        rehearsal: Short limits, for one host and a rehearsal.
    """

    name: str
    network: str
    acl_key: str
    nodes: tuple[NodeDraft, ...]
    spans: tuple[SpanDraft, ...] = ()
    rehearsal: bool = False
    issuers: tuple[str, ...] = field(default=())


def draft_organism(draft: Draft) -> str:
    """The text of organism.toml."""
    fold = "join" if draft.spans else "ticker"
    spans = "\n".join(span.stanza.strip() + "\n" for span in draft.spans)
    none = (
        ""
        if draft.spans
        else "# It spans nobody: it makes a fact per period. See docs/formats/organism.toml for [[span]].\n"
    )
    issuers = ", ".join(f'"{name}"' for name in draft.issuers or (f"{draft.name}-admission",))
    return f"""\
# The OrganismConfig and what belongs to it in public. Publishable as it is; never put a secret here.
schema = 1
name = "{draft.name}"
network = "{draft.network}"

{none}{spans}
[driver]                       # how observations become facts
fold = "{fold}"{" " * (19 - len(fold))}# join | fan-in | ticker
period = "1s"                  # how often time is committed
apply_deadline = "2s"          # how long a started fact waits for the rest
stall = "wait"                 # wait | partial

[content]                      # the organism's own parameters; free-form

[[surface]]                    # our public primitive; its id is derived from the fingerprint
name = "facts"
type = "stream"

[[acl]]                        # who may sit on the committee
type = "jwt"
issuers = [{issuers}]
keys = [{{ alg = "EdDSA", key = "{draft.acl_key}" }}]
"""


def draft_deployment(draft: Draft) -> str:
    """The text of deployment.toml."""
    head = (
        "# Our side: nodes, addresses, how to start and stop them, paths of secrets. Not published.\n"
        "# Paths are relative to this file; `organismctl committee init` makes what is missing.\n"
        'schema = 1\n\n[secrets]\ngroup = "secrets/group.secret"\nread_token = "secrets/read.token"\n'
        'operate_token = "secrets/operate.token"\n'
    )
    parts = [head]
    parts += [_node(number, node) for number, node in enumerate(draft.nodes, 1)]
    parts += [_span(span) for span in draft.spans]
    if draft.rehearsal:
        parts.append(
            '[thresholds]\nlead_time = "0s"               # a rehearsal; with integrators give them days\n'
        )
        parts.append('[retire]\nlinger = "10s"                 # a rehearsal; the default is 30 days\n')
    return "\n".join(parts)


def _node(number: int, node: NodeDraft) -> str:
    spare = "" if node.roster else "roster = false                 # a spare that a rotation may take in\n"
    return (
        f'[[node]]\nname = "{node.name}"\n'
        f'peer_id = "{number:064x}"   # replaced when `committee init` makes its key\n'
        f'key = "secrets/{node.name}.key"\nurl = "{node.url}"\ndata = "nodes/{node.name}"\nexecutor = "command"\n'
        f'start = [{CTL}, "serve", {HERE}, "--detach"]\nstop = [{CTL}, "stop", {HERE}]\n'
        f'fenced = [{CTL}, "stop", {HERE}, "--check"]\n{spare}'
    )


def _span(span: SpanDraft) -> str:
    where = (
        f'endpoints = ["{span.endpoint}"]\ncard = "{span.endpoint}/v1/card"\n' if span.endpoint else _NOWHERE
    )
    return f'[[span]]\nname = "{span.name}"\n{where}period = "1s"\n'


def example_nodes(prefix: str, count: int, first_port: int, spares: int = 0) -> tuple[NodeDraft, ...]:
    """Nodes on loopback, the spares last; named by letters: ``node-a``, ``node-b``."""
    names: Sequence[str] = [f"{prefix}-{chr(ord('a') + index)}" for index in range(count + spares)]
    return tuple(
        NodeDraft(name, f"http://127.0.0.1:{first_port + index}", index < count)
        for index, name in enumerate(names)
    )
