"""mosaik's own exporter, and what else may listen in its place."""

from __future__ import annotations

from typing import Any

import pytest

from organismctl.observe.metrics import Metrics, parse
from organismctl.observe.snapshot import MALFORMED, UNREACHABLE
from tests.observe.servers import serving

TEXT = """\
# TYPE mosaik_streams_consumer_producers gauge
mosaik_streams_consumer_producers{stream="0123456789",network="b82b6f3b4a"} 2

# TYPE mosaik_streams_consumer_items_received counter
mosaik_streams_consumer_items_received{stream="0123456789",network="b82b6f3b4a"} ITEMS

# TYPE mosaik_groups_active gauge
mosaik_groups_active{network="b82b6f3b4a"} 1
"""


def test_two_samples_of_what_is_wanted() -> None:
    counts = iter((40, 52))
    with serving(lambda _path, _auth: (200, TEXT.replace("ITEMS", str(next(counts))).encode())) as url:
        (fact,) = Metrics("node-a", f"{url}/metrics", 0.01).look()
    assert isinstance(fact.value, dict)
    samples: Any = fact.value["samples"]
    assert [one["series"]["mosaik_streams_consumer_items_received"] for one in samples] == [
        {"0123456789": 40.0}, {"0123456789": 52.0},
    ]  # fmt: skip
    assert samples[1]["series"]["mosaik_streams_consumer_producers"] == {"0123456789": 2.0}


@pytest.mark.parametrize(
    "body",
    [b"<html>Welcome to nginx</html>", b"", b"\xff\xfe", b"up 1\nprocess_cpu_seconds_total 3\n",
     b'mosaik_streams_consumer_producers{stream="01} x\n', b"mosaik_streams_consumer_producers\n"],
)  # fmt: skip
def test_something_else_that_listens_there_is_malformed(body: bytes) -> None:
    with serving(lambda _path, _auth: (200, body)) as url:
        (fact,) = Metrics("node-a", url, 0.01).look()
    assert fact.cause == MALFORMED


def test_nobody_and_too_much() -> None:
    (fact,) = Metrics("node-a", "http://127.0.0.1:9/metrics", 0.01).look()
    assert fact.cause == UNREACHABLE
    with serving(lambda _path, _auth: (200, b"x" * (9 << 20))) as url:
        (fact,) = Metrics("node-a", url, 0.01).look()
    assert fact.cause == UNREACHABLE


def test_values_that_are_no_number_are_left_out() -> None:
    text = 'mosaik_streams_consumer_producers{stream="aa"} NaN\nmosaik_streams_consumer_producers{stream="bb"} -3\n'
    assert parse(text.encode())["mosaik_streams_consumer_producers"] == {}
