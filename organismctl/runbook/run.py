"""Runs a runbook: looks, shows the sections that apply, probes, asks, acts, journals; resumable at every point.

Invariants:

1. A section's condition is judged by findings that were seen after the last action.
2. Nothing is done without a yes, and nothing before its intent is on disk; what was done is not done again.
3. An action that fails ends its section: the ones after it are judged by what is found then.
4. The end is judged by a last look: where findings called for an action, what it said of itself does not count.
   An action that no finding called for (a planned one) counts by itself, as does one that was left out.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from organismctl.check.finding import Finding, Status
from organismctl.check.run import exit_of
from organismctl.exits import Exit, worst
from organismctl.runbook.commands import destructive, words
from organismctl.runbook.execute import CommandError, Done, Executor
from organismctl.runbook.model import PLACEHOLDER, PROOF, Block, Kind, Section, When
from organismctl.runbook.presenter import Answer, Presenter
from organismctl.runbook.record import Record, finding_json, finding_of
from organismctl.runbook.when import Applies, judge
from organismctl.runbook.world import Binding, World, bindings, fill, fill_prose

if TYPE_CHECKING:
    from organismctl.identity.config import Json

PROBE_S = 180.0
ACTION_S = 3600.0
PAUSE_S = 1.0
"""Between two tries of a probe that is repeated."""
SETTLED = 2
"""A repeated probe ends when its section's condition has gone for so many looks: one alone may be a flicker."""
_RANK = (Status.BAD, Status.UNKNOWN, Status.WARN, Status.OK)


class LeftError(Exception):
    """A person leaves the run, to resume it later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        exit: The worst of the findings of the runbook's codes at the end, and of what no finding judges.
        remaining: Findings of its codes that are not well.
        others: Bad and unknown findings of other codes.
    """

    exit: Exit
    remaining: tuple[Finding, ...]
    others: tuple[Finding, ...]


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs one runbook.

    Attributes:
        record: Where it is kept.
        world: The organism.
        look: Looks at the world and judges it; may take seconds.
        executor: Runs command lines.
        presenter: Shows and asks.
        dry_run: Nothing acts; probes are done.
        sleep: Waits.
    """

    record: Record
    world: World
    look: Callable[[], Sequence[Finding]]
    executor: Executor
    presenter: Presenter
    dry_run: bool = False
    sleep: Callable[[float], None] = time.sleep
    _seen: Sequence[Finding] | None = field(default=None, init=False)
    _chosen: bool = field(default=False, init=False)

    def run(self) -> Outcome:
        """Go through the runbook from where its record stands.

        Raises:
            LeftError: A person left it.
            JournalError: The journal cannot be written; nothing further was done.
        """
        book, memory = self.record.book, self.record.memory
        again = bool(memory.sections)
        self.record.append("resumed" if again else "opened", operator=self.world.operator)
        self.presenter.heading(book.front.title, 1)
        mine = [row for row in self._findings() if row.code in book.front.codes and _open(row)]
        if book.front.codes:
            self.presenter.findings(sorted(mine, key=lambda row: _RANK.index(row.status)))
        try:
            for number, section in enumerate(book.sections):
                self._section(number, section)
        except (LeftError, KeyboardInterrupt):
            self.record.append("left")
            raise
        return self._end()

    # Sections.

    def _section(self, number: int, section: Section) -> None:
        told = self.record.memory.sections.get(number)
        applies = self._applies(section) if told is None else _kept(told)
        if told is None:
            self.record.append(
                "section", number=number, title=section.title, applies=applies.holds,
                when=section.when.text if section.when else None,
                findings=[finding_json(row) for row in applies.findings],
            )  # fmt: skip
        if section.when is not None and applies.holds and not section.when.otherwise:
            self._chosen = True
        if not applies.holds:
            if section.when is not None:
                self.presenter.aside(f"“{section.title}” does not apply")
            return
        if section.title:
            self.presenter.heading(section.title, 2)
        if section.when is not None and applies.findings:
            self.presenter.findings(applies.findings)
        for at, block in enumerate(section.blocks):
            if not self._block(f"{number}.{at}", block, applies.findings, section):
                break

    def _applies(self, section: Section) -> Applies:
        if section.when is None:
            return Applies(holds=True)
        if section.when.otherwise:
            return Applies(not self._chosen)
        if section.when.after is not None:
            return self._as(section.when.after)
        return judge(section.when, self._findings(), self.world)

    def _as(self, title: str) -> Applies:
        """How an earlier section applied in this run; not at all when it was not done to its end."""
        number, memory = self.record.book.number(title), self.record.memory
        told = memory.sections.get(number)
        done = [step for key, step in memory.steps.items() if key.startswith(f"{number}.")]
        if told is None or any(_exit(step) is not Exit.OK for step in done if step["state"] != "probed"):
            return Applies(holds=False)
        return _kept(told)

    def _findings(self) -> Sequence[Finding]:
        """What was seen after the last action."""
        if self._seen is None:
            self._seen = self.look()
            rows: list[Json] = [finding_json(row) for row in self._seen if _open(row)]
            self.record.append("looked", findings=rows, count=len(self._seen))
        return self._seen

    # Blocks.

    def _block(self, key: str, block: Block, findings: Sequence[Finding], section: Section) -> bool:
        """Do a block; whether the section goes on."""
        given = self.record.memory.given
        if block.kind is Kind.PROSE:
            self.presenter.prose(_shown(fill_prose(block.text, findings, given, self.world)))
            return True
        if block.kind is Kind.CODE:
            self.presenter.prose(block.text)
            return True
        well = True
        if block.code is not None:
            findings = [row for row in findings if row.code == block.code]
            if not findings:
                return True
        for turn, binding in enumerate(bindings(block.placeholders(), findings, given, self.world)):
            for number, (_, line) in enumerate(block.commands):
                step = f"{key}.{turn}.{number}"
                if block.kind is Kind.PROBE:
                    self._probe(step, line, binding, block.patience_ms / 1000, section)
                elif not self._act(step, line, binding):
                    well = False
                    break
        return well

    def _filled(self, step: str, line: str, binding: Binding) -> list[str] | None:
        """The words of a command line with everything filled in; asks for what is not known."""
        known = dict(binding)
        for name in dict.fromkeys(PLACEHOLDER.findall(line)):
            value = known.get(name) or self.record.memory.given.get(name) or self._asked(name, line)
            if value is None:
                why = f"nobody says what {{{name}}} is: give --set {name}=VALUE"
                self._skip(step, line, why)
                return None
            known[name] = value
        return [fill(word, tuple(known.items())) for word in words(line)]

    def _asked(self, name: str, line: str) -> str | None:
        value = None if self.dry_run else self.presenter.value(name, line)
        if value:
            self.record.append("gave", name=name, value=value)
        return value or None

    def _skip(self, step: str, line: str, why: str) -> None:
        self.presenter.command(line, acts=False)
        self.presenter.aside(f"not run: {why}")
        self.record.append("skipped", step, line=line, why=why)

    def _probe(self, step: str, line: str, binding: Binding, patience_s: float, section: Section) -> None:
        if self._told(step):
            return
        argv = self._filled(step, line, binding)
        if argv is None:
            return
        shown = shlex.join(argv)
        self.presenter.command(shown, acts=False)
        done = self._run(argv, PROBE_S)
        waited, over = done.took_ms / 1000, 0
        if section.when is None and self._is_left_out():
            patience_s = 0  # nothing was done that it could wait for
        while done.exit != Exit.OK and waited < patience_s and over < SETTLED and not self.dry_run:
            self.presenter.waiting(waited)
            self.sleep(PAUSE_S)
            done = self._run(argv, PROBE_S, waited)
            waited += PAUSE_S + done.took_ms / 1000
            over = over + 1 if self._is_over(section) else 0
        if patience_s:
            self._seen = None  # what it waited for has changed since
        self.presenter.result(done)
        self.record.append("probed", step, line=shown, **_done(done))

    def _is_left_out(self) -> bool:
        """Whether an action of this run was left out."""
        return any(step["state"] == "skipped" for step in self.record.memory.steps.values())

    def _is_over(self, section: Section) -> bool:
        """Whether the condition that a section is for holds no more, by what is seen now."""
        when = self._judged(section)
        return when is not None and not judge(when, self.look(), self.world).holds

    def _judged(self, section: Section) -> When | None:
        """The condition by which findings called for a section; ``None`` when none did."""
        when = self.record.book.condition(section)
        return None if when is None or when.otherwise else when

    def _act(self, step: str, line: str, binding: Binding) -> bool:
        """Ask for an action and do it; whether the section goes on."""
        if self._told(step):
            return bool(self.record.memory.steps[step].get("exit", 0) == 0)
        begun = self.record.memory.steps.get(step)
        argv = self._filled(step, line, binding)
        if argv is None:
            return False
        shown = shlex.join(argv)
        if self.dry_run:
            self.presenter.command(shown, acts=True)
            self.presenter.aside("not run: this only looks")
            self.record.append("skipped", step, line=shown, why="a dry run")
            return True
        if begun is not None:
            self.presenter.aside(
                "this was begun before, and how it ended is not known: it looks again before it acts"
            )
        answer = self.presenter.ask(shown, destructive(argv))
        if answer is Answer.LEAVE:
            raise LeftError
        if answer is Answer.SKIP:
            self._skip(step, shown, "a person said no")
            return False
        self.record.append("intent", step, line=shown)
        self.presenter.command(shown, acts=True)
        done = self._run(argv, ACTION_S)
        self._seen = None
        self.presenter.result(done)
        self.record.append("ran", step, line=shown, **_done(done))
        if done.exit != Exit.OK:
            self.presenter.aside("this did not work; the rest of this section is left out")
        return done.exit == Exit.OK

    def _told(self, step: str) -> bool:
        """Whether a step was done before a resumption; shows it again."""
        kept = self.record.memory.steps.get(step)
        if kept is None or kept["state"] == "intent":
            return False
        self.presenter.command(str(kept["line"]), acts=kept["state"] == "ran")
        if kept["state"] == "skipped":
            self.presenter.aside(f"not run: {kept['why']}")
        else:
            self.presenter.aside(f"done before, at {kept['at']}: exit {kept['exit']}")
        return True

    def _run(self, argv: Sequence[str], timeout_s: float, waited_s: float = 0.0) -> Done:
        """Run a command; who waits is told how long all of it takes, with earlier attempts."""
        begun = time.monotonic()
        try:
            return self.executor.run(argv, timeout_s, lambda took: self.presenter.waiting(waited_s + took))
        except CommandError as error:
            return Done(int(Exit.ERROR), f"error: {error.message}", round((time.monotonic() - begun) * 1000))

    # The end.

    def _end(self) -> Outcome:
        codes = self.record.book.front.codes
        rows = [row for row in self._findings() if _failing(row)]
        if not self.dry_run and any(row.code in codes for row in rows):
            self.sleep(PAUSE_S)  # one look alone may be a flicker: two say that it is not well
            self._seen = None
            rows = [row for row in self._findings() if _failing(row)]
        mine = tuple(row for row in rows if row.code in codes)
        others = tuple(row for row in rows if row.code not in codes)
        code = worst([exit_of(mine), *self._undone()])
        self.record.append(
            "done", exit=int(code), remaining=[finding_json(row) for row in mine],
            others=[finding_json(row) for row in others],
        )  # fmt: skip
        return Outcome(code, mine, others)

    def _undone(self) -> Iterator[Exit]:
        """Exits of what the findings do not judge.

        Actions of sections that no finding called for, or whose condition still holds; and, where the runbook answers
        no finding at all, the probes by which it is known that it worked.
        """
        book, memory = self.record.book, self.record.memory
        for key, step in memory.steps.items():
            section = book.sections[int(key.partition(".")[0])]
            if step["state"] == "probed":
                if not book.front.codes and section.title == PROOF:
                    yield _exit(step)
            elif not self._is_judged(section):
                yield _exit(step)

    def _is_judged(self, section: Section) -> bool:
        """Whether findings called for a section, and do so no more."""
        when = self._judged(section)
        return when is not None and not judge(when, self._findings(), self.world).holds


def _open(row: Finding) -> bool:
    return row.status is not Status.OK


def _failing(row: Finding) -> bool:
    return row.status in (Status.BAD, Status.UNKNOWN) and row.accepted is None


def _kept(told: Mapping[str, Any]) -> Applies:
    return Applies(bool(told["applies"]), tuple(finding_of(one) for one in told["findings"]))


def _done(done: Done) -> dict[str, Json]:
    return {"exit": done.exit, "output": done.output, "took_ms": done.took_ms}


def _exit(step: Mapping[str, Any]) -> Exit:
    """What a step says by itself."""
    if step["state"] == "skipped":
        return Exit.OK if step.get("why") == "a dry run" else Exit.UNKNOWN
    found = int(step.get("exit", Exit.ERROR))
    return Exit(found) if found in list(Exit) and found != Exit.USAGE else Exit.ERROR


def _shown(text: str) -> str:
    """Prose without the title, which was shown already."""
    lines = text.split("\n")
    return "\n".join(lines[1:]).strip("\n") if lines and lines[0].startswith("# ") else text
