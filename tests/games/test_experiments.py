"""Selten & Chmura (2008): the typed-in numbers against what must be true of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from quantal.errors import GameError
from quantal.games.experiments import selten_chmura_2008

GAMES = selten_chmura_2008()
LAST = selten_chmura_2008("last 100")
DATA = Path(__file__).parents[3] / "shared/data/experiments/selten_chmura_2008.json"


def payoffs(experiment):
    return [reward[0] for reward in experiment.game.rewards]


def nash(experiment):
    """Mixed equilibrium: each makes the other indifferent."""
    row, column = payoffs(experiment)
    up = (column[1, 1] - column[1, 0]) / (column[0, 0] - column[0, 1] - column[1, 0] + column[1, 1])
    left = (row[1, 1] - row[0, 1]) / (row[0, 0] - row[0, 1] - row[1, 0] + row[1, 1])
    return up, left


def test_there_are_twelve():
    assert [e.name for e in GAMES] == [f"Selten & Chmura game {k}" for k in range(1, 13)]
    assert all("American Economic Review" in e.source for e in GAMES)
    assert [e.observations for e in GAMES] == [9600] * 6 + [4800] * 6
    assert [e.observations for e in LAST] == [4800] * 6 + [2400] * 6


@pytest.mark.parametrize("experiment", GAMES, ids=lambda e: e.name)
def test_games_are_labelled_and_drawn(experiment):
    game = experiment.game
    assert game.agents == ("row", "column")
    assert game.actions == (("up", "down"), ("left", "right"))
    row, column = payoffs(experiment)
    for cell in np.ndindex(2, 2):
        assert f"{row[cell]:.0f}, {column[cell]:.0f}" in game.picture


def test_games_one_to_six_have_constant_sums():
    # A slip in typing one payoff would break this.
    for experiment, total in zip(GAMES[:6], (18, 13, 14, 11, 9, 8), strict=True):
        assert (sum(payoffs(experiment)) == total).all()


def test_games_seven_to_twelve_change_no_best_reply():
    # They add constants to what an agent cannot influence: differences between own actions are kept.
    for first, second in zip(GAMES[:6], GAMES[6:], strict=True):
        for i in range(2):
            a, b = payoffs(first)[i], payoffs(second)[i]
            assert np.array_equal(np.diff(a, axis=i), np.diff(b, axis=i))
            assert not np.array_equal(a, b)


def test_nash_equilibria_are_the_published_ones():
    # Selten & Chmura, Figure 2: completely mixed; in elevenths for every game.
    expected = [(1, 10), (2, 8), (3, 10), (4, 9), (4, 8), (5, 7)]
    for k, experiment in enumerate(GAMES):
        up, left = nash(experiment)
        assert (11 * up, 11 * left) == pytest.approx(expected[k % 6])


@pytest.mark.parametrize("experiments", [GAMES, LAST], ids=["all", "last 100"])
def test_frequencies_are_frequencies(experiments):
    for experiment in experiments:
        for frequencies, counts in zip(experiment.observed, experiment.counts, strict=True):
            assert frequencies.sum() == pytest.approx(1)
            assert (frequencies > 0).all()
            assert counts.sum() == pytest.approx(experiment.observations)
    # In the last 100 rounds the source has counts.
    if experiments is LAST:
        for experiment in LAST:
            for counts in experiment.counts:
                assert counts == pytest.approx(np.round(counts), abs=1e-9)


def test_rounds_are_all_or_the_last_hundred():
    with pytest.raises(GameError, match="'all' or 'last 100': got 'first'"):
        selten_chmura_2008("first")


def logit(experiment, precision):
    """The logit equilibrium of a 2x2 game by bisection: (up, left)."""
    row, column = payoffs(experiment)

    def left(up):
        return expit(precision * (np.array([up, 1 - up]) @ (column[:, 0] - column[:, 1])))

    def gap(up):
        share = left(up)
        return up - expit(precision * ((row[0] - row[1]) @ np.array([share, 1 - share])))

    up = brentq(gap, 0, 1, xtol=1e-14)
    return up, left(up)


def test_one_precision_for_all_fits_best_at_the_published_one():
    # Brunner, Camerer & Goeree (2011): 1.05. One wrong payoff or frequency moves it.
    def distance(precision):
        return np.mean(
            [
                (up - e.observed[0][0]) ** 2 + (left - e.observed[1][0]) ** 2
                for e in GAMES
                for up, left in [logit(e, precision)]
            ]
        )

    best = minimize_scalar(distance, bounds=(0.2, 5), method="bounded", options={"xatol": 1e-7})
    assert best.x == pytest.approx(1.0469, abs=2e-4)


@pytest.mark.parametrize(("experiments", "expected"), [(GAMES, 0.9942), (LAST, 1.2468)])
def test_pooled_maximum_likelihood(experiments, expected):
    def surprise(precision):
        total = 0.0
        for e in experiments:
            for share, counts in zip(logit(e, precision), e.counts, strict=True):
                total -= counts @ np.log([share, 1 - share])
        return total

    best = minimize_scalar(surprise, bounds=(0.2, 5), method="bounded", options={"xatol": 1e-7})
    assert best.x == pytest.approx(expected, abs=2e-4)


@pytest.mark.skipif(not DATA.exists(), reason="the data file is not beside this checkout")
def test_numbers_are_those_of_the_data_file():
    source = json.loads(DATA.read_text())["experiments"][0]["games"]
    for mine, last, theirs in zip(GAMES, LAST, source, strict=True):
        assert payoffs(mine)[0].tolist() == theirs["row_payoff"]
        assert payoffs(mine)[1].tolist() == theirs["col_payoff"]
        assert mine.observed[0][0] == theirs["freq_U"]
        assert mine.observed[1][0] == theirs["freq_L"]
        assert mine.observations == theirs["n_choices_per_role_all200"]
        assert last.observations == theirs["last100"]["count"]
        assert last.counts[0][0] == pytest.approx(theirs["last100"]["Up"])
        assert last.counts[1][0] == pytest.approx(theirs["last100"]["Left"])
