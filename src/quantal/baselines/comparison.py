"""Learners side by side on one game, over many seeds, judged by one yardstick.

Everyone plays what it has learned (no exploration), and plays are evaluated exactly: scores are expected undiscounted
sums over an episode, so that the seeds are the only thing that scatters. Where a common signal was learned, it is
followed; libertarian agents play their own parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quantal.baselines.correlated_q import Correlated
from quantal.baselines.fictitious_play import FictitiousPlay, fictitious_play
from quantal.baselines.fmq import FMQ
from quantal.baselines.friend_or_foe import Foe, Friend
from quantal.baselines.jal import joint_action_learner
from quantal.baselines.joint_q import JointQ
from quantal.baselines.judgement import joint_play
from quantal.baselines.learned import Learned
from quantal.baselines.nash_q import Nash
from quantal.baselines.nscp import nscp_learner
from quantal.baselines.q_learning import QLearning
from quantal.baselines.training import (
    EPISODE,
    Learner,
    check_game,
    check_learner,
    checked_seeds,
    run_length,
    train,
)
from quantal.errors import ParameterError
from quantal.evaluation import exploitability
from quantal.game import MarkovGame
from quantal.request import check_progress
from quantal.rollout import evaluate

METHODS: dict[str, Callable[[], Any]] = {
    "q-learning": QLearning,
    "uce-q": lambda: JointQ(Correlated("u")),
    "ece-q": lambda: JointQ(Correlated("e")),
    "rce-q": lambda: JointQ(Correlated("r")),
    "lce-q": lambda: JointQ(Correlated("l")),
    "nash-q": lambda: JointQ(Nash()),
    "friend-q": lambda: JointQ(Friend()),
    "foe-q": lambda: JointQ(Foe()),
    "jal": joint_action_learner,
    "fmq": FMQ,
    "nscp": nscp_learner,
    "fictitious-play": FictitiousPlay,
}
"""Learners by name, with their usual settings."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its 95% interval (Student's t); with one seed the interval is a point."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Contestant:
    """How one method did.

    Attributes
    ----------
    method
        Its name.
    runs
        What it learned, per seed.
    scores
        Expected score of an episode, per agent; with the common signal where there is one.
    scores_alone
        The same without the signal, from the marginals alone; None where there is none.
    events
        Expected number of each kind of event in an episode.
    exploitability
        Gain of the best deviation from the policies, expected over the start; the larger agent's.
    episodes_to_settle
        Median over the runs that settled; None if none did, or where there are no episodes.
    settled
        Share of the runs that settled.
    seconds
        Of learning, all seeds together, compilation included.
    """

    method: str
    runs: tuple[Learned, ...]
    scores: Mapping[str, Estimate]
    scores_alone: Mapping[str, Estimate] | None
    events: Mapping[str, Estimate]
    exploitability: Estimate
    episodes_to_settle: float | None
    settled: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """Methods side by side."""

    game: MarkovGame
    contestants: tuple[Contestant, ...]
    steps: int
    """Decisions of an episode that is scored."""


def learner_named(name: str) -> Any:
    """Return a learner with its usual settings.

    Raises
    ------
    ParameterError
        If there is none of this name.
    """
    if name not in METHODS:
        raise ParameterError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name]()


def learn(game: MarkovGame, learner: Any, seeds: Iterable[int], **how: Any) -> tuple[Learned, ...]:
    """Run one learner; fictitious play, which draws nothing, once, for as many rounds as the others make steps."""
    if isinstance(learner, FictitiousPlay):
        steps, episodes = how.get("steps"), how.get("episodes")
        rounds: Any = episodes if steps is None else steps
        return (fictitious_play(game, steps=rounds, discount=how.get("discount")),)
    return train(game, learner, seeds=seeds, **how)


def compare(
    game: MarkovGame,
    methods: Iterable[Any] | Learner | str = ("q-learning", "uce-q", "ece-q", "rce-q", "lce-q"),
    seeds: Iterable[int] = range(10),
    *,
    steps: int | None = None,
    episodes: int | None = None,
    discount: float | None = None,
    episode_length: int | None = None,
    events: Mapping[str, ArrayLike] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Contest:
    """Let several methods learn one game, and judge what they have learned.

    Parameters
    ----------
    game
        What is played.
    methods
        Names (`METHODS`), or learners with settings of your own; one alone may be given as it is. Learners of one name
        are numbered.
    seeds, steps, episodes, discount
        As in `quantal.baselines.train`. 20,000 steps unless told otherwise.
    episode_length
        Steps after which an episode is cut, in learning and in scoring: 100 unless given; 1 with one state.
    events
        What else to count: per label the expected number of events at (x, a), an array like a reward,
        (*states, A_1, ..., A_M); axes of length 1 allowed.
    progress
        Called with the share done.
    """
    check_game(game)
    check_progress(progress)
    alone = game.number_of_states == 1
    length = run_length("episode_length", (1 if alone else EPISODE) if episode_length is None else episode_length)
    several = (methods,) if isinstance(methods, str) or not isinstance(methods, Iterable) else methods
    chosen = tuple(learner_named(m) if isinstance(m, str) else m for m in several)
    for learner in chosen:
        if not isinstance(learner, FictitiousPlay):
            check_learner(learner)
    if not chosen:
        raise ParameterError(f"methods: expected at least one of {', '.join(METHODS)}: got none")
    named = named_apart(chosen)
    counted = _checked_events(game, events)
    lanes = checked_seeds(seeds)
    if steps is not None and episodes is not None:
        raise ParameterError(f"steps={steps}, episodes={episodes}: expected one of the two: say how long to learn")
    if steps is None and episodes is None:
        steps = 20_000
    how = {"steps": steps, "episodes": episodes, "discount": discount, "episode_length": length}
    found: list[Contestant] = []
    for k, (learner, name) in enumerate(zip(chosen, named, strict=True)):
        began = perf_counter()
        runs = learn(game, learner, lanes, **how)
        seconds = perf_counter() - began
        found.append(_contestant(game, name, runs, length, counted, seconds))
        if progress is not None:
            progress((k + 1) / len(chosen))
    return Contest(game=game, contestants=tuple(found), steps=length)


def scores(learned: Learned, steps: int, *, signal: bool = True, follow: str | None = None) -> dict[str, float]:
    """Expected undiscounted scores of an episode of learned play.

    Parameters
    ----------
    learned
        From a learner.
    steps
        Decisions of an episode.
    signal
        Follow the common signal, if there is one; else play the policies independently.
    follow
        Of agents that have a distribution each: whose everyone follows.
    """
    return dict(evaluate(*_played(learned, signal, follow), steps=steps).score)


def _played(learned: Learned, signal: bool, follow: str | None = None) -> tuple[MarkovGame, Learned]:
    together = signal and (learned.joint is not None or follow is not None)
    record: Learned = joint_play(learned, follow) if together else learned
    plain = replace(record.parameters, discount=(1.0,) * record.game.number_of_agents)
    return record.game, replace(record, parameters=plain)


def _contestant(
    game: MarkovGame, name: str, runs: tuple[Learned, ...], steps: int, events: Mapping[str, np.ndarray], seconds: float
) -> Contestant:
    kept: list[dict[str, float]] = []
    alone: list[dict[str, float]] = []
    counts: list[dict[str, float]] = []
    gains: list[float] = []
    for run in runs:
        kept.append(scores(run, steps))
        if run.joint is not None:
            alone.append(scores(run, steps, signal=False))
        counts.append({label: _counted(run, steps, event) for label, event in events.items()})
        gains.append(max(exploitability(game, run).expected.values()))
    settled = [run.episodes_to_settle for run in runs if run.episodes_to_settle is not None]
    return Contestant(
        method=name,
        runs=runs,
        scores={a: estimate([s[a] for s in kept]) for a in game.agents},
        scores_alone={a: estimate([s[a] for s in alone]) for a in game.agents} if alone else None,
        events={label: estimate([c[label] for c in counts]) for label in events},
        exploitability=estimate(gains),
        episodes_to_settle=float(np.median(settled)) if settled and runs[0].parameters.episodes else None,
        settled=len(settled) / len(runs),
        seconds=seconds,
    )


def named_apart(learners: Sequence[Any]) -> list[str]:
    """Give learners names for a table: numbered where learners of one name have different settings."""
    for k, learner in enumerate(learners):
        if learner in learners[:k]:
            raise ParameterError(f"methods: {learner.name} is named twice, with the same settings. Name it once")
    names = [learner.name for learner in learners]
    return [n if names.count(n) == 1 else f"{n} {names[: k + 1].count(n)}" for k, n in enumerate(names)]


def _checked_events(game: MarkovGame, events: Mapping[str, ArrayLike] | None) -> dict[str, np.ndarray]:
    if not isinstance(events, Mapping | None):
        raise ParameterError(f"events={events!r}: expected numbers of events by label, arrays like a reward")
    whole, found = (*game.state_shape, *game.action_counts), {}
    for label, event in (events or {}).items():
        array = np.asarray(event)
        if (
            array.dtype.kind not in "biuf"
            or array.ndim != len(whole)
            or any(n not in (1, m) for n, m in zip(array.shape, whole, strict=True))
            or not np.isfinite(array).all()
        ):
            raise ParameterError(
                f"events[{label!r}]: expected finite numbers over (*states, *actions), {whole}, axes of length 1 "
                f"allowed: got {event!r:.60} of shape {array.shape}"
            )
        found[label] = array.astype(float)
    return found


def _counted(run: Learned, steps: int, event: np.ndarray) -> float:
    """Expected number of events: the score of a game whose rewards they are."""
    game, played = _played(run, True)
    dims = len(game.state_shape)
    if game is not run.game:  # joint play: the first agent's actions are everyone's
        whole_shape = (*run.game.state_shape, *run.game.action_counts)
        event = np.broadcast_to(event, whole_shape).reshape(*game.state_shape, -1, *(1,) * (game.number_of_agents - 1))
    counted = MarkovGame(
        state_shape=game.state_shape,
        rewards=[event] + [np.zeros((1,) * (dims + game.number_of_agents))] * (game.number_of_agents - 1),
        dynamics=game.dynamics,
        actions=game.actions,
        agents=game.agents,
        legal=game.legal,
        start=game.start,
    )
    return evaluate(counted, replace(played, game=counted), steps=steps).score[game.agents[0]]


def estimate(numbers: Iterable[float]) -> Estimate:
    """Mean and 95% interval of a few independent numbers."""
    sample = np.array(list(numbers), dtype=float)
    mean = float(sample.mean())
    if sample.size == 1:
        return Estimate(mean, mean, mean)
    from scipy.special import stdtrit  # late: importing Quantal must not wait for SciPy

    half = float(stdtrit(sample.size - 1, 0.975) * sample.std(ddof=1) / np.sqrt(sample.size))
    return Estimate(mean, mean - half, mean + half)
