"""The record of a crowd's solve. Occupancies are kept; policies, Q and values are worked out when they are asked for.

A thousand agents' policies are a hundred times what the solver needs, and few of them are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from quantal.crowds.game import CrowdGame
from quantal.solution import Parameters, Status


@dataclass(frozen=True, eq=False)
class Reading:
    """One agent's part, in public layout."""

    policy: np.ndarray
    q: np.ndarray
    value: np.ndarray
    occupancy: np.ndarray


class OnDemand(Mapping[str, np.ndarray]):
    """Arrays by agent name, or number, each worked out when it is asked for."""

    def __init__(self, game: CrowdGame, read: Callable[[int], np.ndarray]) -> None:
        self._game, self._read = game, read

    def __getitem__(self, agent: str | int) -> np.ndarray:
        if isinstance(agent, str) and agent not in self._game.agents:
            known = ", ".join(self._game.agents[:20])
            raise KeyError(f"no agent {agent!r}: expected one of {known}")
        return self._read(self._game.agent_index(agent))

    def __iter__(self) -> Iterator[str]:
        return iter(self._game.agents)

    def __len__(self) -> int:
        return len(self._game.agents)

    def __repr__(self) -> str:
        return f"<arrays of {len(self)} agents, on demand>"


@dataclass(frozen=True, eq=False, kw_only=True)
class CrowdSolution:
    """An equilibrium of a crowd (MGE-FB), or how far the search for one came.

    Attributes
    ----------
    occupancy
        Where each agent is expected, O_i(x) per agent, (T + 1, n): what `policy` makes of its start.
    policy
        pi_i(a | x) per agent, (T, n, A_i): zero where illegal, and at walls; uniform at the goal, where nothing is
        chosen any more.
    q
        Q_i(x, a) per agent, (T, n, A_i); NaN where illegal.
    value
        V_i(x) per agent, (T + 1, n), the last being what the end is worth; NaN at walls.
    residual
        The larger of `occupancy_residual` and `payoff_residual`.
    occupancy_residual
        max |T(O) - O| of the undamped map, T being one backward and one forward pass of everyone.
    payoff_residual
        max |Q(T(O)) - Q(O)|.
    status, converged
        How the solve ended; `converged` is true for `Status.CONVERGED` alone.
    trace
        Occupancy residuals in the order in which they were met; where a large crowd went in turn, each agent's of what
        the others were doing at its turn.
    steps
        Applications of T.
    notes
        Facts worth knowing.
    parameters
        What was asked for.
    certifier
        Makes `certificate` when it is first asked for.
    state
        The occupancies in the solver's layout, to start another solve from.
    """

    game: CrowdGame
    occupancy: OnDemand
    policy: OnDemand
    q: OnDemand
    value: OnDemand
    occupancy_residual: float
    payoff_residual: float
    status: Status
    trace: np.ndarray
    steps: int
    parameters: Parameters
    notes: tuple[str, ...] = ()
    certifier: Callable[[CrowdSolution], Any] | None = field(default=None, repr=False)
    state: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def residual(self) -> float:
        """The larger of the two."""
        return max(self.occupancy_residual, self.payoff_residual)

    @property
    def converged(self) -> bool:
        """Whether both undamped residuals met the tolerance."""
        return self.status is Status.CONVERGED

    @property
    def horizon(self) -> int:
        """T."""
        assert self.parameters.horizon is not None
        return self.parameters.horizon

    @cached_property
    def certificate(self) -> Any:
        """What is certain: see `quantal.certify_crowd.CrowdCertificate`. Computed once, when asked for."""
        return None if self.certifier is None else self.certifier(self)

    def __repr__(self) -> str:
        p = self.parameters
        betas = ", ".join(f"{b:g}" for b in sorted(set(p.beta)))
        return (
            f"<CrowdSolution of {self.game.name or 'a crowd'}: horizon {p.horizon}, beta {betas}, value rule "
            f"{p.value!r}; {self.status.name.lower()}, residual {self.residual:.1e} in {self.steps} steps>"
        )
