"""The gap of a forecast to the exact game: none where there is none, and as loops over paths tell it where there is."""

import numpy as np
import pytest
from tests.crowds import loops as crowds

import quantal as qt
from quantal.crowds.game import CrowdGame, Member


def two(weight):
    kind = crowds.grid_kind("k", 2, 2, rewards=np.array([0.0, 0.3, 0.1, 0.6]))
    members = [Member("a", "k", 0, weight=weight, goal=3, goal_reward=1.0), Member("b", "k", 3, weight=weight)]
    return CrowdGame(cells=4, kinds=[kind], members=members)


def test_strangers_have_no_gap():
    found = qt.compare(qt.solve(two(0.0), beta=1.5, horizon=3))
    for table in (found.policy, found.occupancy, found.unseen):
        assert max(float(table[name].max()) for name in ("a", "b")) <= 1e-12


def test_the_gap_is_that_of_paths_enumerated_one_by_one():
    # Every joint path of the exact game by its probability: O(x_i), and pi(a | x_i) averaged over where the other is.
    game, horizon = two(2.0), 3
    found = qt.compare(qt.solve(game, beta=1.5, horizon=horizon))
    exact = found.exact
    labels = exact.game.state_labels
    start = exact.game.start
    joint = {tuple(x): start[tuple(x)] for x in np.argwhere(start > 0)}
    for time in range(horizon + 1):
        for i, name in enumerate(("a", "b")):
            where = np.zeros(4)
            flow, seeing = np.zeros((4, 5)), 0.0
            for x, p in joint.items():
                cell = game.cell_index(labels[i][x[i]])
                where[cell] += p
                if time < horizon:
                    for a, label in enumerate(exact.game.actions[i]):
                        flow[cell, game.actions[i].index(label)] += p * exact.policy[i][(time, *x, a)]
            off = 0.5 * np.abs(where - found.crowd.occupancy[name][time]).sum()
            assert found.occupancy[name][time] == pytest.approx(off, abs=1e-12)
            if time == horizon:
                continue
            average = flow / np.where(where > 0, where, 1)[:, None]
            off = 0.5 * (where[:, None] * np.abs(average - found.crowd.policy[name][time])).sum()
            assert found.policy[name][time] == pytest.approx(off, abs=1e-12)
            for x, p in joint.items():
                cell = game.cell_index(labels[i][x[i]])
                for a, label in enumerate(exact.game.actions[i]):
                    k = game.actions[i].index(label)
                    seeing += 0.5 * p * abs(exact.policy[i][(time, *x, a)] - average[cell, k])
            assert found.unseen[name][time] == pytest.approx(seeing, abs=1e-12)
        if time < horizon:
            after = {}
            for x, p in joint.items():
                for a, b in np.ndindex(exact.policy[0].shape[-1], exact.policy[1].shape[-1]):
                    chance = p * exact.policy[0][(time, *x, a)] * exact.policy[1][(time, *x, b)]
                    if chance > 0:
                        tables = exact.game.dynamics.successors
                        y = (int(tables[0][x[0], a, 0]), int(tables[1][x[1], b, 0]))
                        after[y] = after.get(y, 0.0) + chance
            joint = after
    assert max(found.policy["a"].max(), found.occupancy["a"].max()) > 0.01


def test_a_reference_of_another_length_is_refused():
    game = two(1.0)
    other = qt.compare(qt.solve(game, beta=1.0, horizon=2)).exact
    with pytest.raises(qt.ParameterError, match="horizon 3: got 2 agents, horizon 2"):
        qt.compare(qt.solve(game, beta=1.0, horizon=3), other)


def test_three_agents_have_a_gap_that_grows_with_what_meeting_costs():
    # Each of three sees two others, and what a crowd's policy cannot do with it grows with mu, from nothing. (In two
    # decisions there is nothing to see: where all start is known, and what the last decision leads to costs nobody.)
    kind = crowds.grid_kind("k", 2, 2, rewards=np.array([0.0, 0.3, 0.1, 0.6]))
    gaps = []
    for weight in (0.0, 0.3, 1.0):
        members = [Member(name, "k", start, weight=weight) for name, start in (("a", 0), ("b", 3), ("c", 1))]
        found = qt.compare(qt.solve(CrowdGame(cells=4, kinds=[kind], members=members), beta=1.0, horizon=3))
        assert found.exact.converged
        assert list(found.policy) == ["a", "b", "c"]
        gaps.append([max(table[name].max() for name in "abc") for table in (found.policy, found.unseen)])
    assert max(gaps[0]) <= 1e-12
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2][1] > 0.01


def test_a_comparison_with_no_solution_says_so():
    solution = qt.solve(two(4.0), beta=4.0, horizon=3, max_steps=1)
    assert "the crowd's solution is none" in str(qt.compare(solution))
    assert "is none" not in str(qt.compare(qt.solve(two(1.0), beta=1.0, horizon=2)))
