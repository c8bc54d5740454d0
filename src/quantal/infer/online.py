r"""Online MMCE-IRL (Algorithm 4): an agent that knows its own reward learns the others' while it acts.

    after every step:   F~ = features seen so far, per step       F-bar = E_pi[F], over the same steps
                        theta_j <- Project_{||theta_j|| <= B}( theta_j + rate (F~_j - F-bar_j) )   for j != i
                        pi <- MGE( known_i + <theta_i, F_i>, { known_j + <theta_j, F_j> } )

The paper prints a minus sign, with which theta runs away from what was seen until the ball stops it; the dual's
gradient has the plus. MGE is what the game asks for: MGE-F for a horizon, MGE-I for a discount, MGE-FB for a crowd.
From step to step play follows theta by Newton's method (`quantal.infer.walk`), along the branch on which it is; every
episode begins on the principal branch.

>>> import quantal as qt
>>> game = qt.games.pursuit.two_players()
>>> wants = qt.infer.features
>>> both = qt.infer.Features.of(game, {"p": [wants.collision(game, "p")]})
>>> hunter = qt.infer.online(game, both, agent="h", beta=1.0, discount=0.5)
>>> hunter.observe((0, 8), ("right", "stay"))
>>> sorted(hunter.theta)
['h', 'p']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from quantal.crowds.game import CrowdGame
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.infer.data import follows
from quantal.infer.expectations import Seen
from quantal.infer.features import Features, Theta
from quantal.infer.matching import PLAYS, Answer, Terms, advance
from quantal.infer.walk import Walk
from quantal.precision import double_precision
from quantal.solution import PerAgent


class Online:
    """What one agent believes the others want, and what it therefore does; made by `quantal.infer.online`.

    Attributes
    ----------
    agent
        Who learns.
    solution
        Play by everyone, at the present theta: a record that is made, and checked, when it is asked for.
    history
        Theta before the first observation and after each, (steps + 1, K), in the order of `Features.labels`.
    """

    def __init__(
        self,
        game: MarkovGame | CrowdGame,
        features: Features,
        agent: int,
        terms: Terms,
        theta: np.ndarray,
        rate: float,
        bound: float,
    ) -> None:
        self.agent = game.agents[agent]
        self._game, self._features, self._index = game, features, agent
        self._rate, self._bound = rate, bound
        own = sum(features.counts[:agent])
        self._learned = np.ones(features.number, dtype=bool)
        self._learned[own : own + features.counts[agent]] = False
        self._theta = theta
        self.history = [theta]
        self._totals: list[np.ndarray] = []
        self._lengths: list[int] = []
        self._starts: list[tuple[int, ...]] = []
        self._last: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._play = Walk(game, features, terms, theta)

    # ------------------------------------------------------------------ reading

    @property
    def theta(self) -> PerAgent:
        """Weights per agent, (K_i,); the learner's own are what they were."""
        return PerAgent(self._features.agents, self._features.split(self._theta))

    @property
    def time(self) -> int:
        """Decisions seen in this episode."""
        return self._lengths[-1] if self._lengths else 0

    @property
    @double_precision
    def solution(self) -> Answer:
        """Play by everyone, at the present theta."""
        return self._play.solution

    @property
    @double_precision
    def policy(self) -> np.ndarray:
        """The learner's policy, (*states, A_i), of a crowd's (cells, A_i): for the next decision."""
        mine = self._play.policy[self._index]
        if self._play.horizon is None:
            return mine
        if self.time >= len(mine):
            raise ParameterError(f"policy: the horizon, {len(mine)}, is over. Call restart() for another episode")
        return mine[self.time]

    def choose(self, state: Sequence[int | str] | int | str) -> Float[np.ndarray, " A"]:
        """Probabilities of the learner's actions at a state; of a crowd, everyone's cells."""
        index = self._place(state)
        return self.policy[index[self._index]] if isinstance(self._game, CrowdGame) else self.policy[index]

    # ------------------------------------------------------------------ learning

    @double_precision
    def restart(self) -> None:
        """Begin another episode; what was learned stays. A game is solved afresh, so it may take as long as a solve."""
        if self._lengths and self._lengths[-1] == 0:
            return
        self._play.afresh()
        self._last = None
        self._lengths.append(0)
        self._starts.append(())
        self._totals.append(np.zeros(self._features.number))

    @double_precision
    def observe(self, state: Sequence[int | str] | int | str, actions: Sequence[int | str]) -> None:
        """See one step, learn from it, and plan anew.

        Parameters
        ----------
        state
            Where it happened, by numbers or labels; of a crowd, everyone's cells.
        actions
            What everyone chose there, by numbers or labels.

        Raises
        ------
        ParameterError, GameError
            If there is no such state or action, the action is illegal, nobody can have come there, or the horizon is
            over. Nothing is learned from it then.
        """
        where, chosen = self._place(state), self._actions(actions)
        self._check_legal(where, chosen)
        horizon = self._play.horizon
        if horizon is not None and self.time >= horizon:
            raise ParameterError(f"observe: the horizon, {horizon}, is over. Call restart() for another episode")
        if not self._lengths:
            self.restart()
        if self._lengths[-1] == 0:
            self._starts[-1] = where
        elif self._last is not None and (lost := follows(self._game, *self._last, where)):
            raise ParameterError(
                f"observe: decision {self.time}, at {state!r}: {', '.join(lost)} cannot have come there from "
                f"{self._last[0]} by {self._last[1]}: expected a successor with a probability above 0. Correct what "
                "was seen, or call restart() where another episode begins"
            )
        self._last = where, chosen
        self._totals[-1] = self._totals[-1] + self._features_at(where, chosen)
        self._lengths[-1] += 1
        seen = self._seen()
        gap_free = advance(
            self._theta,
            seen.mean,
            self._play.expected(seen),
            self._rate,
            self._bound,
            self._features.counts,
        )
        self._theta = np.where(self._learned, gap_free, self._theta)
        self.history.append(self._theta)
        self._play.move(self._theta)

    def _seen(self) -> Seen:
        decisions = np.array(self._lengths)
        lengths, group = np.unique(decisions, return_inverse=True)
        if isinstance(self._game, CrowdGame):
            starts = np.bincount(group).astype(float)
        else:
            starts = np.zeros((lengths.size, *self._game.state_shape))
            for g, where in zip(group, self._starts, strict=True):
                starts[(g, *where)] += 1
        return Seen(np.stack(self._totals), decisions, lengths, starts, group[:, None])

    def _features_at(self, where: tuple[int, ...], chosen: tuple[int, ...]) -> Float[np.ndarray, " K"]:
        game, found = self._game, []
        for i, array in enumerate(self._features.arrays):
            index = (where[i], chosen[i]) if isinstance(game, CrowdGame) else (*where, *chosen)
            arrived = isinstance(game, CrowdGame) and where[i] == game.goals[i]
            values = [part[tuple(0 if n == 1 else k for k, n in zip(index, part.shape, strict=True))] for part in array]
            found += [0.0 if arrived else float(value) for value in values]
        return np.array(found)

    def _place(self, state: Any) -> tuple[int, ...]:
        game = self._game
        if isinstance(game, MarkovGame):
            return game.state_index(state)
        cells = tuple(state)
        if len(cells) != len(game.agents):
            raise ParameterError(f"state: expected a cell for each of {', '.join(game.agents)}: got {cells}")
        return tuple(game.cell_index(cell) for cell in cells)

    def _actions(self, actions: Sequence[int | str]) -> tuple[int, ...]:
        game, found = self._game, []
        if not isinstance(actions, (Sequence, np.ndarray)) or len(actions) != len(game.agents):
            raise ParameterError(f"actions: expected one for each of {', '.join(game.agents)}: got {actions!r}")
        for agent, names, given in zip(game.agents, game.actions, actions, strict=True):
            number = -1
            if isinstance(given, str):
                number = names.index(given) if given in names else -1
            elif isinstance(given, (int, np.integer)):
                number = int(given)
            if not 0 <= number < len(names):
                raise ParameterError(f"action of {agent}: expected one of {', '.join(names)}: got {given!r}")
            found.append(number)
        return tuple(found)

    def _check_legal(self, where: tuple[int, ...], chosen: tuple[int, ...]) -> None:
        game = self._game
        for i, action in enumerate(chosen):
            if isinstance(game, CrowdGame):
                if where[i] == game.goals[i]:
                    continue  # it has arrived
                allowed = game.kind_of(i).legal[where[i]]
            else:
                mask = game.legal[i]
                allowed = mask[tuple(0 if n == 1 else k for k, n in zip(where, mask.shape[:-1], strict=True))]
            if not allowed[action]:
                names = ", ".join(np.array(game.actions[i])[allowed])
                raise ParameterError(
                    f"action of {game.agents[i]}: {game.actions[i][action]!r} is illegal there: expected one of {names}"
                )

    def __repr__(self) -> str:
        weights = ", ".join(f"{label} {w:.3g}" for label, w in zip(self._features.labels, self._theta, strict=True))
        return f"<Online: {self.agent} after {sum(self._lengths)} steps: {weights}>"


@double_precision
def online(
    game: MarkovGame | CrowdGame,
    features: Features,
    *,
    agent: str | int,
    beta: float | Sequence[float] | np.ndarray = 1.0,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    play: str = "expected",
    theta: Theta | None = None,
    rate: float = 1.0,
    bound: float = 10.0,
) -> Online:
    """Begin to learn what the others want (Algorithm 4, online MMCE-IRL).

    Parameters
    ----------
    game
        What is played. A crowd is solved by MGE-FB, a game by MGE-F (`horizon`) or MGE-I (`discount`).
    features
        What rewards are made of. Agents without features have the rewards of `game`, as the learner may.
    agent
        Who learns; its own weights, in `theta`, are known to it and stay.
    beta, horizon, discount
        As in `quantal.solve`.
    play
        The value rule, ``"expected"``, ``"soft"`` or ``"greedy"``; or ``"entropy"``, problem (13) itself.
    theta
        What is believed before anything was seen; 0 unless given.
    rate
        The paper's rho.
    bound
        B.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    """
    if play not in PLAYS:
        raise ParameterError(f"play={play!r}: expected one of {', '.join(map(repr, PLAYS))}")
    if not (rate > 0 and bound > 0):
        raise ParameterError(f"rate={rate}, bound={bound}: expected positive numbers")
    index = game.agent_index(agent)
    if sum(features.counts) == features.counts[index]:
        raise ParameterError("features: nobody but the learner has any: expected some of the others'")
    start = np.zeros(features.number) if theta is None else features.flat(theta)
    return Online(game, features, index, Terms(play, beta, horizon, discount), start, rate, bound)
