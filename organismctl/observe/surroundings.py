"""The tool's own surroundings, for ``doctor``: versions, files, secrets, disk, clocks, reachability."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from organismctl.errors import InputError, OrganismError

if TYPE_CHECKING:
    from pathlib import Path

    from organismctl.files.context import Context
    from organismctl.files.deployment import Deployment, Node

T = TypeVar("T")
OK, WARN, BAD, UNKNOWN = "ok", "warn", "bad", "unknown"
EXTRAS = {"node": ("fastapi", "uvicorn"), "notify": ("apprise",), "tdx": ("dcap_qvl",)}
LEAST_DISK = 256 << 20
"""Bytes below which journals and ledgers are in danger."""
PARALLEL = 32


@dataclass(frozen=True, slots=True)
class Surrounding:
    """One thing that was looked at.

    Attributes:
        status: ``ok``, ``warn``, ``bad`` or ``unknown``.
        subject: What.
        detail: What was seen, one line.
        advice: The next step when there is something to do, else ``None``.
    """

    status: str
    subject: str
    detail: str
    advice: str | None = None


def examine(
    context: Context | None, trouble: str | None, on_row: Callable[[int], None] = lambda _count: None
) -> list[Surrounding]:
    """Look at everything.

    Args:
        context: The organism, or ``None``.
        trouble: Why there is none.
        on_row: Told how many rows there are so far.
    """
    rows: list[Surrounding] = []
    for row in _all(context, trouble):
        rows.append(row)
        on_row(len(rows))
    return rows


def _all(context: Context | None, trouble: str | None) -> Iterator[Surrounding]:
    yield from _tool()
    if context is None:
        yield Surrounding(WARN, "organism", trouble or "none is named", "name one: --organism NAME|PATH")
        return
    deployment = None
    for row, loaded in _files(context):
        yield row
        deployment = loaded or deployment
    if deployment is None:
        return
    yield from _secrets(deployment)
    yield from _folders(deployment)
    yield from _carrier(deployment)
    yield from _nodes(deployment)
    yield from _spans(deployment)


def _tool() -> Iterator[Surrounding]:
    from organismctl import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    yield Surrounding(OK, "organismctl", f"{__version__} on Python {python}")
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            need = "needed on hosts that run nodes" if extra == "node" else "optional"
            yield Surrounding(
                OK, f"extra {extra}", f"not installed ({need}): pip install 'organismctl[{extra}]'"
            )
        else:
            yield Surrounding(OK, f"extra {extra}", "installed")
    for name in ("ssh", "systemctl"):
        found = shutil.which(name)
        yield Surrounding(OK, name, found or "not here; only the systemd executor needs it")


def _files(context: Context) -> Iterator[tuple[Surrounding, Deployment | None]]:
    from organismctl.files.deployment import cross_check, load_deployment
    from organismctl.files.lock import load_lock
    from organismctl.files.organism import load_organism

    organism = deployment = None
    try:
        organism = load_organism(context.organism_path)
        yield _loaded("organism.toml", len(organism.warnings), str(context.organism_path)), None
    except OrganismError as error:
        yield _broken("organism.toml", error), None
    if context.deployment_path is None:
        yield Surrounding(WARN, "deployment.toml", "there is none", "`organismctl init` drafts one"), None
    else:
        try:
            deployment = load_deployment(context.deployment_path)
            yield (
                _loaded("deployment.toml", len(deployment.warnings), str(context.deployment_path)),
                deployment,
            )
        except OrganismError as error:
            yield _broken("deployment.toml", error), None
    if organism is not None and deployment is not None:
        crossed = cross_check(organism, deployment)
        for problem in crossed.problems:
            yield Surrounding(BAD, "both files", str(problem), "mend it in deployment.toml"), None
        for problem in crossed.warnings:
            yield Surrounding(WARN, "both files", str(problem)), None
    if not context.lock_path.exists():
        yield Surrounding(WARN, "organism.lock", "there is none", "`organismctl lock init` makes it"), None
        return
    try:
        load_lock(context.lock_path)
        yield Surrounding(OK, "organism.lock", str(context.lock_path)), None
    except OrganismError as error:
        yield _broken("organism.lock", error), None


def _loaded(name: str, warnings: int, path: str) -> Surrounding:
    if warnings:
        return Surrounding(
            WARN, name, f"{path}: {warnings} warning(s)", "`organismctl check all` prints them"
        )
    return Surrounding(OK, name, path)


def _broken(name: str, error: OrganismError) -> Surrounding:
    first = f": {error.problems[0]}" if isinstance(error, InputError) and error.problems else ""
    more = (
        f" and {len(error.problems) - 1} more"
        if isinstance(error, InputError) and len(error.problems) > 1
        else ""
    )
    return Surrounding(BAD, name, f"{error.message}{first}{more}", error.advice or "mend the file")


def _secrets(deployment: Deployment) -> Iterator[Surrounding]:
    from organismctl.files.credentials import KEYS, node_key_file, secret_file
    from organismctl.files.secret import read_secret

    named = {f"secrets.{key}": secret_file(deployment, key) for key in KEYS}
    named |= {f"key of {node.name}": node_key_file(deployment, node) for node in deployment.nodes}
    for subject, at in named.items():
        if at is None:
            continue
        if not at.exists():
            yield Surrounding(
                WARN, subject, f"{at} is not here", "`organismctl committee init` makes what is missing"
            )
            continue
        try:
            read_secret(at)
            yield Surrounding(OK, subject, "here, readable by its owner alone")
        except OrganismError as error:
            yield Surrounding(BAD, subject, error.message, error.advice)


def _folders(deployment: Deployment) -> Iterator[Surrounding]:
    state = deployment.resolve(deployment.state)
    nearest = next((path for path in (state, *state.parents) if path.exists()), state)
    if os.access(nearest, os.W_OK | os.X_OK):
        yield Surrounding(OK, "journals", f"{state} can be written")
    else:
        yield Surrounding(
            BAD, "journals", f"{nearest} cannot be written", "every change needs its journal on disk"
        )
    yield from _disk("disk", nearest)
    for node in deployment.nodes:
        if node.data is None or not deployment.resolve(node.data).exists():
            continue
        yield from _ledger(node, deployment.resolve(node.data))


def _disk(subject: str, path: Path) -> Iterator[Surrounding]:
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        yield Surrounding(UNKNOWN, subject, f"{path}: {error.strerror}")
        return
    detail = f"{free / 2**30:.1f} GiB free at {path}"
    if free < LEAST_DISK:
        yield Surrounding(BAD, subject, detail, "make room before any change")
    else:
        yield Surrounding(OK, subject, detail)


def _ledger(node: Node, folder: Path) -> Iterator[Surrounding]:
    from organismctl.committee.ledger.place import refuse_network

    try:
        refuse_network(folder)
        yield Surrounding(OK, f"data of {node.name}", f"{folder} is on a local filesystem")
    except OrganismError as error:
        yield Surrounding(BAD, f"data of {node.name}", error.message, error.advice)


def _carrier(deployment: Deployment) -> Iterator[Surrounding]:
    if deployment.carrier == "loopback":
        yield Surrounding(
            WARN, "carrier", "loopback: all nodes on one host, replicas=1, tolerance=0",
            'for rehearsal; a committee that must outlive a host needs carrier = "mosaik"',
        )  # fmt: skip
        return
    from organismctl.committee.carrier.mosaik_engine import load_engine

    try:
        engine = load_engine()
    except OrganismError as error:
        here = any(node.key and deployment.resolve(node.key).exists() for node in deployment.nodes)
        # Who only looks from another host needs no extension.
        yield Surrounding(BAD if here else WARN, "carrier", error.message, error.advice)
        return
    relay = deployment.mosaik.relay or "mosaik's own relays, on the internet"
    detail = f"mosaik {engine.MOSAIK_VERSION} by organismctl-engine {engine.__version__}; relay: {relay}"
    yield Surrounding(OK, "carrier", detail)


def _nodes(deployment: Deployment) -> Iterator[Surrounding]:
    wanted = [node for node in deployment.nodes if node.roster and node.url is not None]
    yield from _parallel(lambda node: _node(deployment, node), wanted)


def _node(deployment: Deployment, node: Node) -> Surrounding:
    import time

    from organismctl.committee.client import NodeAccessError, NodeClient
    from organismctl.files.credentials import secret_file
    from organismctl.files.secret import read_secret

    limits = deployment.thresholds
    try:
        token = secret_file(deployment, "read_token")
        secret = read_secret(token).reveal() if token else None
        ca = deployment.resolve(node.ca) if node.ca else None
        with NodeClient(node.url or "", secret, ca, limits.probe_timeout_ms / 1000) as client:
            begin = time.time_ns()
            status = client.status()
            end = time.time_ns()
    except NodeAccessError as error:
        return Surrounding(
            BAD, node.name, f"it refuses this observer: {error.message}", "check secrets.read_token"
        )
    except OrganismError as error:
        return Surrounding(
            UNKNOWN, node.name, error.message,
            error.advice or "is it running? `organismctl committee status`",
        )  # fmt: skip
    now = status.get("now_ms")
    if not isinstance(now, int):
        return Surrounding(UNKNOWN, node.name, "its status tells no clock", "is it a node of this version?")
    skew = abs(now - (begin + end) / 2e6)
    if skew > limits.clock_skew_ms + (end - begin) / 2e6:
        return Surrounding(
            BAD, node.name, f"its clock is {skew / 1000:.1f} s from ours", "mend the clocks (NTP)"
        )
    return Surrounding(OK, node.name, f"it answers in {(end - begin) / 1e6:.0f} ms, clocks agree")


def _spans(deployment: Deployment) -> Iterator[Surrounding]:
    pairs = [(side.name, url) for side in deployment.spans for url in side.endpoints]
    timeout = deployment.thresholds.probe_timeout_ms / 1000
    yield from _parallel(lambda pair: _endpoint(*pair, timeout), pairs)


def _endpoint(name: str, url: str, timeout: float) -> Surrounding:
    from organismctl.committee.client import NodeClient

    subject = f"span {name}"
    try:
        with NodeClient(url, timeout=timeout) as client:
            client.health()
    except OrganismError as error:
        return Surrounding(
            UNKNOWN, subject, error.message, "ask its operator whether it is up, and check the address"
        )
    return Surrounding(OK, subject, f"{url} answers")


def _parallel(look: Callable[[T], Surrounding], subjects: Sequence[T]) -> Iterator[Surrounding]:
    if not subjects:
        return
    with ThreadPoolExecutor(min(PARALLEL, len(subjects))) as pool:
        yield from pool.map(look, subjects)
