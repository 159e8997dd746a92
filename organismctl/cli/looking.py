"""What ``status``, ``watch`` and ``report`` share: one look at everything, judged, with the changes under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from organismctl.check.scope import Scope
    from organismctl.cli.judging import Subject
    from organismctl.observe.snapshot import Snapshot
    from organismctl.observe.sources import WireLook
    from organismctl.report.model import Report
    from organismctl.report.status import ChangeLine


@dataclass(frozen=True, slots=True)
class Judged:
    """One look, judged: what was seen, what was found, and the changes that this machine knows to be under way."""

    scope: Scope
    report: Report
    changes: Sequence[ChangeLine]


def judged(
    command: str,
    names: Sequence[str],
    subject: Subject,
    snapshot: Snapshot,
    moment_ms: int,
    say: Callable[[str], None] | None = None,
) -> Judged:
    """Judge a look.

    Args:
        command: How the report names the command.
        names: Keys of ``organismctl.check.run.CHECKS``.
        subject: Whose look.
        snapshot: What was seen.
        moment_ms: The moment of judgement, Unix ms.
        say: Where a journal that cannot be read is said; standard error by default.
    """
    from organismctl.check.run import run_scope
    from organismctl.report.model import Named, Report

    scope = subject.scope(snapshot, moment_ms)
    report = Report(command, Named.of(scope), run_scope(names, scope), moment_ms, snapshot.taken_ms)
    return Judged(scope, report, changes_under_way(subject, say))


def changes_under_way(subject: Subject, say: Callable[[str], None] | None = None) -> list[ChangeLine]:
    """Changes under way that this machine knows; others are known by the lease that nodes report.

    A retirement that is done stays among them: it is the organism's last word, and when its nodes are gone nobody else
    tells of it.
    """
    if subject.deployment is None:
        return []
    folder = subject.deployment.resolve(subject.deployment.state) / "changes"
    if not folder.is_dir():
        return []
    from organismctl.change.state import State
    from organismctl.change.store import Store
    from organismctl.cli.output import say as aloud
    from organismctl.report.status import ChangeLine

    known = Store(folder, say=say or aloud).readable()
    told = [
        one
        for one in known
        if one.under_way or (one.view.plan.procedure == "retire" and one.view.state is State.DONE)
    ]
    return [ChangeLine(one.id, one.view.state.value, one.view.plan.what, one.view.waits_for) for one in told]


def seen(
    subject: Subject, from_: Path | None, at: str | None, timeout: str, wire: WireLook
) -> tuple[Snapshot, int]:
    """What a file kept, or a look at everything; and the moment of judgement, Unix ms.

    Raises:
        OrganismError: The file, the moment or the timeout is wrong.
    """
    from organismctl.check.run import CHECKS, kinds_of
    from organismctl.cli.check import kept
    from organismctl.cli.judging import now_ms, parse_at, take_look
    from organismctl.observe.exporter_history import KIND as HISTORY
    from organismctl.observe.exporter_memory import KIND as MEMORY

    if from_ is not None:
        snapshot = kept(from_, subject)
        return snapshot, parse_at(at, snapshot.taken_ms)
    moment = parse_at(at, 0)
    snapshot = take_look(subject, kinds_of(CHECKS) | {MEMORY, HISTORY}, timeout, wire=wire)
    return snapshot, moment if at is not None else now_ms()
