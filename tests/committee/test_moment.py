"""Moments of a retirement."""

import pytest
from hypothesis import given

from organismctl.committee.codec import FieldError
from organismctl.committee.moment import MAX_MS, Moment, parse_moment, parse_time, time_text

from .worlds import moments, times


@given(moments)
def test_text_round_trips(moment):
    assert parse_moment(str(moment)) == moment


@given(times)
def test_time_text_is_rfc_3339_in_utc(unix_ms):
    text = time_text(unix_ms)
    assert text.endswith("Z")
    assert parse_time(text) == unix_ms


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01T00:00Z", Moment(1_796_083_200_000)),
        ("2026-12-01T01:00:00+01:00", Moment(1_796_083_200_000)),
        ("tick:123456", Moment(None, 123456)),
        ("tick:7 or 2026-12-01T00:00:00Z", Moment(1_796_083_200_000, 7)),
        (time_text(MAX_MS), Moment(MAX_MS)),
    ],
)
def test_what_a_person_types(text, moment):
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-12-01T00:00:00",
        "2026-12-01",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "2026-12-01T00:00:00.0001Z",
        "tick:",
        "tick:-1",
        "tick:01",
        "tick:1 or",
        "tick:1 or tick:2",
        "tick:99999999999999999999",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_what_is_no_moment(text):
    with pytest.raises(FieldError):
        parse_moment(text)
