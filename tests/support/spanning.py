"""A committee that joins two spanned members of a test: alpha admits by tickets, and each has a card."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organismctl.change.issuing import make_key
from organismctl.files.organism import load_organism
from organismctl.identity.digest import h
from tests.support.committee import Committee, Span, running_committee
from tests.support.incident import ESCALATE, tool
from tests.support.upstream import Lattice, lattices

CONTENT = h(b"alpha's content, a test").hex()
ALPHA_CONTACT, BETA_CONTACT = "ops@alpha.example", "noc@beta.example"
KEY, NEXT_KEY = "issuer.key", "next.key"
"""Files of the keys that sign tickets for alpha: now, and after its root has rotated."""
EMIT_S = 0.4


@dataclass(frozen=True)
class SlowSpan(Span):
    """A spanned member with a contact and a card, dark after three seconds."""

    contact: str = ""

    def deployment(self) -> str:
        """See :meth:`Span.deployment`."""
        text = super().deployment().replace('period = "1s"', 'period = "800ms"\ndark_after = 4')
        return f'{text}contact = "{self.contact}"\ncard = "{self.name}.json"\n'


@dataclass
class Spanning:
    """Everything that runs.

    Attributes:
        committee: Three nodes and the spare node-d.
        alpha: Its content is pinned; tickets of ``issuer.key`` admit there.
        beta: The other one.
        muted: Names of lattices that emit nothing now.
    """

    committee: Committee
    alpha: Lattice
    beta: Lattice
    muted: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def tool(self, *args: str) -> str:
        """Run the tool for this organism; its output."""
        code, out, err = tool(*args, "--organism", str(self.committee.folder))
        assert code == 0, f"exit {code}\n{out}\n{err}"
        return out

    def restart(self) -> None:
        """Restart one node after the other, as an operator does who changed what nodes read at their start."""
        for name in ("node-a", "node-b", "node-c"):
            command = [sys.executable, "-m", "organismctl", "committee", "start", "--restart", "--node", name]
            subprocess.run(
                [*command, "--organism", str(self.committee.folder)], check=True, capture_output=True
            )

    def issue(self, key: str, lifetime: str, *nodes: str) -> str:
        """What alpha's issuer sends back to a request: the bundle's path."""
        asked, bundle = (str(self.committee.folder / name) for name in ("request.json", "bundle.json"))
        chosen = [word for node in nodes for word in ("--node", node)]
        self.tool("tickets", "request", "--span", "alpha", "--lifetime", lifetime, *chosen, "-o", asked)
        signer = str(self.committee.folder / key)
        code, _, err = tool("tickets", "issue", "--key", signer, "--request", asked, "-o", bundle)
        assert code == 0, err
        return bundle

    def admit(self, lifetime: str, *nodes: str) -> None:
        """Give nodes tickets for alpha, in place of what they have; by default to all."""
        self.tool("tickets", "import", self.issue(KEY, lifetime, *nodes), "--allow-earlier")
        self.tool("tickets", "install", "--span", "alpha")

    def root(self, state: str = "current") -> str:
        """The signature of alpha's issuer of a state, as its card names it."""
        member = load_organism(self.committee.folder / "organism.toml").config.span[0]
        return next(one.validator.signature().hex() for one in member.issuers if one.state == state)

    def publish(self, lattice: Lattice, **changes: Any) -> None:
        """Write a lattice's card."""
        card = {
            "schema": 1, "name": lattice.name, "kind": "lattice", "stable_id": lattice.stable_id, "content_hash": None,
            "issuance_root": [], "measurements": [], "endpoints": [], "surfaces": [], "retired": None, **changes,
        }  # fmt: skip
        path = self.committee.folder / f"{lattice.name}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(card))
        fresh.replace(path)

    def beat(self) -> None:
        """Emit events until it is over."""
        while not self._over.wait(EMIT_S):
            for one in (self.alpha, self.beta):
                if one.name not in self.muted:
                    one.emit()

    def speak(self, lattice: Lattice) -> None:
        """Let one speak again, and say what it owes: positions are the clock by which the facts are joined."""
        most = max(len(self.alpha.items), len(self.beta.items))
        lattice.emit(max(0, most - len(lattice.items)))
        self.muted.discard(lattice.name)

    def end(self) -> None:
        """No further events."""
        self._over.set()


@contextmanager
def spanning(folder: Path, **options: Any) -> Iterator[Spanning]:
    """A committee in which all is well, whose spanned members speak more than twice a second."""
    with lattices("alpha", "beta") as (alpha, beta):
        for one in (alpha, beta):
            one.emit(2)
        folder.mkdir()
        issuer = make_key(folder / KEY, "EdDSA", "alpha")
        spans = [
            SlowSpan(
                **{**vars(alpha.span()), "content_hash": CONTENT, "extra": issuer}, contact=ALPHA_CONTACT
            ),
            SlowSpan(**vars(beta.span()), contact=BETA_CONTACT),
        ]
        more: dict[str, Any] = {
            "fold": "join",
            "period": "800ms",
            "apply_deadline": "4s",
            "spares": ["node-d"],
            "extra": ESCALATE,
            **options,
        }
        with running_committee(folder, spans=spans, **more) as committee:
            world = Spanning(committee, alpha, beta)
            world.publish(alpha, content_hash=CONTENT, issuance_root=[world.root()])
            world.publish(beta)
            world.admit("30d")
            thread = threading.Thread(target=world.beat, daemon=True)
            thread.start()
            try:
                yield world
            finally:
                world.end()
                thread.join(5)
