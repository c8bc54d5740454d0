"""Solve a game: pick the solver, run it, say what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

import jax
import numpy as np

from quantal import request, stage
from quantal.certify import certify, proved_unique
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.layout import Model, from_public, model_of, to_public
from quantal.precision import double_precision
from quantal.request import Request
from quantal.solution import Branch, Parameters, PerAgent, Solution, Status
from quantal.solve_crowd import solve_crowd
from quantal.solvers import backward, stationary

Guess = Callable[[int], tuple[np.ndarray, ...]]
"""Logits [A_i, S] at a decision time."""
Progress = Callable[[float], None]
"""Called with the share done, 0 to 1."""

DISTINCT = 1e-6
"""Two equilibria differ if some probability differs by more than this."""
EXTRAPOLATION = 6
"""Earlier betas through which logits are extrapolated to the next."""
NODES = 24
"""Betas at which a long path is solved; the others are interpolated and checked."""
NODE_BYTES = 2**29
"""Most memory for logits kept at the nodes."""
TRACE_BYTES = 2**31
"""Up to this much memory for joint payoffs, method='auto' follows the branch of a stationary game."""


@overload
def solve(
    game: CrowdGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None = None,
    value: str = "expected",
    method: str = "auto",
    damping: float = 1.0,
    tol: float | None = None,
    max_steps: int = 10_000,
    start: CrowdSolution | None = None,
    dtype: str = "float64",
    progress: Progress | None = None,
) -> CrowdSolution: ...


@overload
def solve(
    game: MarkovGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    method: str = "auto",
    damping: float = 1.0,
    tol: float | None = None,
    max_steps: int = 10_000,
    start: Solution | None = None,
    order: str = "jacobi",
    focal: str | int = 0,
    restarts: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Solution: ...


@double_precision
def solve(
    game: MarkovGame | CrowdGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    method: str = "auto",
    damping: float = 1.0,
    tol: float | None = None,
    max_steps: int = 10_000,
    start: Solution | CrowdSolution | None = None,
    order: str = "jacobi",
    focal: str | int = 0,
    restarts: int = 0,
    seed: int = 0,
    dtype: str = "float64",
    progress: Progress | None = None,
) -> Solution | CrowdSolution:
    """Find the logit Markov quantal response equilibrium of a game, or of a crowd.

    Parameters
    ----------
    game
        What is played. A `CrowdGame` is solved by MGE-FB (Algorithm 3) for a `horizon`, with ``method="auto"``
        (accelerated, and damped more wherever that does not settle) or ``"picard"``; see `quantal.solve_crowd`.
    beta
        Precision, in 1/payoff units: a number or one per agent; 0 is uniform play.
    horizon
        Number of decisions T: finite horizon (MGE-F, Algorithm 2), backward in time.
    discount
        In [0, 1): play without end (MGE-I, Algorithm 1); with `horizon`, a discounted finite horizon. A number or one
        per agent. A game with one state needs neither: it is played once.
    value
        How Q becomes V: `expected` (the paper's equations), `soft` or `greedy` (see `quantal.logit`).
    method
        `auto`: fast iteration where the equilibrium is proved unique, the principal branch everywhere else.
        `picard`: equation (14) alone. `newton`: from `start`. `continuation`: the principal branch everywhere.
    damping
        Equation (14)'s alpha, the weight of the new Q; 1 is undamped. Used by plain iteration only.
    tol
        Accepted residual |Q - T(Q)|, in payoff units. Unless given 1e-12, less where all payoffs are below 1, and more
        only where rounding makes more: at payoffs to go, or precisions, of thousands.
    max_steps
        Most plain iterations (per stage).
    start
        A solution to start `picard` or `newton` from; uniform play unless given.
    order, focal
        `jacobi`: all agents at once. `paper`: Algorithm 1's order, the opponents of agent `focal` first, then it
        (stationary games with method='picard').
    restarts
        Look for other equilibria from this many random starts; distinct ones are in `Solution.others`.
    seed
        Of the random starts.
    dtype
        ``"float64"``; for a crowd also ``"float32"``, half the memory and twice as fast.
    progress
        Called with the share done, 0 to 1: stages solved, or how far towards beta the branch has been followed.

    Returns
    -------
    Solution or CrowdSolution
        Also when the search did not converge: read `status`.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    TooLargeError
        If the solution would not fit into memory; nothing has been allocated then.
    """
    request.check_progress(progress)
    if isinstance(game, CrowdGame):
        given = {"discount": discount, "order": order, "focal": focal, "restarts": restarts, "seed": seed}
        _refuse(given, {"discount": None, "order": "jacobi", "focal": 0, "restarts": 0, "seed": 0})
        if isinstance(start, Solution):
            raise ParameterError(f"start: expected a solution of this crowd: got {start!r}")
        return solve_crowd(
            game,
            beta=beta,
            horizon=horizon,
            value=value,
            method=method,
            damping=damping,
            tol=tol,
            max_steps=max_steps,
            start=start,
            dtype=dtype,
            progress=progress,
        )
    if isinstance(start, CrowdSolution):
        raise ParameterError(f"start: expected a solution of this game: got {start!r}")
    if dtype != "float64":
        raise ParameterError(f"dtype={dtype!r}: only a CrowdGame can be solved in float32: expected 'float64'")
    asked = request.check(
        game,
        beta=beta,
        horizon=horizon,
        discount=discount,
        value=value,
        method=method,
        damping=damping,
        tol=tol,
        max_steps=max_steps,
        order=order,
    )
    random = request.generator(seed)
    restarts = request.whole("restarts", restarts, 0, "a whole number of random starts, 0 for none")
    request.check_memory(game, asked.horizon)
    _check_start(game, asked, start)
    model = model_of(game)
    found = _run(game, model, asked, start, game.agent_index(focal), progress)
    if restarts:
        found = _with_others(game, model, asked, found, restarts, random)
    return found


def _refuse(given: dict[str, Any], unless: dict[str, Any]) -> None:
    """Name what a crowd has no use for."""
    for name, value in given.items():
        if value != unless[name]:
            raise ParameterError(
                f"{name}={value!r}: a crowd is not discounted, answers all at once, and starts from play alone or from "
                "start=: leave it out"
            )


def _run(
    game: MarkovGame, model: Model, asked: Request, start: Solution | None, focal: int, progress: Progress | None
) -> Solution:
    if asked.horizon is not None or (asked.discount == 0).all():
        return _finite(game, model, asked, start, progress)
    q = None if start is None else _engine_q(model, start)
    return _stationary(game, model, asked, q, focal, progress)


def _check_start(game: MarkovGame, asked: Request, start: Solution | None) -> None:
    if start is None:
        return
    if not isinstance(start, Solution):
        raise ParameterError(f"start: expected a Solution: got {type(start).__name__}")
    if start.game.state_shape != game.state_shape or start.game.action_counts != game.action_counts:
        raise ParameterError(
            f"start: it solves another game: expected states {game.state_shape} and actions {game.action_counts}, got "
            f"{start.game.state_shape} and {start.game.action_counts}"
        )
    if start.horizon != asked.horizon:
        raise ParameterError(f"start: expected a solution with horizon {asked.horizon}: got {start.horizon}")
    if asked.method not in ("picard", "newton"):
        raise ParameterError(f"start: method={asked.method!r} starts from uniform play: use 'picard' or 'newton'")


# ---------------------------------------------------------------------- finite horizon


def _stage_logits(model: Model, asked: Request, start: Solution | None) -> Callable | None:
    """Centred logits [A_i, S] of a solution at each decision, to start stages from."""
    if start is None:
        return None
    states = model.number_of_states

    def at(time: int) -> tuple[np.ndarray, ...]:
        logits = []
        for i, mask in enumerate(model.legal):
            q = start.q[i] if start.horizon is None else start.q[i][time]
            flat = from_public(np.nan_to_num(q), model.state_shape).reshape(mask.shape[0], -1)
            legal = np.broadcast_to(mask, (mask.shape[0], *model.state_shape)).reshape(-1, states)
            logits.append(
                np.asarray(stage.centre(jax.device_put(start.parameters.beta[i] * flat), jax.device_put(legal)))
            )
        return tuple(logits)

    return at


def _finite(
    game: MarkovGame,
    model: Model,
    asked: Request,
    start: Solution | None,
    progress: Progress | None,
    logits: Guess | None = None,
) -> Solution:
    records = _records(model, asked, logits or _stage_logits(model, asked, start), progress=progress)
    return _finite_solution(game, asked, records)


def _records(
    model: Model,
    asked: Request,
    start: Guess | None = None,
    *,
    guess: Guess | None = None,
    progress: Progress | None = None,
) -> list[backward.StageRecord]:
    """Solve the stages of a finite horizon, or the one stage of a one-shot game; in order of time."""
    how = stage.StageMethod(asked.method, asked.damping, asked.max_steps)
    horizon = asked.horizon or 1
    records: list[backward.StageRecord] = []
    for record in backward.solve(
        model, asked.beta, asked.discount, horizon, asked.value, how, asked.tol, start=start, guess=guess
    ):
        records.append(record)
        if progress is not None:
            progress(len(records) / horizon)
    return records[::-1]


def _finite_solution(game: MarkovGame, asked: Request, records: list[backward.StageRecord]) -> Solution:
    """Stack solved stages; a one-shot game (no horizon) has one stage and no time axis."""
    agents, shape = range(game.number_of_agents), game.state_shape
    legal = [np.broadcast_to(mask, (*shape, mask.shape[-1])) for mask in game.legal]
    q = tuple(np.stack([np.where(legal[i], to_public(r.q[i], shape), np.nan) for r in records]) for i in agents)
    policy = tuple(np.stack([to_public(r.policy[i], shape) for r in records]) for i in agents)
    values = tuple(np.stack([r.value[i].reshape(shape) for r in records]) for i in agents)
    residuals = np.stack([r.residual.reshape(shape) for r in records])
    if asked.horizon is None:
        policy, q, values = (tuple(a[0] for a in arrays) for arrays in (policy, q, values))
        residuals = residuals[0]
    else:
        final = [np.broadcast_to(f, shape)[None] for f in game.final_rewards]
        values = tuple(np.concatenate([v, f]) for v, f in zip(values, final, strict=True))
    return _assemble(game, asked, policy, q, values, residuals, records)


def _assemble(
    game: MarkovGame,
    asked: Request,
    policy: tuple[np.ndarray, ...],
    q: tuple[np.ndarray, ...],
    values: tuple[np.ndarray, ...],
    residuals: np.ndarray,
    records: list[backward.StageRecord],
) -> Solution:
    """Judge solved stages and make the record."""
    lost = any(r.lost.any() for r in records)
    trace = np.concatenate([r.trace for r in reversed(records)])
    worst = max(records, key=lambda r: float(r.residual.max()))
    status = _status(game, asked, float(residuals.max()), worst.trace, lost)
    unique = all(r.unique.all() for r in records)
    principal = all((r.unique | r.traced).all() for r in records)
    branch = Branch.UNIQUE if unique else Branch.PRINCIPAL if principal else Branch.UNLABELLED
    stages = sum(r.unique.size for r in records)
    notes = [f"{sum(int(r.unique.sum()) for r in records)} of {stages} stage games proved to have one equilibrium"]
    traced = sum(int((r.traced & ~r.unique).sum()) for r in records)
    if traced:
        notes.append(f"{traced} followed along the principal branch from uniform play")
    folds, forks = sum(r.folds for r in records), sum(r.bifurcations for r in records)
    if folds or forks:
        notes.append(f"{folds} folds and {forks} bifurcations passed on the way")
    steps = sum(r.steps for r in records)
    return _solution(game, asked, policy, q, values, residuals, status, branch, trace, steps, tuple(notes))


# ---------------------------------------------------------------------- stationary


def _uniform_q(model: Model) -> stage.PerAgent:
    return tuple(jax.device_put(np.zeros((mask.shape[0], *model.state_shape))) for mask in model.legal)


def _engine_q(model: Model, start: Solution) -> stage.PerAgent:
    return tuple(
        jax.device_put(from_public(np.nan_to_num(start.q[i]), model.state_shape)) for i in range(model.number_of_agents)
    )


def traceable(model: Model) -> bool:
    """Whether the joint payoffs that Newton steps need fit the memory set aside for them."""
    joint = int(np.prod(model.action_counts)) * model.number_of_agents
    return 8 * 4 * joint * model.number_of_states <= TRACE_BYTES


def _stationary(
    game: MarkovGame,
    model: Model,
    asked: Request,
    start: stage.PerAgent | None,
    focal: int,
    progress: Progress | None,
) -> Solution:
    beta, discount = jax.device_put(asked.beta), jax.device_put(asked.discount)
    q = _uniform_q(model) if start is None else start
    unique = proved_unique(game, asked)
    curve = stationary.StationaryCurve(model, beta, discount, asked.value)
    traced, lost = False, False
    notes: list[str] = []

    def plain(memory: int, most: int, tol: float) -> stationary.Found:
        return stationary.iterate(
            model,
            beta,
            discount,
            q,
            asked.damping,
            tol,
            rule=asked.value,
            max_steps=most,
            memory=memory,
            focal=focal if asked.order == "paper" else None,
        )

    if asked.method == "picard":
        found = plain(0, asked.max_steps, asked.tol)
    elif asked.method == "newton":
        found = stationary.newton(curve, curve.guess(q, 1.0))
    elif asked.method == "continuation" or (not unique and traceable(model)):
        found = stationary.follow(curve, progress)
        traced, lost = bool(found.arrived), not bool(found.arrived)
    else:
        found = plain(stationary.ANDERSON_DEPTH, asked.max_steps, asked.tol)
        if not unique:
            notes.append(
                "too large to follow the branch by default: accelerated iteration may have found another equilibrium; "
                "method='continuation' traces it"
            )
        elif float(found.residual.max()) > asked.tol and traceable(model):
            found = stationary.newton(curve, curve.guess(found.q, 1.0))
    return stationary_solution(game, model, asked, found, unique=unique, traced=traced, lost=lost, notes=notes)


def stationary_solution(
    game: MarkovGame,
    model: Model,
    asked: Request,
    found: stationary.Found,
    *,
    unique: bool,
    traced: bool,
    lost: bool,
    notes: list[str],
) -> Solution:
    """Judge what a stationary search found and make the record."""
    residuals = np.asarray(found.residual).reshape(game.state_shape)
    folds, forks = int(found.folds), int(found.bifurcations)
    if folds or forks:
        notes = [*notes, f"{folds} folds and {forks} bifurcations passed on the way"]
    agents = range(game.number_of_agents)
    legal = [np.broadcast_to(mask, (*game.state_shape, mask.shape[-1])) for mask in game.legal]
    public_q = tuple(np.where(legal[i], to_public(np.asarray(found.q[i]), game.state_shape), np.nan) for i in agents)
    trace = np.asarray(found.trace)[: int(found.steps)]
    status = _status(game, asked, float(residuals.max()), trace, lost)
    branch = Branch.UNIQUE if unique else Branch.PRINCIPAL if traced else Branch.UNLABELLED
    return _solution(
        game,
        asked,
        tuple(to_public(np.asarray(p), game.state_shape) for p in found.policies),
        public_q,
        tuple(np.asarray(v).reshape(game.state_shape) for v in found.values),
        residuals,
        status,
        branch,
        trace,
        int(found.steps),
        tuple(notes),
    )


def solve_many(
    game: MarkovGame, model: Model, asked: Request, levels: np.ndarray, progress: Callable[[float], None] | None
) -> tuple[Solution, ...]:
    """Solve a finite horizon (or independent one-shot games) at increasing precisions, each from the ones before.

    Stage games proved to have one equilibrium are continued from one beta to the next: their logits are extrapolated
    through the last few betas and corrected by Newton's method. For many betas this is done at Chebyshev nodes only;
    between them logits are interpolated, which solves most games to rounding. All other stage games are traced from
    uniform play at every beta, as in `solve`: their later stages' values move with beta, and with them their branches.
    """
    logits_bytes = 8 * (asked.horizon or 1) * sum(game.action_counts) * game.number_of_states
    interpolate = levels.size > 2 * NODES and logits_bytes * NODES < NODE_BYTES
    nodes = _chebyshev(float(levels[0]), float(levels[-1])) if interpolate else levels
    known: list[Known] = []
    solutions = []
    for node in nodes:
        records = _records(model, _at_beta(asked, float(node)), guess=_polynomial(known[-EXTRAPOLATION:], float(node)))
        known.append((float(node), [r.logits for r in records]))
        if not interpolate:
            known = known[-EXTRAPOLATION:]
            solutions.append(_finite_solution(game, _at_beta(asked, float(node)), records))
            if progress is not None:
                progress(len(solutions) / levels.size)
    for level in levels if interpolate else ():
        records = _records(model, _at_beta(asked, float(level)), guess=_polynomial(known, float(level)))
        solutions.append(_finite_solution(game, _at_beta(asked, float(level)), records))
        if progress is not None:
            progress(len(solutions) / levels.size)
    return tuple(solutions)


Known = tuple[float, list[tuple[np.ndarray, ...]]]
"""A beta, and the logits [A_i, S] of every stage and agent there."""


def _at_beta(asked: Request, level: float) -> Request:
    return replace(asked, beta=np.full(asked.beta.shape, level), method="auto")


def _chebyshev(low: float, high: float) -> np.ndarray:
    """Chebyshev-Lobatto nodes, increasing: interpolation through them does not amplify rounding."""
    return 0.5 * (low + high) - 0.5 * (high - low) * np.cos(np.pi * np.arange(NODES) / (NODES - 1))


def _polynomial(known: list[Known], level: float):
    """Centred logits at a beta, by Lagrange's polynomial in beta through known ones; None without any."""
    if not known:
        return None
    betas = np.array([b for b, _ in known])
    weights = [np.prod([(level - other) / (b - other) for other in betas if other != b]) for b in betas]

    def at(time: int) -> tuple[np.ndarray, ...]:
        stages = [logits[time] for _, logits in known]
        return tuple(np.tensordot(weights, np.stack(own), axes=1) for own in zip(*stages, strict=True))

    return at


# ---------------------------------------------------------------------- judging and recording


def _status(game: MarkovGame, asked: Request, residual: float, trace: np.ndarray, lost: bool) -> Status:
    if residual <= asked.tol:
        return Status.CONVERGED
    largest = request.payoff_bound(game, asked.beta, asked.discount, asked.horizon, asked.value)
    # What rounding explains is not yet an answer: logits beta Q must be known to a tenth, and Q to six digits.
    steepest = max(float(asked.beta.max()), 1e-300)
    meaningful = min(0.1 / steepest, 1e-6 * largest)
    if residual <= min(16 * request.rounding(game, asked.beta, largest), meaningful):
        return Status.PRECISION
    if lost:
        return Status.LOST
    return Status.CYCLING if _cycles(trace) else Status.STEPS


def _cycles(trace: np.ndarray) -> bool:
    """Whether residuals have stopped falling, or fall towards something else than zero.

    From three quarters of the trace: what falls geometrically to zero, however slowly, keeps its ratio.
    """
    quarter = trace.size // 4
    if quarter < 10:
        return False
    a, b, c = (float(np.nanmin(trace[k * quarter : (k + 1) * quarter])) for k in (1, 2, 3))
    if c <= 0.5 * a:
        return False
    return b - c <= 0.5 * (a - b) * c / b


def _solution(
    game: MarkovGame,
    asked: Request,
    policy: tuple[np.ndarray, ...],
    q: tuple[np.ndarray, ...],
    values: tuple[np.ndarray, ...],
    residuals: np.ndarray,
    status: Status,
    branch: Branch,
    trace: np.ndarray,
    steps: int,
    notes: tuple[str, ...],
) -> Solution:
    return Solution(
        game=game,
        policy=PerAgent(game.agents, policy),
        q=PerAgent(game.agents, q),
        value=PerAgent(game.agents, values),
        residual=float(residuals.max()),
        residuals=residuals,
        status=status,
        branch=branch if status in (Status.CONVERGED, Status.PRECISION) else Branch.UNLABELLED,
        trace=trace,
        steps=steps,
        notes=notes,
        parameters=Parameters(
            beta=tuple(map(float, asked.beta)),
            discount=tuple(map(float, asked.discount)),
            horizon=asked.horizon,
            value=asked.value,
            method=asked.method,
            damping=asked.damping,
            tol=asked.tol,
            max_steps=asked.max_steps,
            order=asked.order,
        ),
        certifier=certify,
    )


# ---------------------------------------------------------------------- other equilibria


def _with_others(
    game: MarkovGame, model: Model, asked: Request, first: Solution, restarts: int, random: np.random.Generator
) -> Solution:
    """Newton's method from random play, `restarts` times; distinct converged answers are kept."""
    search = replace(asked, method="newton")
    known = [first]
    for _ in range(restarts):
        found = _from_random_play(game, model, search, random)
        if found.converged and all(distance(found, other) > DISTINCT for other in known):
            known.append(found)
    note = f"{restarts} random restarts found {len(known) - 1} other equilibria"
    return replace(first, others=tuple(known[1:]), notes=(*first.notes, note))


def _from_random_play(game: MarkovGame, model: Model, asked: Request, random: np.random.Generator) -> Solution:
    def logits(_: int) -> tuple[np.ndarray, ...]:
        width = random.choice([1.0, 3.0, 10.0])
        drawn = []
        for mask in model.legal:
            full = np.broadcast_to(np.asarray(mask), (mask.shape[0], *model.state_shape)).reshape(mask.shape[0], -1)
            drawn.append(np.where(full, random.normal(scale=width, size=full.shape), 0.0))
        return tuple(drawn)

    if asked.horizon is not None or (asked.discount == 0).all():
        return _finite(game, model, asked, None, None, logits=logits)
    beta = np.maximum(asked.beta, 1e-12)
    q = tuple(
        jax.device_put(z.reshape(z.shape[0], *model.state_shape) / b) for z, b in zip(logits(0), beta, strict=True)
    )
    return _stationary(game, model, asked, q, 0, None)


def distance(a: Solution, b: Solution) -> float:
    """Largest difference of a probability between two solutions of one game."""
    return max(float(np.abs(a.policy[i] - b.policy[i]).max()) for i in range(len(a.policy)))
