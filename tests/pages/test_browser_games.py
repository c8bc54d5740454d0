"""Pages of exact solutions in a real Chromium: agents go where they are put, and what is shown is the solution's.

Without a browser these tests are skipped.
"""

import csv
import itertools
import json

import numpy as np
import pytest
from tests.pages.conftest import PHONE, WIDE

import quantal as qt
from quantal.pages import games as page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def pursuit(folder):
    solution = qt.solve(qt.games.build("pursuit-three"), beta=1.0, horizon=3)
    page.write(solution, folder / "pursuit.html", certificate=False)
    return solution, folder / "pursuit.html"


@pytest.fixture(scope="module")
def grid(folder):
    solution = qt.solve(qt.games.build("grid-two"), beta=1.0, horizon=4)
    page.write(solution, folder / "grid.html", certificate=False)
    return solution, folder / "grid.html"


@pytest.fixture(scope="module")
def stag(folder):
    path = qt.solve_path(qt.games.build("stag-hunt"), np.linspace(0, 4, 9), discount=0.0)
    page.write(path, folder / "stag.html")
    return path, folder / "stag.html"


def picture(opened):
    return opened.locator("#map").evaluate("map => map.outerHTML")


def check_policies(opened, solution, state, time, agents=None):
    """What the page says everyone does is what the solution says."""
    compared = 0
    for agent in agents or solution.game.agents:
        bars = opened.locator(f'.agent[data-agent="{agent}"] li')
        names = solution.game.actions[solution.game.agent_index(agent)]
        play = solution.policy[agent][state] if time is None else solution.policy[agent][(time, *state)]
        for k in range(bars.count()):
            text = bars.nth(k).locator(".p").inner_text()
            expected = play[names.index(bars.nth(k).get_attribute("data-action"))]
            shown = 0.0 if text.startswith("<") else float(text)
            assert shown == pytest.approx(expected, abs=1.01e-3 if text.startswith("<") else 5.1e-4)
            compared += 1
        assert sum(play[play > 0]) == pytest.approx(1)
    return compared


def test_choosing_a_place_changes_the_policies(show_file, pursuit):
    solution, file = pursuit
    opened = show_file(file)
    for state in ((0, 8, 4), (0, 8, 2), (1, 5, 2)):
        for axis, cell in enumerate(state):
            opened.locator(f"#axis-{axis}").select_option(str(cell))
        assert opened.locator("#map").get_attribute("data-state") == ",".join(map(str, state))
        assert check_policies(opened, solution, state, 0) >= 9
    # Figure 4 of the paper starts where the first of these does.
    opened.locator("#axis-1").select_option("8")


def test_dragging_clicking_and_keys_move_agents(show_file, pursuit):
    solution, file = pursuit
    opened = show_file(file)
    for axis, cell in enumerate((0, 8, 4)):
        opened.locator(f"#axis-{axis}").select_option(str(cell))
    token = opened.locator('.token[data-axis="0"] circle')
    cells = opened.locator("#map .node")

    def middle(locator):
        box = locator.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    opened.mouse.move(*middle(token))
    opened.mouse.down()
    opened.mouse.move(*middle(cells.nth(1)), steps=4)
    opened.mouse.up()
    assert opened.locator("#map").get_attribute("data-state") == "1,8,4"
    check_policies(opened, solution, (1, 8, 4), 0)
    # A click on a cell brings the one that was last taken; arrow keys move the one that has the focus.
    opened.mouse.click(*middle(cells.nth(2)))
    assert opened.locator("#map").get_attribute("data-state") == "2,8,4"
    opened.locator('.token[data-axis="1"]').focus()
    opened.keyboard.press("ArrowLeft")
    assert opened.locator("#map").get_attribute("data-state") == "2,7,4"
    assert check_policies(opened, solution, (2, 7, 4), 0) >= 9
    assert opened.locator("#said").inner_text() != ""


def test_the_tab_key_reaches_every_control(show_file, pursuit, stag, tab_through):
    opened = show_file(pursuit[1])
    met = tab_through(opened)
    tokens = [each for each in met if each["tag"] == "g"]
    assert [each["name"].split(":")[0] for each in tokens] == ["h1", "h2", "p"]
    assert {"play", "time", "axis-0", "axis-2", "shade", "download"} <= {each["id"] for each in met}
    # A game that is played once has no time: what is skipped to is there all the same.
    opened = show_file(stag[1])
    met = tab_through(opened)
    assert {"beta", "download"} <= {each["id"] for each in met}
    assert "time" not in {each["id"] for each in met}
    opened.locator(".skip").focus()
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.querySelector(location.hash).checkVisibility()")


def test_the_slider_moves_the_picture(show_file, pursuit):
    _, file = pursuit
    opened = show_file(file)
    seen = {picture(opened)}
    for step in (1, 2, 3):
        opened.locator("#time").fill(str(step))
        assert opened.locator("#now").inner_text() == f"step {step} of 3"
        seen.add(picture(opened))
    assert len(seen) == 4
    opened.locator("#time").fill("0")
    assert picture(opened) in seen


def test_mass_goes_where_a_loop_says(show_file, grid, tmp_path):
    solution, file = grid
    game = solution.game
    opened = show_file(file)
    start = (6, 8)
    with opened.expect_download() as download:
        opened.locator("#download").click()
    download.value.save_as(tmp_path / "numbers.json")
    found = json.loads((tmp_path / "numbers.json").read_text())["placed"]["occupancy"]
    mass = {start: 1.0}
    for time in range(5):
        named = {", ".join(game.state_labels[k][v] for k, v in enumerate(s)): p for s, p in mass.items()}
        shown = {each["state"]: each["probability"] for each in found[time]["states"]}
        assert shown.keys() == named.keys()
        for state, p in named.items():
            assert shown[state] == pytest.approx(p, abs=1e-6)
        after = {}
        if time == 4:
            break
        for state, p in mass.items():
            for joint in itertools.product(range(5), range(5)):
                chance = p * np.prod([solution.policy[i][(time, *state, a)] for i, a in enumerate(joint)])
                row = (*state, *joint)
                for to, odds in zip(game.dynamics.successors[row], game.dynamics.probabilities[row], strict=True):
                    if chance * odds > 0:
                        there = tuple(map(int, np.unravel_index(to, game.state_shape)))
                        after[there] = after.get(there, 0.0) + chance * odds
        mass = after


def test_the_table_has_every_number(show_file, grid, tmp_path):
    solution, file = grid
    opened = show_file(file)
    with opened.expect_download() as download:
        opened.locator("#download-csv").click()
    download.value.save_as(tmp_path / "numbers.csv")
    with (tmp_path / "numbers.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    game = solution.game
    assert len(rows) == 4 * sum(int(mask.sum()) for mask in game.legal)
    for one in rows[::97]:
        i = game.agent_index(one["agent"])
        state = game.state_index(one["state"].split(", "))
        action = game.actions[i].index(one["action"])
        expected = solution.policy[i][(int(one["step"]), *state, action)]
        assert float(one["probability"]) == pytest.approx(expected, abs=1e-7)
        assert float(one["value"]) == pytest.approx(solution.value[i][(int(one["step"]), *state)], abs=1e-5)


def test_values_colour_the_map(show_file, grid):
    solution, file = grid
    opened = show_file(file)
    opened.locator("#shade").select_option("0")
    shown = [float(text) for text in opened.locator(".worth text").all_text_contents()]
    np.testing.assert_allclose(shown, solution.value[0][0][:, 8], atol=5.1e-3)
    opacity = [float(cell.get_attribute("fill-opacity")) for cell in opened.locator(".shade").all()]
    assert np.argmax(opacity) == np.argmax(solution.value[0][0][:, 8])


def test_the_second_slider_runs_along_the_branch(show_file, stag, keep_screenshot):
    path, file = stag
    opened = show_file(file)
    slider, said = opened.locator("#beta"), opened.locator("#beta-now")
    asked = [k for k, step in enumerate(path.trail) if step.kind == "asked"]
    assert len(asked) == 9 + 2 * 4  # beta = 1, 1.5, 2 and 2.5 lie between the folds
    for k in asked:
        slider.fill(str(k))
        solution = path.trail[k].solution
        assert float(said.inner_text().split(",")[0]) == pytest.approx(path.trail[k].beta)
        assert check_policies(opened, solution, (0,), None) == 4
        passes = path.passes[path.betas.index(path.trail[k].beta)]
        name = f", pass {passes.index(solution) + 1} of {len(passes)}" if len(passes) > 1 else ""
        assert said.inner_text().endswith(name)
        assert slider.get_attribute("aria-valuetext") == f"β {said.inner_text()}"
    # The keyboard walks on from pass to pass, through the fold.
    fold = next(k for k, step in enumerate(path.trail) if step.kind == "fold")
    slider.fill(str(fold - 1))
    slider.focus()
    opened.keyboard.press("ArrowRight")
    assert said.inner_text() == "2.962, fold"
    opened.keyboard.press("ArrowRight")
    assert said.inner_text().endswith("pass 2 of 3")
    # A click on the curve picks the pass that is drawn there: the eager hunter at beta = 2, all but sure of the stag.
    chart = opened.locator("#charts svg").nth(1)
    box = chart.bounding_box()
    chart.click(position={"x": 44 + 0.5 * (box["width"] - 44 - 92), "y": 8 + 0.01 * (box["height"] - 40)})
    assert said.inner_text() == "2, pass 3 of 3"
    assert "turns back" in opened.locator("#charts").inner_text()
    keep_screenshot(opened, "stag-hunt")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_fits_and_can_be_read(show_file, grid, theme, viewport, contrast, keep_screenshot):
    opened = show_file(grid[1], viewport, color_scheme=theme)
    assert opened.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    for selector in ("h1", ".dim", ".bars .p", "dd"):
        assert contrast(opened, selector) >= 4.5, selector
    keep_screenshot(opened, f"grid-two-{theme}-{viewport['width']}")


LONG = "one whose name is longer than there is room for anywhere " * 3


def test_names_and_games_of_any_kind_are_shown(show_file, folder):
    # What is written is text, and nothing sticks out of a phone: names in code, in other scripts, long, and none.
    rng = np.random.default_rng(0)

    def drawn(states, players, choices, **names):
        rewards = [rng.normal(size=(states, *[choices] * players)) for _ in range(players)]
        moves = rng.dirichlet(np.ones(states), size=(states, *[choices] * players))
        return qt.MarkovGame.from_arrays(rewards, moves, **names)

    evil = "</script><script>document.title = 1</script>"
    named = drawn(3, 2, 2, agents=(evil, LONG), actions=((evil, "ε→\u202e\U0001f98a"), ("a\nb", "")))
    shown = {
        "named": qt.solve(named, beta=1.0, horizon=1),
        "alone": qt.solve(drawn(1, 1, 1), beta=1.0, horizon=1),
        "many": qt.solve(drawn(200, 2, 2), beta=0.1, discount=0.1),
        "five": qt.solve(drawn(2, 5, 2), beta=0.1, horizon=1),
    }
    for name, solution in shown.items():
        page.write(solution, folder / f"{name}.html", certificate=False)
        opened = show_file(folder / f"{name}.html", PHONE)
        assert opened.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name
        assert opened.title() == "A game"
        text = opened.locator("#policies").inner_text()
        assert all(agent.strip() in text for agent in solution.game.agents), name
        assert opened.locator("#policies h3").count() == solution.game.number_of_agents
