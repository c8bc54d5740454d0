"""Fictitious-play forecasting against its rounds in loops, and where it differs from MGE-FB."""

import numpy as np
import pytest
from tests.crowds import loops as crowds

import quantal as qt
from quantal.baselines import fictitious_forecast


def test_rounds_are_those_of_the_loops():
    # Kind after kind, agent after agent: each against averages that already hold what those before it planned.
    game, beta, horizon, rounds = crowds.on_grid(), 1.3, 4, 3
    order = sorted(range(4), key=lambda i: game.kind_numbers[i])
    mean = [np.zeros((horizon + 1, 12)) for _ in range(4)]
    for k in range(rounds):
        for i in order:
            _, policy, _ = crowds.backward(game, i, beta, "soft", horizon, mean)
            mean[i] = mean[i] + (crowds.forward(game, i, policy) - mean[i]) / (k + 1)
    forecast = fictitious_forecast(game, beta=beta, horizon=horizon, rounds=rounds)
    for i in range(4):
        _, policy, _ = crowds.backward(game, i, beta, "soft", horizon, mean)
        np.testing.assert_allclose(forecast.policy[i], policy, atol=1e-11)
        np.testing.assert_allclose(forecast.occupancy[i], crowds.forward(game, i, policy), atol=1e-11)
    assert not forecast.converged


def test_it_approaches_the_equilibrium_where_there_is_one_and_stops_on_the_way():
    # Averages of answers to averages: a fixed point of MGE-FB is one of it, and rounds come nearer to it.
    game = crowds.on_grid()
    equilibrium = qt.solve(game, beta=1.0, horizon=4, value="soft")
    off = [
        max(np.abs(f.occupancy[i] - equilibrium.occupancy[i]).max() for i in range(4))
        for f in (fictitious_forecast(game, beta=1.0, horizon=4, rounds=r) for r in (1, 10, 200))
    ]
    assert off[0] > 0.01
    assert off[2] < off[1] < off[0]
    assert off[2] < 1e-3


@pytest.mark.parametrize(("what", "given"), [("rounds", 0), ("horizon", -1), ("beta", -1.0)])
def test_what_cannot_be_used_is_named(what, given):
    with pytest.raises(qt.ParameterError, match=what):
        fictitious_forecast(crowds.on_grid(), **({"beta": 1.0, "horizon": 3} | {what: given}))
