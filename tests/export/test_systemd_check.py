"""The units of a timed check, held to systemd itself, and the line that they run, run."""

from __future__ import annotations

import getpass
import shlex
import shutil
import subprocess
from pathlib import Path, PurePath

import pytest

from organismctl.cli.app import run
from organismctl.errors import InputError
from organismctl.export.systemd_check import Timed, units
from tests.cli.conftest import SCRIPT
from tests.cli.test_check import place

__all__ = ["place"]  # the folder whose nodes answer

GOLDEN_TIMER = """\
# Made by `organismctl export systemd --only check`.
[Unit]
Description=Check acme.settlement every 300s

[Timer]
OnBootSec=1min
OnUnitActiveSec=300s
RandomizedDelaySec=15000ms
AccuracySec=1s
Unit=organismctl-check-acme.settlement.service

[Install]
WantedBy=timers.target
"""


def timed(**changes: object) -> Timed:
    given: dict[str, object] = {
        "organism": "acme.settlement",
        "deployment": PurePath("/srv/acme/deployment.toml"),
        "program": PurePath("/usr/bin/env"),
        "textfiles": PurePath("/tmp"),
        "user": "root",
        "every_ms": 300_000,
        **changes,
    }
    return Timed(**given)  # type: ignore[arg-type]


def verify(made: dict[str, str], folder: Path) -> str:
    """What systemd says of the units."""
    paths = []
    for name, text in made.items():
        (folder / name).write_text(text)
        paths.append(str(folder / name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return f"{done.returncode} {done.stdout}{done.stderr}".strip()


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")


def test_the_timer() -> None:
    assert units(timed())["organismctl-check-acme.settlement.timer"] == GOLDEN_TIMER


def test_findings_are_no_failure_of_the_unit() -> None:
    service = units(timed())["organismctl-check-acme.settlement.service"]
    assert "\nSuccessExitStatus=2 3 5 6\n" in service
    assert (
        "\nExecStart=/usr/bin/env check all --organism /srv/acme/deployment.toml --format prometheus "
        in service
    )


@needs_systemd
@pytest.mark.parametrize("folder", ["/srv/acme", '/srv/a b/100% "$HOME" \\ ü', "/srv/%i/$x;y"])
def test_systemd_takes_them(tmp_path: Path, folder: str) -> None:
    made = units(timed(deployment=PurePath(folder) / "deployment.toml", organism="acme 100% ü"))
    assert verify(made, tmp_path) == "0"


@needs_systemd
def test_systemd_would_have_said(tmp_path: Path) -> None:
    """The test above can fail."""
    made = {name: text.replace("oneshot", "twice") for name, text in units(timed()).items()}
    assert "twice" in verify(made, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"deployment": PurePath("deployment.toml")},
        {"textfiles": PurePath("/tmp/a\nUser=root")},
        {"user": "acme\nExecStart=/bin/sh"},
        {"organism": "acme\nExecStart=/bin/sh"},
    ],
)
def test_nothing_is_slipped_into_a_unit(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        units(timed(**changes))


@needs_systemd
def test_what_the_command_writes_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The service's own line, run by hand: the file is whole, and its name is one that the collector reads."""
    (place / "units").mkdir()
    (place / "textfiles").mkdir()
    assert run(["export", "systemd", "--textfiles", "textfiles", "-o", "units"]) == 0
    assert "systemctl enable --now organismctl-check-acme.settlement.timer" in capsys.readouterr().err
    service = (place / "units" / "organismctl-check-acme.settlement.service").read_text()
    assert f"\nUser={getpass.getuser()}\n" in service
    line = next(one for one in service.splitlines() if one.startswith("ExecStart="))
    argv = [
        word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStart="))
    ]
    assert (
        verify({path.name: path.read_text() for path in (place / "units").iterdir()}, place / "units") == "0"
    )
    for _ in range(2):
        done = subprocess.run(
            [str(SCRIPT), *argv[1:]], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode in (0, 2, 3, 5, 6), done.stderr
    (written,) = (place / "textfiles").iterdir()
    assert written.name == "organismctl_acme.settlement.prom"
    assert written.stat().st_mode & 0o777 == 0o644
    assert 'organismctl_check_exit{organism="acme.settlement",command="check all"}' in written.read_text()


def test_without_a_folder_both_are_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "systemd", "--every", "5m"]) == 0
    out = capsys.readouterr().out
    assert out.count("# /etc/systemd/system/organismctl-check-acme.settlement.") == 2
    assert run(["export", "systemd", "--only", "nodes"]) == 64
