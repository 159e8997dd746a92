"""JWT tickets: decoding, validation in mosaik's order with the failing step named, and issuing.

Source of the order and of every rule: mosaik 0.3.18 ``tickets/jwt.rs`` (its strictness is that of serde_json
and of base64's URL-safe alphabet without padding). Step names, in order: ``utf-8``, ``parts``, ``header``,
``algorithm``, ``signature``, ``claims``, ``issuer``, ``subject``, ``not-before``, ``expiry-missing``,
``expired``, ``max-lifetime``, ``issued-at-missing``, ``max-age``, ``audience``, ``claim``, ``expiry-range``.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from organismctl.identity.jws import public_key, sign, verifier
from organismctl.identity.validator import JwtKey, JwtValidator
from organismctl.identity.verdict import TicketVerdict

__all__ = ["MAX_TICKET", "JwtTicket", "inspect_jwt", "issue_jwt", "public_key", "validate_jwt"]

MAX_TICKET = 64 * 1024
"""Longest ticket that is looked at, bytes."""
_TEXT_CLAIMS = ("iss", "sub", "aud", "jti")
_TIME_CLAIMS = ("exp", "nbf", "iat")
_U64_MAX = (1 << 64) - 1
_LAST_TIME = 8_210_266_876_799
"""The last second that chrono can hold (year 262142)."""
_U64_DIGITS = 20
_MAX_DEPTH = 127
"""How deep serde_json nests."""
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class _StepError(Exception):
    """A step failed: its name, and one line."""

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(step)
        self.step = step
        self.detail = detail


@dataclass(frozen=True, slots=True)
class JwtTicket:
    """A decoded ticket, its signature not yet judged.

    Attributes:
        alg: The header's algorithm.
        registered: Those of ``iss``, ``sub``, ``aud``, ``jti`` (text), ``exp``, ``nbf``, ``iat`` (Unix seconds)
            that are there.
        private: All other claims.
        signed: What the signature covers.
        signature: Raw signature bytes.
    """

    alg: str
    registered: Mapping[str, Any]
    private: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def inspect_jwt(data: bytes) -> JwtTicket:
    """Decode a ticket without judging it.

    Raises:
        ValueError: It does not decode; the message names the step.
    """
    try:
        header, claims, signature, signed = _split(data)
        alg = _algorithm(header)
        registered, private = _claims(claims)
        return JwtTicket(alg, registered, private, signed, _base64(signature, "signature"))
    except _StepError as error:
        raise ValueError(f"{error.step}: {error.detail}") from None


def validate_jwt(data: bytes, validator: JwtValidator, peer_id: bytes, now_s: int) -> TicketVerdict:
    """Judge a ticket as mosaik does; never raises.

    Args:
        data: The ticket's bytes.
        validator: The validator of the side that admits.
        peer_id: The holder's peer id, 32 bytes.
        now_s: The moment of judgement, Unix seconds.
    """
    times: dict[str, Any] = {}
    try:
        header, claims, signature, signed = _split(data)
        alg = _algorithm(header)
        unknown = _check_signature(alg, validator.keys, signed, signature)
        registered, private = _claims(claims)
        times = _times(registered, validator)
        _check_claims(registered, private, validator, peer_id, now_s)
    except _StepError as error:
        times = times or _times_unproven(data, validator)
        return TicketVerdict(False, error.step, error.detail, **times)
    if unknown:
        return TicketVerdict(None, None, unknown, **times)
    return TicketVerdict(True, **times)


def issue_jwt(
    alg: str,
    secret: bytes,
    peer_id: bytes,
    *,
    issued_at_s: int,
    expires_at_s: int | None,
    issuer: str | None = None,
    audience: str | None = None,
    subject: str | None = None,
    not_before_s: int | None = None,
    token_id: str | None = None,
    claims: Mapping[str, str | int | bool] | None = None,
) -> bytes:
    """Build a signed ticket as mosaik's ``JwtTicketBuilder`` does.

    Args:
        alg: One of the seven algorithms.
        secret: The raw private key: HS* secret, big-endian ES* scalar, or ed25519 seed.
        peer_id: The holder; ``sub`` unless ``subject`` overrides it.
        issued_at_s: ``iat``, Unix seconds.
        expires_at_s: ``exp``, Unix seconds; ``None`` for a ticket that never expires.
        issuer: ``iss``.
        audience: ``aud``.
        subject: ``sub`` when it is not the peer id.
        not_before_s: ``nbf``, Unix seconds.
        token_id: ``jti``.
        claims: Private claims.

    Returns:
        The ticket's bytes.
    """
    payload: dict[str, Any] = {
        "iss": issuer,
        "sub": subject if subject is not None else peer_id.hex(),
        "aud": audience,
        "exp": expires_at_s,
        "nbf": not_before_s,
        "iat": issued_at_s,
        "jti": token_id,
    }
    body = {key: value for key, value in payload.items() if value is not None} | dict(claims or {})
    header = f'{{"alg":"{alg}","typ":"JWT"}}'.encode()
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    signed = _unpadded(header) + b"." + _unpadded(text)
    return signed + b"." + _unpadded(sign(alg, secret, signed))


def _split(data: bytes) -> tuple[str, str, str, bytes]:
    if len(data) > MAX_TICKET:
        raise _StepError("parts", f"{len(data)} bytes; tickets over {MAX_TICKET} bytes are not looked at")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _StepError("utf-8", "the bytes are not UTF-8") from None
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise _StepError("parts", f"{len(parts)} dot-separated parts, three are needed")
    return parts[0], parts[1], parts[2], f"{parts[0]}.{parts[1]}".encode()


def _base64(text: str, step: str) -> bytes:
    raw = text.encode()
    try:
        if not _ALPHABET.issuperset(raw):
            raise ValueError
        decoded = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
        if _unpadded(decoded) != raw:
            raise ValueError
    except (ValueError, binascii.Error):
        raise _StepError(step, "not URL-safe base64 without padding") from None
    return decoded


def _unpadded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _json_object(data: bytes, step: str) -> list[tuple[str, Any]]:
    """A JSON object as serde_json reads it, which is stricter than Python on depth and on numbers."""
    try:
        text = data.decode()
        _check_depth(text)
        pairs = _DECODER.decode(text)
        if not isinstance(pairs, _Pairs):
            raise ValueError  # noqa: TRY004 # one exit for everything that serde refuses
        if "\\u" in text:  # only an escape can bring in a lone surrogate, which does not encode
            json.dumps(pairs, ensure_ascii=False).encode()
    except ValueError:
        raise _StepError(step, "not a JSON object") from None
    return pairs


def _check_depth(text: str) -> None:
    """A remote's nesting must not reach Python's own limit, which is an error of another kind."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return
    depth = 0
    for mark in _BRACKETS.findall(text):
        if mark[0] != '"':
            depth += 1 if mark in "[{" else -1
            if depth > _MAX_DEPTH:
                raise ValueError("nested too deep")


def _integer(text: str) -> int | float:
    """Beyond 64 bits, and for a negative zero, serde_json makes a float, which is no time and equals no claim."""
    if text == "-0" or len(text) > _U64_DIGITS:
        return _float(text)
    value = int(text)
    return value if -(1 << 63) <= value <= _U64_MAX else float(value)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number out of range")
    return value


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its repeated keys."""


# Made once: a decoder costs as much as a ticket's claims.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_integer, parse_float=_float, parse_constant=_float
)


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=64)
def _algorithm(header: str) -> str:
    alg = dict(_json_object(_base64(header, "header"), "header")).get("alg")
    if not isinstance(alg, str):
        raise _StepError("header", "no text under alg")
    return alg


def _claims(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    pairs = _json_object(_base64(text, "claims"), "claims")
    registered: dict[str, Any] = {}
    private: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _TEXT_CLAIMS and name not in _TIME_CLAIMS:
            private[name] = _plain(value)
            continue
        if name in registered:
            raise _StepError("claims", f"{name} stands twice")
        if value is not None and not _fits(name, value):
            kind = "text" if name in _TEXT_CLAIMS else "a whole number of seconds, zero or more"
            raise _StepError("claims", f"{name} is not {kind}")
        registered[name] = value
    return {name: value for name, value in registered.items() if value is not None}, private


def _fits(name: str, value: Any) -> bool:
    if name in _TEXT_CLAIMS:
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _U64_MAX


def _check_signature(alg: str, keys: tuple[JwtKey, ...], signed: bytes, signature: str) -> str:
    """Returns why it cannot be judged here, empty when it verifies."""
    fitting = [key for key in keys if key.alg == alg]
    if not fitting:
        known = ", ".join(sorted({key.alg for key in keys})) or "none"
        raise _StepError(
            "algorithm", f"the ticket is signed with {alg[:16]!r}, the validator has keys for: {known}"
        )
    raw = _base64(signature, "signature")
    if any(key.key is not None and verifier(alg, key.key)(signed, raw) for key in fitting):
        return ""
    if any(key.key is None for key in fitting):
        return f"only the fingerprint of the {alg} key is here; the signature cannot be checked"
    raise _StepError("signature", f"it verifies under none of the validator's {len(fitting)} {alg} key(s)")


def _check_claims(
    registered: Mapping[str, Any],
    private: Mapping[str, Any],
    validator: JwtValidator,
    peer_id: bytes,
    now_s: int,
) -> None:
    for step, detail in _claim_faults(registered, private, validator, peer_id, now_s):
        raise _StepError(step, detail)


def _claim_faults(
    registered: Mapping[str, Any],
    private: Mapping[str, Any],
    validator: JwtValidator,
    peer_id: bytes,
    now_s: int,
) -> Iterator[tuple[str, str]]:
    expected = validator.subject if validator.subject is not None else peer_id.hex()
    if validator.issuers and registered.get("iss") not in validator.issuers:
        yield "issuer", f"iss is {_shown(registered.get('iss'))}, accepted: {', '.join(validator.issuers)}"
    if registered.get("sub") != expected:
        yield "subject", f"sub is {_shown(registered.get('sub'))}, expected {expected[:10]}…"
    if registered.get("nbf", 0) > now_s:
        yield "not-before", f"not valid before {registered['nbf']}"
    exp = registered.get("exp")
    if exp is None and not validator.allow_non_expiring:
        yield "expiry-missing", "no exp, and the validator does not allow non-expiring tickets"
    if exp is not None and exp <= now_s:
        yield "expired", f"expired {now_s - exp} s ago"
    if exp is not None and validator.max_lifetime_s is not None and exp - now_s > validator.max_lifetime_s:
        yield "max-lifetime", f"{exp - now_s} s are left, at most {validator.max_lifetime_s} s are accepted"
    if validator.max_age_s is not None:
        if "iat" not in registered:
            yield "issued-at-missing", "no iat, and the validator limits the age"
        elif max(now_s - registered["iat"], 0) > validator.max_age_s:
            yield (
                "max-age",
                f"issued {now_s - registered['iat']} s ago, at most {validator.max_age_s} s are accepted",
            )
    if validator.audiences and registered.get("aud") not in validator.audiences:
        yield (
            "audience",
            f"aud is {_shown(registered.get('aud'))}, accepted: {', '.join(validator.audiences)}",
        )
    for name, value in validator.claims.items():
        found = private.get(name)
        # A required null is met by a null only, not by an absent claim.
        if name not in private or type(found) is not type(value) or found != value:
            yield "claim", f"claim {name} is not {json.dumps(value)}"
    if exp is not None and exp > _LAST_TIME:
        yield "expiry-range", "exp lies beyond what a date can hold"


def _shown(value: object) -> str:
    return "missing" if value is None else repr(str(value)[:64])


def _times(registered: Mapping[str, Any], validator: JwtValidator) -> dict[str, Any]:
    exp, iat = registered.get("exp"), registered.get("iat")
    limits = [exp] if exp is not None else []
    if iat is not None and validator.max_age_s is not None:
        limits.append(iat + validator.max_age_s)
    return {
        "expires_at_s": exp,
        "horizon_s": min(limits, default=None),
        "never_expires": exp is None,
        "not_before_s": registered.get("nbf"),
        "issued_at_s": iat,
        "issuer": registered.get("iss"),
    }


def _times_unproven(data: bytes, validator: JwtValidator) -> dict[str, Any]:
    """What a refused ticket says of its times: shown beside the failing step, never relied on."""
    try:
        return _times(_claims(_split(data)[1])[0], validator)
    except _StepError:
        return {}
