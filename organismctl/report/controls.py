"""Which characters of a remote text never reach a terminal or a page: one table for every way out.

Controls (C0, DEL, C1), lone surrogates, and what is invisible and yet changes how the rest is read: direction marks
and overrides, zero-width and filler characters, separators, annotations, tags, variation selectors of the
supplementary plane. A name is shown as it is told, or visibly broken; never as another name.
"""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
C0 = range(0x20)
RAISED: tuple[range, ...] = (
    range(0x7F, 0xA0),
    range(0xAD, 0xAE),
    range(0x34F, 0x350),
    range(0x61C, 0x61D),
    range(0x115F, 0x1161),
    range(0x17B4, 0x17B6),
    range(0x180B, 0x1810),
    range(0x200B, 0x2010),
    range(0x2028, 0x202F),
    range(0x2060, 0x2070),
    range(0x3164, 0x3165),
    range(0xD800, 0xE000),
    range(0xFEFF, 0xFF00),
    range(0xFFA0, 0xFFA1),
    range(0xFFF0, 0xFFFC),
    range(0x1BCA0, 0x1BCA4),
    range(0x1D173, 0x1D17B),
    range(0xE0000, 0xE1000),
)
"""Above C0; Unicode's Default_Ignorable_Code_Point but for the emoji's variation selectors, and the separators."""

ABOVE_C0 = frozenset(code for part in RAISED for code in part)
CONTROLS: dict[int, str] = dict.fromkeys((*C0, *ABOVE_C0), REPLACEMENT)
"""For ``str.translate``: one line, with nothing that a terminal obeys."""
CONTROLS_BUT_LINES: dict[int, str] = {code: text for code, text in CONTROLS.items() if code not in (9, 10)}
"""The same, for text of several lines: tabs and newlines stay."""
RAW = "".join(f"{chr(part.start)}-{chr(part.stop - 1)}" for part in RAISED)
"""The characters above C0 as the inside of a regular expression's class."""
