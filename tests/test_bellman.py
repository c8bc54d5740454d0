"""Every verb of `quantal.bellman` against its readable twin: plain loops over states and joint actions."""

import itertools
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cases import GAMES

from quantal import bellman
from quantal.dynamics import Coupled
from quantal.layout import DenseMoves, JointMoves, OwnMoves, model_of

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
RULES = ("expected", "soft", "greedy")


class Case:
    """A game with discounts, precisions, Q, policies (zero where illegal), values, and some states."""

    def __init__(self, game):
        rng = np.random.default_rng(99)
        with jax.enable_x64(True):
            self.model = model_of(game)
        self.game, self.counts = game, game.action_counts
        self.agents, shape = len(self.counts), self.model.state_shape
        self.legal = [
            np.broadcast_to(np.asarray(mask), (a, *shape))
            for mask, a in zip(self.model.legal, self.counts, strict=True)
        ]
        self.discount = rng.uniform(0.5, 1, self.agents)
        self.beta = rng.uniform(0.3, 3, self.agents)
        self.q = tuple(rng.normal(size=(a, *shape)) for a in self.counts)
        self.values = tuple(rng.normal(size=shape) for _ in self.counts)
        weights = [mask * (0.1 + rng.random(mask.shape)) for mask in self.legal]
        self.policies = tuple(w / w.sum(axis=0) for w in weights)
        self.u = rng.normal(size=(*self.counts, *shape))
        # In any order, with repeats: the finite horizon takes the unfinished states in padded chunks.
        self.numbers = rng.integers(self.model.number_of_states, size=self.model.number_of_states + 3)

    def states(self):
        return np.ndindex(*self.model.state_shape)

    def actions(self):
        return itertools.product(*map(range, self.counts))

    def kept(self):
        """Every set of agents that a marginal may keep."""
        return [k for n in range(self.agents + 1) for k in itertools.combinations(range(self.agents), n)]

    def computed(self):
        """All that the verbs say about this case, from one traced program, as the solvers would run it."""

        def everything(model, beta, discount, q, policies, values, u, numbers):
            each = [(i, v) for i, v in enumerate(values)]
            return {
                "backup": bellman.backup(model, discount, policies, values),
                "one": [bellman.backup_one(model, discount, i, policies, v) for i, v in each],
                "joint": [bellman.joint_payoffs(model, discount, i, v) for i, v in each],
                "at": [bellman.payoffs_at(model, discount, i, v, numbers) for i, v in each],
                "marginal": [bellman.marginal(u, policies, keep) for keep in self.kept()],
                "sweep": [bellman.sweep(model, rule, beta, discount, q) for rule in RULES],
            }

        with jax.enable_x64(True):
            given = (self.beta, self.discount, self.q, self.policies, self.values, self.u, self.numbers)
            return jax.tree.map(np.asarray, jax.jit(everything)(self.model, *jax.tree.map(jnp.asarray, given)))

    @cached_property
    def payoffs(self):
        """u_i [*A, *states] by loops, for the case's values."""
        return [looped_payoffs(self, i, v) for i, v in enumerate(self.values)]


@cache
def case_of(name):
    return Case(GAMES[name]())


@cache
def computed(name, large):
    """What the verbs say; `large`: on the ways that large games take."""
    if not large:
        return case_of(name).computed()
    with as_if_large():
        return case_of(name).computed()


@contextmanager
def as_if_large():
    """Stage everything, scan early, and keep the last agent's axis apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bellman, "STAGED_FROM", 0)
        patch.setattr(bellman, "UNROLLED", 3)
        patch.setattr(bellman, "ROW", 1)
        yield


STAGED = [
    "one agent, chance",
    "two agents",
    "two agents, joint rewards",
    "three agents, chance",
    "four agents",
    "coupled, two agents",
    "dense, two agents",
]
BOTH = [*((name, False) for name in GAMES), *((name, True) for name in STAGED)]


@pytest.fixture(params=BOTH, ids=lambda both: both[0] + ", as if large" * both[1], name="both")
def _both(request):
    """A case, and what the verbs say about it."""
    return case_of(request.param[0]), computed(*request.param)


# ------------------------------------------------------------------ the readable twins


def softmax(logits, legal):
    weights = np.where(legal, np.exp(logits), 0.0)
    return weights / weights.sum(axis=0)


def reward_at(case, i, x, a):
    """R_i(x, a) from the public array: (*states, *actions), any axis may have length 1."""
    reward = case.game.rewards[i]
    where = public_state(case, x) + tuple(a)
    return reward[tuple(min(k, n - 1) for k, n in zip(where, reward.shape, strict=True))]


def public_state(case, x):
    return tuple(int(k) for k in x)


def successors_at(case, x, a):
    """The pairs (x', P(x' | x, a))."""
    dynamics = case.game.dynamics
    if isinstance(dynamics, Coupled):
        row = (*x, *a)
        yield from zip(((int(s),) for s in dynamics.successors[row]), dynamics.probabilities[row], strict=True)
        return
    tables, chances = dynamics.successors, dynamics.probabilities
    for branch in np.ndindex(*(t.shape[-1] for t in tables)):
        place = [(x[j], a[j], b) for j, b in enumerate(branch)]
        after = tuple(int(t[p]) for t, p in zip(tables, place, strict=True))
        yield after, np.prod([c[p] for c, p in zip(chances, place, strict=True)])


def payoff(case, i, value, x, a):
    """u_i(x, a) = R_i(x, a) + discount_i sum_x' P(x' | x, a) V_i(x')."""
    future = sum(p * value[after] for after, p in successors_at(case, x, a))
    return reward_at(case, i, x, a) + case.discount[i] * future


def looped_payoffs(case, i, value):
    u = np.zeros((*case.counts, *case.model.state_shape))
    for x in case.states():
        for a in case.actions():
            u[a + x] = payoff(case, i, value, x, a)
    return u


def looped_marginal(case, u, policies, keep):
    out = np.zeros(tuple(case.counts[k] for k in keep) + case.model.state_shape)
    for x in case.states():
        for a in case.actions():
            chance = np.prod([policies[j][(a[j], *x)] for j in range(case.agents) if j not in keep])
            out[tuple(a[k] for k in keep) + x] += chance * u[a + x]
    return out


def looped_value(rule, beta, q, pi, legal):
    if rule == "expected":
        return (pi * q).sum(axis=0)
    if rule == "soft":
        return np.log(np.where(legal, np.exp(beta * q), 0).sum(axis=0)) / beta
    return np.where(legal, q, -np.inf).max(axis=0)


# --------------------------------------------------------------------------- tests


def test_the_games_cover_every_kind_of_moves():
    # The twins below prove nothing about a kind of dynamics that no game uses.
    assert {type(case_of(name).model.moves) for name in GAMES} == {OwnMoves, JointMoves, DenseMoves}


def test_backup_equals_the_loops(both):
    # Equation (3), term by term.
    case, fast = both
    for i, u in enumerate(case.payoffs):
        np.testing.assert_allclose(fast["backup"][i], looped_marginal(case, u, case.policies, (i,)), **TOLERANCE)


def test_backup_of_one_agent_is_its_part_of_the_whole(both):
    # Algorithm 1 updates agents one after the other: each step must be what the joint one computes.
    _, fast = both
    for one, whole in zip(fast["one"], fast["backup"], strict=True):
        np.testing.assert_allclose(one, whole, **TOLERANCE)


def test_joint_payoffs_equal_the_loops(both):
    # The stage game of MGE-F, all joint actions written out.
    case, fast = both
    for u, slow in zip(fast["joint"], case.payoffs, strict=True):
        np.testing.assert_allclose(u, slow, **TOLERANCE)


def test_payoffs_at_some_states_are_those_of_the_whole(both):
    # The finite horizon picks states by traced numbers.
    case, fast = both
    for u, slow in zip(fast["at"], case.payoffs, strict=True):
        np.testing.assert_allclose(u, slow.reshape((*case.counts, -1))[..., case.numbers], **TOLERANCE)


def test_marginals_equal_the_loops(both):
    # Newton needs E over everyone, over all but one, over all but two: any set of agents may be kept.
    case, fast = both
    for keep, u in zip(case.kept(), fast["marginal"], strict=True):
        np.testing.assert_allclose(u, looped_marginal(case, case.u, case.policies, keep), **TOLERANCE)


def test_marginal_wants_agents_in_order():
    # Axes come back in agents' order; a caller who lists them otherwise would misread the result.
    with pytest.raises(ValueError, match=r"increasing order.*got \(1, 0\)"):
        bellman.marginal(jnp.zeros((2, 2, 1)), (jnp.ones((2, 1)),) * 2, (1, 0))


def test_sweep_is_softmax_value_and_backup(both):
    # Q = T(Q) is what all of the infinite-horizon solvers iterate.
    case, fast = both
    policies = [softmax(b * q, mask) for b, q, mask in zip(case.beta, case.q, case.legal, strict=True)]
    for rule, found in zip(RULES, fast["sweep"], strict=True):
        values = [looped_value(rule, *rest) for rest in zip(case.beta, case.q, policies, case.legal, strict=True)]
        for i, q in enumerate(found):
            slow = looped_marginal(case, looped_payoffs(case, i, values[i]), policies, (i,))
            np.testing.assert_allclose(q, slow, **TOLERANCE)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.deep
def test_sweep_has_the_derivative_of_the_loops(large):
    # The certificate and inverse learning differentiate T: forward mode against a central difference, reverse
    # against forward. Nothing that steers XLA (conditionals, layouts, constants) may stand in the way.
    case, rng, h = case_of("three agents, chance"), np.random.default_rng(2), 1e-5
    with jax.enable_x64(True), as_if_large() if large else nullcontext():
        model, beta, discount, q = jax.tree.map(jnp.asarray, (case.model, case.beta, case.discount, case.q))
        along, back = (tuple(jnp.asarray(rng.normal(size=x.shape)) for x in q) for _ in range(2))
        step = jax.jit(lambda x: bellman.sweep(model, "expected", beta, discount, x))
        _, forward = jax.jvp(step, (q,), (along,))
        ahead, behind = (step(jax.tree.map(lambda x, d, s=s: x + s * d, q, along)) for s in (h, -h))
        for d, up, down in zip(forward, ahead, behind, strict=True):
            np.testing.assert_allclose(d, (up - down) / (2 * h), rtol=1e-7, atol=1e-7)
        (pulled,) = jax.vjp(step, q)[1](back)
        left = sum(float(jnp.vdot(b, d)) for b, d in zip(back, forward, strict=True))
        right = sum(float(jnp.vdot(b, d)) for b, d in zip(pulled, along, strict=True))
    assert left == pytest.approx(right, rel=1e-10)


@pytest.mark.parametrize("large", [False, True])
def test_sweep_works_over_a_batch_of_precisions(large):
    # vmap over beta is how a whole path is computed at once.
    case = case_of("three agents")
    with jax.enable_x64(True), as_if_large() if large else nullcontext():
        model, beta, discount, q = jax.tree.map(jnp.asarray, (case.model, case.beta, case.discount, case.q))
        step = jax.jit(lambda b: bellman.sweep(model, "expected", b, discount, q))
        batch = jax.vmap(step)(jnp.stack([beta, 2 * beta]))
        for many, first, second in zip(batch, step(beta), step(2 * beta), strict=True):
            np.testing.assert_allclose(many, jnp.stack([first, second]), **TOLERANCE)


def test_policies_far_apart_do_not_overflow():
    # Only the largest logit of a state is subtracted, so every state keeps a policy however far the states lie apart.
    case = case_of("two agents")
    with jax.enable_x64(True):
        model, discount = jax.tree.map(jnp.asarray, (case.model, case.discount))
        q = tuple(jnp.asarray(x * 1e4 + 1e6 * np.arange(x.shape[1])[None, :, None]) for x in case.q)
        found = jax.jit(bellman.sweep, static_argnums=1)(model, "expected", jnp.ones(2), discount, q)
    assert all(np.isfinite(x).all() for x in found)
