"""MGE-FB against its equations in loops, its limits and symmetries, and what is claimed about its convergence."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.crowds import loops as crowds

import quantal as qt
from quantal.certify_crowd import bounds, contraction
from quantal.crowds.counterpart import exact
from quantal.crowds.game import CrowdGame, Member
from quantal.crowds.layout import Links, Shifts, crowd_layout
from quantal.solvers import forward_backward

RULES = ("expected", "soft", "greedy")
BETA = 1.3
HORIZON = 5


def betas(game):
    """A beta of its own for everyone."""
    return BETA + 0.2 * np.arange(len(game.members))


def solved(game, **options):
    return qt.solve(game, **({"beta": BETA, "horizon": HORIZON, "tol": 1e-11} | options))


def occupancies(solution):
    return [solution.occupancy[i] for i in range(len(solution.game.members))]


def apart(a, b):
    """Largest difference of policies and occupancies, agent by agent."""
    return max(
        max(float(np.abs(a.policy[k] - b.policy[k]).max()), float(np.abs(a.occupancy[k] - b.occupancy[k]).max()))
        for k in a.game.agents
    )


# --------------------------------------------------------------------------- the equations


@pytest.mark.parametrize(("name", "rule"), list(zip(crowds.GAMES, itertools.cycle(RULES), strict=False)))
def test_a_solution_solves_the_equations_in_loops(name, rule):
    # Loops written from the equations, and run from the occupancies found, give the same Q, policies and values; what
    # is left is what the occupancies still move by (1e-11), times what payoffs make of it.
    game = crowds.GAMES[name]()
    solution = solved(game, beta=betas(game), value=rule)
    assert solution.converged
    found = occupancies(solution)
    for i in range(len(game.members)):
        q, policy, value = crowds.backward(game, i, betas(game)[i], rule, HORIZON, found)
        np.testing.assert_allclose(solution.q[i], q, atol=1e-9)
        np.testing.assert_allclose(solution.policy[i], policy, atol=1e-9)
        np.testing.assert_allclose(solution.value[i], value, atol=1e-9)
        # The occupancy is what the policy makes of the start, to rounding, whether or not anything converged.
        np.testing.assert_allclose(found[i], crowds.forward(game, i, solution.policy[i]), atol=1e-13)
        # Nobody is lost on the way.
        assert found[i].min() >= 0
        np.testing.assert_allclose(found[i].sum(axis=1), 1.0, atol=1e-12)
    _, q = crowds.respond(game, betas(game), rule, HORIZON, found)
    gap = max(float(np.nanmax(np.abs(solution.q[i] - q[i]))) for i in range(len(game.members)))
    assert gap <= 1e-9


def test_mass_is_conserved_over_a_long_time():
    for found in occupancies(solved(crowds.on_grid(), horizon=200, max_steps=3)):
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_both_residuals_are_those_of_the_undamped_map():
    # Stopped early and heavily damped, so that the last step is small and the residual is not.
    game = crowds.on_grid()
    solution = solved(game, method="picard", damping=0.05, max_steps=3)
    assert not solution.converged
    assert solution.status is qt.Status.STEPS
    layout = crowd_layout(game, (BETA,) * len(game.members), "float64")
    state = [np.asarray(s) for s in solution.state]
    before = [state[w][b, :, r][:, layout.places] for w, b, r in layout.seats]
    padded = [np.concatenate([o, np.zeros_like(o[:1])]) for o in before]  # O^T is not felt here
    after, q = crowds.respond(game, [BETA] * 4, "expected", HORIZON, padded)
    _, q_after = crowds.respond(game, [BETA] * 4, "expected", HORIZON, after)
    occupancy = max(float(np.abs(a[:-1] - b).max()) for a, b in zip(after, before, strict=True))
    assert solution.occupancy_residual == pytest.approx(occupancy, rel=1e-9)
    # At the goal, where Q is a constant of the game, the engine's own number may be larger.
    assert (
        solution.payoff_residual
        >= max(float(np.nanmax(np.abs(a - b))) for a, b in zip(q, q_after, strict=True)) - 1e-12
    )
    assert solution.occupancy_residual > 0.1


# --------------------------------------------------------------------------- limits


@pytest.mark.parametrize(("width", "rule"), [(1, "expected"), (2, "soft"), (2, "greedy")])
def test_one_agent_is_the_single_agent_solution(width, rule):
    # Nobody to meet: the same Markov decision process, solved by two different solvers.
    kind = crowds.graph_kind("k", 6, 3, width, 4)
    game = CrowdGame(cells=6, kinds=[kind], members=[Member("me", "k", np.full(6, 1 / 6))])
    alone = qt.solve(exact(game), beta=BETA, horizon=HORIZON, value=rule)
    solution = solved(game, value=rule)
    np.testing.assert_allclose(solution.policy["me"], alone.policy["me"], atol=1e-12)
    np.testing.assert_allclose(solution.value["me"], alone.value["me"], atol=1e-12)


def test_a_goal_is_an_absorbing_state_worth_its_reward_at_the_end():
    kind = crowds.grid_kind("walker", 3, 4, walls=(5,), rewards=np.full(12, -1.0))
    game = CrowdGame(cells=12, kinds=[kind], members=[Member("me", "walker", 0, goal=11, goal_reward=7.0)])
    twin = exact(game)
    alone = qt.solve(twin, beta=BETA, horizon=9)
    cells = [game.cell_index(label) for label in twin.state_labels[0]]
    solution = solved(game, horizon=9)
    np.testing.assert_allclose(solution.value["me"][:, cells], alone.value["me"], atol=1e-12)
    np.testing.assert_allclose(solution.policy["me"][:, cells], alone.policy["me"], atol=1e-12)


def test_who_does_not_mind_anybody_plays_alone():
    kind = crowds.graph_kind("k", 5, 3, 2, 6)
    members = [Member(name, "k", start, weight=0.0) for name, start in (("a", 0), ("b", 3))]
    solution = solved(CrowdGame(cells=5, kinds=[kind], members=members))
    for member in members:
        alone = solved(CrowdGame(cells=5, kinds=[kind], members=[member]))
        np.testing.assert_allclose(solution.policy[member.name], alone.policy[member.name], atol=1e-12)
        np.testing.assert_allclose(solution.occupancy[member.name], alone.occupancy[member.name], atol=1e-12)


def test_without_precision_play_is_uniform():
    game = crowds.on_grid()
    solution = solved(game, beta=0.0)
    kind = game.kind_of("bob")
    open_cells = ~kind.walls
    expected = (kind.legal / np.maximum(kind.legal.sum(axis=1, keepdims=True), 1))[open_cells]
    np.testing.assert_allclose(solution.policy["bob"][:, open_cells], np.broadcast_to(expected, (HORIZON, 11, 5)))


# --------------------------------------------------------------------------- symmetries


def test_the_order_of_the_members_does_not_matter():
    game = crowds.on_grid()
    turned = crowds.on_grid()
    order = [2, 0, 3, 1]
    turned = CrowdGame(
        cells=game.cells,
        kinds=game.kinds[::-1],
        members=[game.members[i] for i in order],
        coordinates=game.coordinates,
    )
    assert apart(solved(game), solved(turned)) <= 1e-9


@pytest.mark.parametrize("near", [None, crowds.NEAR])
def test_members_who_are_alike_cost_one(near):
    kind = crowds.grid_kind("k", 3, 4, rewards=np.linspace(0, 1, 12))

    def game(members):
        return CrowdGame(cells=12, kinds=[kind], members=members, nearness=near)

    single = game([Member("other", "k", 7), *(Member(f"m{k}", "k", 2, weight=0.5) for k in range(4))])
    counted = game([Member("other", "k", 7), Member("m0", "k", 2, weight=0.5, count=4)])
    # Told apart by a hair in the starts, and so computed one by one.
    hair = [np.eye(12)[2] * (1 - e) + np.eye(12)[3] * e for e in (0.0, 1e-14, 2e-14, 3e-14)]
    apart_by_a_hair = game(
        [Member("other", "k", 7), *(Member(f"m{k}", "k", s, weight=0.5) for k, s in enumerate(hair))]
    )
    a, b, c = (solved(g, horizon=8) for g in (single, counted, apart_by_a_hair))
    assert [s.notes[0].split()[0] for s in (a, b, c)] == ["2", "2", "5"]
    for other in (a, c):
        for name in ("other", "m0"):
            np.testing.assert_allclose(other.policy[name], b.policy[name], atol=1e-9)
            np.testing.assert_allclose(other.occupancy[name], b.occupancy[name], atol=1e-9)


def test_a_map_is_shifted_and_a_graph_is_gathered_to_the_same_end():
    # The same moves in another numbering of the cells: with coordinates the layout finds the grid again.
    game = crowds.on_grid(coordinates=None)
    order = np.random.default_rng(1).permutation(12)
    back = np.argsort(order)

    def renumbered(kind):
        return qt.Kind(
            kind.name,
            actions=kind.actions,
            successors=back[kind.successors][order],
            legal=kind.legal[order],
            rewards=kind.rewards[order],
            final_rewards=kind.final_rewards[order],
        )

    def moved(member, i):
        return Member(
            member.name,
            member.kind,
            game.start(i)[order],
            goal=None if game.goals[i] is None else int(back[game.goals[i]]),
            goal_reward=member.goal_reward,
            weight=member.weight,
            count=member.count,
            present_at_goal=member.present_at_goal,
            rewards=game.rewards[i][order],
            final_rewards=game.final_rewards[i][order],
        )

    y, x = np.divmod(order, 4)
    options = {
        "cells": 12,
        "kinds": [renumbered(k) for k in game.kinds],
        "members": [moved(m, i) for i, m in enumerate(game.members)],
    }
    gathered = CrowdGame(**options)
    shifted = CrowdGame(**options, coordinates=np.stack([x, y], axis=1))
    kinds = []
    for g in (game, gathered, shifted):
        with jax.enable_x64(True):
            kinds.append({type(m.moves) for m in crowd_layout(g, (BETA,) * 4, "float64").model.movers})
    assert kinds == [{Shifts}, {Links}, {Shifts}]
    one, two, three = solved(game), solved(gathered), solved(shifted)
    assert apart(two, three) <= 1e-9
    for i in range(4):
        np.testing.assert_allclose(two.occupancy[i], one.occupancy[i][:, order], atol=1e-9)


def test_a_function_of_ones_own_does_what_weights_do():
    kinds, members = crowds.on_graph().kinds, crowds.on_graph().members
    built_in = CrowdGame(cells=6, kinds=kinds, members=[_by_number(m) for m in members])
    own = CrowdGame(
        cells=6,
        kinds=kinds,
        members=[_by_number(m) for m in members],
        interaction=lambda others, kind: -others.sum(axis=0),
    )
    assert apart(solved(built_in), solved(own)) <= 1e-9
    # ... and what they cannot: only kind p minds, and only more than half a person.
    shy = CrowdGame(
        cells=6,
        kinds=kinds,
        members=[_by_number(m) for m in members],
        interaction=lambda others, kind: -jnp.maximum(others.sum(axis=0) - 0.5, 0.0) * (kind == "p"),
    )
    alone = CrowdGame(cells=6, kinds=kinds, members=[_by_number(m, weight=0.0) for m in members])
    a, b = solved(shy), solved(alone)
    np.testing.assert_allclose(a.policy["q1"], b.policy["q1"], atol=1e-12)
    assert np.abs(a.policy["p1"] - b.policy["p1"]).max() > 1e-3


def _by_number(member, **changes):
    start = 2 if isinstance(member.start, str) else member.start
    return Member(member.name, member.kind, start, **({"weight": member.weight, "count": member.count} | changes))


def test_nearness_of_ones_own_cell_is_no_nearness():
    plain, near = crowds.on_grid(), crowds.on_grid(nearness=np.eye(12))
    assert apart(solved(plain), solved(near)) <= 1e-9


# --------------------------------------------------------------------------- convergence


def test_where_the_bound_holds_every_start_leads_to_one_answer():
    # Our version of Theorem 3 promises that a round of plain alternation leaves at most c < 1 of any difference of Q:
    # so it must converge undamped, from anywhere, to one answer, within the steps that c gives.
    kind = crowds.grid_kind("k", 3, 3, rewards=np.linspace(0, 0.1, 9))
    game = CrowdGame(cells=9, kinds=[kind], members=[Member(f"m{k}", "k", k, weight=0.02) for k in (0, 4, 8)])
    options = {"horizon": 4, "method": "picard", "tol": 1e-12}
    first = solved(game, **options)
    bounds = first.certificate.bounds
    assert [b.holds for b in bounds] == [False, False, True]
    assert first.certificate.unique
    c = bounds[2].size
    assert first.converged
    assert first.steps <= 2 + np.log(1e-12) / np.log(c)
    assert first.certificate.spectral_radius <= c
    for beta in (0.0, 30.0):
        elsewhere = solved(game, **options, beta=beta)
        assert apart(first, elsewhere) > 1e-2
        assert apart(first, solved(game, **options, start=elsewhere)) <= 1e-10


@pytest.mark.parametrize(
    ("rule", "final"), [("expected", False), ("expected", True), ("soft", False), ("greedy", True)]
)
def test_our_constant_bounds_what_a_round_leaves(rule, final):
    # From Q to the next Q, in loops: any two sets of policies that follow from Q and Q' by the choice rule.
    game = crowds.on_graph(final_interaction=final)
    beta, horizon = [0.4] * 4, 3
    c = contraction(game, np.array(beta), horizon, rule)
    rng = np.random.default_rng(3)

    def round_from(q):
        policies = []
        for i in range(4):
            legal = game.kind_of(i).legal
            w = np.where(legal, np.exp(beta[i] * q[i]), 0.0)
            policies.append(w / w.sum(axis=-1, keepdims=True))
        occupancy = [crowds.forward(game, i, p) for i, p in enumerate(policies)]
        return crowds.respond(game, beta, rule, horizon, occupancy)[1]

    worst = 0.0
    for _ in range(6):
        a = [rng.normal(size=(horizon, *game.kind_of(i).legal.shape)) * 3 for i in range(4)]
        b = [x + rng.choice([-1, 1], size=x.shape) * 0.1 for x in a]
        after = max(float(np.nanmax(np.abs(x - y))) for x, y in zip(round_from(a), round_from(b), strict=True))
        worst = max(worst, after / 0.1)
    assert 0 < worst <= c


@pytest.mark.deep
def test_the_spectral_radius_is_that_of_the_dense_jacobian():
    game = crowds.on_graph()
    solution = solved(game, horizon=3)
    certificate = solution.certificate
    with jax.enable_x64(True):
        model = crowd_layout(game, (BETA,) * 4, "float64").model
        shapes = [s.shape for s in solution.state]
        edges = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])

        def flat(x):
            state = tuple(x[a:b].reshape(s) for a, b, s in zip(edges, edges[1:], shapes, strict=False))
            image = forward_backward.respond(model, "expected", 3, state)
            return jnp.concatenate([y.reshape(-1) for y in image])

        point = jnp.concatenate([jnp.asarray(s).reshape(-1) for s in solution.state])
        jacobian = np.asarray(jax.jacfwd(flat)(point))
        r = np.asarray(flat(point) - point)
    radius = float(np.abs(np.linalg.eigvals(jacobian)).max())
    assert certificate.spectral_radius == pytest.approx(radius, rel=0.05)
    # First-order error: (I - T')^-1 r, entry by entry within the bound.
    error = np.abs(np.linalg.solve(np.eye(len(r)) - jacobian, r)).max()
    assert certificate.error_bound >= error * (1 - 1e-6)


def test_a_game_of_giving_way_is_settled_by_damping_where_plain_alternation_cycles():
    # Two doors, three alike and many of them: everyone runs to the door that nobody is expected at, and back again.
    successors = np.array([[1, 2], [1, 1], [2, 2]])
    legal = np.array([[True, True], [True, False], [True, False]])
    kind = qt.Kind("k", actions=("left", "right"), successors=successors, legal=legal, rewards=[0.0, 0.1, 0.0])
    game = CrowdGame(cells=3, kinds=[kind], members=[Member("all", "k", 0, count=30)])
    plain = solved(game, beta=2.0, horizon=3, method="picard", max_steps=200)
    assert plain.status is qt.Status.STEPS
    assert plain.residual > 0.1
    found = solved(game, beta=2.0, horizon=3)
    assert found.converged
    # One symmetric answer: 29 others shared out so that (log odds)/beta is the difference of what is felt twice, + 0.2.
    p = found.policy["all"][0, 0, 0]
    assert np.log(p / (1 - p)) / 2.0 == pytest.approx(2 * (0.1 - 29 * (2 * p - 1)), abs=1e-6)
    damped = solved(game, beta=2.0, horizon=3, method="picard", damping=0.02)
    assert damped.converged
    assert apart(found, damped) <= 1e-8


def avoiding(weight=0.5):
    """Two crowds who pass each other in a corridor of one lane, and each of whom would rather be alone."""
    kind = crowds.grid_kind("walker", 1, 6, rewards=np.full(6, -1.0))
    east = Member("east", "walker", 0, goal=5, weight=weight, count=20)
    west = Member("west", "walker", 5, goal=0, weight=weight, count=10)
    return CrowdGame(cells=6, kinds=[kind], members=[east, west])


@pytest.mark.parametrize("rule", ["expected", "soft"])
def test_where_alternation_does_not_settle_newtons_method_does(monkeypatch, rule):
    # Given too few steps for damping to be found; what is found solves the equations, written in loops.
    monkeypatch.setattr("quantal.solve_crowd.PATIENT", 40)
    game = avoiding()
    solution = solved(game, beta=4.0, horizon=7, value=rule, tol=1e-10)
    assert solution.converged
    assert "Newton's method" in solution.notes[-1]
    assert solution.certificate.spectral_radius > 1  # plain alternation would leave it
    found = occupancies(solution)
    after, _ = crowds.respond(game, [4.0, 4.0], rule, 7, found)
    assert max(float(np.abs(a - b).max()) for a, b in zip(after, found, strict=True)) <= 1e-10
    # All its steps count: with fewer the search ends, and says so.
    short = solved(game, beta=4.0, horizon=7, value=rule, tol=1e-10, max_steps=90)
    assert short.status is qt.Status.STEPS
    assert short.steps <= 91


def test_our_constant_is_no_larger_than_it_must_be():
    # Two doors, one step, then one decision more: what the other's Q changes at once is felt in full, but for terms in
    # beta^2. A smaller constant would promise what is not true.
    successors = np.array([[1, 2], [1, 1], [2, 2]])
    kind = qt.Kind("k", actions=("left", "right"), successors=successors)
    game = CrowdGame(cells=3, kinds=[kind], members=[Member("a", "k", 0), Member("b", "k", 0)])
    beta, horizon, h = 1e-3, 2, 1e-3

    def after(push):
        q = np.zeros((horizon, 3, 2))
        q[0, 0] = [push, -push]
        policy = np.exp(beta * q) / np.exp(beta * q).sum(axis=-1, keepdims=True)
        occupancy = [crowds.forward(game, i, policy) for i in range(2)]
        return crowds.respond(game, [beta] * 2, "expected", horizon, occupancy)[1]

    change = max(float(np.abs(x - y).max()) for x, y in zip(after(h), after(0.0), strict=True)) / h
    assert change == pytest.approx(contraction(game, np.full(2, beta), horizon, "expected"), rel=0.01)


def test_theorem_3_is_printed_with_its_constants():
    # By hand: omega = 0.1, phi = L = sum of the others' mu = 0.02, T = 3, beta = 2.
    kind = crowds.grid_kind("k", 3, 3, rewards=np.full(9, -0.1))
    game = CrowdGame(cells=9, kinds=[kind], members=[Member(f"m{k}", "k", k, weight=0.01) for k in range(3)])
    paper, proof, _ = bounds(game, np.full(3, 2.0), 3, "expected")
    xi = 4 * (0.1 + 0.02)
    assert paper.size == proof.size == pytest.approx(2 * 0.02 * 3)
    assert paper.constant == pytest.approx(xi * np.exp(-2 * 4 * xi))
    assert proof.constant == pytest.approx(xi / (1 + 2 * xi) ** 4)


def test_single_precision_is_close():
    game = crowds.on_grid()
    double, single = solved(game), solved(game, dtype="float32", tol=None)
    assert single.converged
    assert single.policy["ann"].dtype == np.float32
    assert apart(double, single) <= 1e-3


def test_a_solution_starts_the_next_solve():
    game = crowds.on_grid()
    first = solved(game)
    assert solved(game, start=first).steps <= 2
    # From another precision, whose agents are grouped in another way.
    other = solved(game, beta=betas(game))
    assert apart(solved(game, start=other), first) <= 1e-9


# --------------------------------------------------------------------------- large crowds


def in_place(monkeypatch, block=24 * 8):
    """Let every crowd be worked on as large ones are, in blocks of a few agents."""
    monkeypatch.setattr(forward_backward, "_small", lambda state: False)
    monkeypatch.setattr("quantal.crowds.layout.BLOCK_BYTES", block)
    crowd_layout.cache_clear()


@pytest.mark.parametrize(
    ("name", "beta"), [("grid", BETA), ("graph, chance, nearness", BETA), ("grid, weights of members", 0.5)]
)
@pytest.mark.deep
def test_what_is_worked_on_in_place_comes_to_the_same_end(name, beta, monkeypatch):
    whole = solved(crowds.GAMES[name](), beta=beta)
    in_place(monkeypatch)
    game = crowds.GAMES[name]()
    blocks = solved(game, beta=beta)
    assert blocks.converged
    assert apart(whole, blocks) <= 1e-8
    # Its residuals are those of the undamped map, from the occupancies that it returns.
    layout = crowd_layout(game, (beta,) * len(game.members), "float64")
    state = [np.asarray(s) for s in blocks.state]
    before = [state[w][b, :, r][:, layout.places] for w, b, r in layout.seats]
    padded = before if game.final_interaction else [np.concatenate([o, np.zeros_like(o[:1])]) for o in before]
    after, _ = crowds.respond(game, [beta] * len(game.members), "expected", HORIZON, padded)
    residual = max(float(np.abs(a[: len(b)] - b).max()) for a, b in zip(after, before, strict=True))
    assert residual <= blocks.occupancy_residual + 1e-14 <= 1e-11 + 1e-14


def test_damped_steps_in_place_are_the_plain_ones(monkeypatch):
    # Equation (14) alone: the same occupancies after the same steps, and no acceleration that could differ. The whole
    # map is applied once more at the end of a run to look, in place and not.
    options = {"method": "picard", "damping": 0.3, "max_steps": 4}
    whole = solved(crowds.on_grid(), **options)
    in_place(monkeypatch)
    blocks = solved(crowds.on_grid(), **options)
    np.testing.assert_allclose(blocks.trace, whole.trace, rtol=1e-12)
    assert blocks.occupancy_residual == pytest.approx(whole.occupancy_residual, rel=1e-12)
    assert blocks.payoff_residual == pytest.approx(whole.payoff_residual, rel=1e-12)
    assert apart(whole, blocks) <= 1e-13


def two_doors(weight):
    """Everyone would rather have the door that the others do not take; no two are alike."""
    successors = np.array([[1, 2], [1, 1], [2, 2]])
    legal = np.array([[True, True], [True, False], [True, False]])
    kind = qt.Kind("k", actions=("left", "right"), successors=successors, legal=legal)
    members = [
        qt.Member(f"m{i}", "k", 0, weight=weight, rewards=np.array([0.0, 0.1 + 0.01 * i, 0.0])) for i in range(12)
    ]
    return CrowdGame(cells=3, kinds=[kind], members=members)


def test_taking_turns_settles_where_all_at_once_overshoot(monkeypatch):
    # All at once, everyone runs to the door that nobody was expected at. In turn, each sees where those before it went:
    # no damping is needed, and the answer is the one that heavy damping finds all at once, and the other order too.
    in_place(monkeypatch, block=3 * 8)
    game = two_doors(0.1)
    at_once = solved(game, beta=2.0, horizon=3, method="picard", max_steps=100)
    assert not at_once.converged
    assert at_once.residual > 0.1
    in_turn = solved(game, beta=2.0, horizon=3)
    assert in_turn.converged
    assert len(in_turn.notes) == 1  # nothing was damped
    damped = solved(game, beta=2.0, horizon=3, method="picard", damping=0.2)
    assert damped.converged
    assert apart(in_turn, damped) <= 1e-8
    backwards = CrowdGame(cells=3, kinds=game.kinds, members=game.members[::-1])
    assert apart(in_turn, solved(backwards, beta=2.0, horizon=3)) <= 1e-8


@pytest.mark.parametrize("workers", [1, 5])
def test_how_many_work_on_a_crowd_changes_rounding_only(workers, monkeypatch):
    in_place(monkeypatch)
    game = crowds.on_grid()
    before = solved(game)
    again = solved(game)
    for a, b in zip(before.state, again.state, strict=True):
        np.testing.assert_array_equal(a, b)  # whichever thread is quick
    monkeypatch.setattr("os.cpu_count", lambda: workers)
    assert apart(before, solved(game)) <= 1e-9


def test_a_solve_in_place_leaves_the_solution_that_it_starts_from_alone(monkeypatch):
    in_place(monkeypatch)
    first = solved(crowds.on_grid(), max_steps=2)
    before = [np.array(s) for s in first.state]
    second = solved(first.game, start=first)
    assert second.converged
    for a, b in zip(first.state, before, strict=True):
        np.testing.assert_array_equal(a, b)


# --------------------------------------------------------------------------- horizons of one's own


def test_if_everyone_leaves_early_it_is_a_shorter_game():
    # Whoever makes 3 of 7 decisions plays as in a game of 3, where everyone does; the end counted, too.
    for end in (False, True):
        long = crowds.on_grid((3,) * 4, final_interaction=end)
        short = crowds.on_grid(final_interaction=end)
        one, two = (qt.solve(game, beta=0.7, horizon=t) for game, t in ((long, 7), (short, 3)))
        assert one.converged
        for agent in long.agents:
            np.testing.assert_allclose(one.policy[agent][:3], two.policy[agent], atol=1e-9)
            np.testing.assert_allclose(one.value[agent][:4], two.value[agent], atol=1e-8)
            np.testing.assert_allclose(one.occupancy[agent][:4], two.occupancy[agent], atol=1e-9)
            np.testing.assert_allclose(
                one.occupancy[agent][4:], np.broadcast_to(two.occupancy[agent][3], (4, 12)), atol=1e-9
            )


def test_who_has_left_is_in_nobodys_way():
    # A blocker, who cannot move and costs dearly, in the only corridor: the walker waits for as long as it is there.
    # After h decisions it is met once more, at time h, so that the walker steps into its cell at time h + 1.
    moves = np.array([[0, 1], [1, 2], [2, 3], [3, 3]])
    walker = qt.Kind("walker", actions=("stay", "on"), successors=moves, rewards=np.full(4, -0.1))
    stone = qt.Kind("stone", actions=("stay",), successors=np.arange(4)[:, None])
    for h in (2, 4):
        members = [
            qt.Member("w", "walker", 1, goal=3, goal_reward=9.0),
            qt.Member("s", "stone", 2, horizon=h, weight=50.0),
        ]
        game = qt.CrowdGame(cells=4, kinds=[walker, stone], members=members)
        there = qt.solve(game, beta=5.0, horizon=10).occupancy["w"]
        assert there[: h + 1, 2:].max() < 1e-3
        assert there[h + 1, 2] > 0.3
        assert there[-1, 3] > 0.99
