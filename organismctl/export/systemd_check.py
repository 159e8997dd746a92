"""systemd: a service that runs ``check all`` into the textfile collector, and the timer that starts it.

The service ends well when the check could be made, whatever it found: findings are what the file is for, and a unit
that fails with each of them would hide the one failure that counts, that nothing was checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from organismctl.exits import Exit
from organismctl.export.unit import (
    Site,
    absolute,
    hardening,
    journal,
    path_value,
    plain,
    quoted,
    reading,
    span,
    text,
    who,
)

FOUND = (Exit.DRIFT, Exit.BREACH, Exit.UNKNOWN, Exit.UNHEALTHY)
"""Exit codes that tell of findings; any other than 0 is a failure of the check itself."""
GRACE_MS = 20_000
"""What a run may take beyond its look."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A check that runs by itself.

    Attributes:
        site: Where and as whom it runs.
        textfiles: Absolute path of the collector's folder (``--collector.textfile.directory``).
        every_ms: From run to run.
        timeout_ms: For one look.
    """

    site: Site
    textfiles: PurePath
    every_ms: int = 60_000
    timeout_ms: int = 10_000

    @property
    def unit(self) -> str:
        """The units' name, without its ending."""
        return f"organismctl-check-{self.site.label}"

    @property
    def file(self) -> PurePath:
        """What it writes."""
        return self.textfiles / f"organismctl_{self.site.label}.prom"


def units(timed: Timed) -> dict[str, str]:
    """File name to text of the service and of its timer.

    Raises:
        InputError: A path or the user cannot stand in a unit.
    """
    return {f"{timed.unit}.service": _service(timed), f"{timed.unit}.timer": _timer(timed)}


def _service(timed: Timed) -> str:
    site = timed.site
    command = [
        str(absolute(site.program)), "check", "all", "--organism", str(absolute(site.deployment)),
        "--format", "prometheus", "--timeout", f"{timed.timeout_ms}ms", "-o", str(absolute(timed.file)),
    ]  # fmt: skip
    unit = [
        # The node exporter reads there as well, so the file is for everybody; it holds no secret.
        f"# {plain(site.user)} must be able to write to the folder of -o, and the node exporter to read there.",
        f"Description=Check {plain(site.organism)} into the textfile collector",
        "Documentation=https://github.com/organismctl/organismctl/blob/main/docs/how-to/run-under-systemd.md",
        "Wants=network-online.target",
        "After=network-online.target",
    ]
    service = [
        "Type=oneshot",
        who(site.user),
        f"ExecStart={' '.join(quoted(word) for word in command)}",
        f"SuccessExitStatus={' '.join(str(int(code)) for code in FOUND)}",
        f"TimeoutStartSec={timed.timeout_ms + GRACE_MS}ms",
        "Environment=ORGANISMCTL_QUIET=1",
        *journal(site, "check"),
        *reading(site),
        f"ReadWritePaths={path_value(timed.textfiles)}",
        *hardening(site, local=site.local, umask="0022"),
    ]
    return text("check", {"Unit": unit, "Service": service})


def _timer(timed: Timed) -> str:
    return text(
        "check",
        {
            "Unit": [f"Description=Check {plain(timed.site.organism)} every {span(timed.every_ms)}"],
            "Timer": [
                "OnBootSec=1min",
                f"OnUnitActiveSec={span(timed.every_ms)}",
                f"RandomizedDelaySec={max(timed.every_ms // 20, 1)}ms",
                "AccuracySec=1s",
                f"Unit={timed.unit}.service",
            ],
            "Install": ["WantedBy=timers.target"],
        },
    )
