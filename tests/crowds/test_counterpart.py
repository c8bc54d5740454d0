"""The exact game of a crowd: its rewards and moves, and the cases in which both games have one solution."""

from dataclasses import replace

import numpy as np
import pytest

import quantal as qt
from quantal.crowds import counterpart
from quantal.errors import ParameterError
from quantal.scenes.reading import parse_scene

HALL = '''horizon = 5
map = """
...
.#.
...
"""
[kinds.walker]
beta = 1.5
pace = 0.8
rewards = { floor = 0.25 }
[[agents]]
name = "ann"
kind = "walker"
start = [0, 0]
goal = [2, 2]
goal_reward = 3
weight = 2.0
[[agents]]
name = "bob"
kind = "walker"
start = ["r2c0", "r0c2"]
goal = [0, 1]
beta = 0.7
weight = 3.0
'''
"""Chance moves, a random start, two precisions."""


def solved(scene, game):
    return qt.solve(game, beta=scene.beta_of(game), horizon=scene.horizon, tol=1e-11)


def same_away_from_goals(scene, crowd, exact):
    """Compare Q, V and policies; the exact ones must not depend on the others' positions."""
    number = {label: k for k, label in enumerate(scene.map.labels)}
    for i, member in enumerate(scene.members):
        game = exact.game
        cells = np.array([number[label] for label in game.state_labels[i]])
        actions = [crowd.game.actions[i].index(name) for name in game.actions[i]]
        open_cells = cells != member.goal
        mine = np.asarray(crowd.policy[i])[:, cells][..., actions]
        theirs = np.moveaxis(exact.policy[i], 1 + i, 1)
        theirs = theirs.reshape(*theirs.shape[:2], -1, theirs.shape[-1])
        for k in range(theirs.shape[2]):
            np.testing.assert_allclose(theirs[:, open_cells, k], mine[:, open_cells], atol=1e-9)
        values = np.moveaxis(exact.value[i], 1 + i, 1).reshape(scene.horizon + 1, cells.size, -1)
        for k in range(values.shape[2]):
            np.testing.assert_allclose(values[..., k], np.asarray(crowd.value[i])[:, cells], atol=1e-9)


def test_one_agent_has_the_same_solution_in_both():
    scene = parse_scene(HALL)
    alone = replace(scene, members=scene.members[:1], beta=scene.beta[:1])
    same_away_from_goals(alone, solved(alone, alone.crowd()), solved(alone, alone.exact()))


def test_agents_who_do_not_mind_each_other_have_the_same_solution_in_both():
    scene = parse_scene(HALL)
    strangers = replace(scene, members=tuple(replace(m, weight=0.0) for m in scene.members))
    same_away_from_goals(strangers, solved(strangers, strangers.crowd()), solved(strangers, strangers.exact()))


def test_where_positions_are_certain_occupancy_is_position():
    # Both stand on cells that they cannot leave: expecting them there is seeing them there.
    text = """horizon = 3
map = "..#"
[legend]
"." = { ground = "pit", lane = "^" }
[kinds.stone]
lanes = true
beta = 1
weight = 2.5
[[agents]]
name = "a"
kind = "stone"
start = [0, 0]
[[agents]]
name = "b"
kind = "stone"
start = [0, 0]
"""
    scene = parse_scene(text)
    crowd, exact = solved(scene, scene.crowd()), solved(scene, scene.exact())
    # Three steps, each -1 for the step and -2.5 for the other.
    assert exact.value["a"][0].item() == pytest.approx(-10.5, abs=1e-12)
    assert np.asarray(crowd.value["a"])[0, 0] == pytest.approx(-10.5, abs=1e-12)


def test_rewards_are_the_equation():
    scene = replace(parse_scene(HALL), nearness=(1.0, 0.5))
    game = scene.exact()
    ann, bob = scene.members
    where = [[scene.map.cells[scene.map.labels.index(label)] for label in axis] for axis in game.state_labels]
    for (a, at), (b, bt) in ((p, q) for p in enumerate(where[0]) for q in enumerate(where[1])):
        apart = abs(at[0] - bt[0]) + abs(at[1] - bt[1])
        near = {0: 1.0, 1: 0.5}.get(apart, 0.0)
        arrived = [scene.map.number[at] == ann.goal, scene.map.number[bt] == bob.goal]
        meeting = 0.0 if any(arrived) else near
        expected = [0.0 if arrived[0] else -0.75 - 3.0 * meeting, 0.0 if arrived[1] else -0.75 - 2.0 * meeting]
        found = [float(np.broadcast_to(r, (*game.state_shape, 1, 1))[a, b, 0, 0]) for r in game.rewards]
        np.testing.assert_allclose(found, expected, atol=1e-15)
        finals = [np.broadcast_to(f, game.state_shape)[a, b] for f in game.final_rewards]
        assert finals == [3.0 if arrived[0] else 0.0, 0.0]


def test_only_reachable_cells_and_useful_actions_are_counted():
    scene = qt.read_scene("junction")
    game = scene.exact()
    car = game.agents.index("car 2")
    # One-way lanes: car 2 can reach what lies ahead of it, a few of the 38 cells; nobody can turn round.
    assert 6 < game.state_shape[car] < 20
    assert counterpart.entries(scene.crowd()) == np.prod(game.state_shape) * np.prod(game.action_counts)
    assert scene.map.labels[scene.members[car].start] in game.state_labels[car]
    assert "left" in game.actions[car]  # at the crossing it may turn
    assert game.state_labels[car] != game.state_labels[0]


def test_many_of_one_become_agents_of_their_own():
    text = HALL.replace('name = "bob"', 'name = "bob"\ncount = 2')
    scene = parse_scene(text)
    game = scene.exact()
    assert game.agents == ("ann", "bob 1", "bob 2")
    assert scene.beta_of(game) == (1.5, 0.7, 0.7)
    # Bobs feel each other: alone with the other bob on his start cell, far from ann, each pays mu = 3.
    here = game.state_labels[1].index("r2c0")
    ann = game.state_labels[0].index("r0c0")
    reward = np.broadcast_to(game.rewards[1], (*game.state_shape, 1, 1, 1))[ann, here, here, 0, 0, 0]
    assert reward == pytest.approx(-0.75 - 3.0)


def test_a_million_of_one_are_counted_without_listing_them():
    text = HALL.replace('name = "bob"', 'name = "bob"\ncount = 1_000_000_000_000')
    scene = parse_scene(text)
    assert scene.exact_entries > 10**18
    assert isinstance(scene.game("auto"), qt.CrowdGame)
    with pytest.raises(qt.TooLargeError, match=r"1,000,000,000,001 agents, over 10\^18 joint positions.*as a crowd"):
        scene.exact()


def test_an_interaction_of_ones_own_has_no_exact_game():
    game = parse_scene(HALL).crowd()
    own = qt.CrowdGame(
        cells=game.cells,
        kinds=game.kinds,
        members=game.members,
        interaction=lambda presence, kind: -presence.sum(axis=0),
    )
    with pytest.raises(ParameterError, match="interaction: expected weights and nearness"):
        counterpart.exact(own)
