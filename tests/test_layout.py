"""The engine's view of a game: the same numbers, actions first, and nothing lost on the way there and back."""

import jax
import numpy as np
import pytest
from tests import cases
from tests.games.loops import legal_at, reward_at, successors_at

import quantal as qt
from quantal.dynamics import Coupled
from quantal.layout import DenseMoves, JointMoves, OwnMoves, from_public, model_of, to_public


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def engine_index(model, game, state):
    """A public state's index over the engine's state axes: one flat number for coupled games."""
    return state if game.product else (int(np.ravel_multi_index(state, game.state_shape)),)


def at(array, index):
    """Read a broadcast array: a length-1 axis holds for every index."""
    return np.asarray(array)[tuple(min(k, n - 1) for k, n in zip(index, array.shape, strict=True))]


def chances(moves, joint, place, states):
    """P(. | x, a) in the engine, over flat states."""
    row = np.zeros(states)
    if isinstance(moves, DenseMoves):
        return np.asarray(moves.matrix)[(*joint, *place)]
    if isinstance(moves, JointMoves):
        np.add.at(
            row,
            np.asarray(moves.successors)[(*joint, slice(None), *place)],
            np.asarray(moves.probabilities)[(*joint, slice(None), *place)],
        )
        return row
    shape = tuple(table.shape[-1] for table in moves.successors)
    own = []
    for j, table in enumerate(moves.successors):
        one = np.zeros(shape[j])
        p = moves.probabilities[j]
        where = (joint[j], slice(None), place[j])
        np.add.at(one, np.asarray(table)[where], 1.0 if p is None else np.asarray(p)[where])
        own.append(one)
    for one in own:
        row = one if one is own[0] else np.multiply.outer(row, one)
    return row.ravel()


@pytest.mark.parametrize("name", cases.GAMES)
def test_the_model_holds_the_game(name):
    # Rewards, legal actions and chances, cell by cell, whatever the kind of moves.
    game = cases.GAMES[name]()
    model = model_of(game)
    assert model.action_counts == game.action_counts
    assert model.number_of_states == game.number_of_states
    for x in np.ndindex(*game.state_shape):
        place = engine_index(model, game, x)
        allowed = legal_at(game, x)
        for i, mask in enumerate(model.legal):
            assert [a for a in range(game.action_counts[i]) if at(mask, (a, *place))] == list(allowed[i])
        for joint in np.ndindex(*game.action_counts):
            if not all(a in own for a, own in zip(joint, allowed, strict=True)):
                continue
            for i, reward in enumerate(model.rewards):
                assert at(reward, (*joint, *place)) == reward_at(game, i, x, joint)
            expected = np.zeros(game.number_of_states)
            for p, y in successors_at(game, x, joint):
                expected[np.ravel_multi_index(y, game.state_shape)] += p
            found = chances(model.moves, joint, place, game.number_of_states)
            np.testing.assert_allclose(found, expected, atol=1e-15)


def test_the_kind_of_moves_follows_the_game():
    # A full kernel is multiplied, a sparse one gathered, and independent agents never get a joint table.
    kinds = {name: type(model_of(make()).moves) for name, make in cases.GAMES.items()}
    assert kinds["dense, two agents"] is DenseMoves
    assert kinds["coupled, two agents"] is JointMoves
    assert kinds["two agents"] is OwnMoves
    assert type(model_of(qt.games.random.stochastic(8, 2, 2)).moves) is DenseMoves


def test_a_coupled_game_with_several_state_axes_is_flattened_in_c_order():
    # State numbers of `Coupled` run over the axes in C order; rewards that ignore an axis are written out.
    rng = np.random.default_rng(0)
    shape, counts = (2, 3), (2, 2)
    successors = rng.integers(6, size=(*shape, *counts, 1))
    rewards = (rng.normal(size=(2, 1, 2, 1)), rng.normal(size=(1, 3, 1, 2)))
    game = qt.MarkovGame(
        state_shape=shape,
        rewards=rewards,
        dynamics=Coupled(successors),
        actions=(("0", "1"),) * 2,
        agents=("a", "b"),
        final_rewards=(rng.normal(size=(2, 1)), rng.normal(size=(2, 3))),
    )
    model = model_of(game)
    assert model.state_shape == (6,)
    np.testing.assert_array_equal(model.rewards[0][:, 0, 4], rewards[0][1, 0, :, 0])
    np.testing.assert_array_equal(model.rewards[1][0, :, 4], rewards[1][0, 1, 0, :])
    np.testing.assert_array_equal(model.final_rewards[0], np.repeat(game.final_rewards[0][:, 0], 3))
    np.testing.assert_array_equal(model.final_rewards[1], game.final_rewards[1].ravel())


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)])
def test_there_and_back_again(shape):
    rng = np.random.default_rng(0)
    public = rng.normal(size=(*shape, 7))
    engine = from_public(public, shape)
    assert engine.shape == (7, *shape)
    np.testing.assert_array_equal(engine[3], public[..., 3])
    np.testing.assert_array_equal(to_public(engine, shape), public)
    # A coupled game's engine has one flat axis, and the public array its own axes all the same.
    flat = from_public(public, (int(np.prod(shape)),))
    np.testing.assert_array_equal(to_public(flat, shape), public)


def test_leading_axes_are_kept():
    stack = np.random.default_rng(0).normal(size=(4, 7, 2, 3))
    public = to_public(stack, (2, 3), leading=1)
    assert public.shape == (4, 2, 3, 7)
    np.testing.assert_array_equal(public[2], to_public(stack[2], (2, 3)))


def test_names_do_not_reach_compiled_code():
    # Games that differ in names only share programs: the models have one structure, labels are not in it.
    one, other = qt.games.random.stochastic(4, 2, 2, seed=0), qt.games.random.stochastic(4, 2, 2, seed=1)
    renamed = qt.MarkovGame.from_arrays(other.rewards, other.dynamics, agents=("x", "y"), name="another")
    assert jax.tree.structure(model_of(one)) == jax.tree.structure(model_of(renamed))


def test_without_rewards_only_the_moves_are_left():
    model = model_of(qt.games.pursuit.two_players())
    silent = model.without_rewards()
    assert silent.moves is model.moves
    assert all((np.asarray(r) == 0).all() for r in silent.rewards)


def test_the_callers_arrays_are_left_alone():
    # The engine may not hold a view that it, or the caller, could write through.
    game = qt.games.random.stochastic(4, 2, 2)
    before = [r.copy() for r in game.rewards]
    model = model_of(game)
    jax.block_until_ready(model.rewards[0] + 1)
    for a, b in zip(game.rewards, before, strict=True):
        np.testing.assert_array_equal(a, b)
