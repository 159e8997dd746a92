"""The units of a timed check, and the line that they run, run."""

from __future__ import annotations

import getpass
import shlex
import subprocess
from pathlib import Path, PurePath

import pytest

from organismctl.cli.app import run
from organismctl.errors import InputError
from organismctl.export.systemd_check import Timed, units
from tests.cli.conftest import SCRIPT
from tests.cli.test_check import place
from tests.export.test_units import site
from tests.support.units import needs_systemd, verify, written

__all__ = ["place"]  # the folder whose nodes answer

SERVICE = "organismctl-check-acme.settlement.service"
GOLDEN_TIMER = """\
# Made by `organismctl export systemd --only check`; a change of deployment.toml may need it again.
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


def timed(textfiles: str = "/tmp", **changes: object) -> Timed:
    return Timed(site(**changes), PurePath(textfiles), every_ms=300_000)


def test_the_timer() -> None:
    assert units(timed())["organismctl-check-acme.settlement.timer"] == GOLDEN_TIMER


def test_findings_are_no_failure_of_the_unit() -> None:
    service = units(timed())[SERVICE]
    assert "\nSuccessExitStatus=2 3 5 6\n" in service
    line = "\nExecStart=/usr/bin/env check all --organism /srv/acme/deployment.toml --format prometheus "
    assert line in service


@needs_systemd
def test_systemd_would_have_said(tmp_path: Path) -> None:
    """The tests by `verify` can fail."""
    made = {name: text.replace("oneshot", "twice") for name, text in units(timed()).items()}
    assert "twice" in verify(written(made, tmp_path))


def test_nothing_is_slipped_into_its_folder() -> None:
    with pytest.raises(InputError, match="control character"):
        units(timed("/tmp/a\nUser=root"))


@needs_systemd
def test_what_the_command_writes_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The service's own line, run by hand: the file is whole, and its name is one that the collector reads."""
    (place / "units").mkdir()
    (place / "textfiles").mkdir()
    assert run(["export", "systemd", "--only", "check", "--textfiles", "textfiles", "-o", "units"]) == 0
    assert "systemctl enable --now organismctl-check-acme.settlement.timer" in capsys.readouterr().err
    service = (place / "units" / SERVICE).read_text()
    assert f"\nUser={getpass.getuser()}\n" in service
    line = next(one for one in service.splitlines() if one.startswith("ExecStart="))
    argv = [
        word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStart="))
    ]
    assert argv[0] == str(SCRIPT)
    assert verify(list((place / "units").iterdir())) == "0"
    for _ in range(2):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 2, 3, 5, 6), done.stderr
    (written_file,) = (place / "textfiles").iterdir()
    assert written_file.name == "organismctl_acme.settlement.prom"
    assert written_file.stat().st_mode & 0o777 == 0o644
    assert (
        'organismctl_check_exit{organism="acme.settlement",command="check all"}' in written_file.read_text()
    )
