"""Pursuit games: the rules of Section 7, and the numbers that the graph was reconstructed from."""

import numpy as np
import pytest
from tests.games.loops import Table, mge_f, most_probable, score

from quantal.errors import GameError
from quantal.games import pursuit


def arrows(game, agent):
    """All legal moves of an agent, as (from, to) pairs."""
    legal = game.legal[agent].reshape(9, -1)
    table = game.dynamics.successors[agent][..., 0]
    return {(k, int(table[k, a])) for k, a in np.argwhere(legal)}


def apart(a, b):
    """Steps between two nodes across and down."""
    return abs(a % 3 - b % 3), abs(a // 3 - b // 3)


TWO = [pursuit.two_players(), pursuit.two_players("orthogonal")]
ALL = [*TWO, pursuit.three_players(), pursuit.one_step()]


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_moves_stay_on_the_graph_and_go_both_ways(game):
    for agent in range(game.number_of_agents):
        found = arrows(game, agent)
        # Everyone may stay; whatever leads there leads back.
        assert {(k, k) for k in range(9)} <= found
        assert found == {(b, a) for a, b in found}
        assert all(max(apart(a, b)) <= 1 for a, b in found)


@pytest.mark.parametrize("game", ALL, ids=lambda game: game.name)
def test_games_are_labelled_and_drawn(game):
    assert game.product
    assert game.dynamics.deterministic
    assert game.name
    assert "0 -- 1 -- 2" in game.picture
    assert [c.shape for c in game.coordinates] == [(9, 2)] * game.number_of_agents
    assert game.coordinates[0][5].tolist() == [2, 1]
    assert all(names[-1] == "stay" for names in game.actions)


def test_red_arrows_are_the_orthogonal_neighbours():
    red = arrows(pursuit.three_players(), 0)
    assert red == {(a, b) for a in range(9) for b in range(9) if sum(apart(a, b)) <= 1}
    assert len(red) == 9 + 24


def test_black_arrows_are_the_diagonals_unless_told_otherwise():
    black = {(a, b) for a in range(9) for b in range(9) if apart(a, b) in [(0, 0), (1, 1)]}
    assert arrows(TWO[0], 1) == black
    assert arrows(TWO[1], 1) == arrows(TWO[1], 0) == arrows(TWO[0], 0)


def test_a_move_without_an_arrow_is_illegal_not_stay():
    game = pursuit.three_players()
    left = game.actions[0].index("left")
    assert not game.legal[0].reshape(9, 5)[0, left]
    # 24 arrows of 36 moves are legal.
    assert game.legal[0].reshape(9, 5)[:, :4].sum() == 24


def test_the_preys_arrows_may_be_given():
    ring = [(0, 1), (1, 2), (2, 5), (5, 8), (8, 7), (7, 6), (6, 3), (3, 0), (4, 4)]
    game = pursuit.two_players(ring)
    assert arrows(game, 1) == {*ring, *((k, k) for k in range(9))}
    assert game.actions[1] == ("left", "right", "up", "down", "stay")
    assert "8 -> 7" in game.picture
    # The same as a mapping from each node to its successors.
    same = pursuit.two_players({a: [b] for a, b in ring})
    assert arrows(same, 1) == arrows(game, 1)
    assert same.actions == game.actions


def test_arrows_that_join_no_neighbours_are_named_by_their_target():
    game = pursuit.two_players([(0, 8), (4, 0), (4, 5), (5, 8)])
    assert game.actions[1] == ("right", "down", "up-left", "to 8", "stay")
    assert (0, 8) in arrows(game, 1)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: pursuit.two_players("sideways"), ["prey_arrows", "'diagonal'", "'sideways'"]),
        (lambda: pursuit.two_players([(0, 9)]), ["0 -> 9", "0..8"]),
        (lambda: pursuit.two_players({-1: [0]}), ["-1 -> 0", "0..8"]),
        (lambda: pursuit.three_players(start=(0, 9, 1)), ["start", "h1, h2, p", "(0, 9, 1)"]),
        (lambda: pursuit.two_players(start=(0,)), ["start", "h, p", "(0,)"]),
    ],
)
def test_what_makes_no_sense_is_refused(ask, words):
    with pytest.raises(GameError) as error:
        ask()
    for word in words:
        assert word in str(error.value)


def test_a_hunt_is_a_step_in_which_both_are_on_one_node():
    game = TWO[0]
    for h, p in np.ndindex(9, 9):
        hunt = 0.4 if h == p else 0.0
        assert game.rewards[0][h, p, 0, 0] == hunt
        assert game.rewards[1][h, p, 0, 0] == -hunt
    # The paper gives no final reward; one may be asked for.
    assert not game.final_rewards[0].any()
    final = pursuit.two_players(final_reward=0.4).final_rewards
    assert np.array_equal(final[0], 0.4 * np.eye(9))
    assert np.array_equal(final[1], -0.4 * np.eye(9))


def test_rewards_of_three():
    game = pursuit.three_players()
    for h1, h2, p in np.ndindex(9, 9, 9):
        # The paper's four cases, one after the other.
        if h1 not in (h2, p):
            expected = 0.0
        elif h1 == h2 != p:
            expected = -15 / 4
        elif h1 == h2 == p:
            expected = -10 / 4
        else:
            expected = 5 / 4
        assert game.rewards[0][h1, h2, p].item() == expected
        assert game.rewards[1][h2, h1, p].item() == expected
        assert game.rewards[2][h1, h2, p].item() == (0.0 if p not in (h1, h2) else -1 / 8)
    for reward, final in zip(game.rewards, game.final_rewards, strict=True):
        assert np.array_equal(reward.reshape(9, 9, 9), final)


def test_starts():
    assert np.allclose(pursuit.three_players().start, 1 / 729)
    assert np.allclose(TWO[0].start, 1 / 81)
    assert pursuit.three_players(start=pursuit.I1).start[0, 8, 4] == 1
    assert pursuit.one_step().start[1, 5, 2] == 1
    assert pursuit.two_players(start=(3, 4)).start[3, 4] == 1


# --------------------------------------------------------------------------- the paper's numbers


@pytest.mark.parametrize(("game", "sampled", "best"), [(TWO[0], 2.57, 0.18), (TWO[1], 2.50, 0.11)])
def test_hunts_in_the_two_player_game(game, sampled, best):
    # Exact expectation over uniform starts, T = 22; the score is 0.4 a hunt.
    stages, value = mge_f(game, 22)
    assert value[:, 0].mean() / 0.4 == pytest.approx(sampled, abs=0.005)
    assert score(game, [p for _, p, _ in stages])[0] == pytest.approx(value[:, 0].mean(), abs=1e-9)
    legal = Table(game).legal
    plans = [[most_probable(q, m) for q, m in zip(qs, legal, strict=True)] for qs, _, _ in stages]
    assert score(game, plans)[0] / 0.4 == pytest.approx(best, abs=0.005)


def policy_at(policies, game, agent, start):
    row = policies[agent][np.ravel_multi_index(start, game.state_shape)]
    return dict(zip(game.actions[agent], row.tolist(), strict=True))


@pytest.mark.parametrize(
    ("value", "at_one", "at_two", "prey"),
    [
        ("expected", (0.3513, 0.2974), (0.4503, 0.3005, 0.2492), (0.1980, 0.3270, 0.3459)),
        ("greedy", (0.3652, 0.2695), (0.4658, 0.2870, 0.2471), (0.1973, 0.3272, 0.3456)),
    ],
)
def test_figure_4(value, at_one, at_two, prey):
    # The graph is reconstructed; these numbers are what it was reconstructed from (MODEL.md, section 5).
    # A few stage games converge slowly, none of them near I1 and I2.
    game = pursuit.three_players()
    (_, first, _), *_ = mge_f(game, 3, value=value, damping=0.4, sweeps=500)[0]
    h1 = policy_at(first, game, 0, pursuit.I1)
    assert (h1["right"], h1["down"], h1["stay"]) == pytest.approx((at_one[0], at_one[0], at_one[1]), abs=5.1e-5)
    h1 = policy_at(first, game, 0, pursuit.I2)
    assert (h1["right"], h1["stay"], h1["down"]) == pytest.approx(at_two, abs=5.1e-5)
    p = policy_at(first, game, 2, pursuit.I1)
    for move in ("left", "right", "up", "down"):
        assert p[move] == pytest.approx(prey[0], abs=5.1e-5)
    p = policy_at(first, game, 2, pursuit.I2)
    assert (p["left"], p["down"], p["stay"]) == pytest.approx((prey[1], prey[1], prey[2]), abs=5.1e-5)


def test_in_the_one_step_case_nobody_moves():
    game = pursuit.one_step()
    ((_, policies, _),), _ = mge_f(game, 1)
    for agent, expected in enumerate((0.396, 0.396, 0.335)):
        policy = policy_at(policies, game, agent, pursuit.ONE_STEP)
        assert max(policy, key=policy.get) == "stay"
        assert policy["stay"] == pytest.approx(expected, abs=5e-4)
