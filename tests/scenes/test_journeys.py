"""Journeys: read off both games of a scene, against what can be told by hand."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import quantal as qt
from quantal.errors import ParameterError
from quantal.reports.scenes import meetings, scene_record
from quantal.scenes.journeys import journeys
from quantal.scenes.reading import parse_scene

CORRIDOR = """horizon = 7
map = "....."
[kinds.walker]
beta = 60
[[agents]]
name = "ann"
kind = "walker"
start = [0, 0]
goal = [0, 4]
[[agents]]
name = "bob"
kind = "walker"
start = [0, 2]
goal = [0, 3]
weight = 0
"""
"""At such a precision everyone walks straight on."""


def solved(scene, game):
    return qt.solve(game, beta=scene.beta_of(game), horizon=scene.horizon)


@pytest.mark.parametrize("play", ["crowd", "exact"])
def test_a_walk_is_told_as_it_is(play):
    scene = parse_scene(CORRIDOR)
    record = journeys(scene, solved(scene, scene.game(play)))
    ann, bob = record.each
    assert ann.path.tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert (ann.arrival, ann.moves, ann.shortest, ann.waits) == (4, 4, 4, ())
    assert ann.expected_arrival == pytest.approx(4, abs=1e-6)
    assert bob.arrival == 1
    # Bob is gone when ann comes by.
    assert record.together == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(ann.occupancy.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(ann.occupancy[np.arange(5), np.arange(5)], 1, atol=1e-6)


@pytest.mark.parametrize("play", ["crowd", "exact"])
def test_waiting_is_told_with_place_and_time(play):
    # Somebody stands in the way for good (its cell has no exit), and costs 3: waiting for ever would cost more.
    text = CORRIDOR.replace("goal = [0, 3]\nweight = 0", "weight = 3").replace("beta = 60", "beta = 60\nstep = 0")
    text = text.replace('"....."', '"..v.."').replace(
        "[kinds.walker]", '[kinds.post]\nlanes = true\nground = ["road"]\nbeta = 1\n[kinds.walker]'
    )
    text = text.replace('name = "bob"\nkind = "walker"', 'name = "bob"\nkind = "post"')
    scene = parse_scene(text)
    record = journeys(scene, solved(scene, scene.game(play)))
    ann, bob = record.each
    # Without a cost of time, and with 3 to pay on the way to a goal that gives nothing, ann does not pass.
    assert ann.arrival is None
    assert set(ann.path.tolist()) <= {0, 1}
    assert [(w.cell, w.since, w.steps) for w in bob.waits] == [(2, 0, 7)]
    assert (bob.goal, bob.arrived, bob.expected_arrival, bob.shortest) == (None, None, None, None)


def test_meetings_are_products_for_a_crowd_and_joint_in_the_exact_game():
    # Two that hop between two cells at random (beta = 0), from the same cell.
    text = """horizon = 2
map = ".."
[kinds.hopper]
beta = 0
[[agents]]
name = "a"
kind = "hopper"
start = [0, 0]
[[agents]]
name = "b"
kind = "hopper"
start = [0, 0]
"""
    scene = parse_scene(text)
    for game in (scene.crowd(), scene.exact()):
        record = journeys(scene, solved(scene, game))
        # Together at first; then each is anywhere with 1/2 (stay or move), independently: 1 + 1/2 + 1/2.
        np.testing.assert_allclose(record.meetings, [[0, 2], [2, 0]], atol=1e-12)
        assert record.together == pytest.approx(2)


def test_a_count_meets_in_all_its_pairs():
    # As above, one of them three times over: 3 pairs across, 3 among themselves, two steps each.
    text = CORRIDOR.replace("beta = 60", "beta = 0").replace('"....."', '".."').replace("horizon = 7", "horizon = 2")
    text = re.sub(r"goal = .*\n", "", text).replace("weight = 0", "count = 3").replace("[0, 2]", "[0, 0]")
    scene = parse_scene(text)
    record = journeys(scene, solved(scene, scene.crowd()))
    np.testing.assert_allclose(record.meetings, [[0, 6], [6, 6]], atol=1e-12)
    assert record.together == pytest.approx(12)
    exact = journeys(scene, solved(scene, scene.exact()))
    assert exact.together == pytest.approx(12)
    rows = scene_record(record, 0.0)["meetings"]
    assert [row["agents"] for row in rows] == [["ann", "bob"], ["bob", "bob"]]
    shown = io.StringIO()
    Console(file=shown, width=80).print(meetings(record))
    assert "bob, among themselves" in shown.getvalue()
    assert "pairs of people" in " ".join(shown.getvalue().split())


def test_a_slow_walker_is_expected_later():
    scene = parse_scene(CORRIDOR.replace("beta = 60", "beta = 60\npace = 0.5").replace("horizon = 7", "horizon = 40"))
    record = journeys(scene, solved(scene, scene.crowd()))
    ann = record.each[0]
    # Four steps that succeed with 1/2 take 8 on average; most probable play counts them as sure.
    assert ann.expected_arrival == pytest.approx(8, abs=0.01)
    assert ann.arrived[-1] > 0.999


def test_a_solution_of_another_scene_is_refused():
    scene, other = parse_scene(CORRIDOR), qt.read_scene("warehouse")
    with pytest.raises(
        ParameterError, match=r"expected a game of this scene, with the agents robot 1, robot 2: got ann"
    ):
        journeys(other, solved(scene, scene.crowd()))


def test_a_solution_without_an_end_is_refused():
    scene = parse_scene(CORRIDOR)
    endless = qt.solve(scene.exact(), beta=1.0, discount=0.5)
    with pytest.raises(ParameterError, match="expected a solution with a horizon"):
        journeys(scene, endless)
