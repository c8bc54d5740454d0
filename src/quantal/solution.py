"""The record of a solve: what was found, how, how well it was checked, and on which branch it lies."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from quantal.game import MarkovGame


class Status(enum.Enum):
    """How a solve ended, as a sentence with advice."""

    CONVERGED = "Converged: the undamped residual is within the tolerance at every state and agent."
    PRECISION = (
        "Stopped at the limit of double precision, above the tolerance asked for: the residual is as small as rounding "
        "allows for payoffs of this size. Ask for a larger tol."
    )
    STEPS = (
        "Not converged: the step limit was reached first. Raise max_steps, or lower damping (equation 14) if the trace "
        "falls no more; method='auto' does more than iterate."
    )
    CYCLING = (
        "Not converged: the iteration cycles or diverges; more steps will not help. Lower damping (equation 14), or "
        "use method='auto'."
    )
    UNSETTLED = (
        "Not converged: what agents expect of each other and what they then do does not settle, however damped; there "
        "may be several answers (who gives way?) or a cycle. Try a smaller beta and start= its solution here, "
        "method='picard' with damping=0.05, smaller weights, or a larger tol."
    )
    LOST = (
        "Not converged: path following could not go on at this beta (step size underflow). Try method='picard' with "
        "damping=0.05, a smaller beta, or restarts= to look for other equilibria."
    )

    def __str__(self) -> str:
        return self.value


class Branch(enum.Enum):
    """Which equilibrium this is, where there could be several."""

    UNIQUE = "unique (proved)"
    PRINCIPAL = "principal (traced)"
    UNLABELLED = "unlabelled"

    def __str__(self) -> str:
        return self.value


class PerAgent(Mapping[str, np.ndarray]):
    """Arrays by agent name; a number works too."""

    def __init__(self, agents: tuple[str, ...], arrays: tuple[np.ndarray, ...]) -> None:
        self._agents, self._arrays = agents, arrays

    def __getitem__(self, agent: str | int) -> np.ndarray:
        if isinstance(agent, (int, np.integer)):
            return self._arrays[agent]
        try:
            return self._arrays[self._agents.index(agent)]
        except ValueError:
            raise KeyError(f"no agent {agent!r}: expected one of {', '.join(self._agents)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{a}: {x.shape}" for a, x in zip(self._agents, self._arrays, strict=True))
        return f"<per agent {shapes}>"


@runtime_checkable
class Terms(Protocol):
    """On which terms policies are played."""

    @property
    def discount(self) -> tuple[float, ...]:
        """Per agent."""
        ...

    @property
    def horizon(self) -> int | None:
        """T, or None for stationary policies."""
        ...


@runtime_checkable
class Played(Protocol):
    """Policies that can be judged and played, however they were found: a `Solution`, or what a learner learned."""

    @property
    def game(self) -> MarkovGame:
        """What is played."""
        ...

    @property
    def policy(self) -> PerAgent:
        """pi_i(a | x) per agent, (*states, A_i); with a horizon (T, *states, A_i)."""
        ...

    @property
    def parameters(self) -> Terms:
        """Discounts and horizon."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a solve was asked for; enough to repeat it."""

    beta: tuple[float, ...]
    discount: tuple[float, ...]
    horizon: int | None
    value: str
    method: str
    damping: float
    tol: float
    max_steps: int
    order: str = "jacobi"


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """An equilibrium, or how far the search for one came.

    Attributes
    ----------
    policy
        pi_i(a | x) per agent, (*states, A_i); with a horizon (T, *states, A_i). Zero where illegal.
    q
        Q_i(x, a_i), shaped alike; NaN where illegal.
    value
        V_i(x), (*states); with a horizon (T + 1, *states), the last being the final rewards.
    residual
        max |Q - T(Q)| of the undamped map over every agent, (time,) state and legal action.
    residuals
        The same per (time,) state.
    status, converged
        How the solve ended; `converged` is true for `Status.CONVERGED` alone.
    branch
        Which equilibrium this is.
    trace
        Residuals in the order in which they were met (method-dependent length).
    steps
        Applications of the map, or Newton iterations.
    notes
        Facts worth knowing: folds passed, states traced, and so on.
    parameters
        What was asked for.
    others
        Further equilibria found by ``restarts=``.
    certifier
        Makes `certificate` when it is first asked for.
    """

    game: MarkovGame
    policy: PerAgent
    q: PerAgent
    value: PerAgent
    residual: float
    residuals: np.ndarray
    status: Status
    branch: Branch
    trace: np.ndarray
    steps: int
    parameters: Parameters
    notes: tuple[str, ...] = ()
    others: tuple[Solution, ...] = ()
    certifier: Callable[[Solution], Any] | None = field(default=None, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the undamped residual met the tolerance everywhere."""
        return self.status is Status.CONVERGED

    @property
    def horizon(self) -> int | None:
        """T, or None for a stationary solution."""
        return self.parameters.horizon

    @cached_property
    def certificate(self) -> Any:
        """The proof, made from game and Q alone: see `quantal.Certificate`. Computed once, when asked for."""
        return None if self.certifier is None else self.certifier(self)

    @cached_property
    def log_policy(self) -> PerAgent:
        """Log pi_i(a | x) per agent, right where the probability underflows; minus infinity where illegal."""
        logs = []
        for i, beta in enumerate(self.parameters.beta):
            q = self.q[i]
            logits = np.where(np.isnan(q), -np.inf, beta * q)
            logits = logits - logits.max(axis=-1, keepdims=True)
            logs.append(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))
        return PerAgent(self.game.agents, tuple(logs))

    def __repr__(self) -> str:
        p = self.parameters
        betas = ", ".join(f"{b:g}" for b in sorted(set(p.beta)))
        when = f"horizon {p.horizon}" if p.horizon is not None else "stationary"
        return (
            f"<Solution of {self.game.name or 'a game'}: {when}, beta {betas}, value rule {p.value!r}; "
            f"{self.status.name.lower()}, residual {self.residual:.1e}, branch {self.branch}>"
        )
