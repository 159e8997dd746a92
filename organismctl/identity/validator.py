"""Ticket validators as configuration: what they demand, and the signature that mosaik folds into a GroupId.

mosaik's signature cannot tell some policies apart (no list from a list with one empty name, ``a,b`` from ``a`` and
``b``, no limit from a limit of zero). :func:`validator_problems` names those spellings, so that they are refused
before a fingerprint is made. Sources: mosaik ``tickets/jwt.rs`` and ``tee/tdx/{measure,validator}.rs``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

from organismctl.identity.digest import derive, uid

JWT_CLASS = uid("mosaik.tickets.jwt.v1")
TDX_CLASS = uid("mosaik.tee.tdx.ticket.v1")
_CRITERIA = uid("mosaik.tee.tdx.measurements-criteria.v1")
MEASUREMENT_SIZE = 48
REGISTERS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
# What mosaik hashes where a register is left open; a pinned register of this value would look the same.
PLACEHOLDERS = {
    name: bytes([n]) * MEASUREMENT_SIZE for name, n in zip(REGISTERS, (9, 1, 2, 3, 4), strict=True)
}
KEY_SIZES = {"HS256": 32, "HS384": 48, "HS512": 64, "ES256": 33, "ES384": 49, "ES512": 67, "EdDSA": 32}
SECRET_ALGS = ("HS256", "HS384", "HS512")
# mosaik's id for EdDSA has its own mixed case.
_FINGERPRINT_IDS = {alg: uid("EdDsa" if alg == "EdDSA" else alg.lower()) for alg in KEY_SIZES}
REGISTERED_CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")
_I64_MAX = 2**63 - 1

ClaimValue: TypeAlias = "None | bool | int | str"
ProblemRow: TypeAlias = "tuple[str, str, str]"


def key_fingerprint(alg: str, key: bytes) -> bytes:
    """The fingerprint that mosaik makes of a verifying key.

    Args:
        alg: One of the seven names of :data:`KEY_SIZES`.
        key: The shared secret, the compressed SEC1 point or the ed25519 public key.

    Raises:
        ValueError: An unknown algorithm.
    """
    if alg not in _FINGERPRINT_IDS:
        raise ValueError(f"{alg!r} is not one of {', '.join(KEY_SIZES)}")
    return derive(_FINGERPRINT_IDS[alg], key)


@dataclass(frozen=True, slots=True, repr=False)
class JwtKey:
    """One verifying key, by its bytes or by its fingerprint alone.

    A raw ``HS*`` key is the signing secret: fit for an issuer or a validation, never for a published config.
    """

    alg: str
    key: bytes | None = None
    fingerprint: bytes | None = None

    def key_id(self) -> bytes:
        """The 32-byte fingerprint, computed when the key itself is here.

        Raises:
            ValueError: Neither key nor fingerprint, or an unknown algorithm.
        """
        if self.key is not None:
            return key_fingerprint(self.alg, self.key)
        if self.fingerprint is None:
            raise ValueError(f"{self.alg} key has neither key nor fingerprint")
        return self.fingerprint

    @property
    def secret(self) -> bool:
        """Whether this holds a shared secret."""
        return self.alg in SECRET_ALGS and self.key is not None

    def __repr__(self) -> str:
        """Names the algorithm and, where it is public, the key."""
        shown = "<secret>" if self.secret else (self.key or self.fingerprint or b"").hex()
        return f"JwtKey({self.alg}, {shown})"


@dataclass(frozen=True, slots=True)
class JwtValidator:
    """The ``Jwt`` validator of mosaik; names of issuers and audiences stay in the order of the file.

    Attributes:
        keys: At least one.
        issuers: Allowed ``iss``; empty: any.
        audiences: Allowed ``aud``; empty: any.
        subject: The required ``sub``; ``None``: the peer id in lowercase hex.
        allow_non_expiring: Whether a token without ``exp`` passes.
        max_lifetime_s: Longest remaining life, whole seconds.
        max_age_s: Longest time since ``iat``, whole seconds.
        claims: Private claims that must be equal.
    """

    keys: tuple[JwtKey, ...]
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    subject: str | None = None
    allow_non_expiring: bool = False
    max_lifetime_s: int | None = None
    max_age_s: int | None = None
    claims: Mapping[str, ClaimValue] = field(default_factory=dict, hash=False)

    @property
    def type(self) -> str:
        """The name in organism.toml."""
        return "jwt"

    @property
    def class_(self) -> bytes:
        """The ticket class that this validates."""
        return JWT_CLASS

    def signature(self) -> bytes:
        """The signature that mosaik gives this configuration, 32 bytes.

        Raises:
            ValueError: A key without bytes and fingerprint, or a duration out of range.
        """
        digest = JWT_CLASS
        for key in self.keys:
            digest = derive(digest, key.alg, key.key_id())
        digest = derive(
            digest,
            b"\x01" if self.allow_non_expiring else b"\x00",
            ",".join(self.issuers),
            ",".join(self.audiences),
            self.subject or "",
            _u64(self.max_lifetime_s),
            _u64(self.max_age_s),
        )
        for name in sorted(self.claims, key=str.encode):
            digest = derive(digest, name, compact_json(self.claims[name]))
        return digest


@dataclass(frozen=True, slots=True)
class TdxCriteria:
    """Expected registers, 48 bytes each; ``None`` matches anything."""

    mrtd: bytes | None = None
    rtmr0: bytes | None = None
    rtmr1: bytes | None = None
    rtmr2: bytes | None = None
    rtmr3: bytes | None = None

    def signature(self) -> bytes:
        """The signature that mosaik gives these criteria, 32 bytes."""
        return derive(_CRITERIA, *(self.get(name) or PLACEHOLDERS[name] for name in REGISTERS))

    def get(self, register: str) -> bytes | None:
        """The expected value of one of :data:`REGISTERS`."""
        value: bytes | None = getattr(self, register)
        return value


@dataclass(frozen=True, slots=True)
class TdxValidator:
    """The ``Tdx`` validator of mosaik: measurements that must match; hardware is not proven by it.

    Attributes:
        baseline: What every ticket must match.
        variants: At least one of these, when there are any.
        max_age_s: Longest time since the quote, whole seconds.
        not_before_s: Earliest time of the quote, Unix seconds.
        max_lifetime_s: Longest time from quote to expiry, whole seconds.
    """

    baseline: TdxCriteria = field(default_factory=TdxCriteria)
    variants: tuple[TdxCriteria, ...] = ()
    max_age_s: int | None = None
    not_before_s: int | None = None
    max_lifetime_s: int | None = None

    @property
    def type(self) -> str:
        """The name in organism.toml."""
        return "tdx"

    @property
    def class_(self) -> bytes:
        """The ticket class that this validates."""
        return TDX_CLASS

    def signature(self) -> bytes:
        """The signature that mosaik gives this configuration, 32 bytes."""
        criteria = (c.signature() for c in (self.baseline, *self.variants))
        not_before = (self.not_before_s or 0).to_bytes(8, "little", signed=True)
        return derive(TDX_CLASS, *criteria, _u64(self.max_age_s), not_before, _u64(self.max_lifetime_s))


def _u64(value: int | None) -> bytes:
    return (value or 0).to_bytes(8, "little")


def compact_json(value: ClaimValue) -> str:
    """A claim as serde_json prints it: no blanks, non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def validator_problems(validator: JwtValidator | TdxValidator) -> list[ProblemRow]:
    """Every reason for which a validator may not stand in a published config.

    Returns:
        Rows of (key within the validator's table, what was found without secrets, what is allowed).
    """
    if isinstance(validator, TdxValidator):
        return _tdx_problems(validator)
    return _jwt_problems(validator)


def _seconds_problem(key: str, value: object) -> list[ProblemRow]:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _I64_MAX):
        return []
    return [(key, str(value), "whole seconds, at least 1s: mosaik's signature reads less as no limit")]


def _key_problems(index: int, key: JwtKey) -> list[ProblemRow]:
    where = f"keys[{index}]"
    if key.alg not in KEY_SIZES:
        return [(f"{where}.alg", repr(key.alg), f"one of {', '.join(KEY_SIZES)}")]
    if key.secret:
        return [
            (
                f"{where}.key",
                "a shared secret",
                f"for {key.alg} only `fingerprint`: the key signs tickets too",
            )
        ]
    if key.key is None and key.fingerprint is None:
        return [(where, "neither key nor fingerprint", "`key` or `fingerprint`")]
    if key.key is not None and key.fingerprint is not None and key.key_id() != key.fingerprint:
        return [(f"{where}.fingerprint", "another key's fingerprint", "one of `key` and `fingerprint`")]
    if key.key is None:
        found = len(key.fingerprint or b"")
        return [] if found == 32 else [(f"{where}.fingerprint", f"{found} bytes", "32 bytes in hex")]
    size = KEY_SIZES[key.alg]
    if len(key.key) != size:
        return [(f"{where}.key", f"{len(key.key)} bytes", f"{size} bytes in hex for {key.alg}")]
    if key.alg.startswith("ES") and key.key[0] not in (2, 3):
        return [(f"{where}.key", f"first byte {key.key[0]:02x}", "a compressed SEC1 point: 02 or 03 first")]
    return []


def _name_problems(key: str, names: tuple[str, ...]) -> list[ProblemRow]:
    rows = []
    for index, name in enumerate(names):
        if not name or "," in name:
            rows.append((f"{key}[{index}]", repr(name), "a name without commas, not empty"))
    return rows


def _jwt_problems(validator: JwtValidator) -> list[ProblemRow]:
    rows: list[ProblemRow] = []
    if not validator.keys:
        rows.append(("keys", "no key", "at least one key"))
    for index, key in enumerate(validator.keys):
        rows += _key_problems(index, key)
    rows += _name_problems("issuers", validator.issuers)
    rows += _name_problems("audiences", validator.audiences)
    if validator.subject is not None and not validator.subject:
        rows.append(("subject", "empty", "a text, or no key at all: mosaik's signature reads both alike"))
    rows += _seconds_problem("max_lifetime", validator.max_lifetime_s)
    rows += _seconds_problem("max_age", validator.max_age_s)
    for name, value in validator.claims.items():
        where = f"claims.{name}"
        if name in REGISTERED_CLAIMS:
            rows.append(
                (where, "a registered claim", "a private claim: mosaik never finds a registered one here")
            )
        elif not (value is None or isinstance(value, (bool, int, str))):
            rows.append(  # type: ignore[unreachable] # the types are a file's, so they are checked here
                (where, type(value).__name__, "text, integer, boolean or null")
            )
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            rows.append((where, "an integer out of range", "a 64-bit integer"))
    return rows


def _tdx_problems(validator: TdxValidator) -> list[ProblemRow]:
    rows: list[ProblemRow] = []
    tables = [("", validator.baseline)]
    tables += [(f"variants[{index}].", variant) for index, variant in enumerate(validator.variants)]
    for prefix, criteria in tables:
        for register in (f.name for f in fields(TdxCriteria)):
            value = criteria.get(register)
            if value is None:
                continue
            if len(value) != MEASUREMENT_SIZE:
                rows.append((prefix + register, f"{len(value)} bytes", "48 bytes in hex"))
            elif value == PLACEHOLDERS[register]:
                rows.append(
                    (prefix + register, "mosaik's placeholder", "a measurement; leave it out to match any")
                )
    rows += _seconds_problem("max_age", validator.max_age_s)
    rows += _seconds_problem("not_before", validator.not_before_s)
    rows += _seconds_problem("max_lifetime", validator.max_lifetime_s)
    return rows
