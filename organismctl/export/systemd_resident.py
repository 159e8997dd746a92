"""systemd: the services of an organism that are no nodes and stay: its relay and its exporter.

Each keeps what it writes in a folder of its own below /var/lib, which the manager makes; the organism's files are only
read.
"""

from __future__ import annotations

from pathlib import PurePath

from organismctl.export.unit import Site, hardening, head, reading, resident, text, writes

STATE = PurePath("/var/lib")
RELAY_WATCHDOG_S = 30
EXPORTER_WATCHDOG_S = 60
RELAY_FILES = 65_536
"""A connection for each peer of the network, at times two."""
EXPORTER_FILES = 1024


def relay_unit(site: Site) -> str:
    """The relay's unit."""
    return f"organismctl-relay-{site.label}.service"


def exporter_unit(site: Site) -> str:
    """The exporter's unit."""
    return f"organismctl-exporter-{site.label}.service"


def relay(site: Site, bind: str, *, local: bool) -> dict[str, str]:
    """File name to text of the relay's unit; it is given no secret.

    Args:
        site: Where it runs.
        bind: ``HOST:PORT`` to listen on.
        local: Whether that is reached from this host alone.

    Raises:
        InputError: Something cannot stand in a unit.
    """
    folder = _folder(relay_unit(site))
    command = [str(site.program), "committee", "relay", "--bind", bind, "--data", str(folder)]
    service = resident(site, "relay", command, watchdog_s=RELAY_WATCHDOG_S)
    service += [*writes(folder), f"LimitNOFILE={RELAY_FILES}", *hardening(site, local=local)]
    unit = head(f"Relay of {site.organism}")
    return {relay_unit(site): _whole("relay", unit, service)}


def exporter(site: Site, listen: str, *, local: bool) -> dict[str, str]:
    """File name to text of the exporter's unit.

    Args:
        site: Where it runs.
        listen: ``HOST:PORT`` where it is scraped.
        local: Whether that is reached from this host alone.

    Raises:
        InputError: Something cannot stand in a unit.
    """
    folder = _folder(exporter_unit(site))
    command = [
        str(site.program), "exporter", "--organism", str(site.deployment), "--listen", listen,
        "--memory", str(folder / "exporter.db"),
    ]  # fmt: skip
    service = resident(site, "exporter", command, watchdog_s=EXPORTER_WATCHDOG_S)
    service += [*reading(site), *writes(folder), f"LimitNOFILE={EXPORTER_FILES}"]
    service += hardening(site, local=local and site.local)
    return {exporter_unit(site): _whole("exporter", head(f"Exporter of {site.organism}"), service)}


def _folder(unit: str) -> PurePath:
    return STATE / unit.removesuffix(".service")


def _whole(only: str, unit: list[str], service: list[str]) -> str:
    return text(only, {"Unit": unit, "Service": service, "Install": ["WantedBy=multi-user.target"]})
