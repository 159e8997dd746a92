"""``organismctl init``: draft organism.toml and deployment.toml; nothing is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from organismctl.files.drafts import Draft, NodeDraft, SpanDraft

app = typer.Typer(help="Draft organism.toml and deployment.toml.", rich_markup_mode=None)

EXAMPLES = {
    "upstream": "one node that spans nobody and makes a fact per second",
    "composite": "three nodes and a spare that span two upstreams, each of them beside it",
}
FIRST_PORT = 7101
WRITTEN = ("organism.toml", "deployment.toml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where the files go; made when missing.")
    ] = Path(),
    *,
    example: Annotated[
        str | None,
        typer.Option("--from-example", metavar="NAME", help="Write a whole example that runs here."),
    ] = None,
    list_examples: Annotated[
        bool, typer.Option("--list-examples", help="List the examples and stop.")
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="The organism's public name.")] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="mosaik's network: text or 64 hex.")
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option("--node", metavar="NAME=URL", help="A committee member's node; repeatable."),
    ] = None,
    spare: Annotated[
        list[str] | None, typer.Option("--spare", metavar="NAME=URL", help="A spare node; repeatable.")
    ] = None,
    span: Annotated[
        list[str] | None,
        typer.Option(
            "--span",
            metavar="LABEL=FILE[@URL]",
            help="A spanned member: what its `fingerprint show --as-ref` printed, and a node of it; repeatable.",
        ),
    ] = None,
) -> None:
    """Draft organism.toml and deployment.toml: from an example, from flags, or by asking."""
    from organismctl.cli.output import emit, say
    from organismctl.errors import InputError

    if list_examples:
        emit("\n".join(f"{key:<10} {text}" for key, text in EXAMPLES.items()))
        return
    _refuse_overwriting(folder)
    if example is not None:
        if example not in EXAMPLES:
            raise InputError(
                f"no example is called {example[:40]!r}", advice=f"there are: {', '.join(EXAMPLES)}"
            )
        written = _example(folder, example)
    else:
        draft = _draft(folder, name, network, node, spare, span)
        written = _write(folder, draft)
    for path in written:
        say(f"wrote {path}")
    where = "" if folder == Path() else f"cd {folder}; "
    say(f"next: {where}organismctl committee init && organismctl fingerprint show && organismctl lock init")
    if example == "composite":
        say(
            "      likewise `committee init` in upstreams/north and upstreams/south; then `committee serve --detach`"
        )


def _draft(
    folder: Path,
    name: str | None,
    network: str | None,
    nodes: list[str] | None,
    spares: list[str] | None,
    spans: list[str] | None,
) -> Draft:
    from organismctl.cli.output import ask
    from organismctl.errors import UsageError
    from organismctl.files.drafts import Draft, NodeDraft, example_nodes

    if name is None:
        name = ask("the organism's public name, such as acme.settlement")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is no name", advice="letters, digits, dots, dashes and underscores")
    if network is None:
        network = ask("mosaik's network", "mosaik.universe")
    if not nodes:
        count = ask("how many committee members (an odd number)", "3")
        if not count.isdigit() or not 1 <= int(count) <= 9:
            raise UsageError(f"{count[:20]!r} is no number from 1 to 9")
        chosen = example_nodes("node", int(count), FIRST_PORT)
    else:
        chosen = tuple(NodeDraft(*_pair(text, "--node")) for text in nodes)
    chosen += tuple(NodeDraft(*_pair(text, "--spare"), roster=False) for text in spares or ())
    return Draft(name, network, _admission_key(folder), chosen, tuple(_span(text) for text in spans or ()))


def _pair(text: str, option: str) -> tuple[str, str]:
    from organismctl.errors import UsageError

    name, equals, url = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not url.startswith(("http://", "https://")):
        raise UsageError(f"{option} {text[:80]!r}", advice=f"such as {option} node-a=http://127.0.0.1:7101")
    return name, url


def _span(text: str) -> SpanDraft:
    """``LABEL=FILE[@URL]``; the file holds what ``fingerprint show --as-ref`` printed."""
    from organismctl.errors import InputError, UsageError
    from organismctl.files.atomic import read_text
    from organismctl.files.drafts import SpanDraft

    label, equals, rest = text.partition("=")
    file, _, url = rest.partition("@")
    if not equals or not _NAME.fullmatch(label) or not file:
        raise UsageError(
            f"--span {text[:80]!r}", advice="such as --span north=north.ref.txt@http://127.0.0.1:7201"
        )
    printed = read_text(Path(file))
    start = printed.find("[[span]]")
    if start < 0:
        raise InputError(
            f"{file} holds no [[span]]", advice="`organismctl fingerprint show --as-ref -o FILE` writes it"
        )
    return SpanDraft(label, relabel(printed[start:], label), url)


def relabel(stanza: str, label: str) -> str:
    """A ``[[span]]`` stanza under our own label."""
    return re.sub(r'^name = ".*"$', f'name = "{label}"', stanza, count=1, flags=re.MULTILINE)


def _admission_key(folder: Path) -> str:
    """A key for issuing admission tickets, made once; its public half goes into the acl."""
    import json
    import secrets

    from organismctl.files.secret import create_secret, read_secret
    from organismctl.identity.jwt import public_key

    path = folder / "secrets" / "admission.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_secret(path, json.dumps({"alg": "EdDSA", "secret": secrets.token_hex(32)}))
    return public_key("EdDSA", bytes.fromhex(json.loads(read_secret(path).reveal())["secret"])).hex()


def _refuse_overwriting(folder: Path) -> None:
    """Before anything is made: what is there already stays, and so does the folder as a whole."""
    from organismctl.errors import RefusedError

    there = [str(folder / name) for name in WRITTEN if (folder / name).exists()]
    if there:
        raise RefusedError(
            f"{' and '.join(there)} is there already", advice="init never overwrites; name another folder"
        )


def _write(folder: Path, draft: Draft) -> list[Path]:
    """Both files, or none: they are parsed before the first is written."""
    from organismctl.files.atomic import os_errors, write_atomic
    from organismctl.files.deployment import parse_deployment
    from organismctl.files.drafts import draft_deployment, draft_organism
    from organismctl.files.organism import parse_organism

    _refuse_overwriting(folder)
    paths = [folder / name for name in WRITTEN]
    texts = [draft_organism(draft), draft_deployment(draft)]
    parse_organism(texts[0], str(paths[0]))
    parse_deployment(texts[1], paths[1])
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        write_atomic(path, text.encode(), 0o644)
    return paths


def _example(folder: Path, example: str) -> list[Path]:
    from organismctl.files.drafts import Draft, SpanDraft, draft_organism, example_nodes

    if example == "upstream":
        return _write(folder, _upstream(folder, "example.upstream", 7201))
    written: list[Path] = []
    spans = []
    upstreams = {name: folder / "upstreams" / name for name in ("north", "south")}
    for home in upstreams.values():
        _refuse_overwriting(home)
    for number, (name, home) in enumerate(upstreams.items()):
        port = 7201 + 100 * number
        draft = _upstream(home, f"example.{name}", port)
        written += _write(home, draft)
        stanza = _stanza(draft_organism(draft), name) + _issuer(draft)
        spans.append(SpanDraft(name, stanza, f"http://127.0.0.1:{port}"))
    draft = Draft(
        "example.settlement", "example.universe", _admission_key(folder),
        example_nodes("node", 3, FIRST_PORT, spares=1), tuple(spans), rehearsal=True,
    )  # fmt: skip
    return [*written, *_write(folder, draft)]


def _upstream(folder: Path, name: str, port: int) -> Draft:
    from organismctl.files.drafts import Draft

    return Draft(
        name, "example.universe", _admission_key(folder), (_one_node(port),), rehearsal=True, issuers=(name,)
    )


def _one_node(port: int) -> NodeDraft:
    from organismctl.files.drafts import NodeDraft

    return NodeDraft("node-a", f"http://127.0.0.1:{port}")


def _stanza(text: str, label: str) -> str:
    from organismctl.files.organism import parse_organism
    from organismctl.identity.fingerprint import identity_of
    from organismctl.identity.reference import OrganismRef, span_stanza

    config = parse_organism(text).config
    identity = identity_of(config)
    ref = OrganismRef("organism", config.name, identity.stable_id or b"", identity.fingerprint)
    surfaces = tuple((name, "stream", surface) for name, surface in identity.surface_ids.items())
    return relabel(span_stanza(ref, surfaces), label)


def _issuer(draft: Draft) -> str:
    """Whose tickets our nodes need there: the upstream admits by its own acl."""
    names = ", ".join(f'"{name}"' for name in draft.issuers)
    return (
        f'[[span.issuer]]\nstate = "current"\ntype = "jwt"\nissuers = [{names}]\n'
        f'keys = [{{ alg = "EdDSA", key = "{draft.acl_key}" }}]\n'
    )
