"""``retire``: announce, schedule, wait for the date, see the seal, prove the marker from outside, stop.

Until the seal everything can be taken back (``retire cancel``); after it the organism is over for ever, and
the rest only looks and switches off. After the seal there is no lease: a sealed machine grants none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from organismctl.change.errors import LedgerRefusedError, StepRefusedError
from organismctl.change.executor.command import redact
from organismctl.change.procedure._committee import short_of_quorum
from organismctl.change.procedure._retirement import (
    ALLOWANCE_S,
    announced,
    announcement,
    date_has_come,
    due,
    effective,
    in_chronicles,
    is_scheduled,
    is_sealed,
    marker_is_last,
    scheduled,
    slug,
    still_ahead,
    untimely,
    when,
    write_announcement,
)
from organismctl.change.site import Site
from organismctl.change.step import Intent, Probe, Step
from organismctl.errors import InputError, OrganismError

if TYPE_CHECKING:
    from organismctl.identity.config import Json

OVER = "a sealed organism serves nothing more; start the node again if its past is to be read"


def build(site: Site, parameters: Mapping[str, Json]) -> Retire:
    """The procedure for ``{"effective_at", "replacement", "reason", "nodes", "linger_s", "wait_s"}``.

    Raises:
        InputError: The moment is missing or malformed, or a node is unknown.
    """
    moment = parameters.get("effective_at")
    if not isinstance(moment, str):
        raise InputError("retire needs --effective-at")
    effective(moment)
    nodes = parameters.get("nodes")
    names = [str(name) for name in nodes] if isinstance(nodes, list) else []
    for name in names:
        site.member(name)
    return Retire(site, parameters, moment, names)


class Retire:
    """See the module.

    Args:
        site: The organism.
        parameters: As the plan has them.
        moment: ``effective_at``, in full.
        nodes: Names of the nodes that are stopped at the end.
    """

    def __init__(self, site: Site, parameters: Mapping[str, Json], moment: str, nodes: list[str]) -> None:
        self.site = site
        self.parameters = parameters
        self.moment = moment
        self.nodes = nodes
        self.stopped: set[str] = set()

    def facts(self) -> Mapping[str, Json]:
        """What the plan rests on; see :meth:`Procedure.facts`."""
        survey = self.site.fleet.survey()
        retirement = scheduled(survey)
        return {
            "fingerprint": self.site.fingerprint,
            "group_id": self.site.group_id,
            "roster": [*sorted(survey.roster)],
            "surfaces": list(self.site.surfaces),
            "sealed": survey.sealed,
            "retirement": None if retirement is None else str(retirement.get("effective_at")),
        }

    def refusals(self) -> list[str]:
        """Why this retirement is not to be begun at all; empty when it may."""
        survey = self.site.fleet.survey()
        why = []
        if survey.latest is None and not self.site.retire_exec:
            return [survey.nobody]
        if survey.sealed:
            why.append("the organism is retired already; `organismctl retire verify` proves it")
        elif scheduled(survey) is not None:
            why.append("a retirement is scheduled already: `organismctl retire amend` or `retire cancel`")
        elif not self.site.retire_exec:
            why.extend(short_of_quorum(self.site, survey))
        why.extend(untimely(self.site, self.moment, self.parameters))
        _, tick = effective(self.moment)
        if self.site.retire_exec and tick is not None:
            why.append("[retire] exec needs a wall-clock time: this tool sees no tick of that organism")
        return why

    def no_way_back(self) -> str | None:
        """See :meth:`Procedure.no_way_back`: the seal is for ever, also when no runner has seen it."""
        return "the organism is sealed" if self.site.fleet.survey().sealed else None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps; see :class:`Procedure`."""
        begin = [self._announce(), self._date_by_clock(), self._exec()]
        if not self.site.retire_exec:
            begin = [self._announce(), self._schedule(), self._date(), self._seal()]
        return (*begin, self._marker(), self._chronicle(), self._linger(), *map(self._stop, self.nodes))

    def _announce(self) -> Step:
        path = self.site.folder / "announcement.json"

        void_path = path.with_name("announcement-cancelled.json")

        def write(_intent: Intent) -> Mapping[str, Json]:
            write_announcement(path, announcement(self.site, self.parameters, kind="retirement"))
            return {"file": str(path), "channel": self.site.channel}

        def void(_intent: Intent) -> Mapping[str, Json]:
            document = announcement(self.site, self.parameters, kind="retirement-cancelled")
            write_announcement(void_path, document)
            return {"file": str(void_path), "channel": self.site.channel}

        return Step(
            name="announce",
            title="write the announcement for the change channel",
            act=write,
            verify=lambda: announced(path, announcement(self.site, self.parameters, kind="retirement")),
            undo=void,
            deadline_s=20,
            leased=not self.site.retire_exec,
        )

    def _schedule(self) -> Step:
        def schedule(intent: Intent) -> Mapping[str, Json]:
            command: dict[str, Json] = {
                "type": "schedule",
                "effective_at": self.moment,
                "replacement": self.parameters.get("replacement"),
                "reason": self.parameters.get("reason") or "",
                "fence": intent.fence,
            }
            return {"height": self.site.fleet.append(command, intent.id).get("height")}

        def cancel(intent: Intent) -> Mapping[str, Json]:
            survey = self.site.fleet.survey()
            if survey.sealed:
                raise StepRefusedError("the organism is sealed: a retirement cannot be taken back any more")
            if survey.latest is not None and survey.latest.retirement is None:
                return {"said": "none is scheduled"}
            command: dict[str, Json] = {"type": "cancel", "reason": "change aborted", "fence": intent.fence}
            try:
                return {"height": self.site.fleet.append(command, intent.id).get("height")}
            except LedgerRefusedError as exc:
                if exc.code == "sealed":
                    raise StepRefusedError("the organism was sealed just now: it is retired") from exc
                raise

        return Step(
            name="schedule",
            title=f"schedule the retirement for {self.moment}",
            ready=lambda: still_ahead(self.site, self.moment),
            act=schedule,
            verify=lambda: is_scheduled(self.site.fleet.survey()),
            undo=cancel,
            deadline_s=60,
        )

    def _date(self) -> Step:
        return Step(
            name="date",
            title=f"wait for {self.moment}",
            verify=lambda: date_has_come(self.site, self.site.fleet.survey()),
            may_park=True,
            leased=False,
            deadline_s=self.site.limits.wait_s + ALLOWANCE_S,
            no_undo="it only waits",
        )

    def _date_by_clock(self) -> Step:
        def look() -> Probe:
            return due(self.site, self.moment, None)

        return Step(
            name="date",
            title=f"wait for {self.moment}",
            verify=look,
            may_park=True,
            leased=False,
            deadline_s=self.site.limits.wait_s + ALLOWANCE_S,
            no_undo="it only waits",
        )

    def _seal(self) -> Step:
        return Step(
            name="seal",
            title="see the seal on every node",
            verify=lambda: is_sealed(self.site, self.site.fleet.survey()),
            leased=False,
            deadline_s=ALLOWANCE_S,
            no_undo="the seal is for ever",
            point_of_no_return=True,
        )

    def _exec(self) -> Step:
        def hand_over(_intent: Intent) -> Mapping[str, Json]:
            return {"output": _run_with_input(self.site, self._marker_json())}

        return Step(
            name="exec",
            title="hand the marker to the organism's own command ([retire] exec)",
            act=hand_over,
            verify=lambda: marker_is_last(self.site),
            leased=False,
            deadline_s=self.site.limits.change_deadline_s,
            no_undo="a marker that is out cannot be taken back",
            point_of_no_return=True,
        )

    def _marker_json(self) -> dict[str, Json]:
        return {
            "effective_at": self.moment,
            "replacement": self.parameters.get("replacement"),
            "reason": self.parameters.get("reason") or "",
        }

    def _marker(self) -> Step:
        return Step(
            name="marker",
            title="prove from outside that the marker is the last item of every surface",
            verify=lambda: marker_is_last(self.site),
            leased=False,
            deadline_s=ALLOWANCE_S,
            no_undo="it only looks",
        )

    def _chronicle(self) -> Step:
        return Step(
            name="chronicle",
            title="find OrganismRetired in the coalitions' Chronicles",
            verify=lambda: in_chronicles(self.site),
            may_park=True,
            leased=False,
            deadline_s=ALLOWANCE_S,
            no_undo="it only looks",
        )

    def _linger(self) -> Step:
        def look() -> Probe:
            at_ms, _ = effective(self._certified_moment())
            over = (at_ms or self.site.now_ms()) + round(self.site.limits.linger_s * 1000)
            left_s = (over - self.site.now_ms()) / 1000
            if left_s <= 0:
                return Probe.yes(f"the nodes have lingered until {when(over)}")
            if left_s > self.site.limits.wait_s:
                return Probe.park(
                    f"the end of the linger period, {when(over)}: until then latecomers get the marker",
                    over,
                    advice="`organismctl change resume` stops the nodes then",
                )
            return Probe.wait(f"the nodes linger for another {left_s:.0f} s", blocker="the linger period")

        return Step(
            name="linger",
            title="let the nodes serve latecomers for the linger period",
            verify=look,
            may_park=True,
            leased=False,
            deadline_s=self.site.limits.wait_s + ALLOWANCE_S,
            no_undo="it only waits",
        )

    def _certified_moment(self) -> str:
        """As amended: the ledger knows better than the plan."""
        retirement = scheduled(self.site.fleet.survey())
        text = str(retirement.get("effective_at")) if retirement else self.moment
        try:
            effective(text)
        except InputError:
            return self.moment
        return text

    def _stop(self, name: str) -> Step:
        def stop(_intent: Intent) -> Mapping[str, Json]:
            done = self.site.executor(name).stop()
            self.stopped.add(name)
            return {"said": done.said, "output": done.output}

        def look() -> Probe:
            survey = self.site.fleet.survey()
            if name in survey.seen:
                return Probe.wait(f"{name} still answers", blocker=name)
            fenced = self.site.executor(name).fenced()
            if fenced is True or (fenced is None and name in self.stopped):
                return Probe.yes(f"{name} is off")
            return Probe.wait(f"{name} is not shown to be off", blocker=name)

        return Step(
            name=f"stop-{slug(name)}",
            title=f"stop {name}",
            act=stop,
            verify=look,
            may_park=True,
            leased=False,
            deadline_s=120,
            no_undo=OVER,
        )


def _run_with_input(site: Site, marker: Mapping[str, Json]) -> str:
    """Run ``[retire] exec`` with the marker on its standard input."""
    import json
    import subprocess

    argv = list(site.retire_exec)
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(marker, ensure_ascii=False).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=site.limits.change_deadline_s,
            check=False,
        )
    except (OSError, ValueError) as exc:
        raise OrganismError(f"[retire] exec {argv[0]}: cannot be run: {exc}") from exc
    except subprocess.TimeoutExpired as exc:
        raise OrganismError(f"[retire] exec {argv[0]}: took over {exc.timeout:.0f} s and was killed") from exc
    output = redact(done.stdout.decode(errors="replace"), ())
    if done.returncode != 0:
        raise OrganismError(f"[retire] exec {argv[0]}: ended with exit code {done.returncode}: {output}")
    return output
