"""What a change of the config means: per field, which identity it moves and who must act.

Verdict for integrators:

- ``none``: neither the fingerprint nor a surface's id moves; nothing that they pinned changes.
- ``rebind``: only admission (``acl``) moves the fingerprint; facts keep their shape, so the new reference is
  enough.
- ``rebuild``: the fingerprint moves for anything that they depend on (name, network, spanned members, surfaces,
  parameters); what they compiled in is of another organism now.

- ``rebind`` also when the fingerprint stands and a surface's id moves (schemes ``declared`` and ``exec``).

Under ``organismctl/1`` a moved fingerprint always moves the group id too, since the machine's signature derives
from it. Under the other schemes only what was declared moves the fingerprint; the fields tell what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from organismctl.identity.fingerprint import SCHEME, Identity, fields, identity_of
from organismctl.identity.group_id import group_id_of

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig, SpannedMember

NONE, REBIND, REBUILD = "none", "rebind", "rebuild"
FINGERPRINT, GROUP_ID = "fingerprint", "group_id"
NOBODY = ("nobody",)
OUR_NODES = ("our nodes",)
EVERYBODY = ("our nodes", "integrators", "coalitions that pin it")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs.

    Attributes:
        path: Its path in organism.toml; spanned members by stable id.
        old: Its old text, ``None`` when it was not there.
        new: Its new text, ``None`` when it is gone.
        moves: Which of ``fingerprint`` and ``group_id`` it moves; empty for neither.
    """

    path: str
    old: str | None
    new: str | None
    moves: tuple[str, ...]

    @property
    def actors(self) -> tuple[str, ...]:
        """Who must act on it."""
        return actors(self.moves)


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """Two configs side by side.

    Attributes:
        changes: Every field that differs, in the order of the preimage.
        old: The old identity.
        new: The new identity.
        old_group: The old group id; ``None`` without the hash of the group secret.
        new_group: The new group id, likewise.
        verdict: ``none``, ``rebind`` or ``rebuild``.
    """

    changes: tuple[Change, ...]
    old: Identity
    new: Identity
    old_group: bytes | None
    new_group: bytes | None
    verdict: str

    @property
    def moves(self) -> tuple[str, ...]:
        """Which identities move."""
        moved = {move for change in self.changes for move in change.moves}
        return tuple(move for move in (FINGERPRINT, GROUP_ID) if move in moved)

    @property
    def actors(self) -> tuple[str, ...]:
        """Who must act; a surface's id that moves alone is the integrators' to follow."""
        if self.verdict == REBIND and FINGERPRINT not in self.moves:
            return (*(OUR_NODES if self.moves else ()), "integrators")
        return actors(self.moves)


def actors(moves: Iterable[str]) -> tuple[str, ...]:
    """Who must act when these identities move."""
    moved = set(moves)
    return EVERYBODY if FINGERPRINT in moved else OUR_NODES if moved else NOBODY


def verdict_of(paths: Iterable[str]) -> str:
    """The verdict for integrators.

    Args:
        paths: Paths of the fields that move the fingerprint.
    """
    moved = list(paths)
    if not moved:
        return NONE
    return REBIND if all(path.startswith("acl") for path in moved) else REBUILD


def diff(
    old: OrganismConfig,
    new: OrganismConfig,
    hashed_secret: bytes | None = None,
    *,
    identities: tuple[Identity, Identity] | None = None,
) -> ConfigDiff:
    """Compare two configs.

    Args:
        old: The one that is deployed.
        new: The one that would be.
        hashed_secret: ``H(group secret)``, 32 bytes, to tell the group ids.
        identities: Both identities, where the scheme is ``exec`` and the binary was asked.

    Raises:
        ParameterError: A parameter may not stand.
        IdentityError: An identity cannot be made.
    """
    before, after = identities or (identity_of(old), identity_of(new))
    changes = (*_changes(old, new, before, after), *_identity_changes(before, after))
    moved = [change.path for change in changes if FINGERPRINT in change.moves]
    if before.fingerprint == after.fingerprint:
        verdict = NONE if before.surface_ids == after.surface_ids else REBIND
    else:
        verdict = verdict_of(moved)
    return ConfigDiff(
        changes,
        before,
        after,
        group_id_of(old, hashed_secret, before),
        group_id_of(new, hashed_secret, after),
        verdict,
    )


def _changes(old: OrganismConfig, new: OrganismConfig, before: Identity, after: Identity) -> Iterator[Change]:
    was_fields, now_fields = fields(old), fields(new)
    computed = before.scheme == after.scheme == SCHEME
    for path in dict.fromkeys([*was_fields, *now_fields]):
        was, now = was_fields.get(path), now_fields.get(path)
        if not path.endswith(".count") and (was is None or now is None or was[1] != now[1]):
            moves = _moves(path, computed=computed)
            yield Change(path, was[0] if was else None, now[0] if now else None, moves)
    quiet_before, quiet_after = dict(_quiet(old)), dict(_quiet(new))
    for path in dict.fromkeys([*quiet_before, *quiet_after]):
        if quiet_before.get(path) != quiet_after.get(path):
            yield Change(path, quiet_before.get(path), quiet_after.get(path), ())


def _moves(path: str, *, computed: bool) -> tuple[str, ...]:
    """What a field moves; ``computed`` tells whether fingerprint and machine signature come from the fields."""
    if computed:
        return (GROUP_ID,) if path.startswith("group.") else (FINGERPRINT, GROUP_ID)
    folded = path.startswith(("group.", "acl")) and path != "group.machine"
    return (GROUP_ID,) if folded else ()


def _identity_changes(before: Identity, after: Identity) -> Iterator[Change]:
    """What moves without a field of ours to show for it: declared, told by a binary, or another scheme."""
    if before.scheme == after.scheme == SCHEME:
        return
    rows: list[tuple[str, str | None, str | None, tuple[str, ...]]] = [
        ("identity.scheme", before.scheme, after.scheme, ()),
        ("identity.fingerprint", before.fingerprint.hex(), after.fingerprint.hex(), (FINGERPRINT,)),
        ("identity.stable_id", _hex(before.stable_id), _hex(after.stable_id), ()),
        (
            "identity.machine_signature",
            _hex(before.machine_signature),
            _hex(after.machine_signature),
            (GROUP_ID,),
        ),
    ]
    for name in dict.fromkeys([*before.surface_ids, *after.surface_ids]):
        was, now = _hex(before.surface_ids.get(name)), _hex(after.surface_ids.get(name))
        rows.append((f"identity.surface_ids.{name}", was, now, ()))
    for path, was, now, moves in rows:
        if was != now:
            yield Change(path, was, now, moves)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _quiet(config: OrganismConfig) -> Iterator[tuple[str, str]]:
    """Fields that move no identity."""
    for member in config.span:
        yield from _quiet_member(member)
    if config.change_channel is not None:
        yield "change_channel.url", config.change_channel.url
        yield "change_channel.signers", ", ".join(config.change_channel.signers)
    if config.genesis is not None:
        yield "genesis.roster", config.genesis.roster.hex()


def _quiet_member(member: SpannedMember) -> Iterator[tuple[str, str]]:
    path = f"span[{member.stable_id.hex()}]"
    yield f"{path}.name", member.name
    for read in member.surfaces:
        yield f"{path}.surface[{read.id.hex()}].name", read.name
        if read.decode is not None:
            yield f"{path}.surface[{read.id.hex()}].decode", " ".join((read.decode, *read.command))
    for index, issuer in enumerate(member.issuers):
        yield f"{path}.issuer[{index}]", f"{issuer.state} {issuer.validator.signature().hex()}"
