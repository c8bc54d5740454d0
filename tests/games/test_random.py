"""Random games: the draws of sgamesolver, grids of any size, and a refusal of those that do not fit."""

import numpy as np
import pytest
from benchmarks.reference.sgamesolver_games import random_sgame
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.games.loops import successors_at

from quantal import memory
from quantal.errors import GameError, TooLargeError
from quantal.games import random

# --------------------------------------------------------------------------- stochastic


@pytest.mark.parametrize(
    ("states", "agents", "actions", "seed"),
    [(8, 2, 4, 0), (5, 3, 2, 7), (4, 2, (1, 3), 1), (3, 1, 2, 2), (1, 2, 3, 0), (6, 4, (2, 2), 5)],
)
def test_draws_are_sgamesolvers_to_the_last_bit(states, agents, actions, seed):
    # The reference file was checked against sgamesolver itself, in an environment of its own.
    game = random.stochastic(states, agents, actions, seed)
    theirs = random_sgame(states, agents, actions, seed=seed)
    for i in range(agents):
        assert np.array_equal(game.rewards[i], theirs.payoffs[:, i])
        assert np.array_equal(game.legal[i].sum(axis=-1), theirs.counts[:, i])
    played = theirs.transitions.any(axis=-1)
    assert np.array_equal(game.dynamics.probabilities[played], theirs.transitions[played])
    assert (game.dynamics.successors[played] == np.arange(states)).all()


def test_payoffs_are_uniform_and_every_state_follows_every_state():
    game = random.stochastic(40, 2, 5, seed=3)
    payoffs = np.concatenate([r.ravel() for r in game.rewards])
    assert stats.kstest(payoffs, "uniform").pvalue > 0.01
    assert (game.dynamics.probabilities > 0).all()
    assert not game.absorbing.any()


def test_seeds_tell_games_apart():
    first, again, other = (random.stochastic(3, 2, 2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.rewards[0], again.rewards[0])
    assert not np.array_equal(first.rewards[0], other.rewards[0])


def test_actions_beyond_a_states_own_are_illegal():
    game = random.stochastic(30, 2, (1, 4), seed=0)
    for mask in game.legal:
        # The first ones are legal, and every number of them occurs.
        assert (np.diff(mask.astype(int), axis=-1) <= 0).all()
        assert set(mask.sum(axis=-1)) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 2, 2), ["states", "at least 1", "got 0"]),
        ((2, 0, 2), ["agents", "at least 1", "got 0"]),
        ((2, 2, 0), ["actions", "at least 1", "got 0"]),
        ((2, 2, (3, 2)), ["actions", "low <= high", "(3, 2)"]),
    ],
)
def test_senseless_sizes_are_refused(arguments, words):
    with pytest.raises(GameError) as error:
        random.stochastic(*arguments)
    for word in words:
        assert word in str(error.value)


def test_what_does_not_fit_is_refused_before_it_is_drawn():
    # 1000^2 states x 10^4 joint actions: 80 GB of probabilities for one copy.
    with pytest.raises(TooLargeError) as error:
        random.stochastic(100_000, 2, 10)
    message = str(error.value)
    for word in ("100000 states", "TiB", "are free", "fewer states", "random.grid"):
        assert word in message


# --------------------------------------------------------------------------- grid


def test_a_grid_without_obstacles_has_every_cell():
    game = random.grid(4, 3, 2, seed=0)
    assert game.state_shape == (12, 12)
    assert game.product
    assert game.dynamics.deterministic
    assert game.picture.split("\n")[:3] == ["....", "1...", "2..."] or game.picture.count("#") == 1


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 3),
    st.floats(0, 0.6),
    st.integers(0, 1000),
)
def test_laws_of_grids(width, height, agents, obstacles, seed):
    try:
        game = random.grid(width, height, agents, seed, obstacles=obstacles, collision_cost=0.7)
    except GameError as error:  # all walls
        assert "none free" in str(error)  # noqa: PT017
        return
    n = game.state_shape[0]
    where = game.coordinates[0]
    rows = game.picture.split("\n")
    free = {(x, y) for y, row in enumerate(rows[:-1]) for x, c in enumerate(row) if c != "#"}
    assert {(int(x), int(y)) for x, y in where} == free
    table = game.dynamics.successors[0][..., 0]
    for agent in range(agents):
        legal = game.legal[agent].reshape(n, 5)
        assert np.array_equal(game.dynamics.successors[agent][..., 0], table)
        for k, a in np.argwhere(legal):
            # A legal move leads to a neighbour, and back again.
            assert np.abs(where[table[k, a]] - where[k]).sum() == (a != 4)
            assert k in table[table[k, a]]
        # All neighbours can be moved to: no arrow is missing.
        steps = np.abs(where[:, None] - where[None]).sum(axis=-1)
        assert legal.sum() == (steps <= 1).sum()
    # Everyone can reach everything.
    reach = np.linalg.matrix_power((steps <= 1).astype(float), n)
    assert (reach > 0).all()
    # The reward is one's goal, less 0.7 for each companion; it does not depend on actions.
    for i, reward in enumerate(game.rewards):
        assert reward.shape in ((n,) * agents + (1,) * agents,)
        goal = [float(reward[tuple(at(k, i, agents, n))].item()) for k in range(n)]
        if agents == 1:
            assert sum(g > 0 for g in goal) == 1
            assert 0.5 <= max(goal) < 1
        for state in [(0,) * agents, tuple(range(agents)) if n >= agents else (0,) * agents]:
            companions = sum(state[j] == state[i] for j in range(agents) if j != i)
            gain = reward[state].item() + 0.7 * companions
            assert gain == pytest.approx(0, abs=1e-12) or 0.5 - 1e-9 <= gain < 1


def at(cell, agent, agents, n):
    """Agent on `cell`, the others elsewhere if there is room."""
    state = [(cell + 1 + j) % n for j in range(agents)]
    state[agent] = cell
    return state


def test_goals_differ_where_there_are_cells_enough():
    for seed in range(20):
        assert len(set("123") & set(random.grid(2, 2, 3, seed).picture)) == 3
    # Three agents on two cells have to share.
    assert random.grid(2, 1, 3).state_shape == (2, 2, 2)


def test_agents_move_at_the_same_time():
    game = random.grid(3, 1, 2, seed=0, collision_cost=0.0)
    right = game.actions[0].index("right")
    stay = game.actions[0].index("stay")
    assert successors_at(game, (0, 1), (right, right)) == [(1, (1, 2))]
    assert successors_at(game, (0, 1), (right, stay)) == [(1, (1, 1))]


def test_without_a_collision_cost_there_is_no_joint_table():
    # So that many agents fit; here 1024^5 joint states.
    game = random.grid(32, 32, 5, collision_cost=0.0)
    assert game.number_of_states == 1024**5
    assert sum(r.size for r in game.rewards) == 5 * 1024


def test_two_agents_on_a_large_grid():
    game = random.grid(32, 32, 2, seed=1)
    assert [r.shape for r in game.rewards] == [(1024, 1024, 1, 1)] * 2
    assert game.rewards[0][5, 5].item() <= 0


def test_grids_that_do_not_fit_are_refused(monkeypatch):
    with pytest.raises(TooLargeError) as error:
        random.grid(32, 32, 4)
    for word in ("1024 cells", "4 agents", "TiB", "are free", "smaller map", "collision_cost=0"):
        assert word in str(error.value)
    monkeypatch.setattr(memory, "available", lambda: 10**6)
    with pytest.raises(TooLargeError, match="MiB of memory"):
        random.grid(20, 20, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((0, 3, 2), {}, ["width", "got 0"]),
        ((3, -1, 2), {}, ["height", "got -1"]),
        ((3, 3, 0), {}, ["agents", "got 0"]),
        ((3, 3, 2), {"obstacles": 1.0}, ["obstacles", "1.0"]),
        ((3, 3, 2), {"collision_cost": np.inf}, ["collision_cost", "inf"]),
        ((1, 1, 1, 1), {"obstacles": 0.99}, ["obstacles", "0.99", "smaller share"]),
    ],
)
def test_senseless_grids_are_refused(arguments, options, words):
    with pytest.raises(GameError) as error:
        random.grid(*arguments, **options)
    for word in words:
        assert word in str(error.value)


# --------------------------------------------------------------------------- normal_form


def test_normal_forms():
    game = random.normal_form((2, 3, 4), seed=5)
    assert game.action_counts == (2, 3, 4)
    assert game.state_shape == (1,)
    assert np.array_equal(game.rewards[2][0], np.random.default_rng(5).random((3, 2, 3, 4))[2])
    with pytest.raises(GameError, match=r"actions\[1\]: .*at least 1: got 0"):
        random.normal_form((2, 0))
    with pytest.raises(GameError, match="got 0"):
        random.normal_form(())
