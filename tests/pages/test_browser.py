"""The crowd's page in a real Chromium: loaded from disk without a word on the console, it shows the solution's numbers.

Without a browser these tests are skipped.
"""

import json

import numpy as np
import pytest
from tests.cli.test_scenes import LANE
from tests.pages.conftest import PHONE, WIDE

import quantal as qt
from quantal.pages import crowds as page
from quantal.scenes import reading as scenefile


@pytest.fixture(scope="module")
def junction():
    scene = qt.read_scene("junction")
    return scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)


@pytest.fixture(scope="module")
def file(junction, tmp_path_factory):
    scene, solution = junction
    path = tmp_path_factory.mktemp("page") / "junction.html"
    page.write(solution, path, scene=scene)
    return path


@pytest.fixture
def show(show_file, file):
    """Open the page."""
    return lambda *how, **settings: show_file(file, *how, **settings)


def picture(opened):
    return opened.locator("#map").evaluate("map => map.outerHTML")


def to_step(opened, step):
    opened.locator("#time").fill(str(step))


def point_at(opened, scene, label):
    """Move the pointer over a cell."""
    x, y = scene.map.cells[scene.map.labels.index(label)]
    box = opened.locator("#map").bounding_box()
    width, height = len(scene.drawing[0]), len(scene.drawing)
    opened.mouse.move(box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box["height"] / height)


def row(opened, agent):
    """What the table says of an agent: being here, and each action."""
    found = opened.locator(f'#numbers tr[data-agent="{agent}"]')
    cells = found.locator("td[data-action]")
    actions = {cells.nth(k).get_attribute("data-action"): cells.nth(k).inner_text() for k in range(cells.count())}
    return found.locator('td[data-what="here"]').inner_text(), actions


def number(text):
    return 0.0 if text in ("–", "0") else float(text)


def test_the_slider_moves_the_picture(show):
    opened = show()
    seen = set()
    for step in (0, 4, 8, 24):
        to_step(opened, step)
        assert opened.locator("#now").inner_text() == f"step {step} of 24"
        seen.add(picture(opened))
    assert len(seen) == 4
    to_step(opened, 4)
    assert picture(opened) in seen  # and back


@pytest.mark.parametrize(("step", "label"), [(0, "r1c7"), (4, "r3c3"), (8, "r2c4"), (10, "r2c6")])
def test_pointing_at_a_cell_shows_the_solutions_numbers(show, junction, step, label):
    scene, solution = junction
    opened = show()
    to_step(opened, step)
    point_at(opened, scene, label)
    assert label in opened.locator("#cell-title").inner_text()
    cell = scene.map.labels.index(label)
    game = solution.game
    compared = 0
    for agent in scene.agents:
        here, actions = row(opened, agent)
        assert number(here) == pytest.approx(solution.occupancy[agent][step, cell], abs=5.1e-4)
        i = game.agent_index(agent)
        assert bool(actions) == (game.kind_of(i).legal[cell].any() and game.goals[i] != cell)
        for action, text in actions.items():
            expected = solution.policy[agent][step, cell, game.actions[i].index(action)]
            assert number(text) == pytest.approx(expected, abs=5.1e-4)
            compared += 1
    assert compared >= 5
    assert opened.locator("#map .arrow:not(.field)").count() >= 1


def test_nine_actions_stand_side_by_side(show_file, tmp_path):
    scene = scenefile.parse_scene(LANE.replace("lanes = true", "diagonal = true"))
    page.write(
        qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon),
        tmp_path / "diagonal.html",
        scene=scene,
        certificate=False,
    )
    opened = show_file(tmp_path / "diagonal.html")
    # No number is wider than its column, and the table no wider than its place.
    wide = opened.evaluate(
        """() => [...document.querySelectorAll("#numbers td.p")].filter(td => td.scrollWidth > td.clientWidth).length
                 + (document.querySelector("#numbers").offsetWidth > document.querySelector(".scroll").clientWidth)"""
    )
    assert opened.locator("#numbers tbody tr").first.locator("td.p").count() == 9
    assert wide == 0


def test_playing_and_the_keyboard(show, junction):
    scene, _ = junction
    opened = show()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowLeft")
    assert opened.locator("#now").inner_text() == "step 1 of 24"
    opened.keyboard.press("Space")
    assert opened.locator("#play").get_attribute("aria-label") == "Pause"
    opened.wait_for_selector('#map[data-step="3"]', timeout=20_000)
    opened.keyboard.press("Space")
    assert opened.locator("#play").get_attribute("aria-label") == "Play"
    # On the map arrows move between cells, and step through time no longer.
    before = opened.locator("#time").input_value()
    opened.locator("#map").focus()
    start = scene.map.labels[scene.start_cells(0)[0]]
    assert start in opened.locator("#cell-title").inner_text()
    opened.keyboard.press("ArrowLeft")
    assert scene.map.labels[scene.start_cells(0)[0] - 1] in opened.locator("#cell-title").inner_text()
    assert opened.locator("#said").inner_text() != ""
    assert opened.locator("#time").input_value() == before


def test_the_tab_key_reaches_every_control(show, tab_through):
    opened = show()
    met = tab_through(opened)
    assert met[0]["name"].startswith("Skip")
    assert {"map", "play", "time", "whose", "everywhere", "download", "download-csv"} <= {each["id"] for each in met}
    # What has the focus is operated without a mouse: a kind is hidden, a step is taken, a cell is left.
    opened.locator('#legend button[data-agent="car 2"]').focus()
    opened.keyboard.press("Enter")
    assert opened.locator('#numbers tr[data-agent="car 2"]').count() == 0
    opened.locator("#time").focus()
    opened.keyboard.press("End")
    assert opened.locator("#time").get_attribute("aria-valuetext") == "step 24 of 24"
    opened.locator("#everywhere").focus()
    opened.keyboard.press("Space")
    assert opened.locator("#everywhere").is_checked()


def test_agents_can_be_hidden(show):
    opened = show()
    button = opened.locator('#legend button[data-agent="car 2"]')
    before = picture(opened)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert picture(opened) != before
    assert opened.locator('#numbers tr[data-agent="car 2"]').count() == 0
    button.click()
    assert opened.locator('#numbers tr[data-agent="car 2"]').count() == 1


def test_the_numbers_can_be_taken_away(show, junction, tmp_path):
    scene, solution = junction
    opened = show()
    with opened.expect_download() as download:
        opened.locator("#download").click()
    target = tmp_path / "numbers.json"
    download.value.save_as(target)
    assert download.value.suggested_filename == "junction.json"
    data = json.loads(target.read_text())
    assert data["cells"] == list(scene.map.labels)
    for agent in data["agents"]:
        np.testing.assert_allclose(agent["occupancy"], solution.occupancy[agent["name"]], atol=1e-7)
        np.testing.assert_allclose(agent["policy"], solution.policy[agent["name"]], atol=1e-7)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_fits_and_can_be_read(show, junction, theme, viewport, contrast, keep_screenshot):
    opened = show(viewport, color_scheme=theme)
    to_step(opened, 4)
    point_at(opened, junction[0], "r2c2")
    # Nothing sticks out sideways, and letters stand out from the page by 4.5 to 1 (WCAG AA).
    assert opened.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    for selector in ("h1", ".dim", "#numbers td", "dd"):
        assert contrast(opened, selector) >= 4.5, selector
    keep_screenshot(opened, f"junction-{theme}-{viewport['width']}")
