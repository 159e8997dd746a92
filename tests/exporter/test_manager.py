"""What a service manager is told of an exporter: that it serves, how it fares, and that its sweeps come to an end."""

from __future__ import annotations

import itertools
import signal
import threading
import urllib.request
from pathlib import Path

import pytest

from organismctl.cli.judging import Subject, load_subject
from organismctl.committee.node.manager import Manager
from organismctl.exporter.resident import Exporter, Files, Settings
from organismctl.exporter.server import Address
from organismctl.observe.sources import WireLook
from tests.exporter.test_resident import ended, place, process
from tests.support.committee import free_ports, wait_for
from tests.support.manager import listening

__all__ = ["place"]  # an organism whose nodes nobody runs


def test_an_exporter_tells_its_manager(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    with listening(place, 1.0) as heard:
        for name, value in heard.environ.items():
            monkeypatch.setenv(name, value)
        one = process(place, port)
        try:
            heard.wait("READY=1")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=5) as page:
                assert page.status == 200
            assert any(line.startswith("STATUS=sweep 1: ") for line in heard.told)
            for _ in range(2):
                heard.wait("WATCHDOG=1")
            one.send_signal(signal.SIGTERM)
            heard.wait("STOPPING=1")
        except BaseException:
            one.kill()
            ended(one)
            raise
        code, told = ended(one)
    assert code == 0, told


def test_a_sweep_that_never_ends_is_no_progress(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that fails is: the files may be mended, and an end would help nobody."""
    paths = (place / "organism.toml", place / "deployment.toml")
    with listening(place, 0.04) as heard:
        files = Files(lambda: load_subject(str(place)), paths, lambda _: None)
        settings = Settings(Address("127.0.0.1", 0), 0.05, 0.05, place / "exporter.db")
        made: Exporter[Subject] = Exporter(
            files, settings, lambda _: WireLook(), lambda _: None, Manager(heard.environ)
        )
        failed, hung, ends = threading.Event(), threading.Event(), threading.Event()
        asked = itertools.count()
        beat, looked = made._beat, 0

        def look(*_: object) -> None:
            if not failed.is_set():
                failed.set()
                raise RuntimeError("a defect")
            hung.set()
            ends.wait(250)

        def counted() -> None:
            nonlocal looked
            beat()
            looked = next(asked)

        monkeypatch.setattr(made._looker, "sweep", look)
        monkeypatch.setattr(made, "_beat", counted)
        runs = threading.Thread(target=made.run)
        runs.start()
        try:
            heard.wait("STATUS=the sweep failed, a defect of organismctl: RuntimeError: a defect")
            heard.wait("READY=1")
            heard.wait("WATCHDOG=1")
            assert hung.wait(90), "there is no second sweep"
            wait_for("a sweep that outlasts its deadlines", lambda: not made.sweeping)
            before = looked
            wait_for("the next occasion for a beat", lambda: looked > before)
            heard.waiting()
            wait_for("some more", lambda: looked > before + 4)
            assert heard.waiting() == []
            made.stopped.set()
            heard.wait("STOPPING=1")
        finally:
            ends.set()
            made.stopped.set()
            runs.join(30)
            made.close()
