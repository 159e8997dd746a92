"""The one table of what never reaches a terminal or a page, held to Unicode's own."""

from __future__ import annotations

import json
import sys
import unicodedata

from organismctl.cli.output import clean as clean_lines
from organismctl.cli.output import json_text as cli_json
from organismctl.report.controls import CONTROLS, REPLACEMENT
from organismctl.report.text import clean, json_text

VISIBLE = {
    *range(0x600, 0x606),
    0x6DD,
    0x70F,
    0x890,
    0x891,
    0x8E2,
    0x110BD,
    0x110CD,
    *range(0x13430, 0x13440),
}
"""Format characters that are seen: Arabic number signs, hieroglyph joiners."""


def test_nothing_that_is_obeyed_or_invisible_passes() -> None:
    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(code))
        if kind in {"Cc", "Cs", "Zl", "Zp"} or (kind == "Cf" and code not in VISIBLE):
            assert clean(chr(code)) == REPLACEMENT, hex(code)
        if code in CONTROLS and code not in (9, 10):
            assert clean_lines(chr(code)) == REPLACEMENT, hex(code)


def test_what_people_write_passes() -> None:
    text = "node-a × north → ü 火 ❤️ عربى नमस्ते é"
    assert clean(text) == clean_lines(text) == text
    assert clean_lines("a\n\tb") == "a\n\tb"


def test_json_means_the_same() -> None:
    every = [chr(code) for code in CONTROLS] + ["\U0001f600"]
    for made in (json_text(every), cli_json(every)):
        assert (json.loads(made) == every) is True
        assert not {chr(code) for code in CONTROLS if code != 10} & set(made)
        made.encode()
