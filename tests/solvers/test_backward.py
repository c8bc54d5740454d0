"""MGE-F: backward in time and state by state, against the same in nested loops; chunks must not show."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import plain
from tests.cases import coupled_game, own_game, with_ends
from tests.games.loops import legal_at, reward_at, successors_at

import quantal as qt
from quantal.layout import model_of
from quantal.solvers import backward
from quantal.stage import StageMethod

RULES = ("expected", "soft", "greedy")


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def own():
    return with_ends(own_game(3, (4, 3), (2, 3), (1, 3), ["s01", "0"]))


def coupled():
    return with_ends(coupled_game(11, 13, (2, 3, 2), 3, ["s", "s02", "012"]))


@pytest.mark.parametrize("build", [own, coupled])
def test_stage_payoffs_are_reward_and_discounted_value_to_come(build):
    game = build()
    model, agents = model_of(game), game.number_of_agents
    random = np.random.default_rng(0)
    discount = random.uniform(0.3, 1, agents)
    ahead = random.normal(size=(agents, game.number_of_states))
    values = tuple(jnp.asarray(v.reshape(model.state_shape)) for v in ahead)
    states = np.array([11, 0, 5, 5])  # any order, any repetition
    u, legal = backward._stage_games(model, jnp.asarray(discount), values, jnp.asarray(states))
    for k, s in enumerate(states):
        x = tuple(int(c) for c in np.unravel_index(s, game.state_shape))
        allowed = legal_at(game, x)
        for i in range(agents):
            np.testing.assert_array_equal(np.flatnonzero(np.asarray(legal[i])[:, k]), allowed[i])
        for joint in np.ndindex(*(len(a) for a in allowed)):
            cell = tuple(int(a[c]) for a, c in zip(allowed, joint, strict=True))
            for i in range(agents):
                future = sum(p * ahead[i].reshape(game.state_shape)[y] for p, y in successors_at(game, x, cell))
                expected = reward_at(game, i, x, cell) + discount[i] * future
                full = np.broadcast_to(np.asarray(u[i])[..., k], game.action_counts)
                assert full[cell] == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_every_method_solves_every_stage_alike(rule):
    # Small payoffs, so that every stage has one equilibrium and plain iteration finds it; own beta and discount each.
    game = own()
    ways = [{"method": m} for m in ("auto", "picard", "newton", "continuation")]
    ways.append({"method": "picard", "damping": 0.5})
    found = [qt.solve(game, beta=[0.4, 0.7], discount=[0.9, 0.6], horizon=3, value=rule, **way) for way in ways]
    assert all(f.converged for f in found)
    assert plain.residual(found[0]) < 1e-12  # the equations (7), (8), in nested loops over every decision
    for other in found[1:]:
        for i in range(2):
            np.testing.assert_allclose(other.policy[i], found[0].policy[i], atol=1e-10)
            np.testing.assert_allclose(other.value[i], found[0].value[i], atol=1e-10)
    labels = [f.branch for f in found]
    assert labels[0] is qt.Branch.UNIQUE
    assert labels[3] in (qt.Branch.UNIQUE, qt.Branch.PRINCIPAL)


@pytest.mark.parametrize("rule", RULES)
def test_steep_stages_of_three_agents_are_solved(rule):
    game = coupled()
    found = qt.solve(game, beta=[3.0, 5.0, 2.0], discount=[1.0, 0.5, 0.8], horizon=2, value=rule)
    assert found.converged
    assert found.branch in (qt.Branch.UNIQUE, qt.Branch.PRINCIPAL)
    assert plain.residual(found) < 1e-11
    assert np.isnan(found.q[0][:, ~np.broadcast_to(game.legal[0], found.q[0].shape[1:])]).all()
    for i in range(3):
        np.testing.assert_allclose(found.policy[i].sum(axis=-1), 1, atol=1e-14)
        np.testing.assert_array_equal(found.value[i][-1], np.broadcast_to(game.final_rewards[i], game.state_shape))


@pytest.mark.parametrize("per_chunk", [1, 5, 12])
def test_chunks_do_not_show(monkeypatch, per_chunk):
    # 12 states in chunks of 1, 5 (the last one overlaps the one before) and 12.
    game = own()
    whole = qt.solve(game, beta=3.0, horizon=2)
    monkeypatch.setattr(backward, "CHUNK_BYTES", per_chunk * 8 * 2 * math.prod(game.action_counts))
    assert backward.chunk_size(model_of(game)) == per_chunk
    cut = qt.solve(game, beta=3.0, horizon=2)
    assert cut.residuals.shape == whole.residuals.shape == (2, 4, 3)
    assert cut.residual <= 1e-12
    assert cut.branch is whole.branch
    for i in range(2):
        np.testing.assert_allclose(cut.policy[i], whole.policy[i], atol=1e-12)
        np.testing.assert_allclose(cut.value[i], whole.value[i], atol=1e-12)


def test_stages_come_from_the_last_decision_to_the_first_and_start_where_told():
    model = model_of(own())
    asked = []

    def start(time):
        asked.append(time)
        return tuple(np.zeros((n, 12)) for n in model.action_counts)

    how = StageMethod("newton", 1.0, 100)
    records = list(backward.solve(model, np.array([0.4, 0.7]), np.ones(2), 3, "expected", how, 1e-12, start=start))
    assert [r.time for r in records] == asked == [2, 1, 0]
    for r in records:
        assert r.residual.max() <= 1e-12
        assert not r.traced.any()
        assert not r.lost.any()
        # Logits are centred and describe the policy.
        for z, pi in zip(r.logits, r.policy, strict=True):
            played = pi > 0
            weights = np.where(played, np.exp(z), 0)
            np.testing.assert_allclose(weights / weights.sum(axis=0), pi, atol=1e-12)
            np.testing.assert_allclose(z.sum(axis=0), 0, atol=1e-12)


def test_a_solution_is_a_start_for_the_next_one():
    game = own()
    first = qt.solve(game, beta=2.0, horizon=2)
    again = qt.solve(game, beta=2.0, horizon=2, method="picard", start=first)
    fresh = qt.solve(game, beta=2.0, horizon=2, method="picard", max_steps=2_000, damping=0.3)
    assert again.converged
    assert again.steps < fresh.steps / 5  # it begins at the answer
    assert max(float(np.abs(again.policy[i] - first.policy[i]).max()) for i in range(2)) < 1e-11


def test_one_shot_games_in_many_states_are_solved_apart():
    # discount = 0: the states do not know of each other, so each is its own normal-form game.
    game = coupled_game(12, 5, (3, 2), 5, ["s01", "s01"])
    together = qt.solve(game, beta=4.0, discount=0.0)
    assert together.converged
    assert together.horizon is None
    for s in range(5):
        masks = [np.broadcast_to(m, (5, m.shape[-1]))[s] for m in game.legal]
        payoffs = [r[s][np.ix_(*(np.flatnonzero(m) for m in masks))] for r in game.rewards]
        alone = qt.solve(qt.MarkovGame.normal_form(payoffs), beta=4.0)
        for i, m in enumerate(masks):
            np.testing.assert_allclose(together.policy[i][s][m], alone.policy[i][0], atol=1e-11)
            assert (together.policy[i][s][~m] == 0).all()
