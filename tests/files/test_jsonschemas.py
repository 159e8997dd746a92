"""The published schemas are fresh, and agree with the loaders on the published examples."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from organismctl.files.jsonschemas import main, render, schemas
from organismctl.files.lock import load_lock, render_lock
from organismctl.files.organism import parse_organism
from organismctl.identity.fingerprint import field_digests, fingerprint
from organismctl.identity.group_id import group_id_of

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {
    "organism.toml": "organism.schema.json",
    "deployment.toml": "deployment.schema.json",
    "organism.lock": "lock.schema.json",
    "contexts.toml": "contexts.schema.json",
}


def as_json(value: Any) -> Any:
    """TOML's values as an editor's language server shows them to a schema."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("name", sorted(schemas()))
def test_published_schema_is_fresh(name: str) -> None:
    published = (DOCS / "schemas" / name).read_text()
    assert published == render(schemas()[name]), "run `make docs`"
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_example_is_valid_and_names_its_schema(example: str) -> None:
    path = DOCS / "formats" / example
    text = path.read_text()
    jsonschema.validate(as_json(tomllib.loads(text)), schemas()[EXAMPLES[example]])
    if example != "organism.lock":  # the tool's own file is not edited by hand
        directive = text.splitlines()[0].removeprefix("#:schema ")
        assert (path.parent / directive).resolve() == DOCS / "schemas" / EXAMPLES[example]


def test_schema_refuses_what_the_loader_refuses() -> None:
    text = (DOCS / "formats" / "organism.toml").read_text()
    schema = schemas()["organism.schema.json"]
    for old, new in (
        ('kind = "lattice"', 'kind = "x"'),
        ('name = "acme.settlement"', "name = 1"),
        ("[genesis]", "[genesys]"),
        ('stable_id = "70', 'stable_id = "0'),
        ('heartbeat = "500ms"', 'heartbeat = "half a second"'),
    ):
        assert old in text
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(as_json(tomllib.loads(text.replace(old, new, 1))), schema)


def test_lock_example_is_what_the_tool_writes() -> None:
    path = DOCS / "formats" / "organism.lock"
    assert render_lock(load_lock(path)) == path.read_text()


def test_module_writes_all(tmp_path: Path) -> None:
    main([str(tmp_path / "new")])
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(schemas())


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys, organismctl.files.organism, organismctl.files.lock\n"
        "heavy = {'tomlkit', 'pydantic', 'rich', 'typer', 'httpx2', 'cryptography', 'pathlib', 'urllib.parse',"
        " 'asyncio', 'difflib', 'tempfile', 'organismctl.files.locate', 'organismctl.files.deployment'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_lock_example_is_the_identity_of_the_organism_example() -> None:
    """``deployed`` is organism.toml as published; ``next`` is the same with tickets of 60 days."""
    text = (DOCS / "formats" / "organism.toml").read_text()
    coming = text.replace('max_lifetime = "30d"', 'max_lifetime = "60d"')
    lock = load_lock(DOCS / "formats" / "organism.lock")
    assert lock.group_secret_hash is not None
    for stanza, config_text in ((lock.deployed, text), (lock.next, coming)):
        config = parse_organism(config_text).config
        assert stanza is not None
        assert stanza.fingerprint == fingerprint(config)
        assert stanza.group_id == group_id_of(config, lock.group_secret_hash)
        assert stanza.field_digests() == field_digests(config)
