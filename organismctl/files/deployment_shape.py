"""The shape of deployment.toml: one declarative table for the loader and for the JSON Schema."""

from __future__ import annotations

import re
from typing import Any

from organismctl.files.fields import Choice, Day, Duration, Flag, Hex, Label, Strings, Text, Whole
from organismctl.files.keypath import child, item
from organismctl.files.schema import Field, Invalid, JsonSchema, Reader, Table, Tables, show
from organismctl.identity.durations import parse_duration

EXECUTORS = ("manual", "command", "systemd")
CARRIERS = ("loopback", "mosaik")
PLACEHOLDERS = ("node", "deployment", "data", "url", "peer_id")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Url(Text):
    """The URL of an HTTP API; a pattern alone lets ports and bracketed hosts through that no socket takes."""

    def __init__(self) -> None:
        super().__init__(
            "a URL (http://… or https://…), without a user or password", pattern=r"https?://[^\s@/]+(?:/\S*)?"
        )

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        text = super().read(value, path, reader)
        if isinstance(text, Invalid) or usable_url(text):
            return text
        return reader.problem(path, show(text), "a URL with a host's name or address, and a port up to 65535")


def usable_url(text: str) -> bool:
    """Whether a URL has a host, and a port that there can be."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracketed host that is no address; a port beyond 65535, or no number
        return False


_URL = Url()
_UNIT = Text("a systemd unit, such as organism@a.service", pattern=r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*\.service")
# ssh and systemctl would take a leading dash for an option.
_HOST = Text("a host as ssh takes it (user@host)", pattern=r"[A-Za-z0-9_][A-Za-z0-9_.:@\[\]%-]*")
_NODE = Text(
    "a node's name: letters, digits, dots, dashes, underscores", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
)


class SocketAddress(Text):
    """Host and port of a UDP socket; an IPv6 address stands in brackets."""

    def __init__(self, peer: bool = False) -> None:
        what = "PEERID@HOST:PORT, the peer id in 64 hex" if peer else "HOST:PORT"
        head = "[0-9a-fA-F]{64}@" if peer else ""
        super().__init__(
            f"{what} (an IPv6 address in brackets), with a port from 1 to 65535",
            pattern=rf"{head}(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):[0-9]{{1,5}}",
        )

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        text = super().read(value, path, reader)
        if isinstance(text, Invalid) or 0 < int(text.rpartition(":")[2]) < 65536:
            return text
        return reader.problem(path, show(text), self.allowed)


class AtlasPlace(Text):
    """Where a coalition's Atlas is: a path, a URL, or a mosaik map with an entry point."""

    def __init__(self) -> None:
        super().__init__(
            "a path, a URL (a document, or …/v1/surfaces/NAME/items), or map:STORE@PEERID@HOST:PORT"
        )

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        text = super().read(value, path, reader)
        if isinstance(text, Invalid) or not text.startswith("map:"):
            return text
        place = r"map:[^@\s]+@[0-9a-fA-F]{64}@(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):[0-9]{1,5}"
        if re.fullmatch(place, text) and 0 < int(text.rpartition(":")[2]) < 65536:
            return text
        return reader.problem(path, show(text), "map:STORE@PEERID@HOST:PORT, the peer id in 64 hex")


class SecretPath(Text):
    """A path to a file that holds a secret; a value that looks like the secret itself is refused unseen."""

    def __init__(self) -> None:
        super().__init__("a path to a file with mode 0600, never the secret itself", secret=True)

    def read(self, value: Any, path: str, reader: Reader) -> str | Invalid:
        """See :meth:`Shape.read`."""
        text = super().read(value, path, reader)
        if isinstance(text, Invalid):
            return text
        if re.fullmatch(r"[0-9A-Fa-f]{32,}|[A-Za-z0-9+_=-]{40,}|-----BEGIN.*|eyJ[\w.-]+", text):
            return reader.problem(path, "what looks like the secret itself (not shown)", self.allowed)
        return text

    def schema(self) -> JsonSchema:
        """See :meth:`Shape.schema`."""
        return {"type": "string", "minLength": 1, "not": {"pattern": "^[0-9A-Fa-f]{32,}$"}}


class Argv(Strings):
    """A command as an argument list; placeholders in braces are checked."""

    def read(self, value: Any, path: str, reader: Reader) -> tuple[Any, ...] | Invalid:
        """See :meth:`Shape.read`."""
        out = super().read(value, path, reader)
        if isinstance(out, Invalid):
            return out
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        for i, part in enumerate(out):
            for found in _PLACEHOLDER.findall(part) if isinstance(part, str) else ():
                if found not in PLACEHOLDERS:
                    reader.problem(item(path, i), show(f"{{{found}}}"), known)
        return out


def _check_node(values: dict[str, Any], path: str, reader: Reader) -> None:
    """Each executor has what it needs, and nothing that only another one reads."""
    executor = values["executor"]
    needs = {"command": ("start", "stop"), "systemd": ("unit",)}
    if not isinstance(executor, str):
        return
    for key in needs.get(executor, ()):
        if not values[key] and not isinstance(values[key], Invalid):
            reader.problem(child(path, key), None, f'a value, for executor = "{executor}"')
    owners = {"start": ("command",), "stop": ("command",), "unit": ("systemd",), "ssh": ("systemd",)}
    for key, owner in owners.items():
        if values[key] and executor not in owner:
            allowed = f'no such key without executor = "{owner[0]}"'
            reader.problem(child(path, key), "a value", allowed)


NODE = Table(
    {
        "name": Field(_NODE, "the committee member's name", required=True),
        "peer_id": Field(Hex(32), "its ed25519 public key", required=True),
        "key": Field(SecretPath(), "file of its ed25519 seed; only on the host that runs it"),
        "url": Field(_URL, "its node API; absent for an organism that has none"),
        "ca": Field(Text("a path"), "certificate authority of its node API"),
        "address": Field(SocketAddress(), "its mosaik address (QUIC over UDP)"),
        "metrics": Field(_URL, "mosaik's Prometheus exporter of it, for an organism without a node API"),
        "tickets": Field(
            Strings(Text("a path"), distinct=True), "its tickets for our own committee ([[acl]])", default=()
        ),
        "data": Field(Text("a path"), "its ledger and logs"),
        "executor": Field(Choice(EXECUTORS), "how it is started and stopped", default="manual"),
        "start": Field(Argv(), 'argv, for "command"', default=()),
        "stop": Field(Argv(), 'argv, for "command"', default=()),
        "fenced": Field(Argv(), "argv; exit 0 = surely off", default=()),
        "unit": Field(_UNIT, 'for "systemd"'),
        "ssh": Field(_HOST, 'for "systemd" on another host'),
        "roster": Field(Flag(), "false: a spare that a rotation may take in", default=True),
    },
    check=_check_node,
)

TICKET = Table(
    {
        "node": Field(_NODE, "whose ticket", required=True),
        "file": Field(Text("a path"), "where it is kept", required=True),
    }
)
SPAN = Table(
    {
        "name": Field(Label(), "joins it to [[span]] of organism.toml", required=True),
        "endpoints": Field(Strings(_URL, distinct=True), "node APIs that serve its surfaces", default=()),
        "peers": Field(
            Strings(SocketAddress(peer=True), distinct=True),
            "its mosaik peers, where a look begins",
            default=(),
        ),
        "card": Field(Text("a path or a URL"), "its published card"),
        "contact": Field(Text("an address"), "who operates it"),
        "period": Field(Duration(1), "of its clock"),
        "dark_after": Field(Whole(1), "periods without an event until it counts as dark", default=5),
        "ticket": Field(Tables(TICKET), "ticket files", default=()),
    }
)

THRESHOLDS: dict[str, tuple[str | int, str]] = {
    "ticket_warn": ("7d", "horizon below: warning"),
    "ticket_bad": ("2d", "horizon below: breach"),
    "commit_lag": (20, "entries a node may be behind"),
    "span_lag": ("30s", "a node may be behind a spanned member"),
    "span_lag_events": (1000, "events that it may be behind, where their rate is not known"),
    "evidence_warn": ("7d", "retention left for our oldest evidence below: warning"),
    "evidence_bad": ("1d", "retention left for our oldest evidence below: breach"),
    "clock_skew": ("2s", "between a node and us"),
    "probe_timeout": ("3s", "of one question to one node"),
    "change_deadline": ("10m", "a rotation's steps together"),
    "lead_time": ("1d", "between announcement and effect"),
}
"""Name to default (as written) and meaning."""


def _threshold(default: str | int, doc: str) -> Field:
    if isinstance(default, int):
        return Field(Whole(0), doc, default=default)
    return Field(Duration(0), doc, default=parse_duration(default), shown=default)


def _check_thresholds(values: dict[str, Any], path: str, reader: Reader) -> None:
    for name in ("ticket", "evidence"):
        warn, bad = values[f"{name}_warn"], values[f"{name}_bad"]
        if isinstance(warn, int) and isinstance(bad, int) and warn < bad:
            reader.problem(child(path, f"{name}_warn"), f"less than {name}_bad", f"{name}_bad or more")


RETIRE = Table(
    {
        "linger": Field(
            Duration(0), "nodes go on serving after the seal", default=parse_duration("30d"), shown="30d"
        ),
        "exec": Field(Strings(), "argv that retires an organism without our node API", default=()),
    }
)
COALITION = Table(
    {
        "name": Field(Label(), "the coalition", required=True),
        "chronicle": Field(Text("a path or a URL"), "its Chronicle"),
        "atlas": Field(AtlasPlace(), "its Atlas, which holds a card of each member"),
        "contact": Field(Text("an address"), "whom to tell"),
    }
)
ACCEPT = Table(
    {
        "code": Field(
            Text("a finding's code, such as ROSTER-EVEN", pattern=r"[A-Z][A-Z0-9-]+"), "what", required=True
        ),
        "subject": Field(Text("a finding's subject"), "of whom", required=True),
        "until": Field(Day(), "last day", required=True),
        "reason": Field(Text("a sentence"), "why", required=True),
    }
)
SECRETS = Table(
    {
        "group": Field(SecretPath(), "mosaik's group secret: text or 64 hex"),
        "read_token": Field(SecretPath(), "bearer token of the node API"),
        "operate_token": Field(SecretPath(), "bearer token of the node API"),
    }
)

MOSAIK = Table({"relay": Field(_URL, "a relay of our own; absent: mosaik's public ones")})
EXPORTER = Table({"url": Field(_URL, "a resident `organismctl exporter`, whose memory checks ask")})
RUNBOOKS = Table(
    {
        "folder": Field(Text("a path"), "runbooks of our own, which go before those that ship with the tool"),
        "escalate": Field(Text("an address"), "whom an operator on call turns to next"),
    }
)
OBSERVER = Table(
    {
        "key": Field(SecretPath(), "file of its ed25519 seed; absent: another identity each time"),
        "tickets": Field(Strings(Text("a path"), distinct=True), "ticket files that it shows", default=()),
    }
)


def _check_whole(values: dict[str, Any], path: str, reader: Reader) -> None:  # noqa: ARG001 - a Check's signature
    """Nodes have what the carrier needs; tickets belong to nodes that there are; no file is named twice."""
    for i, one in enumerate(values["node"] or ()):
        if values["carrier"] == "mosaik" and isinstance(one, dict) and one["address"] is None:
            reader.problem(f"node[{i}].address", None, 'HOST:PORT, for carrier = "mosaik"')
    nodes = [one["name"] for one in values["node"] or () if isinstance(one, dict)]
    if any(isinstance(name, Invalid) for name in nodes):
        return
    files: dict[str, str] = {}
    for i, span in enumerate(values["span"] or ()):
        for j, ticket in enumerate((span["ticket"] if isinstance(span, dict) else ()) or ()):
            at = f"span[{i}].ticket[{j}]"
            if not isinstance(ticket, dict):
                continue
            if isinstance(ticket["node"], str) and ticket["node"] not in nodes:
                reader.problem(
                    f"{at}.node", show(ticket["node"]), "a [[node]]: " + (" | ".join(nodes) or "none yet")
                )
            first = files.setdefault(ticket["file"], at) if isinstance(ticket["file"], str) else at
            if first != at:
                reader.problem(f"{at}.file", f"{show(ticket['file'])}, as in {first}", "a file of its own")


DEPLOYMENT = Table(
    {
        "schema": Field(Whole(1, 1), "version of this format", required=True),
        "organism": Field(Text("a path"), "the organism's file", default="organism.toml"),
        "lock": Field(Text("a path"), "the accepted identity", default="organism.lock"),
        "state": Field(Text("a path"), "plans and journals", default=".organism"),
        "shared_changes": Field(Text("a path"), "journal copies also go to this directory"),
        "carrier": Field(Choice(CARRIERS), "how the ledger's messages travel", default="loopback"),
        "operator": Field(Table({"name": Field(Text("a name"), "who stands in journals")}), "who acts"),
        "mosaik": Field(MOSAIK, "how mosaik's network is reached"),
        "observer": Field(OBSERVER, "who looks at the network from this tool"),
        "exporter": Field(EXPORTER, "the resident exporter"),
        "runbooks": Field(RUNBOOKS, "runbooks of our own, and whom to turn to"),
        "secrets": Field(SECRETS, "paths to secrets"),
        "node": Field(
            Tables(NODE, unique=("name", "peer_id", "url", "address", "data")), "the nodes", default=()
        ),
        "span": Field(Tables(SPAN, unique=("name",)), "what we know of spanned members", default=()),
        "thresholds": Field(
            Table({k: _threshold(*v) for k, v in THRESHOLDS.items()}, check=_check_thresholds), "limits"
        ),
        "retire": Field(RETIRE, "retirement"),
        "coalition": Field(Tables(COALITION, unique=("name",)), "coalitions it belongs to", default=()),
        "accept": Field(Tables(ACCEPT), "findings that a person has accepted, for a time", default=()),
    },
    check=_check_whole,
    doc="deployment.toml: nodes, addresses, how to start and stop them, tickets, limits, paths to secrets",
)
