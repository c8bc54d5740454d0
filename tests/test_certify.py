"""The proof: bounds by hand, the Jacobian against automatic differentiation, errors against better solutions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import cases, plain

import quantal as qt
from quantal import bellman, request
from quantal.certify import bounds as a_priori
from quantal.certify import contraction_radius
from quantal.layout import from_public, model_of
from quantal.precision import quick_jit
from quantal.solution import PerAgent, Solution

RULES = ("expected", "soft", "greedy")
JOINT = "others' actions"


def bounds(game, **asked):
    """The a priori conditions by name."""
    given = {"beta": 1.0, "horizon": None, "discount": None} | asked
    return {b.name: b for b in a_priori(game, request.check(game, **given))}


# --------------------------------------------------------------------------- a priori


@pytest.mark.parametrize(
    ("game", "horizon", "largest", "paper", "tight"),
    [
        # 1 / (2 beta (M - 1)(1 + T)) and 1 / (beta (M - 1) T), by hand: MODEL says 0.0217, 0.0625 and 0.0385.
        (qt.games.pursuit.two_players(), 22, 0.4, 1 / 46, 1 / 22),
        (qt.games.pursuit.three_players(), 3, 15 / 4, 1 / 16, 1 / 6),
        (qt.games.rabbit_hole.game(), 12, 2.0, 1 / 26, 1 / 12),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_the_papers_experiments_violate_the_papers_bound(game, horizon, largest, paper, tight):
    found = bounds(game, horizon=horizon)
    first, second = found["Theorem 2 (paper's constant)"], found["Theorem 2 (tight constant)"]
    assert first.size == second.size == largest
    assert first.constant == pytest.approx(paper)
    assert second.constant == pytest.approx(tight)
    assert round(first.constant, 4) in (0.0217, 0.0625, 0.0385)
    assert not first.holds
    assert not second.holds


def own_rewards(size, states=3):
    """Two agents, R_i(x, a_i) in [-size, size], random joint moves."""
    rng = np.random.default_rng(3)
    base = qt.games.random.stochastic(states, 2, 2)
    draw = [rng.uniform(-1, 1, size=s) for s in ((states, 2, 1), (states, 1, 2))]
    return qt.MarkovGame.from_arrays([size * r / np.abs(r).max() for r in draw], base.dynamics)


def test_theorem_1_has_both_constants():
    # (1 - g)^2 / (2 M g beta) and twice that; rewards between the two tell them apart.
    gamma, beta = 0.5, 2.0
    paper = (1 - gamma) ** 2 / (2 * 2 * gamma * beta)
    for size, holds in ((0.9 * paper, (True, True)), (1.5 * paper, (False, True)), (2.1 * paper, (False, False))):
        found = bounds(own_rewards(size), beta=beta, discount=gamma)
        first, second = found["Theorem 1 (paper's constant)"], found["Theorem 1 (tight constant)"]
        assert first.constant == pytest.approx(paper)
        assert second.constant == pytest.approx(2 * paper)
        assert (first.holds, second.holds) == holds


def test_theorem_1_is_not_claimed_for_what_it_does_not_speak_of():
    # It takes R_i(x, a_i): tiny rewards on joint actions satisfy the numbers and prove nothing. Nor the other rules.
    game = qt.MarkovGame.from_arrays([1e-9 * np.ones((2, 2, 2)), np.zeros((2, 2, 2))], np.full((2, 2, 2, 2), 0.5))
    joint = bounds(game, discount=0.5)["Theorem 1 (paper's constant)"]
    assert JOINT in joint.applies
    assert not joint.holds
    assert "does not apply" in str(joint)
    for rule in ("soft", "greedy"):
        other = bounds(own_rewards(1e-6), discount=0.5, value=rule)["Theorem 1 (tight constant)"]
        assert rule in other.applies
        assert not other.holds
    assert bounds(own_rewards(1e-6), discount=0.5)["Theorem 1 (tight constant)"].applies == ""


def test_theorem_2_counts_the_decision_whose_reward_others_influence():
    # With R on joint actions T + 1 payoffs, not T, move with the others' policies.
    own = bounds(own_rewards(1.0), horizon=4)["Theorem 2 (tight constant)"]
    joint = bounds(qt.games.random.stochastic(3, 2, 2), horizon=4)["Theorem 2 (tight constant)"]
    assert own.constant == pytest.approx(1 / 4)
    assert joint.constant == pytest.approx(1 / 5)
    assert "entropy" in bounds(own_rewards(1.0), horizon=4, value="soft")["Theorem 2 (tight constant)"].applies


def test_a_lonely_or_uniform_player_is_always_within_the_bounds():
    # Without opponents, without precision, or without a future, nothing limits the rewards.
    alone = qt.games.random.stochastic(3, 1, 2)
    assert all(b.holds for b in bounds(alone, horizon=5).values())
    assert bounds(own_rewards(1e6), beta=0.0, discount=0.9)["Theorem 1 (tight constant)"].holds
    assert bounds(own_rewards(1e6), discount=0.0)["Theorem 1 (tight constant)"].holds


@given(size=st.floats(1e-3, 1.0), gamma=st.floats(0.05, 0.95), beta=st.floats(0.01, 5.0))
def test_our_span_bound_proves_what_theorem_1_proves(size, gamma, beta):
    # Spans are at most twice norms: wherever the tight constant holds, ours does too.
    found = bounds(own_rewards(size), beta=beta, discount=gamma)
    if found["Theorem 1 (tight constant)"].holds:
        assert found["Span bound (ours)"].holds


def test_our_span_bound_does_not_see_the_level_of_rewards():
    # R + 1000 is the same game for everyone, but not for a bound on norms.
    game = own_rewards(0.01)
    lifted = qt.MarkovGame.from_arrays([r + 1000 for r in game.rewards], game.dynamics)
    low, high = (bounds(g, discount=0.5)["Span bound (ours)"] for g in (game, lifted))
    assert low.size == pytest.approx(high.size, rel=1e-6)
    assert not bounds(lifted, discount=0.5)["Theorem 1 (tight constant)"].holds


def test_what_every_bound_says_is_written_out():
    words = [str(b) for b in bounds(own_rewards(0.01), discount=0.5).values()]
    assert words[0].startswith("Theorem 1 (paper's constant): max |R| = 0.01, bound 0.125: holds")
    assert any(w.startswith("Span bound (ours): contraction factor = ") for w in words)


# --------------------------------------------------------------------------- where uniqueness is claimed


@pytest.fixture(scope="module")
def many_starts():
    """Damped iteration of T from many random Q at once."""

    @jax.jit
    def run(model, beta, discount, q):
        def one(q):
            def body(_, q):
                return bellman.sweep(model, "expected", beta, discount, q)

            return jax.lax.fori_loop(0, 400, body, q)

        return jax.vmap(one)(q)

    return run


@pytest.mark.deep
@given(seed=st.integers(0, 10_000), share=st.floats(0.5, 0.999))
def test_where_our_bound_claims_uniqueness_all_starts_meet(many_starts, seed, share):
    # Rewards on joint actions, scaled so that the claimed factor is `share`: T then contracts at least that fast, so
    # that wild starts end in one place.
    gamma, beta = 0.3, np.array([1.0, 2.0])
    rng = np.random.default_rng(seed)
    base = qt.games.random.stochastic(3, 2, 2)
    draw = [rng.normal(size=(3, 2, 2)) for _ in range(2)]

    def factor(scale):
        game = qt.MarkovGame.from_arrays([scale * r for r in draw], base.dynamics)
        return game, contraction_radius(game, request.check(game, beta=beta, horizon=None, discount=gamma))

    low, high = 0.0, 10.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if factor(middle)[1] < share else (low, middle)
    game, claimed = factor(low)
    assert claimed < 1
    with jax.enable_x64(True):
        starts = tuple(jnp.asarray(rng.normal(scale=30, size=(16, 2, 3))) for _ in range(2))
        ends = many_starts(model_of(game), jnp.asarray(beta), jnp.full(2, gamma), starts)
    for end in ends:
        spread = np.ptp(np.asarray(end), axis=0).max()
        assert spread <= max(1e-9, 100 * claimed**400)


# --------------------------------------------------------------------------- a posteriori

SMALL = ("two agents, one with chance", "coupled, three agents", "dense, two agents")


def played(game, q, beta, discount, rule):
    """A `Solution` around any Q at all."""
    plainly = cases.solution_of(game, plain_policies(game, q, beta), discount=discount)
    parameters = dataclasses.replace(plainly.parameters, beta=tuple(beta), discount=tuple(discount), value=rule)
    return dataclasses.replace(plainly, q=PerAgent(game.agents, tuple(q)), parameters=parameters)


def plain_policies(game, q, beta):
    play = plain.policies(game, beta, q)
    arrays = [np.zeros_like(a) for a in q]
    for i, own in enumerate(play):
        for x, row in own.items():
            for a, p in row.items():
                arrays[i][x][a] = p
    return arrays


def random_q(game, rng):
    q = [rng.normal(size=(*game.state_shape, count)) for count in game.action_counts]
    legal = [np.broadcast_to(m, a.shape) for m, a in zip(game.legal, q, strict=True)]
    return [np.where(m, a, np.nan) for m, a in zip(legal, q, strict=True)], legal


def dense_jacobian(game, q, legal, beta, discount, rule):
    """T'(Q) as one matrix over all legal (agent, action, state), by automatic differentiation of the whole sweep."""
    with jax.enable_x64(True):
        model = model_of(game)
        engine = tuple(jnp.asarray(from_public(np.nan_to_num(a), model.state_shape)) for a in q)

        def flat(x):
            return jnp.concatenate([a.ravel() for a in x])

        def sweep(x):
            return bellman.sweep(model, rule, jnp.asarray(beta), jnp.asarray(discount), x)

        blocks = quick_jit(jax.jacfwd(sweep))(engine)
        rows = [
            np.concatenate(
                [np.asarray(b).reshape(engine[i].size, engine[j].size) for j, b in enumerate(blocks[i])], axis=1
            )
            for i in range(len(engine))
        ]
        mask = np.asarray(flat(tuple(from_public(m, model.state_shape) for m in legal)))
    return np.concatenate(rows)[np.ix_(mask, mask)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SMALL)
def test_norm_and_radius_are_those_of_the_jacobian(name, rule):
    # At any Q at all, with masks, beta and discount per agent: the norm from two backups is the dense matrix's, and the
    # radius from Jacobian-vector products is its largest eigenvalue's.
    game = cases.GAMES[name]()
    rng = np.random.default_rng(0)
    beta = rng.uniform(0.3, 3, game.number_of_agents)
    discount = rng.uniform(0.5, 0.9, game.number_of_agents)
    q, legal = random_q(game, rng)
    matrix = dense_jacobian(game, q, legal, beta, discount, rule)
    found = qt.certify(played(game, q, beta, discount, rule))
    assert found.contraction_norm == pytest.approx(np.abs(matrix).sum(axis=1).max(), rel=1e-10)
    assert found.spectral_radius == pytest.approx(np.abs(np.linalg.eigvals(matrix)).max(), rel=1e-5)
    # The residual is computed again, from the game and Q alone.
    assert found.residual == pytest.approx(plain.gap(q, plain.bellman(game, rule, beta, discount, q)), rel=1e-12)


STEEP = qt.games.random.stochastic(4, 2, 3)


@pytest.mark.parametrize("rule", RULES)
def test_the_error_bound_bounds_the_error(rule):
    # Perturb a solution; the bound, computed without knowing it, must cover the distance to it, and not absurdly.
    solution = qt.solve(STEEP, beta=0.15, discount=0.6, value=rule)
    assert solution.converged
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-6, 1e-9):
        noise = [rng.uniform(-size, size, a.shape) for a in solution.q.values()]
        moved = PerAgent(STEEP.agents, tuple(a + e for a, e in zip(solution.q.values(), noise, strict=True)))
        found = qt.certify(dataclasses.replace(solution, q=moved))
        distance = max(float(np.abs(e).max()) for e in noise)
        assert found.contraction_norm < 1
        assert distance <= found.error_bound * (1 + 0.05)  # first order
        assert found.error_bound < 10 * distance


def test_the_error_bound_holds_through_time():
    # Errors of a late decision reach the early ones through the values.
    solution = qt.solve(STEEP, beta=0.3, horizon=3)
    rng = np.random.default_rng(1)
    for size in (1e-4, 1e-8):
        noise = [rng.uniform(-size, size, a.shape) for a in solution.q.values()]
        moved = PerAgent(STEEP.agents, tuple(a + e for a, e in zip(solution.q.values(), noise, strict=True)))
        found = qt.certify(dataclasses.replace(solution, q=moved))
        distance = max(float(np.abs(e).max()) for e in noise)
        assert distance <= found.error_bound * 1.05
        assert found.error_bound < 50 * distance


def test_where_the_map_expands_no_error_bound_is_given():
    solution = qt.solve(STEEP, beta=20.0, discount=0.95)
    assert solution.converged
    found = solution.certificate
    assert found.contraction_norm > 1
    assert found.error_bound is None
    assert "none, the norm is not below 1" in str(found)


def test_the_norm_of_a_horizon_is_the_largest_of_its_stages():
    # Given values to come, a stage's map has the coupling alone: d U_i / d Q_j, one block per state.
    solution = qt.solve(STEEP, beta=2.0, horizon=2)
    ahead = [np.zeros(4) for _ in range(2)]
    norm, radius = 0.0, 0.0
    for time in (1, 0):
        q = [solution.q[i][time] for i in range(2)]

        def one_stage(flat, ahead=ahead, q=q):
            now = [flat[:12].reshape(4, 3), flat[12:].reshape(4, 3)]
            play = plain.policies(STEEP, (2.0, 2.0), now)
            return np.concatenate([a.ravel() for a in plain.backup(STEEP, (1.0, 1.0), play, ahead)])

        flat = np.concatenate([a.ravel() for a in q])
        step = 1e-6
        matrix = np.stack(
            [(one_stage(flat + step * e) - one_stage(flat - step * e)) / (2 * step) for e in np.eye(24)], 1
        )
        norm = max(norm, np.abs(matrix).sum(axis=1).max())
        radius = max(radius, np.abs(np.linalg.eigvals(matrix)).max())
        ahead = plain.values(STEEP, "expected", (2.0, 2.0), q)
    assert solution.certificate.contraction_norm == pytest.approx(norm, rel=1e-6)
    assert solution.certificate.spectral_radius == pytest.approx(radius, rel=1e-6)


def test_the_certificate_does_not_trust_the_record():
    # It is made from game and Q alone: a doctored residual and status do not reach it.
    honest = qt.solve(STEEP, beta=2.0, horizon=2)
    q = PerAgent(STEEP.agents, tuple(a + 0.1 * (k + 1) * np.arange(3) for k, a in enumerate(honest.q.values())))
    forged: Solution = dataclasses.replace(honest, q=q, residual=0.0, residuals=np.zeros_like(honest.residuals))
    assert forged.certificate.residual > 0.01
    assert honest.certificate.residual == pytest.approx(honest.residual, abs=1e-15)


def test_a_certificate_reads_like_one():
    words = str(qt.solve(own_rewards(0.01), beta=1.0, discount=0.5).certificate)
    for part in ("undamped residual", "branch: unique (proved)", "Theorem 1", "local contraction", "exploitability"):
        assert part in words
