"""Every verb of `quantal.bellman` against its readable twin: plain loops over states and joint actions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quantal import bellman
from quantal.dynamics import Coupled, Independent
from quantal.game import MarkovGame
from quantal.layout import DenseMoves, JointMoves, OwnMoves, model_of

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


# --------------------------------------------------------------------------- games


def distribution(rng, shape):
    p = rng.random(shape) + 0.05
    return p / p.sum(axis=-1, keepdims=True)


def masks(rng, state_shape, counts):
    """Random masks; one of them does not depend on the state, one action is always legal."""
    legal = []
    for i, count in enumerate(counts):
        shape = (1,) * len(state_shape) if i == 1 else state_shape
        mask = rng.random((*shape, count)) < 0.7
        mask[..., rng.integers(count)] = True
        legal.append(mask)
    return tuple(legal)


def own_game(seed, sizes, counts, widths, reward_shapes):
    rng = np.random.default_rng(seed)
    tables, probabilities = [], []
    for n, a, b in zip(sizes, counts, widths, strict=True):
        tables.append(rng.integers(n, size=(n, a, b)))
        probabilities.append(distribution(rng, (n, a, b)))
    return _game(rng, sizes, counts, Independent(tables, probabilities), reward_shapes)


def coupled_game(seed, states, counts, width, reward_shapes):
    rng = np.random.default_rng(seed)
    successors = rng.integers(states, size=(states, *counts, width))
    if width == states:
        successors = np.broadcast_to(np.arange(states), successors.shape)
    dynamics = Coupled(successors, distribution(rng, successors.shape))
    return _game(rng, (states,), counts, dynamics, reward_shapes)


def _game(rng, state_shape, counts, dynamics, reward_shapes):
    """`reward_shapes[i]`: which axes of R_i are written out, e.g. 's0' = states and the first agent's action."""
    rewards = []
    for axes in reward_shapes:
        shape = tuple(n if "s" in axes else 1 for n in state_shape)
        shape += tuple(n if str(j) in axes else 1 for j, n in enumerate(counts))
        rewards.append(rng.normal(size=shape))
    return MarkovGame(
        state_shape=tuple(state_shape),
        rewards=tuple(rewards),
        dynamics=dynamics,
        actions=tuple(tuple(map(str, range(a))) for a in counts),
        agents=tuple(f"agent{j}" for j in range(len(counts))),
        legal=masks(rng, tuple(state_shape), counts),
    )


GAMES = {
    "one agent": lambda: own_game(0, (5,), (3,), (1,), ["s0"]),
    "one agent, chance": lambda: own_game(1, (5,), (3,), (2,), ["s"]),
    "two agents": lambda: own_game(2, (4, 3), (3, 2), (1, 1), ["s", "s1"]),
    "two agents, one with chance": lambda: own_game(3, (4, 3), (2, 3), (1, 3), ["s01", "0"]),
    "two agents, joint rewards": lambda: own_game(4, (3, 4), (3, 2), (2, 1), ["s1", "01"]),
    "three agents": lambda: own_game(5, (3, 4, 2), (2, 3, 2), (1, 1, 1), ["s", "s02", "s12"]),
    "three agents, chance": lambda: own_game(6, (2, 3, 4), (3, 2, 2), (2, 1, 2), ["s012", "", "s2"]),
    "four agents": lambda: own_game(7, (2, 3, 2, 2), (2, 3, 3, 2), (1,) * 4, ["s", "s3", "s0", "s01"]),
    "five agents": lambda: own_game(8, (2,) * 5, (2, 1, 2, 2, 2), (1, 1, 2, 1, 1), ["s"] * 5),
    "coupled, one agent": lambda: coupled_game(9, 7, (3,), 1, ["s0"]),
    "coupled, two agents": lambda: coupled_game(10, 12, (3, 2), 2, ["s0", "s01"]),
    "coupled, three agents": lambda: coupled_game(11, 13, (2, 3, 2), 3, ["s", "s02", "012"]),
    "dense, two agents": lambda: coupled_game(12, 5, (3, 2), 5, ["s", "s01"]),
    "dense, three agents": lambda: coupled_game(13, 4, (2, 3, 2), 4, ["1", "s02", "s12"]),
}


class Case:
    """A game with discounts, precisions, Q, policies (zero where illegal) and values."""

    def __init__(self, game):
        rng = np.random.default_rng(99)
        self.game, self.model = game, model_of(game)
        shape, self.counts = self.model.state_shape, game.action_counts
        self.agents = len(self.counts)
        self.discount = rng.uniform(0.5, 1, self.agents)
        self.beta = rng.uniform(0.3, 3, self.agents)
        self.q = tuple(rng.normal(size=(a, *shape)) for a in self.counts)
        self.values = tuple(rng.normal(size=shape) for _ in self.counts)
        self.policies = tuple(
            np.asarray(p) for p in map(softmax, [np.zeros(a.shape) for a in self.q], self.legal())
        )
        weights = [p * rng.random(p.shape) for p in self.policies]
        self.policies = tuple(w / w.sum(axis=0) for w in weights)

    def legal(self):
        flat = self.model.state_shape
        return [
            np.broadcast_to(np.asarray(mask), (a, *flat))
            for mask, a in zip(self.model.legal, self.counts, strict=True)
        ]

    def states(self):
        return list(np.ndindex(*self.model.state_shape))

    def actions(self):
        return list(itertools.product(*map(range, self.counts)))

    def engine(self, name):
        return tuple(map(jnp.asarray, getattr(self, name)))


@pytest.fixture(params=GAMES, name="case")
def _case(request, _double):
    return Case(GAMES[request.param]())


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
        yield from zip(
            ((int(s),) for s in dynamics.successors[row]), dynamics.probabilities[row], strict=True
        )
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


def looped_backup(case, policies, values):
    return [
        looped_marginal(case, looped_payoffs(case, i, values[i]), policies, (i,))
        for i in range(case.agents)
    ]


def looped_value(rule, beta, q, pi, legal):
    if rule == "expected":
        return (pi * q).sum(axis=0)
    if rule == "soft":
        return np.log(np.where(legal, np.exp(beta * q), 0).sum(axis=0)) / beta
    return np.where(legal, q, -np.inf).max(axis=0)


# --------------------------------------------------------------------------- tests


def test_the_games_cover_every_kind_of_moves():
    # The twins below prove nothing about a kind of dynamics that no game uses.
    with jax.enable_x64(True):
        kinds = {type(model_of(make()).moves) for make in GAMES.values()}
    assert kinds == {OwnMoves, JointMoves, DenseMoves}


def test_backup_equals_the_loops(case):
    # Equation (3), term by term.
    discount = jnp.asarray(case.discount)
    fast = bellman.backup(case.model, discount, case.engine("policies"), case.engine("values"))
    for q, slow in zip(fast, looped_backup(case, case.policies, case.values), strict=True):
        np.testing.assert_allclose(q, slow, **TOLERANCE)


def test_backup_inside_jit_is_the_same(case):
    # Solvers call it traced, discounts included; fusing must not change what is computed.
    discount = jnp.asarray(case.discount)
    arguments = (case.model, discount, case.engine("policies"), case.engine("values"))
    for traced, plain in zip(
        jax.jit(bellman.backup)(*arguments), bellman.backup(*arguments), strict=True
    ):
        np.testing.assert_allclose(traced, plain, **TOLERANCE)


def test_backup_of_one_agent_is_its_part_of_the_whole(case):
    # Algorithm 1 updates agents one after the other: each step must be what the joint one computes.
    discount = jnp.asarray(case.discount)
    slow = looped_backup(case, case.policies, case.values)
    for i in range(case.agents):
        q = bellman.backup_one(
            case.model, discount, i, case.engine("policies"), jnp.asarray(case.values[i])
        )
        np.testing.assert_allclose(q, slow[i], **TOLERANCE)


def test_joint_payoffs_equal_the_loops(case):
    # The stage game of MGE-F, all joint actions written out.
    discount = jnp.asarray(case.discount)
    for i in range(case.agents):
        u = bellman.joint_payoffs(case.model, discount, i, jnp.asarray(case.values[i]))
        np.testing.assert_allclose(u, looped_payoffs(case, i, case.values[i]), **TOLERANCE)


def test_payoffs_at_some_states_are_those_of_the_whole(case):
    # The finite horizon takes the unfinished states in chunks, in any order, padded by repeats; `states` is traced.
    discount = jnp.asarray(case.discount)
    total = case.model.number_of_states
    states = np.random.default_rng(0).integers(total, size=total + 3)
    pick = jax.jit(bellman.payoffs_at, static_argnums=2)
    for i in range(case.agents):
        u = pick(case.model, discount, i, jnp.asarray(case.values[i]), jnp.asarray(states))
        slow = looped_payoffs(case, i, case.values[i]).reshape((*case.counts, total))
        np.testing.assert_allclose(u, slow[..., states], **TOLERANCE)


def test_marginals_equal_the_loops(case):
    # Newton needs E over everyone, over all but one, over all but two: any set of agents may be kept.
    u = np.random.default_rng(1).normal(size=(*case.counts, *case.model.state_shape))
    for size in range(case.agents + 1):
        for keep in itertools.combinations(range(case.agents), size):
            fast = bellman.marginal(jnp.asarray(u), case.engine("policies"), keep)
            np.testing.assert_allclose(
                fast, looped_marginal(case, u, case.policies, keep), **TOLERANCE
            )


def test_marginal_wants_agents_in_order():
    # Axes come back in agents' order; a caller who lists them otherwise would misread the result.
    u = jnp.zeros((2, 2, 1))
    with pytest.raises(ValueError, match=r"increasing order.*got \(1, 0\)"):
        bellman.marginal(u, (jnp.ones((2, 1)),) * 2, (1, 0))


@pytest.mark.parametrize("rule", ["expected", "soft", "greedy"])
def test_sweep_is_softmax_value_and_backup(case, rule):
    # Q = T(Q) is what all of the infinite-horizon solvers iterate.
    fast = jax.jit(bellman.sweep, static_argnums=1)(
        case.model, rule, jnp.asarray(case.beta), jnp.asarray(case.discount), case.engine("q")
    )
    policies = [softmax(b * q, m) for b, q, m in zip(case.beta, case.q, case.legal(), strict=True)]
    values = [
        looped_value(rule, *rest)
        for rest in zip(case.beta, case.q, policies, case.legal(), strict=True)
    ]
    for q, slow in zip(fast, looped_backup(case, policies, values), strict=True):
        np.testing.assert_allclose(q, slow, **TOLERANCE)


def test_sweep_has_the_derivative_of_the_loops():
    # The certificate and inverse learning differentiate T: forward mode against a central difference, reverse
    # against forward.
    case = Case(GAMES["three agents, chance"]())
    beta, discount = jnp.asarray(case.beta), jnp.asarray(case.discount)

    def step(q):
        return bellman.sweep(case.model, "expected", beta, discount, q)

    rng = np.random.default_rng(2)
    along = tuple(jnp.asarray(rng.normal(size=q.shape)) for q in case.q)
    back = tuple(jnp.asarray(rng.normal(size=q.shape)) for q in case.q)
    q, h = case.engine("q"), 1e-5
    _, forward = jax.jvp(step, (q,), (along,))
    ahead = step(tuple(x + h * d for x, d in zip(q, along, strict=True)))
    behind = step(tuple(x - h * d for x, d in zip(q, along, strict=True)))
    for d, up, down in zip(forward, ahead, behind, strict=True):
        np.testing.assert_allclose(d, (up - down) / (2 * h), rtol=1e-7, atol=1e-7)
    _, pullback = jax.vjp(step, q)
    left = sum(jnp.vdot(b, d) for b, d in zip(back, forward, strict=True))
    right = sum(jnp.vdot(b, d) for b, d in zip(pullback(back)[0], along, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-10)


def test_sweep_works_over_a_batch_of_precisions(case):
    # vmap over beta is how a whole path is computed at once.
    betas = jnp.stack([jnp.asarray(case.beta), 2 * jnp.asarray(case.beta)])
    discount, q = jnp.asarray(case.discount), case.engine("q")
    batch = jax.vmap(lambda b: bellman.sweep(case.model, "expected", b, discount, q))(betas)
    for k in range(2):
        single = bellman.sweep(case.model, "expected", betas[k], discount, q)
        for many, one in zip(batch, single, strict=True):
            np.testing.assert_allclose(many[k], one, **TOLERANCE)
