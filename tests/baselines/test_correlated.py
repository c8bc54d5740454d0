"""Correlated equilibria of stage games: against HiGHS, against numbers derived by hand, and against what is weaker."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from quantal import ParameterError
from quantal.baselines import coarse_violation, correlated_equilibrium, correlated_violation
from quantal.baselines.correlated import select
from quantal.baselines.simplex import maximise

SELECTIONS = ("u", "e", "r", "l")


def obedience(payoffs):
    """Rows of the constraints, written out: told a, doing b instead must not gain."""
    shape, rows = payoffs[0].shape, []
    for i, q in enumerate(payoffs):
        for a, b in itertools.permutations(range(shape[i]), 2):
            row = np.zeros(shape)
            for joint in np.ndindex(*shape):
                if joint[i] == a:
                    row[joint] = q[(*joint[:i], b, *joint[i + 1 :])] - q[joint]
            rows.append(row.ravel())
    return np.array(rows)


def by_highs(payoffs, selection, unit=1.0, **options):
    """The optimal objective (for "l" and "r" each agent's own best), by SciPy; constraints written in smaller units."""
    rows = obedience(payoffs) * unit
    flat = [q.ravel() for q in payoffs]
    size, agents = flat[0].size, len(flat)

    def best(objective):
        found = linprog(
            -objective,
            A_ub=rows,
            b_ub=np.zeros(len(rows)),
            A_eq=np.ones((1, size)),
            b_eq=[1],
            method="highs",
            options=options,
        )
        return -found.fun

    if selection == "u":
        return best(sum(flat))
    if selection == "e":  # max t with t <= V_i
        upper = np.block([[rows, np.zeros((len(rows), 1))], [-np.array(flat), np.ones((agents, 1))]])
        found = linprog(
            np.r_[np.zeros(size), -1],
            A_ub=upper,
            b_ub=np.zeros(len(upper)),
            A_eq=np.r_[np.ones(size), 0][None],
            b_eq=[1],
            bounds=[(0, None)] * size + [(None, None)],
            method="highs",
            options=options,
        )
        return -found.fun
    own = np.array([best(q) for q in flat])
    return own.max() if selection == "r" else own


def objective(selection, values):
    return {"u": values.sum(), "e": values.min(), "r": values.max(), "l": values}[selection]


@pytest.mark.parametrize(
    ("shape", "selection"),
    [((3, 3), s) for s in SELECTIONS]
    + [((2, 3, 2), "u"), *(pytest.param((2, 3, 2), s, marks=pytest.mark.deep) for s in "erl")],
)
def test_the_optimum_is_that_of_highs(selection, shape):
    # Smooth games, games full of ties (small whole numbers), and payoffs of another size.
    rng = np.random.default_rng(7)
    draws = (lambda: rng.random(shape), lambda: rng.integers(-2, 3, shape) * 1.0, lambda: 1e4 * rng.normal(size=shape))
    for draw in draws:
        for _ in range(6):
            payoffs = [draw() for _ in shape]
            found = correlated_equilibrium(payoffs, selection)
            scale = max(np.abs(q).max() for q in payoffs)
            assert found.done
            np.testing.assert_allclose(
                objective(selection, found.values), by_highs(payoffs, selection), atol=1e-10 * scale, rtol=0
            )
            for joint in found.joint:
                assert joint.min() >= 0
                assert joint.sum() == pytest.approx(1, abs=1e-12)
                assert (obedience(payoffs) @ joint.ravel()).max() <= 1e-9 * scale


def test_four_selections_four_outcomes():
    # Three ways to agree, (10, 1), (1, 9) and (9.5, 3); who disagrees gets nothing. Every mix of agreements is a
    # correlated equilibrium (alone one only loses), so that their values are all of the triangle and what is below.
    first, second = np.diag([10.0, 1.0, 9.5]), np.diag([1.0, 9.0, 3.0])
    found = {s: correlated_equilibrium([first, second], s) for s in SELECTIONS}
    # u: sums are 11, 10 and 12.5.
    np.testing.assert_allclose(found["u"].values, [9.5, 3], atol=1e-12)
    assert found["u"].joint[0, 2, 2] == pytest.approx(1)
    # e: on the edge from (1, 9) to (9.5, 3), 1 + 8.5 t = 9 - 6 t, so t = 16/29 and both get 165/29.
    np.testing.assert_allclose(found["e"].values, [165 / 29, 165 / 29], atol=1e-12)
    np.testing.assert_allclose(found["e"].joint[0][[1, 2], [1, 2]], [13 / 29, 16 / 29], atol=1e-12)
    # r: nobody can get more than 10.
    np.testing.assert_allclose(found["r"].values, [10, 1], atol=1e-12)
    # l: each expects its own best; their parts, first and second action, do not fit.
    np.testing.assert_allclose(found["l"].values, [10, 9], atol=1e-12)
    assert found["l"].joint.shape == (2, 3, 3)
    assert (found["l"].joint[0, 0, 0], found["l"].joint[1, 1, 1]) == (1, 1)


def test_chicken_has_the_textbook_equilibrium():
    # Dare/yield: (0,0) (7,2) / (2,7) (6,6). The best sum of a correlated equilibrium is 10.5: (D,Y) and (Y,D) 1/4 each,
    # (Y,Y) 1/2: told to yield one is indifferent, 6 p + 2 q = 7 p with p = 2 q.
    first = np.full((3, 3), -1.0)  # a third action that is never worth it
    first[:2, :2] = [[0.0, 7.0], [2.0, 6.0]]
    found = correlated_equilibrium([first, first.T], "u")
    np.testing.assert_allclose(found.joint[0, :2, :2], [[0, 0.25], [0.25, 0.5]], atol=1e-12)


def test_ties_go_to_the_first_agent():
    # Battle of the sexes, equal sums: the documented choice is agent 1's.
    found = correlated_equilibrium([np.diag([1.0, 2.0, 0.0]), np.diag([2.0, 1.0, 0.0])], "u")
    np.testing.assert_allclose(found.values, [2, 1], atol=1e-12)
    # And where nothing matters at all, one joint action, always the same.
    nothing = correlated_equilibrium([np.zeros((3, 3))] * 2, "u").joint[0]
    assert np.sort(nothing.ravel()).tolist() == [0] * 8 + [1]
    np.testing.assert_array_equal(nothing, correlated_equilibrium([np.zeros((3, 3))] * 2, "r").joint[0])


@pytest.mark.deep
def test_illegal_actions_are_as_if_they_were_not_there():
    rng = np.random.default_rng(3)
    small = [rng.random((2, 3)) for _ in range(2)]
    large = [np.full((3, 4), np.nan) for _ in range(2)]
    for whole, part in zip(large, small, strict=True):
        whole[np.ix_([0, 2], [1, 2, 3])] = part
    legal = (np.array([True, False, True]), np.array([False, True, True, True]))
    for selection in ("u", "e"):
        a, b = correlated_equilibrium(small, selection), correlated_equilibrium(large, selection, legal)
        np.testing.assert_allclose(a.values, b.values, atol=1e-12)
        assert np.isfinite(b.joint).all()
        assert b.joint[:, 1].sum() == b.joint[:, :, 0].sum() == 0


@pytest.mark.deep
def test_many_games_at_once_equal_each_by_itself():
    # The same games in lanes, more than go into one group, some not asked for.
    rng = np.random.default_rng(5)
    payoffs = rng.integers(-3, 4, (2, 3, 3, 40)) * 1.0
    needed = np.arange(40) % 5 != 0
    with jax.enable_x64(True):
        legal = (jnp.ones((3, 40), bool),) * 2
        for selection in ("u", "l"):
            together = select(selection, jnp.asarray(payoffs), legal, jnp.asarray(needed))
            for lane in np.flatnonzero(needed)[::7]:
                alone = correlated_equilibrium(list(payoffs[..., lane]), selection)
                np.testing.assert_array_equal(np.asarray(together.joint)[..., lane], alone.joint)


def test_a_coarse_correlated_equilibrium_is_rejected_where_it_is_not_correlated():
    # Both are told A, or both B, and get 1. Who is told A does better with C (1.5 against A), but who must decide
    # before being told does not: C against B costs 10.
    first = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.5, -10.0, 0.0]])
    joint = np.diag([0.5, 0.5, 0.0])
    payoffs = [first, first.T]
    assert coarse_violation(payoffs, joint) <= 0  # a coarse correlated equilibrium
    assert correlated_violation(payoffs, joint) == pytest.approx(0.25)  # told A: (1.5 - 1) half of the time
    found = correlated_equilibrium(payoffs, "u")
    assert correlated_violation(payoffs, found.joint[0]) <= 1e-12
    assert correlated_violation(payoffs, joint) == pytest.approx((obedience(payoffs) @ joint.ravel()).max())


def nearly_tied(rng, shape, number):
    """Stage games of small whole numbers whose ties are broken by 1e-12 to 1e-6 of a unit, in units of 1e-3 to 1e6."""
    size = (number, 1, *(1,) * len(shape))
    whole = rng.integers(-2, 3, (number, len(shape), *shape)) * (rng.random((number, len(shape), *shape)) < 0.7)
    broken = np.where(rng.random(size) < 0.5, rng.integers(-2, 3, whole.shape), rng.normal(size=whole.shape))
    return 10 ** rng.uniform(-3, 6, size) * (whole + 10 ** rng.uniform(-12, -6, size) * broken)


@pytest.mark.parametrize(
    ("shape", "selection"),
    [((3, 3), "u"), *(pytest.param((2, 3, 2), s, marks=pytest.mark.deep) for s in SELECTIONS)]
    + [pytest.param(shape, s, marks=pytest.mark.deep) for shape in ((3, 3), (5, 5)) for s in "erl"],
)
def test_nearly_tied_payoffs_keep_the_constraints_and_the_optimum(shape, selection):
    # Differences of 1e-12 beside differences of 1 are what pivots blow up. Whatever they are, nobody may gain more than
    # 1e-9 of its own range of payoffs by disobeying, and the objective is not below what HiGHS finds, held to 1e-14.
    # (It may be above: what obeys to 1e-9 may be worth far more than what obeys exactly. HiGHS gives up on some.)
    number = 600
    payoffs = nearly_tied(np.random.default_rng(11), shape, number)
    with jax.enable_x64(True):
        legal = tuple(jnp.ones((n, number), bool) for n in shape)
        found = jax.jit(select, static_argnums=0)(
            selection, jnp.asarray(np.moveaxis(payoffs, 0, -1)), legal, jnp.ones(number, bool)
        )
    assert np.asarray(found.done).all()
    joints = np.moveaxis(np.asarray(found.joint), -1, 0)
    strict, compared = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}, 0
    for k, (game, joint) in enumerate(zip(payoffs, joints, strict=True)):
        own = np.repeat([np.ptp(q) for q in game], [n * (n - 1) for n in shape])
        rows = obedience(list(game)) / np.where(own > 0, own, 1)[:, None]
        assert max((rows @ each.ravel()).max() for each in joint) <= 1e-9
        if k % 20 == 0:
            unit = np.ptp(game) or 1.0
            try:
                best = by_highs([(q - game.min()) / unit for q in game], selection, 1e4, **strict)
            except TypeError:  # no optimum was found
                continue
            values = (np.asarray(found.values)[:, k] - game.min()) / unit
            assert np.all(objective(selection, values) >= best - 1e-8)
            compared += 1
    assert compared >= 15


def test_the_simplex_method_solves_a_textbook_program():
    # max 3x + 5y with x <= 4, 2y <= 12, 3x + 2y <= 18 (Hillier & Lieberman): 36 at (2, 6), prices 0, 3/2, 1.
    with jax.enable_x64(True):
        found = maximise(
            jnp.array([[3.0, 5.0]])[..., None],
            jnp.array([[1.0, 0], [0, 2], [3, 2]])[..., None],
            jnp.array([4.0, 12, 18])[:, None],
        )
    assert found.value[0, 0] == pytest.approx(36)
    np.testing.assert_allclose(found.x[:, 0], [2, 6], atol=1e-12)
    np.testing.assert_allclose(found.prices[:, 0], [0, 1.5, 1], atol=1e-12)


def test_bad_input_says_what_is_accepted():
    with pytest.raises(ParameterError, match=r"selection='x'.*'u' \(utilitarian\)"):
        correlated_equilibrium([np.eye(2)] * 2, "x")
    with pytest.raises(ParameterError, match=r"2 arrays of one shape.*\(2, 2\), \(3, 3\)"):
        correlated_equilibrium([np.eye(2), np.eye(3)])


@pytest.mark.parametrize("level", [1e6, 1e9])
def test_a_level_that_everyone_is_paid_changes_no_constraint(level):
    rng = np.random.default_rng(3)
    payoffs = [rng.normal(size=(3, 3)) for _ in range(2)]
    raised = correlated_equilibrium([level + q for q in payoffs], "u")
    joint = np.asarray(raised.joint)[0]
    # Differences of payoffs near 1e9 are known to 1e-7 themselves: judged by the payoffs as they were handed in.
    table = [(level + q) - level for q in payoffs]
    for i, q in enumerate(table):
        told = np.moveaxis(joint, i, 0)
        for a in range(3):
            gains = [(told[a] * (np.moveaxis(q, i, 0)[b] - np.moveaxis(q, i, 0)[a])).sum() for b in range(3)]
            assert max(gains) <= 1e-9


@pytest.mark.parametrize(
    ("payoffs", "legal", "said"),
    [
        ([], None, "got none"),
        ([np.full((2, 2), np.inf)] * 2, None, "finite"),
        ([np.full((2, 2), np.nan)] * 2, None, "finite"),
        ([np.eye(2)] * 2, [np.array([False, False]), np.ones(2, bool)], "at least one legal"),
        ([np.eye(2)] * 2, [np.ones(2, bool)], "one mask per agent"),
        ([np.eye(2)] * 2, [np.ones(3, bool), np.ones(2, bool)], "one mask per agent"),
    ],
)
def test_what_is_no_stage_game_is_refused(payoffs, legal, said):
    with pytest.raises(ParameterError, match=said):
        correlated_equilibrium(payoffs, "u", legal)
