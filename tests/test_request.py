"""Every parameter that cannot be used is refused with what was given and what would be accepted."""

import re
import sys

import jaxtyping
import numpy as np
import pytest

import quantal as qt
from quantal import memory, request
from quantal.errors import GameError, ParameterError, TooLargeError

GAME = qt.games.random.stochastic(3, 2, 2)
ONCE = qt.games.random.normal_form((2, 2))


@pytest.fixture(autouse=True)
def _as_users_run_it():
    """The test run's type checks would refuse half of this before our own do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def check(game=GAME, **changes):
    given = {"beta": 1.0, "horizon": None, "discount": 0.9} | changes
    return request.check(game, **given)


REFUSED = {
    "beta below zero": ({"beta": -1.0}, "beta=-1.0: expected finite and >= 0 (0 is uniform play)"),
    "beta infinite": ({"beta": np.inf}, "beta=inf: expected finite"),
    "beta not a number": ({"beta": np.nan}, "beta=nan: expected numbers: got NaN"),
    "beta a word": ({"beta": "high"}, "beta='high': expected a number, or one per agent"),
    "beta nothing": ({"beta": None}, "beta=None: expected"),
    "one beta too many": ({"beta": [1, 2, 3]}, "one per agent (agent1, agent2): got shape (3,)"),
    "a table of betas": ({"beta": [[1, 2]]}, "one per agent (agent1, agent2): got shape (1, 2)"),
    "one bad beta of two": ({"beta": [1, -2]}, "beta=[1, -2]: expected finite and >= 0"),
    "soft without beta": ({"beta": [0, 1], "value": "soft"}, "the soft rule divides by beta: expected beta > 0"),
    "no horizon and no discount": ({"discount": None}, "horizon=T for T decisions (MGE-F), or discount=g"),
    "discount one": (
        {"discount": 1.0},
        "discount=1.0: expected 0 <= discount < 1. For an undiscounted game give horizon=",
    ),
    "discount above one": ({"discount": 1.5, "horizon": 3}, "discount=1.5: expected 0 <= discount <= 1"),
    "discount below zero": ({"discount": -0.1}, "discount=-0.1: expected 0 <= discount < 1"),
    "discount per agent": ({"discount": [0.9, 1.0]}, "discount=[0.9, 1.0]: expected 0 <= discount < 1"),
    "one discount too few": ({"discount": [0.9]}, "one per agent (agent1, agent2): got shape (1,)"),
    "no decisions": ({"horizon": 0}, "horizon=0: expected a whole number of decisions, at least 1"),
    "half a decision": ({"horizon": 2.5}, "horizon=2.5: expected a whole number of decisions"),
    "a word for a horizon": ({"horizon": "long"}, "horizon='long': expected a whole number of decisions"),
    "endless horizon": ({"horizon": np.inf}, "horizon=inf: expected a whole number of decisions"),
    "horizon not a number": ({"horizon": np.nan}, "horizon=nan: expected a whole number of decisions"),
    "a truth for a horizon": ({"horizon": True}, "horizon=True: expected a whole number of decisions"),
    "an unknown rule": ({"value": "mean"}, "value='mean': expected one of 'expected', 'soft', 'greedy'"),
    "an unknown method": (
        {"method": "fast"},
        "method='fast': expected one of 'auto', 'picard', 'newton', 'continuation'",
    ),
    "an unknown order": ({"order": "random"}, "order='random': expected one of 'jacobi', 'paper'"),
    "no damping": ({"damping": 0.0}, "damping=0.0: expected 0 < damping <= 1"),
    "damping above one": ({"damping": 1.1}, "damping=1.1: expected 0 < damping <= 1"),
    "damping a word": ({"damping": "some"}, "damping='some': expected 0 < damping <= 1"),
    "damping not a number": ({"damping": np.nan}, "damping=nan: expected 0 < damping <= 1"),
    "no steps": ({"max_steps": 0}, "max_steps=0: expected a whole number, at least 1"),
    "half a step": ({"max_steps": 10.5}, "max_steps=10.5: expected a whole number"),
    "steps a word": ({"max_steps": "all"}, "max_steps='all': expected a whole number"),
    "tolerance zero": ({"tol": 0.0}, "tol=0.0: expected a positive number, in units of payoff"),
    "tolerance below zero": ({"tol": -1e-9}, "tol=-1e-09: expected a positive number"),
    "tolerance infinite": ({"tol": np.inf}, "tol=inf: expected a positive number"),
    "tolerance a word": ({"tol": "tight"}, "tol='tight': expected a positive number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_with_what_can(case):
    changes, message = REFUSED[case]
    with pytest.raises(ParameterError, match=re.escape(message)):
        check(**changes)


def test_solve_and_solve_path_refuse_alike():
    # Both go through the same door, before anything is computed.
    with pytest.raises(ParameterError, match="expected 0 <= discount < 1"):
        qt.solve(GAME, beta=1.0, discount=1.0)
    with pytest.raises(ParameterError, match="expected 0 <= discount < 1"):
        qt.solve_path(GAME, [1.0], discount=1.0)
    with pytest.raises(ParameterError, match="horizon='soon'"):
        qt.solve_path(GAME, [1.0], horizon="soon")


@pytest.mark.parametrize(
    ("betas", "message"),
    [
        ([], "betas: expected a non-empty list of numbers: got shape (0,)"),
        (3.0, "betas: expected a non-empty list of numbers: got shape ()"),
        ([[1.0, 2.0]], "betas: expected a non-empty list of numbers: got shape (1, 2)"),
        (["low", "high"], "betas=['low', 'high']: expected a non-empty list of numbers"),
        ([1.0, -1.0], "beta=-1.0: expected finite and >= 0"),
        ([1.0, np.nan], "NaN"),
    ],
)
def test_a_path_wants_a_list_of_precisions(betas, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        qt.solve_path(GAME, betas, discount=0.9)


@pytest.mark.parametrize("restarts", [-1, 1.5, "many", None, True])
def test_restarts_are_counted(restarts):
    with pytest.raises(ParameterError, match=f"restarts={restarts!r}: expected a whole number"):
        qt.solve(ONCE, beta=1.0, restarts=restarts)


def test_the_focal_agent_must_exist():
    with pytest.raises(GameError, match="no agent 'third': this game has agent1, agent2"):
        qt.solve(GAME, beta=1.0, discount=0.9, method="picard", order="paper", focal="third")


def test_numbers_may_come_in_any_dress():
    asked = check(beta=np.float32(2), discount=np.array([0.5, 0.25]), horizon=np.int64(4))
    np.testing.assert_array_equal(asked.beta, [2, 2])
    np.testing.assert_array_equal(asked.discount, [0.5, 0.25])
    assert asked.horizon == 4
    whole = check(horizon=3.0)  # a float from a table
    assert whole.horizon == 3
    assert isinstance(whole.horizon, int)


def test_a_game_with_one_state_is_played_once_unless_told_otherwise():
    asked = check(ONCE, discount=None)
    np.testing.assert_array_equal(asked.discount, 0)
    assert asked.horizon is None


def test_without_a_discount_a_horizon_does_not_discount():
    np.testing.assert_array_equal(check(discount=None, horizon=2).discount, 1)


def scaled(factor, shift=0.0):
    return qt.MarkovGame.from_arrays([factor * r + shift for r in GAME.rewards], GAME.dynamics)


def test_the_default_tolerance_is_in_the_games_own_units():
    # 1e-12 of what is at stake: a game in millionths of a unit must not be called solved at once, and payoffs of
    # millions cannot be added up to 1e-12.
    assert check().tol == 1e-12
    small = check(scaled(1e-9))
    bound = request.payoff_bound(scaled(1e-9), small.beta, small.discount, None, "expected")
    assert small.tol == pytest.approx(1e-12 * bound)
    assert small.tol < 1e-19
    assert 1e-9 < check(scaled(1e6), beta=1e-6).tol < 1e-6
    assert check(scaled(1.0), tol=1e-5).tol == 1e-5


def test_the_default_tolerance_gives_way_to_rounding_only_at_extreme_precision():
    # Policies know Q to eps |Q| and no better; at beta = 1e6 that alone moves payoffs by 1e-9.
    assert check(beta=200.0).tol == 1e-12
    assert 1e-12 < check(beta=1e6).tol < 1e-8
    # Even then beta times the residual is far below 1: what is accepted always says something about play.
    for factor, beta in ((1.0, 1e6), (1e9, 1.0), (1e3, 1e6)):
        assert check(scaled(factor), beta=beta).tol * beta <= 2e-3


def test_nothing_to_win_is_solved_exactly():
    found = qt.solve(scaled(0.0), beta=1.0, horizon=2)
    assert found.converged
    assert found.residual == 0.0


def test_payoffs_to_go_are_bounded():
    # |R| / (1 - discount), or T |R| + |R_F|; the soft rule adds log(A)/beta a step.
    game = qt.MarkovGame.from_arrays(
        [np.full((3, 1, 1), 2.0), np.full((3, 1, 1), -1.0)],
        GAME.dynamics,
        final_rewards=[np.zeros(3), np.full(3, 7.0)],
    )
    one = np.ones(2)
    assert request.payoff_bound(game, one, 0.5 * one, None, "expected") == pytest.approx(4.0)
    assert request.payoff_bound(game, one, one, 3, "expected") == pytest.approx(10.0)
    assert request.payoff_bound(game, 0.1 * one, one, 3, "soft") == pytest.approx(3 * (1 + 10 * np.log(2)) + 7)


def test_what_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    # The message says how much it needs, how much there is, and what to do; the engine never sees the game.
    def untouched(*_):
        raise AssertionError("the game was laid out")

    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    for name in ("quantal.solve", "quantal.path"):
        monkeypatch.setattr(sys.modules[name], "model_of", untouched)
    game = qt.games.pursuit.three_players()
    need = request.memory_needed(game, 40)
    assert need > 1_000_000
    expected = (
        r"solving this game \(9 x 9 x 9 states, 15 actions, 40 decisions\) needs .* of memory: .* are free. Shorten"
    )
    with pytest.raises(TooLargeError, match=expected):
        qt.solve(game, beta=1.0, horizon=40)
    with pytest.raises(TooLargeError):
        qt.solve_path(game, [1.0], horizon=40)
    with pytest.raises(MemoryError):  # callers who know nothing of Quantal catch it too
        qt.solve(game, beta=1.0, horizon=40)


def test_memory_grows_with_the_horizon():
    game = qt.games.pursuit.three_players()
    per_decision = request.memory_needed(game, 11) - request.memory_needed(game, 10)
    assert per_decision == 8 * 729 * (2 * 15 + 3)  # q, policy and value


def test_what_is_no_solution_game_or_function_is_named():
    huge = qt.MarkovGame.normal_form([np.array([[1e308, -1e308], [0.0, 0.0]])] * 2)
    for call, said in (
        (lambda: qt.certify(None), "expected a solution to certify, as quantal.solve gives: got NoneType"),
        (lambda: qt.compare(None), "expected the solution of a crowd to compare with the exact game: got NoneType"),
        (lambda: qt.solve(GAME, beta=1.0, discount=0.9, progress=5), "progress=5: expected a function"),
        (lambda: qt.solve_path(GAME, [1.0], discount=0.9, progress=5), "progress=5: expected a function"),
        (lambda: qt.solve(huge, beta=1.0), "adds up to as much as 1.0e+308: expected at most 1e+300"),
    ):
        with pytest.raises(ParameterError, match=re.escape(said)):
            call()
    with pytest.raises(GameError, match="successors: expected one table per agent: got NoneType"):
        qt.Independent(None)
