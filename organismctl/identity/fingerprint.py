"""The fingerprint: the integrator's pin, the hash of the OrganismConfig (scheme ``organismctl/1``).

``blake3("organism|" ‖ 0x01 ‖ "|" ‖ postcard((name, members, content, acl)))`` with

- ``Member = (kind, clock, stable_id: [u8; 32], content_hash: Option<[u8; 32]>,
  reads: Vec<(type, id: [u8; 32])>)``, sorted by stable id; ``reads`` sorted by (type, id);
- ``Content = (network: [u8; 32], surfaces: Vec<(name, type, Option<[u8; 32]>)>, parameters: bytes)``;
- ``acl: Vec<[u8; 32]>``, the validators' signatures in order.

Postcard prefixes every text, sequence and option, so the encoding of the normalised config is injective. The
formula's frame is the coalition book's; the encoding of its parts is ours, declared and versioned
(``docs/formats/fingerprint.md`` has a whole vector). An unordered set (members, reads) has one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from organismctl.identity.digest import derive, h, parse_digest, uid
from organismctl.identity.parameters import canonical_parameters, parameter_leaves, parameters
from organismctl.identity.postcard import Writer

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig, ReadSurface, SpannedMember

PREFIX = b"organism|\x01|"
STABLE_PREFIX = b"organism-id|\x01|"
SCHEME = "organismctl/1"
_POSITION = re.compile(r"span\[(?P<span>[0-9]+)\](\.surface\[(?P<read>[0-9]+)\])?(?P<rest>.*)", re.DOTALL)
_STABLE = re.compile(
    r"span\[(?P<id>[0-9a-f]{64})\](\.surface\[(?P<rank>[0-9]{1,9})\])?(?P<rest>.*)", re.DOTALL
)
PARAMETERS = "content+driver"
"""The path of the one row that holds all parameters."""


class IdentityError(ValueError):
    """The identity cannot be made from what the config declares or the organism's binary answers."""


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """One field of the preimage.

    Attributes:
        path: Dotted path of the field in organism.toml; ``prefix`` for the frame, ``….count`` for counts.
        text: Its value as a person reads it.
        encoding: Its bytes in the preimage; all rows joined are the preimage.
    """

    path: str
    text: str
    encoding: bytes

    @property
    def digest(self) -> bytes:
        """``H(encoding)``, 32 bytes."""
        return h(self.encoding)


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that names an organism toward integrators, 32 bytes each.

    Attributes:
        scheme: ``organismctl/1``, ``declared`` or ``exec``.
        fingerprint: The hash of the OrganismConfig.
        stable_id: What stays when the config moves; ``None`` when the scheme does not tell.
        machine_signature: The state machine's signature in the group id; ``None`` when not told.
        surface_ids: Surface name to StreamId or StoreId.
    """

    scheme: str
    fingerprint: bytes
    stable_id: bytes | None
    machine_signature: bytes | None
    surface_ids: Mapping[str, bytes] = field(default_factory=dict)


def explain(config: OrganismConfig) -> list[ExplainRow]:
    """The whole preimage, field by field, in order.

    Raises:
        ParameterError: A parameter may not stand (:mod:`organismctl.identity.parameters`).
    """
    rows = _Rows()
    rows.add("prefix", "organism| schema version 1 |", PREFIX)
    rows.put("name", config.name, lambda w: w.text(config.name))
    members = sorted(enumerate(config.span), key=lambda pair: pair[1].stable_id)
    rows.count("span", len(members))
    for index, member in members:
        _explain_member(rows, f"span[{index}]", member)
    rows.add("network", config.network_text or config.network.hex(), config.network)
    rows.count("surface", len(config.surfaces))
    for index, surface in enumerate(config.surfaces):
        rows.put(f"surface[{index}].name", surface.name, _text(surface.name))
        rows.put(f"surface[{index}].type", surface.type, _text(surface.type))
        rows.option(f"surface[{index}].id", surface.explicit_id, "derived")
    canonical = canonical_parameters(config)
    rows.put(PARAMETERS, canonical.decode(), lambda w: w.bytes(canonical))
    rows.count("acl", len(config.acl))
    for index, validator in enumerate(config.acl):
        rows.add(f"acl[{index}]", validator.signature().hex(), validator.signature())
    return rows.rows


def preimage(config: OrganismConfig) -> bytes:
    """The bytes that the fingerprint hashes."""
    return b"".join(row.encoding for row in explain(config))


def fingerprint(config: OrganismConfig) -> bytes:
    """The fingerprint of scheme ``organismctl/1``, 32 bytes."""
    return h(preimage(config))


def field_digests(config: OrganismConfig) -> dict[str, str]:
    """A digest in hex per field path, for organism.lock: it tells which field drifted without the old file.

    Paths of spanned members carry their stable id, and their surfaces the rank by (type, id), not the position in
    the file, so that reordering moves nothing; :func:`file_path` leads back.
    """
    return {path: digest.hex() for path, (_, digest) in fields(config).items()}


def fields(config: OrganismConfig) -> dict[str, tuple[str, bytes]]:
    """``(text, digest)`` per field path: every field that moves the fingerprint or the group id.

    Parameters are told leaf by leaf (``content.x``, ``driver.stall``), though the preimage holds them whole.
    """
    import json

    told: dict[str, tuple[str, bytes]] = {}
    for row in explain(config):
        if row.path != PARAMETERS:
            told[_stable_path(row.path, config)] = (row.text, row.digest)
            continue
        for section, below in parameters(config).items():
            for path, value in parameter_leaves(below, section):
                text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
                told[path] = (text, h(text.encode()))
    group = config.group
    for name in (
        "heartbeat_ms", "heartbeat_jitter_ms", "max_missed_heartbeats",
        "machine", "machine_type", "sync_batch", "sync_fetch_timeout_s",
    ):  # fmt: skip
        value = str(getattr(group, name))
        told[f"group.{name}"] = (value, h(value.encode()))
    return told


def stable_id(config: OrganismConfig) -> bytes:
    """``H("organism-id|" ‖ 0x01 ‖ "|" ‖ postcard(name, network))``, 32 bytes."""
    writer = Writer()
    writer.text(config.name)
    writer.fixed(config.network, 32)
    return h(STABLE_PREFIX + writer.finish())


def machine_signature(config: OrganismConfig, pin: bytes) -> bytes:
    """``derive(uid(group.machine), fingerprint)``, 32 bytes."""
    return derive(uid(config.group.machine), pin)


def surface_ids(config: OrganismConfig, pin: bytes) -> dict[str, bytes]:
    """Each surface's id: as given, else ``derive(fingerprint, "surface", name)``."""
    return {
        surface.name: surface.explicit_id or derive(pin, "surface", surface.name)
        for surface in config.surfaces
    }


def identity_of(config: OrganismConfig, *, exec_result: Mapping[str, object] | None = None) -> Identity:
    """The organism's identity by the scheme that its config names.

    Args:
        config: The normalised config.
        exec_result: For scheme ``exec``, the JSON object that the organism's own binary printed.

    Raises:
        IdentityError: ``declared`` lacks the fingerprint, or the binary's answer is malformed or absent.
        ParameterError: A parameter may not stand.
    """
    scheme = config.identity
    if scheme.scheme == "declared":
        if scheme.fingerprint is None:
            raise IdentityError("identity.fingerprint is missing; scheme declared needs it in 64 hex")
        return Identity(
            "declared",
            scheme.fingerprint,
            scheme.stable_id,
            scheme.machine_signature,
            dict(scheme.surface_ids),
        )
    if scheme.scheme == "exec":
        if exec_result is None:
            raise IdentityError("scheme exec: the organism's own binary was not asked")
        return _from_exec(exec_result)
    pin = fingerprint(config)
    return Identity(SCHEME, pin, stable_id(config), machine_signature(config, pin), surface_ids(config, pin))


def _from_exec(result: Mapping[str, object]) -> Identity:
    known = {"fingerprint", "stable_id", "machine_signature", "surface_ids"}
    unknown = sorted(set(result) - known)
    if unknown:
        raise IdentityError(
            f"scheme exec: unknown key {unknown[0]!r} in the answer; known: {', '.join(sorted(known))}"
        )
    surfaces = result.get("surface_ids", {})
    if not isinstance(surfaces, Mapping):
        raise IdentityError("scheme exec: surface_ids is no object of name to 64 hex")
    pin = _hex(result, "fingerprint")
    if pin is None:
        raise IdentityError("scheme exec: the answer has no fingerprint")
    ids: dict[str, bytes] = {}
    for name in surfaces:
        found = _hex(surfaces, name)
        if found is None:
            raise IdentityError(f"scheme exec: surface_ids.{name} is not 64 hex characters")
        ids[str(name)] = found
    return Identity("exec", pin, _hex(result, "stable_id"), _hex(result, "machine_signature"), ids)


def _hex(values: Mapping[str, object], key: str) -> bytes | None:
    value = values.get(key)
    if value is None:
        return None
    try:
        return parse_digest(value if isinstance(value, str) else "")
    except ValueError as error:
        raise IdentityError(f"scheme exec: {key} is not 64 hex characters") from error


def _explain_member(rows: _Rows, path: str, member: SpannedMember) -> None:
    rows.put(f"{path}.kind", member.kind, _text(member.kind))
    rows.put(f"{path}.clock", member.clock, _text(member.clock))
    rows.add(f"{path}.stable_id", member.stable_id.hex(), member.stable_id)
    rows.option(f"{path}.content_hash", member.content_hash, "not pinned")
    reads = _ranked(member)
    rows.count(f"{path}.surface", len(reads))
    for index, read in reads:
        rows.put(f"{path}.surface[{index}].type", read.type, _text(read.type))
        rows.add(f"{path}.surface[{index}].id", read.id.hex(), read.id)


def _text(value: str) -> Callable[[Writer], object]:
    return lambda writer: writer.text(value)


def file_path(path: str, config: OrganismConfig) -> str:
    """A path of :func:`field_digests` as organism.toml counts: positions instead of stable ids and ranks.

    A path that the config does not have comes back as far as it is known.
    """
    match = _STABLE.fullmatch(path)
    if match is None:
        return path
    found = next((i for i, one in enumerate(config.span) if one.stable_id.hex() == match["id"]), None)
    if found is None:
        return path
    head, rank = f"span[{found}]", match["rank"]
    if rank is None:
        return head + match["rest"]
    reads = _ranked(config.span[found])
    position = reads[int(rank)][0] if int(rank) < len(reads) else int(rank)
    return f"{head}.surface[{position}]{match['rest']}"


def _ranked(member: SpannedMember) -> list[tuple[int, ReadSurface]]:
    """Its surfaces with their positions in the file, in the order of the preimage."""
    return sorted(enumerate(member.surfaces), key=lambda pair: (pair[1].type, pair[1].id))


def _stable_path(path: str, config: OrganismConfig) -> str:
    match = _POSITION.fullmatch(path)
    if match is None:
        return path
    member = config.span[int(match["span"])]
    head = f"span[{member.stable_id.hex()}]"
    if match["read"] is None:
        return head + match["rest"]
    order = [position for position, _ in _ranked(member)]
    return f"{head}.surface[{order.index(int(match['read']))}]{match['rest']}"


class _Rows:
    """Collects the rows of :func:`explain`."""

    def __init__(self) -> None:
        self.rows: list[ExplainRow] = []

    def add(self, path: str, text: str, encoding: bytes) -> None:
        self.rows.append(ExplainRow(path, text, encoding))

    def put(self, path: str, text: str, write: Callable[[Writer], object]) -> None:
        writer = Writer()
        write(writer)
        self.add(path, text, writer.finish())

    def count(self, path: str, number: int) -> None:
        self.put(f"{path}.count", str(number), lambda writer: writer.varint(number))

    def option(self, path: str, value: bytes | None, unset: str) -> None:
        self.put(
            path,
            value.hex() if value else unset,
            lambda writer: writer.option(value, lambda w, it: w.fixed(it, 32)),
        )
