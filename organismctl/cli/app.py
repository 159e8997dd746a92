"""The root of the command line: the lazy table of commands, and the one handler of errors.

A command's module is imported when that command runs (or is asked for its help); the root help is made from the
table alone. So start-up does not grow with the number of commands.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer._click.exceptions import (
    ClickException,
    NoArgsIsHelpError,
    UsageError,
)  # typer re-exports no base of its usage errors
from typer.core import TyperGroup
from typer.main import get_command

from organismctl.cli.commands import COMMANDS
from organismctl.errors import InputError, OrganismError
from organismctl.exits import Exit

GLOBAL_FLAGS = {"--debug": "ORGANISMCTL_DEBUG", "--no-color": "NO_COLOR", "--quiet": "ORGANISMCTL_QUIET"}
"""Flags that may stand anywhere on the command line, and the variables that say the same."""
INTERRUPTED = 130

EPILOG = """Flags that may stand anywhere: --debug (tracebacks), --no-color, --quiet (no narration).

Exit codes: 0 ok, 1 error, 2 drift or a change is needed, 3 limit breached, 4 refused as unsafe,
5 unknown or incomplete, 6 unhealthy now, 64 usage.

Examples:
  organismctl init --from-example composite
  organismctl fingerprint check
  organismctl check all --format json
  organismctl rotate member --out node-a --in node-d --dry-run"""


class LazyGroup(TyperGroup):
    """The root group; its commands come from the table."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the table's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command's module and make it."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"organismctl.cli.{entry.module}")
        # One help style for all; completion scripts are shipped, not generated at run time.
        module.app.rich_markup_mode = None
        module.app._add_completion = False
        command = get_command(module.app)
        command.name = cmd_name
        from organismctl.cli.examples import dress

        return dress(command, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by section, without importing any of them."""
        del ctx
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The epilog as it stands, without re-wrapping."""
        del ctx
        formatter.write(f"\n{EPILOG}\n")


app = typer.Typer(
    cls=LazyGroup,
    name="organismctl",
    help="The operator's tool for composite organisms on mosaik.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    """Eager, so that no command has to follow; alone it is answered before typer loads."""
    if wanted:
        from organismctl import __version__

        sys.stdout.write(f"organismctl {__version__}\n")
        raise typer.Exit(Exit.OK)


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", "-V", help="Print the version and exit.", callback=_version, is_eager=True
    ),
    organism: str = typer.Option(
        "",
        "--organism",
        metavar="NAME|PATH",
        help="The organism of every command that is not told another: as ORGANISMCTL_ORGANISM.",
        show_default=False,
    ),
) -> None:
    """The operator's tool for composite organisms on mosaik."""
    if organism:
        os.environ["ORGANISMCTL_ORGANISM"] = organism
    del version


def run(argv: Sequence[str]) -> int:
    """Run a command line.

    Args:
        argv: The arguments, without the program's name.

    Returns:
        The exit code; nothing is raised. With ``--debug`` a traceback goes to standard error first.
    """
    arguments = _take_global_flags(argv)
    debug = bool(os.environ.get("ORGANISMCTL_DEBUG"))
    try:
        return _invoke(arguments)
    except OrganismError as error:
        _trace(debug)
        return _fail(error, arguments)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        from organismctl.cli.output import drop_stdout

        drop_stdout()
        return Exit.OK
    except Exception as error:  # noqa: BLE001 # the one place where a defect is told instead of shown raw
        _trace(debug)
        return _defect(error)


def command() -> Any:
    """The root as a click command, for completion and the pages under docs/commands."""
    return get_command(app)


def _invoke(arguments: list[str]) -> int:
    try:
        code = command().main(args=arguments, prog_name="organismctl", standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        return _usage(error)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            # click ends the process with 1 when a reader leaves; that is for run() to say.
            raise end.__context__ from None
        raise
    except typer.Abort:
        return _say("interrupted", INTERRUPTED)
    except ClickException as error:
        return _say(f"error: {error.format_message()}", Exit.USAGE)
    if code == INTERRUPTED:  # typer's own word for Ctrl-C
        return _say("interrupted", INTERRUPTED)
    return int(code) if isinstance(code, int) else Exit.OK


def _take_global_flags(argv: Sequence[str]) -> list[str]:
    rest: list[str] = []
    for index, argument in enumerate(argv):
        if argument == "--":
            return [*rest, *argv[index:]]
        if argument in GLOBAL_FLAGS:
            os.environ[GLOBAL_FLAGS[argument]] = "1"
        else:
            rest.append(argument)
    return rest


def _usage(error: UsageError) -> int:
    context = error.ctx
    if isinstance(error, NoArgsIsHelpError):
        # Nothing was asked for: the help is the answer, and there is no mistake to name.
        return _say(error.format_message(), Exit.USAGE)
    lines = [f"error: {error.format_message()}"]
    if context is not None:
        lines.append(f"  next: {context.command_path} --help")
    return _say("\n".join(lines), Exit.USAGE)


def _fail(error: OrganismError, arguments: Sequence[str]) -> int:
    lines = [f"error: {error.message}"]
    if isinstance(error, InputError):
        lines += [f"  {problem}" for problem in error.problems]
    advice = error.advice
    if advice is None and error.exit is Exit.USAGE:
        advice = " ".join(["organismctl", *(word for word in arguments[:1] if word in COMMANDS), "--help"])
    if advice:
        lines.append(f"  next: {advice}")
    return _say("\n".join(lines), error.exit)


def _defect(error: Exception) -> int:
    return _say(
        f"error: a defect of organismctl: {type(error).__name__}: {error}\n"
        "  next: run it again with --debug and report the traceback; nothing of yours is wrong",
        Exit.ERROR,
    )


def _trace(debug: bool) -> None:
    if debug:
        import traceback

        _say(traceback.format_exc(), Exit.ERROR)


def _say(text: str, code: int) -> int:
    from organismctl.cli.output import clean

    sys.stderr.write(clean(text) + "\n")
    return code
