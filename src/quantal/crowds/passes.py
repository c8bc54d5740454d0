r"""One pass backward and one forward, for a crowd (equations (9)-(12)).

    Q^tau(x, a) = R(x, a) + Psi(O_-i^tau)(x) + E[ V^{tau+1}(x') | x, a ],    V^T = R_F,    V by the value rule    (11)
    O^{tau+1}(x') = sum_{x, a} pi^tau(a | x) P(x' | x, a) O^tau(x),          O^0 = where i starts               (12)

T decisions, tau = 0..T-1. The printed algorithm sets Q^{T+1} = R_F and reads Q^T, which it never sets; this is
equation (10). At its goal an agent stays, worth `goal_reward` at any time, and minds nobody. Who makes fewer decisions
has V = R_F after the last, stays, and is met at most once more.

Everything here works on one block of agents (`quantal.crowds.layout`) with the cell axis last, to be called inside jit.
Actions are rows of their own, and policies are kept as weights and one scale: XLA on a CPU makes one pass over memory
of each row, and a normalised array of them would be one more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from quantal.crowds.layout import Block, CrowdModel, Links, Movers, Shifts
from quantal.logit import ValueRule

T = TypeVar("T")

UNROLLED = 8
"""Agents of a block that are added up one by one; more are multiplied as a matrix."""

Rows = tuple[Float[Array, "g N"], ...]
"""One row per action."""
Pair = tuple[Array, ...]
"""Of two expectations."""


class Choice(NamedTuple):
    """A decision of a block: Q, and policies as weights times scale."""

    q: Rows
    weights: Rows
    scale: Float[Array, "g N"]

    def policy(self) -> Float[Array, "A g N"]:
        """Probabilities."""
        return jnp.stack(self.weights) * self.scale


# ---------------------------------------------------------------------- who is where


def presence(
    movers: Movers, agents: Block, occupancy: Float[Array, "*t g N"], time: Array | int | None = None
) -> Float[Array, "*t g N"]:
    """Where others may meet the agents: not where they have arrived and left, nor after their own last step.

    `time` is when, of occupancies [g, N]; others are of all times from 0 on.
    """
    if movers.leaving:
        times = jnp.arange(occupancy.shape[0])[:, None] if time is None else time
        occupancy = jnp.where((times > agents.decisions)[..., None], 0.0, occupancy)
    if not movers.absorbing:
        return occupancy
    return jnp.where(_at(agents.absent, occupancy.shape[-1]), 0.0, occupancy)


def fields(model: CrowdModel, state: Sequence[Float[Array, "_ t _ N"]]) -> Float[Array, "F t N"]:
    """What everyone adds up to, per field and time; smeared over what is near."""
    times = state[0].shape[1]
    total = jnp.zeros((model.number_of_fields, times, model.places), state[0].dtype)

    def add(movers: Movers):
        def body(total: Array, block: tuple[Block, Array, Array]) -> tuple[Array, None]:
            return added(movers, *block, total), None

        return body

    for movers, occupancy in zip(model.movers, state, strict=True):
        total, _ = lax.scan(add(movers), total, (movers.agents, movers.levels, occupancy))
    return near(model, total)


def added(
    movers: Movers,
    agents: Block,
    levels: Float[Array, "F g"],
    occupancy: Float[Array, "t g N"],
    total: Float[Array, "F t N"],
) -> Float[Array, "F t N"]:
    """Add what a block is to others, before it is smeared."""
    there = presence(movers, agents, occupancy)
    if there.shape[1] > UNROLLED:
        return total + jnp.einsum("fg,tgn->ftn", levels, there)
    for g in range(there.shape[1]):
        total = total + levels[:, g, None, None] * there[:, g]
    return total


def near(model: CrowdModel, x: Float[Array, "*s N"]) -> Float[Array, "*s N"]:
    """Sum over y of nearness(x, y) times presence at y."""
    if model.nearness is None:
        return x
    cells, weights = model.nearness
    return reduce(jnp.add, [weights[k] * x[..., cells[k]] for k in range(cells.shape[0])])


def psi(
    model: CrowdModel,
    movers: Movers,
    agents: Block,
    field: Float[Array, "F N"],
    own: Float[Array, "g N"],
    time: Array | int,
) -> Float[Array, "g N"]:
    """Psi(O_-i)(x): what others make of being at x, at one time."""
    there = agents.own[:, None] * presence(movers, agents, own, time)
    if model.interaction is not None:
        mine = jnp.arange(field.shape[0]) == agents.sense[:, None]
        others = field - mine[..., None] * there[:, None]
        interaction, name = model.interaction, movers.name
        return jax.vmap(lambda o: jnp.broadcast_to(interaction(o, name), o.shape[1:]))(others)
    felt = field if field.shape[0] == 1 else field[agents.sense]
    return near(model, there) - felt


# ---------------------------------------------------------------------- backward


def margin(moves: Shifts | Links) -> int:
    """How much room shifts need on both sides of a row."""
    return max(map(abs, moves.offsets)) if isinstance(moves, Shifts) else 0


def _padded(x: Array, room: int) -> Array:
    return jnp.pad(x, ((0, 0), (room, room))) if room else x


def _ahead(moves: Shifts | Links, value: Float[Array, "g padded"], places: int) -> list[Float[Array, "g N"]]:
    """E[ V(x') | x, a ] per action, from values with room on both sides."""
    if isinstance(moves, Shifts):
        room = margin(moves)
        return [lax.slice_in_dim(value, room + o, room + o + places, axis=1) for o in moves.offsets]
    table, chances = moves.successors, moves.probabilities

    def branch(a: int, b: int) -> Array:
        taken = jnp.take(value, table[a, b], axis=1, mode="clip")
        return taken if chances is None else taken * chances[a, b]

    return [reduce(jnp.add, [branch(a, b) for b in range(table.shape[1])]) for a in range(table.shape[0])]


def decide(
    movers: Movers,
    agents: Block,
    rule: ValueRule,
    rewards: Float[Array, "g _ N"],
    psi: Float[Array, "g N"],
    ahead: Float[Array, "g padded"],
) -> tuple[Choice, Float[Array, "g N"]]:
    """One decision of a block, and its values."""
    beta, barred = agents.beta[:, None], movers.barred
    futures = _ahead(movers.moves, ahead, barred.shape[-1])
    q = tuple(rewards[:, a if rewards.shape[1] > 1 else 0] + psi + v for a, v in enumerate(futures))
    logits = [beta * qa + row for qa, row in zip(q, barred, strict=True)]
    # Policies do not depend on the shift: a constant to derivatives.
    top = lax.stop_gradient(reduce(jnp.maximum, logits))
    weights = tuple(jnp.exp(z - top) for z in logits)
    total = reduce(jnp.add, weights)
    if rule == "expected":
        value = reduce(jnp.add, [w * qa for w, qa in zip(weights, q, strict=True)]) / total
    elif rule == "soft":
        value = (top + jnp.log(total)) / beta
    else:
        value = reduce(jnp.maximum, [jnp.where(row == 0, qa, -jnp.inf) for qa, row in zip(q, barred, strict=True)])
    return Choice(q, weights, 1 / total), _arrived(movers, agents, value)


def _arrived(movers: Movers, agents: Block, value: Float[Array, "g N"]) -> Float[Array, "g N"]:
    """Being at the goal is worth its reward at any time."""
    if not movers.absorbing:
        return value
    return jnp.where(_at(agents.goal, value.shape[-1]), agents.goal_reward[:, None], value)


def last_value(
    model: CrowdModel, movers: Movers, agents: Block, field: Float[Array, "F t N"], own: Float[Array, "t g N"]
) -> Float[Array, "g N"]:
    """V^T."""
    value = movers.finals[agents.final]
    if model.final_interaction:
        value = value + psi(model, movers, agents, field[:, -1], own[-1], own.shape[0] - 1)
    return _arrived(movers, agents, value)


def _left(
    model: CrowdModel,
    movers: Movers,
    agents: Block,
    time: Array,
    value: Float[Array, "g N"],
    psi: Float[Array, "g N"],
) -> Float[Array, "g N"]:
    """The value at a time, which is R_F (+ Psi) for who has made the last decision of one's own."""
    if not movers.leaving:
        return value
    final = movers.finals[agents.final]
    if model.final_interaction:
        final = final + psi
    return jnp.where((time >= agents.decisions)[:, None], _arrived(movers, agents, final), value)


def backward(
    model: CrowdModel,
    movers: Movers,
    agents: Block,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    own: Float[Array, "t g N"],
    keep: Callable[[Choice, Array], T],
) -> T:
    """Run through the decisions from the last to the first; what `keep` makes of (choice, value) is stacked over time.

    `field` and `own` hold a time per decision, and one more if Psi(O^T) counts.
    """
    rewards, room = movers.rewards[agents.reward], margin(movers.moves)

    def body(ahead: Array, now: tuple[Array, Array, Array]) -> tuple[Array, T]:
        field, own, time = now
        felt = psi(model, movers, agents, field, own, time)
        choice, value = decide(movers, agents, rule, rewards, felt, ahead)
        value = _left(model, movers, agents, time, value, felt)
        return lax.dynamic_update_slice(ahead, value, (0, room)), keep(choice, value)

    last = _padded(last_value(model, movers, agents, field, own), room)
    now = jnp.moveaxis(field, 1, 0)[:horizon], own[:horizon], jnp.arange(horizon)
    return lax.scan(body, last, now, reverse=True)[1]


# ---------------------------------------------------------------------- forward


def move(
    movers: Movers, agents: Block, weights: Rows, scale: Float[Array, "g N"], mass: Float[Array, "g N"]
) -> Float[Array, "g N"]:
    """Where a block's masses go in one step."""
    moves, places = movers.moves, mass.shape[-1]
    done = None
    if movers.absorbing:
        done = jnp.where(_at(agents.goal, places), mass, 0.0)
        mass = mass - done
    flows = mass * scale
    if isinstance(moves, Shifts):
        room = margin(moves)
        came = [
            lax.slice_in_dim(_padded(w * flows, room), room - o, room - o + places, axis=1)
            for w, o in zip(weights, moves.offsets, strict=True)
        ]
        arrived = reduce(jnp.add, came)
    else:
        arrived = _linked(moves, weights, flows)
    return arrived if done is None else arrived + done


def _linked(moves: Links, weights: Rows, flows: Float[Array, "g N"]) -> Float[Array, "g N"]:
    """Masses along links: each cell looks at who may arrive, or, where that is too many, each sends."""
    chances = moves.probabilities
    sent = [
        w * flows if chances is None else w * flows * chances[a, b]
        for a, w in enumerate(weights)
        for b in range(moves.successors.shape[1])
    ]
    if moves.predecessors is None:
        targets = moves.successors.reshape(-1, flows.shape[-1])
        return reduce(lambda total, k: total.at[:, targets[k]].add(sent[k]), range(len(sent)), jnp.zeros_like(flows))
    whole = jnp.concatenate([*sent, jnp.zeros((flows.shape[0], 1), flows.dtype)], axis=1)
    rows = [jnp.take(whole, row, axis=1, mode="clip") for row in moves.predecessors]
    return reduce(jnp.add, rows)


def forward(
    movers: Movers, agents: Block, weights: tuple[Float[Array, "t g N"], ...], scale: Float[Array, "t g N"]
) -> tuple[Float[Array, "t g N"], Float[Array, "g N"]]:
    """Occupancies at the decisions, [T, g, N], and after the last."""

    def body(mass: Array, now: tuple[Rows, Array, Array]) -> tuple[Array, Array]:
        weights, scale, time = now
        moved = move(movers, agents, weights, scale, mass)
        if movers.leaving:
            moved = jnp.where((time >= agents.decisions)[:, None], mass, moved)
        return moved, mass

    last, before = lax.scan(body, agents.start, (weights, scale, jnp.arange(scale.shape[0])))
    return before, last


def answer(
    model: CrowdModel,
    movers: Movers,
    agents: Block,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    own: Float[Array, "t g N"],
) -> Float[Array, "t g N"]:
    """Where a block goes that expects this: the map T, for one block."""
    weights, scale = backward(
        model, movers, agents, rule, horizon, field, own, lambda choice, _: (choice.weights, choice.scale)
    )
    before, last = forward(movers, agents, weights, scale)
    return jnp.concatenate([before, last[None]]) if model.final_interaction else before


def payoff_change(
    model: CrowdModel,
    movers: Movers,
    agents: Block,
    rule: ValueRule,
    horizon: int,
    fields: tuple[Float[Array, "F t N"], Float[Array, "F t N"]],
    owns: tuple[Float[Array, "t g N"], Float[Array, "t g N"]],
) -> Float[Array, ""]:
    """Max |Q - Q'| of a block between two expectations, over decisions and legal actions; NaN counts as infinite."""
    # Rewards are the same in both and drop out, so that values, one row a time, say all: no Q has to be kept.
    ends, values = [], []
    for field, own in zip(fields, owns, strict=True):
        ends.append(last_value(model, movers, agents, field, own)[None])
        values.append(backward(model, movers, agents, rule, horizon, field, own, lambda _, value: value))
    ahead = jnp.concatenate([values[0][1:] - values[1][1:], ends[0] - ends[1]])
    room = margin(movers.moves)

    def change(now: tuple[Array, Pair, Pair, Array]) -> Array:
        ahead, fields, owns, time = now
        one, two = (psi(model, movers, agents, field, own, time) for field, own in zip(fields, owns, strict=True))
        futures = _ahead(movers.moves, _padded(ahead, room), movers.barred.shape[-1])
        far = [jnp.where(row == 0, jnp.abs(one - two + v), 0.0) for v, row in zip(futures, movers.barred, strict=True)]
        most = reduce(jnp.maximum, far)
        if movers.leaving:
            most = jnp.where((time >= agents.decisions)[:, None], 0.0, most)
        return jnp.where(jnp.isnan(most), jnp.inf, most).max()

    now = (
        ahead,
        tuple(jnp.moveaxis(field, 1, 0)[:horizon] for field in fields),
        tuple(own[:horizon] for own in owns),
        jnp.arange(horizon),
    )
    return lax.map(change, now).max()


def _at(place: Int[Array, "g"], places: int) -> Array:
    """Whether a place is that one, [g, N]."""
    return jnp.arange(places, dtype=place.dtype) == place[:, None]
