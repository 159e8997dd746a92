"""``rotate member``: one node out, another in, under the same config; both identities proven unchanged.

Order matters: the new node is a learner with the whole ledger before it counts, and the old one counts until
it leads no more. At no step is less than a majority of the certified roster up: every change of the roster
looks at who is up first, against the roster *after* it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from organismctl.change.errors import StepRefusedError
from organismctl.change.procedure._committee import led, quorum
from organismctl.change.procedure._rotation import Rotation
from organismctl.change.site import Member, Site
from organismctl.change.step import Intent, Probe, Seen, Step
from organismctl.errors import InputError, UnreachableError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

BACK = "its place is given away; `rotate member` the other way round takes it in again"


def build(site: Site, parameters: Mapping[str, Json]) -> RotateMember:
    """The procedure for ``{"out", "in", "dead"}``.

    Raises:
        InputError: A node is unknown, or out and in are one.
    """
    leaving, coming = parameters.get("out"), parameters.get("in")
    if not isinstance(leaving, str) or not isinstance(coming, str):
        raise InputError("rotate member needs the names of the node to take out and the node to take in")
    if leaving == coming:
        raise InputError(f"node {leaving} cannot be rotated against itself")
    return RotateMember(site, site.member(leaving), site.member(coming), dead=parameters.get("dead") is True)


class RotateMember(Rotation):
    """See the module."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps; see :class:`Procedure`."""
        steps = [self._preflight()]
        if self.dead:
            steps.append(self._fence())
        steps += [self._start_in(), self._bonded(), self._caught_up(), self._roster_add()]
        if self.dead:
            steps += [self._leader_elsewhere(), self._roster_remove()]
        else:
            steps += [self._drain(), self._leader_elsewhere(), self._roster_remove(), self._stop_out()]
        return (*steps, self._prove(), self._write_roster())

    def _preflight(self) -> Step:
        return Step(
            name="preflight",
            title="look whether the committee can bear it",
            verify=self.is_fit,
            deadline_s=20,
            no_undo="it only looks",
        )

    def _fence(self) -> Step:
        return Step(
            name="fence",
            title=f"see that {self.out.name} is surely off",
            verify=self.is_fenced,
            deadline_s=20,
            no_undo="it only looks",
        )

    def _start_in(self) -> Step:
        def start(_intent: Intent) -> Mapping[str, Json]:
            done = self.site.executor(self.come.name).start()
            return {"said": done.said, "output": done.output}

        def stop(_intent: Intent) -> Mapping[str, Json]:
            done = self.site.executor(self.come.name).stop()
            return {"said": done.said, "output": done.output}

        return Step(
            name="start-in",
            title=f"start {self.come.name} under the same config",
            act=start,
            verify=self.is_up,
            undo=stop,
            may_park=True,
            deadline_s=self.site.limits.change_deadline_s / 4,
        )

    def _bonded(self) -> Step:
        return Step(
            name="bonded",
            title=f"see {self.come.name} bonded to the committee, as a learner",
            verify=self.is_bonded,
            deadline_s=60,
            no_undo="it only looks",
        )

    def _caught_up(self) -> Step:
        return Step(
            name="caught-up",
            title=f"see {self.come.name} caught up, by digest",
            verify=self.has_caught_up,
            deadline_s=self.site.limits.change_deadline_s,
            no_undo="it only looks",
        )

    def _roster_add(self) -> Step:
        return Step(
            name="roster-add",
            title=f"take {self.come.name} into the roster",
            ready=self.may_add,
            act=lambda intent: self._roster("add", self.come, intent),
            verify=self.is_in,
            undo=self._take_back,
            deadline_s=60,
        )

    def _take_back(self, intent: Intent) -> Mapping[str, Json]:
        survey = self.site.fleet.survey()
        rest = survey.roster - {self.come.peer_id}
        seen = quorum(self.site, survey, rest, f"without {self.come.name}")
        if self.come.peer_id not in survey.roster:
            return {"said": "it is not on the roster"}
        if seen.seen is not Seen.YES:
            raise StepRefusedError(f"{self.come.name} cannot be taken out again: {seen.detail}")
        return self._roster("remove", self.come, intent)

    def _roster(self, action: str, member: Member, intent: Intent) -> Mapping[str, Json]:
        latest = self.site.fleet.survey().latest
        command: dict[str, Json] = {
            "type": "roster",
            "action": action,
            "peer_id": member.peer_id,
            "incarnation": 0,
            "version": None,
        }
        if latest is not None:
            command["version"] = latest.version + 1
        answer = self.site.fleet.append(command, intent.id)
        return {"height": answer.get("height")}

    def _drain(self) -> Step:
        def mark(intent: Intent, *, drained: bool) -> Mapping[str, Json]:
            command: dict[str, Json] = {
                "type": "drain",
                "peer_id": self.out.peer_id,
                "drained": drained,
                "fence": intent.fence,
            }
            return {"height": self.site.fleet.append(command, intent.id).get("height")}

        return Step(
            name="drain",
            title=f"drain {self.out.name}: it leads no more",
            act=lambda intent: mark(intent, drained=True),
            verify=self.is_drained,
            undo=lambda intent: mark(intent, drained=False),
            deadline_s=60,
        )

    def _leader_elsewhere(self) -> Step:
        def hand_over(_intent: Intent) -> Mapping[str, Json]:
            survey = self.site.fleet.survey()
            node = survey.by_peer(self.out.peer_id)
            if node is None or node.proposer != node.peer_id:
                return {"said": f"{self.out.name} does not lead"}
            try:
                self.site.fleet.node(node.name).step_down()
            except UnreachableError as exc:
                return {"said": f"{self.out.name} could not be asked: {exc.message}"}
            return {"said": f"{self.out.name} was asked to hand over"}

        return Step(
            name="leader-elsewhere",
            title=f"see another node than {self.out.name} lead",
            act=hand_over,
            verify=lambda: led(self.site, self.site.fleet.survey(), not_by=self.out.peer_id),
            deadline_s=60,
            no_undo="any member may lead: there is nothing to take back",
        )

    def _roster_remove(self) -> Step:
        return Step(
            name="roster-remove",
            title=f"take {self.out.name} out of the roster",
            ready=self.may_remove,
            act=lambda intent: self._roster("remove", self.out, intent),
            verify=lambda: self.certified(self.site.fleet.survey(), self.out, inside=False),
            deadline_s=60,
            no_undo=BACK,
            point_of_no_return=True,
        )

    def _stop_out(self) -> Step:
        def stop(_intent: Intent) -> Mapping[str, Json]:
            done = self.site.executor(self.out.name).stop()
            self.stopped = True
            return {"said": done.said, "output": done.output}

        return Step(
            name="stop-out",
            title=f"stop {self.out.name}",
            act=stop,
            verify=self.is_off,
            may_park=True,
            deadline_s=120,
            no_undo=BACK,
        )

    def _prove(self) -> Step:
        return Step(
            name="prove",
            title="see bonds, digests and both identities right on all the rest",
            verify=self.is_right,
            deadline_s=120,
            no_undo="it only looks",
        )

    def _write_roster(self) -> Step:
        flags = {self.out.name: False, self.come.name: True}

        def write(_intent: Intent) -> Mapping[str, Json]:
            self.site.roster_file.write(flags)
            return {"roster": dict(flags)}

        def look() -> Probe:
            now = self.site.roster_file.read()
            if all(now.get(name) is flag for name, flag in flags.items()):
                return Probe.yes("deployment.toml has the new roster")
            return Probe.wait("deployment.toml has the old roster", blocker="deployment.toml")

        return Step(
            name="write-roster",
            title="write the new roster into deployment.toml",
            act=write,
            verify=look,
            deadline_s=20,
            leased=False,
            no_undo="the file follows the ledger",
        )
