"""Drafts of both files of an organism that is known by its network alone: what the wire tells, and marks where not.

Nothing is invented: what no peer said stands as a comment that begins with ``?``, for a person to fill in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

MOST_SURFACES = 2
MOST_LISTED = 12

_DRIVER = """\
# ? how observations become facts is not on the wire; what stands here are examples
[driver]
fold = "ticker"                # ? join | fan-in | ticker
period = "1s"                  # ?
apply_deadline = "2s"          # ?
stall = "wait"                 # ? wait | partial
"""
_IDENTITY = """\
# ? An organism that somebody else wrote has a fingerprint of its own making:
# [identity]
# scheme = "declared"
# fingerprint = "64 hex"
# machine_signature = "64 hex"
"""
_SECRETS = """\
[secrets]
# group = "secrets/group.secret"        # ? the group secret is on no wire
# read_token = "secrets/read.token"     # ? for nodes with our node API
"""


@dataclass(frozen=True, slots=True)
class WireNode:
    """A peer that has joined the group.

    Attributes:
        name: Ours, by its place among the peers.
        peer_id: 64 hex.
        addresses: ``HOST:PORT``, the one that answered first.
        version: mosaik's.
    """

    name: str
    peer_id: str
    addresses: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class WireAdmission:
    """What the members' tickets claim of who admits them; nothing of it is proven."""

    issuer: str | None
    alg: str


@dataclass(frozen=True, slots=True)
class WireDraft:
    """What the wire told.

    Attributes:
        name: The organism's name, from the operator.
        network: As the operator named it.
        group_id: The group that was taken for the committee, 64 hex.
        entry_points: Who told it.
        date: The day, ``2026-12-01``.
        nodes: The group's members.
        surfaces: Streams that members serve in common, 64 hex each, the most served first.
        others: Streams of other peers: stream and who serves it.
        admissions: What their tickets claim.
        relays: Relay URLs that the members name.
        acl: ``(issuer, key)`` when the operator knows them.
    """

    name: str
    network: str
    group_id: str
    entry_points: tuple[str, ...]
    date: str
    nodes: tuple[WireNode, ...]
    surfaces: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    admissions: tuple[WireAdmission, ...] = ()
    relays: tuple[str, ...] = ()
    acl: tuple[str, str] | None = None


def _text(value: str) -> str:
    """A TOML string of a remote's text: JSON's escapes are TOML's too, and what does not print is escaped."""
    plain = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in plain)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _head(draft: WireDraft, what: str) -> str:
    told = "".join(f"#   {point}\n" for point in draft.entry_points)
    return (
        f"# {what}\n# Drafted on {draft.date} from what these entry points told:\n{told}"
        "# A comment that begins with `# ?` is what the wire cannot tell: fill it in, or confirm what stands there.\n"
    )


def wire_organism(draft: WireDraft) -> str:
    """The text of organism.toml; it has problems as long as what is marked is missing."""
    return "\n".join(
        [
            _head(draft, "The OrganismConfig and what belongs to it in public; never put a secret here."),
            f"schema = 1\nname = {_text(draft.name)}\nnetwork = {_text(draft.network)}\n",
            _spans(draft),
            _DRIVER,
            "[content]\n# ? the organism's own parameters are not on the wire\n",
            _surfaces(draft),
            _acl(draft),
            _group(draft),
            _IDENTITY,
        ]
    )


def _spans(draft: WireDraft) -> str:
    lines = ["# ? whom it spans is not on the wire: [[span]], see docs/formats/organism.toml"]
    if draft.others:
        lines.append("# streams of other peers of this network, which may be among what it reads:")
        lines += [f"#   {stream} of {peer}" for stream, peer in draft.others[:MOST_LISTED]]
        if len(draft.others) > MOST_LISTED:
            lines.append(f"#   and {len(draft.others) - MOST_LISTED} more: organismctl inspect")
    return "\n".join(lines) + "\n"


def _surfaces(draft: WireDraft) -> str:
    if not draft.surfaces:
        return (
            '# ? its members serve no stream in common\n# [[surface]]\n# name = "facts"\n# type = "stream"\n'
        )
    parts = []
    for number, stream in enumerate(draft.surfaces[:MOST_SURFACES], 1):
        parts.append(
            f'[[surface]]\nname = "surface-{number}"             # ? its name is not on the wire\ntype = "stream"\n'
            f'id = "{stream}"   # ? leave it out when it derives from the fingerprint\n'
        )
    if rest := draft.surfaces[MOST_SURFACES:]:
        parts.append(
            "# also served by members:\n" + "".join(f"#   {stream}\n" for stream in rest[:MOST_LISTED])
        )
    return "\n".join(parts)


def _acl(draft: WireDraft) -> str:
    lines = [
        "[[acl]]                        # ? who may sit on the committee, and in which order, is not on the wire"
    ]
    if draft.acl is not None:
        issuer, key = draft.acl
        lines += [
            'type = "jwt"',
            f"issuers = [{_text(issuer)}]",
            f'keys = [{{ alg = "EdDSA", key = "{key}" }}]',
        ]
        return "\n".join(lines) + "\n"
    lines.append('type = "jwt"')
    issuers = list(dict.fromkeys(one.issuer for one in draft.admissions if one.issuer))
    if issuers:
        lines.append(
            f"issuers = [{', '.join(_text(one) for one in issuers)}]   # ? as its members' tickets claim"
        )
    alg = next((one.alg for one in draft.admissions), "EdDSA")
    lines.append(
        f'# keys = [{{ alg = {_text(alg)}, key = "hex" }}]   # ? the issuer\'s public key is not on the wire'
    )
    return "\n".join(lines) + "\n"


def _group(draft: WireDraft) -> str:
    return (
        "[group]\n"
        f"# The members have joined {draft.group_id}.\n"
        "# ? Its inputs are not on the wire. Once they are filled in, and the group secret is in deployment.toml,\n"
        "# `organismctl check committee` shows whether they make this id, and names the likely field when not.\n"
        '# heartbeat = "500ms"\n# heartbeat_jitter = "150ms"\n# max_missed_heartbeats = 10\n'
        '# machine = "organism.machine.v1"\n# machine_type = "organismctl_engine::Machine"\n'
    )


def wire_deployment(draft: WireDraft) -> str:
    """The text of deployment.toml."""
    parts = [
        _head(draft, "Our side: nodes, addresses, paths of secrets. Not published."),
        'schema = 1\ncarrier = "mosaik"\n',
        _relay(draft.relays),
        _SECRETS,
        *(_node(node) for node in draft.nodes),
        "# ? [[span]]: endpoints, card, peers and tickets of each spanned member, see docs/formats/deployment.toml\n",
    ]
    return "\n".join(parts)


def _relay(relays: Sequence[str]) -> str:
    if len(relays) == 1:
        return f"[mosaik]\nrelay = {_text(relays[0])}   # ? as its members name it; absent: mosaik's own relays\n"
    named = "".join(f"#   {_text(one)}\n" for one in relays[:MOST_LISTED]) or "#   none\n"
    note = (
        '# [mosaik]\n# relay = "http://…"            # ? where a site has a relay of its own; members name:\n'
    )
    return note + named


def _node(node: WireNode) -> str:
    lines = [
        "[[node]]",
        f'name = "{node.name}"                # ? its name is not on the wire',
        f'peer_id = "{node.peer_id}"',
    ]
    if node.addresses:
        lines.append(f"address = {_text(node.addresses[0])}")
        lines += [f"# address = {_text(other)}" for other in node.addresses[1:4]]
    else:
        lines.append('# address = "HOST:PORT"         # ? it names no address, only a relay')
    lines += [
        f"# mosaik {node.version}",
        '# url = "https://…"             # ? its node API, where it has one',
        'executor = "manual"            # ? manual | command | systemd: how it is started and stopped',
    ]
    return "\n".join(lines) + "\n"
