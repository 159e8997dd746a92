"""``organismctl init``: draft organism.toml and deployment.toml; nothing is ever overwritten."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from organismctl.files.drafts import Draft, NodeDraft, SpanDraft
    from organismctl.files.secret import Secret

app = typer.Typer(help="Draft organism.toml and deployment.toml.", rich_markup_mode=None)

EXAMPLES = {
    "upstream": "one node that spans nobody and makes a fact per second",
    "composite": "three nodes and a spare that span two upstreams, each of them beside it",
}
FIRST_PORT = 7101
WRITTEN = ("organism.toml", "deployment.toml", "secrets/admission.key")
_HEX = re.compile(r"[0-9a-f]{64}")
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
        typer.Option("--node", metavar="NAME=URL[#PEER_ID]", help="A committee member's node; repeatable."),
    ] = None,
    spare: Annotated[
        list[str] | None,
        typer.Option("--spare", metavar="NAME=URL[#PEER_ID]", help="A spare node; repeatable."),
    ] = None,
    span: Annotated[
        list[str] | None,
        typer.Option(
            "--span",
            metavar="LABEL=FILE[@URL]",
            help="A spanned member: what its `fingerprint show --as-ref` printed, and a node of it; repeatable.",
        ),
    ] = None,
    acl: Annotated[
        str | None,
        typer.Option(
            "--acl",
            metavar="ISSUER=KEY",
            help="Who admits to the committee: an ed25519 key; else one is made.",
        ),
    ] = None,
    from_peer: Annotated[
        list[str] | None,
        typer.Option(
            "--from-peer",
            metavar="PEERID@HOST:PORT",
            help="Draft from what this mosaik peer tells of its network; what it cannot tell is marked; repeatable.",
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="ID", help="With --from-peer: the committee's group id.")
    ] = None,
    via: Annotated[
        list[str] | None,
        typer.Option(
            "--via", metavar="URL", help="With --from-peer: ask this node API each, where UDP is blocked."
        ),
    ] = None,
) -> None:
    """Draft organism.toml and deployment.toml: from an example, from a live network, from flags, or by asking."""
    from organismctl.cli.output import emit, say
    from organismctl.errors import InputError, UsageError

    if list_examples:
        emit("\n".join(f"{key:<10} {text}" for key, text in EXAMPLES.items()))
        return
    _refuse_overwriting(folder)
    if from_peer:
        if any((example, node, spare, span)):
            raise UsageError(
                "--from-peer finds the nodes itself: no --from-example, --node, --spare, --span with it"
            )
        _from_peer(folder, from_peer, name, network, group, acl, via)
        return
    if group or via:
        raise UsageError("--group and --via go with --from-peer")
    if example is not None:
        if any((name, network, node, spare, span, acl)):
            raise UsageError(
                "--from-example writes its example as it is: no other option goes with it",
                advice="edit the files afterwards, or draft without --from-example",
            )
        if example not in EXAMPLES:
            raise InputError(
                f"no example is called {example[:40]!r}", advice=f"there are: {', '.join(EXAMPLES)}"
            )
        written = _example(folder, example)
    else:
        written = _write(folder, *_draft(name, network, node, spare, span, acl))
    for path in written:
        say(f"wrote {path}")
    _say_next(folder, example)


def _from_peer(
    folder: Path,
    points: list[str],
    name: str | None,
    network: str | None,
    group: str | None,
    acl: str | None,
    via: list[str] | None,
) -> None:
    """Both files from a look at the network; then what a person has still to fill in."""
    from organismctl.cli.from_peer import draft_from, write_wire
    from organismctl.cli.output import say
    from organismctl.errors import UsageError

    if network is None:
        raise UsageError("--from-peer needs --network: the name, or its 64 hex, goes into organism.toml")
    if group is not None and not _HEX.fullmatch(group):
        raise UsageError(f"--group {group[:80]!r} is not 64 hex")
    known = _issuer_key(acl) if acl is not None else None
    drafted = draft_from(points, name=_name(name), network=network, group=group, acl=known, via=via)
    written, missing = write_wire(folder, drafted)
    for path in written:
        say(f"wrote {path}")
    for problem in missing:
        say(f"  to fill in: {problem}")
    say(
        "next: fill in what is marked `# ?`, then organismctl fingerprint show && organismctl check committee"
    )


def _name(name: str | None) -> str:
    """The organism's name; asked when it is not given.

    Raises:
        UsageError: It is none.
    """
    from organismctl.cli.output import ask
    from organismctl.errors import UsageError

    if name is None:
        name = ask("the organism's public name, such as acme.settlement")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is no name", advice="letters, digits, dots, dashes and underscores")
    return name


def _issuer_key(acl: str) -> tuple[str, str]:
    """``ISSUER=KEY``.

    Raises:
        UsageError: It is not of that form.
    """
    from organismctl.errors import UsageError

    issuer, equals, public = acl.partition("=")
    if not equals or not _NAME.fullmatch(issuer) or not _HEX.fullmatch(public):
        raise UsageError(
            f"--acl {acl[:80]!r}", advice="such as --acl acme-admission=64 hex of an ed25519 key"
        )
    return issuer, public


def _say_next(folder: Path, example: str | None) -> None:
    """The next steps, as commands that can be pasted."""
    import shlex

    from organismctl.cli.output import say

    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))}; "
    say(f"next: {where}organismctl committee init && organismctl fingerprint show && organismctl lock init")
    if example == "upstream":
        say("      organismctl committee serve --node node-a --detach")
    if example == "composite":
        say("      for up in upstreams/north upstreams/south; do")
        say("        organismctl committee init --deployment $up/deployment.toml")
        say(
            "        organismctl committee serve --deployment $up/deployment.toml --node node-a --detach; done"
        )
        say(
            "      for node in node-a node-b node-c; do organismctl committee serve --node $node --detach; done"
        )
        say("      for up in north south; do organismctl tickets request --span $up -o $up.request.json")
        say("        organismctl tickets issue --key upstreams/$up/secrets/admission.key \\")
        say("          --request $up.request.json -o $up.bundle.json")
        say("        organismctl tickets import $up.bundle.json; done")
        say("      organismctl tickets install --node node-a --node node-b --node node-c; organismctl status")


def _draft(
    name: str | None,
    network: str | None,
    nodes: list[str] | None,
    spares: list[str] | None,
    spans: list[str] | None,
    acl: str | None,
) -> tuple[Draft, _Key | None]:
    """What the flags say; the rest is asked."""
    from organismctl.cli.output import ask
    from organismctl.errors import UsageError
    from organismctl.files.drafts import Draft, example_nodes

    name = _name(name)
    if network is None:
        network = ask("mosaik's network", "mosaik.universe")
    if not nodes:
        count = ask("how many committee members (an odd number)", "3")
        if not count.isdigit() or not 1 <= int(count) <= 9:
            raise UsageError(f"{count[:20]!r} is no number from 1 to 9")
        chosen = example_nodes("node", int(count), FIRST_PORT)
    else:
        chosen = tuple(_node(text, "--node", roster=True) for text in nodes)
    chosen += tuple(_node(text, "--spare", roster=False) for text in spares or ())
    made = tuple(_span(text) for text in spans or ())
    if acl is None:
        key = _Key.make()
        return Draft(name, network, key.public, chosen, made), key
    issuer, public = _issuer_key(acl)
    return Draft(name, network, public, chosen, made, issuers=(issuer,)), None


def _node(text: str, option: str, *, roster: bool) -> NodeDraft:
    from organismctl.errors import UsageError
    from organismctl.files.deployment_shape import usable_url
    from organismctl.files.drafts import NodeDraft

    name, equals, rest = text.partition("=")
    url, mark, peer_id = rest.partition("#")
    good = equals and _NAME.fullmatch(name) and url.startswith(("http://", "https://")) and usable_url(url)
    if not good or (mark and not _HEX.fullmatch(peer_id)):
        raise UsageError(
            f"{option} {text[:120]!r}",
            advice=f"such as {option} node-a=http://127.0.0.1:7101, or with #PEER_ID (64 hex) behind it",
        )
    return NodeDraft(name, url, roster, peer_id)


def _span(text: str) -> SpanDraft:
    """``LABEL=FILE[@URL]``; the file holds what ``fingerprint show --as-ref`` printed."""
    from organismctl.errors import InputError, UsageError
    from organismctl.files.atomic import read_text
    from organismctl.files.deployment_shape import usable_url
    from organismctl.files.drafts import SpanDraft

    label, equals, rest = text.partition("=")
    file, at, url = rest.partition("@")
    if not equals or not _NAME.fullmatch(label) or not file or (at and not usable_url(url)):
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


class _Key(NamedTuple):
    """A new key that issues admission tickets; on disk only once the drafts are."""

    secret: Secret
    public: str

    @classmethod
    def make(cls) -> _Key:
        import secrets

        from organismctl.files.secret import Secret
        from organismctl.identity.jwt import public_key

        made = secrets.token_bytes(32)
        return cls(Secret(made.hex()), public_key("EdDSA", made).hex())

    def write(self, path: Path) -> None:
        """In the form that `tickets issue --key` reads."""
        import json

        from organismctl.files.secret import create_secret

        create_secret(path, json.dumps({"alg": "EdDSA", "secret": self.secret.reveal()}))


def _refuse_overwriting(folder: Path) -> None:
    """Before anything is made: what is there already stays, and so does the folder as a whole."""
    from organismctl.errors import RefusedError

    # A link that leads nowhere is there too: writing would follow it.
    there = [str(folder / name) for name in WRITTEN if os.path.lexists(folder / name)]
    if there:
        raise RefusedError(
            f"{' and '.join(there)} is there already", advice="init never overwrites; name another folder"
        )


def _write(folder: Path, draft: Draft, key: _Key | None) -> list[Path]:
    """Both files and the key, or none: they are parsed before the first is written."""
    from organismctl.files.atomic import os_errors, write_atomic
    from organismctl.files.deployment import parse_deployment
    from organismctl.files.drafts import draft_deployment, draft_organism
    from organismctl.files.organism import parse_organism

    _refuse_overwriting(folder)
    paths = [folder / "organism.toml", folder / "deployment.toml"]
    texts = [draft_organism(draft), draft_deployment(draft)]
    parse_organism(texts[0], str(paths[0]))
    parse_deployment(texts[1], paths[1])
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        write_atomic(path, text.encode(), 0o644)
    if key is not None:
        key.write(folder / "secrets" / "admission.key")
    return paths


def _example(folder: Path, example: str) -> list[Path]:
    from organismctl.files.drafts import Draft, SpanDraft, draft_organism, example_nodes

    if example == "upstream":
        return _write(folder, *_upstream("example.upstream", 7201))
    written: list[Path] = []
    spans = []
    upstreams = {name: folder / "upstreams" / name for name in ("north", "south")}
    for home in upstreams.values():
        _refuse_overwriting(home)
    for number, (name, home) in enumerate(upstreams.items()):
        port = 7201 + 100 * number
        draft, key = _upstream(f"example.{name}", port)
        written += _write(home, draft, key)
        stanza = _stanza(draft_organism(draft), name) + _issuer(draft)
        spans.append(SpanDraft(name, stanza, f"http://127.0.0.1:{port}"))
    key = _Key.make()
    nodes = example_nodes("node", 3, FIRST_PORT, spares=1)
    draft = Draft("example.settlement", "example.universe", key.public, nodes, tuple(spans), rehearsal=True)
    return [*written, *_write(folder, draft, key)]


def _upstream(name: str, port: int) -> tuple[Draft, _Key]:
    from organismctl.files.drafts import Draft, NodeDraft

    key = _Key.make()
    node = NodeDraft("node-a", f"http://127.0.0.1:{port}")
    return Draft(name, "example.universe", key.public, (node,), rehearsal=True, issuers=(name,)), key


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
