"""What a member rotation looks at: all of its probes. They never act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from organismctl.change.fleet import NodeSeen, Survey
from organismctl.change.procedure._committee import agreed, led, quorum, wrong_identity
from organismctl.change.site import Member, Site
from organismctl.change.step import Probe, Seen
from organismctl.identity.roster import majority

if TYPE_CHECKING:
    from organismctl.identity.config import Json

UNFENCED = "MEMBER-UNFENCED"


class Rotation:
    """One rotation, able to look.

    Args:
        site: The organism.
        leaving: The node to take out.
        coming: The node to take in.
        dead: The leaving node is dead: no drain, but it must be shown fenced.
    """

    def __init__(self, site: Site, leaving: Member, coming: Member, *, dead: bool) -> None:
        self.site = site
        self.out = leaving
        self.come = coming
        self.dead = dead
        self.stopped = False

    def facts(self) -> Mapping[str, Json]:
        """What the plan rests on; see :meth:`Procedure.facts`."""
        survey = self.site.fleet.survey()
        latest = survey.latest
        flags = self.site.roster_file.read()
        return {
            "fingerprint": self.site.fingerprint,
            "group_id": self.site.group_id,
            "roster": [*sorted(survey.roster)],
            "roster_version": latest.version if latest else None,
            "sealed": survey.sealed,
            "out": self._described(self.out, flags),
            "in": self._described(self.come, flags),
            "out_up": survey.by_peer(self.out.peer_id) is not None,
        }

    def _described(self, member: Member, flags: Mapping[str, bool]) -> dict[str, Json]:
        return {
            "name": member.name,
            "peer_id": member.peer_id,
            "url": member.url,
            "executor": member.executor,
            "roster_flag": flags.get(member.name),
        }

    def refusals(self) -> list[str]:
        """Why this rotation is not to be begun at all; empty when it may."""
        survey = self.site.fleet.survey()
        why = []
        if survey.latest is None:
            return [survey.nobody]
        if survey.sealed:
            why.append("the organism is retired: its roster is final")
        if self.out.peer_id not in survey.roster and self.come.peer_id in survey.roster:
            why.append(f"are the names swapped? It would be --out {self.come.name} --in {self.out.name}")
        if self.out.peer_id not in survey.roster:
            why.append(f"{self.out.name} is not on the certified roster")
        if self.come.peer_id in survey.roster:
            why.append(f"{self.come.name} is on the certified roster already")
        if self.come.roster:
            why.append(f"{self.come.name} is not a spare: give it `roster = false` in deployment.toml")
        if self.dead and survey.by_peer(self.out.peer_id) is not None:
            why.append(f"{self.out.name} answers: it is not dead; rotate it without --dead")
        if not self.dead and survey.by_peer(self.out.peer_id) is None:
            why.append(
                f"{self.out.name} does not answer: bring it back, or rotate it with --dead {self.out.name}"
            )
        why.extend(self._below_majority(survey))
        return why

    def no_way_back(self) -> str | None:
        """See :meth:`Procedure.no_way_back`: the journal knows."""
        return None

    def _below_majority(self, survey: Survey) -> list[str]:
        """Whether some step would leave less than a majority of the roster that then holds."""
        roster = set(survey.roster)
        live = survey.live(roster)
        after_add = roster | {self.come.peer_id}
        after_remove = after_add - {self.out.peer_id}
        stages = (
            ("now", roster, live),
            (f"with {self.come.name}", after_add, live | {self.come.peer_id}),
            (f"without {self.out.name}", after_remove, (live | {self.come.peer_id}) - {self.out.peer_id}),
        )
        return [
            f"{stage}, {len(up)} of {len(members)} committee members would be up, a majority is "
            f"{majority(len(members))}"
            for stage, members, up in stages
            if len(up) < majority(len(members))
        ]

    def is_fit(self) -> Probe:
        """Whether the committee can bear a rotation now."""
        site, survey = self.site, self.site.fleet.survey()
        for node in survey.seen.values():
            wrong = wrong_identity(site, node) if node.peer_id in survey.roster else None
            if wrong:
                return Probe.no(wrong, blocker=node.name)
        now = quorum(site, survey, survey.roster, "now")
        if now.seen is not Seen.YES:
            return now
        leader = led(site, survey)
        if leader.seen is not Seen.YES:
            return leader
        one = agreed(site, survey, survey.live(survey.roster), site.limits.commit_lag)
        if one.seen is not Seen.YES:
            return one
        staying = [site.name_of(peer) for peer in sorted(survey.roster - {self.out.peer_id})]
        tickets = self.tickets([*staying, self.come.name])
        if tickets.seen is not Seen.YES:
            return tickets
        return Probe.yes(f"{now.detail}; {leader.detail}; {one.detail}; {tickets.detail}")

    def tickets(self, names: list[str]) -> Probe:
        """Whether the nodes' tickets outlive the change's deadline."""
        until = self.site.now_ms() + round(self.site.limits.change_deadline_s * 1000)
        verdicts = self.site.eyes.tickets_outlive(names, until)
        bad = [verdict for verdict in verdicts if verdict.status in {"bad", "unknown"}]
        if bad:
            return Probe.no(
                "; ".join(f"{verdict.code} {verdict.subject}: {verdict.summary}" for verdict in bad[:5]),
                blocker=bad[0].subject,
                advice="renew them first: `organismctl tickets request`, then `tickets import`",
            )
        return Probe.yes(f"{len(verdicts)} tickets outlive the change's deadline")

    def is_fenced(self) -> Probe:
        """Whether the dead node is surely off, or the risk accepted."""
        name = self.out.name
        if self.site.fleet.survey().by_peer(self.out.peer_id) is not None:
            return Probe.no(
                f"{name} answers: it is not dead", blocker=name, advice="rotate it without --dead"
            )
        if self.site.executor(name).fenced() is True:
            return Probe.yes(f"{name} is off by the word of its executor")
        if self.site.eyes.tickets_expired(name, self.site.now_ms()) is True:
            return Probe.yes(f"every ticket of {name} has expired")
        if UNFENCED in self.site.accepted_risks:
            self.site.note_risk(UNFENCED, f"{name} may still run; accepted with --accept-risk")
            return Probe.yes(f"{name} is not shown fenced; the risk {UNFENCED} is accepted")
        return Probe.no(
            f"{name} is not shown to be off: it may come back and act on a roster that has moved on",
            blocker=name,
            advice="give it a `fenced` command in deployment.toml, let its tickets expire, or "
            f"`--accept-risk {UNFENCED}`",
        )

    def coming(self, survey: Survey) -> NodeSeen | Probe:
        """The new node, or why it is not to be had."""
        name = self.come.name
        node = survey.seen.get(name)
        if node is None:
            return Probe.wait(survey.unseen.get(name, f"{name} does not answer"), blocker=name)
        if node.peer_id != self.come.peer_id:
            return Probe.no(
                f"{name} answers as peer {node.peer_id[:10]}, deployment.toml has {self.come.peer_id[:10]}",
                blocker=name,
                advice="a node that lost its key or its disk comes back under a new peer id: enter that one",
            )
        wrong = wrong_identity(self.site, node)
        if wrong or node.stopped:
            return Probe.no(wrong or f"{name} stopped itself: {node.stopped}", blocker=name)
        return node

    def is_up(self) -> Probe:
        """Whether the new node answers as it should."""
        node = self.coming(self.site.fleet.survey())
        return node if isinstance(node, Probe) else Probe.yes(f"{node.name} answers, as {node.role}")

    def is_bonded(self) -> Probe:
        """Whether the new node is bonded to every live committee member."""
        survey = self.site.fleet.survey()
        node = self.coming(survey)
        if isinstance(node, Probe):
            return node
        others = survey.live(survey.roster) - {node.peer_id}
        missing = sorted(self.site.name_of(peer) for peer in others - node.connected)
        if missing:
            return Probe.wait(f"{node.name} has no bond to {', '.join(missing)}", blocker=missing[0])
        return Probe.yes(f"{node.name} is bonded to {len(others)} committee members, as {node.role}")

    def has_caught_up(self) -> Probe:
        """Whether the new node holds the same ledger as all the others."""
        survey = self.site.fleet.survey()
        node = self.coming(survey)
        if isinstance(node, Probe):
            return node
        peers = survey.live(survey.roster) | {node.peer_id}
        return agreed(self.site, survey, peers, self.site.limits.commit_lag)

    def may_add(self) -> Probe:
        """Whether the new node may come onto the roster now."""
        survey = self.site.fleet.survey()
        seen = quorum(self.site, survey, survey.roster | {self.come.peer_id}, f"with {self.come.name}")
        if seen.seen is not Seen.YES:
            return seen
        tickets = self.tickets([self.come.name])
        return tickets if tickets.seen is not Seen.YES else self.has_caught_up()

    def is_in(self) -> Probe:
        """Whether the new node is on the certified roster."""
        survey = self.site.fleet.survey()
        return self.certified(survey, self.come, inside=True)

    def certified(self, survey: Survey, member: Member, *, inside: bool) -> Probe:
        """Whether a majority of the roster has certified that the member is in it, or out of it."""
        latest = survey.latest
        if latest is None:
            return Probe.wait("no node answers", blocker="all nodes")
        where = "in" if inside else "out of"
        if (member.peer_id in latest.roster) is not inside:
            return Probe.wait(f"{member.name} is not {where} the certified roster yet", blocker=latest.name)
        agree = [
            node
            for node in survey.seen.values()
            if node.peer_id in latest.roster
            and node.version == latest.version
            and node.roster == latest.roster
        ]
        need = majority(len(latest.roster))
        if len(agree) < need:
            return Probe.wait(f"{len(agree)} of {need} nodes have roster version {latest.version}")
        return Probe.yes(
            f"{member.name} is {where} the roster, version {latest.version}, on {len(agree)} nodes"
        )

    def is_drained(self) -> Probe:
        """Whether the old node is drained, or gone already."""
        survey = self.site.fleet.survey()
        latest = survey.latest
        if latest is None:
            return Probe.wait("no node answers", blocker="all nodes")
        if self.out.peer_id in latest.drained:
            return Probe.yes(f"{self.out.name} is drained")
        if self.out.peer_id not in latest.roster:
            return Probe.yes(f"{self.out.name} is out of the roster already")
        return Probe.wait(f"{self.out.name} is not drained yet", blocker=latest.name)

    def may_remove(self) -> Probe:
        """Whether the old node may leave the roster now."""
        survey = self.site.fleet.survey()
        rest = survey.roster - {self.out.peer_id}
        for seen in (
            self.certified(survey, self.come, inside=True),
            quorum(self.site, survey, rest, f"without {self.out.name}"),
            led(self.site, survey, not_by=self.out.peer_id),
            self.is_fenced() if self.dead else Probe.yes(""),
        ):
            if seen.seen is not Seen.YES:
                return seen
        return agreed(self.site, survey, survey.live(rest), self.site.limits.commit_lag)

    def is_off(self) -> Probe:
        """Whether the old node is off; silence alone is a proof only after this runner has stopped it."""
        name = self.out.name
        survey = self.site.fleet.survey()
        if name in survey.seen:
            return Probe.wait(f"{name} still answers", blocker=name)
        fenced = self.site.executor(name).fenced()
        if fenced is True:
            return Probe.yes(f"{name} is off by the word of its executor")
        if self.stopped and fenced is None:
            return Probe.yes(f"{name} was stopped and answers no more ({survey.unseen[name]})")
        return Probe.wait(f"{name} is not shown to be off", blocker=name)

    def is_right(self) -> Probe:
        """Whether all the rest is right, and both identities unchanged."""
        site, survey = self.site, self.site.fleet.survey()
        roster = survey.roster
        if not roster:
            return Probe.wait("no node answers", blocker="all nodes")
        for node in survey.seen.values():
            wrong = wrong_identity(site, node) if node.peer_id in roster else None
            if wrong:
                return Probe.no(f"an identity moved: {wrong}", blocker=node.name)
        # Members that were down before are named by `check committee`; the rotation answers for the rest.
        live = survey.live(roster)
        if self.come.peer_id not in live:
            return Probe.wait(f"{self.come.name} does not answer", blocker=self.come.name)
        for peer in sorted(live):
            seen = survey.by_peer(peer)
            missing = sorted(live - {peer} - (seen.connected if seen else frozenset()))
            if missing:
                gone = site.name_of(missing[0])
                return Probe.wait(f"{site.name_of(peer)} has no bond to {gone}", blocker=gone)
        one = agreed(site, survey, live, site.limits.commit_lag)
        if one.seen is not Seen.YES:
            return one
        return Probe.yes(
            f"all bonds, {one.detail}; fingerprint {site.fingerprint[:10]} and group id "
            f"{(site.group_id or 'unknown')[:10]} unchanged"
        )
