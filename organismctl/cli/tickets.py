"""``organismctl tickets``: the ordinary renewal, from the request to the new ticket seen on the node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.output import wants_json
from organismctl.exits import Exit

if TYPE_CHECKING:
    from organismctl.files.context import Context
    from organismctl.files.deployment import Deployment, Node
    from organismctl.files.organism import LoadedOrganism
    from organismctl.files.ticket_papers import Issued

app = typer.Typer(
    help="Renew tickets: request them, judge and place what comes back, install it on the nodes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Organism = Annotated[
    str | None,
    typer.Option(
        "--organism", "--deployment", metavar="NAME|PATH", help="A named context, a file or a folder."
    ),
]
Span = Annotated[
    str | None, typer.Option("--span", metavar="NAME", help="The spanned member, as organism.toml calls it.")
]
Committee = Annotated[
    bool, typer.Option("--committee", help="Our own committee, whose members [[acl]] admits.")
]
Spans = Annotated[
    list[str] | None, typer.Option("--span", metavar="NAME", help="Only this spanned member; repeatable.")
]
Nodes = Annotated[
    list[str] | None, typer.Option("--node", metavar="NAME", help="Only this node; repeatable.")
]
Lifetime = Annotated[
    str, typer.Option("--lifetime", metavar="DURATION", help="The wanted lifetime, such as 30d.")
]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead.")]
Format = Annotated[str, typer.Option("--format", help="table or json.")]


@app.command()
def request(
    *,
    span: Span = None,
    committee: Committee = False,
    node: Nodes = None,
    lifetime: Lifetime = "30d",
    output: Output = None,
    organism: Organism = None,
) -> None:
    """Write what to send to the issuer of a spanned member: our nodes' peer ids, never a secret."""
    from organismctl.change.renewal import make_request
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError
    from organismctl.files.exec_identity import identity_here
    from organismctl.files.ticket_papers import render_request

    if committee == (span is not None):
        raise UsageError(
            "give either --span NAME or --committee", advice="organismctl tickets request --help"
        )
    context, loaded, deployment = _open(organism)
    pin = identity_here(loaded.config, context.organism_path.parent).fingerprint
    made = make_request(loaded, deployment, span, node or (), _seconds(lifetime), pin)
    emit(render_request(made).decode(), output)
    side = deployment.span(span) if span is not None else None
    to = f" to {side.contact}" if side is not None and side.contact else ""
    say(f"next: send it{to}, then `organismctl tickets import BUNDLE`")


@app.command()
def show(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Ticket files; else all of ours.")
    ] = None,
    *,
    output_format: Format = "table",
    organism: Organism = None,
) -> None:
    """Show what tickets claim, never the tickets themselves."""
    from organismctl.cli.output import emit, emit_json, table

    rows = _shown_files(files) if files else _shown_ours(organism)
    if wants_json(output_format):
        emit_json({"schema": 1, "tickets": rows})
        return
    head = ["ticket", "kind", "id", "issuer", "holder", "issued", "expires", "problem"]
    cells = [
        [row["subject"], row["kind"], (row["ticket_id"] or "-")[:10], row["issuer"] or "-", (row["holder"] or "-")[:10],
         _time(row["issued_at_s"]), "never" if row["never_expires"] else _time(row["expires_at_s"]),
         row["problem"] or ""]
        for row in rows
    ]  # fmt: skip
    emit(table(cells, head) if cells else "no tickets")


@app.command(name="import")
def import_(
    bundle: Annotated[Path, typer.Argument(help="What came back from the issuer.")],
    *,
    allow_earlier: Annotated[
        bool, typer.Option("--allow-earlier", help="Take tickets that end earlier than the present ones.")
    ] = False,
    organism: Organism = None,
) -> None:
    """Judge what comes back as the spanned member would, then place it; all of it or nothing."""
    import time

    from organismctl.change.renewal import judge_bundle, place
    from organismctl.cli.output import emit, say, table
    from organismctl.files.ticket_papers import load_bundle

    _, loaded, deployment = _open(organism)
    renewed = judge_bundle(
        loaded.config, deployment, load_bundle(bundle), int(time.time()), allow_earlier=allow_earlier
    )
    place(deployment, renewed)
    rows = [
        [one.node.name, one.span.name, one.file, _time(one.old_horizon_s), _time(one.verdict.horizon_s)]
        for one in renewed
    ]
    emit(table(rows, ["node", "spanned member", "file", "old horizon", "new horizon"]))
    if any(one.admission and one.file not in one.node.tickets for one in renewed):
        say(
            "next: start each node on mosaik; one that runs takes its first ticket as soon as deployment.toml on its "
            "host names it"
        )
    elif all(one.admission for one in renewed):
        say("next: nothing; nodes on mosaik take their tickets for our own committee from these files")
    else:
        say("next: organismctl tickets install")


@app.command()
def install(
    *,
    span: Spans = None,
    node: Nodes = None,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Until each is seen on its node.")
    ] = "30s",
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave the older tickets beside the new ones.")
    ] = False,
    organism: Organism = None,
) -> None:
    """Send the ticket files to their nodes, and wait until each node shows its ticket as admitted."""
    import time

    from organismctl.change import renewal
    from organismctl.cli.output import emit
    from organismctl.exits import worst

    _, loaded, deployment = _open(organism)
    codes, deadline_s = [Exit.OK], _seconds(wait)
    pairs = list(renewal.files_to_install(loaded.config, deployment, span or (), node or ()))
    if not pairs:
        emit("no ticket files to install")
    now_s = int(time.time())
    ahead = [
        renewal.is_ahead(loaded.config, name, place.peer_id, ticket, now_s) for place, name, ticket in pairs
    ]
    # Two roots coexist until the cut-over: neither's ticket may drive the other's out.
    beside = {(place.name, name) for (place, name, _), early in zip(pairs, ahead, strict=True) if early}
    for (place, name, ticket), early in zip(pairs, ahead, strict=True):
        replace = not keep_old and (place.name, name) not in beside
        # A spare that is off, and was not asked for by its name, holds nothing up.
        may_be_off = not place.roster and not node
        codes.append(
            _sent(deployment, place, name, ticket, deadline_s, replace=replace, ahead=early, may_be_off=may_be_off)
        )  # fmt: skip
    raise typer.Exit(worst(codes))


def _sent(
    deployment: Deployment,
    place: Node,
    span: str,
    ticket: Issued,
    deadline_s: float,
    *,
    replace: bool,
    ahead: bool,
    may_be_off: bool,
) -> Exit:
    """Install one ticket, and say how that ended."""
    from organismctl.change import renewal
    from organismctl.cli.output import emit, progress
    from organismctl.errors import OrganismError, UnreachableError

    pair = f"{place.name} × {span}"
    with progress(pair) as told:
        try:
            with _client(deployment, place) as client:
                renewal.install(
                    client, span, ticket, deadline_s=deadline_s, replace=replace, ahead=ahead, waiting=told.seconds
                )  # fmt: skip
        except OrganismError as error:
            if isinstance(error, UnreachableError) and may_be_off:
                emit(f"{pair}: off, a spare: it reads the file when it starts")
                return Exit.OK
            emit(f"{pair}: not installed: {error.message}")
            return error.exit
        emit(f"{pair}: seen on the node" + ("; it admits from their cut-over on" if ahead else ""))
        return Exit.OK


@app.command()
def issue(
    *,
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="The issuer's private key (made by --new-key).")
    ],
    request_file: Annotated[
        Path | None, typer.Option("--request", metavar="FILE", help="The request to answer.")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make the key, and print its [[span.issuer]].")
    ] = False,
    alg: Annotated[str, typer.Option("--alg", help="For --new-key: EdDSA, ES256, ES384 or ES512.")] = "EdDSA",
    issuer: Annotated[
        str | None, typer.Option("--issuer", help="iss; default: the first that is accepted.")
    ] = None,
    lifetime: Annotated[str | None, typer.Option("--lifetime", help="Instead of the wanted one.")] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the bundle goes.")
    ] = Path("bundle.json"),
) -> None:
    """A small issuer, for rehearsal and tests: real spanned members issue their own tickets."""
    from organismctl.change.issuing import answer, make_key
    from organismctl.cli.output import emit, say
    from organismctl.errors import UsageError

    if new_key == (request_file is not None):
        raise UsageError("give either --new-key or --request FILE", advice="organismctl tickets issue --help")
    if request_file is None:
        emit(make_key(key, alg, issuer))
        return
    made = answer(
        key, request_file, output, issuer=issuer, lifetime_s=_seconds(lifetime) if lifetime else None
    )
    say(
        f"{made.count} ticket(s) for {made.span}, until {_time(made.until_s)}, in {output} (rehearsal issuer)"
    )


def _shown_files(files: list[Path]) -> list[dict[str, Any]]:
    from organismctl.files.atomic import read_bounded
    from organismctl.files.ticket_papers import load_bundle

    rows = []
    for path in files:
        raw = read_bounded(path, 4 << 20)
        if raw.lstrip().startswith(b"{"):
            bundle = load_bundle(path)
            rows += [_row(f"{path} {one.peer_id.hex()[:10]}", one.data) for one in bundle.tickets]
        else:
            rows.append(_row(str(path), raw))
    return rows


def _shown_ours(organism: str | None) -> list[dict[str, Any]]:
    from organismctl.errors import OrganismError
    from organismctl.files.atomic import read_bounded
    from organismctl.observe.ticket_files import MAX_TICKET

    _, _, deployment = _open(organism)
    rows = []
    for side in deployment.spans:
        for one in side.tickets:
            subject = f"{one.node} × {side.name}"
            try:
                rows.append(_row(subject, read_bounded(deployment.resolve(one.file), MAX_TICKET)))
            except OrganismError as error:
                rows.append(_blank(subject) | {"problem": error.message})
    return rows


def _blank(subject: str) -> dict[str, Any]:
    return {
        "subject": subject, "ticket_id": None, "kind": "jwt", "issuer": None, "holder": None,
        "issued_at_s": None, "expires_at_s": None, "not_before_s": None, "never_expires": False, "problem": None,
    }  # fmt: skip


def _row(subject: str, raw: bytes) -> dict[str, Any]:
    from organismctl.identity.validator import JWT_CLASS
    from organismctl.observe.ticket_files import ticket_bytes, ticket_value

    value = ticket_value(raw)
    is_jwt = value["class"] == JWT_CLASS.hex()
    row = _blank(subject) | {"ticket_id": value["ticket_id"], "kind": "jwt" if is_jwt else "tdx"}
    try:
        row |= _jwt_row(ticket_bytes(raw)) if is_jwt else _tdx_row(raw)
    except ValueError as error:
        row["problem"] = str(error)
    return row


def _jwt_row(data: bytes) -> dict[str, Any]:
    from organismctl.identity.jwt import inspect_jwt

    claims = inspect_jwt(data).registered
    return {
        "issuer": claims.get("iss"),
        "holder": claims.get("sub"),
        "issued_at_s": claims.get("iat"),
        "not_before_s": claims.get("nbf"),
        "expires_at_s": claims.get("exp"),
        "never_expires": "exp" not in claims,
    }


def _tdx_row(data: bytes) -> dict[str, Any]:
    from organismctl.identity.tdx import decode_tdx

    ticket = decode_tdx(data)
    return {
        "holder": ticket.peer_id.hex(),
        "issued_at_s": ticket.quoted_at_s,
        "expires_at_s": ticket.expires_at_s,
        "never_expires": ticket.expires_at_s is None,
    }


def _open(organism: str | None) -> tuple[Context, LoadedOrganism, Deployment]:
    import os

    from organismctl.errors import InputError
    from organismctl.files.context import resolve_context
    from organismctl.files.deployment import load_deployment
    from organismctl.files.organism import load_organism

    context = resolve_context(organism, env=os.environ, cwd=Path.cwd())
    if context.deployment_path is None:
        raise InputError(
            "there is no deployment.toml beside organism.toml", advice="`organismctl init` drafts one"
        )
    return context, load_organism(context.organism_path), load_deployment(context.deployment_path)


def _client(deployment: Deployment, node: Any) -> Any:
    from organismctl.committee.client import NodeClient
    from organismctl.errors import InputError
    from organismctl.files.credentials import secret_file
    from organismctl.files.secret import read_secret

    if node.url is None:
        raise InputError(
            f"{node.name} has no url in deployment.toml", advice="tickets are installed over the node API"
        )
    token = secret_file(deployment, "operate_token")
    if token is None:
        raise InputError(
            "deployment.toml names no secrets.operate_token",
            advice="installing tickets needs the operate scope",
        )
    ca = str(deployment.resolve(node.ca)) if node.ca else None
    return NodeClient(
        node.url, token=read_secret(token).reveal(), ca=ca,
        timeout=deployment.thresholds.probe_timeout_ms / 1000,
    )  # fmt: skip


def _seconds(text: str) -> int:
    from organismctl.errors import UsageError
    from organismctl.identity.durations import parse_duration

    try:
        seconds = parse_duration(text) // 1000
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no duration", advice=f"allowed: {error}") from error
    if seconds < 1:
        raise UsageError(f"{text[:40]!r} is shorter than a second")
    return seconds


def _time(seconds: int | None) -> str:
    from datetime import UTC, datetime

    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")
    except (OverflowError, ValueError, OSError):
        return "out of range"
