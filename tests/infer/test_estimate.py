"""Estimates with known answers: closed forms, published numbers, and play whose frequencies are the truth's own."""

import math

import numpy as np
import pytest

import quantal as qt
from quantal.figures import inference
from quantal.games.experiments import selten_chmura_2008
from quantal.infer import EstimateStatus, Features
from quantal.infer import features as wants
from quantal.infer.features import Feature
from quantal.rollout import evaluate

# --------------------------------------------------------------------------- one choice: a logit regression


def one_choice():
    return qt.MarkovGame.normal_form([np.array([1.0, 0.0])])


@pytest.mark.parametrize("criterion", ["likelihood", "squared_distance"])
def test_one_binary_choice_is_a_logit_regression(criterion):
    """Payoffs 1 and 0: the log-odds are beta, so beta = log(n1 / n2) with variance 1/n1 + 1/n2, by either criterion."""
    found = qt.infer.precision(one_choice(), [[70.0, 30.0]], criterion=criterion)
    assert found.converged
    assert found.value == pytest.approx(math.log(7 / 3), rel=1e-6)
    assert found.standard_error == pytest.approx(math.sqrt(1 / 70 + 1 / 30), rel=1e-6)
    assert found.log_likelihood == pytest.approx(70 * math.log(0.7) + 30 * math.log(0.3), rel=1e-9)


def test_profile_and_intervals_in_closed_form():
    found = qt.infer.precision(one_choice(), [[70.0, 30.0]])
    low, high = found.interval(0.95)["beta"]
    assert high - found.value == pytest.approx(1.959964 * found.standard_error, rel=1e-6)
    assert found.value - low == pytest.approx(high - found.value)
    profile = found.profile(points=5)
    share = 1 / (1 + np.exp(-profile.at))
    np.testing.assert_allclose(profile.log_likelihood, 70 * np.log(share) + 30 * np.log(1 - share), rtol=1e-9)
    for end in profile.interval:  # where 2 (l(best) - l) is chi-squared's 95% quantile
        share = 1 / (1 + math.exp(-end))
        fall = found.log_likelihood - (70 * math.log(share) + 30 * math.log(1 - share))
        assert 2 * fall == pytest.approx(3.841459, rel=1e-4)


@pytest.mark.deep
def test_a_profile_lets_the_other_parameters_give_way():
    """Of a Gaussian-like peak the profile's curvature is 1 / variance, less than the curvature with the others held."""
    game = qt.games.pursuit.two_players()
    played = qt.simulate(game, qt.solve(game, beta=1.0, horizon=3), episodes=300, seed=4)
    both = Features.of(game, {"h": [wants.collision(game, "h"), wants.waiting(game, "h")]})
    found = qt.infer.rewards(game, both, played, horizon=3)
    name = "h: waits"
    profile = found.profile(name, points=3, width=0.1)
    fall = profile.log_likelihood.max() - profile.log_likelihood[[0, -1]]
    np.testing.assert_allclose(2 * fall, 0.1**2, rtol=0.05)


def test_a_prior_pulls_weights_to_zero_by_its_own_balance():
    """At the posterior's mode the gradient of the likelihood is prior times the weights."""
    game = one_choice()
    wanted = Features.of(game, [[Feature("first", np.array([[1.0, 0.0]]))]])
    free = qt.infer.rewards(game, wanted, [[70.0, 30.0]])
    held = qt.infer.rewards(game, wanted, [[70.0, 30.0]], prior=20.0)
    weight = held.value["agent1: first"]
    assert 0 < weight < free.value["agent1: first"] == pytest.approx(math.log(7 / 3), rel=1e-6)
    share = 1 / (1 + math.exp(-weight))
    assert 70 - 100 * share == pytest.approx(20.0 * weight, rel=1e-5)
    assert held.standard_error["agent1: first"] == pytest.approx((100 * share * (1 - share) + 20.0) ** -0.5, rel=1e-6)


def test_choices_that_were_never_seen_ask_for_infinite_weights():
    game = one_choice()
    wanted = Features.of(game, [[Feature("first", np.array([[1.0, 0.0]]))]])
    found = qt.infer.rewards(game, wanted, [[50.0, 0.0]])
    assert found.vector[0] > 10
    assert found.status is EstimateStatus.UNBOUNDED
    held = qt.infer.rewards(game, wanted, [[50.0, 0.0]], prior=0.1)
    assert held.converged
    assert np.isfinite(held.standard_errors).all()


# --------------------------------------------------------------------------- what is not identified


def test_parameters_that_are_not_identified_are_named():
    """Only the difference of two opposite features, and only beta times the weights, can be told from choices."""
    game = qt.games.pursuit.two_players()
    played = qt.simulate(game, qt.solve(game, beta=1.0, horizon=2), episodes=200, seed=0)
    meet = wants.collision(game, "h")
    twice = Features.of(game, {"h": [meet, Feature("again", 2 * meet.values), wants.waiting(game, "h")]})
    found = qt.infer.rewards(game, twice, played, horizon=2)
    assert len(found.warnings) == 1
    assert "not identified" in found.warnings[0]
    assert "h: together" in found.warnings[0]
    assert "h: again" in found.warnings[0]
    assert "waits" not in found.warnings[0]
    errors = found.standard_error
    assert errors["h: together"] == errors["h: again"] == math.inf
    assert math.isfinite(errors["h: waits"])


def test_scale_of_rewards_and_precision_cannot_both_be_known():
    game = qt.MarkovGame.normal_form([np.zeros((2, 2)), np.zeros((2, 2))])
    rng = np.random.default_rng(0)
    wanted = Features.of(game, [[Feature("f", rng.normal(size=(1, 2, 2)))], []])
    found = qt.infer.rewards(game, wanted, [[6.0, 4.0], [5.0, 5.0]], estimate_beta="common")
    assert any("agent1: f" in w and "beta" in w for w in found.warnings)
    assert found.standard_error["beta"] == math.inf
    fixed = qt.infer.rewards(game, wanted, [[6.0, 4.0], [5.0, 5.0]], beta=1.0)
    assert not fixed.warnings


def test_a_parameter_on_which_nothing_depends_is_named():
    game = one_choice()
    wanted = Features.of(
        game, [[Feature("first", np.array([[1.0, 0.0]])), Feature("constant", np.array([[1.0, 1.0]]))]]
    )
    found = qt.infer.rewards(game, wanted, [[70.0, 30.0]])
    assert found.warnings == ("not identified: nothing that was observed depends on 'agent1: constant'",)
    assert found.value["agent1: first"] == pytest.approx(math.log(7 / 3), rel=1e-6)
    assert found.standard_error["agent1: first"] == pytest.approx(math.sqrt(1 / 70 + 1 / 30), rel=1e-6)


# --------------------------------------------------------------------------- people


@pytest.mark.parametrize(
    ("rounds", "criterion", "beta"),
    [("all", "likelihood", 0.994), ("all", "squared_distance", 1.0469), ("last 100", "likelihood", 1.247)],
)
def test_precision_of_people_in_twelve_games(rounds, criterion, beta):
    """Selten & Chmura (2008): the published minimum of the mean squared distance is 1.05; see MODEL.md for the others.

    Standard errors: from the curvature of the public solver's own log-likelihood, or the spread of the estimate over
    games resampled choice by choice (the delta method, written out).
    """
    published = selten_chmura_2008(rounds)
    games, counts = [e.game for e in published], [e.counts for e in published]
    found = qt.infer.precision(games, counts, criterion=criterion)
    assert found.converged
    assert not found.warnings
    assert found.value == pytest.approx(beta, abs=0.002)

    def predicted(b):
        return np.array([[qt.solve(g, beta=b, discount=0.0).policy[i][0, 0] for i in range(2)] for g in games])

    n = np.array([[c.sum() for c in own] for own in counts])
    seen = np.array([[c[0] / c.sum() for c in own] for own in counts])
    b, h = found.value, 1e-3
    low, mid, high = (predicted(b + k * h) for k in (-1, 0, 1))
    slope, bend = (high - low) / (2 * h), (high - 2 * mid + low) / h**2
    if criterion == "likelihood":
        score = seen / mid - (1 - seen) / (1 - mid)
        second = -(seen / mid**2 + (1 - seen) / (1 - mid) ** 2)
        expected = (-(n * (second * slope**2 + score * bend)).sum()) ** -0.5
    else:  # of both actions' frequencies, whose distances are equal
        second = 4 * (slope**2 + (mid - seen) * bend).sum()
        spread = 4 * slope * np.sqrt(seen * (1 - seen) / n)
        expected = np.sqrt((spread**2).sum()) / second
    assert found.standard_error == pytest.approx(expected, rel=2e-3)


def test_observed_beside_predicted():
    """Every role of every game twice (two actions), and drawn where they belong."""
    published = selten_chmura_2008()[:2]
    found = qt.infer.precision([e.game for e in published], [e.counts for e in published], start=1.0)
    points = found.fitted()
    assert len(points) == 2 * 2 * 2
    first = points[0]
    assert (first.game, first.agent, first.action) == (0, "row", "up")
    assert first.observed == pytest.approx(0.07902)
    assert first.predicted == pytest.approx(qt.solve(published[0].game, beta=found.value).policy["row"][0, 0], abs=1e-9)
    figure = inference.fit([(p.agent, p.observed, p.predicted, p.choices) for p in points])
    drawn = figure.axes[0].collections[0].get_offsets()
    assert {tuple(np.round(row, 9)) for row in drawn} == {
        (round(p.predicted, 9), round(p.observed, 9)) for p in points if p.agent == "row"
    }


def test_many_frequencies_are_averaged_where_predictions_are_alike():
    """As many choices in each; what is drawn keeps the sums, and a fit that is true lies on the diagonal."""
    shares = np.linspace(0.0, 1.0, 301)
    figure = inference.fit([("ann", share, share, 2.0) for share in shares])
    (line,) = (line for line in figure.axes[0].lines if len(line.get_xdata()) == 10)
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    np.testing.assert_allclose(x, y)
    np.testing.assert_allclose(x.mean(), 0.5, atol=2e-3)
    one = selten_chmura_2008()[0]
    found = qt.infer.precision(one.game, one.counts)
    curve = found.profile(points=5)
    drawn = inference.precision([curve], [("row", 0.3, 0.4, 10.0)]).axes[0].lines
    np.testing.assert_allclose(drawn[0].get_ydata(), curve.log_likelihood - max(curve.log_likelihood))
    np.testing.assert_allclose(drawn[1].get_xdata(), curve.interval)


def test_roles_have_precisions_of_their_own():
    """Two separate maximisations: the game's likelihood with two betas is no less than with one, and not where they
    were equal.
    """
    published = selten_chmura_2008()[:3]
    games, counts = [e.game for e in published], [e.counts for e in published]
    one = qt.infer.precision(games, counts)
    two = qt.infer.precision(games, counts, per_agent=True)
    assert set(two.value) == {"beta of row", "beta of column"}
    assert two.log_likelihood > one.log_likelihood + 100
    assert np.abs(two.likelihood.gradient(two.vector)).max() < 1e-2


# --------------------------------------------------------------------------- the truth is found


def expected_counts(game, solution, n):
    """What n episodes come to on average: visits times policy. The likelihood's maximum is then the truth itself."""
    visits = evaluate(game, solution).visits
    return [n * visits[: solution.horizon][..., None] * solution.policy[i] for i in range(game.number_of_agents)]


def test_pursuit_rewards_and_precision_from_expected_play():
    game = qt.games.pursuit.two_players()
    known = Features.of(
        game,
        {"h": [wants.collision(game, "h"), wants.waiting(game, "h")], "p": [wants.waiting(game, "p")]},
        keep=True,
    )
    truth = [0.3, -0.2, 0.25]
    solution = qt.solve(known.game_with(game, truth), beta=1.2, horizon=4)
    counts = expected_counts(game, solution, 1000)
    found = qt.infer.rewards(game, known, counts, estimate_beta="common", horizon=4)
    assert found.converged
    np.testing.assert_allclose(found.vector, [*truth, 1.2], atol=1e-5)
    # A hundred times the data: a tenth of the error, to rounding.
    more = qt.infer.rewards(game, known, [100 * c for c in counts], estimate_beta="common", horizon=4)
    np.testing.assert_allclose(more.standard_errors, found.standard_errors / 10, rtol=1e-5)


@pytest.mark.deep
def test_common_features_and_stationary_play_from_expected_play():
    game = qt.games.pursuit.two_players()
    wanted = Features.of(game, {a: [wants.waiting(game, a)] for a in game.agents}, keep=True)
    solution = qt.solve(wanted.game_with(game, [0.4, 0.4]), beta=1.5, discount=0.7)
    visits = np.full(game.state_shape, 10.0)  # where play is observed does not matter to what it follows
    counts = [visits[..., None] * solution.policy[i] for i in range(2)]
    found = qt.infer.rewards(game, wanted, counts, estimate_beta="common", common=("waits",), discount=0.7)
    assert found.names == ("waits", "beta")
    np.testing.assert_allclose(found.vector, [0.4, 1.5], atol=1e-5)


@pytest.mark.deep
def test_driving_crowd_from_expected_play():
    game, horizon = qt.games.driving.junction(), 8
    betas = np.array([2.5, 3.0, 2.0, 0.8])
    solution = qt.solve(game, beta=betas, horizon=horizon)
    assert solution.converged
    counts = []
    for i in range(4):
        policy = np.nan_to_num(solution.policy[i])
        own = 100 * solution.occupancy[i][:horizon, :, None] * policy
        own[:, game.goals[i]] = 0.0
        counts.append(own)
    found = qt.infer.precision(game, counts, per_agent=True, horizon=horizon, start=2.0)
    assert found.converged
    np.testing.assert_allclose(found.vector, betas, atol=1e-3)
