"""A crowd with unknowns, laid out for likelihoods: log-policies as a function of p, and solutions at p.

Agents who share all parameters, and are alike otherwise, stay one. From one p to the next the occupancies found before
are the start of the next alternation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal.crowds.game import CrowdGame
from quantal.crowds.layout import CrowdLayout, CrowdModel, crowd_layout
from quantal.crowds.solution import CrowdSolution
from quantal.infer import implicit
from quantal.infer.data import Observed
from quantal.infer.features import Features, crowd_of
from quantal.infer.parameters import Affine
from quantal.logit import ValueRule
from quantal.solve import solve
from quantal.solvers import forward_backward

TOLERANCE = 1e-11
"""Of occupancies and payoffs between one p and the next."""
STEPS = 2_000


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Mover:
    """What is unknown of a kind: per row of rewards its features, per agent its precision and its presence."""

    features: Float[Array, "U K A N"] | Float[np.ndarray, "U K A N"]
    theta: Affine
    """[U, K]."""
    beta: Affine
    """[blocks, g]."""
    weight: Affine
    """[blocks, g], times the model's levels."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Crowd:
    """What the engine needs; counts [blocks, A, T, g, N] per movers."""

    model: CrowdModel
    movers: tuple[Mover, ...]
    counts: tuple[Float[Array, "..."], ...]
    rule: ValueRule = field(metadata={"static": True})
    horizon: int = field(metadata={"static": True})

    def at(self, p: Float[Array, " P"]) -> CrowdModel:
        """The crowd at p."""
        changed = []
        for movers, free in zip(self.model.movers, self.movers, strict=True):
            weight, rewards = free.weight.at(p), movers.rewards
            if free.features.shape[1]:
                rewards = rewards + jnp.einsum("uk,ukan->uan", free.theta.at(p), free.features)
            agents = replace(movers.agents, beta=free.beta.at(p), own=movers.agents.own * weight)
            changed.append(
                replace(movers, rewards=rewards, agents=agents, levels=movers.levels * jnp.expand_dims(weight, 1))
            )
        return replace(self.model, movers=tuple(changed))

    def log_policies(self, point: Any, p: Float[Array, " P"]) -> tuple[Float[Array, "..."], ...]:
        """Log pi, [blocks, A, T, g, N] per movers, differentiable in p at the solution `point` (occupancies)."""
        logits = implicit.crowd(self.at(p), self.rule, self.horizon, point)
        return tuple(jnp.moveaxis(_log_softmax(z), 2, 1) for z in logits)


def _log_softmax(z: Float[Array, "b T A g N"]) -> Float[Array, "b T A g N"]:
    shifted = z - jax.lax.stop_gradient(z.max(axis=2, keepdims=True))
    return shifted - jnp.log(jnp.exp(shifted).sum(axis=2, keepdims=True))


@dataclass(frozen=True, eq=False)
class CrowdProblem:
    """A crowd, what was seen of it, and its solutions."""

    game: CrowdGame
    features: Features
    engine: Crowd
    layout: CrowdLayout
    observed: Observed
    theta: Affine
    beta: Affine
    weight: Affine
    weighted: bool

    @staticmethod
    def of(
        game: CrowdGame,
        features: Features,
        seen: Observed,
        theta: Affine,
        beta: Affine,
        weight: Affine,
        weighted: bool,
        horizon: int,
        rule: ValueRule,
    ) -> CrowdProblem:
        """Lay a crowd out; `weight` holds presences, or factors of 1 where they are not `weighted`."""
        # Known rewards; presences of 1 where they are unknown. Members who share no parameter must not be merged: the
        # layout tells members apart by their precision, so it is handed the number of their set of parameters instead.
        plain = _structure(game, features, weighted)
        rows = np.concatenate([np.c_[np.asarray(x.offset), np.asarray(x.matrix)] for x in (beta, weight)], axis=1)
        _, label = np.unique(rows, axis=0, return_inverse=True)
        label = label.reshape(-1)
        layout = crowd_layout(plain, tuple(map(float, label)), "float64")
        first = np.array([int(np.flatnonzero(label == k)[0]) for k in range(int(label.max()) + 1)])
        member = {seat: i for i, seat in reversed(list(enumerate(layout.seats)))}
        edges = np.cumsum((0, *features.counts))
        widest = max(features.counts, default=0)
        movers, changed, counts = [], [], []
        for k, own in enumerate(layout.model.movers):
            which = first[np.asarray(own.agents.beta).astype(int)]  # [blocks, g]
            table = np.asarray(own.agents.reward)
            actions, places = own.barred.shape
            rewards = np.broadcast_to(np.asarray(own.rewards), (own.rewards.shape[0], actions, places))
            parts = np.zeros((rewards.shape[0], widest, actions, places))
            offset = np.zeros((rewards.shape[0], widest))
            matrix = np.zeros((*offset.shape, np.asarray(theta.matrix).shape[-1]))
            blocks, group = table.shape
            count = np.zeros((blocks, actions, horizon, group, places))
            for (mine, block, row), i in member.items():
                if mine != k:
                    continue
                u, number = table[block, row], features.counts[i]
                full = np.broadcast_to(features.arrays[i], (number, game.number_of_cells, actions))
                parts[u, :number][..., layout.places] = np.moveaxis(full, -1, 1)
                offset[u, :number] = np.asarray(theta.offset)[edges[i] : edges[i + 1]]
                matrix[u, :number] = np.asarray(theta.matrix)[edges[i] : edges[i + 1]]
            for i, (mine, block, row) in enumerate(layout.seats):
                if mine == k:
                    chosen = np.array(seen.counts[i])
                    if (goal := game.goals[i]) is not None:
                        chosen[:, goal] = 0.0  # nothing is chosen there
                    count[block, :, :, row, :][..., layout.places] += np.moveaxis(chosen, -1, 0)
            free = Mover(parts, Affine(offset, matrix), beta.take(which), weight.take(which))
            movers.append(jax.tree.map(jax.device_put, free))
            changed.append(replace(own, rewards=jax.device_put(np.array(rewards))))
            counts.append(jax.device_put(count))
        model = replace(layout.model, movers=tuple(changed))
        engine = Crowd(model, tuple(movers), tuple(counts), rule, horizon)
        return CrowdProblem(game, features, engine, layout, seen, theta, beta, weight, weighted)

    def game_at(self, p: np.ndarray) -> CrowdGame:
        """The crowd with its weights at p."""
        game = self.game
        if self.features.number:
            game = self.features.game_with(game, np.asarray(self.theta.at(p)))
        if self.weighted:
            presence = np.asarray(self.weight.at(p))
            members = [replace(m, weight=float(w)) for m, w in zip(game.members, presence, strict=True)]
            game = crowd_of(game, members)
        return game

    def solve(self, p: np.ndarray) -> CrowdSolution:
        """Solve afresh, from everyone's planning alone."""
        return solve(
            self.game_at(p), beta=np.asarray(self.beta.at(p)), horizon=self.engine.horizon, value=self.engine.rule
        )

    def point(self, solution: CrowdSolution) -> Any:
        """A solution's occupancies in the engine's layout."""
        filled = [np.array(f) for f in forward_backward.nobody(self.engine.model, self.engine.horizon)]
        for i, (which, number, row) in enumerate(self.layout.seats):
            times = filled[which].shape[1]
            filled[which][number, :, row, self.layout.places] = solution.occupancy[i][:times].T
        return tuple(map(jax.device_put, filled))

    def moved(self, point: Any, p: np.ndarray) -> Any | None:
        """The solution at p, from the occupancies at a neighbour; None where the alternation does not settle."""
        found = forward_backward.solve(
            self.engine.at(jax.device_put(p)),
            self.engine.rule,
            self.engine.horizon,
            damping=1.0,
            tol=TOLERANCE,
            floor=1e-14,
            max_steps=STEPS,
            accelerate=True,
            start=point,
        )
        return tuple(map(jax.device_put, found.state)) if found.settled else None

    def policies(self, solution: CrowdSolution) -> tuple[np.ndarray, ...]:
        """pi_i in the axes of the counts."""
        return tuple(solution.policy[i] for i in range(len(self.game.members)))


def _structure(game: CrowdGame, features: Features, weighted: bool) -> CrowdGame:
    """The crowd with known rewards only, and presences of 1 where they are unknown."""
    if not features.number and not weighted:
        return game
    members = list(game.members)
    if features.number:
        members = [replace(m, rewards=np.array(base)) for m, base in zip(members, features.known, strict=True)]
    if weighted:
        members = [replace(m, weight=1.0) for m in members]
    return crowd_of(game, members)
