"""``retire amend``: another date, replacement or reason for a retirement that is scheduled already.

A change of its own, so that it is planned, confirmed and journalled like any other. The retirement itself,
which is parked meanwhile, reads the certified schedule and so follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from organismctl.change.canonical import clean
from organismctl.change.procedure._committee import short_of_quorum
from organismctl.change.procedure._retirement import (
    announced,
    announcement,
    effective,
    scheduled,
    still_ahead,
    untimely,
    write_announcement,
)
from organismctl.change.site import Site
from organismctl.change.step import Intent, Probe, Step
from organismctl.errors import InputError
from organismctl.identity.roster import majority

if TYPE_CHECKING:
    from organismctl.identity.config import Json


def build(site: Site, parameters: Mapping[str, Json]) -> RetireAmend:
    """The procedure for ``{"effective_at", "replacement", "reason", "ticks_now"}``.

    Raises:
        InputError: The moment is missing or malformed.
    """
    moment = parameters.get("effective_at")
    if not isinstance(moment, str):
        raise InputError("retire amend needs --effective-at")
    effective(moment)
    return RetireAmend(site, parameters, moment)


class RetireAmend:
    """See the module."""

    def __init__(self, site: Site, parameters: Mapping[str, Json], moment: str) -> None:
        self.site = site
        self.parameters = parameters
        self.moment = moment

    def facts(self) -> Mapping[str, Json]:
        """What the plan rests on; see :meth:`Procedure.facts`."""
        survey = self.site.fleet.survey()
        retirement = scheduled(survey)
        return {
            "fingerprint": self.site.fingerprint,
            "sealed": survey.sealed,
            "retirement": None if retirement is None else str(retirement.get("effective_at")),
        }

    def refusals(self) -> list[str]:
        """Why it is not to be begun at all."""
        survey = self.site.fleet.survey()
        if survey.latest is None:
            return [survey.nobody]
        if survey.sealed:
            return ["the organism is sealed: nothing can be amended any more"]
        if scheduled(survey) is None:
            return ["no retirement is scheduled"]
        return [*short_of_quorum(self.site, survey), *untimely(self.site, self.moment, self.parameters)]

    def no_way_back(self) -> str | None:
        """See :meth:`Procedure.no_way_back`."""
        return "the organism is sealed" if self.site.fleet.survey().sealed else None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps; see :class:`Procedure`."""
        path = self.site.folder / "announcement.json"

        def document() -> dict[str, Json]:
            return announcement(self.site, self.parameters, kind="retirement-amended")

        def write(_intent: Intent) -> Mapping[str, Json]:
            write_announcement(path, document())
            return {"file": str(path), "channel": self.site.channel}

        def append(intent: Intent) -> Mapping[str, Json]:
            command: dict[str, Json] = {
                "type": "amend",
                "effective_at": self.moment,
                "replacement": self.parameters.get("replacement"),
                "reason": self.parameters.get("reason") or "",
                "fence": intent.fence,
            }
            return {"height": self.site.fleet.append(command, intent.id).get("height")}

        return (
            Step(
                name="announce",
                title="write the announcement that replaces the earlier one",
                act=write,
                verify=lambda: announced(path, document()),
                deadline_s=20,
                no_undo="a notice that was published is replaced by another one",
            ),
            Step(
                name="amend",
                title=f"amend the retirement to {self.moment}",
                ready=lambda: still_ahead(self.site, self.moment),
                act=append,
                verify=self._is_amended,
                deadline_s=60,
                no_undo="amend it once more",
                point_of_no_return=True,
            ),
        )

    def _is_amended(self) -> Probe:
        survey = self.site.fleet.survey()
        latest = survey.latest
        if latest is None:
            return Probe.wait("no node answers", blocker="all nodes")
        if latest.retirement is None:
            return Probe.no("no retirement is scheduled any more")
        wanted = (self.moment, self.parameters.get("replacement"))
        same = [
            node
            for node in survey.seen.values()
            if node.retirement is not None
            and (node.retirement.get("effective_at"), node.retirement.get("replacement")) == wanted
        ]
        need = majority(len(latest.roster))
        if len(same) < need:
            now = clean(str(latest.retirement.get("effective_at")), 80)
            return Probe.wait(f"{len(same)} of {need} nodes have it; {latest.name} has {now}")
        return Probe.yes(f"amended to {self.moment} on {len(same)} nodes")
