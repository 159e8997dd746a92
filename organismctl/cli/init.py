"""``organismctl init``: draft organism.toml and deployment.toml; nothing is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from organismctl.cli.init_writing import AdmissionKey
    from organismctl.files.drafts import Draft, NodeDraft, SpanDraft

app = typer.Typer(help="Draft organism.toml and deployment.toml.", rich_markup_mode=None)

EXAMPLES = {
    "upstream": "one node that spans nobody and makes a fact per second",
    "composite": "three nodes and a spare that span two upstreams, each of them beside it",
}
_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


Name = Annotated[str | None, typer.Option("--name", help="The organism's public name.")]
Network = Annotated[str | None, typer.Option("--network", help="mosaik's network: text or 64 hex.")]
NodeOptions = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="NAME=URL[#PEER_ID]", help="A committee member's node; repeatable."),
]
SpareOptions = Annotated[
    list[str] | None,
    typer.Option("--spare", metavar="NAME=URL[#PEER_ID]", help="A spare node; repeatable."),
]
SpanOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--span",
        metavar="LABEL=FILE[@URL]",
        help="A spanned member: what its `fingerprint show --as-ref` printed, and a node of it; repeatable.",
    ),
]
Acl = Annotated[
    str | None,
    typer.Option(
        "--acl",
        metavar="ISSUER=KEY",
        help="Who admits to the committee: an ed25519 key; else one is made.",
    ),
]
FromPeer = Annotated[
    list[str] | None,
    typer.Option(
        "--from-peer",
        metavar="PEERID@HOST:PORT",
        help="Draft from what this mosaik peer tells of its network; what it cannot tell is marked; repeatable.",
    ),
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="ID", help="With --from-peer: the committee's group id.")
]
Via = Annotated[
    list[str] | None,
    typer.Option(
        "--via", metavar="URL", help="With --from-peer: ask this node API each, where UDP is blocked."
    ),
]


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
    first_port: Annotated[
        int | None,
        typer.Option(
            "--first-port",
            min=1024,
            max=65000,
            help="With --from-example: its nodes' ports are this one and those behind it; default: 7101.",
        ),
    ] = None,
    name: Name = None,
    network: Network = None,
    node: NodeOptions = None,
    spare: SpareOptions = None,
    span: SpanOptions = None,
    acl: Acl = None,
    from_peer: FromPeer = None,
    group: Group = None,
    via: Via = None,
) -> None:
    """Draft organism.toml and deployment.toml: from an example, from a live network, from flags, or by asking."""
    from organismctl.cli.init_writing import refuse_overwriting, write_drafts, write_example
    from organismctl.cli.output import emit
    from organismctl.errors import UsageError

    if list_examples:
        emit("\n".join(f"{key:<10} {text}" for key, text in EXAMPLES.items()))
        return
    if first_port is not None and example is None:
        raise UsageError("--first-port goes with --from-example; else --node names each port")
    refuse_overwriting(folder)
    flags = (name, network, node, spare, span, acl)
    if from_peer:
        _only_from_peer(example, node, spare, span)
        _from_peer(folder, from_peer, name, network, group, acl, via)
    elif example is not None:
        _only_example(example, flags, group, via)
        _tell(write_example(folder, example, first_port), folder, example)
    else:
        _no_peer(group, via)
        _tell(write_drafts(folder, *_draft(*flags)), folder, None)


def _only_from_peer(*others: object) -> None:
    from organismctl.errors import UsageError

    if any(others):
        raise UsageError(
            "--from-peer finds the nodes itself: no --from-example, --node, --spare, --span with it"
        )


def _no_peer(group: str | None, via: list[str] | None) -> None:
    from organismctl.errors import UsageError

    if group or via:
        raise UsageError("--group and --via go with --from-peer")


def _only_example(example: str, flags: tuple[object, ...], group: str | None, via: list[str] | None) -> None:
    from organismctl.errors import InputError, UsageError

    _no_peer(group, via)
    if any(flags):
        raise UsageError(
            "--from-example writes its example as it is: no other option goes with it",
            advice="edit the files afterwards, or draft without --from-example",
        )
    if example not in EXAMPLES:
        raise InputError(f"no example is called {example[:40]!r}", advice=f"there are: {', '.join(EXAMPLES)}")


def _tell(written: list[Path], folder: Path, example: str | None) -> None:
    from organismctl.cli.output import say

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
        name = ask("the organism's public name, such as acme.settlement", option="--name")
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
        say("        organismctl committee start --organism $up; done")
        say("      organismctl committee start")
        say("      for up in north south; do organismctl tickets request --span $up -o $up.request.json")
        say("        organismctl tickets issue --key upstreams/$up/secrets/admission.key \\")
        say("          --request $up.request.json -o $up.bundle.json")
        say("        organismctl tickets import $up.bundle.json; done")
        say("      organismctl tickets install; organismctl status")


def _draft(
    name: str | None,
    network: str | None,
    nodes: list[str] | None,
    spares: list[str] | None,
    spans: list[str] | None,
    acl: str | None,
) -> tuple[Draft, AdmissionKey | None]:
    """What the flags say; the rest is asked."""
    from organismctl.cli.init_writing import FIRST_PORT, AdmissionKey
    from organismctl.cli.output import ask
    from organismctl.errors import UsageError
    from organismctl.files.drafts import Draft, example_nodes

    name = _name(name)
    if network is None:
        network = ask("mosaik's network", "mosaik.universe", option="--network")
    if not nodes:
        count = ask("how many committee members (an odd number)", "3", option="--node, once for each")
        if not count.isdigit() or not 1 <= int(count) <= 9:
            raise UsageError(f"{count[:20]!r} is no number from 1 to 9")
        chosen = example_nodes("node", int(count), FIRST_PORT)
    else:
        chosen = tuple(_node(text, "--node", roster=True) for text in nodes)
    chosen += tuple(_node(text, "--spare", roster=False) for text in spares or ())
    made = tuple(_span(text) for text in spans or ())
    if acl is None:
        key = AdmissionKey.make()
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
    from organismctl.cli.init_writing import relabel
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
