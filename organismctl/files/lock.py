"""organism.lock: the accepted identity, written by the tool only.

Two stanzas: ``deployed`` is what runs, ``next`` what a person accepted and a change will deploy. A gate
compares with ``next``, else with ``deployed``, and needs neither network nor secrets: ``group_secret_hash``
is enough to compute the group id (mosaik folds only ``H(secret)``) and useless to who lacks the secret.

This module is on the path of ``fingerprint check`` and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from organismctl.errors import InputError
from organismctl.files.atomic import read_text, write_atomic
from organismctl.files.lock_shape import LOCK
from organismctl.files.schema import Reader

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = "# Written by organismctl. Change it with `organismctl lock accept --reason TEXT`, not by hand.\n"
_GROUP = "group."
_ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"'} | {c: f"\\u{c:04x}" for c in (*range(0x20), 0x7F)}


@dataclass(frozen=True)
class Stanza:
    """One accepted identity.

    Attributes:
        fingerprint: 32 bytes.
        group_id: 32 bytes, or ``None`` with the reason in ``group_id_unknown``.
        fields: Path of each field of the fingerprint to its digest, 32 bytes.
        group_inputs: Name of each input of the group id to its digest, 32 bytes.
        accepted_by: Who accepted it.
        accepted_at: When, with offset; whole seconds, UTC.
        reason: Why.
        announcement: Id of the announcement that told the integrators, or ``None``.
    """

    fingerprint: bytes
    group_id: bytes | None
    accepted_by: str
    accepted_at: datetime
    reason: str
    fields: Mapping[str, bytes]
    group_inputs: Mapping[str, bytes] = field(default_factory=dict)
    group_id_unknown: str | None = None
    announcement: str | None = None

    def field_digests(self) -> dict[str, str]:
        """Path to hex digest, as ``identity.fingerprint.field_digests`` gives them for a config."""
        inputs = {_GROUP + name: digest.hex() for name, digest in self.group_inputs.items()}
        return {path: digest.hex() for path, digest in self.fields.items()} | inputs

    def same_identity(self, other: Stanza) -> bool:
        """Whether both stand for one identity, whoever accepted it."""
        mine = (self.fingerprint, self.group_id, dict(self.fields), dict(self.group_inputs))
        return mine == (other.fingerprint, other.group_id, dict(other.fields), dict(other.group_inputs))


@dataclass(frozen=True)
class LockFile:
    """The whole lock.

    Attributes:
        deployed: What runs, or ``None`` before the first deployment.
        next: What was accepted and does not run yet, or ``None``.
        group_secret_hash: ``H(group secret)``, 32 bytes, or ``None``.
        file: The file's name, for messages.
    """

    deployed: Stanza | None = None
    next: Stanza | None = None
    group_secret_hash: bytes | None = None
    file: str = field(default="organism.lock", compare=False)

    def baseline(self) -> Stanza | None:
        """What a config is compared with: ``next``, else ``deployed``."""
        return self.next or self.deployed

    def accept(self, stanza: Stanza) -> LockFile:
        """The lock with ``stanza`` as what comes next; accepting what runs already drops ``next``."""
        if self.deployed is not None and self.deployed.same_identity(stanza):
            return replace(self, next=None)
        return replace(self, next=stanza)

    def promote(self, fingerprint: bytes | None = None) -> LockFile:
        """The lock after the change that deployed ``next``; the same lock when that has been done already.

        Args:
            fingerprint: What the change deployed; ``None`` takes whatever stands in ``next``.

        Raises:
            InputError: ``next`` is missing or holds another fingerprint.
        """
        if self.next is not None and fingerprint in (None, self.next.fingerprint):
            return replace(self, deployed=self.next, next=None)
        if self.next is None and self.deployed is not None and self.deployed.fingerprint == fingerprint:
            return self
        found = self.next.fingerprint.hex() if self.next else "nothing"
        wanted = fingerprint.hex() if fingerprint else "an accepted identity"
        raise InputError(
            f"{self.file}: next holds {found}, not {wanted}",
            advice="accept the config that was deployed: `organismctl lock accept --reason TEXT`",
        )


def make_stanza(
    *,
    fingerprint: bytes,
    fields: Mapping[str, str],
    group_id: bytes | None,
    accepted_by: str,
    reason: str,
    now: datetime,
    group_id_unknown: str | None = None,
    announcement: str | None = None,
) -> Stanza:
    """A stanza (see :class:`Stanza`) whose texts fit the file: one line each, Unicode form NFC.

    Args:
        fingerprint: 32 bytes.
        fields: What :func:`organismctl.identity.fingerprint.field_digests` gives: path to hex.
        group_id: 32 bytes, or ``None``.
        accepted_by: Who accepts.
        reason: Why; may not be blank.
        now: With an offset.
        group_id_unknown: Why there is no group id; a general reason when not given.
        announcement: Id, or ``None``.

    Raises:
        InputError: There is no reason, or no name.
    """
    if not (said := _one_line(reason)):
        raise InputError("a reason is needed to accept an identity", advice="give one: --reason TEXT")
    if not (who := _one_line(accepted_by)):
        raise InputError("nobody accepts this identity", advice="name the operator in deployment.toml")
    why = _one_line(group_id_unknown or "") or "the group secret was not at hand"
    digests, inputs = _split(fields)
    return Stanza(
        fingerprint=fingerprint,
        group_id=group_id,
        accepted_by=who,
        accepted_at=now.astimezone(UTC).replace(microsecond=0),
        reason=said,
        fields=digests,
        group_inputs=inputs,
        group_id_unknown=None if group_id is not None else why,
        announcement=_one_line(announcement or "") or None,
    )


def _split(digests: Mapping[str, str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Fields of the fingerprint, and inputs of the group id (below ``group.``) by their names."""
    fields: dict[str, bytes] = {}
    inputs: dict[str, bytes] = {}
    for path, digest in digests.items():
        holder = inputs if path.startswith(_GROUP) else fields
        holder[path.removeprefix(_GROUP)] = bytes.fromhex(digest)
    return fields, inputs


def load_lock(path: Path) -> LockFile:
    """Read an organism.lock.

    Raises:
        PathError: The system refused; a missing file is one of the causes.
        InputError: It is not what the tool writes; all problems with their lines.
    """
    return parse_lock(read_text(path), str(path))


def parse_lock(text: str, file: str = "organism.lock") -> LockFile:
    """The lock in a TOML text.

    Raises:
        InputError: It is not what the tool writes; all problems with their lines.
    """
    reader = Reader(file, text)
    values = LOCK.read(reader.parse(), "", reader)
    reader.finish()
    if not isinstance(values, dict):  # the root of a TOML document is always a table
        raise TypeError("the root is no table")
    return LockFile(
        deployed=_stanza(values["deployed"]),
        next=_stanza(values["next"]),
        group_secret_hash=values["group_secret_hash"],
        file=file,
    )


def render_lock(lock: LockFile) -> str:
    """The lock as TOML, the same text for the same lock."""
    lines = [_HEADER + "schema = 1"]
    if lock.group_secret_hash is not None:
        lines.append(f'group_secret_hash = "{lock.group_secret_hash.hex()}"')
    for name, stanza in (("deployed", lock.deployed), ("next", lock.next)):
        if stanza is not None:
            lines += ["", f"[{name}]", *_render_stanza(name, stanza)]
    return "\n".join(lines) + "\n"


def write_lock(path: Path, lock: LockFile) -> None:
    """Write a lock, whole or not at all.

    Raises:
        PathError: The system refused; the old lock is untouched.
        InputError: It could not be read back as it is (a text with control characters); nothing was written.
    """
    text = render_lock(lock)
    if parse_lock(text, str(path)) != lock:
        raise InputError(f"{path}: the lock does not survive writing", advice="report this as a defect")
    write_atomic(path, text.encode())


def _stanza(values: Mapping[str, Any] | None) -> Stanza | None:
    return None if values is None else Stanza(**values)


def _render_stanza(name: str, stanza: Stanza) -> list[str]:
    """The lines below a stanza's header."""
    at = stanza.accepted_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [f'fingerprint = "{stanza.fingerprint.hex()}"']
    if stanza.group_id is not None:
        lines.append(f'group_id = "{stanza.group_id.hex()}"')
    if stanza.group_id_unknown is not None:
        lines.append(f"group_id_unknown = {_text(stanza.group_id_unknown)}")
    lines += [
        f"accepted_by = {_text(stanza.accepted_by)}",
        f"accepted_at = {at}",
        f"reason = {_text(stanza.reason)}",
    ]
    if stanza.announcement is not None:
        lines.append(f"announcement = {_text(stanza.announcement)}")
    for title, digests in (("fields", stanza.fields), ("group_inputs", stanza.group_inputs)):
        lines += ["", f"[{name}.{title}]"]
        lines += [f'{_text(key)} = "{digest.hex()}"' for key, digest in digests.items()]
    return lines


def _text(value: str) -> str:
    """A TOML basic string."""
    return f'"{value.translate(_ESCAPES)}"'


def _one_line(text: str) -> str:
    """Text on one line, without control characters, in Unicode form NFC."""
    words = " ".join(text.split())
    if not words.isascii():
        import unicodedata

        words = unicodedata.normalize("NFC", words)
    return "".join(c for c in words if c.isprintable()).strip()
