"""`MarkovGame`: whatever is wrong is refused with the place, both sides and a remedy; what is right is kept.

The games of this file are small: two agents on 2 x 3 states of their own (`product`), or on one
axis of 3 states (`general`), with 2 and 3 actions.
"""

import dataclasses
import inspect
import itertools
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantal.dynamics import Coupled, Independent
from quantal.errors import GameError, TooLargeError
from quantal.game import MarkovGame, joint_legal
from quantal.games import random


def product(**changes):
    """Arguments of a good game with a product state; agents `ann` and `bob`."""
    arguments = {
        "state_shape": (2, 3),
        "rewards": (np.zeros((2, 3, 2, 3)), np.ones((2, 3, 1, 1))),
        "dynamics": Independent([[[0, 1], [1, 0]], np.tile(np.arange(3)[:, None], (1, 3))]),
        "actions": (("stay", "go"), ("a", "b", "c")),
        "agents": ("ann", "bob"),
    }
    return arguments | changes


def general(**changes):
    """Arguments of a good game with three states on one axis, every one followed by itself."""
    successors = np.broadcast_to(np.arange(3)[:, None, None, None], (3, 2, 3, 1))
    arguments = {
        "state_shape": (3,),
        "rewards": (np.zeros((3, 2, 3)), np.ones((3, 2, 3))),
        "dynamics": Coupled(successors),
        "actions": (("stay", "go"), ("a", "b", "c")),
        "agents": ("ann", "bob"),
        "state_labels": (("west", "mid", "east"),),
    }
    return arguments | changes


def at(shape, cell, value, fill=0.0):
    array = np.full(shape, fill)
    array[cell] = value
    return array


def kernel(cell=None, successors=None, probabilities=None):
    """The kernel of `general` with two successors per row, and one row changed."""
    s = np.zeros((3, 2, 3, 2), dtype=int)
    p = np.zeros(s.shape)
    p[..., 0] = 1.0
    if cell is not None:
        if successors is not None:
            s[cell] = successors
        if probabilities is not None:
            p[cell] = probabilities
    return Coupled(s, p)


def untyped(function, *args, **kwargs):
    """Call without the run-time type check of the test run, as a user's program would."""
    return inspect.unwrap(function)(*args, **kwargs)


def refuses(arguments, *words):
    with pytest.raises(GameError) as error:
        untyped(MarkovGame.__init__, object.__new__(MarkovGame), **arguments)
    for word in words:
        assert word in str(error.value), f"{word!r} is not in: {error.value}"


# --------------------------------------------------------------------------- good games


def test_good_games_are_accepted():
    game = MarkovGame(**product())
    assert game.product
    assert game.number_of_agents == 2
    assert game.number_of_states == 6
    assert game.action_counts == (2, 3)
    other = MarkovGame(**general())
    assert not other.product
    assert other.number_of_states == 3


def test_defaults_fill_in_what_is_left_out():
    game = MarkovGame(**product())
    assert all((r == 0).all() for r in game.final_rewards)
    assert all(mask.all() for mask in game.legal)
    assert np.allclose(game.start, 1 / 6)
    assert game.start.shape == (2, 3)
    assert game.state_labels == (("0", "1"), ("0", "1", "2"))


def test_lists_do_where_tuples_are_declared():
    game = MarkovGame(**product(state_shape=[2, 3], actions=[["stay", "go"], ["a", "b", "c"]], agents=["ann", "bob"]))
    assert game.state_shape == (2, 3)
    assert game.actions == (("stay", "go"), ("a", "b", "c"))


@pytest.mark.parametrize(
    "shape",
    [
        (2, 3, 2, 3),
        (1, 1, 1, 1),
        (2, 1, 2, 1),
        (1, 3, 1, 3),
        (2, 3, 1, 1),
    ],
)
def test_any_axis_of_a_reward_may_have_length_one(shape):
    reward = np.arange(np.prod(shape), dtype=float).reshape(shape)
    game = MarkovGame(**product(rewards=(reward, reward)))
    # It is kept as it is: nothing is blown up to the full table.
    assert game.rewards[0].shape == shape
    assert np.array_equal(game.rewards[0], reward)


def test_state_axes_of_masks_and_final_rewards_may_have_length_one():
    game = MarkovGame(
        **product(
            legal=(np.ones((1, 1, 2), bool), np.ones((1, 3, 3), bool)),
            final_rewards=(np.zeros((2, 1)), np.zeros((1, 1))),
        )
    )
    assert game.legal[1].shape == (1, 3, 3)


def test_one_agent_alone_is_a_decision_process():
    game = MarkovGame.from_arrays([np.zeros((2, 3))], np.full((2, 3, 2), 0.5))
    assert game.number_of_agents == 1
    assert game.agents == ("agent1",)
    alone = MarkovGame(
        state_shape=(2,),
        rewards=(np.zeros((2, 1)),),
        dynamics=Independent([[[1], [0]]]),
        actions=(("go",),),
        agents=("ann",),
    )
    assert alone.product


def test_a_product_state_may_have_coupled_dynamics():
    # Joint moves on (x_1, x_2): successors are numbers in C order over both axes.
    successors = np.full((2, 3, 2, 3, 1), 5)
    game = MarkovGame(**product(dynamics=Coupled(successors)))
    assert not game.product
    assert game.absorbing[1, 2]
    assert game.absorbing.sum() == 1


def test_integers_and_booleans_are_numbers():
    game = MarkovGame(**product(rewards=(np.ones((2, 3, 2, 3), dtype=int), np.ones((1, 1, 1, 1), bool))))
    assert all(r.dtype == np.float64 for r in game.rewards)
    masks = (np.ones((1, 1, 2), dtype=int), [[[1, 0, 1]]])
    assert all(m.dtype == bool for m in MarkovGame(**product(legal=masks)).legal)


def test_a_game_can_be_changed_with_replace():
    # This is how a user moves the start; what is new is checked again.
    game = MarkovGame(**product())
    start = at((2, 3), (0, 1), 1.0)
    assert dataclasses.replace(game, start=start).start[0, 1] == 1
    with pytest.raises(GameError, match="sum to 2"):
        dataclasses.replace(game, start=2 * start)


# --------------------------------------------------------------------------- the caller's arrays


def test_the_callers_arrays_are_neither_shared_nor_written():
    given_arrays = {
        "rewards": (np.ones((2, 3, 2, 3)), np.ones((2, 3, 2, 3))),
        "final_rewards": (np.ones((2, 3)), np.ones((2, 3))),
        "legal": (np.ones((2, 3, 2), bool), np.ones((2, 3, 3), bool)),
        "start": np.full((2, 3), 1 / 6),
        "coordinates": (np.zeros((2, 2)), np.zeros((3, 2))),
    }
    given_arrays["rewards"][0][0, 0, 0, 0] = np.nan
    given_arrays["legal"][0][0, 0, 0] = False  # so that the NaN is never read
    before = {k: [a.copy() for a in v] for k, v in given_arrays.items()}
    tables = (np.zeros((2, 2, 1), int), np.zeros((3, 3, 1), int))
    chances = (np.ones((2, 2, 1)), np.ones((3, 3, 1)))
    tables[1][0, 0] = 2
    game = MarkovGame(**product(**given_arrays, dynamics=Independent(tables, chances)))
    kept = [*game.rewards, *game.final_rewards, *game.legal, game.start, *game.coordinates]
    kept += [*game.dynamics.successors, *game.dynamics.probabilities]
    mine = [*itertools.chain(*(v for k, v in given_arrays.items() if k != "start"))]
    mine += [given_arrays["start"], *tables, *chances]
    for a, b in itertools.product(kept, mine):
        assert not np.shares_memory(a, b)
    for name, arrays in before.items():
        for old, new in zip(arrays, given_arrays[name], strict=True):
            assert np.array_equal(old, new, equal_nan=True), name
    # The caller may go on writing; the game does not change.
    reward, successor = game.rewards[1].copy(), game.dynamics.successors[1].copy()
    given_arrays["rewards"][1][:] = 7
    tables[1][:] = 1
    assert np.array_equal(game.rewards[1], reward)
    assert np.array_equal(game.dynamics.successors[1], successor)


def test_coupled_and_dense_arrays_are_copied_too():
    successors, probabilities = np.zeros((3, 2, 3, 1), np.int32), np.ones((3, 2, 3, 1))
    game = MarkovGame(**general(dynamics=Coupled(successors, probabilities)))
    assert not np.shares_memory(game.dynamics.successors, successors)
    assert not np.shares_memory(game.dynamics.probabilities, probabilities)
    transitions, reward = np.full((2, 1, 2), 0.5), np.zeros((2, 1))
    game = MarkovGame.from_arrays([reward], transitions)
    assert not np.shares_memory(game.dynamics.probabilities, transitions)
    assert not np.shares_memory(game.rewards[0], reward)
    payoff = np.zeros((2,))
    assert not np.shares_memory(MarkovGame.normal_form([payoff]).rewards[0], payoff)


@pytest.mark.parametrize("arguments", [product(), general()])
def test_a_game_cannot_be_written(arguments):
    game = MarkovGame(**arguments)
    with pytest.raises(dataclasses.FrozenInstanceError):
        game.name = "other"
    arrays = [*game.rewards, *game.final_rewards, *game.legal, game.start, game.absorbing]
    dynamics = game.dynamics
    arrays += (
        [*dynamics.successors, *dynamics.probabilities]
        if game.product
        else [dynamics.successors, dynamics.probabilities]
    )
    assert not any(array.flags.writeable for array in arrays)


# --------------------------------------------------------------------------- illegal cells


def test_anything_goes_where_nobody_can_play():
    # A user writes NaN or -inf for what is forbidden; it is never read, and must not poison sums.
    mask = np.ones((3, 2), bool)
    mask[1, 1] = False
    reward = at((3, 2, 3), (1, 1), np.nan)
    reward[1, 1, 2] = -np.inf
    dynamics = kernel((1, 1), successors=99, probabilities=np.nan)
    game = MarkovGame(
        **general(
            legal=(mask, np.ones((3, 3), bool)),
            rewards=(reward, np.zeros((3, 2, 3))),
            dynamics=dynamics,
        )
    )
    assert np.isfinite(game.rewards[0]).all()
    assert np.isfinite(game.dynamics.probabilities).all()
    # Such a row stays where it is, for certain.
    assert (game.dynamics.successors[1, 1] == 1).all()
    assert (game.dynamics.probabilities[1, 1] == [1, 0]).all()


def test_a_huge_number_in_a_forbidden_cell_does_not_enter_the_norm():
    # Theorems 1 and 2 bound max|R|; -1e9 for "forbidden" is not a reward.
    mask = np.ones((3, 2), bool)
    mask[1, 1] = False
    reward = at((3, 2, 3), (1, 1), -1e9)
    game = MarkovGame(**general(legal=(mask, np.ones((1, 3), bool)), rewards=(reward, np.zeros((3, 2, 3)))))
    assert np.abs(game.rewards[0]).max() == 0


def test_forbidden_moves_of_independent_agents_may_lead_anywhere():
    # -1 for "no arrow" is a common way to write a graph.
    mask = np.ones((2, 1, 2), bool)
    mask[1, 0, 1] = False
    moves = Independent([[[0, 1], [1, -1]], np.zeros((3, 3), int)])
    game = MarkovGame(**product(legal=(mask, np.ones((1, 1, 3), bool)), dynamics=moves))
    assert game.dynamics.successors[0][1, 1, 0] == 1
    # But it is refused where the other agent's position makes it legal.
    elsewhere = np.ones((2, 3, 2), bool)
    elsewhere[1, :2, 1] = False
    refuses(
        product(legal=(elsewhere, np.ones((1, 1, 3), bool)), dynamics=moves),
        "agent ann from 1 with go",
        "successor -1",
        "0..1",
        "legal=",
    )


def test_nan_is_found_where_one_legal_state_hides_among_forbidden_ones():
    # The reward does not depend on bob's state (length 1), so one legal joint state makes the cell count.
    reward = at((2, 1, 2, 1), (1, 0, 1, 0), np.nan)
    mask = np.ones((2, 3, 2), bool)
    mask[1, :, 1] = False
    everything = np.ones((1, 1, 3), bool)
    assert MarkovGame(**product(rewards=(reward, reward), legal=(mask, everything))).product
    mask[1, 2, 1] = True
    refuses(product(rewards=(reward, reward), legal=(mask, everything)), "rewards[0]", "go", "nan")


@given(st.integers(0, 10**6))
def test_a_cell_counts_exactly_if_some_joint_play_reads_it(seed):
    rng = np.random.default_rng(seed)
    full = (2, 3, 2, 3)
    shape = tuple(int(rng.choice([1, n])) for n in full)
    masks = []
    for i, count in enumerate((2, 3)):
        mask = rng.random((int(rng.choice([1, 2])), int(rng.choice([1, 3])), count)) < 0.5
        mask[..., rng.integers(count)] = True
        masks.append(mask)
        assert masks[i].any(axis=-1).all()
    cell = tuple(int(rng.integers(n)) for n in shape)
    # The readable twin: look for one joint state and action that reads the cell.
    read = any(
        all(c in (j, 0) and (n == 1 or c == j) for c, j, n in zip(cell, joint, shape, strict=True))
        and all(np.broadcast_to(m, (2, 3, m.shape[-1]))[joint[0], joint[1], joint[2 + i]] for i, m in enumerate(masks))
        for joint in np.ndindex(*full)
    )
    arguments = product(rewards=(at(shape, cell, np.nan), np.zeros((1,) * 4)), legal=tuple(masks))
    if read:
        refuses(arguments, "rewards[0]", "nan")
    else:
        assert (MarkovGame(**arguments).rewards[0] == 0).all()


def test_joint_legal_is_the_product_of_the_masks():
    masks = (np.array([[[True, False]]]), np.array([[[True, True, False]]]))
    game = MarkovGame(**product(legal=masks))
    joint = joint_legal(game)
    for a, b in np.ndindex(2, 3):
        assert joint[0, 0, a, b] == (masks[0][0, 0, a] and masks[1][0, 0, b])


# --------------------------------------------------------------------------- names


def test_names_must_differ():
    refuses(product(agents=("ann", "ann")), "agents", "'ann'", "Rename")
    refuses(product(actions=(("stay", "stay"), ("a", "b", "c"))), "agent ann", "'stay'", "differ", "Rename")
    refuses(general(state_labels=(("west", "mid", "west"),)), "state_labels[0]", "'west'", "Rename")


def test_a_string_is_not_a_list_of_names():
    # tuple("ab") would quietly make agents a and b.
    refuses(product(agents="ab"), "agents", "'ab'", "list")
    refuses(product(actions=("ab", "abc")), "actions[0]", "'ab'", "list")
    refuses(product(actions="ab"), "actions", "'ab'", "list of lists")


def test_somebody_must_play_and_have_something_to_do():
    refuses(product(agents=()), "agents", "at least one", "Name")
    refuses(product(actions=((), ("a", "b", "c"))), "agent ann", "at least one", "'stay'")


@pytest.mark.parametrize("what", ["actions", "rewards", "final_rewards", "legal"])
def test_one_entry_per_agent(what):
    entries = {
        "actions": (("stay", "go"),),
        "rewards": (np.zeros((1, 1, 1, 1)),),
        "final_rewards": (np.zeros((1, 1)),),
        "legal": (np.ones((1, 1, 2), bool),),
    }
    refuses(product(**{what: entries[what]}), what, "expected 2", "ann, bob", "got 1", "Give one")


def test_state_labels_and_coordinates_fit_the_states():
    refuses(general(state_labels=(("w", "m"),)), "state_labels[0]", "expected 3", "got 2", "leave")
    refuses(general(state_labels=(("w",), ("m",))), "state_labels", "expected 1", "got 2", "leave")
    refuses(product(coordinates=(np.zeros((2, 2)),)), "coordinates", "(3, 2)", "[(2, 2)]", "leave them out")
    refuses(general(coordinates=(at((3, 2), (1, 0), np.inf),)), "coordinates[0]", "mid", "inf", "finite")


# --------------------------------------------------------------------------- shapes and numbers


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_there_must_be_states(shape):
    refuses(product(state_shape=shape), "state_shape", ">= 1", str(shape), "(1,)")


def test_lengths_are_whole_numbers():
    refuses(product(state_shape=(2.5, 3)), "state_shape", "whole", "2.5", "for example")


def test_reward_shapes():
    refuses(
        product(rewards=(np.zeros((2, 3, 2, 3)), np.zeros((2, 3, 3, 2)))),
        "rewards[1]",
        "agent bob",
        "(2, 3, 2, 3)",
        "(2, 3, 3, 2)",
        "may have length 1",
    )
    refuses(general(rewards=(np.zeros((3, 2)), np.zeros((3, 2, 3)))), "rewards[0]", "(3, 2)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rewards_are_finite(value):
    refuses(
        general(rewards=(np.zeros((3, 2, 3)), at((3, 2, 3), (2, 1, 0), value))),
        "rewards[1]",
        "agent bob",
        "state (east)",
        "(ann=go, bob=a)",
        str(value),
        "finite",
        "legal=",
    )
    refuses(
        product(final_rewards=(at((2, 3), (1, 2), value), np.zeros((1, 1)))),
        "final_rewards[0]",
        "agent ann",
        "state (1, 2)",
        str(value),
        "finite",
    )


def test_final_reward_shapes():
    refuses(
        product(final_rewards=(np.zeros((3, 2)), np.zeros((1, 1)))),
        "final_rewards[0]",
        "agent ann",
        "(2, 3)",
        "(3, 2)",
        "state only",
    )


def test_what_is_not_a_number_is_refused():
    refuses(product(rewards=([[1, 2], [3]], np.zeros((1,) * 4))), "rewards[0]", "list", "same length")
    refuses(product(rewards=("high", np.zeros((1,) * 4))), "rewards[0]", "str", "number")
    refuses(product(rewards=(np.zeros((1,) * 4, complex), np.zeros((1,) * 4))), "rewards[0]", "real")


def test_masks():
    full = np.ones((1, 1, 3), bool)
    refuses(
        product(legal=(np.ones((2, 3, 3), bool), full)),
        "legal[0]",
        "agent ann",
        "(2, 3, 2)",
        "(2, 3, 3)",
        "may have length 1",
    )
    # The action axis may not be left short: it would be anyone's guess what it means.
    refuses(product(legal=(np.ones((2, 3, 1), bool), full)), "legal[0]", "(2, 3, 1)")
    refuses(product(legal=(np.full((1, 1, 2), 0.5), full)), "legal[0]", "0.5", "mask > 0")
    refuses(product(legal=(np.full((1, 1, 2), np.nan), full)), "legal[0]", "nan", "booleans")


def test_a_state_without_a_legal_action():
    mask = np.ones((2, 3, 3), bool)
    mask[1, 2] = False
    refuses(
        product(legal=(np.ones((1, 1, 2), bool), mask)),
        "legal[1]",
        "agent bob",
        "state (1, 2)",
        "at least one of a, b, c",
        "Allow one",
    )


def test_starts():
    refuses(product(start=np.full((6,), 1 / 6)), "start", "(2, 3)", "(6,)", "Leave it out")
    refuses(product(start=np.full((2, 3), 0.25)), "start", "1.5", "expected 1", "Divide")
    refuses(product(start=at((2, 3), (0, 1), -0.5, fill=0.3)), "start", "state (0, 1)", "-0.5", ">= 0")
    refuses(product(start=at((2, 3), (1, 0), np.nan)), "start", "state (1, 0)", "nan", "Use 0")


# --------------------------------------------------------------------------- dynamics


def test_probabilities_sum_to_one():
    refuses(
        general(dynamics=kernel((2, 1, 0), probabilities=[0.5, 0.25])),
        "state (east)",
        "(ann=go, bob=a)",
        "0.75",
        "expected 1",
        "legal=",
    )


def test_probabilities_are_not_negative():
    refuses(
        general(dynamics=kernel((0, 0, 2), probabilities=[1.5, -0.5])),
        "state (west)",
        "(ann=stay, bob=c)",
        "-0.5",
        ">= 0",
        "legal=",
    )


def test_probabilities_are_finite():
    refuses(
        general(dynamics=kernel((1, 1, 1), probabilities=[np.nan, 1])),
        "state (mid)",
        "(ann=go, bob=b)",
        "nan",
        "finite",
        "legal=",
    )


def test_successors_exist():
    refuses(
        general(dynamics=kernel((1, 0, 1), successors=[0, 3])),
        "state (mid)",
        "(ann=stay, bob=b)",
        "successor 3",
        "0..2",
        "legal=",
    )
    refuses(
        product(dynamics=Independent([[[0, 2], [1, 0]], np.zeros((3, 3), int)])),
        "agent ann from 0 with go",
        "successor 2",
        "0..1",
        "legal=",
    )


def test_successors_are_integers():
    refuses(general(dynamics=Coupled(np.zeros((3, 2, 3, 1)))), "dynamics", "integers", "float64", "astype")
    refuses(
        product(dynamics=Independent([np.zeros((2, 2)), np.zeros((3, 3), int)])),
        "agent ann",
        "integers",
        "float64",
        "astype",
    )


def test_bad_moves_of_one_agent_are_named_by_agent_place_and_action():
    chances = [np.ones((2, 2, 1)), np.ones((3, 3, 1))]
    chances[1][2, 1] = 0.9
    refuses(
        product(dynamics=Independent([np.zeros((2, 2), int), np.zeros((3, 3), int)], chances)),
        "agent bob from 2 with b",
        "0.9",
        "expected 1",
        "legal=",
    )


def test_tables_fit_the_game():
    refuses(
        product(dynamics=Independent([np.zeros((2, 3), int), np.zeros((3, 3), int)])),
        "agent ann",
        "(2, 2, B)",
        "(2, 3, 1)",
        "pad",
    )
    refuses(product(dynamics=Independent([np.zeros((2, 2), int)])), "one table per agent (2)", "got 1")
    refuses(
        general(dynamics=Independent([np.zeros((3, 2), int), np.zeros((3, 3), int)])),
        "one state axis per agent (2)",
        "got 1",
        "Coupled",
    )
    refuses(general(dynamics=Coupled(np.zeros((3, 3, 2, 1), int))), "(3, 2, 3, B)", "(3, 3, 2, 1)", "pad")
    refuses(
        general(dynamics=Coupled(np.zeros((3, 2, 3, 2), int), np.ones((3, 2, 3, 1)))),
        "(3, 2, 3, 2)",
        "(3, 2, 3, 1)",
    )


def test_an_array_is_not_dynamics():
    refuses(general(dynamics=np.zeros((3, 2, 3, 3))), "dynamics", "ndarray", "from_arrays")


# --------------------------------------------------------------------------- from_arrays


def test_from_arrays_keeps_the_kernel():
    rng = np.random.default_rng(0)
    transitions = rng.dirichlet(np.ones(4), size=(4, 2, 3))
    game = MarkovGame.from_arrays(
        [np.zeros((4, 2, 3)), np.zeros((4, 1, 3))],
        transitions,
        agents=["row", "column"],
        actions=[["u", "d"], ["l", "m", "r"]],
        final_rewards=[np.zeros(4), np.ones(4)],
        start=[1, 0, 0, 0],
        state_labels=list("abcd"),
        legal=[np.ones((4, 2)), np.ones((1, 3))],
        name="g",
    )
    assert (game.name, game.agents, game.state_labels) == ("g", ("row", "column"), (tuple("abcd"),))
    assert game.start[0] == 1
    for cell in np.ndindex(4, 2, 3):
        row = dict(zip(game.dynamics.successors[cell], game.dynamics.probabilities[cell], strict=True))
        assert [row[s] for s in range(4)] == transitions[cell].tolist()


def test_from_arrays_takes_sparse_dynamics_too():
    game = MarkovGame.from_arrays([np.zeros((3, 2))], Coupled(np.zeros((3, 2, 1), int)))
    assert game.state_shape == (3,)
    with pytest.raises(GameError, match=r"general state axis.*Call MarkovGame"):
        untyped(MarkovGame.from_arrays, [np.zeros((3, 2))], Independent([np.zeros((3, 2), int)]))


@pytest.mark.parametrize(
    ("transitions", "rewards", "words"),
    [
        (np.zeros((3, 3)), 1, ["transitions", "(S, A_1, ..., A_M, S)", "(3, 3)", "moveaxis"]),
        (np.zeros((3, 2, 4)), 1, ["transitions", "(3, 2, 4)", "moveaxis"]),
        (np.full((3, 2, 3), 1 / 3), 2, ["rewards", "expected 1", "(3, 2, 3)", "got 2", "Give one"]),
        (
            at((3, 2, 3), (1, 0, 2), np.nan, fill=1 / 3),
            1,
            ["state 1", "(agent1=0)", "successor 2", "nan", "legal="],
        ),
        (at((3, 2, 3), (2, 1, 0), 1.0), 1, ["state (0)", "(agent1=0)", "0.0", "expected 1", "legal="]),
        ([[["x"]]], 1, ["transitions", "number"]),
    ],
)
def test_from_arrays_refuses(transitions, rewards, words):
    with pytest.raises(GameError) as error:
        MarkovGame.from_arrays([np.zeros((3, 2))] * rewards, transitions)
    for word in words:
        assert word in str(error.value)


def test_from_arrays_accepts_nan_in_rows_that_are_never_played():
    transitions = np.full((2, 2, 2), 0.5)
    transitions[0, 1] = np.nan
    legal = [np.array([[True, False], [True, True]])]
    game = MarkovGame.from_arrays([np.zeros((2, 2))], transitions, legal=legal)
    assert np.isfinite(game.dynamics.probabilities).all()
    # And rows of zeros, the other way to write "never".
    transitions[0, 1] = 0
    assert MarkovGame.from_arrays([np.zeros((2, 2))], transitions, legal=legal)


def test_from_arrays_with_masks_that_do_not_fit_says_so():
    transitions = at((2, 2, 2), (0, 1), np.nan, fill=0.5)
    for legal, words in (
        ([np.ones((2, 5), bool)], ["nan"]),
        ([np.ones((2, 2), bool)] * 2, ["nan"]),
    ):
        with pytest.raises(GameError) as error:
            MarkovGame.from_arrays([np.zeros((2, 2))], transitions, legal=legal)
        assert all(word in str(error.value) for word in words)
    with pytest.raises(GameError, match=r"legal\[0\].*\(2, 2\).*\(2, 5\)"):
        MarkovGame.from_arrays([np.zeros((2, 2))], np.full((2, 2, 2), 0.5), legal=[np.ones((2, 5), bool)])


# --------------------------------------------------------------------------- normal_form


def test_normal_form_is_one_state_that_stays():
    payoffs = [np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3)]
    game = MarkovGame.normal_form(payoffs, agents=("row", "column"), name="zero sum")
    assert game.state_shape == (1,)
    assert game.absorbing.all()
    for i in range(2):
        assert np.array_equal(game.rewards[i][0], payoffs[i])


def test_normal_form_of_one_and_of_three():
    assert MarkovGame.normal_form([[1.0, 2.0]]).action_counts == (2,)
    assert MarkovGame.normal_form([np.zeros((2, 3, 4))] * 3).action_counts == (2, 3, 4)


@pytest.mark.parametrize(
    ("payoffs", "words"),
    [
        ([], ["payoffs", "got none"]),
        ([np.zeros((2, 3)), np.zeros((3, 2))], ["payoffs[1]", "(2, 3)", "(3, 2)", "every agent"]),
        ([np.zeros((2, 3))], ["payoffs[0]", "expected 1 axes", "(2, 3)"]),
        ([np.zeros((2, 0)), np.zeros((2, 0))], ["payoffs[0]", "at least one action", "(2, 0)"]),
        ([[[1, 2], [3]]], ["payoffs[0]", "same length"]),
        (
            [np.zeros((2, 2)), at((2, 2), (0, 1), np.nan)],
            ["agent agent2", "(agent1=0, agent2=1)", "nan"],
        ),
    ],
)
def test_normal_form_refuses(payoffs, words):
    with pytest.raises(GameError) as error:
        MarkovGame.normal_form(payoffs)
    for word in words:
        assert word in str(error.value)


# --------------------------------------------------------------------------- absorbing states


def never_left(game):
    """The readable twin: look at every legal joint action of every state."""
    result = np.ones(game.state_shape, bool)
    legal = [np.broadcast_to(m, (*game.state_shape, m.shape[-1])) for m in game.legal]
    for x in np.ndindex(*game.state_shape):
        for joint in itertools.product(*(np.flatnonzero(mask[x]) for mask in legal)):
            if game.product:
                for j, a in enumerate(joint):
                    s = game.dynamics.successors[j][x[j], a]
                    p = game.dynamics.probabilities[j][x[j], a]
                    result[x] &= all(s[p > 0] == x[j])
            else:
                s = game.dynamics.successors[(*x, *joint)]
                p = game.dynamics.probabilities[(*x, *joint)]
                result[x] &= all(s[p > 0] == np.ravel_multi_index(x, game.state_shape))
    return result


@given(st.integers(0, 10**6), st.booleans())
def test_absorbing_states(seed, independent):
    rng = np.random.default_rng(seed)
    shape, counts = (2, 3), (2, 3)
    masks = tuple(rng.random((*shape, n)) < 0.6 for n in counts)
    for mask in masks:
        mask[..., 0] = True
    if independent:
        dynamics = Independent(
            [rng.integers(n, size=(n, a, 2)) for n, a in zip(shape, counts, strict=True)],
            [
                np.broadcast_to(rng.choice([0.0, 1.0]) * np.array([1, -1]) + [0, 1], (n, a, 2))
                for n, a in zip(shape, counts, strict=True)
            ],
        )
    else:
        stay = np.arange(6).reshape(2, 3, 1, 1, 1)
        leave = rng.random((2, 3, 2, 3, 1)) < 0.1
        dynamics = Coupled(np.where(leave, rng.integers(6, size=leave.shape), stay))
    game = MarkovGame(**product(dynamics=dynamics, legal=masks))
    assert np.array_equal(game.absorbing, never_left(game))


# --------------------------------------------------------------------------- reading


def test_agents_and_states_are_found_by_name_and_number():
    game = MarkovGame(**general())
    assert game.agent_index("bob") == game.agent_index(1) == 1
    assert game.state_index("mid") == game.state_index(1) == game.state_index([1]) == (1,)
    assert game.state_name((2,)) == "(east)"
    both = MarkovGame(**product())
    assert both.state_index((1, "2")) == (1, 2)
    assert both.state_name((1, 2)) == "(1, 2)"
    assert repr(both) == "<MarkovGame unnamed: agents ann, bob; states 2x3; actions 2x3>"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda g: g.agent_index("eve"), ["'eve'", "ann, bob"]),
        (lambda g: g.agent_index(2), ["2", "counted from 0"]),
        (lambda g: g.agent_index(-1), ["-1", "counted from 0"]),
        (lambda g: g.state_index("north"), ["'north'", "west, mid, east"]),
        (lambda g: g.state_index(3), ["3", "0..2"]),
        (lambda g: g.state_index(-1), ["-1", "0..2"]),
        (lambda g: untyped(MarkovGame.state_index, g, (1.5,)), ["1.5", "0..2"]),
        (lambda g: g.state_index((0, 1)), ["1 coordinate", "got 2"]),
    ],
)
def test_what_is_not_there_is_refused(ask, words):
    with pytest.raises(GameError) as error:
        ask(MarkovGame(**general()))
    for word in words:
        assert word in str(error.value)


# --------------------------------------------------------------------------- size


def test_a_million_joint_states_are_checked_in_passing():
    # Two agents on 32 x 32 cells: the only joint tables are the rewards, 8 MB each.
    n, moves = 1024, np.zeros((1024, 5), int)
    reward = np.zeros((n, n, 1, 1))
    legal = np.ones((n, 1, 5), bool)
    legal[:, :, 1] = False
    arguments = {
        "state_shape": (n, n),
        "rewards": (reward, reward),
        "dynamics": Independent([moves, moves]),
        "legal": (legal, legal.reshape(1, n, 5)),
        "actions": (tuple("lruds"),) * 2,
        "agents": ("ann", "bob"),
    }
    tracemalloc.start()
    began = time.perf_counter()
    game = MarkovGame(**arguments)
    seconds = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert game.number_of_states == n * n
    # Two copies of the rewards (16 MB), and a few booleans; no table over joint actions (200 MB).
    assert peak < 40e6
    assert seconds < 2


def test_states_beyond_memory_cost_nothing_while_nothing_depends_on_all_of_them():
    # 1024^4 joint states, 8 TB a table: rewards on one agent's own state only.
    n, agents = 1024, 4
    rewards = tuple(np.zeros((1,) * i + (n,) + (1,) * (agents - i - 1) + (1,) * agents) for i in range(agents))
    game = MarkovGame(
        state_shape=(n,) * agents,
        rewards=rewards,
        dynamics=Independent([np.zeros((n, 2), int)] * agents),
        actions=(("a", "b"),) * agents,
        agents=tuple("abcd"),
    )
    assert game.number_of_states == n**agents
    assert game.start.shape == game.state_shape
    assert game.start[0, 0, 0, 0] == 1 / n**agents


def test_states_that_cannot_even_be_counted_are_refused():
    # 1024^6 joint states: no array has so many elements, not even a view of one number.
    with pytest.raises(TooLargeError, match=r"1\.15e\+18 joint states.*fewer agents"):
        random.grid(32, 32, 6, collision_cost=0.0)
