"""Exact maximum likelihood of rewards through the equilibrium (instead of Algorithm 4's matching of features)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantal.errors import ParameterError
from quantal.infer.data import Data
from quantal.infer.estimate import Estimate, fit
from quantal.infer.features import Features
from quantal.infer.pose import Game, likelihood
from quantal.precision import double_precision


@double_precision
def rewards(
    game: Game,
    features: Features,
    data: Data,
    *,
    beta: float | Sequence[float] | np.ndarray = 1.0,
    estimate_beta: str | None = None,
    estimate_weights: str | None = None,
    common: Sequence[str] = (),
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    prior: float = 0.0,
    start: Sequence[float] | np.ndarray | None = None,
    max_steps: int = 200,
    progress: Callable[[float], None] | None = None,
) -> Estimate:
    """Estimate what agents want: the weights of features at which what was seen is most probable.

    Parameters
    ----------
    game
        What was played; the rewards of agents who have features are replaced, see `quantal.infer.Features`.
    features
        What agents may care about.
    data
        `Trajectories`, or counts per agent: see `quantal.infer.likelihood`.
    beta, estimate_beta, estimate_weights, common, horizon, discount, value
        As for `quantal.infer.likelihood`. Where all of an agent's reward is unknown, only the product of beta and its
        weights is identified: give beta then.
    prior
        Precision of a normal prior around 0 on every weight.
    start
        First guess, in the order of the parameters: weights first, then precisions, then presences.
    max_steps
        Most steps of the search.
    progress
        Called with the share done.

    Returns
    -------
    Estimate
        ``.value["agent: feature"]``, ``.standard_error[..]``, ``.log_likelihood``; also when the search did not
        converge: read `status` and `warnings`.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or the data are not play of the game; names the place.
    """
    if not isinstance(features, Features) or not features.number:
        raise ParameterError(f"features: expected quantal.infer.Features with at least one: got {features!r}")
    function = likelihood(
        game,
        data,
        features=features,
        beta=beta,
        estimate_beta=estimate_beta,
        estimate_weights=estimate_weights,
        common=common,
        horizon=horizon,
        discount=discount,
        value=value,
    )
    return fit(function, prior=prior, start=start, max_steps=max_steps, progress=progress)
