"""The shape of organism.toml: one declarative table for the loader and for the JSON Schema.

What a single key may hold is said here; what keys mean together is in the ``check`` functions beside them.
Refusals that come from mosaik name the rule (domain facts A.4 to A.8): spellings that mosaik's signature
cannot tell from another, the heartbeat jitter of zero that makes it panic, shared secrets in a public file.
"""

from __future__ import annotations

from typing import Any

from organismctl.files.fields import (
    Choice,
    Duration,
    Each,
    Hex,
    Id,
    Label,
    Parameters,
    Strings,
    Text,
    Whole,
)
from organismctl.files.keypath import child, item
from organismctl.files.schema import Field, Invalid, Reader, Table, Tables, show
from organismctl.files.validator_shape import ISSUER, POLICY_SECONDS, VALIDATOR
from organismctl.identity.config import CLOCKS, DECODERS, FOLDS, KINDS, SCHEMES, STALLS, SURFACE_TYPES


def _check_read(values: dict[str, Any], path: str, reader: Reader) -> None:
    """``command`` belongs to ``decode = "exec"`` and to nothing else."""
    if values["decode"] == "exec" and not values["command"] and not isinstance(values["command"], Invalid):
        reader.problem(child(path, "command"), None, 'the decoder\'s argv, for decode = "exec"')
    elif values["command"] and values["decode"] != "exec" and not isinstance(values["decode"], Invalid):
        reader.problem(child(path, "command"), "a command", 'no command without decode = "exec"')


READ = Table(
    {
        "name": Field(Label(), "our own label", required=True),
        "type": Field(Choice(SURFACE_TYPES), "the primitive", required=True),
        "id": Field(Id(), "StreamId or StoreId: text or 64 hex", required=True),
        "decode": Field(Choice(DECODERS), "how events are read; absent: they are counted, not read"),
        "command": Field(Strings(), "the decoder's argv", default=()),
    },
    check=_check_read,
)


def _check_span(values: dict[str, Any], path: str, reader: Reader) -> None:
    """A root that takes over needs one that it takes over from; one primitive is read once."""
    states = [one["state"] for one in values["issuer"] or () if isinstance(one, dict)]
    if states and "current" not in states and not any(isinstance(state, Invalid) for state in states):
        reader.problem(child(path, "issuer"), 'only state = "next"', 'at least one state = "current"')
    seen: set[tuple[Any, Any]] = set()
    for i, one in enumerate(values["surface"] or ()):
        if isinstance(one, dict) and not isinstance(one["id"], Invalid):
            if (one["type"], one["id"]) in seen:
                reader.problem(
                    child(item(child(path, "surface"), i), "id"),
                    "a surface that is read already",
                    "each surface once",
                )
            seen.add((one["type"], one["id"]))


SPAN = Table(
    {
        "name": Field(Label(), "our own label; not part of the fingerprint", required=True),
        "kind": Field(Choice(KINDS), "what it is", required=True),
        "stable_id": Field(Hex(32), "its stable id", required=True),
        "content_hash": Field(Hex(32), "present: pinned"),
        "clock": Field(Choice(CLOCKS), "what its events are counted in", required=True),
        "surface": Field(
            Tables(READ, low=1, unique=("name",)), "its public primitives that we read", required=True
        ),
        "issuer": Field(Tables(ISSUER), "whose tickets our nodes need there", default=()),
    },
    check=_check_span,
)

SURFACE = Table(
    {
        "name": Field(Label(), "part of the derived id", required=True),
        "type": Field(Choice(SURFACE_TYPES), "the primitive", required=True),
        "id": Field(Id(), "text or 64 hex; derived from the fingerprint unless given"),
    }
)

DRIVER = Table(
    {
        "fold": Field(Choice(FOLDS), "how observations become facts", required=True),
        "period": Field(Duration(1), "how often a Tick is committed", default=1000, shown="1s"),
        "apply_deadline": Field(Duration(1), "a started fact is applied after", default=2000, shown="2s"),
        "stall": Field(Choice(STALLS), "at the deadline", default="wait"),
    }
)


def _check_group(values: dict[str, Any], path: str, reader: Reader) -> None:
    """A jitter as long as the heartbeat leaves no heartbeat; mosaik subtracts it."""
    beat, jitter = values["heartbeat"], values["heartbeat_jitter"]
    if isinstance(beat, int) and isinstance(jitter, int) and jitter >= beat:
        reader.warn(child(path, "heartbeat_jitter"), f"{jitter} ms", f"less than the heartbeat, {beat} ms")


SYNC = Table(
    {
        "batch": Field(Whole(1), "entries a batch", default=2000),
        "fetch_timeout": Field(POLICY_SECONDS, "of one batch", default=25, shown="25s"),
    }
)
GROUP = Table(
    {
        "heartbeat": Field(Duration(1), "of a bond", default=500, shown="500ms"),
        "heartbeat_jitter": Field(
            Duration(1), "up to this much earlier; zero makes mosaik panic", default=150, shown="150ms"
        ),
        "max_missed_heartbeats": Field(Whole(1, 1 << 31), "until a bond ends", default=10),
        "machine": Field(Label("the machine's name"), "derives its signature", default="organism.machine.v1"),
        "machine_type": Field(
            Text("the Rust path of the machine's type"),
            "as the binary reports it",
            default="organismctl_engine::Machine",
        ),
        "sync": Field(SYNC, "log replay", default={"batch": 2000, "fetch_timeout": 25}),
    },
    check=_check_group,
)

_SSH_KEY = Text(
    'an OpenSSH public key ("ssh-ed25519 AAAA… name")',
    pattern=r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+=*(?: .*)?",
    secret=True,
)
CHANGE_CHANNEL = Table(
    {
        "url": Field(Text("a URL (https://…)", pattern=r"https?://\S+"), "where notices are", required=True),
        "signers": Field(Strings(_SSH_KEY, distinct=True), "who signs them", default=()),
    }
)
GENESIS = Table({"roster": Field(Hex(32), "digest of the first roster's peer ids", required=True)})


def _check_identity(values: dict[str, Any], path: str, reader: Reader) -> None:
    """Each scheme has its own keys."""
    scheme = values["scheme"]
    needs = {"declared": "fingerprint", "exec": "command"}.get(scheme if isinstance(scheme, str) else "")
    if needs and not values[needs] and not isinstance(values[needs], Invalid):
        reader.problem(child(path, needs), None, f'a value, for scheme = "{scheme}"')
    belongs = {
        "declared": ("fingerprint", "stable_id", "machine_signature", "surface_ids"),
        "exec": ("command",),
    }
    for owner, keys in belongs.items():
        for key in keys:
            if values[key] and scheme != owner and isinstance(scheme, str):
                reader.problem(child(path, key), "a value", f'no such key without scheme = "{owner}"')


IDENTITY = Table(
    {
        "scheme": Field(Choice(SCHEMES), "how the fingerprint is made", default=SCHEMES[0]),
        "fingerprint": Field(Hex(32), 'for "declared"'),
        "stable_id": Field(Hex(32), 'for "declared"'),
        "machine_signature": Field(Hex(32), 'for "declared"'),
        "surface_ids": Field(Each(Hex(32)), 'for "declared": surface name to id', default={}),
        "command": Field(Strings(), 'for "exec": argv of the organism\'s own binary', default=()),
    },
    check=_check_identity,
)


def _check_whole(values: dict[str, Any], path: str, reader: Reader) -> None:  # noqa: ARG001 - a Check's signature
    """What the parts mean together."""
    driver, span, surfaces = values["driver"], values["span"], values["surface"]
    fold = driver["fold"] if isinstance(driver, dict) else None
    if isinstance(span, tuple) and isinstance(fold, str):
        if fold == "ticker" and span:
            reader.problem("driver.fold", show(fold), "join | fan-in when there are spanned members")
        elif fold != "ticker" and not span:
            reader.problem("span", None, f'at least one [[span]] for fold = "{fold}" (or fold = "ticker")')
        elif fold != "ticker" and len(span) == 1:
            reader.warn("span", "one spanned member", "two or more: a composite organism spans several")
    identity = values["identity"]
    if (
        isinstance(identity, dict)
        and isinstance(surfaces, tuple)
        and isinstance(identity["surface_ids"], dict)
    ):
        names = {one["name"] for one in surfaces if isinstance(one, dict)}
        for name in identity["surface_ids"]:
            if name not in names and all(isinstance(known, str) for known in names):
                known = " | ".join(sorted(names))
                reader.problem(child("identity.surface_ids", name), "no surface of that name", known)
    ids = [one["id"] for one in surfaces or () if isinstance(one, dict) and isinstance(one["id"], bytes)]
    if len(ids) != len(set(ids)):
        reader.problem("surface", "one id for two surfaces", "an id of its own for each surface")


ORGANISM = Table(
    {
        "schema": Field(Whole(1, 1), "version of this format", required=True),
        "name": Field(Label(), "the organism's name", required=True),
        "network": Field(Id(keep_text=True), "mosaik's network: text or 64 hex", required=True),
        "span": Field(Tables(SPAN, unique=("name", "stable_id")), "the spanned members", default=()),
        "driver": Field(DRIVER, "how observations become facts", required=True),
        "content": Field(Parameters(), "the organism's own parameters", default={}),
        "surface": Field(
            Tables(SURFACE, low=1, high=2, unique=("name",)), "our own public primitives", required=True
        ),
        "acl": Field(Tables(VALIDATOR, low=1), "who may sit on the committee, in order", required=True),
        "group": Field(GROUP, "inputs of the GroupId outside the fingerprint"),
        "change_channel": Field(CHANGE_CHANNEL, "where notices are published"),
        "genesis": Field(GENESIS, "where trust in the roster starts"),
        "identity": Field(IDENTITY, "how the fingerprint is made"),
    },
    check=_check_whole,
    doc="organism.toml: the OrganismConfig and what belongs to it in public",
)
