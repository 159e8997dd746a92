"""The exporter's life: fresh pages or none, files that change, a clean stop, and a start over whatever is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from organismctl.cli.judging import Subject, load_subject
from organismctl.exporter.page import TEXT
from organismctl.exporter.resident import Exporter, Files, Settings
from organismctl.exporter.server import Address
from organismctl.observe.sources import WireLook
from tests.check.worlds import ORGANISM, PEERS
from tests.support.committee import free_ports, wait_for
from tests.support.prometheus import get


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An organism whose nodes nobody runs."""
    (tmp_path / "organism.toml").write_text(ORGANISM)
    (tmp_path / "deployment.toml").write_text(deployed(free_ports(1)[0]))
    return tmp_path


def deployed(port: int) -> str:
    return (
        f'schema = 1\n[[node]]\nname = "node-a"\npeer_id = "{PEERS["node-a"]}"\nurl = "http://127.0.0.1:{port}"\n'
        '[[span]]\nname = "beta"\ncard = "beta.json"\nperiod = "1s"\n[thresholds]\nprobe_timeout = "500ms"\n'
    )


class Made:
    """An exporter in this process that sweeps when it is told to."""

    def __init__(self, place: Path, every_s: float = 15.0, deadline_s: float = 30.0) -> None:
        self.lines: list[str] = []
        settings = Settings(Address("127.0.0.1", 0), every_s, deadline_s, place / "exporter.db")
        paths = (place / "organism.toml", place / "deployment.toml")
        read = Files(lambda: load_subject(str(place)), paths, self.lines.append)
        self.exporter: Exporter[Subject] = Exporter(read, settings, lambda _: WireLook(), self.lines.append)

    def page(self) -> str:
        return self.exporter.page().body(TEXT).decode()


@pytest.fixture
def made(place: Path) -> Iterator[Made]:
    one = Made(place)
    yield one
    one.exporter.close()


DOWN = 'organism_up{organism="acme.settlement",source="exporter"} 0.0\n'


def test_before_the_first_sweep_it_is_down(made: Made) -> None:
    assert made.page().endswith(DOWN)
    assert made.exporter.healthy() == (False, "no sweep yet")
    made.exporter.sweep()
    assert 'source="exporter"} 1.0' in made.page()
    assert 'organism_node_up{node="node-a",organism="acme.settlement"} 0.0' in made.page()
    assert made.exporter.healthy()[0]


def test_a_sweep_that_is_too_old_is_told_no_more(place: Path) -> None:
    one = Made(place, every_s=0.01, deadline_s=0.3)
    try:
        one.exporter.sweep()
        wait_for("the page is stale", lambda: one.page().endswith(DOWN))
        assert "node_up" not in one.page()
        assert not one.exporter.healthy()[0]

        def fresh() -> bool:
            one.exporter.sweep()
            return "node_up" in one.page()

        wait_for("a fresh page", fresh)
    finally:
        one.exporter.close()


def test_files_are_read_again_and_bad_ones_show(made: Made, place: Path) -> None:
    made.exporter.sweep()
    assert 'source="files"} 1.0' in made.page()
    (place / "organism.toml").write_text(ORGANISM + "nonsense = 1\n")
    made.exporter.sweep()
    assert 'source="files"} 0.0' in made.page()
    assert "cannot be used" in made.lines[-1]
    told = len(made.lines)
    made.exporter.sweep()
    assert len(made.lines) == told  # once
    (place / "organism.toml").write_text(ORGANISM.replace("acme.settlement", "another.one"))
    made.exporter.sweep()
    assert 'source="files"} 0.0' in made.page()
    assert "another organism" in made.lines[-1]
    (place / "organism.toml").write_text(ORGANISM)
    (place / "deployment.toml").write_text(deployed(free_ports(1)[0]).replace("node-a", "node-z"))
    made.exporter.sweep()
    assert 'source="files"} 1.0' in made.page()
    assert 'node_up{node="node-z"' in made.page()
    assert 'node="node-a"' not in made.page()


def test_a_card_that_goes_takes_its_series_and_says_since_when(place: Path) -> None:
    card = place / "beta.json"
    card.write_text(json.dumps({"stable_id": "0" * 64, "retired": None}))
    made = Made(place, every_s=0.05)

    def told(text: str) -> str | None:
        made.exporter.sweep()
        page = made.page()
        return page if text in page else None

    try:
        page = told('organism_up{organism="acme.settlement",source="card/beta"} 1.0')
        assert page is not None, "the first sweep waits for cards"
        assert 'organism_identity_drift{organism="acme.settlement",span="beta",what="stable_id"} 1.0' in page
        card.unlink()
        down = 'organism_up{organism="acme.settlement",source="card/beta"} 0.0'
        page = wait_for("the card is missed", lambda: told(down))
        assert "organism_identity_drift{" not in page
        assert 'organism_up_since_timestamp_seconds{organism="acme.settlement",source="card/beta"}' in page
        # Since when it drifted is remembered while nobody can see it.
        assert made.exporter.state.since["drift", "beta/stable_id"][0] == 1
    finally:
        made.exporter.close()


def test_a_defect_in_a_sweep_shows_as_down_and_the_next_one_tries(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(place, every_s=0.01)
    made.exporter.sweep()

    def broken(*_: object) -> None:
        if len(tries) == 2:
            made.exporter.stopped.set()
        tries.append(1)
        raise RuntimeError("a defect, for a test")

    tries: list[int] = []
    told = len(made.lines)
    monkeypatch.setattr(made.exporter, "sweep", broken)
    made.exporter.run()
    assert made.page().endswith(DOWN)
    assert made.lines[-1].endswith("RuntimeError: a defect, for a test")
    assert (len(tries), len(made.lines) - told) == (3, 1)  # it goes on, and says it once
    made.exporter.close()


def process(place: Path, port: int, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "organismctl", "exporter", "--organism", str(place), "--listen", f"127.0.0.1:{port}",
         "--every", "200ms", *more],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def ended(one: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = one.communicate(timeout=90)
    return one.returncode, told


def test_the_command_over_a_damaged_memory_one_a_file_and_a_clean_stop(place: Path) -> None:
    (place / ".organism").mkdir()
    (place / ".organism" / "exporter.db").write_bytes(b"scribbled over" * 1000)
    port, other = free_ports(2)
    first = process(place, port)
    try:
        wait_for("it sweeps", lambda: answers(port))
        code, told = ended(process(place, other))
        assert code == 4
        assert "another exporter has" in told
        code, told = ended(process(place, port, "--memory", str(place / "other.db")))
        assert code == 1
        assert "cannot listen on" in told
    finally:
        first.terminate()
        code, told = ended(first)
    assert code == 0, told
    assert "the memory was moved aside to" in told
    assert told.rstrip().endswith("the exporter has stopped")
    assert len(list((place / ".organism").glob("exporter.db.damaged-*"))) == 1


def answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/-/healthy")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--every", "1ms"], 64, "--every: at least 0.2 s"),
        (["--listen", "nowhere"], 1, "HOST:PORT"),
        (["--no-wire", "--hear", "1s"], 64, "--no-wire goes with neither"),
    ],
)
def test_options_that_make_no_sense(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, says: str
) -> None:
    from organismctl.cli.app import run

    assert run(["exporter", "--organism", str(place), *options]) == code
    assert says in capsys.readouterr().err


def test_without_a_deployment_there_is_nobody_to_ask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from organismctl.cli.app import run

    (tmp_path / "organism.toml").write_text(ORGANISM)
    assert run(["exporter", "--organism", str(tmp_path)]) == 64
    assert "needs a deployment.toml" in capsys.readouterr().err
