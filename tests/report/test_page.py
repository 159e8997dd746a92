"""The page of ``report``: complete as JSON, readable as text, and harmless as HTML whatever a remote has sent."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.report.controls import CONTROLS
from organismctl.report.history import history_json
from organismctl.report.html_page import page_html
from organismctl.report.interface import Style
from organismctl.report.page_text import page_text
from organismctl.report.schema import schemas
from tests.check.worlds import NOW_MS, scope
from tests.report.pages import page, world
from tests.support.browser import Browser, browsing, chromium

PAGE = page()
PARTS = ["quorum", "lag", "history", "committee", "identity", "findings"]
VOID = {"meta", "link", "br"}


class Read(HTMLParser):
    """A page's elements, held to be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_is_complete() -> None:
    jsonschema.validate(json.loads(json.dumps(PAGE)), schemas()["report.schema.json"])
    pairs = {(row["span"], row["node"]) for row in PAGE["health"]}
    assert len(pairs) == 9, "every committee member at every spanned member"
    assert PAGE["exit"] == 6


def test_text_has_every_part() -> None:
    text = page_text(PAGE, Style(width=80))
    for title in ("IDENTITY", "COMMITTEE", "WHO LOSES QUORUM WHEN", "LAG HISTORY", "FINDINGS"):
        assert f"\n{title}\n" in text
    assert "delta: no majority now; 1 of 3 admitted now, 2 needed\n  node-a: not admitted: ended" in text
    assert (
        "beta/facts node-a: lag 0 to 60 events, last 7, 2026-11-23T06:00:00Z to 2026-11-24T05:50:00Z"
        in text.replace("\n", " ")
    )
    assert not {chr(code) for code in CONTROLS if code != 10} & set(text)


def test_without_an_exporter_the_history_says_so() -> None:
    (series,) = history_json(scope())
    assert series["lines"] == []
    assert "no resident exporter remembers it" in series["reason"]


def test_html_holds_no_script_and_asks_for_nothing() -> None:
    read = Read(page_html(PAGE))
    tags = {tag for tag, _ in read.seen}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "video", "audio", "base", "use"}
    for tag, attrs in read.seen:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        link = attrs.get("href") or attrs.get("src") or ""
        assert link == "data:," or link.startswith("#") or not link
    assert "url(http" not in page_html(PAGE)
    assert [attrs["id"] for tag, attrs in read.seen if tag == "section"] == PARTS
    assert "closed with 30403 �[31mred" in read.text, "what was told is shown, as text"


def test_an_identity_that_is_not_the_accepted_one_is_said_beside_it() -> None:
    assert "✖ not what stands above" in page_html(PAGE)
    assert "● the same as above" in page_html(page(world(well=True)))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_no_text_of_a_remote_becomes_markup(hostile: str) -> None:
    made = json.loads(json.dumps(page(world(well=True))))
    made["organism"]["name"] = hostile
    for row in (*made["health"], *made["findings"], *made["identity"]["spans"]):
        row.update(
            {key: hostile for key in ("node", "span", "subject", "summary", "reason", "name") if key in row}
        )
    for line in made["timeline"]["spans"]:
        line["name"] = line["nodes"][0]["node"] = hostile
        line["nodes"][0]["detail"] = hostile
    plain = Read(page_html(page(world(well=True))))
    text = page_html(made)
    assert [tag for tag, _ in Read(text).seen] == [tag for tag, _ in plain.seen]
    assert not {chr(code) for code in CONTROLS if code != 10} & set(text)
    text.encode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> object:
    if chromium() is None:
        pytest.skip("no Chromium here")
    with browsing(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "acme.html"
    path.write_text(page_html(PAGE))
    return path


OVERLAPS = """(() => { const wide = [];
  for (const one of document.querySelectorAll('td, p, h1, h2, h3, svg text, li, figcaption')) {
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > innerWidth + 1 || box.left < -1)) wide.push(one.textContent.slice(0, 60));
  } return wide; })()"""
CONTRAST = """(() => { const lum = text => { const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(value => {
    const part = value / 255; return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const back = lum(getComputedStyle(document.body).backgroundColor);
  return Math.min(...[...document.querySelectorAll('p, td, .mark, .soft, h2, th')].map(one => {
    const ink = lum(getComputedStyle(one).color);
    return (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05); })); })()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_chromium_shows_it(browser: Browser, file: Path, tmp_path: Path, width: int, scheme: str) -> None:
    """No console message, no request but for the page itself, nothing out of the window, text that can be read."""
    browser.open(file, width, prefers_color_scheme=scheme)
    assert browser.requests == [file.as_uri()]
    assert browser.logged == []
    assert browser.js("document.documentElement.scrollWidth") <= width
    assert browser.js(OVERLAPS) == []
    assert browser.js(CONTRAST) >= 4.5, "WCAG AA"
    assert browser.js("document.querySelectorAll('svg[role=img] title').length") == 5
    assert browser.js("getComputedStyle(document.querySelector('svg .held')).fill").startswith("rgb")
    png = browser.picture(tmp_path / f"{width}-{scheme}.png")
    assert png.startswith(b"\x89PNG") and len(png) > 50_000, "not an empty page"


def test_it_can_be_printed(browser: Browser, file: Path) -> None:
    browser.open(file, 1280)
    paper = browser.paper()
    assert paper.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", paper))
    assert 2 <= pages <= 12


def test_time_of_judgement_is_on_the_page() -> None:
    assert "2026-11-24T06:00:00Z" in page_html(PAGE)
    assert PAGE["judged_ms"] == NOW_MS
