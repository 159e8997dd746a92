"""Which organism is meant: the order, and clear errors with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from organismctl.errors import InputError, UsageError
from organismctl.files.context import VARIABLE, contexts_path, resolve_context


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two named organisms beside a third in the present folder."""
    for name in ("one", "two", "here"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "organism.toml").write_text('schema = 1\nname = "x"\nnetwork = "n"\n')
        (folder / "deployment.toml").write_text('schema = 1\nlock = "locks/x.lock"\n')
    (tmp_path / "organismctl").mkdir()
    return tmp_path


def contexts(home: Path, default: str = "") -> None:
    (home / "organismctl" / "contexts.toml").write_text(
        f"schema = 1\n{default}\n[context.one]\ndeployment = '{home}/one/deployment.toml'\n"
        "[context.two]\norganism = '../two/organism.toml'\nlock = '/locks/two'\n"
    )


def env(home: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(home), **more}


def test_the_order(home: Path) -> None:
    cwd = home / "here"
    assert resolve_context(None, env=env(home), cwd=cwd).organism_path == cwd / "organism.toml"
    contexts(home, 'default = "two"')
    assert resolve_context(None, env=env(home), cwd=cwd).name == "two"
    assert resolve_context(None, env=env(home, **{VARIABLE: "one"}), cwd=cwd).name == "one"
    assert resolve_context("two", env=env(home, **{VARIABLE: "one"}), cwd=cwd).name == "two"


def test_named_context_finds_all_files(home: Path) -> None:
    contexts(home)
    one = resolve_context("one", env=env(home), cwd=home)
    assert one.organism_path == home / "one" / "organism.toml"
    assert one.lock_path == home / "one" / "locks" / "x.lock"
    two = resolve_context("two", env=env(home), cwd=home)
    assert two.organism_path.resolve() == home / "two" / "organism.toml"
    assert two.deployment_path is not None
    assert two.deployment_path.resolve() == home / "two" / "deployment.toml"
    assert two.lock_path == Path("/locks/two")


@pytest.mark.parametrize("choice", ["one", "one/organism.toml", "one/deployment.toml", "./one"])
def test_a_path_is_a_file_or_a_folder(home: Path, choice: str) -> None:
    context = resolve_context(choice, env=env(home), cwd=home)
    assert context.organism_path == home / "one" / "organism.toml"
    assert context.deployment_path == home / "one" / "deployment.toml"
    assert context.lock_path == home / "one" / "locks" / "x.lock"


def test_without_deployment(home: Path) -> None:
    (home / "here" / "deployment.toml").unlink()
    context = resolve_context(None, env=env(home), cwd=home / "here")
    assert context.deployment_path is None
    assert context.lock_path == home / "here" / "organism.lock"


def test_a_deployment_of_another_organism_is_not_taken(home: Path) -> None:
    (home / "one" / "deployment.toml").write_text('schema = 1\norganism = "other.toml"\n')
    assert resolve_context("one/organism.toml", env=env(home), cwd=home).deployment_path is None


def test_nothing_says_which(home: Path) -> None:
    contexts(home)
    with pytest.raises(UsageError) as caught:
        resolve_context(None, env=env(home), cwd=home)
    assert "one, two" in (caught.value.advice or "")
    with pytest.raises(UsageError, match="neither a context's name nor a path") as caught:
        resolve_context("three", env=env(home), cwd=home)
    assert "one, two" in (caught.value.advice or "")
    with pytest.raises(UsageError, match="holds no organism"):
        resolve_context(".", env=env(home), cwd=home)


def test_bad_contexts_name_their_lines(home: Path) -> None:
    (home / "organismctl" / "contexts.toml").write_text(
        'schema = 1\ndefault = "x"\n[context.a]\nlock = "l"\n'
    )
    with pytest.raises(InputError) as caught:
        resolve_context(None, env=env(home), cwd=home)
    assert [(one.key, one.line) for one in caught.value.problems] == [("default", 2), ("context.a", 3)]


def test_a_relative_xdg_folder_is_ignored() -> None:
    assert contexts_path({"XDG_CONFIG_HOME": "rel", "HOME": "/h"}) == Path(
        "/h/.config/organismctl/contexts.toml"
    )
