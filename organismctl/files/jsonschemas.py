"""JSON Schemas of the operator's files: ``python -m organismctl.files.jsonschemas docs/schemas``.

They come from the same declarative tables as the loaders. An editor with a TOML language server picks one up
by the first line of the file: ``#:schema PATH``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from organismctl.errors import UsageError
from organismctl.files.atomic import os_errors, write_atomic
from organismctl.files.context_shape import CONTEXTS
from organismctl.files.deployment_shape import DEPLOYMENT
from organismctl.files.lock_shape import LOCK
from organismctl.files.organism_shape import ORGANISM
from organismctl.files.schema import JsonSchema

DOCUMENTS = {"organism": ORGANISM, "deployment": DEPLOYMENT, "lock": LOCK, "contexts": CONTEXTS}
"""File stem to shape."""


def schemas() -> dict[str, JsonSchema]:
    """File name to JSON Schema (2020-12)."""
    out: dict[str, JsonSchema] = {}
    for stem, table in DOCUMENTS.items():
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"organismctl: {stem}"}
        out[f"{stem}.schema.json"] = {**head, **table.schema()}
    return out


def render(schema: JsonSchema) -> str:
    """The text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(argv: list[str]) -> None:
    """Write every schema into a folder.

    Args:
        argv: The folder, alone.

    Raises:
        UsageError: Anything else.
        PathError: The system refused.
    """
    if len(argv) != 1:
        raise UsageError("usage: python -m organismctl.files.jsonschemas FOLDER")
    folder = Path(argv[0])
    with os_errors(folder, "create"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        write_atomic(folder / name, render(schema).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
