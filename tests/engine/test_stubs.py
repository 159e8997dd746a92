"""The extension, its stubs, and what the package takes it for: one shape."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from organismctl.committee.carrier import mosaik_engine

PROTOCOLS = (
    mosaik_engine.Validator,
    mosaik_engine.Producer,
    mosaik_engine.Subscription,
    mosaik_engine.Inbox,
    mosaik_engine.ItemMap,
    mosaik_engine.GroupStatus,
    mosaik_engine.Group,
    mosaik_engine.Network,
    mosaik_engine.Relay,
)


def parameters(function: Any) -> dict[str, tuple[Any, bool]]:
    """Name to kind and whether it may be left out, without ``self``."""
    return {
        one.name: (one.kind, one.default is not inspect.Parameter.empty)
        for one in inspect.signature(function).parameters.values()
        if one.name != "self"
    }


def test_the_stubs_are_those_of_the_extension(engine: Any, tmp_path: Path) -> None:
    # What the build tool adds around the extension, and what is nobody's business.
    beside = ("__all__", "organismctl_engine", "_close_all")
    (tmp_path / "beside").write_text("".join(f"{engine.__name__}.{name}\n" for name in beside))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            engine.__name__,
            "--concise",
            "--allowlist",
            str(tmp_path / "beside"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.__name__)
def test_the_package_takes_the_extension_for_what_it_is(engine: Any, protocol: type) -> None:
    real = getattr(engine, protocol.__name__)
    members = {name: one for name, one in vars(protocol).items() if not name.startswith("_")}
    for name in {*members, *protocol.__annotations__}:
        assert hasattr(real, name), name
        expected = members.get(name)
        if not inspect.isfunction(expected):
            assert not callable(getattr(real, name)), f"{name} is no property"
            continue
        asked, given = parameters(expected), parameters(getattr(real, name))
        assert asked == {key: given[key] for key in given if key in asked}, name
        demanded = {key for key, (_, optional) in given.items() if not optional}
        assert demanded <= set(asked), name
