"""Grid games I and II: rules cell by cell, then the scores that they were checked against."""

import itertools

import numpy as np
import pytest
from tests.games.loops import Table, legal_at, mge_f, most_probable, reward_at, score, successors_at

from quantal.errors import GameError
from quantal.games import grid

ONE = {
    (size, collisions): grid.game_one(size, collisions) for size in ("2x2", "3x3") for collisions in ("enter", "bounce")
}
TWO = grid.game_two()
ALL = [*ONE.values(), grid.game_one(swaps_collide=True), TWO]


def start_of(game):
    return tuple(int(k) for k in np.unravel_index(game.start.argmax(), game.start.shape))


def play(game, state, *names):
    """Rewards and [(probability, next state)] of a joint action given by names."""
    joint = [game.actions[i].index(name) for i, name in enumerate(names)]
    assert all(a in allowed for a, allowed in zip(joint, legal_at(game, state), strict=True))
    return (
        [reward_at(game, i, state, joint) for i in range(2)],
        sorted(successors_at(game, state, joint)),
    )


def plays(game):
    """Every legal (state, joint action)."""
    for state in np.ndindex(*game.state_shape):
        for joint in itertools.product(*legal_at(game, state)):
            yield state, joint


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_games_are_labelled_and_drawn(game):
    assert not game.product  # moves are joint: collisions bounce, games end
    assert game.agents == ("A", "B")
    assert game.actions == (("left", "right", "up", "down", "stay"),) * 2
    n = game.state_shape[0]
    assert [c.shape for c in game.coordinates] == [(n, 2)] * 2
    assert game.state_labels[0][0] == "r0c0"
    assert game.picture.startswith("+---+---+")
    assert "A" in game.picture
    assert "B" in game.picture
    assert game.start.max() == 1


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_nobody_moves_further_than_a_cell(game):
    where = game.coordinates[0]
    for state, joint in plays(game):
        found = successors_at(game, state, joint)
        assert sum(p for p, _ in found) == pytest.approx(1, abs=1e-12)
        for _, after in found:
            for i in range(2):
                assert np.abs(where[after[i]] - where[state[i]]).sum() <= 1


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_what_is_over_pays_nothing(game):
    over = np.argwhere(game.absorbing)
    assert len(over)
    for state in over:
        allowed = legal_at(game, tuple(state))
        # One joint action is left, and it is "stay".
        assert [[game.actions[i][a] for a in own] for i, own in enumerate(allowed)] == [["stay"]] * 2
        for i in range(2):
            assert reward_at(game, i, tuple(state), [own[0] for own in allowed]) == 0


def mirrored(game, state, joint):
    """The same play with A and B swapped: left and right for 3x3, up and down for 2x2."""
    n = game.state_shape[0]
    side = 2 if n == 4 else 3
    flip = {"left": "right", "right": "left"} if side == 3 else {"up": "down", "down": "up"}
    names = game.actions[0]

    def cell(k):
        x, y = k % side, k // side
        return (side - 1 - x) + side * y if side == 3 else x + side * (side - 1 - y)

    swapped = [names.index(flip.get(names[a], names[a])) for a in reversed(joint)]
    return tuple(cell(k) for k in reversed(state)), swapped


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_both_agents_play_the_same_game(game):
    for state, joint in plays(game):
        image, same = mirrored(game, state, joint)
        for i in range(2):
            mine, theirs = reward_at(game, i, state, joint), reward_at(game, 1 - i, image, same)
            assert mine == pytest.approx(theirs, abs=1e-12)
        there = {mirrored(game, s, joint)[0]: p for p, s in successors_at(game, state, joint)}
        assert there == pytest.approx({s: p for p, s in successors_at(game, image, same)})


# --------------------------------------------------------------------------- game I

# On 2x2: 0 B's start, 1 goal a, 2 A's start, 3 goal b.


def test_start_and_goals_of_game_one():
    for collisions in ("enter", "bounce"):
        assert start_of(ONE["2x2", collisions]) == (2, 0)
        assert start_of(ONE["3x3", collisions]) == (6, 8)
        assert ONE["2x2", collisions].absorbing[1, 3]
        assert ONE["3x3", collisions].absorbing[2, 0]
        assert ONE["2x2", collisions].absorbing.sum() == 1
        assert ONE["3x3", collisions].absorbing.sum() == 1


def test_a_goal_pays_thirty_once():
    game = ONE["2x2", "enter"]
    assert play(game, (3, 0), "up", "stay") == ([30, 0], [(1, (1, 0))])
    # A is there: it can only stay, and gets nothing more.
    assert play(game, (1, 0), "stay", "stay") == ([0, 0], [(1, (1, 0))])
    assert [game.actions[0][a] for a in legal_at(game, (1, 0))[0]] == ["stay"]


def test_who_has_arrived_is_not_in_the_way():
    for game in (ONE["2x2", "enter"], ONE["2x2", "bounce"]):
        assert play(game, (1, 0), "stay", "right") == ([0, 0], [(1, (1, 1))])
        assert play(game, (1, 1), "stay", "down") == ([0, 30], [(1, (1, 3))])


def test_a_collision_costs_each_a_point():
    # A moves into B, who stays: entered, or both where they were.
    assert play(ONE["2x2", "enter"], (2, 0), "up", "stay") == ([-1, -1], [(1, (0, 0))])
    assert play(ONE["2x2", "bounce"], (2, 0), "up", "stay") == ([-1, -1], [(1, (2, 0))])
    # Both move into one cell.
    assert play(ONE["3x3", "enter"], (6, 8), "right", "left") == ([-1, -1], [(1, (7, 7))])
    assert play(ONE["3x3", "bounce"], (6, 8), "right", "left") == ([-1, -1], [(1, (6, 8))])
    # At A's goal: entered, A has its 30 as well; bounced, nobody arrives.
    assert play(ONE["2x2", "enter"], (3, 0), "up", "right") == ([29, -1], [(1, (1, 1))])
    assert play(ONE["2x2", "bounce"], (3, 0), "up", "right") == ([-1, -1], [(1, (3, 0))])
    # Who stays together collides again.
    assert play(ONE["2x2", "enter"], (0, 0), "stay", "stay") == ([-1, -1], [(1, (0, 0))])
    assert play(ONE["2x2", "enter"], (0, 0), "right", "down") == ([30, 0], [(1, (1, 2))])


def test_swapping_is_a_collision_only_if_asked_for():
    assert play(ONE["2x2", "bounce"], (2, 0), "up", "down") == ([0, 0], [(1, (0, 2))])
    strict = grid.game_one("2x2", "bounce", swaps_collide=True)
    assert play(strict, (2, 0), "up", "down") == ([-1, -1], [(1, (2, 0))])
    strict = grid.game_one("2x2", "enter", swaps_collide=True)
    assert play(strict, (2, 0), "up", "down") == ([-1, -1], [(1, (0, 2))])


def test_unknown_variants_are_refused():
    with pytest.raises(GameError, match="size: expected one of 2x2, 3x3: got '4x4'"):
        grid.game_one("4x4")
    with pytest.raises(GameError, match="collisions: expected 'enter' or 'bounce': got 'crash'"):
        grid.game_one("2x2", "crash")


# --------------------------------------------------------------------------- game II

# 0 1 2 / 3 4 5 / 6 7 8: A starts at 6, B at 8, the goal is 1.


def test_start_and_end_of_game_two():
    assert start_of(TWO) == (6, 8)
    # The game is over when anyone is at the goal, and only then.
    for state in np.ndindex(9, 9):
        assert TWO.absorbing[state] == (1 in state)


def test_barriers_hold_half_of_the_time():
    quarter = [(0.25, (3, 5)), (0.25, (3, 8)), (0.25, (6, 5)), (0.25, (6, 8))]
    assert play(TWO, (6, 8), "up", "up") == ([0, 0], quarter)
    assert play(TWO, (6, 8), "up", "stay") == ([0, 0], [(0.5, (3, 8)), (0.5, (6, 8))])
    # Only one's own, and only upwards.
    assert play(TWO, (6, 8), "right", "stay") == ([0, 0], [(1, (7, 8))])
    assert play(TWO, (8, 6), "up", "up") == ([0, 0], [(1, (5, 3))])
    assert play(TWO, (3, 8), "down", "stay") == ([0, 0], [(1, (6, 8))])


def test_the_goal_pays_two_to_each_who_is_there():
    assert play(TWO, (4, 8), "up", "stay") == ([2, 0], [(1, (1, 8))])
    assert play(TWO, (4, 0), "up", "right") == ([2, 2], [(1, (1, 1))])
    # Where the barrier decides who is there, the reward is the expected one.
    assert play(TWO, (4, 8), "up", "up") == ([2, 0], [(0.5, (1, 5)), (0.5, (1, 8))])


def test_collisions_bounce():
    assert play(TWO, (6, 8), "right", "left") == ([-1, -1], [(1, (6, 8))])
    assert play(TWO, (3, 4), "right", "stay") == ([-1, -1], [(1, (3, 4))])
    assert play(TWO, (3, 4), "right", "left") == ([0, 0], [(1, (4, 3))])
    # B comes for A's cell, and A leaves it through the barrier half of the time.
    rewards, after = play(TWO, (6, 7), "up", "left")
    assert rewards == [-0.5, -0.5]
    assert after == [(0.5, (3, 6)), (0.5, (6, 7))]


# --------------------------------------------------------------------------- the paper's numbers


def scores(game, horizon, nudge=0.0):
    """Exact expected scores of sampled and of most-probable-action play."""
    stages, _ = mge_f(game, horizon, damping=0.1, nudge=nudge)
    assert max(residual.max() for *_, residual in stages) < 1e-10
    legal = Table(game).legal
    best = [[most_probable(q, m) for q, m in zip(qs, legal, strict=True)] for qs, _, _ in stages]
    return score(game, [p for _, p, _ in stages]), score(game, best)


@pytest.mark.parametrize(
    ("game", "horizon", "expected"),
    [
        (ONE["2x2", "enter"], 3, 29.62),  # the paper: 29.6
        (ONE["2x2", "bounce"], 3, 29.69),
        (ONE["3x3", "enter"], 8, 29.47),
    ],
    ids=["2x2 enter", "2x2 bounce", "3x3 enter"],
)
def test_scores_of_game_one(game, horizon, expected):
    sampled, _ = scores(game, horizon)
    assert sampled == pytest.approx([expected] * 2, abs=0.005)


@pytest.mark.parametrize(
    ("game", "horizon", "expected"),
    [
        (ONE["3x3", "bounce"], 8, (29.6004, 29.6027)),
        (grid.game_one("2x2", "bounce", swaps_collide=True), 3, (29.6056, 29.6162)),
    ],
    ids=["3x3", "2x2, swaps collide"],
)
def test_agents_that_bounce_may_agree_on_who_yields(game, horizon, expected):
    # Where the agents are told apart by next to nothing, damped iteration leaves the symmetric equilibrium
    # (29.39 and 20.01 each) for one of two others, which are better for both.
    sampled, _ = scores(game, horizon, nudge=1e-6)
    assert sorted(sampled) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("horizon", "expected"), [(3, 1.00), (4, 1.25), (5, 1.3125), (6, 1.328125)])
def test_most_probable_play_of_game_two_tends_to_four_thirds(horizon, expected):
    # Both push up until one has passed: 2 x 3/4 with probability 2/3 each, so 4/3 in the limit.
    _, best = scores(TWO, horizon)
    assert best == pytest.approx([expected] * 2, abs=1e-9)
