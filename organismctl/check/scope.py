"""What every check gets: the config, the look at the world, our side, the accepted identity, and the moment.

Pure: the caller has read the files, asked the organism's own binary where the scheme needs it, and taken the
time; nothing here looks at anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from organismctl.check.wire_view import WireView, wire_view
from organismctl.identity.fingerprint import Identity, identity_of
from organismctl.identity.group_id import group_id_of, why_no_group_id

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment
    from organismctl.files.lock import LockFile
    from organismctl.files.organism import LoadedOrganism
    from organismctl.observe.snapshot import Snapshot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """One organism at one moment.

    Attributes:
        organism: organism.toml, with its lines.
        snapshot: What was seen of the world.
        deployment: Our side, or ``None`` (a CI job has none).
        lock: The accepted identity, or ``None`` when there is no file.
        now_ms: The moment of judgement, Unix ms; may lie in the future.
        identity: What organism.toml is, or ``None`` with the reason in ``identity_unknown``.
        identity_unknown: Why there is no identity.
        group_id: 32 bytes, or ``None`` with the reason in ``group_unknown``.
        group_unknown: Why there is no group id.
        secret_hash: ``H(group secret)``, here or in the lock, or ``None``.
        secret_readings: Misreadings of the group secret, in words, to their ``H``; empty when it is not here.
        wire: The wire's facts of the snapshot, read once for all checks.
    """

    organism: LoadedOrganism
    snapshot: Snapshot
    deployment: Deployment | None
    lock: LockFile | None
    now_ms: int
    identity: Identity | None
    identity_unknown: str | None
    group_id: bytes | None
    group_unknown: str | None
    secret_hash: bytes | None = None
    secret_readings: Mapping[str, bytes] = field(default_factory=dict)
    wire: WireView = field(default_factory=WireView)
    _derived: dict[Callable[[Scope], Any], Any] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def derived(self, make: Callable[[Scope], T]) -> T:
        """What several checks derive from this scope: made for the first one that asks.

        Args:
            make: A pure function of the scope; it names what is derived, so it must be one and the same each time.
        """
        if make not in self._derived:
            self._derived[make] = make(self)
        return cast("T", self._derived[make])


def make_scope(
    organism: LoadedOrganism,
    snapshot: Snapshot,
    deployment: Deployment | None,
    lock: LockFile | None,
    now_ms: int,
    *,
    secret_hash: bytes | None = None,
    identity: Identity | None = None,
    identity_unknown: str | None = None,
    secret_readings: Mapping[str, bytes] | None = None,
) -> Scope:
    """Compute the identities once for all checks.

    Args:
        organism: organism.toml.
        snapshot: What was seen.
        deployment: Our side, if there is one here.
        lock: The accepted identity, if there is one.
        now_ms: The moment of judgement, Unix ms.
        secret_hash: ``H(group secret)`` when the secret is here; else the lock's is taken.
        identity: The identity, where the caller has it already (scheme ``exec``: the binary was asked).
        identity_unknown: Why the caller could not get it.
        secret_readings: What :func:`organismctl.identity.group_id.secret_readings` gave, when the secret is here.
    """
    if secret_hash is None and lock is not None:
        secret_hash = lock.group_secret_hash
    group_id: bytes | None = None
    group_unknown: str | None = "the fingerprint is not known"
    if identity is None and identity_unknown is None:
        try:
            identity = identity_of(organism.config)
        except ValueError as exc:  # IdentityError, ParameterError: both say why
            identity_unknown = str(exc)
    if identity is not None:
        group_id = group_id_of(organism.config, secret_hash, identity)
        group_unknown = why_no_group_id(organism.config, secret_hash, identity)
    return Scope(
        organism, snapshot, deployment, lock, now_ms, identity, identity_unknown, group_id, group_unknown,
        secret_hash, secret_readings or {}, wire_view(snapshot, organism.config.network),
    )  # fmt: skip
