"""MGE-I: the curve's linear algebra against dense derivatives, and every way to the fixed point against the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import plain
from tests.cases import coupled_game, own_game

import quantal as qt
from quantal import logit, stage
from quantal.bellman import sweep
from quantal.layout import model_of
from quantal.solvers import stationary
from quantal.solvers.stationary import StationaryCurve

RULES = ("expected", "soft", "greedy")


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


GAMES = {
    "dense": lambda: coupled_game(12, 5, (3, 2), 5, ["s", "s01"]),
    "dense, three agents": lambda: coupled_game(13, 4, (2, 3, 2), 4, ["1", "s02", "s12"]),
    "own moves": lambda: own_game(3, (3, 2), (2, 3), (1, 3), ["s01", "0"]),
}


MOST_CASES = [*(("dense", rule) for rule in RULES), ("own moves", "soft")]
THE_REST = [(name, rule) for name in GAMES for rule in RULES if (name, rule) not in MOST_CASES]


def cases(*quick):
    """Every game with every rule; what is not `quick` runs with the deep tests."""
    deep = [pytest.param(*case, marks=pytest.mark.deep) for case in [*MOST_CASES, *THE_REST] if case not in quick]
    return pytest.mark.parametrize(("name", "rule"), [*quick, *deep])


def curve_of(game, rule, seed=0):
    """A curve with its own precision and discount per agent."""
    random = np.random.default_rng(seed)
    agents = game.number_of_agents
    beta, discount = random.uniform(0.5, 2, agents), random.uniform(0.5, 0.9, agents)
    return StationaryCurve(model_of(game), jnp.asarray(beta), jnp.asarray(discount), rule)


def anywhere(curve, seed=1):
    """Logits and values off the curve; logits are zero where illegal, centred or not."""
    random = np.random.default_rng(seed)
    shape = curve.model.state_shape
    z = tuple(
        jnp.asarray(np.where(np.broadcast_to(m, (m.shape[0], *shape)), random.normal(size=(m.shape[0], *shape)), 0.0))
        for m in curve.model.legal
    )
    v = tuple(jnp.asarray(random.normal(size=shape)) for _ in curve.model.legal)
    return curve.pack(z, v)


def equations(curve, y, t):
    """F(y, t), from the module's docstring, by plain products over the dense kernel of the game."""
    model, rule = curve.model, curve.rule
    shape = model.state_shape
    z, v = curve.unpack(y[:, None])
    legal = [jnp.broadcast_to(m, (m.shape[0], *shape)) for m in model.legal]
    pi = [jax.nn.softmax(jnp.where(m, zi, -jnp.inf), axis=0) for zi, m in zip(z, legal, strict=True)]
    off_z, off_v = [], []
    for i, own in enumerate(legal):
        kappa, rho = (1.0, t * curve.beta[i]) if rule == "soft" else (t * curve.beta[i], 1.0)
        scaled = model.with_rewards(tuple(rho * r for r in model.rewards))
        # One sweep with the value put in by hand: Q_i against the others' play.
        g = _backup(scaled, curve.discount[i], i, pi, v[i])
        mean = (jnp.where(own, g, 0).sum(axis=0)) / own.sum(axis=0)
        off_z.append((z[i] - kappa * jnp.where(own, g - mean, 0)).reshape(-1))
        value = {
            "expected": lambda g=g, i=i: (pi[i] * g).sum(axis=0),
            "soft": lambda g=g, own=own: jax.nn.logsumexp(jnp.where(own, g, -jnp.inf), axis=0),
            "greedy": lambda g=g, own=own: jnp.where(own, g, -jnp.inf).max(axis=0),
        }[rule]()
        off_v.append((v[i] - value).reshape(-1))
    return jnp.concatenate([*off_z, *off_v])


def _backup(model, discount, i, pi, value):
    """sum over a_-i of prod pi_j [R_i + discount E V'] in one einsum over the joint actions."""
    from quantal.bellman import joint_payoffs

    agents = model.number_of_agents
    discounts = jnp.full(agents, discount)
    u = joint_payoffs(model, discounts, i, value).reshape(*model.action_counts, -1)
    letters = "abcd"[:agents]
    others = [pi[j].reshape(pi[j].shape[0], -1) for j in range(agents) if j != i]
    spec = ",".join([letters + "s", *(letters[j] + "s" for j in range(agents) if j != i)])
    return jnp.einsum(f"{spec}->{letters[i]}s", u, *others).reshape(-1, *model.state_shape)


@cases(*MOST_CASES)
def test_the_linearisation_is_that_of_the_equations(name, rule):
    # Away from ties the greedy rule is differentiable too; random points have none.
    curve = curve_of(GAMES[name](), rule)
    y, t = anywhere(curve), 0.8
    found = jax.jit(StationaryCurve.linearise)(curve, y, jnp.full(1, t))
    value = equations(curve, y[:, 0], t)
    jacobian, rate = jax.jit(jax.jacfwd(lambda y, t: equations(curve, y, t), argnums=(0, 1)))(y[:, 0], t)
    np.testing.assert_allclose(found.correction[:, 0], np.linalg.solve(jacobian, value), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.drift[:, 0], np.linalg.solve(jacobian, rate), rtol=1e-7, atol=1e-8)
    if curve.factorised:
        assert float(found.orientation[0]) == np.linalg.slogdet(jacobian)[0]
    else:  # matrix-free: the determinant is not known, which 0 says
        assert float(found.orientation[0]) == 0.0


def test_gmres_solves_what_the_factorisation_solves(monkeypatch):
    curve = curve_of(GAMES["dense"](), "expected")
    y, t = anywhere(curve), jnp.full(1, 0.9)
    assert curve.factorised
    direct = jax.jit(lambda c, y, t: c.linearise(y, t))(curve, y, t)
    monkeypatch.setattr(stationary, "DENSE_VALUES", 0)
    assert not curve.factorised
    krylov = jax.jit(lambda c, y, t: c.linearise(y, t))(curve, y, t)
    np.testing.assert_allclose(krylov.correction, direct.correction, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(krylov.drift, direct.drift, rtol=1e-8, atol=1e-8)


def test_points_are_packed_and_unpacked_whole():
    curve = curve_of(GAMES["own moves"](), "expected")
    y = anywhere(curve)
    np.testing.assert_array_equal(curve.pack(*curve.unpack(y)), y)


@pytest.mark.parametrize("rule", RULES)
def test_a_guess_and_what_is_read_from_it_agree(rule):
    # Q -> point -> Q is the identity at a solution, at a fraction t of the curve's precision as well.
    game = GAMES["dense"]()
    curve = curve_of(game, rule)
    t = 0.5
    found = qt.solve(
        game, beta=t * np.asarray(curve.beta), discount=np.asarray(curve.discount), value=rule, method="continuation"
    )
    q = tuple(jnp.asarray(np.moveaxis(np.nan_to_num(found.q[i]), -1, 0)) for i in range(2))
    y = curve.guess(q, jnp.asarray(t))
    at = jax.jit(StationaryCurve.linearise)(curve, y, jnp.full(1, t))
    assert float(jnp.abs(at.correction).max()) < 1e-10  # it solves F = 0
    back = stationary.read_point(curve, y, np.full(1, t))
    assert float(back.residual.max()) < 1e-12
    for i, mask in enumerate(curve.model.legal):
        np.testing.assert_allclose(np.where(mask, back.q[i], 0), np.where(mask, q[i], 0), atol=1e-11)


# --------------------------------------------------------------------------- the fixed point


@cases(("dense", "expected"), ("dense", "greedy"))
def test_every_method_order_and_damping_reach_the_same_fixed_point(name, rule):
    game = GAMES[name]()
    agents = game.number_of_agents
    beta, discount = np.linspace(0.3, 0.6, agents), np.linspace(0.5, 0.3, agents)
    ways = [
        {"method": "picard"},
        {"method": "picard", "damping": 0.4},
        {"method": "picard", "order": "paper", "focal": 0},
        {"method": "picard", "order": "paper", "focal": agents - 1, "damping": 0.7},
        {"method": "newton"},
        {"method": "continuation"},
        {"method": "auto"},
    ]
    found = [qt.solve(game, beta=beta, discount=discount, value=rule, **way) for way in ways]
    assert all(f.converged for f in found)
    # The equation itself, in nested loops.
    assert plain.residual(found[0]) < 1e-11
    for other in found[1:]:
        assert other.residual <= 1e-12
        for i in range(agents):
            np.testing.assert_allclose(other.policy[i], found[0].policy[i], atol=1e-10)
            np.testing.assert_allclose(other.q[i], found[0].q[i], atol=1e-10)
            np.testing.assert_allclose(other.value[i], found[0].value[i], atol=1e-10)
    # Weaker damping takes fewer steps where the map contracts, and every trace ends below the tolerance.
    assert found[0].steps < found[1].steps
    assert all(f.trace[-1] <= 1e-12 for f in found[:4])


def looped_algorithm_1(game, beta, discount, rule, focal, sweeps):
    """The paper's order: the opponents' Q first, then the focal agent's, against their new policies."""
    q = [np.where(np.broadcast_to(m, (*game.state_shape, m.shape[-1])), 0.0, np.nan) for m in game.legal]
    residuals = []
    for _ in range(sweeps):
        new = plain.bellman(game, rule, beta, discount, q)
        mixed = [q[i] if i == focal else new[i] for i in range(len(q))]
        play, values = plain.policies(game, beta, mixed), plain.values(game, rule, beta, q)
        own = plain.backup(game, discount, play, values)[focal]
        after = [own if i == focal else new[i] for i in range(len(q))]
        residuals.append(plain.gap(q, after))
        q = after
    return q, residuals


@pytest.mark.parametrize("focal", [0, 1])
def test_the_papers_order_is_algorithm_1_sweep_by_sweep(focal):
    game = GAMES["own moves"]()
    beta, discount = [1.5, 0.8], [0.8, 0.6]
    expected, residuals = looped_algorithm_1(game, beta, discount, "expected", focal, 4)
    found = qt.solve(
        game, beta=beta, discount=discount, method="picard", order="paper", focal=focal, max_steps=4, tol=1e-15
    )
    assert not found.converged
    for i in range(2):
        np.testing.assert_allclose(found.q[i], expected[i], atol=1e-13)
    np.testing.assert_allclose(found.trace[:4], residuals, atol=1e-13)
    # What is reported is the residual of T itself, whatever order the sweeps took.
    image = plain.bellman(game, "expected", beta, discount, expected)
    assert found.residual == pytest.approx(plain.gap(expected, image), abs=1e-13)


def test_damping_is_equation_14_step_by_step():
    game = GAMES["dense"]()
    beta, discount, alpha = [1.0, 2.0], [0.7, 0.9], 0.3
    q = [np.where(np.broadcast_to(m, (*game.state_shape, m.shape[-1])), 0.0, np.nan) for m in game.legal]
    for _ in range(5):
        image = plain.bellman(game, "expected", beta, discount, q)
        q = [alpha * b + (1 - alpha) * a for a, b in zip(q, image, strict=True)]
    found = qt.solve(game, beta=beta, discount=discount, method="picard", damping=alpha, max_steps=5)
    for i in range(2):
        np.testing.assert_allclose(found.q[i], q[i], atol=1e-13)
    # Undamped, although the steps were not:
    undamped = plain.gap(q, plain.bellman(game, "expected", beta, discount, q))
    assert found.residual == pytest.approx(undamped, abs=1e-13)


def test_acceleration_meets_plain_iteration():
    curve = curve_of(GAMES["dense"](), "expected")
    model, q = curve.model, tuple(jnp.zeros((n, 5)) for n in (3, 2))
    beta = 0.2 * curve.beta
    ends = [
        stationary.iterate(
            model, beta, curve.discount, q, 1.0, 1e-12, rule="expected", max_steps=2_000, memory=memory, focal=None
        )
        for memory in (0, stationary.ANDERSON_DEPTH)
    ]
    assert all(float(e.residual.max()) <= 1e-12 for e in ends)
    assert int(ends[1].steps) < int(ends[0].steps)
    for a, b, mask in zip(ends[0].q, ends[1].q, model.legal, strict=True):
        np.testing.assert_allclose(np.where(mask, a, 0), np.where(mask, b, 0), atol=1e-10)
    # The residual is that of the map, sweep by sweep.
    image = sweep(model, "expected", beta, curve.discount, ends[1].q)
    gap = max(
        float(jnp.where(m, jnp.abs(a - b), 0).max()) for a, b, m in zip(ends[1].q, image, model.legal, strict=True)
    )
    assert float(ends[1].residual.max()) == pytest.approx(gap, abs=1e-15)


def test_an_agent_with_its_own_precision_and_discount_decides_as_if_alone():
    # Two strangers, each with its own beta and discount: each block must be its own single-agent solution.
    random = np.random.default_rng(3)
    moves = [random.integers(0, 3, size=(3, 2)), random.integers(0, 2, size=(2, 2))]
    pay = [random.random((3, 2)), random.random((2, 2))]
    together = qt.MarkovGame(
        state_shape=(3, 2),
        rewards=(pay[0].reshape(3, 1, 2, 1), pay[1].reshape(1, 2, 1, 2)),
        dynamics=qt.Independent(tuple(moves)),
        actions=(("a", "b"), ("c", "d")),
        agents=("one", "two"),
    )
    both = qt.solve(together, beta=[5.0, 0.5], discount=[0.3, 0.9], method="picard")
    assert both.converged
    for i, (beta, discount) in enumerate(((5.0, 0.3), (0.5, 0.9))):
        q = np.zeros_like(pay[i])
        for _ in range(400):
            p = np.exp(beta * q) / np.exp(beta * q).sum(axis=1, keepdims=True)
            q = pay[i] + discount * (p * q).sum(axis=1)[moves[i]]
        np.testing.assert_allclose(np.moveaxis(both.q[i], i, 0)[:, 0], q, atol=1e-10)


def test_the_branch_is_followed_where_iteration_fails():
    # Matching pennies in every state, for different stakes: steep responses chase each other (slope > 1) and plain
    # iteration never settles, nor says that it did; the branch arrives.
    random = np.random.default_rng(4)
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0], [0.2, 0.1]]) * random.uniform(1, 3, (5, 1, 1))
    kernel = random.dirichlet(np.ones(5), size=(5, 3, 2))
    game = qt.MarkovGame.from_arrays([pennies, -pennies], kernel)
    cycling = qt.solve(game, beta=60.0, discount=[0.95, 0.9], method="picard", max_steps=500)
    assert not cycling.converged
    assert plain.residual(cycling) > 1e-3
    shares = []
    found = qt.solve(game, beta=60.0, discount=[0.95, 0.9], progress=shares.append)
    assert found.converged
    assert found.branch is qt.Branch.PRINCIPAL
    assert plain.residual(found) < 1e-10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    # Newton from there at a nearby precision stays near; it is not called principal, which nobody checked.
    near = qt.solve(game, beta=60.01, discount=[0.95, 0.9], method="newton", start=found)
    assert near.converged
    assert near.branch is qt.Branch.UNLABELLED
    again = qt.solve(game, beta=60.01, discount=[0.95, 0.9])
    assert max(float(np.abs(near.policy[i] - again.policy[i]).max()) for i in range(2)) < 1e-9


def test_the_size_of_a_step_counts_logits_and_not_values():
    curve = curve_of(GAMES["dense"](), "expected")
    y = anywhere(curve)
    z, v = curve.unpack(y)
    values = curve.pack(tuple(0 * x for x in z), v)
    assert float(curve.size(values, curve.metric(y))[0]) == 0.0
    pi = stage.policies_of(z, curve.model.legal)
    expected = 0.0
    for zi, p in zip(z, pi, strict=True):
        mean = (p * zi).sum(axis=0)
        expected = max(expected, float(jnp.sqrt((p * (zi - mean) ** 2).sum(axis=0)).max()))
    assert float(curve.size(y, curve.metric(y))[0]) == pytest.approx(expected)
    np.testing.assert_allclose(
        stage.policies_of(curve.unpack(y)[0], curve.model.legal)[0],
        logit.policy(z[0], curve.model.legal[0]),
        atol=1e-15,
    )
