"""Validators of tickets and their signatures, the part of a validator that mosaik folds into a group id.

Sources: mosaik 0.3.18 ``tickets/jwt.rs`` and ``tee/tdx/{measure,validator}.rs`` (domain fact sheet A.7, A.8).
Durations are whole seconds here, because that is all that the signatures see; ``None`` means unset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from organismctl.identity.digest import derive, uid

JWT_CLASS = uid("mosaik.tickets.jwt.v1")
TDX_CLASS = uid("mosaik.tee.tdx.ticket.v1")
TDX_CRITERIA = uid("mosaik.tee.tdx.measurements-criteria.v1")

KEY_SIZES = {"HS256": 32, "HS384": 48, "HS512": 64, "ES256": 33, "ES384": 49, "ES512": 67, "EdDSA": 32}
"""Bytes of a verifying key by algorithm (SEC1 compressed for ES*)."""
SHARED = frozenset({"HS256", "HS384", "HS512"})
"""Algorithms whose verifying key is the signing secret itself."""
_FINGERPRINT_TAGS = {alg: uid(alg.lower()) for alg in KEY_SIZES} | {"EdDSA": uid("EdDsa")}

REGISTERS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
REGISTER_SIZE = 48
_PLACEHOLDERS = {
    name: bytes([byte]) * REGISTER_SIZE for name, byte in zip(REGISTERS, (9, 1, 2, 3, 4), strict=True)
}
_UNSET_8 = b"\0" * 8
U64_MAX = (1 << 64) - 1
I64_MAX = (1 << 63) - 1


def key_fingerprint(alg: str, key: bytes) -> bytes:
    """The fingerprint of a verifying key, 32 bytes.

    Args:
        alg: One of :data:`KEY_SIZES`.
        key: Its raw bytes; for HS* the shared secret.

    Raises:
        ValueError: The algorithm is unknown or the size does not fit it.
    """
    size = KEY_SIZES.get(alg)
    if size is None:
        raise ValueError(f"unknown algorithm {alg!r}; known: {', '.join(KEY_SIZES)}")
    if len(key) != size:
        raise ValueError(f"{alg} keys have {size} bytes, this one has {len(key)}")
    return derive(_FINGERPRINT_TAGS[alg], key)


@dataclass(frozen=True)
class JwtKey:
    """A verifying key, or only its fingerprint where the key is a secret.

    Attributes:
        alg: One of :data:`KEY_SIZES`.
        key: Raw bytes, or ``None``. A shared secret never shows in ``repr``.
        given_fingerprint: 32 bytes when ``key`` is ``None``.
    """

    alg: str
    key: bytes | None = field(default=None, repr=False)
    given_fingerprint: bytes | None = None

    @cached_property
    def fingerprint(self) -> bytes:
        """The fingerprint that mosaik gives the key.

        Raises:
            ValueError: Neither a fitting key nor a fingerprint is there.
        """
        if self.key is not None:
            return key_fingerprint(self.alg, self.key)
        if self.given_fingerprint is None:
            raise ValueError(f"the {self.alg} key has neither bytes nor a fingerprint")
        return self.given_fingerprint


@dataclass(frozen=True)
class JwtValidator:
    """mosaik's ``Jwt`` validator.

    Attributes:
        keys: In insertion order; the order is part of the signature.
        issuers: Accepted ``iss`` values; empty = any.
        audiences: Accepted ``aud`` values; empty = any.
        subject: Required ``sub``; ``None`` = the peer id in lowercase hex.
        allow_non_expiring: Whether a ticket may lack ``exp``.
        max_lifetime_s: Longest remaining life, seconds.
        max_age_s: Longest time since ``iat``, seconds.
        claims: Private claims that must be equal: text, integers, booleans.
    """

    keys: tuple[JwtKey, ...]
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    subject: str | None = None
    allow_non_expiring: bool = False
    max_lifetime_s: int | None = None
    max_age_s: int | None = None
    claims: Mapping[str, str | int | bool] = field(default_factory=dict)

    @property
    def ticket_class(self) -> bytes:
        """The class of the tickets that it judges."""
        return JWT_CLASS

    def signature(self) -> bytes:
        """The validator's signature, 32 bytes (domain fact sheet A.7)."""
        signature = JWT_CLASS
        for key in self.keys:
            signature = derive(signature, key.alg, key.fingerprint)
        signature = derive(
            signature,
            b"\x01" if self.allow_non_expiring else b"\x00",
            ",".join(self.issuers),
            ",".join(self.audiences),
            self.subject or "",
            (self.max_lifetime_s or 0).to_bytes(8, "little"),
            (self.max_age_s or 0).to_bytes(8, "little"),
        )
        for name in sorted(self.claims, key=str.encode):
            signature = derive(signature, name, _compact(self.claims[name]))
        return signature


@dataclass(frozen=True)
class TdxMeasurements:
    """Criteria on a quote's registers: 48 bytes each; ``None`` matches anything."""

    mrtd: bytes | None = None
    rtmr0: bytes | None = None
    rtmr1: bytes | None = None
    rtmr2: bytes | None = None
    rtmr3: bytes | None = None

    def signature(self) -> bytes:
        """``criteria(…)`` of the domain fact sheet A.8, 32 bytes."""
        return derive(TDX_CRITERIA, *(getattr(self, name) or _PLACEHOLDERS[name] for name in REGISTERS))

    def mismatches(self, seen: Mapping[str, bytes]) -> tuple[str, ...]:
        """Names of the registers that are set here and differ from those seen."""
        return tuple(
            name
            for name in REGISTERS
            if getattr(self, name) is not None and getattr(self, name) != seen.get(name)
        )


@dataclass(frozen=True)
class TdxValidator:
    """mosaik's ``Tdx`` validator: measurements match, no chain to Intel's root is walked.

    Attributes:
        baseline: Criteria that every ticket must meet.
        variants: Where there are any, at least one must be met too.
        max_age_s: Longest time since the quote, seconds.
        not_before_s: Earliest time of the quote, Unix seconds.
        max_lifetime_s: Longest remaining life, seconds; a never-expiring ticket fails when set.
    """

    baseline: TdxMeasurements = field(default_factory=TdxMeasurements)
    variants: tuple[TdxMeasurements, ...] = ()
    max_age_s: int | None = None
    not_before_s: int | None = None
    max_lifetime_s: int | None = None

    @property
    def ticket_class(self) -> bytes:
        """The class of the tickets that it judges."""
        return TDX_CLASS

    def signature(self) -> bytes:
        """The validator's signature, 32 bytes (domain fact sheet A.8)."""
        return derive(
            TDX_CLASS,
            self.baseline.signature(),
            *(variant.signature() for variant in self.variants),
            _fixed(self.max_age_s, signed=False),
            _fixed(self.not_before_s, signed=True),
            _fixed(self.max_lifetime_s, signed=False),
        )


def validator_problems(validator: JwtValidator | TdxValidator) -> list[tuple[str, str, str]]:
    """Spellings that mosaik's signature cannot tell from another, and values that it cannot hold.

    Returns:
        ``(key, found, allowed)`` for each, keys relative to the validator's table; empty when there is none.
    """
    found = _jwt_problems(validator) if isinstance(validator, JwtValidator) else _tdx_problems(validator)
    return list(found)


def _jwt_problems(validator: JwtValidator) -> Iterator[tuple[str, str, str]]:
    if not validator.keys:
        yield "keys", "no key", "at least one key"
    for index, key in enumerate(validator.keys):
        if key.alg not in KEY_SIZES:
            yield f"keys[{index}].alg", repr(key.alg), ", ".join(KEY_SIZES)
        elif key.key is not None and key.alg in SHARED:
            yield (
                f"keys[{index}].key",
                "a shared secret",
                f"fingerprint = mosaik's fingerprint of the {key.alg} key",
            )
        elif key.key is not None and len(key.key) != KEY_SIZES[key.alg]:
            yield (
                f"keys[{index}].key",
                f"{len(key.key)} bytes",
                f"{KEY_SIZES[key.alg]} bytes in hex for {key.alg}",
            )
        elif key.key is None and key.given_fingerprint is None:
            yield f"keys[{index}]", "neither key nor fingerprint", "key or fingerprint, in hex"
    for name, values in (("issuers", validator.issuers), ("audiences", validator.audiences)):
        for index, value in enumerate(values):
            if not value or "," in value:
                yield (
                    f"{name}[{index}]",
                    repr(value),
                    "non-empty text without a comma (mosaik joins them with commas)",
                )
    if validator.subject == "":
        yield "subject", "empty text", "non-empty text, or no key at all"
    for name in ("max_lifetime", "max_age"):
        yield from _seconds(name, getattr(validator, f"{name}_s"))


def _tdx_problems(validator: TdxValidator) -> Iterator[tuple[str, str, str]]:
    for prefix, criteria in (
        ("", validator.baseline),
        *((f"variants[{index}].", variant) for index, variant in enumerate(validator.variants)),
    ):
        for name in REGISTERS:
            value = getattr(criteria, name)
            if value is None:
                continue
            if len(value) != REGISTER_SIZE:
                yield f"{prefix}{name}", f"{len(value)} bytes", f"{REGISTER_SIZE} bytes in hex"
            elif value == _PLACEHOLDERS[name]:
                yield (
                    f"{prefix}{name}",
                    "mosaik's placeholder for an unset register",
                    "any other value, or no key at all",
                )
    yield from _seconds("max_age", validator.max_age_s)
    yield from _seconds("max_lifetime", validator.max_lifetime_s)
    if validator.not_before_s is not None and not 0 < validator.not_before_s <= I64_MAX:
        yield "not_before", str(validator.not_before_s), "a time after 1970"


def _seconds(name: str, value: int | None) -> Iterator[tuple[str, str, str]]:
    if value is not None and not 0 < value <= U64_MAX:
        yield (
            name,
            f"{value} s",
            "at least one whole second, or no key at all (mosaik cannot tell zero from unset)",
        )


def _fixed(value: int | None, *, signed: bool) -> bytes:
    return _UNSET_8 if value is None else value.to_bytes(8, "little", signed=signed)


def _compact(value: str | int | bool) -> str:
    """serde_json's compact rendering; equal to Python's for text, integers and booleans."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
