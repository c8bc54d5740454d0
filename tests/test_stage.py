"""Stage games against loops, SciPy and numpy.linalg: every piece of `stage`, and what it claims to have proved."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from quantal import stage
from quantal.stage import StageCurve, StageMethod

COUNTS = [(3, 2), (1, 3), (2, 3, 2)]
AUTO = StageMethod("auto", 1.0, 10_000)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


# --------------------------------------------------------------------------- games, and their readable twins


def batch(seed, counts, states, *, masked=True, scale=1.0):
    """Payoffs [A_1..A_M, S] and masks [A_i, S]; at least one action of everyone is legal."""
    random = np.random.default_rng(seed)
    u = tuple(scale * random.normal(size=(*counts, states)) for _ in counts)
    legal = []
    for n in counts:
        mask = random.random((n, states)) < (0.75 if masked else 2.0)
        mask[random.integers(n, size=states), np.arange(states)] = True
        legal.append(mask)
    return u, tuple(legal)


def engine(arrays):
    return tuple(jnp.asarray(a) for a in arrays)


def softmax(z, allowed):
    weights = np.where(allowed, np.exp(np.where(allowed, z, -np.inf) - z[allowed].max()), 0.0)
    return weights / weights.sum()


def own_payoffs(u, policies):
    """g_i(a_i) at one state, a sum over the joint actions."""
    g = [np.zeros(len(p)) for p in policies]
    for joint in itertools.product(*(range(len(p)) for p in policies)):
        for i in range(len(policies)):
            chance = math.prod(policies[j][a] for j, a in enumerate(joint) if j != i)
            g[i][joint[i]] += chance * u[i][joint]
    return g


def answer_to(z, u, beta, legal):
    """beta C g of one state: what centred logits z must equal."""
    g = own_payoffs(u, [softmax(zi, mask) for zi, mask in zip(z, legal, strict=True)])
    return [b * np.where(m, gi - gi[m].mean(), 0.0) for b, gi, m in zip(beta, g, legal, strict=True)]


def cut(x, counts):
    return np.split(x, np.cumsum(counts)[:-1])


def root_from(start, u, beta, legal):
    """An equilibrium in logits by SciPy's hybrid method, None where it does not converge."""
    counts = [len(m) for m in legal]

    def off(x):
        return x - np.concatenate(answer_to(cut(x, counts), u, beta, legal))

    found = scipy.optimize.root(off, start, method="hybr", tol=1e-13)
    if np.abs(off(found.x)).max() > 1e-9:
        return None
    return np.concatenate([softmax(zi, m) for zi, m in zip(cut(found.x, counts), legal, strict=True)])


def at(u, legal, s):
    return [ui[..., s] for ui in u], [m[:, s] for m in legal]


def policies_at(answer, legal, s):
    return np.concatenate([softmax(zi[:, s], m[:, s]) for zi, m in zip(answer.z, legal, strict=True)])


def off_equilibrium(answer, u, beta, legal):
    """Largest |z - beta C g| over a batch, by the loops above."""
    worst = 0.0
    for s in range(u[0].shape[-1]):
        us, masks = at(u, legal, s)
        z = [zi[:, s] for zi in answer.z]
        worst = max(worst, *(np.abs(a - b).max() for a, b in zip(z, answer_to(z, us, beta, masks), strict=True)))
    return worst


# --------------------------------------------------------------------------- averages and derivatives


@pytest.mark.parametrize("counts", COUNTS)
def test_expected_payoffs_and_residual_are_the_loops(counts):
    u, legal = batch(0, counts, 4)
    random = np.random.default_rng(1)
    z = [random.normal(size=(n, 4)) for n in counts]
    beta = random.uniform(0.5, 2, len(counts))
    policies = stage.policies_of(engine(z), engine(legal))
    g = stage.expected_payoffs(engine(u), policies)
    residual = stage.residual(engine(u), jnp.asarray(beta), engine(z), engine(legal))
    for s in range(4):
        us, masks = at(u, legal, s)
        play = [softmax(zi[:, s], m) for zi, m in zip(z, masks, strict=True)]
        looped = own_payoffs(us, play)
        for i in range(len(counts)):
            np.testing.assert_allclose(policies[i][:, s], play[i], atol=1e-15)
            np.testing.assert_allclose(g[i][:, s], looped[i], atol=1e-14)
        # Q = g is answered by the payoffs against softmax(beta g): the undamped residual, illegal actions left out.
        second = own_payoffs(us, [softmax(b * q, m) for b, q, m in zip(beta, looped, masks, strict=True)])
        gap = max(np.abs(a - b)[m].max() for a, b, m in zip(looped, second, masks, strict=True))
        assert float(residual[s]) == pytest.approx(gap, abs=1e-14)


def test_payoffs_that_ignore_an_opponent_may_leave_its_axis_out():
    u, legal = batch(2, (2, 3, 2), 4)
    flat = (u[0][:, :1], u[1], u[2][:1])
    full = (np.broadcast_to(flat[0], u[0].shape), u[1], np.broadcast_to(flat[2], u[2].shape))
    z = engine([np.random.default_rng(3).normal(size=(n, 4)) for n in (2, 3, 2)])
    policies = stage.policies_of(z, engine(legal))
    for short, long in zip(
        stage.expected_payoffs(engine(flat), policies), stage.expected_payoffs(engine(full), policies), strict=True
    ):
        np.testing.assert_allclose(short, long, atol=1e-14)
    curves = [StageCurve(engine(x), jnp.ones(3), engine(legal)) for x in (flat, full)]
    y, t = jnp.concatenate(z), jnp.full(4, 0.7)
    for a, b in zip(*(jax.jit(StageCurve.linearise)(c, y, t) for c in curves), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)


@pytest.mark.parametrize("counts", COUNTS)
def test_the_linearisation_is_that_of_the_equations(counts):
    # F(z, t) = z - t beta C g(z), written out here state by state and differentiated by finite differences.
    u, legal = batch(4, counts, 4)
    random = np.random.default_rng(5)
    beta = random.uniform(0.5, 3, len(counts))
    y = np.concatenate([np.where(m, random.normal(size=m.shape), 0.0) for m in legal])
    t = random.uniform(0.2, 1, 4)
    curve = StageCurve(engine(u), jnp.asarray(beta), engine(legal))
    found = jax.jit(StageCurve.linearise)(curve, jnp.asarray(y), jnp.asarray(t))
    for s in range(4):
        us, masks = at(u, legal, s)

        def moved(x, us=us, masks=masks):
            return np.concatenate(answer_to(cut(x, counts), us, beta, masks))

        size, h = y.shape[0], 1e-6
        slope = np.stack([(moved(y[:, s] + h * e) - moved(y[:, s] - h * e)) / (2 * h) for e in np.eye(size)], axis=1)
        jacobian = np.eye(size) - t[s] * slope
        value = y[:, s] - t[s] * moved(y[:, s])
        np.testing.assert_allclose(found.correction[:, s], np.linalg.solve(jacobian, value), atol=1e-7)
        np.testing.assert_allclose(found.drift[:, s], np.linalg.solve(jacobian, -moved(y[:, s])), atol=1e-7)
        assert float(found.orientation[s]) == np.linalg.slogdet(jacobian)[0]


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_small_systems_are_solved_and_the_determinants_sign_is_right(size):
    random = np.random.default_rng(size)
    matrix, right = random.normal(size=(40, size, size)), random.normal(size=(40, size, 2))
    if size > 1:  # every permutation needs its own number of swaps
        matrix[:20] = np.eye(size)[[random.permutation(size) for _ in range(20)]]
    x, sign = stage.solve_with_sign(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(x, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(sign, np.linalg.slogdet(matrix)[0])
    trailing, again = stage.solve_small(
        jnp.moveaxis(jnp.asarray(matrix), 0, -1), jnp.moveaxis(jnp.asarray(right), 0, -1)
    )
    np.testing.assert_array_equal(np.moveaxis(np.asarray(trailing), -1, 0), np.asarray(x))
    np.testing.assert_array_equal(again, sign)


def test_a_singular_matrix_leaves_a_solved_equation_alone():
    # At a bifurcation F_y is singular and F zero: the correction is zero then, not 0/0.
    matrix = np.array([[[1.0, 1.0], [1.0, 1.0]], [[1.0, -2.0], [0.5, -1.0]]])
    x, sign = stage.solve_with_sign(jnp.asarray(matrix), jnp.zeros((2, 2, 1)))
    np.testing.assert_array_equal(x, 0.0)
    assert np.isfinite(sign).all()


def test_size_is_the_standard_deviation_under_play():
    random = np.random.default_rng(6)
    play, change = random.dirichlet(np.ones(3), size=4).T, random.normal(size=(3, 4))
    found = stage.logit_size(engine([change]), engine([play]))
    for s in range(4):
        mean = np.average(change[:, s], weights=play[:, s])
        spread = np.average((change[:, s] - mean) ** 2, weights=play[:, s])
        assert float(found[0, s]) == pytest.approx(math.sqrt(spread))
    # ... so that a common shift of all logits, which no policy depends on, has no size.
    assert float(stage.logit_size(engine([np.ones((3, 4))]), engine([play])).max()) < 1e-15


# --------------------------------------------------------------------------- Q from logits


@pytest.mark.parametrize("beta", [0.0, 1e-3, 1.0, 1e3, 1e8])
def test_q_read_off_the_logits_is_q_at_a_solution(beta):
    random = np.random.default_rng(7)
    g, legal = random.normal(size=(3, 5)), np.array([[True] * 5, [True, False] * 2 + [True], [True] * 5])
    z = beta * stage.centre(jnp.asarray(g), jnp.asarray(legal))
    spread = jnp.full(5, 2.0)
    q = stage.q_of(z, jnp.asarray(g), jnp.asarray(beta), spread, jnp.asarray(legal))
    np.testing.assert_allclose(q, g, atol=1e-14)


def test_where_play_is_steep_logits_are_kept_and_elsewhere_payoffs():
    # z is off by 1e-9. Play must be that of z where beta times the spread is large, Q that of g where it is small.
    random = np.random.default_rng(8)
    g, legal = random.normal(size=(3, 1)), np.ones((3, 1), dtype=bool)
    for beta, steep in ((1.0, False), (1e9, True)):
        z = beta * stage.centre(jnp.asarray(g), jnp.asarray(legal)) + 1e-9 * np.array([[1.0], [-1.0], [0.0]])
        q = np.asarray(stage.q_of(z, jnp.asarray(g), jnp.asarray(beta), jnp.ones(1), jnp.asarray(legal)))
        if steep:
            np.testing.assert_allclose(beta * (q - q.mean()), z - z.mean(), rtol=1e-6)
        else:
            np.testing.assert_array_equal(q, g)


# --------------------------------------------------------------------------- what is proved


def looped_interaction(u, i, j, legal):
    """Max |u(a,b) - u(a',b) - u(a,b') + u(a',b')| at one state, any play of the rest."""
    most = 0.0
    allowed = [np.flatnonzero(m) for m in legal]
    for joint in itertools.product(*allowed):
        for a, b in itertools.product(allowed[i], allowed[j]):
            corners = []
            for x, y in ((joint[i], joint[j]), (a, joint[j]), (joint[i], b), (a, b)):
                cell = list(joint)
                cell[i], cell[j] = x, y
                corners.append(u[tuple(cell)])
            most = max(most, abs(corners[0] - corners[1] - corners[2] + corners[3]))
    return most


@pytest.mark.parametrize("counts", COUNTS)
def test_interaction_is_the_largest_over_legal_cells(counts):
    u, legal = batch(9, counts, 4)
    for i, j in itertools.permutations(range(len(counts)), 2):
        found = stage.interaction(jnp.asarray(u[i]), i, j, engine(legal))
        for s in range(4):
            us, masks = at(u, legal, s)
            assert float(found[s]) == pytest.approx(looped_interaction(us[i], i, j, masks), abs=1e-13)


@pytest.mark.parametrize("counts", [(3, 2), (2, 3, 2), (2, 2, 2, 2)])
def test_the_contraction_bound_bounds_the_radius_closely(counts):
    u, legal = batch(10, counts, 4, masked=False)
    beta = np.random.default_rng(11).uniform(0.5, 2, len(counts))
    bound = np.asarray(stage.contraction_bound(engine(u), jnp.asarray(beta), engine(legal)))
    for s in range(4):
        us, masks = at(u, legal, s)
        matrix = np.zeros((len(counts), len(counts)))
        for i, j in itertools.permutations(range(len(counts)), 2):
            matrix[i, j] = beta[j] * looped_interaction(us[i], i, j, masks) / 4
        radius = float(np.abs(np.linalg.eigvals(matrix)).max())
        assert radius - 1e-12 <= bound[s]
        # Two agents: power iteration may swing between two vectors; then the bound is no better than the largest row.
        assert bound[s] <= (1.001 * radius if len(counts) > 2 else matrix.max() * (1 + 1e-6))


@pytest.mark.parametrize("counts", COUNTS)
def test_where_the_bound_is_below_one_the_map_contracts(counts):
    # The proof is about any two Q, so random pairs may be as far apart as they like; weights w from the true matrix.
    u, legal = batch(12, counts, 4)
    random = np.random.default_rng(13)
    beta = random.uniform(0.5, 2, len(counts))
    bound = np.asarray(stage.contraction_bound(engine(u), jnp.asarray(beta), engine(legal)))
    u = tuple(ui * 0.95 / np.maximum(bound, 1e-6) for ui in u)
    for s in range(4):
        us, masks = at(u, legal, s)
        if bound[s] < 1e-6:
            continue
        for _ in range(2):
            # Iterated from two places, the spans of Q's differences must shrink geometrically in the end.
            pair = [[3 * random.normal(size=len(m)) for m in masks] for _ in range(2)]
            for _ in range(150):
                pair = [
                    own_payoffs(us, [softmax(b * q, m) for b, q, m in zip(beta, qs, masks, strict=True)]) for qs in pair
                ]
            gap = max(np.ptp((a - b)[m]) for a, b, m in zip(*pair, masks, strict=True))
            assert gap < 10 * 0.95**150 + 1e-12


def claimed(u, beta, legal):
    return np.asarray(stage._survey(engine(u), jnp.asarray(beta), engine(legal))[0])


@pytest.mark.parametrize("kind", ["contraction", "monotone"])
@pytest.mark.parametrize("counts", [(2, 2), (3, 2)])
def test_where_uniqueness_is_claimed_every_search_ends_in_one_place(kind, counts):
    # Payoffs are scaled up until the claim is about to be given up, where a false claim would show first.
    states = 8
    u, legal = batch(14, counts, states, masked=counts == (3, 2))
    random = np.random.default_rng(15)
    if kind == "monotone":  # nearly constant-sum, with stakes of different size
        weight = random.uniform(0.3, 3, states)
        u = (u[0], -weight * u[0] + 0.2 * u[1])
    beta = np.array([1.3, 0.7])
    low, high = np.full(states, 1e-3), np.full(states, 200.0)
    for _ in range(40):
        middle = np.sqrt(low * high)
        good = claimed(tuple(middle * ui for ui in u), beta, legal)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    u = tuple(low * ui for ui in u)
    assert claimed(u, beta, legal).all()
    found = 0
    for s in range(states):
        us, masks = at(u, legal, s)
        ends = []
        for _ in range(12):
            start = np.concatenate([np.where(m, 6 * random.normal(size=len(m)), 0) for m in masks])
            ends.append(root_from(start, us, beta, masks))
        ends = [e for e in ends if e is not None]
        found += len(ends)
        for e in ends[1:]:
            np.testing.assert_allclose(e, ends[0], atol=1e-6)
    assert found > 4 * states  # searches that fail say nothing; most must succeed


@pytest.mark.parametrize("size", [2, 3])
def test_several_equilibria_are_never_called_one(size):
    # u = c I for both: uniform play is joined by others once the response's slope at it, beta c / size, exceeds 1;
    # for two actions that is exactly where the claim ends (both conditions are sharp there).
    u = tuple(np.eye(size)[:, :, None] for _ in range(2))
    legal = tuple(np.ones((size, 1), dtype=bool) for _ in range(2))
    for share, expected in ((0.999, size == 2), (1.001, False), (3.0, False), (1e6, False)):
        assert claimed(u, share * size * np.ones(2), legal)[0] == expected
    assert claimed(u, np.full(2, 0.5), legal)[0]  # slope 1/2 and less


def test_constant_sum_games_and_rescaled_ones_are_proved_at_any_precision():
    random = np.random.default_rng(16)
    first = random.normal(size=(4, 3, 6))
    legal = tuple(np.ones((n, 6), dtype=bool) for n in (4, 3))
    # What an agent's payoff owes to the opponent's action alone is no interaction: it may be added freely.
    second = 7 - 2.5 * first + random.normal(size=(4, 1, 6))
    for beta in ([1.0, 1.0], [1e4, 3e5]):
        assert claimed((first, second), np.array(beta), legal).all()
    # With common instead of opposed interests the claim must go.
    assert not claimed((first, -second), np.array([1e4, 3e5]), legal).any()


# --------------------------------------------------------------------------- solving


@pytest.mark.parametrize(("counts", "states"), [((2, 3), 95), ((2, 3, 2), 12)])
def test_every_method_finds_the_one_equilibrium(counts, states):
    u, legal = batch(17, counts, states, scale=0.4)
    beta = np.linspace(0.6, 1.1, len(counts))
    answers = {
        method: stage.solve_stage(engine(u), jnp.asarray(beta), engine(legal), StageMethod(method, 1.0, 10_000), 1e-12)
        for method in ("picard", "newton", "continuation", "auto")
    }
    random = np.random.default_rng(18)
    for s in range(0, states, 4):
        us, masks = at(u, legal, s)
        start = np.concatenate([np.where(m, random.normal(size=len(m)), 0) for m in masks])
        expected = root_from(start, us, beta, masks)
        for answer in answers.values():
            np.testing.assert_allclose(policies_at(answer, legal, s), expected, atol=1e-10)
    for name, answer in answers.items():
        assert off_equilibrium(answer, u, beta, legal) < 1e-11, name
    assert answers["continuation"].traced.all()
    assert not answers["continuation"].lost.any()
    assert (answers["auto"].unique | answers["auto"].traced).all()
    assert not answers["picard"].traced.any()
    assert answers["picard"].steps == len(answers["picard"].trace)


@pytest.mark.parametrize("states", [1, 95, 97])
def test_batches_of_odd_sizes_are_their_games_one_by_one(states):
    # States are followed in blocks of 96, the last one filled up: nobody may get a neighbour's answer, or be left out.
    u, legal = batch(19, (2, 3), 97)
    beta = jnp.asarray([4.0, 3.0])
    cut_u, cut_legal = tuple(ui[..., :states] for ui in u), tuple(m[:, :states] for m in legal)
    together = stage.solve_stage(engine(cut_u), beta, engine(cut_legal), AUTO, 1e-12)
    assert off_equilibrium(together, cut_u, np.asarray(beta), cut_legal) < 1e-11
    assert (together.unique | together.traced).all()
    for s in {0, 1, 50, 93, 94, 95, 96} & set(range(states)):
        one = slice(s, s + 1)
        alone = stage.solve_stage(
            tuple(ui[..., one] for ui in engine(u)), beta, tuple(m[:, one] for m in engine(legal)), AUTO, 1e-12
        )
        by_itself = policies_at(alone, tuple(m[:, one] for m in legal), 0)
        np.testing.assert_allclose(policies_at(together, legal, s), by_itself, atol=1e-11)
        assert (together.unique[s], together.traced[s]) == (alone.unique[0], alone.traced[0])


def symmetric(differences):
    """Three players alike with two actions: payoff of the first one over the second, by how many others play it."""
    payoffs = []
    for i in range(3):
        u = np.zeros((2, 2, 2, 1))
        for joint in itertools.product(range(2), repeat=3):
            others = sum(a == 0 for j, a in enumerate(joint) if j != i)
            u[(*joint, 0)] = differences[others] if joint[i] == 0 else 0.0
        payoffs.append(u)
    return tuple(payoffs), tuple(np.ones((2, 1), dtype=bool) for _ in range(3))


def test_a_branch_that_folds_is_followed_through():
    # Everyone alike: log-odds x of the first action obey x = beta h(p), so that beta(p) = log(p/(1-p)) / h(p) *is* the
    # branch. h = 0.02 + 2 (p - 0.75)^2 nearly vanishes at p = 3/4: beta rises there, falls behind it, rises again.
    dip, depth, steep = 0.75, 0.02, 2.0

    def h(p):
        return depth + steep * (p - dip) ** 2

    ends, middle = (h(0.0), h(1.0)), h(0.5)
    u, legal = symmetric([ends[0], 2 * middle - 0.5 * (ends[0] + ends[1]), ends[1]])  # Bernstein coefficients
    p = np.linspace(0.5 + 1e-9, 1 - 1e-9, 2_000_001)
    precision = np.log(p / (1 - p)) / h(p)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(precision))))
    high, low = precision[turns + 1]
    assert high > 1.5 * low  # a real S
    for beta, folds in ((0.9 * low, 0), (1.01 * high, 2), (2 * high, 2)):
        found = stage.solve_stage(engine(u), jnp.full(3, beta), engine(legal), AUTO, 1e-12)
        assert found.traced.all()
        assert found.folds == folds
        first = p[np.flatnonzero(precision >= beta)[0]]  # where beta(p) first gets there
        np.testing.assert_allclose([softmax(z[:, 0], np.ones(2, dtype=bool))[0] for z in found.z], first, atol=1e-5)


def test_newton_starts_where_it_is_told_to():
    # A coordination game has three equilibria; each is found from nearby, and the middle one by the branch.
    u = tuple(5 * np.eye(2)[:, :, None] for _ in range(2))
    legal = engine([np.ones((2, 1), dtype=bool)] * 2)
    newton = StageMethod("newton", 1.0, 100)
    ends = []
    for side in (-3.0, 0.1, 3.0):
        z = engine([np.array([[side / 2], [-side / 2]])] * 2)
        found = stage.solve_stage(engine(u), jnp.ones(2), legal, newton, 1e-12, z)
        assert not found.traced.any()  # nobody knows which branch this is
        ends.append(float(policies_at(found, [np.ones((2, 1), dtype=bool)] * 2, 0)[0]))
    top = scipy.optimize.brentq(lambda p: math.log(p / (1 - p)) - 5 * (2 * p - 1), 0.6, 1 - 1e-12, xtol=1e-15)
    assert ends == pytest.approx([1 - top, 0.5, top], abs=1e-12)
    traced = stage.solve_stage(engine(u), jnp.ones(2), legal, AUTO, 1e-12)
    assert traced.traced.all()
    assert traced.bifurcations == 1
    assert float(traced.z[0][0, 0]) == pytest.approx(0.0, abs=1e-12)


def test_a_start_near_the_branch_counts_as_traced_and_a_far_one_is_traced_afresh():
    # `near` is extrapolated from smaller betas: where Newton's method hardly moves from it nothing else is tried. What
    # is far must end on the principal branch all the same.
    u, legal = batch(20, (2, 3), 95)
    beta = jnp.asarray([3.0, 3.0])
    exact = stage.solve_stage(engine(u), beta, engine(legal), AUTO, 1e-12)
    for offset in (0.0, 1e-3, 2.0):
        near = tuple(
            jnp.asarray(np.where(m, z + offset * np.arange(len(z))[:, None], 0.0))
            for z, m in zip(exact.z, legal, strict=True)
        )
        near = tuple(stage.centre(z, jnp.asarray(m)) for z, m in zip(near, legal, strict=True))
        found = stage.solve_stage(engine(u), beta, engine(legal), AUTO, 1e-12, None, near)
        assert found.traced.all()
        for s in range(95):
            np.testing.assert_allclose(policies_at(found, legal, s), policies_at(exact, legal, s), atol=1e-11)


def test_plain_iteration_says_what_it_did_not_settle():
    # Sixfold matching pennies, tilted: the response's slope exceeds one (MODEL, section 1); no step limit helps.
    pennies = 6 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    u = ((pennies + np.array([[0.5, 0], [0, 0]]))[:, :, None], -pennies[:, :, None])
    legal = engine([np.ones((2, 1), dtype=bool)] * 2)
    found = stage.solve_stage(engine(u), jnp.ones(2), legal, StageMethod("picard", 1.0, 300), 1e-12)
    assert float(stage.residual(engine(u), jnp.ones(2), engine(found.z), legal)[0]) > 0.1
    damped = stage.solve_stage(engine(u), jnp.ones(2), legal, StageMethod("picard", 0.05, 20_000), 1e-12)
    assert float(stage.residual(engine(u), jnp.ones(2), engine(damped.z), legal)[0]) <= 1e-12
    # The strong method does not need to be told: nothing is left over, and it is the same equilibrium.
    strong = stage.solve_stage(engine(u), jnp.ones(2), legal, AUTO, 1e-12)
    np.testing.assert_allclose(strong.z[0], damped.z[0], atol=1e-10)
