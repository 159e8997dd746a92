"""Drafts of organism.toml and deployment.toml: what ``init`` writes, commented, valid, and ready to be edited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from organismctl.files.hosts import is_loopback

CTL = '"organismctl", "committee"'
_NOWHERE = (
    '# endpoints = ["https://…"]     # nodes that serve its surfaces\n'
    '# card = "https://…"             # its published card\n'
)
HERE = '"--deployment", "{deployment}", "--node", "{node}"'


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node.

    Attributes:
        name: Its name.
        url: The URL of its API. On this host it is ours to start; elsewhere a person does it (executor manual).
        roster: Whether it sits on the roster; else it is a spare.
        peer_id: 64 hex; empty when `committee init` is to make its key.
    """

    name: str
    url: str
    roster: bool = True
    peer_id: str = ""

    @property
    def here(self) -> bool:
        """Whether it runs on this host, by its URL."""
        return is_loopback(urlsplit(self.url).hostname)


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
network = {_text(draft.network)}

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
    made = "   # replaced when `committee init` makes its key"
    lines = [
        "[[node]]",
        f'name = "{node.name}"',
        f'peer_id = "{node.peer_id}"' if node.peer_id else f'peer_id = "{number:064x}"{made}',
        f"url = {_text(node.url)}",
    ]
    if node.here:
        lines += [f'key = "secrets/{node.name}.key"', f'data = "nodes/{node.name}"', 'executor = "command"']
        lines += [f'start = [{CTL}, "serve", {HERE}, "--detach"]', f'stop = [{CTL}, "stop", {HERE}]']
        lines += [f'fenced = [{CTL}, "stop", {HERE}, "--check"]']
    else:
        lines += [
            'executor = "manual"            # manual | command | systemd: how it is started and stopped'
        ]
    if not node.roster:
        lines += ["roster = false                 # false: a spare, which a rotation may take in"]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; JSON's escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False)


def _span(span: SpanDraft) -> str:
    where = (
        f"endpoints = [{_text(span.endpoint)}]\ncard = {_text(span.endpoint + '/v1/card')}\n"
        if span.endpoint
        else _NOWHERE
    )
    return f'[[span]]\nname = "{span.name}"\n{where}period = "1s"\n'


def example_nodes(prefix: str, count: int, first_port: int, spares: int = 0) -> tuple[NodeDraft, ...]:
    """Nodes on loopback, the spares last; named by letters: ``node-a``, ``node-b``."""
    names: Sequence[str] = [f"{prefix}-{chr(ord('a') + index)}" for index in range(count + spares)]
    return tuple(
        NodeDraft(name, f"http://127.0.0.1:{first_port + index}", index < count)
        for index, name in enumerate(names)
    )
