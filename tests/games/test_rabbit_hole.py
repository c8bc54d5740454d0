"""Rabbit-hole: the map's promises, the rewards, and the behaviour that the paper describes."""

from collections import deque

import numpy as np
import pytest
from tests.games.loops import Table, mge_f, most_probable

from quantal.games import rabbit_hole

GAME = rabbit_hole.game()
MOVES = GAME.dynamics.successors[0][..., 0]
ENTRANCE, PRIZE = rabbit_hole.ENTRANCE, rabbit_hole.PRIZE


def distances(target):
    """Steps from every cell to one."""
    steps = {target: 0}
    queue = deque([target])
    while queue:
        here = queue.popleft()
        for there in MOVES[here]:  # moves go both ways
            if int(there) not in steps:
                steps[int(there)] = steps[here] + 1
                queue.append(int(there))
    return np.array([steps[k] for k in range(len(MOVES))])


def neighbours(cell):
    return {int(k) for k in MOVES[cell]} - {cell}


def test_the_hole_has_one_narrow_entrance():
    # The prize is a dead end behind the entrance, which has one cell of the field before it.
    assert neighbours(PRIZE) == {ENTRANCE}
    assert len(neighbours(ENTRANCE)) == 2


def test_both_can_go_everywhere():
    assert distances(PRIZE).max() > 5
    assert np.array_equal(GAME.legal[0][:, 0], GAME.legal[1][0])


def test_rewards():
    for rabbit, fox in np.ndindex(*GAME.state_shape):
        caught, prize = rabbit == fox, rabbit == PRIZE
        assert GAME.rewards[0][rabbit, fox].item() == pytest.approx(0.3 * prize - 2 * caught)
        assert GAME.rewards[1][rabbit, fox].item() == 2 * caught
        assert GAME.final_rewards[0][rabbit, fox] == GAME.rewards[0][rabbit, fox].item()
        assert GAME.final_rewards[1][rabbit, fox] == GAME.rewards[1][rabbit, fox].item()


def test_both_start_in_the_field_and_apart():
    assert np.trace(GAME.start) == 0
    assert not GAME.start[[ENTRANCE, PRIZE]].any()
    assert not GAME.start[:, [ENTRANCE, PRIZE]].any()
    assert (GAME.start > 0).sum() == 28 * 27


def test_it_is_labelled_and_drawn():
    assert GAME.product
    assert GAME.dynamics.deterministic
    assert GAME.agents == ("rabbit", "fox")
    assert GAME.picture.count("| * |") == GAME.picture.count("| o |") == 1
    # The drawing in the module's docstring is this one.
    drawing = GAME.picture.rsplit("\n", 1)[0]
    assert drawing.replace("\n", "\n    ") in rabbit_hole.__doc__
    assert [c.shape for c in GAME.coordinates] == [(30, 2)] * 2


def test_the_rabbit_enters_when_the_fox_is_far_and_the_fox_closes_in():
    # The paper's two sentences on what was learned, for most probable actions at the first of 12 steps.
    stages, _ = mge_f(GAME, 12)
    qs, _, residual = stages[0]
    assert residual.max() < 1e-10
    best = [most_probable(q, m).reshape(30, 30, -1) for q, m in zip(qs, Table(GAME).legal, strict=True)]
    to_entrance = distances(ENTRANCE)
    (before,) = neighbours(ENTRANCE) - {PRIZE}
    enter = MOVES[before].tolist().index(ENTRANCE)
    for fox in range(30):
        if to_entrance[fox] >= 4:
            assert best[0][before, fox, enter] == 1
        if to_entrance[fox] <= 2:
            assert best[0][before, fox, enter] == 0
    # On the average over starts the fox comes closer to the rabbit, and to the entrance.
    near = {k: distances(k) for k in range(30)}
    closer = np.zeros(2)
    for rabbit, fox in np.argwhere(GAME.start):
        for a, p in enumerate(best[1][rabbit, fox]):
            there = MOVES[fox, a]
            closer += p * np.array([near[rabbit][fox] - near[rabbit][there], to_entrance[fox] - to_entrance[there]])
    closer /= (GAME.start > 0).sum()
    assert closer[0] > 0.9
    assert closer[1] > 0.4
