"""What learners and their judges cannot use is named in one sentence, before anybody waits.

The type checker of the tests would say so first: what is of a wrong type is tried in a process of its own, without it.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

import quantal as qt
from quantal import ParameterError
from quantal.baselines import FMQ, QLearning, signal_gain
from quantal.baselines.comparison import named_apart

CASES = {
    "game: expected a MarkovGame, such as": [
        f"{call.format(game)}"
        for game in ("None", "'grid-one'", "np.eye(2)")
        for call in (
            "train({}, QLearning(), steps=5)",
            "nash_q({}, steps=5)",
            "compare({}, ['q-learning'])",
            "fictitious_play({})",
            "model_based({}, Nash())",
        )
    ],
    "expected a rule for stage games": [
        f"model_based(GAME, {rule})" for rule in ("None", "'u'", "3", "Correlated", "QLearning()")
    ],
    "expected a positive number, in units of payoff": [
        f"model_based(GAME, Nash(), tol={tol})" for tol in ("0", "-1.0", "np.nan", "np.inf", "'small'", "True")
    ],
    "expected a number, 0 <= weight <= 1": [
        f"nscp_learner(weight={weight})" for weight in ("None", "-0.1", "1.1", "np.nan", "'a'", "True")
    ],
    "expected a finite number >= 0": [
        f"{make}({number})"
        for number in ("None", "'a'", "[1]", "np.nan", "-1", "True")
        for make in ("Constant", "PerVisit", "FMQ")
    ],
    "expected a function of the share done": ["train(GAME, QLearning(), steps=5, progress=3)"],
    "payoffs: expected one array of numbers per agent": [
        f"correlated_equilibrium({payoffs})"
        for payoffs in ("None", "3", "['a']", "[np.eye(2) * 1j] * 2", "[[[1, 2], [3]]] * 2")
    ],
    "legal=3: expected one mask per agent": ["correlated_equilibrium([np.eye(2)] * 2, 'u', 3)"],
    "payoffs, joint: expected one array of numbers per agent": [
        "correlated_violation(None, None)",
        "coarse_violation([np.eye(2)] * 2, 'a')",
    ],
    "payoffs, joint: expected arrays of one shape": [
        "correlated_violation([np.eye(2)] * 2, np.eye(3))",
        "correlated_violation([], np.eye(2))",
        "coarse_violation([np.eye(2)] * 3, np.eye(2))",
    ],
    "joint: expected probabilities": [
        "correlated_violation([np.eye(2)] * 2, -np.eye(2))",
        "coarse_violation([np.eye(2)] * 2, np.full((2, 2), np.nan))",
    ],
    "signal_gain: game: expected a MarkovGame": ["signal_gain(None, np.eye(2), 0.9)"],
    "expected what a learner of quantal.baselines learned": ["joint_play(None)", "joint_play(3)"],
    "expected one of agent1, agent2, or its number": ["joint_play(EACH, 'zz')", "joint_play(EACH, 5)"],
    "in which the first agent has 4 actions": ["separated(None, GAME)"],
    "events=3: expected": ["compare(GAME, ['q-learning'], events=3)"],
    "events['a']: expected finite numbers over (*states, *actions)": [
        f"compare(GAME, ['q-learning'], events={{'a': {event}}})"
        for event in ("np.zeros(7)", "'x'", "np.full((3, 2, 2), np.nan)", "None")
    ],
    "Q-learning is named twice": [
        "compare(GAME, ['q-learning', 'q-learning'])",
        "compare(GAME, [QLearning(), 'q-learning'])",
    ],
    "seeds: expected at least one": ["compare(GAME, ['fictitious-play'], ())"],
    "seeds: expected at most 100,000": ["compare(GAME, ['jal'], range(10**12))"],
    "seed='x': expected a whole number": ["compare(GAME, ['fictitious-play'], ('x',))"],
    "steps=0: expected a whole number >= 1": ["compare(GAME, ['fictitious-play'], steps=0)"],
    "expected one of the two": ["compare(GAME, ['fictitious-play'], steps=5, episodes=5)"],
}

SCRIPT = """
import json, sys, types
import numpy as np
import quantal as qt
from quantal.baselines import *

GAME = qt.games.random.stochastic(3, 2, 2, seed=1)
EACH = types.SimpleNamespace(game=GAME, joint=None, favourites={}, method="lCE-Q")
found = []
for case in json.load(sys.stdin):
    try:
        eval(case)
        found.append("nothing was wrong")
    except qt.ParameterError as error:
        found.append(str(error))
    except Exception as error:
        found.append(repr(error))
print(json.dumps(found))
"""


def test_what_cannot_be_used_is_named():
    cases = [(said, case) for said, several in CASES.items() for case in several]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([case for _, case in cases]),
        capture_output=True,
        text=True,
        check=True,
    )
    wrong = {
        case: found for (said, case), found in zip(cases, json.loads(done.stdout), strict=True) if said not in found
    }
    assert not wrong


def test_joint_play_has_no_end_without_a_discount():
    # With a discount of 1 its sweeps would go on for ever.
    game, even = qt.games.random.stochastic(3, 2, 2, seed=1), np.full((3, 2, 2), 0.25)
    for discount in (1.0, (0.5, 1.0), -0.1):
        with pytest.raises(ParameterError, match="0 <= discount < 1: joint play has no end"):
            signal_gain(game, even, discount)
    with pytest.raises(ParameterError, match=r"\(3, 2, 2\): got shape \(2, 2\)"):
        signal_gain(game, np.eye(2), 0.9)


def test_learners_of_one_name_are_numbered():
    assert named_apart([QLearning(0.1), FMQ(), QLearning(0.2)]) == ["Q-learning 1", "FMQ", "Q-learning 2"]
