"""The screen of ``watch`` at a pinned size, its plain lines, and what hostile text may not do to either."""

from __future__ import annotations

import json
import unicodedata

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.check.span_health import span_health
from organismctl.report.controls import CONTROLS
from organismctl.report.schema import schemas
from organismctl.report.text import cells
from organismctl.report.watch import Look, json_line, lines_text, watch_json
from organismctl.report.watch_screen import Frame, screen, text
from tests.check.worlds import NOW_MS
from tests.report.pages import CHANGE, HOSTILE, report, world


def look(*, well: bool = False, before: Look | None = None) -> Look:
    scope = world(well=well)
    made = watch_json(scope, report(scope, "watch"), () if well else (CHANGE,), span_health(scope), before)
    jsonschema.validate(made, schemas()["watch.schema.json"])
    return made


WORDS = {
    "ticket": f"closed with 30403 {HOSTILE}",
    "theirs": "nothing comes from it to anybody who listens",
    "unknown": f"no answer within 3 s {HOSTILE}",
    "none": None,
}
"""Reasons of our own: those of the checks are theirs to word."""
BAD = look()
for one in BAD["health"]:
    one["reason"] = WORDS[one["side"]]
SCREEN = """\
acme.settlement                                              06:00:00Z  17 s OLD
identity   fingerprint 2ee8781b7f  group id a6f5356397
committee  3 of 3 there, 2 needed, tolerance 1; leader node-a; ledger 120 alike
change     20261124T000000Z-acme-1 parked: rotate node-a out, node-d in, waits
           for the tickets of node-d
!          organism.toml cannot be read

  NODE    STATE  ROLE      HEIGHT  DIGEST      NOTE
  node-a  up     leader    120     aaaaaaaaaa
  node-b  up     acceptor  120     aaaaaaaaaa
  node-c  up     acceptor  120     aaaaaaaaaa

  SPANNED MEMBER  NODE    LAG       LAST EVENT  ADMITTED       SIDE
! delta/facts     node-a  0         never       ended 1 d ago  ticket
      closed with 30403 �[31mred��<img src=x onerror=alert(1)>�</script>�2026
!                 node-b  0         never       in 3 d         their side
      nothing comes from it to anybody who listens
?                 node-c  unknown   never       ended 4 d ago  not known
      no answer within 3 s �[31mred��<img src=x onerror=alert(1)>�</script>�2026
! gamma/facts     node-a  12, 24 s  1 min ago   in 6 d         their side 32 p
!                 node-b  12, 24 s  1 min ago   in 5 d         their side 32 p
      nothing comes from it to anybody who listens
?                 node-c  unknown   never       not admitted   not known
      no answer within 3 s �[31mred��<img src=x onerror=alert(1)>�</script>�2026
? beta/facts      node-c  unknown   never       in 12 d        not known
      no answer within 3 s �[31mred��<img src=x onerror=alert(1)>�</script>�2026
                  node-a  0         now         in 30 d        well
                  node-b  0         now         in 21 d        well
"""


def test_the_screen_at_80_columns() -> None:
    """What the other checks find below this is theirs to pin."""
    frame = Frame(80, 200, NOW_MS + 17_000, 5000, "organism.toml cannot be read")
    assert text(BAD, frame).startswith(SCREEN)


def test_a_short_screen_counts_what_it_leaves_out() -> None:
    lines = text(BAD, Frame(80, 30, NOW_MS)).splitlines()
    assert len(lines) == 30
    spans = lines[lines.index("") + 1 :]
    assert "  and 6 more, 4 of them not well" in spans


LINES = """\
2026-11-24T06:00:00Z acme.settlement committee 3 of 3 there, 2 needed, tolerance 1; leader node-a; ledger 120 alike
2026-11-24T06:00:00Z acme.settlement node node-a up role=leader height=120 digest=aaaaaaaaaa
2026-11-24T06:00:00Z acme.settlement node node-b up role=acceptor height=120 digest=aaaaaaaaaa
2026-11-24T06:00:00Z acme.settlement node node-c up role=acceptor height=120 digest=aaaaaaaaaa
2026-11-24T06:00:00Z acme.settlement span beta/facts node-a lag=0 events; last event now; admitted in 30 d; side=well
2026-11-24T06:00:00Z acme.settlement span beta/facts node-b lag=0 events; last event now; admitted in 30 d; side=well
2026-11-24T06:00:00Z acme.settlement span beta/facts node-c lag=0 events; last event now; admitted in 30 d; side=well
2026-11-24T06:00:00Z acme.settlement majority beta fewer than a majority from 2026-12-24T06:00Z, in 30 d, \
when the tickets of node-a, node-b, node-c end; 3 of 3 admitted now, 2 needed
2026-11-24T06:00:00Z acme.settlement change none
"""


def test_plain_lines_each_with_their_moment() -> None:
    assert lines_text(look(well=True)).startswith(LINES)


def test_what_came_since_the_last_look_is_told() -> None:
    before = json.loads(json.dumps(BAD))
    for row in before["health"]:
        row["lag_events"] = 5
    after = look(before=before)
    by_node = {(row["span"], row["node"]): row["lag_events_change"] for row in after["health"]}
    assert by_node["gamma", "node-a"] == 7
    assert by_node["beta", "node-c"] is None, "not known now: no change is made up"
    assert "12 (+7), 24 s" in text(after, Frame(100, 200, NOW_MS))
    assert "lag=12 events (+7), 24 s" in lines_text(after)


def test_a_line_of_json_is_one_line_and_the_whole_look() -> None:
    line = json_line(BAD)
    assert line.count("\n") == 1
    assert not {chr(code) for code in CONTROLS if code != 10} & set(line)
    assert json.loads(line) == json.loads(json.dumps(BAD))


@settings(max_examples=60, deadline=None)
@given(width=st.integers(40, 220), height=st.integers(12, 90), name=st.text(max_size=60))
def test_no_screen_is_overrun(width: int, height: int, name: str) -> None:
    """Neither by hostile names, nor by many rows; whatever is not shown is counted."""
    hostile = json.loads(json.dumps(BAD))
    hostile["organism"]["name"] = name
    hostile["nodes"] = [{**hostile["nodes"][0], "name": name + str(number)} for number in range(40)]
    for row in hostile["health"]:
        row["span"] = row["reason"] = name
    hostile["committee"]["lease"] = name
    lines = screen(hostile, Frame(width, height, NOW_MS, 5000, name))
    assert len(lines) <= height
    for line in lines:
        assert cells(line.text) <= width, line
        assert not any(ord(char) in CONTROLS for char in line.text)
        assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in line.text}
    assert any("more" in line.text for line in lines)


def test_nothing_to_show_is_said() -> None:
    empty = json.loads(json.dumps(BAD))
    empty.update(nodes=[], health=[], majorities=[], findings=[], changes=[])
    empty["committee"]["size"] = 0
    page = text(empty, Frame(80, 24, NOW_MS))
    assert "no spanned member is read" in page
    assert "change     none" in page
    assert "committee  no node is known here" in page
