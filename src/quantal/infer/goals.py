r"""Goal inference: which goal each agent has, believed step by step from where everyone is seen to go.

    P(g | x_0..x_t) ∝ P(g) prod_{s < t} prod_i sum_a pi_i^s(a | x_s; g) P_i(x_{s+1} | x_s, a)

with one hypothesis g for every combination of the agents' candidates, and pi(.; g) the equilibrium in which everyone
has these goals. Each hypothesis is solved once (a crowd by MGE-FB, an exact game by MGE-F or MGE-I); an update is then
one look-up for all of them side by side, and Bayes' rule. What an agent does also tells about the others' goals: it
makes way for them.

>>> import quantal as qt
>>> scene = qt.read_scene("junction")
>>> beliefs = qt.infer.goals(
...     scene.crowd(), {"car 3": ["r1c1", "r2c8"]}, beta=scene.beta, horizon=scene.horizon, prior={"car 3": [0.1, 0.9]}
... )
>>> beliefs.observe(("r1c5", "r2c2", "r4c6", "r3c3"))
>>> beliefs.observe(("r1c5", "r2c2", "r3c6", "r2c3"))
>>> beliefs.decisions
1
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from quantal.crowds import counterpart
from quantal.crowds.game import CrowdGame
from quantal.dynamics import Independent
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.infer.features import crowd_of
from quantal.request import whole
from quantal.solve import solve

MOST = 1024
"""Most hypotheses."""
ROUNDING = 1e-6
"""How far a prior may miss 1."""

Candidates = Mapping[str, Sequence[Any] | Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class _Hypothesis:
    """Everyone's play, and moves, if these are the goals."""

    labels: tuple[tuple[str, ...], ...]
    """Per agent, cells; of a game with another state, per state axis."""
    actions: tuple[tuple[str, ...], ...]
    policies: tuple[np.ndarray, ...]
    """(T, ..., A), (..., A) if stationary."""
    joint: bool
    """Whether policies look at everyone's place."""
    moves: tuple[tuple[np.ndarray, np.ndarray], ...] | None
    """Per agent, successors and probabilities of its own cells (n, A, B); None: not each agent's own."""
    ends: tuple[int | None, ...]
    """Per agent, the cell that it does not leave."""
    stationary: bool
    converged: bool

    @property
    def kind(self) -> tuple[Any, ...]:
        """What hypotheses have in common that stand side by side."""
        moves = self.moves and tuple((x.shape, p.shape) for x, p in self.moves)
        return self.labels, self.actions, tuple(p.shape for p in self.policies), self.joint, moves, self.stationary


class _Batch:
    """Hypotheses side by side, the first axis of every array; moves that all share stand there once."""

    def __init__(self, numbers: Sequence[int], hypotheses: Sequence[_Hypothesis]) -> None:
        first = hypotheses[0]
        self.numbers = np.array(numbers)
        self.joint, self.stationary = first.joint, first.stationary
        self.cells = [{name: k for k, name in enumerate(names)} for names in first.labels]
        self.actions = [{name: k for k, name in enumerate(names)} for names in first.actions]
        self.policies = [np.stack(each) for each in zip(*(h.policies for h in hypotheses), strict=True)]
        self.ends = np.array([[-1 if end is None else end for end in h.ends] for h in hypotheses])
        several = [h.moves for h in hypotheses if h.moves is not None]
        self.moves = [
            tuple(_shared(arrays) for arrays in zip(*each, strict=True)) for each in zip(*several, strict=True)
        ]

    def likelihood(
        self, time: int, before: Sequence[str], after: Sequence[str] | None, actions: Sequence[str] | None
    ) -> Float[np.ndarray, "H M"]:
        """P(this step of agent i) under each hypothesis, per agent; 0 where it cannot be."""
        chances = np.zeros((self.numbers.size, len(self.policies)))
        place = [cells.get(x) for cells, x in zip(self.cells, before, strict=True)]
        for i, policy in enumerate(self.policies):
            if (None in place) if self.joint else (place[i] is None):
                continue
            here = policy if self.stationary else policy[:, time]
            pi = here[(slice(None), *place)] if self.joint else here[:, place[i]]
            if actions is not None:
                if (chosen := self.actions[i].get(actions[i])) is not None:
                    chances[:, i] = pi[:, chosen]
                continue
            assert after is not None
            own = place[i]
            if (to := self.cells[i].get(after[i])) is not None:
                successors, probabilities = self.moves[i]
                arrives = (probabilities[:, own] * (successors[:, own] == to)).sum(axis=-1)
                chances[:, i] = (pi * arrives).sum(axis=-1)
            chances[self.ends[:, i] == own, i] = float(after[i] == before[i])
        return chances


def _shared(arrays: Sequence[np.ndarray]) -> np.ndarray:
    first = arrays[0]
    if all(x is first or np.array_equal(x, first) for x in arrays):
        return first[None]
    return np.stack(arrays)


def _side_by_side(hypotheses: Sequence[_Hypothesis]) -> list[_Batch]:
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for k, hypothesis in enumerate(hypotheses):
        kinds.setdefault(hypothesis.kind, []).append(k)
    return [_Batch(numbers, [hypotheses[k] for k in numbers]) for numbers in kinds.values()]


class Goals:
    """Beliefs about goals; made by `quantal.infer.goals`, changed by `observe`.

    Attributes
    ----------
    candidates
        Names of each agent's candidates.
    joint
        Probability of every combination, one axis per agent in `candidates`.
    history
        `joint` before every observation that changed it, and now: (decisions + 1, ...).
    converged
        Whether every hypothesis was solved to tolerance.
    """

    def __init__(
        self,
        game: CrowdGame | MarkovGame,
        candidates: dict[str, tuple[str, ...]],
        hypotheses: Sequence[_Hypothesis],
        prior: np.ndarray,
        horizon: int | None,
        tremble: float,
    ) -> None:
        crowd = isinstance(game, CrowdGame)
        self._agents = game.agents
        self._labels = (game.cells,) * len(game.agents) if crowd else game.state_labels
        self._action_labels = game.actions
        self._batches, self._horizon, self._tremble = _side_by_side(hypotheses), horizon, tremble
        self._followed = hypotheses[0].moves is not None
        self._converged = all(h.converged for h in hypotheses)
        self.candidates = candidates
        self.joint = prior
        self.history = [prior]
        self._last: tuple[str, ...] | None = None
        self._time = 0

    @property
    def converged(self) -> bool:
        """Whether every hypothesis was solved to tolerance."""
        return self._converged

    @property
    def decisions(self) -> int:
        """How many have been seen."""
        return len(self.history) - 1

    @property
    def posterior(self) -> dict[str, dict[str, float]]:
        """Probability of each agent's candidates, by name."""
        found = {}
        for k, (agent, names) in enumerate(self.candidates.items()):
            others = tuple(j for j in range(self.joint.ndim) if j != k)
            found[agent] = dict(zip(names, map(float, self.joint.sum(axis=others)), strict=True))
        return found

    @property
    def most_probable(self) -> dict[str, str]:
        """Each agent's most probable candidate."""
        return {agent: max(odds, key=lambda name: odds[name]) for agent, odds in self.posterior.items()}

    def restart(self) -> None:
        """Begin another episode; beliefs stay."""
        self._last, self._time = None, 0

    def observe(self, state: Sequence[int | str] | int | str, actions: Sequence[int | str] | None = None) -> None:
        """See where everyone is now, and change beliefs by Bayes' rule.

        Parameters
        ----------
        state
            A cell per agent, or a state, by labels or numbers of the game that was handed in. The first one of an
            episode tells nothing by itself.
        actions
            What everyone chooses there, if that is seen: then beliefs change at once, and the next state tells nothing.
            Otherwise the step from one state to the next is what is seen.

        Raises
        ------
        ParameterError
            If there is no such state or action, the horizon is over, or what was seen cannot be under any hypothesis.
        """
        here = self._named(state, self._labels, "state")
        if actions is not None:
            chosen = self._named(actions, self._action_labels, "action")
            self._update(here, None, chosen)
        elif self._last is not None:
            if not self._followed:
                raise ParameterError("observe: agents of this game do not move on axes of their own: expected actions=")
            self._update(self._last, here, None)
        self._last = None if actions is not None else here

    def _named(self, given: Any, labels: tuple[tuple[str, ...], ...], what: str) -> tuple[str, ...]:
        parts = (given,) if isinstance(given, (int, str, np.integer)) or given is None else tuple(given)
        if len(parts) != len(labels):
            raise ParameterError(f"observe: expected {len(labels)} {what} labels or numbers: got {parts}")
        names: list[str] = []
        for part, known in zip(parts, labels, strict=True):
            if isinstance(part, str) and part in known:
                names.append(part)
            elif isinstance(part, (int, np.integer)) and 0 <= part < len(known):
                names.append(known[part])
            else:
                raise ParameterError(f"observe: no {what} {part!r}: expected one of {', '.join(known[:20])}")
        return tuple(names)

    def _update(self, before: tuple[str, ...], after: tuple[str, ...] | None, actions: tuple[str, ...] | None) -> None:
        if self._horizon is not None and self._time >= self._horizon:
            raise ParameterError(
                f"observe: decision {self._time} is after the horizon, {self._horizon}: expected an earlier one. Call "
                "restart() for another episode, or ask for a longer horizon"
            )
        chances = np.empty((self.joint.size, len(self._agents)))
        for batch in self._batches:
            chances[batch.numbers] = batch.likelihood(self._time, before, after, actions)
        # A mistake is as likely as it was, whatever the goals are.
        chances = (1 - self._tremble) * chances + self._tremble
        posterior = self.joint * chances.prod(axis=1).reshape(self.joint.shape)
        total = float(posterior.sum())
        if not total > 0:
            never = [a for a, column in zip(self._agents, chances.T, strict=True) if not column.any()]
            raise ParameterError(
                f"observe: decision {self._time}, from {', '.join(before)}"
                + (f" to {', '.join(after)}" if after is not None else f" choosing {', '.join(actions or ())}")
                + f": impossible under every hypothesis that is believed in ({', '.join(never) or 'together'}). "
                "Correct the observation, give other candidates, or tremble= for what nobody expects"
            )
        self.joint = posterior / total
        self.history.append(self.joint)
        self._time += 1

    def __repr__(self) -> str:
        odds = "; ".join(
            f"{agent}: " + ", ".join(f"{name} {p:.3f}" for name, p in each.items())
            for agent, each in self.posterior.items()
        )
        return f"<Goals after {self.decisions} decisions: {odds}>"


def goals(
    game: CrowdGame | MarkovGame,
    candidates: Candidates,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    prior: Mapping[str, Sequence[float] | Mapping[str, float]] | None = None,
    exact: bool = False,
    tremble: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> Goals:
    """Begin to infer goals: solve the game for every combination of candidates.

    Parameters
    ----------
    game
        What is played.
    candidates
        By agent. In a crowd: cells, by label or number. In a Markov game: rewards R_i by name, shaped as the game's.
    beta, horizon, discount, value
        As in `quantal.solve`.
    prior
        By agent, one probability per candidate, or by name; uniform unless given.
    exact
        Whether a crowd is played on joint positions (`quantal.crowds.counterpart`): agents then see each other.
    tremble
        Probability that an agent does what no hypothesis explains; above 0, no hypothesis is ever given up for good.
    progress
        Called with the share of hypotheses that are solved.

    Raises
    ------
    ParameterError
        If there is no such agent or cell, or a prior is none.
    TooLargeError
        If a game would not fit into memory.
    """
    if not candidates:
        raise ParameterError("candidates: expected some for at least one agent: got none")
    if not 0 <= tremble < 1:
        raise ParameterError(f"tremble={tremble}: expected a probability below 1")
    named = {str(game.agents[game.agent_index(agent)]): _named(game, agent, each) for agent, each in candidates.items()}
    count = math.prod(len(each) for each in named.values())
    if count > MOST:
        raise ParameterError(
            f"candidates: expected at most {MOST} combinations: got {count}. Infer fewer agents' goals at once"
        )
    if horizon is not None:
        horizon = whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
    belief = np.ones(())
    for agent, each in named.items():
        belief = np.multiply.outer(belief, _prior(agent, tuple(each), prior))
    if prior is not None and (stray := [a for a in prior if a not in named]):
        raise ParameterError(f"prior: {stray[0]!r} has no candidates: expected {', '.join(named)}")
    hypotheses: list[_Hypothesis] = []
    terms = {"beta": beta, "horizon": horizon, "value": value}
    for combination in itertools.product(*(each.values() for each in named.values())):
        chosen = dict(zip(named, combination, strict=True))
        hypotheses.append(
            _of_crowd(game, chosen, terms, exact)
            if isinstance(game, CrowdGame)
            else _of_game(_with_rewards(game, chosen), {**terms, "discount": discount})
        )
        if progress is not None:
            progress(len(hypotheses) / count)
    return Goals(game, {agent: tuple(each) for agent, each in named.items()}, hypotheses, belief, horizon, tremble)


def _named(game: CrowdGame | MarkovGame, agent: str, each: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(each, str) or not isinstance(each, (Mapping, Sequence, np.ndarray)):
        raise ParameterError(f"candidates of {agent}: expected several, in a list: got {each!r}")
    if isinstance(game, CrowdGame):
        if isinstance(each, Mapping):
            found = {str(name): game.cell_index(cell) for name, cell in each.items()}
        else:
            found = {game.cells[k]: k for k in (game.cell_index(cell) for cell in each)}
            if len(found) < len(each):
                raise ParameterError(
                    f"candidates of {agent}: expected cells that differ: got {', '.join(map(str, each))}"
                )
    elif isinstance(each, Mapping):
        found = {str(name): np.asarray(rewards, dtype=float) for name, rewards in each.items()}
    else:
        raise ParameterError(
            f"candidates of {agent}: in a Markov game, goals are rewards: expected them by name, {{'left': array, ...}}"
        )
    if not found:
        raise ParameterError(f"candidates of {agent}: expected at least one: got none")
    return found


def _prior(
    agent: str, names: tuple[str, ...], prior: Mapping[str, Sequence[float] | Mapping[str, float]] | None
) -> np.ndarray:
    given = None if prior is None else prior.get(agent)
    if given is None:
        return np.full(len(names), 1 / len(names))
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise ParameterError(f"prior of {agent}: expected {', '.join(names)}: got {', '.join(given)}")
        given = [given[name] for name in names]
    odds = np.asarray(given, dtype=float)
    if odds.shape != (len(names),) or not (odds >= 0).all() or abs(odds.sum() - 1) > ROUNDING:
        raise ParameterError(
            f"prior of {agent}: expected {len(names)} probabilities ({', '.join(names)}) that sum to 1: got {given}"
        )
    return odds / odds.sum()


def _with_rewards(game: MarkovGame, chosen: dict[str, np.ndarray]) -> MarkovGame:
    return MarkovGame(
        state_shape=game.state_shape,
        rewards=[chosen.get(a, r) for a, r in zip(game.agents, game.rewards, strict=True)],
        dynamics=game.dynamics,
        actions=game.actions,
        agents=game.agents,
        final_rewards=game.final_rewards,
        legal=game.legal,
        start=game.start,
        state_labels=game.state_labels,
        name=game.name,
    )


def _of_game(game: MarkovGame, terms: dict[str, Any]) -> _Hypothesis:
    found = solve(game, **terms)
    own = game.dynamics if isinstance(game.dynamics, Independent) else None
    return _Hypothesis(
        labels=game.state_labels,
        actions=game.actions,
        policies=tuple(found.policy[i] for i in range(game.number_of_agents)),
        joint=True,
        moves=None if own is None else tuple(zip(own.successors, own.probabilities, strict=True)),
        ends=(None,) * game.number_of_agents,
        stationary=found.horizon is None,
        converged=found.converged,
    )


def _of_crowd(game: CrowdGame, chosen: dict[str, int], terms: dict[str, Any], exact: bool) -> _Hypothesis:
    members = [replace(m, goal=chosen.get(m.name, m.goal)) for m in game.members]
    crowd = crowd_of(game, members)
    if exact:
        if crowd.population != len(members):
            raise ParameterError("exact=True: expected a count of 1 for every member, so that each can be watched")
        return _of_game(counterpart.exact(crowd), terms)
    found = solve(crowd, **terms)
    kinds = [crowd.kind_of(i) for i in range(len(members))]
    return _Hypothesis(
        labels=(crowd.cells,) * len(members),
        actions=crowd.actions,
        policies=tuple(np.asarray(found.policy[i]) for i in range(len(members))),
        joint=False,
        moves=tuple((kind.successors, kind.probabilities) for kind in kinds),
        ends=crowd.goals,
        stationary=False,
        converged=found.converged,
    )
