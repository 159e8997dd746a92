"""What a validator says of one ticket. mosaik gives no reason for a refusal; this names the failing step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TicketVerdict:
    """The outcome of one validation, steps in mosaik's order.

    Attributes:
        valid: Whether it admits now; ``None`` when that cannot be told (a shared secret that is not here).
        failing_step: The name of the first step that fails, else ``None``.
        detail: One line on the failing step, or on why nothing can be told; never the ticket's bytes.
        expires_at_s: ``exp``, Unix seconds; ``None`` when the ticket has none or was not decoded.
        horizon_s: The earliest moment at which it stops admitting: ``min(exp, iat or quoted + max_age)``, Unix
            seconds; ``None`` when it never does or was not decoded.
        never_expires: Decoded, and without an expiry of its own.
        not_before_s: ``nbf``, Unix seconds, or ``None``.
        issued_at_s: ``iat`` or the quote's time, Unix seconds, or ``None``.
        issuer: ``iss`` as it stands in the ticket, or ``None``.
    """

    valid: bool | None
    failing_step: str | None = None
    detail: str = ""
    expires_at_s: int | None = None
    horizon_s: int | None = None
    never_expires: bool = False
    not_before_s: int | None = None
    issued_at_s: int | None = None
    issuer: str | None = None
