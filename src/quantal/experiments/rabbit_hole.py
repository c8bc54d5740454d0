"""The rabbit-hole game: who enters the hole when, how the fox moves, and the scores of ten rounds.

Etesami & Straehle (2020), Section 7: MGE-F with T = 12. The map is ours (`quantal.games.rabbit_hole`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from quantal import games
from quantal.experiments.records import Claim, Comparison, Progress, Reproduction
from quantal.maps import ORTHOGONAL, STAY
from quantal.rollout import evaluate, simulate
from quantal.solution import Solution
from quantal.solve import solve

HORIZON = 12
PAPER_RABBIT, PAPER_FOX = 0.06, 0.0


@dataclass(frozen=True)
class Entering:
    """How probable it is that the rabbit enters, over the places where the fox may be.

    Attributes
    ----------
    distance
        Of the fox from the entrance, in steps.
    least, largest
        Probability of entering.
    preferred
        Share of the places for which to enter is the most probable action.
    """

    distance: int
    least: float
    largest: float
    preferred: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RabbitHole(Reproduction):
    """Behaviour and scores in the rabbit-hole game.

    Attributes
    ----------
    entering
        How the rabbit moves from the cell before the entrance at the first decision, per distance of the fox from the
        entrance.
    averages
        Average scores (rabbit, fox) of many samples of `rounds` rounds, (samples, 2).
    rounds
        Rounds in a sample.
    """

    entering: tuple[Entering, ...]
    averages: np.ndarray
    rounds: int


def rabbit_hole(
    *, rounds: int = 10, samples: int = 4_000, seed: int = 0, progress: Progress | None = None
) -> RabbitHole:
    """Behaviour and scores of MGE-F in the rabbit-hole game.

    Parameters
    ----------
    rounds
        The paper averages over 10 rounds from random states.
    samples
        How many such averages are drawn.
    seed
        Of the draws.
    progress
        Called with the share done.
    """
    game = games.rabbit_hole.game()
    solution = solve(game, beta=1.0, horizon=HORIZON, progress=progress)
    exact = {play: evaluate(game, solution, play=play).score for play in ("sampled", "most_probable")}
    drawn = simulate(game, solution, episodes=rounds * samples, seed=seed).score
    averages = np.stack(
        [drawn[agent].reshape(samples, rounds).mean(axis=1) for agent in ("rabbit", "fox")], axis=-1
    ).round(12)
    like_paper = float(((averages[:, 0] >= PAPER_RABBIT - 0.005) & (averages[:, 1] <= 0)).mean())
    entering = _entering(solution)
    far = min(e.distance for e in entering if all(o.preferred == 1 for o in entering if o.distance >= e.distance))
    near = max((e.distance for e in entering if e.preferred == 0), default=0)
    rabbit_does = 0 < near < far
    least = min(e.least for e in entering if e.distance >= far)
    largest = max(e.largest for e in entering)
    nearer = {play: _approach(solution, play) for play in ("sampled", "most probable")}
    fox_does = all(change < 0 for change in nearer["most probable"])
    rows = [
        Comparison(
            what="expected score of a round, exact",
            labels=("rabbit", "fox"),
            ours=(score["rabbit"], score["fox"]),
            paper=(PAPER_RABBIT, PAPER_FOX),
            value="expected",
            play=play.replace("_", " "),
            note=(
                "how often the fox catches depends on the map, which is lost; on ours a round scatters by "
                f"{float(drawn['rabbit'].std(ddof=1)):.1f}"
            ),
            style=".2f",
        )
        for play, score in exact.items()
    ]
    rows.append(
        Comparison(
            what=f"share of {rounds}-round averages that are as good for the rabbit, without a catch",
            labels=("share",),
            ours=(like_paper,),
            paper=(None,),
            value="expected",
            play="sampled",
            note=f"{samples} samples of {rounds} rounds; the paper's average is one such sample",
            style=".3f",
        )
    )
    rows += [
        Comparison(
            what="change of the fox's distance in its first step, mean over starts",
            labels=("to the rabbit", "to the entrance"),
            ours=change,
            paper=(None, None),
            value="expected",
            play=play,
            note="in steps of a shortest way; negative is nearer",
            style="+.2f",
        )
        for play, change in nearer.items()
    ]
    return RabbitHole(
        name="rabbit-hole",
        title="The rabbit-hole game, T = 12, beta = 1",
        comparisons=tuple(rows),
        findings=(
            f"From the cell before it, to enter is the rabbit's most probable action if the fox is {far} or more steps "
            f"from the entrance (probability {least:.2f} to {largest:.2f}), and is not at {near} or fewer.",
            f"The rabbit expects {exact['sampled']['rabbit']:.2f} a round and the fox {exact['sampled']['fox']:.2f} on "
            f"our map; averages of {rounds} rounds as good for the rabbit as the paper's have a share of "
            f"{like_paper:.1%}.",
        ),
        notes=(
            "Reconstructed: the map (the hole of Figure 5 is lost), and that rewards are paid in every step.",
            "Both start anywhere in the field, not in one cell.",
        ),
        converged=solution.converged,
        layout="reconstructed",
        verdict="agrees in part" if rabbit_does and fox_does else "disagrees",
        explanation=(
            "Both behaviours that the paper describes appear; the scores do not, and hang on a map that is lost: on "
            f"ours {like_paper:.1%} of ten-round averages are like the paper's."
        ),
        claims=(
            Claim(
                what="the rabbit enters the hole if the fox is far enough from the entrance",
                paper="enters",
                ours=f"enters from {far} steps on, not at {near} or fewer",
                holds=rabbit_does,
                play="most probable",
                note="from the cell before the entrance, at the first decision",
            ),
            Claim(
                what="... with high probability",
                paper="high",
                ours=f"{least:.2f} to {largest:.2f}",
                holds=least > 0.5,
                play="policy",
                note="beta = 1 leaves much to chance where the prize is worth 0.3 a step",
            ),
            Claim(
                what="the fox moves so that its distances to rabbit and entrance become small",
                paper="minimised",
                ours="both become smaller" if fox_does else "not both become smaller",
                holds=fox_does,
                play="most probable",
                note="on the average over starts; the changes are below",
            ),
        ),
        entering=entering,
        averages=averages,
        rounds=rounds,
    )


def _steps(solution: Solution, target: int) -> np.ndarray:
    """Steps from every cell to one; moves go both ways."""
    successors = games.rabbit_hole.MAP.moves(ORTHOGONAL).successors
    found = {target: 0}
    queue = deque([target])
    while queue:
        here = queue.popleft()
        for there in map(int, np.ravel(successors[here])):
            if there not in found:
                found[there] = found[here] + 1
                queue.append(there)
    return np.array([found[cell] for cell in range(solution.game.state_shape[0])])


def _entering(solution: Solution) -> tuple[Entering, ...]:
    """How the rabbit moves from the cell before the entrance, by the fox's distance from the entrance."""
    away, to_prize = _steps(solution, games.rabbit_hole.ENTRANCE), _steps(solution, games.rabbit_hole.PRIZE)
    (before,) = np.flatnonzero((away == 1) & (to_prize == 2))
    play = solution.policy["rabbit"][0][before]
    enter = play[:, solution.game.actions[0].index("down")]
    preferred = enter >= play.max(axis=-1) - 1e-9
    rows: list[Entering] = []
    for distance in sorted(set(away.tolist())):
        cells = [c for c in np.flatnonzero(away == distance) if c != before and to_prize[c] > 0]
        if cells:
            rows.append(
                Entering(distance, float(enter[cells].min()), float(enter[cells].max()), float(preferred[cells].mean()))
            )
    return tuple(rows)


def _approach(solution: Solution, play: str) -> tuple[float, float]:
    """Mean change of the fox's distance to the rabbit and to the entrance in its first step."""
    game = solution.game
    moves = games.rabbit_hole.MAP.moves(ORTHOGONAL | STAY).successors
    moves = np.reshape(moves, (len(moves), -1))
    policy = np.asarray(solution.policy["fox"][0])
    if play == "most probable":
        best = np.isclose(policy, policy.max(axis=-1, keepdims=True), rtol=0, atol=1e-9)
        policy = best / best.sum(axis=-1, keepdims=True)
    apart = np.stack([_steps(solution, cell) for cell in range(len(moves))])
    to_entrance = apart[games.rabbit_hole.ENTRANCE]
    weights = np.asarray(game.start)[:, :, None] * policy
    rabbit = (weights * (apart[:, moves] - apart[:, :, None])).sum()
    entrance = (weights * (to_entrance[moves] - to_entrance[:, None])).sum()
    return float(rabbit), float(entrance)
