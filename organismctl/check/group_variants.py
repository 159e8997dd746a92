"""Which common mistake makes the group id that a node has joined, when it is not the computed one.

Pure and bounded: every single mistake is tried, then every pair of mistakes in different parts, and the group
ids that come out are compared with those that are there. An id that none explains stays unexplained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from organismctl.identity.consensus import consensus_digest
from organismctl.identity.digest import derive, uid
from organismctl.identity.group_id import group_id
from organismctl.identity.sync import LogReplaySync
from organismctl.identity.validator import JwtKey, JwtValidator

if TYPE_CHECKING:
    from organismctl.identity.config import GroupInputs, OrganismConfig, Validator
    from organismctl.identity.fingerprint import Identity

_DEFAULTS = {"heartbeat_ms": 500, "heartbeat_jitter_ms": 150, "max_missed_heartbeats": 10}
_KEYS = {"heartbeat_ms": "heartbeat", "heartbeat_jitter_ms": "heartbeat_jitter"}
_MACHINE_NAME = "organism.machine.v1"
_TYPES = ("organismctl_engine::Machine", "organismctl_engine::machine::Machine")
_NOOP = "mosaik::groups::machine::noop::NoOp"
_NOOP_SIGNATURE = uid("mosaik_noop_state_machine")
MOST_PERMUTED = 4
"""Validators or keys of which every order is tried; of more, only the reversed one."""
MOST_ACLS = 64


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the committee that should be there.

    Attributes:
        config: organism.toml.
        identity: What it is.
        secret_hash: ``H(group secret)``, 32 bytes.
        secrets: Other readings of the same secret, told in words, to their ``H``: text where hex was meant.
        accepted: Accepted identities, told in words, to (fingerprint, group id or ``None``).
    """

    config: OrganismConfig
    identity: Identity
    secret_hash: bytes
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    accepted: Mapping[str, tuple[bytes, bytes | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variant:
    """A mistake and the group id that it makes.

    Attributes:
        key: The key of organism.toml, or of the secret, that differs.
        what: In words: ``heartbeat is 500ms (mosaik's default)``.
        group_id: 32 bytes.
    """

    key: str
    what: str
    group_id: bytes


@dataclass(frozen=True, slots=True)
class _Part:
    """One reading of one part of a group id; ``key`` is empty for the right one."""

    key: str
    what: str
    value: tuple[bytes, ...]


def explain(known: Known, present: Collection[bytes]) -> Variant | None:
    """The first mistake that makes one of the group ids that are there; single mistakes before pairs."""
    wanted = frozenset(present)
    return next((one for one in variants(known) if one.group_id in wanted), None)


def variants(known: Known) -> Iterator[Variant]:
    """Every variant, the likeliest first."""
    for name, (_, accepted) in known.accepted.items():
        if accepted is not None:
            yield Variant("config", f"it runs the identity of {name}", accepted)
    parts = _parts(known)
    for index, options in enumerate(parts):
        for option in options[1:]:
            yield _made(parts, {index: option})
    for one, two in combinations(range(len(parts)), 2):
        for first in parts[one][1:]:
            for second in parts[two][1:]:
                yield _made(parts, {one: first, two: second})


def _made(parts: list[list[_Part]], chosen: Mapping[int, _Part]) -> Variant:
    secret, consensus, machine, sync = (
        chosen.get(index, options[0]).value for index, options in enumerate(parts)
    )
    made = group_id(secret[0], consensus[0], machine[0], sync[0], machine[1:])
    what = "; ".join(part.what for part in chosen.values())
    return Variant(", ".join(part.key for part in chosen.values()), what, made)


def _parts(known: Known) -> list[list[_Part]]:
    """Secret, consensus, machine with validators, sync; the right reading first in each."""
    group = known.config.group
    secret = [_Part("", "", (known.secret_hash,))]
    secret += [
        _Part("secret", f"the group secret is {name}", (digest,)) for name, digest in known.secrets.items()
    ]
    return [_distinct(one) for one in (secret, _consensus(group), list(_machine(known)), list(_sync(group)))]


def _distinct(options: Iterable[_Part]) -> list[_Part]:
    seen: dict[tuple[bytes, ...], _Part] = {}
    for option in options:
        seen.setdefault(option.value, option)
    return list(seen.values())


def _consensus(group: GroupInputs) -> list[_Part]:
    own = {name: getattr(group, name) for name in _DEFAULTS}
    made = [_Part("", "", (consensus_digest(*own.values()),))]
    names = [name for name in _DEFAULTS if own[name] != _DEFAULTS[name]]
    for count in range(1, len(names) + 1):
        for some in combinations(names, count):
            values = {name: _DEFAULTS[name] if name in some else own[name] for name in own}
            what = " and ".join(f"{_shown(name)} (mosaik's default)" for name in some)
            keys = ", ".join(f"group.{_KEYS.get(name, name)}" for name in some)
            made.append(_Part(keys, what, (consensus_digest(*values.values()),)))
    return made


def _shown(name: str) -> str:
    unit = "ms" if name.endswith("_ms") else ""
    return f"{_KEYS.get(name, name)} is {_DEFAULTS[name]}{unit}"


def _sync(group: GroupInputs) -> Iterator[_Part]:
    own = LogReplaySync(group.machine_type, group.sync_batch, group.sync_fetch_timeout_s)
    yield _Part("", "", (own.signature(),))
    plain = replace(own, batch=2000, fetch_timeout_s=25)
    yield _Part("group.sync", "sync has mosaik's defaults", (plain.signature(),))
    crate, _, last = own.type_name.partition("::")
    names = dict.fromkeys((*_TYPES, _NOOP, f"{crate}::machine::{last.rpartition('::')[2]}"))
    for name in names:
        yield _Part(
            "group.machine_type", f"machine_type is {name}", (replace(own, type_name=name).signature(),)
        )


def _machine(known: Known) -> Iterator[_Part]:
    """The machine's signature together with the validators: an acl of the file moves both."""
    config, own = known.config, known.identity.machine_signature or b""
    acl = _signatures(config.acl)
    yield _Part("", "", (own, *acl))
    derived = config.identity.scheme == "organismctl/1"
    for what, changed in _acls(config):
        signatures = _signatures(changed)
        if derived and changed and (moved := _machine_of(replace(config, acl=changed))) is not None:
            yield _Part("acl", what, (moved, *signatures))
        yield _Part("acl", f"{what} (in its code, not in its config)", (own, *signatures))
    for name, (pin, _) in known.accepted.items():
        yield _Part("config", f"it runs the config of {name}", (derive(uid(config.group.machine), pin), *acl))
    pin = known.identity.fingerprint
    names = {_MACHINE_NAME: derive(uid(_MACHINE_NAME), pin)} if derived else {}
    names["a machine signature without the fingerprint"] = uid(config.group.machine)
    names["mosaik's NoOp"] = _NOOP_SIGNATURE
    for name, signature in names.items():
        yield _Part("group.machine", f"machine is {name}", (signature, *acl))


def _machine_of(config: OrganismConfig) -> bytes | None:
    from organismctl.identity.fingerprint import identity_of

    try:
        return identity_of(config).machine_signature
    except ValueError:  # a variant that has no fingerprint explains nothing
        return None


def _signatures(acl: Iterable[Validator]) -> tuple[bytes, ...]:
    return tuple(one.signature() for one in acl)


def _acls(config: OrganismConfig) -> Iterator[tuple[str, tuple[Validator, ...]]]:
    """Other readings of ``[[acl]]``: order, one left out, other keys; at most :data:`MOST_ACLS`."""
    yield from list(_some_acls(config))[:MOST_ACLS]


def _some_acls(config: OrganismConfig) -> Iterator[tuple[str, tuple[Validator, ...]]]:
    acl = config.acl
    if len(acl) > 1:
        yield "the validators stand in reverse order", acl[::-1]
        for index, _ in enumerate(acl):
            yield f"acl[{index}] is missing", (*acl[:index], *acl[index + 1 :])
    yield "it requires no ticket at all", ()
    for index, one in enumerate(acl):
        if isinstance(one, JwtValidator):
            for what, other in _jwts(one, _other_keys(config, one)):
                yield f"acl[{index}]{what}", (*acl[:index], other, *acl[index + 1 :])
    if 2 < len(acl) <= MOST_PERMUTED:
        for order in permutations(acl):
            yield "the validators stand in another order", order


def _jwts(one: JwtValidator, others: list[JwtKey]) -> Iterator[tuple[str, JwtValidator]]:
    keys = one.keys
    if len(keys) > 1:
        yield ".keys stand in reverse order", replace(one, keys=keys[::-1])
        for index, key in enumerate(keys):
            yield (
                f".keys: {key.alg} {_short(key)} is missing",
                replace(one, keys=(*keys[:index], *keys[index + 1 :])),
            )
        if 2 < len(keys) <= MOST_PERMUTED:
            for order in permutations(keys):
                yield ".keys stand in another order", replace(one, keys=order)
    for key in others:
        name = f"{key.alg} {_short(key)}"
        for index, _ in enumerate(keys):
            yield (
                f".keys: {name} stands for key {index}",
                replace(one, keys=(*keys[:index], key, *keys[index + 1 :])),
            )
        yield f".keys: {name} stands beside the others", replace(one, keys=(*keys, key))
        yield f".keys: {name} stands before the others", replace(one, keys=(key, *keys))
    if one.max_lifetime_s is not None:
        yield ".max_lifetime is missing", replace(one, max_lifetime_s=None)
    if one.max_age_s is not None:
        yield ".max_age is missing", replace(one, max_age_s=None)
    if one.issuers:
        yield ".issuers is missing", replace(one, issuers=())
    if one.audiences:
        yield ".audiences is missing", replace(one, audiences=())


def _other_keys(config: OrganismConfig, one: JwtValidator) -> list[JwtKey]:
    """Keys that stand elsewhere in the file: of other validators, and of issuers, next ones included."""
    everywhere = (*config.acl, *(issuer.validator for member in config.span for issuer in member.issuers))
    keys = (key for other in everywhere if isinstance(other, JwtValidator) for key in other.keys)
    own = {key.key_id() for key in one.keys}
    return list({key.key_id(): key for key in keys if key.key_id() not in own}.values())


def _short(key: JwtKey) -> str:
    return key.key_id().hex()[:10]
