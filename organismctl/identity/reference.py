"""REF: how one organism or lattice is named to others, on one line that survives copying.

``kind:name@STABLE_ID`` or ``kind:name@STABLE_ID#CONTENT_HASH`` (64 hex each); the latter is *pinned*.
``organism:acme.settlement@70f9…364f#d891…958b``
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from organismctl.identity.config import KINDS

_REF = re.compile(
    r"(?P<kind>[a-z]+):(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127})@(?P<stable>[0-9a-f]{64})(#(?P<content>[0-9a-f]{64}))?"
)
ALLOWED = "kind:name@STABLE_ID[#CONTENT_HASH], ids in 64 lowercase hex; kind is one of " + ", ".join(KINDS)


@dataclass(frozen=True, slots=True)
class OrganismRef:
    """A reference.

    Attributes:
        kind: One of :data:`organismctl.identity.config.KINDS`.
        name: Its public name.
        stable_id: 32 bytes.
        content_hash: 32 bytes when pinned, else ``None``.
    """

    kind: str
    name: str
    stable_id: bytes
    content_hash: bytes | None = None

    def __str__(self) -> str:
        """The one-line form."""
        content = f"#{self.content_hash.hex()}" if self.content_hash else ""
        return f"{self.kind}:{self.name}@{self.stable_id.hex()}{content}"


def parse_ref(text: str) -> OrganismRef:
    """Read the one-line form.

    Raises:
        ValueError: It is none; the message says what is allowed.
    """
    match = _REF.fullmatch(text.strip())
    if match is None or match["kind"] not in KINDS:
        raise ValueError(ALLOWED)
    content = bytes.fromhex(match["content"]) if match["content"] else None
    return OrganismRef(match["kind"], match["name"], bytes.fromhex(match["stable"]), content)


def span_stanza(ref: OrganismRef, surfaces: tuple[tuple[str, str, bytes], ...] = ()) -> str:
    """The ``[[span]]`` stanza that a downstream pastes into its organism.toml.

    Args:
        ref: The upstream.
        surfaces: ``(name, type, id)`` of each of its surfaces.
    """
    lines = [
        "[[span]]",
        f'name = "{ref.name}"',
        f'kind = "{ref.kind}"',
        f'stable_id = "{ref.stable_id.hex()}"',
    ]
    if ref.content_hash is not None:
        lines.append(f'content_hash = "{ref.content_hash.hex()}"')
    lines.append('clock = "tick"')
    for name, kind, surface_id in surfaces:
        lines += [
            "[[span.surface]]", f'name = "{name}"', f'type = "{kind}"', f'id = "{surface_id.hex()}"',
            'decode = "surface-item"',
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
