"""``lock``: how a person accepts an identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from organismctl.cli.app import run
from organismctl.files.lock import load_lock, write_lock
from tests.cli.conftest import Json, edit

EDIT = ('stall = "wait"', 'stall = "partial"')


def test_from_no_lock_to_an_accepted_change(acme: Path, js: Json, capsys: pytest.CaptureFixture[str]) -> None:
    path = acme / "organism.lock"
    path.unlink()
    assert run(["lock", "show"]) == 1
    assert run(["lock", "accept", "--reason", "x"]) == 1
    assert not path.exists()
    assert run(["lock", "init", "--reason", "first"]) == 0
    first = js("lock-show", "lock", "show")
    assert first["next"] is None
    assert first["deployed"]["reason"] == "first"
    assert run(["lock", "init"]) == 4, "a lock is never replaced"

    edit(acme, *EDIT)
    capsys.readouterr()
    assert run(["lock", "accept", "--reason", "partial facts are fine"]) == 0
    assert "announce this" in capsys.readouterr().err
    shown = js("lock-show", "lock", "show")
    assert shown["deployed"]["fingerprint"] == first["deployed"]["fingerprint"]
    assert shown["next"]["fingerprint"] == js("fingerprint-show", "fingerprint", "show")["fingerprint"]


def test_accepting_makes_the_gate_green(acme: Path, js: Json) -> None:
    edit(acme, *EDIT)
    assert run(["fingerprint", "check"]) == 2
    assert run(["lock", "accept", "--reason", "partial facts", "--announcement", "7"]) == 0
    assert run(["fingerprint", "check"]) == 0
    assert js("lock-show", "lock", "show")["next"]["announcement"] == "7"


def test_accepting_the_same_again_writes_nothing(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (acme / "organism.lock").read_bytes()
    assert run(["lock", "accept", "--reason", "again"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert (acme / "organism.lock").read_bytes() == before


def test_the_secret_gives_the_lock_a_group_id_that_ci_can_compute_without_it(acme: Path, js: Json) -> None:
    (acme / "organism.lock").unlink()
    secret = acme / "group.secret"
    secret.write_text("a group secret of a test")
    secret.chmod(0o600)
    (acme / "deployment.toml").write_text('schema = 1\n[secrets]\ngroup = "group.secret"\n')
    assert run(["lock", "init"]) == 0
    accepted = load_lock(acme / "organism.lock")
    assert accepted.deployed is not None
    assert accepted.deployed.group_id is not None
    assert "a group secret of a test" not in (acme / "organism.lock").read_text()
    # CI has neither.
    secret.unlink()
    (acme / "deployment.toml").unlink()
    assert js("fingerprint-show", "fingerprint", "show")["group_id"] == accepted.deployed.group_id.hex()
    assert run(["fingerprint", "check"]) == 0


def put_secret(folder: Path, text: str) -> None:
    """The group secret, and a deployment.toml that names it."""
    secret = folder / "group.secret"
    secret.write_text(text)
    secret.chmod(0o600)
    (folder / "deployment.toml").write_text('schema = 1\n[secrets]\ngroup = "group.secret"\n')


def in_ci(folder: Path) -> int:
    """What the gate says to a job that has neither secret nor deployment.toml."""
    kept = {name: (folder / name).read_text() for name in ("group.secret", "deployment.toml")}
    for name in kept:
        (folder / name).unlink()
    code = run(["fingerprint", "check"])
    for name, text in kept.items():
        (folder / name).write_text(text)
    (folder / "group.secret").chmod(0o600)
    return code


def test_a_lock_from_before_the_secret_is_completed(acme: Path, js: Json) -> None:
    (acme / "organism.lock").unlink()
    assert run(["lock", "init"]) == 0
    put_secret(acme, "a group secret of a test")
    assert in_ci(acme) == 5, "no group id was accepted yet"
    assert run(["lock", "accept", "--reason", "the secret is here now"]) == 0
    shown = js("lock-show", "lock", "show")
    assert shown["next"] is None, "nothing moved, so nothing waits to be deployed"
    assert shown["deployed"]["group_id"] is not None
    assert shown["deployed"]["reason"] == "the secret is here now"
    assert run(["fingerprint", "check"]) == in_ci(acme) == 0


def test_a_rotated_secret_is_accepted_for_ci_too(acme: Path, js: Json) -> None:
    (acme / "organism.lock").unlink()
    put_secret(acme, "a group secret of a test")
    assert run(["lock", "init"]) == 0
    first = js("lock-show", "lock", "show")["deployed"]
    put_secret(acme, "another group secret of a test")
    assert run(["fingerprint", "check"]) == 2
    assert run(["lock", "accept", "--reason", "the secret leaked"]) == 0
    shown = js("lock-show", "lock", "show")
    assert shown["deployed"] == first
    assert shown["next"]["group_id"] not in (None, first["group_id"])
    assert run(["fingerprint", "check"]) == in_ci(acme) == 0
    text = (acme / "organism.lock").read_text()
    assert run(["lock", "accept", "--reason", "again"]) == 0
    assert (acme / "organism.lock").read_text() == text, "accepted already"
    put_secret(acme, "a group secret of a test")
    assert run(["lock", "accept", "--reason", "the old secret after all"]) == 0
    assert js("lock-show", "lock", "show")["next"] is None
    assert run(["fingerprint", "check"]) == in_ci(acme) == 0


def test_a_hash_that_an_older_version_left_behind_is_mended(acme: Path) -> None:
    (acme / "organism.lock").unlink()
    put_secret(acme, "a group secret of a test")
    assert run(["lock", "init"]) == 0
    lock = load_lock(acme / "organism.lock")
    write_lock(acme / "organism.lock", replace(lock, group_secret_hash=bytes(32)))
    assert in_ci(acme) == 2
    assert run(["lock", "accept", "--reason", "the hash was of another secret"]) == 0
    assert in_ci(acme) == 0


def test_an_edited_lock_is_no_lock(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = acme / "organism.lock"
    path.write_text(path.read_text().replace('fingerprint = "', 'fingerprint = "zz', 1))
    assert run(["fingerprint", "check"]) == 1
    said = capsys.readouterr().err
    assert "organism.lock" in said
    assert "Traceback" not in said


def test_a_read_only_folder_is_a_clear_error(
    acme: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    edit(acme, *EDIT)
    before = (acme / "organism.lock").read_bytes()

    def refuse(*_args: object, **_kwargs: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    assert run(["lock", "accept", "--reason", "x"]) == 1
    monkeypatch.undo()
    said = capsys.readouterr().err
    assert "read-only" in said
    assert "  next: " in said
    assert (acme / "organism.lock").read_bytes() == before
