from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from organismctl.errors import UsageError
from organismctl.report.schema import main, schemas
from organismctl.report.text import json_text

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas())
def test_published_schemas_are_fresh(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (FOLDER / name).read_text() == json_text(schema), (
        "run: python -m organismctl.report.schema docs/schemas"
    )


def test_the_generator_writes_them(tmp_path: Path) -> None:
    main([str(tmp_path / "new")])
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == sorted(schemas())
    with pytest.raises(UsageError):
        main([])
