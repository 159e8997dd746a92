"""The demo's story, scene by scene."""

from __future__ import annotations

import datetime as dt
import re
import sys
import time
import tomllib
from pathlib import Path

from examples.demo import texts
from examples.demo.integrator import seen
from examples.demo.world import World, free_ports, say, scene, wait_for

NODES = ("node-a", "node-b", "node-c", "node-d", "node-e")
SPARES = ("node-d", "node-e")


class Story:
    """All scenes, and the rows of the summary.

    Args:
        world: Where it plays.
        carrier: ``loopback``, or ``mosaik``: every node on a real mosaik network, behind a relay of its own.
    """

    def __init__(self, world: World, carrier: str = "loopback") -> None:
        self.world = world
        self.mosaik = carrier == "mosaik"
        self.rows: list[tuple[str, str]] = []
        self.home = world.folder / "settlement"
        self.deployment = self.home / "deployment.toml"
        self.issuers: dict[str, str] = {}
        self.items = world.folder / "integrator.jsonl"
        ports = free_ports(len(NODES) + 3)
        self.ports = dict(zip(NODES, ports, strict=False))
        self.upstreams = dict(zip(("north", "south"), ports[len(NODES) : -1], strict=True))
        self.relay = f"127.0.0.1:{ports[-1]}"
        udp = free_ports(len(NODES) + 2)
        self.udp = dict(zip((*NODES, "north-1", "south-1"), udp, strict=True))
        self.peers: dict[str, str] = {}
        self.linger_s = 25

    def run(self) -> None:
        """Play every scene."""
        for number, (title, play) in enumerate(
            (
                ("Two upstream organisms", self.upstream),
                ("The composite organism: identity and lock", self.identity),
                ("A config edit that the gate stops", self.gate),
                ("Three nodes, and an integrator who reads throughout", self.committee),
                ("A ticket near its end, and its renewal", self.tickets),
                ("A committee member is rotated while the integrator reads", self.rotation),
                ("A runner killed in the middle of a second rotation, and resumed", self.killed),
                ("Retirement, verified from outside", self.retirement),
            ),
            1,
        ):
            scene(number, title)
            play()

    def ctl(self, *args: str, **options: object):
        """``organismctl`` in the composite organism's folder."""
        return self.world.run(*args, cwd=self.home, **options)

    def upstream(self) -> None:
        """Two organisms of one node each, that produce an event every half second."""
        if self.mosaik:
            relay = self.world.folder / "relay.log"
            self.world.start("committee", "relay", "--bind", self.relay, stdout=relay)
        for name, port in self.upstreams.items():
            home = self.world.folder / name
            home.mkdir()
            self.issuers[name] = self.world.run(
                "tickets",
                "issue",
                "--new-key",
                "--key",
                str(self._issuer_key(name)),
                "--issuer",
                name,
                show=False,
            ).stdout
            # The root by which an upstream admits is its own acl, and what its card publishes.
            (home / "organism.toml").write_text(texts.upstream(f"demo.{name}", _as_acl(self.issuers[name])))
            (home / "deployment.toml").write_text(
                texts.deployment({f"{name}-1": port}, (), {}, sys.executable, self._wire())
            )
            self.world.run("committee", "init", cwd=home, show=False)
            self.peers[name] = self._peer(home / "deployment.toml", f"{name}-1")
            self.world.serve(home / "deployment.toml", f"{name}-1")
            say(f"demo.{name} runs on http://127.0.0.1:{port}")

    def identity(self) -> None:
        """The composite's files, its fingerprint and its lock."""
        self.home.mkdir()
        spans = []
        began = time.monotonic()
        for name in self.upstreams:
            home = self.world.folder / name
            printed = self.world.run("fingerprint", "show", "--as-ref", cwd=home, show=False).stdout
            stanza = printed[printed.index("[[span]]") :]
            labelled = re.sub(r'^name = ".*"$', f'name = "{name}"', stanza, count=1, flags=re.M)
            spans.append(labelled + self.issuers[name])
        # The nodes must outlast what is done after the seal, and the demo waits for their end: so that neither a busy
        # machine finds them gone nor an idle one waits for nothing, the time that commands take is measured. `change
        # resume` waits for 60 s at most.
        self.linger_s = min(max(self.linger_s, round(30 * (time.monotonic() - began))), 60)
        admission = self.world.run(
            "tickets", "issue", "--new-key", "--key", str(self._issuer_key("committee")),
            "--issuer", "demo-admission", show=False,
        ).stdout  # fmt: skip
        (self.home / "organism.toml").write_text(texts.composite(spans, _as_acl(admission)))
        self.deployment.write_text(
            texts.deployment(
                self.ports, SPARES, self.upstreams, sys.executable, self._wire(), linger_s=self.linger_s
            )
        )
        self.ctl("committee", "init")
        if self.mosaik:
            say("# a real mosaik Group admits by ticket: each of our nodes gets one that [[acl]] accepts")
            self._issue("committee", "30d")
        shown = self.ctl("fingerprint", "show", "--format", "json", show=False).json()
        self.ctl("fingerprint", "show")
        self.ctl("lock", "init")
        self.ctl("fingerprint", "check")
        self.rows.append(("fingerprint", shown["fingerprint"][:10]))
        self.rows.append(("group id", (shown["group_id"] or "unknown")[:10]))

    def gate(self) -> None:
        """An edit that would break integrators is stopped by exit code 2."""
        path = self.home / "organism.toml"
        kept = path.read_text()
        say('# somebody edits organism.toml: stall = "wait"')
        path.write_text(kept.replace('stall = "partial"', 'stall = "wait"'))
        self.ctl("fingerprint", "check", expect=2)
        path.write_text(kept)
        self.rows.append(("gate", "the edit was stopped with exit 2"))

    def committee(self) -> None:
        """Three nodes start, and the integrator begins to read."""
        self._issue("north", "30d")
        self._issue("south", "30d")
        self.world.own(self.deployment, *NODES)
        self.world.serve(self.deployment, "node-a", "node-b", "node-c")
        urls = [part for port in self.ports.values() for part in ("--url", f"http://127.0.0.1:{port}")]
        peers = [part for node in NODES for part in ("--peer", self._peer(self.deployment, node))]
        self.world.start(
            "surface", "read", "--follow", "--format", "jsonl", *urls, *(peers if self.mosaik else ()),
            cwd=self.home, stdout=self.items,
        )  # fmt: skip
        wait_for("the integrator's first ten items", lambda: len(seen(self.items).seqs) >= 10, timeout=90)
        self.ctl("tickets", "install", "--node", "node-a", "--node", "node-b", "--node", "node-c", show=False)
        # The first items need two nodes: the third may still be subscribing.
        wait_for("a subscription of every node to each member", self._all_hear, timeout=60)
        self.ctl("check", "committee")
        self.ctl("status")

    def tickets(self) -> None:
        """One ticket ends within the limit: exit 3; then it is renewed: exit 0."""
        self._issue("south", "1d", "node-b")
        self.ctl("tickets", "install", "--span", "south", "--node", "node-b")
        self.ctl("check", "tickets", expect=3)
        self._issue("south", "30d", "node-b", show=True)
        self.ctl("tickets", "install", "--span", "south", "--node", "node-b")
        self.ctl("check", "tickets")
        self.rows.append(("tickets", "below the limit: exit 3; renewed: exit 0"))

    def rotation(self) -> None:
        """node-a goes, node-d comes."""
        began = time.monotonic()
        self.ctl("rotate", "member", "--out", "node-a", "--in", "node-d", "--yes")
        self.ctl("check", "committee")
        now = seen(self.items)
        self.rows.append(("rotation", f"node-a → node-d in {time.monotonic() - began:.1f} s"))
        self.rows.append(("longest gap until then", f"{now.longest_gap_ms} ms between two items"))
        self._demand_order()

    def killed(self) -> None:
        """The runner dies after an action that nobody has told the journal of; another run goes on."""
        self.ctl(
            "rotate", "member", "--out", "node-b", "--in", "node-e", "--yes", expect=-9,
            env={"ORGANISMCTL_REHEARSAL": "1", "ORGANISMCTL_CRASH_AT": "roster-add:after"},
        )  # fmt: skip
        self.ctl("change", "list")
        self.ctl("change", "resume", "--yes")
        self.ctl("check", "committee")
        self.rows.append(("second rotation", "runner killed, resumed, nothing done twice"))
        self._demand_order()

    def retirement(self) -> None:
        """The marker is the last item on the surface, and nothing can be committed after it."""
        # A moment that is past when the plan is applied is refused, so its distance is measured on this machine.
        far = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        began = time.monotonic()
        self.ctl("retire", "--effective-at", far, "--dry-run", show=False, expect=2)
        ahead = max(10, round(4 * (time.monotonic() - began)))
        at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ahead)
        moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.ctl(
            "retire",
            "--effective-at",
            moment,
            "--reason",
            "end of the demo",
            "--wait",
            f"{ahead + 1}s",
            "--yes",
            expect=(0, 5),
        )
        wait_for("the integrator's marker", lambda: seen(self.items).retired)
        live = [
            part for node in ("node-c", *SPARES) for part in ("--url", f"http://127.0.0.1:{self.ports[node]}")
        ]
        self.ctl("surface", "verify", "--retired", *live)
        say("# a change after the seal, as an impatient colleague would try it")
        self.ctl("rotate", "member", "--out", "node-c", "--in", "node-a", "--yes", expect=4)
        self.ctl("change", "resume", "--yes")
        last = seen(self.items)
        self._demand_order()
        self.rows.append(
            (
                "integrator",
                f"{len(last.seqs)} items, every seq once, in order; {last.failures} handle failures",
            )
        )
        self.rows.append(("longest gap", f"{last.longest_gap_ms} ms between two items"))
        self.rows.append(("retirement", f"the marker is item {last.seqs[-1]}, the last one"))

    def _wire(self) -> texts.Wire | None:
        """What deployment.toml says of mosaik, on that carrier."""
        return texts.Wire(f"http://{self.relay}", self.udp, self.peers) if self.mosaik else None

    def _peer(self, deployment: Path, node: str) -> str:
        """A node's mosaik entry point: peer id and address."""
        found = tomllib.loads(deployment.read_text())["node"]
        peer_id = next(one["peer_id"] for one in found if one["name"] == node)
        return f"{peer_id}@127.0.0.1:{self.udp[node]}"

    def _issuer_key(self, span: str) -> Path:
        return self.world.folder / f"{span}.issuer.key"

    def _issue(self, span: str, lifetime: str, *nodes: str, show: bool = False) -> None:
        """Request, issue and import tickets of a spanned member."""
        request, bundle = (
            self.world.folder / f"{span}.request.json",
            self.world.folder / f"{span}.bundle.json",
        )
        chosen = [part for node in nodes for part in ("--node", node)]
        whose = ("--committee",) if span == "committee" else ("--span", span)
        self.ctl(
            "tickets", "request", *whose, "--lifetime", lifetime, *chosen, "-o", str(request), show=show
        )  # fmt: skip
        self.ctl(
            "tickets", "issue", "--key", str(self._issuer_key(span)),
            "--request", str(request), "-o", str(bundle), show=show,
        )  # fmt: skip
        self.ctl("tickets", "import", str(bundle), "--allow-earlier", show=show)

    def _all_hear(self) -> bool:
        return self.ctl("check", "subscriptions", show=False, expect=range(10)).code == 0

    def _demand_order(self) -> None:
        now = seen(self.items)
        if not now.once_in_order or now.failures:
            raise SystemExit(
                f"the demo stops: the integrator saw {now.seqs[-20:]}, {now.failures} handle failures"
            )
        say(f"# the integrator: {len(now.seqs)} items so far, every seq once and in order, no handle failure")


def _as_acl(issuer: str) -> str:
    """The stanza that `tickets issue --new-key` prints, as the root by which a committee admits."""
    return issuer.replace("[[span.issuer]]", "[[acl]]").replace('state = "current"\n', "")
