"""Slow: the paper's games in full, and thousands of random games against an independent continuation."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.games.loops import Table, own_payoffs

import quantal as qt

pytestmark = pytest.mark.deep
RULES = ("expected", "soft", "greedy")
REFERENCE = Path(__file__).parents[1] / "reference"


# --------------------------------------------------------------------------- the paper's games


def checked_by_loops(found):
    """The residual and the gains from deviating, from the rules of the game alone; stages backward in time."""
    game, p = found.game, found.parameters
    table, agents = Table(game), game.number_of_agents
    ahead = table.final.copy()  # V by the value rule, (S, M)
    best, played = table.final.copy(), table.final.copy()  # what deviating, and what complying is worth
    residual, gains = 0.0, np.zeros(agents)
    for time in reversed(range(p.horizon)):
        q = [found.q[i][time].reshape(-1, found.q[i].shape[-1]) for i in range(agents)]
        pi = []
        for i, legal in enumerate(table.legal):
            logits = np.where(legal, p.beta[i] * q[i], -np.inf)
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            pi.append(weights / weights.sum(axis=1, keepdims=True))
            assert np.abs(pi[i] - found.policy[i][time].reshape(pi[i].shape)).max() < 1e-13
        image = own_payoffs(table.payoffs(ahead), pi)
        deviating, complying = own_payoffs(table.payoffs(best), pi), own_payoffs(table.payoffs(played), pi)
        columns = [[], [], []]
        for i, legal in enumerate(table.legal):
            residual = max(residual, float(np.abs(np.where(legal, q[i] - image[i], 0)).max()))
            masked = np.where(legal, q[i], -np.inf)
            top = masked.max(axis=1)
            value = {
                "expected": (pi[i] * np.where(legal, q[i], 0)).sum(axis=1),
                "soft": top + np.log(np.exp(p.beta[i] * (masked - top[:, None])).sum(axis=1)) / p.beta[i],
                "greedy": top,
            }[p.value]
            columns[0].append(value)
            columns[1].append(np.where(legal, deviating[i], -np.inf).max(axis=1))
            columns[2].append((pi[i] * np.where(legal, complying[i], 0)).sum(axis=1))
        ahead, best, played = (np.stack(c, axis=1) for c in columns)
        gains = np.maximum(gains, (best - played).max(axis=0))
    return residual, gains


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("build", "horizon"),
    [
        (qt.games.pursuit.three_players, 3),
        (qt.games.pursuit.two_players, 22),
        (lambda: qt.games.pursuit.two_players("orthogonal"), 22),
    ],
    ids=["three players", "two players, diagonal", "two players, orthogonal"],
)
def test_the_pursuit_games_are_solved_at_every_state_and_decision(build, horizon, rule):
    found = qt.solve(build(), beta=1.0, horizon=horizon, value=rule)
    assert found.converged
    assert found.residual <= 1e-12
    assert found.branch is not qt.Branch.UNLABELLED
    residual, gains = checked_by_loops(found)
    assert residual <= 2e-12
    reported = found.certificate.exploitability
    assert [reported[a] for a in found.game.agents] == pytest.approx(gains, abs=1e-11)


# --------------------------------------------------------------------------- sgamesolver's games


@pytest.mark.parametrize("seed", range(8))
def test_random_stochastic_games_to_lambda_200(seed):
    # Stored numbers are sgamesolver's (tests/test_reference.py); in between, solve and one pass must agree.
    game = qt.games.random.stochastic(8, 2, 4, seed=seed)
    known = np.load(REFERENCE / "sgamesolver.npz")
    stored = dict(zip(map(float, known[f"8x2x4_seed{seed}/lambda"]), known[f"8x2x4_seed{seed}/policy"], strict=True))
    betas = sorted({*stored, 3.0, 10.0, 33.0, 70.0, 150.0, 200.0})
    path = qt.solve_path(game, betas, discount=0.95)
    assert path.converged
    for beta, found in zip(betas, path, strict=True):
        assert found.residual <= found.parameters.tol
        if beta in stored:
            for i in range(2):
                np.testing.assert_allclose(found.policy[i], stored[beta][:, i], atol=1e-7)
        elif beta in (33.0, 150.0):
            alone = qt.solve(game, beta=beta, discount=0.95)
            assert alone.branch is qt.Branch.PRINCIPAL
            for i in range(2):
                np.testing.assert_allclose(alone.policy[i], found.policy[i], atol=1e-8)
    facts = json.loads((REFERENCE / "sgamesolver.json").read_text())["games"][f"8x2x4_seed{seed}"]
    turns = [t for t in facts.get("turning_points", []) if t < betas[-1]]
    if turns:
        assert [f.beta for f in path.folds] == pytest.approx(turns, abs=1e-3)


# --------------------------------------------------------------------------- natural continuation


class Batch:
    """Normal-form games side by side, logits z (S, N); F = z - beta C g(z) and its Jacobian in closed form."""

    def __init__(self, u):
        self.u, self.agents = u, len(u)
        self.counts = u[0].shape[1:]
        self.edges = np.cumsum([0, *self.counts])

    def play(self, z):
        pieces = [z[:, a:b] for a, b in zip(self.edges, self.edges[1:], strict=False)]
        weights = [np.exp(p - p.max(axis=1, keepdims=True)) for p in pieces]
        return [w / w.sum(axis=1, keepdims=True) for w in weights]

    def mean(self, i, keep, pi):
        letters = "abc"[: self.agents]
        others = [j for j in range(self.agents) if j not in keep]
        spec = ",".join(["s" + letters, *("s" + letters[j] for j in others)])
        return np.einsum(f"{spec}->s{''.join(letters[k] for k in keep)}", self.u[i], *(pi[j] for j in others))

    def equations(self, z, beta):
        """F, dF/dz and dF/dbeta."""
        pi = self.play(z)
        size = self.edges[-1]
        moved, jacobian = np.zeros_like(z), np.broadcast_to(np.eye(size), (len(z), size, size)).copy()
        for i in range(self.agents):
            g = self.mean(i, (i,), pi)
            rows = slice(self.edges[i], self.edges[i + 1])
            moved[:, rows] = g - g.mean(axis=1, keepdims=True)
            for j in range(self.agents):
                if j == i:
                    continue
                pair = self.mean(i, (i, j), pi)
                pair = pair - (pair * pi[j][:, None]).sum(axis=2, keepdims=True)
                pair = pair * pi[j][:, None]
                columns = slice(self.edges[j], self.edges[j + 1])
                jacobian[:, rows, columns] = -beta * (pair - pair.mean(axis=1, keepdims=True))
        return z - beta * moved, jacobian, -moved


@pytest.mark.parametrize("counts", [(3, 2), (2, 2, 2)])
def test_thousands_of_traced_stages_lie_where_small_steps_lead(counts):
    # Small steps in beta from uniform play, each checked: the determinant keeps its sign (no fold, no fork) and
    # Newton's corrections stay tiny (no jump). Where both hold all the way, there is no doubt about what the branch is.
    states, beta, steps = 2_000, 8.0, 1_500
    random = np.random.default_rng(0)
    u = [random.normal(size=(states, *counts)) for _ in counts]
    batch = Batch(u)
    z = np.zeros((states, sum(counts)))
    smooth = np.ones(states, dtype=bool)
    for k in range(steps):
        here, there = beta * k / steps, beta * (k + 1) / steps
        _, jacobian, rate = batch.equations(z, here)
        guess = z + (there - here) * np.linalg.solve(jacobian, -rate[..., None])[..., 0]
        z = guess
        for _ in range(3):
            value, jacobian, _ = batch.equations(z, there)
            z = z - np.linalg.solve(jacobian, value[..., None])[..., 0]
            z = np.where(np.isfinite(z) & (np.abs(z) < 1e3), z, 0.0)  # beyond a fold: not smooth, see below
        moved = np.max(
            [np.abs(a - b).max(axis=1) for a, b in zip(batch.play(z), batch.play(guess), strict=True)], axis=0
        )
        _, jacobian, _ = batch.equations(z, there)
        smooth &= (moved < 1e-3) & (np.linalg.det(jacobian) > 1e-3)
    # With such games most branches are smooth, else this would test nothing; some are not, else it would be too easy.
    assert 0.6 * states < smooth.sum() < states
    game = qt.MarkovGame.from_arrays(u, np.full((states, *counts, 1), 1.0)) if states == 1 else _apart(u)
    found = qt.solve(game, beta=beta, discount=0.0)
    assert found.converged
    assert found.branch is qt.Branch.PRINCIPAL
    for i, pi in enumerate(batch.play(z)):
        np.testing.assert_allclose(found.policy[i][smooth], pi[smooth], atol=1e-9)


def _apart(u):
    """One state per game; nobody ever moves."""
    states, counts = u[0].shape[0], u[0].shape[1:]
    stay = np.broadcast_to(np.arange(states).reshape(-1, *(1,) * len(counts), 1), (states, *counts, 1))
    return qt.MarkovGame.from_arrays(u, qt.Coupled(stay, np.ones(stay.shape)))


def stationary_equations(y, beta, rewards, kernel, discount):
    """Logits z_i (S, A_i) and values v_i (S,) of a two-player game with the expected rule, in NumPy."""
    states, counts = len(kernel), kernel.shape[1:3]
    first, second = states * counts[0], states * sum(counts)
    z = [y[:first].reshape(states, -1), y[first:second].reshape(states, -1)]
    v = y[second:].reshape(2, states)
    pi = [np.exp(zi - zi.max(axis=1, keepdims=True)) for zi in z]
    pi = [p / p.sum(axis=1, keepdims=True) for p in pi]
    off = []
    for i, spec in enumerate(("sab,sb->sa", "sab,sa->sb")):
        g = np.einsum(spec, rewards[i] + discount * kernel @ v[i], pi[1 - i])
        off.append((z[i] - beta * (g - g.mean(axis=1, keepdims=True))).ravel())
        off.append(v[i] - (pi[i] * g).sum(axis=1))
    return np.concatenate([off[0], off[2], off[1], off[3]])


def differentiated(function, y):
    h = 1e-6
    return np.stack([(function(y + h * e) - function(y - h * e)) / (2 * h) for e in np.eye(y.size)], axis=1)


def small_steps(beta, rewards, kernel, discount):
    """Natural continuation from beta = 0; None where the branch turns, forks, or cannot be followed without doubt."""
    states, counts = len(kernel), kernel.shape[1:3]

    def corrected(y, b, most=6):
        def equations(x):
            return stationary_equations(x, b, rewards, kernel, discount)

        for _ in range(most):
            jacobian = differentiated(equations, y)
            change = np.linalg.solve(jacobian, equations(y))
            y = y - change
            if np.abs(change).max() < 1e-7:
                return y, np.linalg.slogdet(jacobian)[0]
        return None, 0.0

    y, sign = corrected(np.zeros(states * (sum(counts) + 2)), 0.0)
    at, step, slope = 0.0, 0.01 * beta, np.zeros_like(y)
    while at < beta:
        there = min(beta, at + step)
        guess = y + (there - at) * slope
        new, orientation = corrected(guess, there)
        if new is None or np.abs(new - guess).max() > 0.02 or np.abs(new - y).max() > 0.2:
            step *= 0.5
            if step < 1e-5 * beta:
                return None
            continue
        if orientation != sign:
            return None
        slope, y, at = (new - y) / (there - at), new, there
        step *= 1.3
    z = np.split(y, [states * counts[0], states * sum(counts)])[:2]
    weights = [np.exp(zi.reshape(states, -1) - zi.max()) for zi in z]
    return [w / w.sum(axis=1, keepdims=True) for w in weights]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 100_000), beta=st.floats(0.5, 30.0))
def test_the_principal_stationary_equilibrium_is_where_small_steps_lead(seed, beta):
    random = np.random.default_rng(seed)
    rewards = [random.random((2, 2, 2)) for _ in range(2)]
    kernel = random.dirichlet(np.ones(2), size=(2, 2, 2))
    expected = small_steps(beta, rewards, kernel, 0.8)
    found = qt.solve(qt.MarkovGame.from_arrays(rewards, kernel), beta=beta, discount=0.8)
    assert found.converged
    assert found.branch is not qt.Branch.UNLABELLED
    if expected is not None:
        for i in range(2):
            np.testing.assert_allclose(found.policy[i], expected[i], atol=1e-6)
