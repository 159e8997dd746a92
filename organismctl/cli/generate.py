"""Generates what is derived from the commands: completion scripts and a page per command.

``python -m organismctl.cli.generate completions completions`` and ``… docs docs/commands``; a test holds both
fresh. The scripts are static, so that completing starts no Python.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organismctl.cli.app import EPILOG, command
from organismctl.cli.commands import COMMANDS

GLOBAL = ("--debug", "--no-color", "--quiet", "--help")
NAME = "organismctl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the tree.

    Attributes:
        path: Its words after ``organismctl``; empty for the root.
        summary: One line.
        options: ``(name, help, takes a value, is a path)`` of each.
        commands: Names of the commands below.
        files: Whether its arguments are files.
        node: click's own object.
        context: click's context of it, whose parents are the groups above.
    """

    path: tuple[str, ...]
    summary: str
    options: tuple[tuple[str, str, bool, bool], ...]
    commands: tuple[str, ...]
    files: bool
    node: Any
    context: Any


def tree() -> list[Entry]:
    """Every command, the root first, depth first."""
    root = command()
    return list(_walk(root, (), context_of(root)))


def context_of(node: Any, parent: Any = None, name: str = NAME) -> Any:
    """click's context of a command, whose parents are the groups above."""
    return node.context_class(node, info_name=name, parent=parent, terminal_width=100, max_content_width=100)


def _walk(node: Any, path: tuple[str, ...], context: Any) -> Iterator[Entry]:
    names = tuple(node.list_commands(context)) if hasattr(node, "list_commands") else ()
    options = []
    files = False
    for parameter in node.get_params(context):
        if parameter.param_type_name == "argument":
            files = files or "path" in parameter.type.name
            continue
        takes = not parameter.is_flag and not parameter.count
        for name in parameter.opts:
            if name.startswith("--"):
                text = (parameter.help or "").split(";")[0].strip().rstrip(".")
                options.append((name, text, takes, takes and "path" in parameter.type.name))
    summary = COMMANDS[path[0]].summary if len(path) == 1 else node.get_short_help_str(200)
    yield Entry(path, summary, tuple(options), names, files, node, context)
    for name in names:
        below = node.get_command(context, name)
        yield from _walk(below, (*path, name), context_of(below, context, name))


def bash(entries: list[Entry]) -> str:
    """The completion script for bash."""
    cases = []
    for entry in entries:
        words = [*entry.commands, *(option[0] for option in entry.options), *GLOBAL]
        cases.append(f'        "{" ".join(entry.path)}") words="{" ".join(dict.fromkeys(words))}" ;;')
    groups = "|".join(" ".join(entry.path) for entry in entries if entry.path and entry.commands)
    valued = sorted({option[0] for entry in entries for option in entry.options if option[2]})
    tops = "|".join(entries[0].commands)
    return f"""\
# bash completion for {NAME}; generated, do not edit.
_{NAME}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="" path="" word="" words="" index
    [ "$COMP_CWORD" -gt 0 ] && previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    for ((index = 1; index < COMP_CWORD; index++)); do
        word="${{COMP_WORDS[index]}}"
        case "$word" in -*) continue ;; esac
        if [ -z "$path" ]; then
            case "$word" in {tops}) path="$word" ;; esac
        else
            case "$path" in {groups})
                case " $(_{NAME}_words "$path") " in *" $word "*) path="$path $word" ;; esac ;;
            esac
        fi
    done
    case "$previous" in
        --format) COMPREPLY=($(compgen -W "table json junit github prometheus jsonl" -- "$current")); return ;;
        {"|".join(name for name in valued if name != "--format")}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    words="$(_{NAME}_words "$path")"
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [ "${{#COMPREPLY[@]}}" -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}}
_{NAME}_words() {{
    local words=""
    case "$1" in
{chr(10).join(cases)}
    esac
    printf '%s' "$words"
}}
complete -o filenames -F _{NAME} {NAME}
"""


def zsh(entries: list[Entry]) -> str:
    """The completion script for zsh."""
    cases = []
    for entry in entries:
        rows = [
            *(f"{name}:{_zsh(_summary(entries, (*entry.path, name)))}" for name in entry.commands),
            *(f"{name}:{_zsh(text)}" for name, text, _, _ in entry.options),
        ]
        listed = " ".join(f"'{row}'" for row in rows)
        cases.append(f"        '{' '.join(entry.path)}') rows=({listed}) ;;")
    return f"""\
#compdef {NAME}
# zsh completion for {NAME}; generated, do not edit.
_{NAME}() {{
    local path='' word
    local -a rows
    for word in ${{words[2,CURRENT-1]}}; do
        [[ $word == -* ]] && continue
        case "${{path:+$path }}$word" in
            {"|".join(f"'{' '.join(entry.path)}'" for entry in entries if entry.path)}) path="${{path:+$path }}$word" ;;
        esac
    done
    case "$path" in
{chr(10).join(cases)}
    esac
    _describe '{NAME}' rows
    _files
}}
_{NAME} "$@"
"""


def fish(entries: list[Entry]) -> str:
    """The completion script for fish."""
    lines = [f"# fish completion for {NAME}; generated, do not edit.", f"complete -c {NAME} -f"]
    for entry in entries:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in entry.path)
        if entry.commands:
            others = f"not __fish_seen_subcommand_from {' '.join(entry.commands)}"
            where = f"{seen}; and {others}" if seen else others
            lines += [
                f"complete -c {NAME} -n '{where}' -a {name} -d '{_fish(_summary(entries, (*entry.path, name)))}'"
                for name in entry.commands
            ]
        condition = f"-n '{seen}' " if seen else ""
        for name, text, takes, path in entry.options:
            flags = f"-l {name[2:]}{' -r' if takes else ''}{' -F' if path else ''}"
            lines.append(f"complete -c {NAME} {condition}{flags} -d '{_fish(text)}'")
    return "\n".join(lines) + "\n"


def pages(entries: list[Entry]) -> dict[str, str]:
    """A page per top-level command, and the index."""
    made = {}
    index = ["# Commands", "", "Generated from the code; `make docs` renews it.", ""]
    for name, entry in COMMANDS.items():
        index.append(f"- [`{NAME} {name}`]({name}.md): {entry.summary}")
        made[f"{name}.md"] = _page(name, [one for one in entries if one.path[:1] == (name,)])
    index += ["", "```text", EPILOG, "```"]
    made["README.md"] = "\n".join(index) + "\n"
    return made


def _page(name: str, entries: list[Entry]) -> str:
    parts = [f"# {NAME} {name}", ""]
    for entry in entries:
        if len(entry.path) > 1:
            parts += [f"## {NAME} {' '.join(entry.path)}", ""]
        parts += ["```text", _help(entry), "```", ""]
    return "\n".join(parts).rstrip() + "\n"


def _help(entry: Entry) -> str:
    return "\n".join(line.rstrip() for line in entry.node.get_help(entry.context).splitlines())


def _summary(entries: list[Entry], path: tuple[str, ...]) -> str:
    return next(entry.summary for entry in entries if entry.path == path)


def _zsh(text: str) -> str:
    return text.replace("'", "").replace(":", "\\:")


def _fish(text: str) -> str:
    return text.replace("\\", "").replace("'", "")


def write(kind: str, folder: Path) -> list[Path]:
    """Write the completions or the pages.

    Returns:
        The files, in order.
    """
    entries = tree()
    if kind == "completions":
        texts = {f"{NAME}.bash": bash(entries), f"_{NAME}": zsh(entries), f"{NAME}.fish": fish(entries)}
    else:
        texts = pages(entries)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def main(argv: list[str]) -> int:
    """``completions DIR`` or ``docs DIR``."""
    if len(argv) != 2 or argv[0] not in {"completions", "docs"}:
        sys.stderr.write("usage: python -m organismctl.cli.generate completions|docs DIR\n")
        return 64
    for path in write(argv[0], Path(argv[1])):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
