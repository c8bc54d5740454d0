"""Pages of exact solutions: their numbers are the solution's, maps are the games', and what is certain is in words."""

import json

import numpy as np
import pytest
from tests.cli.test_cli import keys_in_documentation
from tests.pages.test_crowds import EVIL, _Elements, check_self_contained, embedded

import quantal as qt
from quantal.pages import document, outlines
from quantal.pages import games as page


@pytest.fixture(scope="module")
def grid():
    return qt.solve(qt.games.build("grid-two"), beta=1.0, horizon=3)


@pytest.fixture(scope="module")
def stag():
    return qt.solve_path(qt.games.build("stag-hunt"), (4.0, 0.0, 1.0), discount=0.0)


# ---------------------------------------------------------------------- numbers


def test_a_page_holds_the_solution(grid):
    data = embedded(page.page(grid, certificate=False))
    for i, agent in enumerate(data["agents"]):
        play = document.unpacked(agent["policy"])[0].reshape(grid.policy[i].shape)
        legal = np.broadcast_to(grid.game.legal[i], play.shape)
        np.testing.assert_allclose(play[legal], grid.policy[i][legal], atol=6e-8)
        assert (play[~legal] == page.ILLEGAL).all()
        worth = document.unpacked(agent["value"])[0].reshape(grid.value[i].shape)
        np.testing.assert_allclose(worth, grid.value[i], rtol=1e-6, atol=1e-6)


def test_a_path_is_walked_from_uniform_play_through_every_pass(stag):
    data = embedded(page.page(stag, certificate=False))
    stops = data["stops"]
    play = document.unpacked(data["agents"][0]["policy"])[:, 0, 0]
    worth = document.unpacked(data["agents"][0]["value"])[:, 0, 0]
    assert len(stops) == len(play) == len(worth) == len(stag.trail)
    # What was asked for, by arclength: beta = 1 is met on the way up, on the way back, and on the way up again.
    asked = [(k, stop) for k, stop in enumerate(stops) if stop["kind"] == "asked"]
    assert [(s["beta"], s["pass"], s["of"]) for _, s in asked] == [
        (0, 1, 1),
        (1, 1, 3),
        (1, 2, 3),
        (1, 3, 3),
        (4, 1, 1),
    ]
    np.testing.assert_allclose(play[0], [0.5, 0.5], atol=1e-7)  # uniform where beta is 0
    for (k, _), solution in zip(asked, (stag[1], *stag.passes[2], stag[0]), strict=True):
        np.testing.assert_allclose(play[k], solution.policy[0][0], atol=1e-7)
        assert worth[k] == pytest.approx(solution.value[0][0], rel=1e-6)
    # No step is a leap, except in beta where play hardly moves.
    assert np.abs(np.diff(play[:, 0])).max() < 0.2
    betas = [stop["beta"] for stop in stops]
    turns = [k for k in range(1, len(stops) - 1) if (betas[k + 1] > betas[k]) != (betas[k] > betas[k - 1])]
    assert [stops[k]["kind"] for k in turns] == ["fold", "fold"]
    for stop in stops:
        # Between the folds, in beta, there are three passes; elsewhere one.
        low, high = sorted(data["folds"])
        assert stop["of"] == (3 if low < stop["beta"] < high else 1) or stop["kind"] == "fold"


def test_a_long_walk_is_thinned_between_what_was_asked_for(stag, monkeypatch):
    monkeypatch.setattr(page, "MOST_NUMBERS", 20 * 6)  # 6 numbers at each stop: 2 x 2 probabilities and 2 values
    stops = page.record(stag, certificate=False)["stops"]
    assert len(stops) <= 20
    assert [stop["kind"] for stop in stops].count("asked") == 5
    assert [stop["kind"] for stop in stops].count("fold") == 2


def test_with_a_horizon_a_path_has_a_stop_for_each_precision():
    game = qt.games.build("grid-one")
    stops = page.record(qt.solve_path(game, (1.0, 0.5), horizon=1), certificate=False)["stops"]
    assert [(stop["beta"], stop["of"]) for stop in stops] == [(0.5, 1), (1.0, 1)]


def test_the_folds_are_the_paths(stag):
    data = embedded(page.page(stag, certificate=False))
    assert data["folds"] == pytest.approx([fold.beta for fold in stag.folds])
    assert data["payoffs"][0][0] == [16.0, 4.0]


def test_a_page_begins_where_it_is_told_to(grid):
    assert embedded(page.page(grid, certificate=False, state=(4, 0)))["start"] == [4, 0]
    for state in ((0,), (0, 9), (-1, 0)):
        with pytest.raises(qt.ParameterError, match=r"expected one of shape \(9, 9\)"):
            page.record(grid, certificate=False, state=state)


def test_what_is_too_much_for_a_page_is_thinned_or_refused(grid, monkeypatch):
    each = 81 * 12
    monkeypatch.setattr(page, "MOST_NUMBERS", 3 * each)
    data = page.record(grid, certificate=False)
    assert data["frames"] == (0, 2)
    assert data["moves"] is None
    assert "not worked out" in data["why_not"]
    assert any("One step in 2 is kept" in note for note in data["notes"])
    kept = document.unpacked(data["agents"][0]["policy"])[0, 1]
    legal = kept >= 0
    np.testing.assert_allclose(kept[legal], grid.policy[0][2].reshape(81, -1)[legal], atol=6e-8)
    monkeypatch.setattr(page, "MOST_NUMBERS", each)
    with pytest.raises(qt.TooLargeError, match="81 joint states: 972 numbers for one step, and a page holds 972"):
        page.record(grid, certificate=False)


# ---------------------------------------------------------------------- maps


def test_goals_and_barriers_are_where_the_rules_have_them():
    game = qt.games.build("grid-two")
    drawn = outlines.outline(game)
    cells = drawn["cells"]
    at = {label: k for k, label in enumerate(cells["labels"])}
    assert {label: cells["marks"][k] for label, k in at.items() if cells["marks"][k]} == {
        "r0c1": "G",
        "r2c0": "A",
        "r2c2": "B",
    }
    # A barrier is what somebody's move upwards passes with probability 1/2.
    up, stay = game.actions[0].index("up"), game.actions[1].index("stay")
    halved = set()
    for cell, label in enumerate(game.state_labels[0]):
        other = game.state_labels[0].index("r0c2" if label != "r0c2" else "r0c0")
        if game.legal[0][cell, other, up] and game.dynamics.probabilities[cell, other, up, stay].max() == 0.5:
            halved.add(label)
        if game.legal[1][other, cell, up] and game.dynamics.probabilities[other, cell, stay, up].max() == 0.5:
            halved.add(label)
    assert halved == {label for label, k in at.items() if cells["lids"][k]} == {"r2c0", "r2c2"}


def test_what_letters_on_a_map_mean_is_said():
    assert outlines.rules(qt.games.build("rabbit-hole")).startswith("o entrance, * prize: +0.3")
    assert outlines.rules(qt.games.build("grid-one")).startswith("A goes to a, B to b")
    for name in ("pursuit-two", "stag-hunt", "random"):  # drawn otherwise, or not at all
        assert outlines.rules(qt.games.build(name)) == ""


def test_nodes_are_joined_by_whoever_moves_along():
    drawn = outlines.outline(qt.games.build("pursuit-two"))
    assert drawn["nodes"]
    x, y = drawn["cells"]["x"], drawn["cells"]["y"]
    for a, b, who in drawn["edges"]:
        diagonal = abs(x[a] - x[b]) == abs(y[a] - y[b]) == 1
        assert who == (1 if diagonal else 0)  # the hunter goes along rows and columns, the prey across
    assert len(drawn["edges"]) == 12 + 8
    assert all(who is None for *_, who in outlines.outline(qt.games.build("pursuit-three"))["edges"])


def test_walls_are_where_there_are_no_cells():
    game = qt.games.random.grid(6, 5, 2, seed=3, obstacles=0.25)
    drawn = outlines.outline(game)
    assert len(drawn["cells"]["labels"]) == game.state_shape[0] < 30
    goals = {mark: label for mark, label in zip(drawn["cells"]["marks"], drawn["cells"]["labels"], strict=True) if mark}
    for i in range(2):
        # The goal is where standing alone is worth something.
        other = int(np.argmin(game.rewards[1 - i].max(axis=(i, 2, 3))))
        alone = np.moveaxis(np.broadcast_to(game.rewards[i], (*game.state_shape, 1, 1))[..., 0, 0], i, 0)[:, other]
        assert goals[str(i + 1)] == game.state_labels[i][int(alone.argmax())]


def test_games_without_a_map_are_rows_of_states():
    drawn = outlines.outline(qt.games.random.stochastic(15, 2, 2))
    assert (drawn["width"], drawn["height"]) == (12, 2)
    assert drawn["axes"] == [list(range(15))]


# ---------------------------------------------------------------------- words


def test_the_certificate_in_words(stag):
    game = qt.games.build("stag-hunt")
    weak = page.in_words(qt.solve(game, beta=0.01, discount=0.0))
    assert "It is the only equilibrium: proved" in [said["head"] for said in weak]
    strong = page.in_words(stag[0])
    assert "It is the principal one" in [said["head"] for said in strong]
    cycling = qt.games.experiments.selten_chmura_2008()[0].game
    hasty = qt.solve(cycling, beta=5.0, discount=0.0, method="picard", max_steps=3)
    assert not hasty.converged
    assert [said["sign"] for said in page.in_words(hasty)] == ["✗"]


# ---------------------------------------------------------------------- structure and the command


def test_a_page_needs_nothing_from_elsewhere(grid, stag):
    for solved in (grid, stag):
        check_self_contained(page.page(solved, certificate=False))


def test_names_are_text_and_nothing_else():
    def shown(name):
        game = qt.MarkovGame.normal_form(
            (np.eye(2), np.eye(2)), agents=(name, "b"), actions=((name, "d"), ("e", "f")), name=name, picture=name
        )
        return page.page(qt.solve(game, beta=1.0, discount=0.0), certificate=False, made=name)

    tags = [tag for tag, _ in _Elements(shown(EVIL)).found]
    assert tags == [tag for tag, _ in _Elements(shown("plain")).found]
    assert embedded(shown(EVIL))["agents"][0]["name"] == EVIL


def test_solutions_of_crowds_have_a_page_of_their_own():
    scene = qt.read_scene("warehouse")
    with pytest.raises(qt.ParameterError, match="got one of a CrowdGame"):
        page.page(qt.solve(scene.crowd(), beta=scene.beta, horizon=1))


@pytest.mark.deep
def test_the_command_shows_games_branches_and_files(ask, tmp_path):
    file = tmp_path / "stag.html"
    record = ask("view", "stag-hunt", "--betas", "0:4:5", "--out", file, "--no-certificate")
    assert set(record) == keys_in_documentation("view")
    assert record["game"] == "stag hunt"
    data = embedded(file.read_text())
    asked = [stop for stop in data["stops"] if stop["kind"] == "asked"]
    assert [stop["beta"] for stop in asked if stop["pass"] == 1] == [0, 1, 2, 3, 4]
    assert data["made"] == f"Quantal {qt.__version__}: quantal view stag-hunt --betas 0:4:5"
    solution = qt.solve(qt.games.build("pursuit-one-step"), beta=1.0, horizon=1)
    solution.save(tmp_path / "kept.nc")
    ask("view", tmp_path / "kept.nc", "--out", file, "--no-certificate")
    shown = embedded(file.read_text())
    np.testing.assert_allclose(
        document.unpacked(shown["agents"][0]["policy"])[0].clip(0).reshape(solution.policy[0].shape),
        solution.policy[0],
        atol=6e-8,
    )
    assert str(tmp_path) not in file.read_text()
    ask("view", tmp_path / "kept.nc", "--beta", "0", "--out", file, "--no-certificate")
    anew = embedded(file.read_text())
    assert json.loads(json.dumps(anew["parameters"]["beta"])) == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.nc",), "no such file"),
        (("stag-hunt", "--exact"), "--exact: for a scene only"),
        (("stag-hunt", "--betas", "0:4:3", "--beta", "1"), "--beta: not with --betas"),
        (("stag-hunt", "--betas", "0"), "expected one above 0"),
        (("stag-hunts",), "Did you mean stag-hunt"),
    ],
)
def test_the_command_refuses_what_it_cannot_show(run, arguments, message):
    assert message in run("view", *arguments, code=2).stderr
