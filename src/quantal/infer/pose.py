"""Pose an estimate: what is given, what is unknown, what was seen, checked and laid out as a `Likelihood`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantal import request
from quantal.crowds.game import CrowdGame
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.infer.crowd import CrowdProblem
from quantal.infer.data import Data, observed
from quantal.infer.exact import ExactProblem
from quantal.infer.features import Features
from quantal.infer.likelihood import Likelihood, Problem
from quantal.infer.parameters import Parameter, Parameters, sharing
from quantal.logit import ValueRule, check_value_rule
from quantal.precision import double_precision

Game = MarkovGame | CrowdGame
WEIGHTS = ("common", "per_agent", "per_kind")


@double_precision
def likelihood(
    games: Game | Sequence[Game],
    data: Data | Sequence[Data],
    *,
    features: Features | None = None,
    beta: float | Sequence[float] | np.ndarray = 1.0,
    estimate_beta: str | None = None,
    estimate_weights: str | None = None,
    common: Sequence[str] = (),
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
) -> Likelihood:
    """Make the likelihood of observed play, as a function of what is unknown.

    Parameters
    ----------
    games
        What was played: a game, or a list of games whose unknowns are shared by name.
    data
        `Trajectories`, or per agent an array of counts, (*states, A_i), with a horizon (T, *states, A_i), of a crowd
        (T, n, A_i), of a game played once (A_i,). One of these per game if there is a list of games.
    features
        Whose weights are unknown (one game only): parameters ``agent: feature``. None: rewards are as in the game.
    beta
        Precisions: given, or, where they are to be estimated, the first guess.
    estimate_beta
        ``"common"``: one unknown ``beta``; ``"per_agent"``: ``beta of agent`` each. None: as given.
    estimate_weights
        Of a crowd, what presences cost others: ``"common"`` (one ``mu``), ``"per_kind"``, ``"per_agent"``.
    common
        Names of features whose weight is the same for all agents who have them: one parameter, ``feature``.
    horizon, discount, value
        As for `quantal.solve`: MGE-F, MGE-I; a crowd (MGE-FB) needs a horizon.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or the data are not play of the game.
    """
    listed = not isinstance(games, (MarkovGame, CrowdGame))
    every = list(games) if listed else [games]  # type: ignore[arg-type]
    if not every:
        raise ParameterError("games: expected at least one: got none")
    for game in every:
        if not isinstance(game, (MarkovGame, CrowdGame)):
            raise ParameterError(f"games: expected a MarkovGame or CrowdGame, or a list: got {type(game).__name__}")
    if listed and not isinstance(data, (list, tuple)):
        raise ParameterError(f"data: expected a list, one entry per game: got {type(data).__name__}")
    seen = list(data) if listed else [data]  # type: ignore[arg-type]
    if len(seen) != len(every):
        raise ParameterError(f"data: expected one entry for each of {len(every)} games: got {len(seen)}")
    if features is not None and not isinstance(features, Features):
        raise ParameterError(f"features: expected quantal.infer.Features: got {type(features).__name__}")
    if isinstance(common, str):
        raise ParameterError(f"common={common!r}: expected names of features in a sequence: ({common!r},)")
    if features is not None and listed:
        raise ParameterError("features: expected one game: got a list of games")
    rule = check_value_rule(value)
    betas, weights = sharing("estimate_beta", estimate_beta), estimate_weights
    if weights is not None and weights not in WEIGHTS:
        raise ParameterError(f"estimate_weights={weights!r}: expected None, {', '.join(map(repr, WEIGHTS))}")
    if betas is None and weights is None and features is None:
        raise ParameterError("nothing is unknown: expected features, estimate_beta or estimate_weights")
    unknown = Parameters()
    drafts = [_draft(unknown, game, features, beta, betas, weights, common, horizon, discount, rule) for game in every]
    problems: list[Problem] = []
    for k, (game, draft) in enumerate(zip(every, drafts, strict=True)):
        what = f"data[{k}]" if listed else "data"
        counts = observed(game, seen[k], draft["horizon"], what)
        theta, precisions, presence = (unknown.affine(*draft[name]) for name in ("theta", "beta", "weight"))
        own = features if features is not None else Features.of(game, [[] for _ in game.agents])
        if isinstance(game, CrowdGame):
            problems.append(
                CrowdProblem.of(
                    game, own, counts, theta, precisions, presence, weights is not None, draft["horizon"], rule
                )
            )
        else:
            problems.append(
                ExactProblem.of(game, own, counts, theta, precisions, draft["discount"], draft["horizon"], rule)
            )
    return Likelihood(tuple(unknown.listed), tuple(problems))


def _draft(
    unknown: Parameters,
    game: Game,
    features: Features | None,
    beta: float | Sequence[float] | np.ndarray,
    betas: str | None,
    weights: str | None,
    common: Sequence[str],
    horizon: int | None,
    discount: float | Sequence[float] | np.ndarray | None,
    rule: ValueRule,
) -> dict[str, Any]:
    """Which rows are given, and which parameter each of the others is."""
    agents = game.agents
    if isinstance(game, CrowdGame):
        if horizon is None:
            raise ParameterError("horizon: a crowd plays for a number of decisions: expected horizon=T: got none")
        if discount is not None:
            raise ParameterError(f"discount={discount!r}: a crowd is not discounted: leave it out")
        length: int | None = request.whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
        levels, patience = request.precision(game, beta, rule), np.ones(len(agents))
    else:
        if weights is not None:
            raise ParameterError("estimate_weights: only a crowd has presences that cost: got a MarkovGame")
        asked = request.check(game, beta=beta, horizon=horizon, discount=discount, value=rule)
        length, levels, patience = asked.horizon, asked.beta, asked.discount
    theta: tuple[list[Any], list[bool]] = ([], [])
    if features is not None:
        if features.agents != tuple(agents):
            raise ParameterError(
                f"features: they are of {', '.join(features.agents)}: expected those of {', '.join(agents)}"
            )
        known = {name for names in features.names for name in names}
        for name in common:
            if name not in known:
                raise ParameterError(f"common: no feature {name!r}: expected some of {', '.join(sorted(known))}")
        for agent, names in zip(agents, features.names, strict=True):
            for name in names:
                label = name if name in common else f"{agent}: {name}"
                theta[0].append(unknown.number(Parameter(label, 0.0, penalised=True)))
                theta[1].append(False)
    elif len(common):
        raise ParameterError("common: names features: got no features")
    if betas is not None and (levels <= 0).any():
        raise ParameterError(f"beta={beta}: expected a first guess above 0")
    precisions = _shared(unknown, "beta", betas, agents, agents, levels)
    presence: tuple[list[Any], list[bool]] = ([1.0] * len(agents), [True] * len(agents))
    if isinstance(game, CrowdGame) and weights is not None:
        if game.agent_weights is not None:
            raise ParameterError(
                "estimate_weights: this crowd gives in full what each feels of each (agent_weights): expected weights"
            )
        kinds = [game.kinds[k].name for k in game.kind_numbers]
        presence = _shared(
            unknown, "mu", weights, agents, kinds, np.array([m.weight for m in game.members]), signed=True
        )
    return {"theta": theta, "beta": precisions, "weight": presence, "horizon": length, "discount": patience}


def _shared(
    unknown: Parameters,
    name: str,
    how: str | None,
    agents: Sequence[str],
    kinds: Sequence[str],
    levels: np.ndarray,
    *,
    signed: bool = False,
) -> tuple[list[Any], list[bool]]:
    """Rows of what is given or shared: by all, by kind, or by nobody."""
    if how is None:
        return [float(x) for x in levels], [True] * len(levels)
    labels = {
        "common": [name] * len(levels),
        "per_agent": [f"{name} of {agent}" for agent in agents],
        "per_kind": [f"{name} of {kind}" for kind in kinds],
    }[how]
    rows = [
        unknown.number(Parameter(label, float(x), positive=not signed)) for label, x in zip(labels, levels, strict=True)
    ]
    return rows, [False] * len(rows)
