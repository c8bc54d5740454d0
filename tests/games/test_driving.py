"""The driving scene does what the paper says, at its own numbers and around them; the other scenes do what they say."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

import quantal as qt
from quantal.crowds.game import steps_to
from quantal.experiments.driving import as_in_paper, with_setting
from quantal.scenes.journeys import journeys

DAMPINGS = [{}, {"damping": 0.5}, {"method": "picard", "damping": 0.2}]


@pytest.fixture(scope="module")
def scene():
    return qt.read_scene("junction")


def solved(scene, **how):
    return qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon, value=scene.value, **how)


def likeliest_paths(scene, solution):
    """Most probable play by hand: everyone's likeliest action, from the start, as cell labels."""
    game = solution.game
    paths = {}
    for i, agent in enumerate(game.agents):
        kind, x = game.kind_of(agent), int(np.argmax(game.start(agent)))
        cells = [x]
        for policy in np.asarray(solution.policy[agent]):
            if x != game.goals[i]:
                x = int(kind.successors[x, policy[x].argmax(), 0])
            cells.append(x)
        paths[agent] = cells
    return paths


def test_the_builder_is_the_scene(scene):
    game = qt.games.driving.junction()
    assert game.agents == ("car 1", "car 2", "car 3", "pedestrian")
    assert "Reconstructed" in scene.about
    # Psi = -sum mu_j O_j, nothing else: every agent weighs the same to everyone.
    np.testing.assert_array_equal(game.kind_weights, 1.0)
    assert game.nearness is None
    assert [m.weight for m in game.members] == [2.0, 2.0, 2.0, 60.0]


@pytest.mark.parametrize(
    "how", [DAMPINGS[0], *(pytest.param(how, marks=pytest.mark.deep) for how in DAMPINGS[1:])], ids=str
)
def test_cars_stop_then_2_then_1_then_3_by_shortest_routes(scene, how):
    # There are several equilibria; whichever is found, most probable play is what Section 7 describes.
    solution = solved(scene, **how)
    assert solution.converged
    game, paths = solution.game, likeliest_paths(scene, solution)
    zebra = {x for x, ground in enumerate(scene.ground) if ground == "zebra"}
    crossed = paths["pedestrian"].index(game.goals[3])
    assert paths["pedestrian"][: crossed + 1] == [scene.map.labels.index(x) for x in ("r3c3", "r2c3", "r1c3", "r0c3")]
    passes = {}
    for car in ("car 1", "car 2", "car 3"):
        passes[car] = next(t for t, x in enumerate(paths[car]) if x in zebra)
        before = paths[car][: passes[car]]
        assert any(a == b for a, b in pairwise(before)), "it stops before the zebra"
        assert passes[car] >= crossed, "nobody is on the zebra before the pedestrian has left it"
    assert passes["car 2"] < passes["car 1"] < passes["car 3"]
    for i, agent in enumerate(game.agents):
        moves = sum(a != b for a, b in zip(paths[agent], paths[agent][1:], strict=False))
        assert paths[agent][-1] == game.goals[i]
        assert moves == steps_to(game.kind_of(agent), game.goals[i])[paths[agent][0]]


@pytest.mark.deep
def test_it_does_not_hang_on_the_numbers(scene):
    # The corners of the box that the docstring of `junction` names.
    for beta, pedestrian, car, mu in product((2.0, 4.0), (0.5, 1.0), (1.0, 2.0), (60.0, 120.0)):
        there = with_setting(scene, beta, mu, mu_car=car, beta_pedestrian=pedestrian)
        solution = solved(there)
        assert solution.converged
        assert as_in_paper(there, journeys(there, solution)), (beta, pedestrian, car, mu)


def test_nobody_waits_where_nobody_minds(scene):
    # The limit of mu = 0: everyone goes straight to its goal; car 1 takes the five steps that it needs.
    free = with_setting(scene, 3.0, 0.0, mu_car=0.0)
    record = journeys(free, solved(free))
    assert all(not j.waits and j.arrival == j.shortest for j in record.each)
    assert not as_in_paper(free, record)


@pytest.mark.deep
def test_right_of_way_has_one_equilibrium(scene):
    # Where the pedestrian minds no car, nothing is left to negotiate: every damping finds the same.
    cars, pedestrian = 0, 1
    weights = np.ones((2, 2))
    weights[pedestrian, cars] = 0.0
    there = replace(scene, kind_weights=weights)
    found = [solved(there, **how) for how in DAMPINGS]
    assert as_in_paper(there, journeys(there, found[0]))
    for other in found[1:]:
        for agent in there.agents:
            np.testing.assert_allclose(other.occupancy[agent], found[0].occupancy[agent], atol=1e-8)


def test_first_come_first_served():
    scene = qt.read_scene("four-way-stop")
    assert qt.games.driving.four_way_stop().agents == ("north", "east", "south", "west")
    for how in ({}, {"method": "picard", "damping": 0.2}):
        solution = solved(scene, **how)
        record = journeys(scene, solution)
        assert solution.converged
        inside = [[t for t, x in enumerate(j.path) if scene.ground[x] == "junction"] for j in record.each]
        north, east, south, west = (times[0] for times in inside)
        # They start one, four, three and two steps before the junction.
        assert north < west <= south < east
        assert sum(len(j.waits) for j in record.each) >= 2
        assert all(scene.ground[w.cell] == "road" for j in record.each for w in j.waits)
        assert record.together < 0.02


def test_robots_meet_because_they_want_to():
    scene = qt.read_scene("warehouse")
    assert qt.games.warehouse.exchange().agents == ("robot 1", "robot 2")
    met = journeys(scene, solved(scene))
    alone = replace(scene, members=tuple(replace(m, weight=0.0) for m in scene.members))
    apart = journeys(alone, solved(alone))
    bays = {scene.map.labels[j.path[-2]] for j in met.each}
    own = {scene.map.labels[j.path[-2]] for j in apart.each}
    assert len(bays) == 1
    assert own == {"r2c0", "r4c8"}
    assert met.together > 5
    assert apart.together < 0.5
