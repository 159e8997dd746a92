"""Which organism a command is about.

In this order: ``--organism NAME|PATH``; the variable ``ORGANISMCTL_ORGANISM``; the ``default`` of
``$XDG_CONFIG_HOME/organismctl/contexts.toml``; ``./organism.toml`` and ``./deployment.toml``. A PATH is an
organism.toml, a deployment.toml or a folder that holds them; the two find each other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organismctl.errors import InputError, UsageError
from organismctl.files.atomic import os_errors, read_text
from organismctl.files.context_shape import CONTEXTS
from organismctl.files.schema import Reader

VARIABLE = "ORGANISMCTL_ORGANISM"


@dataclass(frozen=True, slots=True)
class Context:
    """The files of one organism.

    Attributes:
        name: The context's name, else the path that was chosen; every prompt shows it.
        organism_path: organism.toml.
        deployment_path: deployment.toml, or ``None``: a CI job has none.
        lock_path: organism.lock; it need not be there yet.
        chosen_by: What chose it, for messages: ``--organism``, the variable, ``default``, this folder.
    """

    name: str
    organism_path: Path
    deployment_path: Path | None
    lock_path: Path
    chosen_by: str = "--organism"


def contexts_path(env: Mapping[str, str]) -> Path:
    """Where the named contexts stand."""
    base = env.get("XDG_CONFIG_HOME") or ""
    # The XDG rule: a relative value is to be ignored.
    root = Path(base) if base.startswith("/") else Path(env.get("HOME") or Path.home()) / ".config"
    return root / "organismctl" / "contexts.toml"


def resolve_context(choice: str | None, *, env: Mapping[str, str], cwd: Path) -> Context:
    """Find the organism that a command is about.

    Args:
        choice: What ``--organism`` gave, or ``None``.
        env: The process's environment.
        cwd: The present folder.

    Raises:
        UsageError: Nothing says which organism is meant, or there is none of that name.
        InputError: contexts.toml or the deployment file holds problems.
        PathError: The system refused.
    """
    for wanted, by in ((choice, "--organism"), (env.get(VARIABLE), VARIABLE)):
        if wanted:
            return _named_or_path(wanted, by, env, cwd)
    default, known = load_contexts(contexts_path(env))
    if default is not None:
        return _named(default, known, f"default of {contexts_path(env)}", env)
    found = _folder(cwd, str(cwd), "the present folder")
    if found is None:
        names = f" ({', '.join(known)})" if known else ""
        raise UsageError(
            "no organism is named, and this folder holds no organism.toml",
            advice=f"go to its folder, or name it: --organism NAME|PATH{names}; or make one: `organismctl init`",
        )
    return found


def load_contexts(path: Path) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """The default context's name and every named context; nothing when there is no file.

    Raises:
        InputError: The file holds problems.
        PathError: The system refused.
    """
    with os_errors(path, "read"):
        if not path.exists():
            return None, {}
    reader = Reader(str(path), read_text(path))
    values = CONTEXTS.read(reader.parse(), "", reader)
    if isinstance(values, dict):
        known = values["context"]
        if isinstance(known, dict):
            for name, one in known.items():
                if isinstance(one, dict) and one["organism"] is None and one["deployment"] is None:
                    reader.problem(f"context.{name}", None, "organism or deployment, a path")
            if isinstance(values["default"], str) and values["default"] not in known:
                reader.problem("default", f'"{values["default"]}"', " | ".join(known) or "a [context.NAME]")
        reader.finish()
        return values["default"], values["context"]
    raise TypeError("the root is no table")


def _named_or_path(wanted: str, by: str, env: Mapping[str, str], cwd: Path) -> Context:
    """A context's name first, unless it can only be a path."""
    if "/" not in wanted and not wanted.endswith(".toml"):
        _, known = load_contexts(contexts_path(env))
        if wanted in known:
            return _named(wanted, known, by, env)
    path = cwd / Path(wanted).expanduser()
    with os_errors(path, "look at"):
        is_dir, is_file = path.is_dir(), path.is_file()
    found = _folder(path, wanted, by) if is_dir else _file(path, wanted, by) if is_file else None
    if found is not None:
        return found
    _, known = load_contexts(contexts_path(env))
    names = (
        f"known contexts: {', '.join(known)}"
        if known
        else f"name it in {contexts_path(env)}, as in docs/formats/contexts.toml"
    )
    what = "holds no organism.toml or deployment.toml" if is_dir else "is neither a context's name nor a path"
    raise UsageError(
        f"{by}: {wanted!r} {what}",
        advice=f"{names}; or give the folder that holds its deployment.toml or organism.toml",
    )


def _named(name: str, known: Mapping[str, Mapping[str, Any]], by: str, env: Mapping[str, str]) -> Context:
    """A context of contexts.toml; its relative paths start at that file's folder."""
    base, one = contexts_path(env).parent, known[name]

    def at(key: str) -> Path | None:
        return base / Path(one[key]).expanduser() if one.get(key) else None

    organism, deployment = at("organism"), at("deployment")
    if deployment is None and organism is not None:
        deployment = _sibling_deployment(organism)
    names = _names(deployment) if deployment is not None else {}
    if organism is None:
        if deployment is None:
            raise InputError(f"context {name} names no file", advice=f"see {contexts_path(env)}")
        organism = deployment.parent / names["organism"]
    lock = at("lock") or _lock(organism, deployment, names)
    return Context(name, organism, deployment, lock, by)


def _folder(folder: Path, name: str, by: str) -> Context | None:
    """The organism of a folder, or ``None``."""
    deployment, organism = folder / "deployment.toml", folder / "organism.toml"
    if deployment.is_file():
        return _from_deployment(deployment, name, by)
    if organism.is_file():
        return Context(name, organism, None, organism.with_name("organism.lock"), by)
    return None


def _file(path: Path, name: str, by: str) -> Context:
    """An organism.toml or a deployment.toml, told apart by what only one of them has."""
    top = _top_level(path)
    if "node" in top or "secrets" in top or ("name" not in top and "network" not in top and top):
        return _from_deployment(path, name, by)
    deployment = _sibling_deployment(path)
    names = _names(deployment) if deployment is not None else {}
    return Context(name, path, deployment, _lock(path, deployment, names), by)


def _from_deployment(path: Path, name: str, by: str) -> Context:
    names = _names(path)
    organism = path.parent / names["organism"]
    return Context(name, organism, path, _lock(organism, path, names), by)


def _sibling_deployment(organism: Path) -> Path | None:
    """The deployment.toml beside an organism.toml, when it is this organism's."""
    beside = organism.with_name("deployment.toml")
    if not beside.is_file():
        return None
    named = beside.parent / _names(beside)["organism"]
    return beside if named.resolve() == organism.resolve() else None


def _lock(organism: Path, deployment: Path | None, names: Mapping[str, str]) -> Path:
    return (
        deployment.parent / names["lock"] if deployment is not None else organism.with_name("organism.lock")
    )


def _names(deployment: Path) -> dict[str, str]:
    """``organism`` and ``lock`` of a deployment file; what is wrong with them its loader says."""
    top = _top_level(deployment)
    defaults = {"organism": "organism.toml", "lock": "organism.lock"}
    return {
        key: str(Path(value).expanduser()) if isinstance(value := top.get(key), str) and value else default
        for key, default in defaults.items()
    }


def _top_level(path: Path) -> dict[str, Any]:
    """A TOML file's values; nothing when it is not TOML, which its loader says better."""
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError):
        return {}
