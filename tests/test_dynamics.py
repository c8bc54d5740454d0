"""Transition kernels: what the constructors accept, and what packing keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantal.dynamics import Coupled, Independent, check_rows
from quantal.errors import GameError

# --------------------------------------------------------------------------- Independent


def test_certain_moves_need_neither_last_axis_nor_probabilities():
    moves = Independent([np.array([[0, 1], [1, 0]])])
    assert moves.successors[0].shape == (2, 2, 1)
    assert (moves.probabilities[0] == 1).all()
    assert moves.deterministic


def test_moves_with_chance_are_not_deterministic():
    moves = Independent([np.zeros((2, 1, 2), int)], [np.full((2, 1, 2), 0.5)])
    assert not moves.deterministic


def test_probabilities_may_leave_out_the_last_axis_too():
    moves = Independent([np.zeros((2, 3), int)], [np.ones((2, 3))])
    assert moves.probabilities[0].shape == moves.successors[0].shape == (2, 3, 1)


def test_plain_lists_are_understood():
    assert Independent([[[0, 1], [1, 0]]]).successors[0].shape == (2, 2, 1)
    assert Coupled([[[0], [0]]]).successors.shape == (1, 2, 1)


def test_several_successors_without_probabilities_are_refused():
    # Ones would silently be taken for probabilities that sum to B.
    with pytest.raises(GameError, match=r"successors\[0\].*one successor.*\(2, 1, 2\).*Give the"):
        Independent([np.zeros((2, 1, 2), int)])
    with pytest.raises(GameError, match=r"one successor.*\(1, 2, 3\).*Give the probabilities"):
        Coupled(np.zeros((1, 2, 3), int))


def test_ragged_lists_are_refused_with_a_remedy():
    with pytest.raises(GameError, match=r"successors\[1\]: expected an array.*Pad short rows"):
        Independent([[[0]], [[0, 1], [0]]])


# --------------------------------------------------------------------------- Coupled.from_dense


def unpacked(kernel, states):
    """The dense kernel, by adding up successors one by one."""
    dense = np.zeros((*kernel.successors.shape[:-1], states))
    for cell in np.ndindex(*kernel.successors.shape):
        dense[(*cell[:-1], kernel.successors[cell])] += kernel.probabilities[cell]
    return dense


@given(st.integers(1, 5), st.integers(1, 3), st.floats(0, 1), st.integers(0, 10**6))
def test_packing_keeps_every_probability(states, actions, filled, seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((states, actions, states)) * (rng.random((states, actions, states)) < filled)
    packed = Coupled.from_dense(dense, states)
    assert np.array_equal(unpacked(packed, states), dense)


def test_packing_keeps_only_as_many_successors_as_the_busiest_row():
    dense = np.zeros((50, 2, 50))
    dense[:, :, 7] = 1.0
    dense[3, 1, [7, 9, 11]] = 0.5, 0.25, 0.25
    packed = Coupled.from_dense(dense, 50)
    assert packed.successors.shape == (50, 2, 3)
    # Successors that are used come first, in the order of their numbers.
    assert packed.successors[3, 1].tolist() == [7, 9, 11]


def test_packing_refuses_a_last_axis_that_is_not_over_states():
    with pytest.raises(GameError, match=r"over the 3 successor states: got shape \(3, 2, 4\)"):
        Coupled.from_dense(np.zeros((3, 2, 4)), 3)


# --------------------------------------------------------------------------- check_rows


def rows(successors, probabilities, matters=True, states=3):
    check_rows(
        np.array(successors, dtype=None if np.size(successors) else int),
        np.array(probabilities, dtype=float),
        states,
        np.array(matters),
        "table",
        lambda row: f"row {row}",
        "Mend it",
    )


def test_good_rows_pass():
    rows([[0, 1], [2, 2]], [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize(
    ("successors", "probabilities", "words"),
    [
        ([[0], [3]], [[1], [1]], ["row (1,)", "successor 3", "0..2", "Mend it"]),
        ([[0], [-1]], [[1], [1]], ["row (1,)", "successor -1", "0..2", "Mend it"]),
        ([[0], [1]], [[1], [np.nan]], ["row (1,)", "nan", "finite", "Mend it"]),
        ([[0], [1]], [[np.inf], [1]], ["row (0,)", "inf", "finite", "Mend it"]),
        ([[0, 1]], [[1.5, -0.5]], ["row (0,)", "-0.5", ">= 0", "Mend it"]),
        ([[0, 1]], [[0.5, 0.25]], ["row (0,)", "sum to 0.75", "expected 1", "Mend it"]),
        ([[]], [[]], ["row (0,)", "sum to 0.0", "expected 1"]),
        ([[0.0]], [[1]], ["table", "integers", "float64", "astype(int)"]),
    ],
)
def test_a_bad_row_is_named_with_both_sides_and_a_remedy(successors, probabilities, words):
    with pytest.raises(GameError) as error:
        rows(successors, probabilities)
    for word in words:
        assert word in str(error.value)


def test_rows_that_do_not_matter_may_hold_anything():
    rows([[0], [99], [-7]], [[1], [np.nan], [-3]], matters=[True, False, False])


def test_rounding_is_forgiven_and_slack_is_not():
    # Ten tenths miss 1 by 1e-16; 0.333 + 0.333 + 0.333 is a modelling error.
    rows([[0] * 10], [[0.1] * 10])
    with pytest.raises(GameError, match=r"sum to 0\.999"):
        rows([[0, 1, 2]], [[0.333, 0.333, 0.333]])
