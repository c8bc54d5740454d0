"""What a crowd is made of, and that everything wrong with it is named with its place."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import quantal as qt
from quantal.crowds.game import CrowdGame, Kind, Member, felt, legal_of, steps_to

MOVES = np.array([[0, 1], [0, 2], [1, 2]])


def kind(**changes):
    return Kind("k", **({"actions": ("left", "right"), "successors": MOVES} | changes))


def game(**changes):
    return CrowdGame(
        **({"cells": ("west", "mid", "east"), "kinds": [kind()], "members": [Member("ann", "k", 0)]} | changes)
    )


def member(**changes):
    return {"members": [Member("ann", "k", **({"start": 0} | changes))]}


# West is a wall for this kind; east a dead end.
WALLED = {"legal": [[False, False], [False, True], [False, True]]}

MISTAKES = {
    "no cells": ({"cells": 0}, "cells: expected at least one"),
    "cells twice": ({"cells": ("a", "a", "b")}, "cells: .*'a' more than once"),
    "no kinds": ({"kinds": []}, "kinds: expected at least one"),
    "no members": ({"members": []}, "members: expected at least one"),
    "kinds twice": ({"kinds": [kind(), kind()]}, "kinds: .*'k' more than once"),
    "members twice": ({"members": [Member("ann", "k", 0)] * 2}, "members: .*'ann' more than once"),
    "unknown kind": ({"members": [Member("ann", "car", 0)]}, "member 'ann': no kind 'car': expected one of k"),
    "start nowhere": (member(start="north"), "member 'ann': start: no cell 'north': expected one of west, mid, east"),
    "start beyond": (member(start=3), r"member 'ann': start: 3 is out of range: expected 0\.\.2"),
    "start of a wrong shape": (member(start=[0.5, 0.5]), r"member 'ann': start: .*shape \(3,\): got \(2,\)"),
    "start not a distribution": (member(start=[0.5, 0.6, 0]), "member 'ann': start: .* sum to 1.1"),
    "negative start": (member(start=[1.5, -0.5, 0]), r"member 'ann': start: cell mid: .*>= 0: got -0\.5"),
    "start in a wall": (
        {"kinds": [kind(**WALLED)]},
        "member 'ann': start: cell west is a wall for kind 'k'",
    ),
    "goal in a wall": (
        {"kinds": [kind(**WALLED)], **member(start=1, goal="west")},
        "member 'ann': goal: cell west is a wall",
    ),
    "goal out of reach": (
        {"kinds": [kind(**WALLED)], **member(start="east", goal="mid")},
        "member 'ann': goal mid cannot be reached from its start east",
    ),
    "into a wall": (
        {"kinds": [kind(legal=[[False, False], [True, True], [True, True]])], **member(start=1)},
        "kind 'k' at cell mid with left: leads to cell west, a wall",
    ),
    "count": (member(count=0), "member 'ann': count: .*at least 1: got 0"),
    "weight": (member(weight=np.nan), "member 'ann': weight: expected a finite number"),
    "goal reward": (member(goal_reward=np.inf), "member 'ann': goal_reward: expected a finite number"),
    "own rewards' shape": (member(rewards=np.zeros(2)), r"member 'ann': rewards: expected shape \(3, 1\) or \(3, 2\)"),
    "own final rewards' shape": (
        member(final_rewards=np.zeros(2)),
        r"member 'ann': final_rewards: expected shape \(3,\)",
    ),
    "rewards' shape": (
        {"kinds": [kind(rewards=np.zeros((3, 3)))]},
        r"kind 'k': rewards: expected shape .*got \(3, 3\)",
    ),
    "infinite reward": ({"kinds": [kind(rewards=[0, np.inf, 0])]}, "kind 'k': rewards at cell mid: .*legal="),
    "legal's shape": ({"kinds": [kind(legal=np.ones((3, 3)))]}, "kind 'k': legal: expected shape"),
    "successor beyond": ({"kinds": [kind(successors=[[0, 1], [0, 3], [1, 2]])]}, "cell mid with right: successor 3"),
    "cells too many": ({"cells": 4}, "kind 'k': successors: expected shape .* for 4 cells"),
    "weights' shape": ({"agent_weights": np.zeros((2, 2))}, r"agent_weights: expected shape \(1, 1\).*got \(2, 2\)"),
    "kinds' weights' shape": ({"kind_weights": np.zeros(1)}, r"kind_weights: expected shape \(1, 1\).*got \(1,\)"),
    "weight not a number": ({"kind_weights": [[np.nan]]}, "kind_weights: what k feels of k: .*got nan"),
    "both weights": ({"kind_weights": [[1]], "agent_weights": [[1]]}, "at most one of them"),
    "function and weights": ({"kind_weights": [[1]], "interaction": lambda o, k: o[0]}, "interaction: "),
    "nearness' shape": ({"nearness": np.eye(2)}, r"nearness: expected shape \(3, 3\)"),
    "nearness not a number": ({"nearness": np.diag([0, np.inf, 0])}, "nearness of cell mid at cell mid: .*got inf"),
    "count beyond numbers": (member(count=10**400), "member 'ann': count: expected at most 9,007"),
    "horizon": (member(horizon=0), "member 'ann': horizon: expected a whole number of decisions, at least 1"),
    "negative horizon": (member(horizon=-2), "member 'ann': horizon: .*got -2"),
    "nearness, three arrays": ({"nearness": (MOVES, MOVES, 1)}, "nearness: .*the pair .*got a tuple of 3"),
    "nearness, no cells": ({"nearness": (np.zeros((3, 0), int), np.zeros((3, 0)))}, r"nearness: .*shape \(3, K\)"),
    "nearness, not of cells": ({"nearness": (np.full((3, 1), np.nan), np.ones((3, 1)))}, "nearness: .*float64"),
    "nearness, ragged": ({"nearness": [[1.0, 0.0, 0.0], [1.0]]}, "nearness: expected an array: got list"),
    "coordinates' shape": ({"coordinates": np.zeros((2, 2))}, r"coordinates: .*\(3, 2\)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_place(name):
    changes, message = MISTAKES[name]
    with pytest.raises(qt.GameError, match=message):
        game(**changes)


def test_a_kind_checks_its_own_shapes():
    with pytest.raises(qt.GameError, match=r"kind 'k': successors: expected shape \(n, 2\)"):
        kind(successors=MOVES[:, :1])
    with pytest.raises(qt.GameError, match=r"kind 'k': successors: .*Give the probabilities"):
        kind(successors=np.zeros((3, 2, 2), dtype=int))
    with pytest.raises(qt.GameError, match=r"kind 'k': successors: expected an array: got list .*every row as long"):
        kind(successors=[[0, 1], [0], [1, 2]])
    with pytest.raises(qt.GameError, match=r"kind 'k': probabilities: expected an array of numbers: got str"):
        kind(probabilities="x")
    half = np.full((3, 2, 2), 0.4)
    with pytest.raises(qt.GameError, match=r"kind 'k' at cell west with left: .*sum to 0\.8"):
        game(kinds=[kind(successors=np.zeros((3, 2, 2), dtype=int), probabilities=half)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"horizon": -1}, "horizon=-1: expected a whole number"),
        ({"horizon": None}, "horizon: a crowd plays"),
        ({"horizon": 3, "beta": -1.0}, "beta"),
        ({"horizon": 3, "beta": [1.0, 2.0]}, "beta.*one per agent"),
        ({"horizon": 3, "value": "soft", "beta": 0.0}, "soft"),
        ({"horizon": 3, "method": "newton"}, "method='newton': a crowd is solved by 'auto' or 'picard'"),
        ({"horizon": 3, "discount": 0.9}, "discount=0.9: a crowd is not discounted"),
        ({"horizon": 3, "dtype": "float16"}, "dtype='float16'"),
        ({"horizon": 3, "damping": 2.0}, "damping=2.0"),
        ({"horizon": 3, "tol": 0.0}, "tol=0.0"),
    ],
)
def test_what_a_solve_cannot_use_is_named(given, message):
    with pytest.raises(qt.ParameterError, match=message):
        qt.solve(game(), **({"beta": 1.0} | given))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda o, k: o, r"got shape \(1, 3\)"),
        (lambda o, k: np.ones(5), r"expected what being in each cell is worth, shape \(3,\).*got shape \(5,\)"),
        (lambda o, k: np.asarray(o)[0], "got TracerArrayConversionError"),
        (lambda o, k: o[0] * np.nan, "got nan"),
        (lambda o, k: None, "got"),
        (lambda o, k: 1 / 0, "ZeroDivisionError"),
        (lambda o: o[0], "TypeError: .*positional argument"),
    ],
)
def test_a_function_of_ones_own_is_tried_first(function, message):
    with pytest.raises(qt.ParameterError, match=f"(?s)interaction: for others of shape .* kind 'k': .*{message}"):
        qt.solve(game(interaction=function), beta=1.0, horizon=2)


def test_payoffs_that_rounding_hides_are_no_solution():
    # The accepted residual would be above 1, that is, any occupancy whatever.
    two = [Member("ann", "k", 0), Member("bob", "k", 2, count=10**15)]
    for members in (two, [Member("ann", "k", 0, rewards=[1e308, 1e308, 0.0])]):
        with pytest.raises(qt.ParameterError, match=r"rounding in float64 alone .*Scale rewards and weights down"):
            qt.solve(game(members=members), beta=1.0, horizon=3)


def test_wrong_types_are_named():
    # Without the tests' own type checks.
    code = """
import numpy as np, quantal as qt
MOVES = np.array([[0, 1], [0, 2], [1, 2]])
kind = qt.Kind("k", actions=("left", "right"), successors=MOVES)
ann = qt.Member("ann", "k", 0)
for given in (
    {"kinds": ["k"]}, {"kinds": kind}, {"members": ["ann"]}, {"members": ann}, {"members": [qt.Member(None, "k", 0)]},
    {"members": [qt.Member("ann", "k", 0, weight="a")]}, {"members": [qt.Member("ann", "k", 0, goal_reward=None)]},
    {"members": [qt.Member("ann", "k", 0, weight=np.ones(2))]}, {"interaction": "f"},
    {"members": [qt.Member("ann", "k", 0, horizon=2.5)]}, {"members": [qt.Member("ann", kind, 0)]},
    {"members": [qt.Member("ann", "k", 0, count=True)]}, {"members": [qt.Member("ann", "k", 0, goal=1.0)]},
    {"members": [qt.Member("ann", "k", 0, present_at_goal="no")]}, {"final_interaction": "no"},
):
    try:
        qt.CrowdGame(**({"cells": 3, "kinds": [kind], "members": [ann]} | given))
    except qt.GameError as error:
        assert "expected" in str(error) and "got" in str(error) and len(str(error)) < 200
    else:
        raise AssertionError(given)
try:
    qt.solve(qt.CrowdGame(cells=3, kinds=[kind], members=[ann]), beta=1.0, horizon=1, start=3)
except qt.ParameterError as error:
    assert "start" in str(error)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_crowd_too_large_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr("quantal.memory.available", lambda: 10_000)
    with pytest.raises(qt.TooLargeError, match="float32"):
        qt.solve(game(), beta=1.0, horizon=1000)


def test_the_callers_arrays_are_neither_kept_nor_changed():
    rewards = np.array([1.0, 2.0, 3.0])
    crowd = game(kinds=[kind(rewards=rewards)])
    rewards[:] = 9.0
    np.testing.assert_array_equal(crowd.kinds[0].rewards[:, 0], [1, 2, 3])
    with pytest.raises(ValueError, match="read-only"):
        crowd.kinds[0].successors[0, 0] = 1


def test_what_members_share_is_kept_once():
    own = np.array([1.0, 2.0, 3.0])
    crowd = game(members=[Member(f"m{k}", "k", 0, rewards=own) for k in range(3)] + [Member("other", "k", 0)])
    assert crowd.rewards[0] is crowd.rewards[1] is crowd.rewards[2]
    assert crowd.rewards[3] is crowd.kinds[0].rewards


def test_nearness_is_read_alike_from_every_form():
    dense = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]])
    forms = [game(nearness=form) for form in (dense, scipy.sparse.csr_array(dense))]
    forms.append(game(nearness=forms[0].nearness))
    for crowd in forms:
        cells, weights = crowd.nearness
        back = np.zeros((3, 3))
        np.add.at(back, (np.arange(3)[:, None], cells), weights)
        np.testing.assert_array_equal(back, dense)


def test_reading_a_crowd():
    crowd = game(
        kinds=[kind(), Kind("guard", actions=("wait",), successors=[[0], [1], [2]])],
        members=[
            Member("ann", "k", "mid", goal="east", weight=2.0),
            Member("eve", "guard", [0.5, 0, 0.5], count=3, weight=0.5),
        ],
        kind_weights=[[1.0, 3.0], [0.0, 1.0]],
    )
    assert crowd.population == 4
    assert crowd.actions == (("left", "right"), ("wait",))
    assert crowd.kind_of("eve").name == "guard"
    np.testing.assert_array_equal(crowd.start("eve"), [0.5, 0, 0.5])
    # What is felt: the weight of who is felt, times what the kinds make of each other.
    np.testing.assert_array_equal(felt(crowd), [[2.0, 1.5], [0.0, 0.5]])
    np.testing.assert_array_equal(steps_to(crowd.kinds[0], 2), [2, 1, 0])
    # At the goal only "right" is left, which stays there.
    np.testing.assert_array_equal(legal_of(crowd, 0), [[1, 1], [1, 1], [0, 1]])
    with pytest.raises(qt.GameError, match="no agent 'bob'"):
        crowd.agent_index("bob")
    with pytest.raises(qt.GameError, match="no cell 'north'"):
        crowd.cell_index("north")
