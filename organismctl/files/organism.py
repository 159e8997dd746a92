"""organism.toml: from text to the normalised OrganismConfig, with every problem and its line.

This module is on the path of ``fingerprint check`` and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from organismctl.errors import Problem
from organismctl.files.atomic import read_text
from organismctl.files.organism_shape import ORGANISM
from organismctl.files.schema import Reader
from organismctl.files.validator_shape import build_validator
from organismctl.identity.config import (
    ChangeChannel,
    Driver,
    Genesis,
    GroupInputs,
    IdentityScheme,
    Issuer,
    OrganismConfig,
    ReadSurface,
    SpannedMember,
    Surface,
)
from organismctl.identity.fingerprint import file_path

if TYPE_CHECKING:
    from pathlib import Path


_IN_FILE = {
    "group.heartbeat_ms": "group.heartbeat",
    "group.heartbeat_jitter_ms": "group.heartbeat_jitter",
    "group.sync_batch": "group.sync.batch",
    "group.sync_fetch_timeout_s": "group.sync.fetch_timeout",
}


class LoadedOrganism:
    """An organism.toml that holds no problems.

    Attributes:
        config: The normalised OrganismConfig.
        path: The file, or ``None`` when the text did not come from one.
        file: How the file is named in problems.
        text: The TOML text.
        warnings: What a person should look at (near-hex ids and the like); nothing that stops.
    """

    __slots__ = ("_reader", "config", "file", "path", "text", "warnings")

    def __init__(self, config: OrganismConfig, path: Path | None, reader: Reader) -> None:
        self.config = config
        self.path = path
        self.file = reader.file
        self.text = reader.text
        self.warnings: tuple[Problem, ...] = tuple(reader.warnings)
        self._reader = reader

    def line(self, key_path: str) -> int | None:
        """The 1-based line of a key (``span[1].surface[0].type``), else of the table around it.

        The paths of organism.lock and of ``field_digests`` are understood too: spanned members by their stable
        id (``span[70f9…].kind``), counts, and durations named with their unit.
        """
        return self._reader.line(_in_file(key_path, self.config))


def _in_file(path: str, config: OrganismConfig) -> str:
    """A path of organism.lock as the file spells it."""
    return file_path(_IN_FILE.get(path, path).removesuffix(".count"), config)


def load_organism(path: Path) -> LoadedOrganism:
    """Read and validate an organism.toml.

    Raises:
        PathError: The system refused to read it.
        InputError: It holds problems; all of them are in ``problems``.
    """
    return parse_organism(read_text(path), str(path), path=path)


def parse_organism(text: str, file: str = "organism.toml", *, path: Path | None = None) -> LoadedOrganism:
    """Validate the text of an organism.toml.

    Args:
        text: TOML.
        file: How problems name it.
        path: Where it came from, if anywhere.

    Raises:
        InputError: It holds problems; all of them are in ``problems``.
    """
    reader = Reader(file, text)
    values = ORGANISM.read(reader.parse(), "", reader)
    reader.finish()
    if not isinstance(values, dict):  # the root of a TOML document is always a table
        raise TypeError("the root is no table")
    return LoadedOrganism(_config(values), path, reader)


def _config(values: Mapping[str, Any]) -> OrganismConfig:
    """The config of values that hold no problem."""
    network_text, network = values["network"]
    driver, channel, genesis, identity = (
        values["driver"], values["change_channel"], values["genesis"], values["identity"],
    )  # fmt: skip
    return OrganismConfig(
        name=values["name"],
        network=network,
        network_text=network_text,
        span=tuple(_member(one) for one in values["span"]),
        driver=Driver(driver["fold"], driver["apply_deadline"], driver["stall"], driver["period"]),
        content=values["content"],
        surfaces=tuple(Surface(one["name"], one["type"], one["id"]) for one in values["surface"]),
        acl=tuple(build_validator(one) for one in values["acl"]),
        group=_group(values["group"]),
        change_channel=ChangeChannel(channel["url"], channel["signers"]) if channel else None,
        genesis=Genesis(genesis["roster"]) if genesis else None,
        identity=IdentityScheme(**identity) if identity else IdentityScheme(),
    )


def _member(values: Mapping[str, Any]) -> SpannedMember:
    return SpannedMember(
        name=values["name"],
        kind=values["kind"],
        stable_id=values["stable_id"],
        content_hash=values["content_hash"],
        clock=values["clock"],
        surfaces=tuple(ReadSurface(**one) for one in values["surface"]),
        issuers=tuple(Issuer(one["state"], build_validator(one)) for one in values["issuer"]),
    )


def _group(values: Mapping[str, Any] | None) -> GroupInputs:
    if values is None:
        return GroupInputs()
    return GroupInputs(
        heartbeat_ms=values["heartbeat"],
        heartbeat_jitter_ms=values["heartbeat_jitter"],
        max_missed_heartbeats=values["max_missed_heartbeats"],
        machine=values["machine"],
        machine_type=values["machine_type"],
        sync_batch=values["sync"]["batch"],
        sync_fetch_timeout_s=values["sync"]["fetch_timeout"],
    )
