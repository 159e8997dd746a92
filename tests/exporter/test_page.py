"""The exposition: both formats parse, agree, and go away with the sweep that they are of."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from organismctl.exporter.page import OPENMETRICS, TEXT, Page, chosen_type, stale_page
from organismctl.exporter.samples import Sample
from organismctl.exporter.series import BY_NAME, SERIES, page
from tests.support.prometheus import tool

ROOT = Path(__file__).parents[2]
NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


def samples_of(body: bytes, openmetrics: bool) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parse = parse_openmetrics if openmetrics else parse_text
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in parse(body.decode())
        for one in family.samples
    }


def one_of_each() -> list[Sample]:
    return [Sample(one.name, tuple("x" for _ in one.labels), 1.5) for one in SERIES if one.type != "info"]


def test_every_series_of_the_table_is_told_in_both_formats() -> None:
    made = Page("acme", one_of_each(), 0)
    text, openmetrics = samples_of(made.body(TEXT), False), samples_of(made.body(OPENMETRICS), True)
    assert text == openmetrics
    assert {name for name, _ in text} == {one.name for one in SERIES if one.type != "info"}
    assert made.body(OPENMETRICS).endswith(b"# EOF\n")


def test_promtool_has_nothing_to_say_about_the_names() -> None:
    body = Page("acme", one_of_each(), 0).body(TEXT)
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@given(NAMES, st.dictionaries(st.tuples(NAMES, NAMES, NAMES), st.floats(allow_nan=False), max_size=6))
def test_whatever_the_names_both_formats_parse_and_agree(
    organism: str, pairs: dict[tuple[str, str, str], float]
) -> None:
    made = Page(
        organism, [Sample("organism_span_lag_seconds", key, value) for key, value in pairs.items()], 0
    )
    text = samples_of(made.body(TEXT), False)
    assert text == samples_of(made.body(OPENMETRICS), True)
    assert sorted(text.values()) == sorted(pairs.values())


def test_never_and_not_admitted_are_numbers() -> None:
    name = "organism_ticket_horizon_timestamp_seconds"
    made = Page("acme", [Sample(name, ("a", "beta"), math.inf), Sample(name, ("b", "beta"), 0)], 0)
    assert b'node="a",organism="acme",span="beta"} +Inf' in made.body(TEXT)
    assert sorted(samples_of(made.body(OPENMETRICS), True).values()) == [0, math.inf]


def test_a_page_that_is_too_old_says_only_that_the_exporter_is_down() -> None:
    assert samples_of(stale_page("acme", 0).body(TEXT), False) == {
        ("organism_up", (("organism", "acme"), ("source", "exporter"))): 0.0
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        (
            "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS,
        ),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("application/openmetrics-text;q=nonsense", OPENMETRICS),
        (";;,,;q", TEXT),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, kind: str) -> None:
    assert chosen_type(accept) == kind


def test_the_table_is_sound_and_its_page_names_every_series() -> None:
    assert len(BY_NAME) == len(SERIES)
    for one in SERIES:
        assert one.help.endswith(".")
        assert one.type in ("gauge", "counter", "info")
        assert one.name.endswith("_total") == (one.type == "counter")
    assert all(f"| `{one.name}` |" in page() for one in SERIES)
