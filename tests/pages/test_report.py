"""The report: it holds what was found, follows the theme, and opens from disk without a word on the console."""

import itertools
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from quantal import experiments, figures
from quantal.figures import paper as drawn_figures
from quantal.pages import crowds, drawings, report
from quantal.reports import paper

MADE = {"command": "quantal reproduce", "versions": {"quantal": "1 & 2"}}


@pytest.fixture(scope="module")
def found():
    return [experiments.one_step(), experiments.theorem_4(), experiments.driving_scene()]


@pytest.fixture(scope="module")
def drawn(found, tmp_path_factory):
    directory = tmp_path_factory.mktemp("figures")
    result = {}
    for record in found:
        result[record.name] = []
        for picture in figures.pictures(record):
            figures.save(picture.figure, directory / f"{picture.name}.svg")
            svg = (directory / f"{picture.name}.svg").read_text(encoding="utf-8")
            result[record.name].append(report.Drawn(picture.name, svg, picture.caption))
    return result


@pytest.fixture(scope="module")
def views(found):
    scene = found[-1]
    return {"driving": crowds.page(scene.solution, scene=scene.journeys.scene, certificate=False)}


@pytest.fixture(scope="module")
def text(found, drawn, views):
    return report.page(found, drawn, views=views, **MADE)


def test_every_experiment_has_a_picture_with_a_caption(found):
    assert set(drawn_figures._DRAWN) == set(experiments.ALL)
    for record in found:
        assert all(len(picture.caption) > 40 for picture in figures.pictures(record))


def test_numbers_verdicts_and_reasons_are_in_the_page_and_in_markdown(found, drawn, text):
    shown = {name: [(f"{d.name}.svg", d.caption) for d in each] for name, each in drawn.items()}
    plain = paper.markdown(found, shown, **MADE)
    for whole in (text, plain):
        for part in ("0.3963", "agrees", "disagrees", "reconstructed", "given", "car 2, car 1, car 3", "1.73786"):
            assert part in whole
    assert "1 &amp; 2" in text
    assert plain.count("\n## ") == len(found) + 1
    # Every row of a table in Markdown has as many cells as the row above it.
    for block in re.findall(r"(?:^\|.*\n)+", plain, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("at beta = 1, all alphas", "at β\u00a0=\u00a01, all alphas"),
        ("run on to 1e-12, or 8e-14", "run on to 10<sup>−12</sup>, or 8\u202f×\u202f10<sup>−14</sup>"),
        ("R_i(x, a_i), theta_1", "<i>R</i><sub>i</sub>(x, <i>a</i><sub>i</sub>), <i>θ</i><sub>1</sub>"),
        ("a 3x3 grid, -0.58, T - 1, two-player", "a 3×3 grid, −0.58, T − 1, two-player"),
        ("the agents' \"same\" paper's", "the agents’ “same” paper’s"),
        ("see `quantal reproduce learners`", "see <code>quantal reproduce learners</code>"),
        ("method='auto' <b>", "<code>method=&#x27;auto&#x27;</code> &lt;b&gt;"),
    ],
)
def test_words_are_set_as_in_a_book(words, shown):
    assert report._prose(words) == shown


def test_links_within_the_page_lead_somewhere_and_no_id_is_there_twice(text):
    class Ids(HTMLParser):
        def __init__(self):
            super().__init__()
            self.ids, self.links = [], []

        def handle_starttag(self, tag, attributes):
            for name, value in attributes:
                if name == "id":
                    self.ids.append(value)
                if name == "href" and value.startswith("#"):
                    self.links.append(value[1:])

    page = Ids()
    page.feed(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)


def test_the_dark_theme_turns_lightness_round_and_keeps_series_bright():
    def luminance(colour):
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    def contrast(a, b):
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    page = drawings.darkened("#ffffff")
    assert page == drawings.DARK_PAGE
    assert contrast(drawings.darkened("#222222"), page) > 10  # ink on paper
    for colour in ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"):
        assert contrast(drawings.darkened(colour), page) > 4.5  # WCAG: even small text
    # What is fainter on white is fainter on black.
    greys = [contrast(drawings.darkened(grey), page) for grey in ("#222222", "#7f7f7f", "#b8b8b8", "#e6e6e6")]
    assert greys == sorted(greys, reverse=True)


def test_a_drawing_has_no_colour_of_its_own_left(drawn):
    for each in drawn.values():
        for d in each:
            svg = drawings.themed(d.svg, d.name, d.caption)
            assert not re.search(r'(style|fill|stroke)="[^"]*#[0-9a-fA-F]{6}', svg)
            assert "<style" not in svg


def test_it_opens_from_disk_in_both_themes_and_on_a_phone(text, tmp_path, browser):
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    for scheme, background in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 24, 27)")):
        context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(file.as_uri())
        # The frame's own script runs under both security policies.
        page.frame_locator(".view iframe").locator("html[data-ready]").wait_for(timeout=20_000, state="attached")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == background
        assert page.evaluate("getComputedStyle(document.querySelector('.drawing path')).fill") == background
        # Nothing is wider than a phone: tables and drawings scroll within themselves.
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # Cells of the summary stand under or beside each other, none over another, and as wide as the screen lets them.
        boxes = page.evaluate(
            """[...document.querySelectorAll(".summary tbody tr")].map(row => [...row.cells].map(cell => {
                const { left, right, top, bottom } = cell.getBoundingClientRect(); return [left, right, top, bottom];
            }))"""
        )
        for row in boxes:
            assert row[0][1] - row[0][0] > 300
            for a, b in itertools.combinations(row, 2):
                assert min(a[1], b[1]) <= max(a[0], b[0]) + 1 or min(a[3], b[3]) <= max(a[2], b[2]) + 1
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        if directory := os.environ.get("QUANTAL_SCREENSHOTS"):
            page.screenshot(path=f"{directory}/report-{scheme}.png", full_page=True)
        assert said == []
        assert [url for url in asked if not url.startswith(("about:", "blob:", "data:"))] == [file.as_uri()]
        context.close()
