r"""How far a crowd's solution is from the exact game's: what is lost by knowing of others only where they may be.

The exact game (`quantal.crowds.counterpart.exact`) has policies pi_i(a | x_1..x_M), which see where the others are.
Played from the start, they say how likely each joint position is at each time, and so

    where i is:          O_i^tau(x_i), the marginal,
    what i does there:   pi_i^tau(a | x_i) = E[ pi_i^tau(a | x) | x_i ], the average over where the others are then.

Both are compared with the crowd's by total variation, (1/2) sum |p - q|: the policies averaged over where i exactly is.
How much an agent's exact policy depends on where the others are, which no crowd policy can, is the third number.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from quantal.crowds.counterpart import exact
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.layout import from_public, model_of
from quantal.occupancy import push
from quantal.precision import double_precision
from quantal.solution import PerAgent, Solution
from quantal.solve import solve


@dataclass(frozen=True, eq=False)
class Comparison:
    """A crowd's solution beside the exact one.

    Attributes
    ----------
    crowd, exact
        The two solutions.
    policy
        Total variation between policies, per agent of the exact game and time, (T,).
    occupancy
        Total variation between occupancies, per agent and time, (T + 1,).
    unseen
        Total variation between an agent's exact policy and its average over where the others are, (T,): what it does
        with seeing them.
    """

    crowd: CrowdSolution
    exact: Solution
    policy: PerAgent
    occupancy: PerAgent
    unseen: PerAgent

    def __str__(self) -> str:
        rows = [
            f"{name}: policy {self.policy[name].mean():.3f} (most {self.policy[name].max():.3f}), occupancy "
            f"{self.occupancy[name].mean():.3f} (most {self.occupancy[name].max():.3f}), policy's dependence on where "
            f"others are {self.unseen[name].mean():.3f}"
            for name in self.policy
        ]
        for name, side in (("crowd", self.crowd), ("exact game", self.exact)):
            if not side.converged:
                rows.append(f"the {name}'s solution is none, so these are numbers of no equilibrium. {side.status}")
        return "total variation from the exact game, mean over time\n" + "\n".join(rows)


@double_precision
def compare(solution: CrowdSolution, reference: Solution | None = None) -> Comparison:
    """Compare a crowd's solution with that of the exact game on joint positions.

    Parameters
    ----------
    solution
        Of a small crowd without an `interaction` of its own: two or three agents (of a `count`, each is one).
    reference
        A solution of ``quantal.crowds.counterpart.exact(game)``, or of ``scene.exact()``; it is solved unless given, at
        the same precision and by the same rule.

    Raises
    ------
    ParameterError
        If it is no crowd's solution, or the reference is of another game or horizon.
    TooLargeError
        If the exact game would not fit into memory.
    """
    if not isinstance(solution, CrowdSolution):
        raise ParameterError(
            f"expected the solution of a crowd to compare with the exact game: got {type(solution).__name__}"
        )
    game, p = solution.game, solution.parameters
    members = [i for i, member in enumerate(game.members) for _ in range(member.count)]
    if reference is None:
        betas = [p.beta[i] for i in members]
        reference = solve(exact(game), beta=betas, horizon=solution.horizon, value=p.value)
    cells = _cells(game, reference)
    if reference.horizon != solution.horizon or len(reference.game.agents) != len(members):
        raise ParameterError(
            f"reference: expected a solution of the exact game with {len(members)} agents, horizon {solution.horizon}: "
            f"got {len(reference.game.agents)} agents, horizon {reference.horizon}"
        )
    agents, shape = range(len(members)), reference.game.state_shape
    model = model_of(reference.game)
    step = jax.jit(push)
    mass = jnp.asarray(np.broadcast_to(reference.game.start, shape))
    policy_off = np.zeros((len(members), solution.horizon))
    unseen = np.zeros_like(policy_off)
    occupancy_off = np.zeros((len(members), solution.horizon + 1))
    for time in range(solution.horizon + 1):
        joint = np.asarray(mass)
        for i in agents:
            others = tuple(j for j in agents if j != i)
            where = joint.sum(axis=others)
            crowd_where = solution.occupancy[members[i]][time]
            outside = crowd_where.sum() - crowd_where[cells[i]].sum()  # 0: both know the same cells
            occupancy_off[i, time] = 0.5 * (np.abs(where - crowd_where[cells[i]]).sum() + outside)
            if time == solution.horizon:
                continue
            seeing = reference.policy[i][time]
            flow = (joint[..., None] * seeing).sum(axis=others)  # (cells, A)
            average = flow / np.where(where > 0, where, 1.0)[:, None]
            planned = solution.policy[members[i]][time][cells[i]][:, _columns(game, reference, members[i], i)]
            policy_off[i, time] = 0.5 * (where[:, None] * np.abs(average - planned)).sum()
            lengths = tuple(n if j == i else 1 for j, n in enumerate(shape))
            spread = np.abs(seeing - average.reshape((*lengths, -1))).sum(axis=-1)
            unseen[i, time] = 0.5 * (joint * spread).sum()
        if time < solution.horizon:
            played = tuple(jnp.asarray(from_public(reference.policy[i][time], shape)) for i in agents)
            mass = step(model.moves, mass, played)
    names = reference.game.agents
    return Comparison(
        solution,
        reference,
        *(PerAgent(names, tuple(table)) for table in (policy_off, occupancy_off, unseen)),
    )


def _cells(game: CrowdGame, reference: Solution) -> list[np.ndarray]:
    """The crowd's numbers of each agent's cells in the exact game."""
    number = {label: k for k, label in enumerate(game.cells)}
    try:
        return [np.array([number[label] for label in labels]) for labels in reference.game.state_labels]
    except KeyError as error:
        raise ParameterError(f"reference: cell {error} is not one of this crowd's: expected its exact game") from None


def _columns(game: CrowdGame, reference: Solution, member: int, agent: int) -> list[int]:
    """The crowd's numbers of an agent's actions in the exact game."""
    return [game.actions[member].index(label) for label in reference.game.actions[agent]]
