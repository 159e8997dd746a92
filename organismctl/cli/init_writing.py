"""What ``init`` writes: both files and the admission key, all or none; and the examples that run as they are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from organismctl.files.drafts import Draft
    from organismctl.files.secret import Secret

FIRST_PORT = 7101
WRITTEN = ("organism.toml", "deployment.toml", "secrets/admission.key")


def relabel(stanza: str, label: str) -> str:
    """A ``[[span]]`` stanza under our own label."""
    return re.sub(r'^name = ".*"$', f'name = "{label}"', stanza, count=1, flags=re.MULTILINE)


class AdmissionKey(NamedTuple):
    """A new key that issues admission tickets; on disk only once the drafts are."""

    secret: Secret
    public: str

    @classmethod
    def make(cls) -> AdmissionKey:
        """A fresh one."""
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


def refuse_overwriting(folder: Path) -> None:
    """Before anything is made: what is there already stays, and so does the folder as a whole."""
    from organismctl.errors import RefusedError

    # A link that leads nowhere is there too: writing would follow it.
    there = [str(folder / name) for name in WRITTEN if os.path.lexists(folder / name)]
    if there:
        raise RefusedError(
            f"{' and '.join(there)} is there already", advice="init never overwrites; name another folder"
        )


def write_drafts(folder: Path, draft: Draft, key: AdmissionKey | None) -> list[Path]:
    """Both files and the key, or none: they are parsed before the first is written."""
    from organismctl.files.atomic import os_errors, write_atomic
    from organismctl.files.deployment import parse_deployment
    from organismctl.files.drafts import draft_deployment, draft_organism
    from organismctl.files.organism import parse_organism

    refuse_overwriting(folder)
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


def write_example(folder: Path, example: str, first_port: int | None = None) -> list[Path]:
    """An example's files, its upstreams' beside them; what was written, in order."""
    from organismctl.files.drafts import Draft, SpanDraft, draft_organism, example_nodes

    first = first_port or FIRST_PORT
    if example == "upstream":
        return write_drafts(folder, *_upstream("example.upstream", first_port or FIRST_PORT + 100))
    written: list[Path] = []
    spans = []
    upstreams = {name: folder / "upstreams" / name for name in ("north", "south")}
    for home in upstreams.values():
        refuse_overwriting(home)
    for number, (name, home) in enumerate(upstreams.items()):
        port = first + 100 + 100 * number
        draft, key = _upstream(f"example.{name}", port)
        written += write_drafts(home, draft, key)
        stanza = _stanza(draft_organism(draft), name) + _issuer(draft)
        spans.append(SpanDraft(name, stanza, f"http://127.0.0.1:{port}"))
    key = AdmissionKey.make()
    nodes = example_nodes("node", 3, first, spares=1)
    draft = Draft("example.settlement", "example.universe", key.public, nodes, tuple(spans), rehearsal=True)
    return [*written, *write_drafts(folder, draft, key)]


def _upstream(name: str, port: int) -> tuple[Draft, AdmissionKey]:
    from organismctl.files.drafts import Draft, NodeDraft

    key = AdmissionKey.make()
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
