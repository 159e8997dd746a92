"""What must never stand in a journal or a report: the organism's own secrets, and what has the shape of one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from organismctl.change.canonical import clean

if TYPE_CHECKING:
    from organismctl.files.deployment import Deployment

HIDDEN = "[secret]"
LEAST = 8
"""A shorter value is no secret worth the name, and stands in too many words."""
KEPT = 64 * 1024
"""Characters of one command's output that are kept, from its end."""
_SHAPES = (
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),  # a JWT
    re.compile(
        r"(?<=-----BEGIN )([A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    re.compile(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),  # a user and password in a URL
    re.compile(r"""(?i)(?<=(?:token|ecret|sword)[=:] )[^\s"']{8,}"""),
    re.compile(r"""(?i)(?<=(?:token|ecret|sword)[=:])[^\s"']{8,}"""),
)


class Redactor:
    """Hides secrets in texts.

    Args:
        secrets: Values that must not appear, as they stand in their files.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value.strip() for value in secrets}
        # The longest first: one may be a part of another.
        self._values = sorted((value for value in values if len(value) >= LEAST), key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} values)"

    def text(self, text: str) -> str:
        """A text without secrets and without control characters; only its end when it is very long."""
        for value in self._values:
            text = text.replace(value, HIDDEN)
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        text = clean(text, len(text) + 1)
        return text if len(text) <= KEPT else "…" + text[-KEPT:]


def secrets_of(deployment: Deployment | None) -> list[str]:
    """The values of every secret file that a deployment names and that can be read here: tokens, keys, tickets."""
    from organismctl.errors import OrganismError
    from organismctl.files.atomic import read_bounded
    from organismctl.files.credentials import credentials
    from organismctl.files.secret import SECRET_LIMIT

    if deployment is None:
        return []
    named = [deployment.secrets.group, deployment.secrets.read_token, deployment.secrets.operate_token]
    named += [deployment.observer.key, *deployment.observer.tickets]
    for node in deployment.nodes:
        named += [node.key, *node.tickets]
    named += [ticket.file for span in deployment.spans for ticket in span.tickets]
    values: list[str] = []
    for path in [*(deployment.resolve(name) for name in named if name is not None), *credentials()]:
        try:
            values.append(read_bounded(path, SECRET_LIMIT).decode())
        except (OrganismError, UnicodeDecodeError):
            continue  # what cannot be read here cannot be printed from here either
    return values
