"""What a difference at a spanned member means for us: which identity of ours goes stale, who acts, by which command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from organismctl.identity.config import Json

FINGERPRINT, GROUP_ID = "fingerprint", "group_id"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One consequence.

    Attributes:
        moves: Which of our identities goes stale: ``fingerprint``, ``group_id``; none where ours stand.
        act: Who must act: ``nodes``, ``integrators``, ``coalitions``; none: nobody.
        commands: By which commands, in order.
    """

    moves: tuple[str, ...]
    act: tuple[str, ...]
    commands: tuple[str, ...]

    def values(self) -> dict[str, Json]:
        """JSON-ready, for a finding's values."""
        return {"moves": [*self.moves], "act": [*self.act], "commands": [*self.commands]}

    @property
    def sentence(self) -> str:
        """One sentence, for a finding's summary."""
        if not self.act:
            return "nobody need act"
        stale = " and ".join("group id" if one == GROUP_ID else one for one in self.moves)
        head = (
            f"our {stale} go{'es' if len(self.moves) == 1 else ''} stale"
            if self.moves
            else "ours do not move"
        )
        who = ", ".join("our nodes" if one == "nodes" else one for one in self.act)
        return f"{head}; to act: {who} (`{self.commands[0]}`)"


_NEW_IDENTITY = Consequence(
    (FINGERPRINT, GROUP_ID),
    ("nodes", "integrators", "coalitions"),
    ("organismctl fingerprint diff", "organismctl lock accept"),
)
_NEW_TICKETS = Consequence(
    (),
    ("nodes",),
    ("organismctl tickets request", "organismctl tickets import", "organismctl tickets install"),
)

CONSEQUENCES: Mapping[str, Consequence] = {
    "SPAN-MOVED": _NEW_IDENTITY,
    "SPAN-CONTENT": _NEW_IDENTITY,
    "SPAN-RETIRED": Consequence(
        _NEW_IDENTITY.moves, _NEW_IDENTITY.act, (*_NEW_IDENTITY.commands, "organismctl retire")
    ),
    "SPAN-ISSUER": _NEW_TICKETS,
    "SPAN-MEASUREMENTS": Consequence((), ("nodes",), ("organismctl check identity",)),
}
"""By the code of the finding; issuers and measurements stand outside of our fingerprint."""
