"""The API against its own OpenAPI document, by schemathesis: a real node answers."""

from __future__ import annotations

import json
import urllib.request
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from organismctl.committee.api.app import make_app
from organismctl.committee.node.node import CommitteeNode
from tests.support.committee import Committee

# What a command may hold depends on its type, which the machine's codec knows and the document does not say.
LEFT_OUT = {"positive_data_acceptance"}
# A followed surface ends with the organism only, and a stopped node answers no more: both have tests of their own.
APART = {"/v1/surfaces/{name}/follow", "/v1/stop"}
DOCUMENT = make_app(cast("CommitteeNode", None)).openapi()
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())
    if operation.path not in APART
}


# What takes no input cannot be given a wrong one.
CASES = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or "{" in name or name.startswith("POST") or operation.query
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_answers_are_as_documented(name: str, mode: GenerationMode, single: Committee) -> None:
    operation = OPERATIONS[name]
    checks = [check for check in CHECKS.get_all() if check.__name__ in LEFT_OUT]

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        case.call_and_validate(
            base_url=single.url("node-a"),
            headers={"Authorization": f"Bearer {single.token()}"},
            excluded_checks=checks,
        )

    run()


def test_the_document_is_openapi_3_1_and_names_every_endpoint(single: Committee) -> None:
    with urllib.request.urlopen(f"{single.url('node-a')}/openapi.json") as response:
        document = json.load(response)
    assert document["openapi"].startswith("3.1")
    contract = {
        "/v1/health", "/v1/surfaces", "/v1/surfaces/{name}/items", "/v1/surfaces/{name}/follow", "/v1/roster",
        "/v1/card", "/v1/status", "/v1/config", "/v1/tickets", "/v1/subscriptions", "/v1/log", "/v1/log/digest",
        "/v1/evidence", "/v1/ledger/append", "/v1/drain", "/v1/step-down", "/v1/retire", "/v1/retire/amend",
        "/v1/retire/cancel", "/v1/changes", "/v1/changes/{change}", "/v1/metrics", "/v1/stop",
        "/v1/wire/catalog",
    }  # fmt: skip
    assert set(document["paths"]) == contract
    opened = {"/v1/health", "/v1/surfaces", "/v1/surfaces/{name}/items", "/v1/surfaces/{name}/follow"}
    opened |= {"/v1/roster", "/v1/card", "/v1/wire/catalog"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == (path not in opened), path
