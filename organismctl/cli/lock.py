"""``organismctl lock``: the identity that a person has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from organismctl.cli.judging import Organism

if TYPE_CHECKING:
    from organismctl.cli.judging import Subject
    from organismctl.files.lock import LockFile, Stanza

app = typer.Typer(
    help="The accepted identity, organism.lock: what CI compares the config with.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; stands in the lock.")]
Announcement = Annotated[
    str | None, typer.Option("--announcement", metavar="ID", help="The notice that told integrators.")
]


@app.command()
def init(*, reason: Reason = "first lock", organism: Organism = None) -> None:
    """Accept the present identity as the one that is deployed."""
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import emit
    from organismctl.errors import RefusedError
    from organismctl.files.lock import LockFile, write_lock

    subject = load_subject(organism)
    path = subject.context.lock_path
    if subject.lock is not None:
        raise RefusedError(
            f"{path} is there already", advice="`organismctl lock accept --reason TEXT` accepts a change"
        )
    made = (
        LockFile(group_secret_hash=subject.secret_hash).accept(_stanza(subject, None, reason, None)).promote()
    )
    write_lock(path, made)
    assert made.deployed is not None  # noqa: S101 # it was promoted in the line above
    emit(f"{path}: deployed is {_text(made.deployed)}")


@app.command()
def accept(*, reason: Reason, announcement: Announcement = None, organism: Organism = None) -> None:
    """Accept the present identity as the next one; the change that deploys it makes it the deployed one."""
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import emit, say
    from organismctl.errors import InputError
    from organismctl.files.lock import write_lock

    subject = load_subject(organism)
    path = subject.context.lock_path
    if subject.lock is None:
        raise InputError(f"there is no {path}", advice="`organismctl lock init` makes the first one")
    stanza = _stanza(subject, subject.lock, reason, announcement)
    made = _accepted(subject.lock, stanza, subject.secret_hash)
    baseline = subject.lock.baseline()
    known = made.group_secret_hash == subject.lock.group_secret_hash
    if baseline is not None and stanza.same_identity(baseline) and known:
        emit(f"{path}: {_text(stanza)} is accepted already; nothing was written")
        return
    write_lock(path, made)
    emit(f"{path}: {'next' if made.next else 'deployed'} is {_text(stanza)}")
    if (
        subject.lock.deployed is not None
        and stanza.fingerprint != subject.lock.deployed.fingerprint
        and not announcement
    ):
        say(
            "integrators are pinned to the deployed fingerprint: announce this, and name the notice with --announcement"
        )


@app.command()
def show(
    *,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json.")] = "table",
    organism: Organism = None,
) -> None:
    """Show what is accepted: deployed, and next."""
    from organismctl.cli.judging import load_subject
    from organismctl.cli.output import emit, emit_json, table, wants_json
    from organismctl.errors import InputError

    as_json = wants_json(format_)
    subject = load_subject(organism)
    if subject.lock is None:
        raise InputError(
            f"there is no {subject.context.lock_path}", advice="`organismctl lock init` makes the first one"
        )
    stanzas = {"deployed": subject.lock.deployed, "next": subject.lock.next}
    if as_json:
        told = {name: _json(stanza) if stanza else None for name, stanza in stanzas.items()}
        emit_json({"schema": 1, "name": subject.organism.config.name, **told})
        return
    rows = [
        [name, stanza.fingerprint.hex()[:10], stanza.group_id.hex()[:10] if stanza.group_id else "unknown",
         f"{stanza.accepted_at:%Y-%m-%d %H:%MZ}", stanza.accepted_by, stanza.announcement or "-", stanza.reason]
        for name, stanza in stanzas.items()
        if stanza is not None
    ]  # fmt: skip
    emit(table(rows, ["stanza", "fingerprint", "group id", "accepted", "by", "announcement", "reason"]))


def _accepted(lock: LockFile, stanza: Stanza, hashed: bytes | None) -> LockFile:
    """The lock with a stanza accepted, and with the hash of the secret that its group id was made of.

    Without that hash a gate that lacks the secret would go on computing the group id of the old secret. Where
    the deployed stanza merely lacked its group id, that is filled in: nothing moved, so nothing is next.
    """
    from dataclasses import replace

    lock = replace(lock, group_secret_hash=hashed or lock.group_secret_hash)
    deployed = lock.deployed
    if deployed is not None and deployed.group_id is None:
        told = replace(deployed, group_id=stanza.group_id, group_id_unknown=stanza.group_id_unknown)
        if stanza.group_id is not None and told.same_identity(stanza):
            return replace(lock, deployed=stanza, next=None)
    if lock.next is not None and lock.next.same_identity(stanza):
        return lock
    return lock.accept(stanza)


def _stanza(subject: Subject, lock: LockFile | None, reason: str, announcement: str | None) -> Stanza:
    from datetime import UTC, datetime

    from organismctl.errors import InputError
    from organismctl.files.deployment import default_operator
    from organismctl.files.lock import make_stanza
    from organismctl.identity.fingerprint import field_digests, identity_of
    from organismctl.identity.group_id import group_id_of, why_no_group_id

    if subject.identity_unknown is not None:
        raise InputError(f"the identity cannot be made: {subject.identity_unknown}", advice="see [identity]")
    config = subject.organism.config
    identity = subject.identity or identity_of(config)
    hashed = subject.secret_hash or (lock.group_secret_hash if lock else None)
    return make_stanza(
        fingerprint=identity.fingerprint,
        fields=field_digests(config),
        group_id=group_id_of(config, hashed, identity),
        group_id_unknown=why_no_group_id(config, hashed, identity),
        accepted_by=subject.deployment.operator if subject.deployment else default_operator(),
        reason=reason,
        now=datetime.now(UTC).replace(microsecond=0),
        announcement=announcement,
    )


def _text(stanza: Stanza) -> str:
    group = stanza.group_id.hex()[:10] if stanza.group_id else f"unknown ({stanza.group_id_unknown})"
    return f"fingerprint {stanza.fingerprint.hex()[:10]}, group id {group}"


def _json(stanza: Stanza) -> dict[str, Any]:
    return {
        "fingerprint": stanza.fingerprint.hex(),
        "group_id": stanza.group_id.hex() if stanza.group_id else None,
        "group_id_unknown": stanza.group_id_unknown,
        "accepted_by": stanza.accepted_by,
        "accepted_at": stanza.accepted_at.isoformat(),
        "reason": stanza.reason,
        "announcement": stanza.announcement,
        "fields": dict(stanza.field_digests()),
    }
