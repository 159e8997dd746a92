"""TDX tickets: decoding, and validation in mosaik's order with the failing step named.

Source of the order: mosaik 0.3.18 ``tee/tdx/{ticket,validator}.rs``; of the quote's layout: Intel TDX DCAP
Quoting Library API, quote format versions 4 and 5. mosaik checks the attestation key's own signature and walks
no chain to Intel's root, so the most that can be said is that *measurements match*.

Step names, in order: ``decompress``, ``decode``, ``quote``, ``quote-signature``, ``report-data``, ``baseline``,
``variant``, ``peer``, ``network``, ``max-age``, ``not-before``, ``max-lifetime``, ``expired``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from organismctl.identity.digest import derive, uid
from organismctl.identity.postcard import PostcardError, Reader, Writer
from organismctl.identity.validator import REGISTERS, TdxValidator
from organismctl.identity.verdict import TicketVerdict

MAX_TICKET = 64 * 1024
"""Most bytes after decompression."""
COMPRESSION_LEVEL = 3
_EXTRA = uid("mosaik.tdx.ticket.extra")
_HEADER = 48
_BODY = 584
_BODY_15 = 648
"""Body of a TD report 1.5 (quote version 5, body type 3)."""
_BODY_SIZES = {2: _BODY, 3: _BODY_15}
_TDX_TEE = 0x81
_ECDSA_P256 = 2
_REGISTER_OFFSETS = {"mrtd": 136, "rtmr0": 328, "rtmr1": 376, "rtmr2": 424, "rtmr3": 472}
_REPORT_DATA = 520
_MAX_TEXT = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class _StepError(Exception):
    def __init__(self, step: str, detail: str) -> None:
        super().__init__(step)
        self.step = step
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Quote:
    """A parsed quote.

    Attributes:
        version: 4 or 5.
        registers: ``mrtd`` and ``rtmr0`` to ``rtmr3``, 48 bytes each.
        report_data: 64 bytes.
        signed: What the attestation key signs: header and body.
        signature: r ‖ s, 64 bytes.
        attestation_key: x ‖ y of a P-256 point, 64 bytes.
    """

    version: int
    registers: Mapping[str, bytes]
    report_data: bytes
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    attestation_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TdxTicket:
    """A decoded ticket; times in Unix seconds, ``expires_at_s`` ``None`` for never."""

    quote: Quote
    peer_id: bytes
    network: bytes
    started_at_s: int
    quoted_at_s: int
    expires_at_s: int | None

    @property
    def binding(self) -> bytes:
        """What the quote's report data must begin with, 32 bytes."""
        return extra_signature(
            self.peer_id, self.network, self.started_at_s, self.quoted_at_s, self.expires_at_s
        )


def extra_signature(
    peer_id: bytes, network: bytes, started_at_s: int, quoted_at_s: int, expires_at_s: int | None = None
) -> bytes:
    """``extra(…)`` of the domain fact sheet A.8, 32 bytes."""
    return derive(
        _EXTRA,
        peer_id,
        network,
        started_at_s.to_bytes(8, "little", signed=True),
        quoted_at_s.to_bytes(8, "little", signed=True),
        (expires_at_s or 0).to_bytes(8, "little", signed=True),
    )


def decode_tdx(data: bytes) -> TdxTicket:
    """Decode a ticket without judging it.

    Raises:
        ValueError: It does not decode; the message names the step.
    """
    try:
        return _decode(data)
    except _StepError as error:
        raise ValueError(f"{error.step}: {error.detail}") from None


def encode_tdx(
    quote: bytes,
    peer_id: bytes,
    network: bytes,
    started_at_s: int,
    quoted_at_s: int,
    expires_at_s: int | None,
) -> bytes:
    """Pack a quote into a ticket as mosaik does; times become RFC 3339 text."""
    import zstandard

    writer = Writer()
    writer.bytes(quote)
    writer.fixed(peer_id, 32)
    writer.fixed(network, 32)
    writer.text(_rfc3339(started_at_s))
    writer.text(_rfc3339(quoted_at_s))
    writer.varint(0 if expires_at_s is None else 1)
    if expires_at_s is not None:
        writer.text(_rfc3339(expires_at_s))
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(writer.finish())


def validate_tdx(
    data: bytes, validator: TdxValidator, peer_id: bytes, network: bytes, now_s: int
) -> TicketVerdict:
    """Judge a ticket as mosaik does; never raises. ``valid`` says that measurements match, no more.

    Args:
        data: The ticket's bytes.
        validator: The validator of the side that admits.
        peer_id: The holder's peer id, 32 bytes.
        network: The network id, 32 bytes.
        now_s: The moment of judgement, Unix seconds.
    """
    try:
        ticket = _decode(data)
    except _StepError as error:
        return TicketVerdict(False, error.step, error.detail)
    times = _times(ticket, validator)
    for step, detail in _faults(ticket, validator, peer_id, network, now_s):
        return TicketVerdict(False, step, detail, **times)
    return TicketVerdict(True, None, "measurements match", **times)


def parse_quote(data: bytes) -> Quote:
    """Parse a TDX quote of version 4 or 5 with an ECDSA P-256 attestation key.

    Raises:
        ValueError: It is none.
    """
    if len(data) < _HEADER + 2:
        raise ValueError("shorter than a quote's header")
    version, key_type = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    tee = int.from_bytes(data[4:8], "little")
    if version not in (4, 5) or key_type != _ECDSA_P256 or tee != _TDX_TEE:
        raise ValueError(f"version {version}, key type {key_type}, TEE {tee:#x}; known: 4 or 5, 2, 0x81")
    begin, size = _HEADER, _BODY
    if version == 5:
        known = _BODY_SIZES.get(int.from_bytes(data[48:50], "little"))
        begin, size = _HEADER + 6, int.from_bytes(data[50:54], "little")
        if size != known:
            raise ValueError("a body of an unknown type or size")
    end = begin + size
    tail = int.from_bytes(data[end : end + 4], "little")
    if len(data) < end + 4 + 128 or tail < 128 or len(data) < end + 4 + tail:
        raise ValueError("ends inside its signature")
    body = data[begin:end]
    return Quote(
        version=version,
        registers={name: body[at : at + 48] for name, at in _REGISTER_OFFSETS.items()},
        report_data=body[_REPORT_DATA : _REPORT_DATA + 64],
        signed=data[:end],
        signature=data[end + 4 : end + 68],
        attestation_key=data[end + 68 : end + 132],
    )


def signature_holds(quote: Quote) -> bool:
    """Whether the quote's own attestation key signed it; says nothing of whose key that is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + quote.attestation_key)
        r, s = (int.from_bytes(quote.signature[at : at + 32], "big") for at in (0, 32))
        key.verify(encode_dss_signature(r, s), quote.signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _decode(data: bytes) -> TdxTicket:
    import zstandard

    try:
        # The frame's own claim is looked at first, for the decompressor allocates what it claims.
        if zstandard.frame_content_size(data) > MAX_TICKET:
            raise _StepError("decompress", f"more than {MAX_TICKET} bytes")
        plain = zstandard.ZstdDecompressor().decompress(
            data, max_output_size=MAX_TICKET, allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise _StepError("decompress", f"no whole zstd frame of at most {MAX_TICKET} bytes") from None
    try:
        fields = Reader(plain)
        raw = fields.bytes(MAX_TICKET)
        peer_id, network = fields.fixed(32), fields.fixed(32)
        started, quoted = _seconds(fields.text(_MAX_TEXT)), _seconds(fields.text(_MAX_TEXT))
        expires = _seconds(fields.text(_MAX_TEXT)) if _expiry(fields) else None
        # Trailing bytes pass, as they do in mosaik.
    except (PostcardError, ValueError) as error:
        raise _StepError("decode", str(error)) from None
    try:
        quote = parse_quote(raw)
    except ValueError as error:
        raise _StepError("quote", str(error)) from None
    return TdxTicket(quote, peer_id, network, started, quoted, expires)


def _expiry(fields: Reader) -> bool:
    kind = fields.varint()
    if kind > 1:
        raise PostcardError(f"an expiration of kind {kind}")
    return kind == 1


def _seconds(text: str) -> int:
    if not _RFC3339.fullmatch(text):
        raise ValueError("a time that is not RFC 3339")
    # In integers: a float would round the last fractions of a second up.
    return (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(seconds=1)


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _faults(
    ticket: TdxTicket, validator: TdxValidator, peer_id: bytes, network: bytes, now_s: int
) -> Iterator[tuple[str, str]]:
    if not signature_holds(ticket.quote):
        yield "quote-signature", "the attestation key's signature does not verify"
    if ticket.quote.report_data[:32] != ticket.binding:
        yield "report-data", "the quote is not bound to this ticket's peer, network and times"
    wrong = _mismatches(validator.baseline, ticket.quote)
    if wrong:
        yield "baseline", f"measurements differ: {', '.join(wrong)}"
    if validator.variants and all(_mismatches(one, ticket.quote) for one in validator.variants):
        yield "variant", f"measurements match none of {len(validator.variants)} variants"
    if ticket.peer_id != peer_id:
        yield "peer", f"issued to {ticket.peer_id.hex()[:10]}, presented by {peer_id.hex()[:10]}"
    if ticket.network != network:
        yield "network", f"issued for network {ticket.network.hex()[:10]}, presented on {network.hex()[:10]}"
    yield from _time_faults(ticket, validator, now_s)


def _time_faults(ticket: TdxTicket, validator: TdxValidator, now_s: int) -> Iterator[tuple[str, str]]:
    age, expires = now_s - ticket.quoted_at_s, ticket.expires_at_s
    if validator.max_age_s is not None and not 0 <= age <= validator.max_age_s:
        yield "max-age", f"quoted {age} s ago, accepted are 0 to {validator.max_age_s} s"
    if validator.not_before_s is not None and ticket.quoted_at_s < validator.not_before_s:
        yield "not-before", f"quoted at {ticket.quoted_at_s}, accepted from {validator.not_before_s} on"
    if validator.max_lifetime_s is not None:
        if expires is None:
            yield "max-lifetime", "it never expires, and the validator limits the lifetime"
        elif not 0 <= expires - ticket.quoted_at_s <= validator.max_lifetime_s:
            life = expires - ticket.quoted_at_s
            yield "max-lifetime", f"a lifetime of {life} s, accepted are 0 to {validator.max_lifetime_s} s"
    if expires is not None and expires <= now_s:
        yield "expired", f"expired {now_s - expires} s ago"


def _mismatches(criteria: Any, quote: Quote) -> list[str]:
    return [
        name
        for name in REGISTERS
        if criteria.get(name) is not None and criteria.get(name) != quote.registers[name]
    ]


def _times(ticket: TdxTicket, validator: TdxValidator) -> dict[str, Any]:
    limits = [ticket.expires_at_s] if ticket.expires_at_s is not None else []
    if validator.max_age_s is not None:
        limits.append(ticket.quoted_at_s + validator.max_age_s)
    return {
        "expires_at_s": ticket.expires_at_s,
        "horizon_s": min(limits, default=None),
        "never_expires": ticket.expires_at_s is None,
        "issued_at_s": ticket.quoted_at_s,
    }
