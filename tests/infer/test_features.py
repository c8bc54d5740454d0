"""Features on the axes of a game's rewards, against loops over cells."""

import itertools

import numpy as np
import pytest

import quantal as qt

wants = qt.infer.features


@pytest.fixture(scope="module")
def pursuit():
    return qt.games.pursuit.two_players()


def full(feature, game):
    return np.broadcast_to(feature.values, game.state_shape + game.action_counts)


def test_collision_is_being_in_one_cell(pursuit):
    for i in (0, 1):
        found = full(wants.collision(pursuit, i), pursuit)
        for x in np.ndindex(9, 9):
            assert (found[x] == (x[0] == x[1])).all()
    three = qt.games.pursuit.three_players()
    found = wants.collision(three, "h1").values
    for x in np.ndindex(9, 9, 9):
        assert found[(*x, 0, 0, 0)] == (x[0] == x[1]) + (x[0] == x[2])
    assert wants.collision(three, "h1", ["p"]).values[4, 0, 4, 0, 0, 0] == 1


def test_distance_in_steps_is_the_shortest_legal_way(pursuit):
    # The hunter moves to orthogonal neighbours on a 3x3 grid: |dx| + |dy| steps, which is "blocks", too.
    steps = full(wants.distance(pursuit, "h", "p"), pursuit)[..., 0, 0]
    blocks = full(wants.distance(pursuit, "h", "p", metric="blocks"), pursuit)[..., 0, 0]
    straight = full(wants.distance(pursuit, "h", "p", metric="straight"), pursuit)[..., 0, 0]
    for a, b in itertools.product(range(9), repeat=2):
        dx, dy = abs(a % 3 - b % 3), abs(a // 3 - b // 3)
        assert steps[a, b] == blocks[a, b] == dx + dy
        assert straight[a, b] == pytest.approx(np.hypot(dx, dy))
    # The prey sees the same from its own axis; to a cell only the own axis counts.
    prey = wants.distance(pursuit, "p", cell="4")
    assert prey.values.shape == (1, 9, 1, 1)
    # By diagonals alone a corner is one step from the middle, which no side ever reaches: one more than the farthest.
    assert prey.values[0, [0, 4, 1], 0, 0].tolist() == [1.0, 0.0, 3.0]


def test_indicators_of_cells_actions_and_both(pursuit):
    at = wants.indicator(pursuit, "p", at=["0", 8])
    assert at.values.shape == (1, 9, 1, 1)
    assert np.flatnonzero(at.values).tolist() == [0, 8]
    stay = pursuit.actions[1].index("stay")
    action = wants.indicator(pursuit, "p", action="stay")
    assert action.values.shape == (1, 1, 1, 5)
    assert np.flatnonzero(action.values).tolist() == [stay]
    both = wants.indicator(pursuit, "p", at=0, action="stay", name="sits")
    assert both.name == "sits"
    assert both.values.sum() == 1
    assert both.values[0, 0, 0, stay] == 1


def test_goal_is_paid_on_arrival_and_waiting_for_staying():
    moves = np.array([[0, 0, 1], [0, 1, 2], [1, 2, 2]])
    kind = qt.Kind("walker", actions=("left", "stay", "right"), successors=moves)
    crowd = qt.CrowdGame(cells=("a", "b", "c"), kinds=[kind], members=[qt.Member("ann", "walker", start="a", goal="c")])
    arrives = wants.goal(crowd, "ann", "c").values
    assert arrives.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert wants.waiting(crowd, "ann").values.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 1]]
    assert wants.distance(crowd, "ann", cell="c").values.ravel().tolist() == [2, 1, 0]
    # Where nothing else can be done, nobody waits: in the exact game, at the goal.
    exact = qt.read_scene("junction").exact()
    waits = wants.waiting(exact, "car 1").values
    goal = exact.state_labels[0].index("r1c0")
    assert waits[goal].max() == 0


def test_a_function_leaves_out_the_axes_that_it_does_not_read(pursuit):
    same = wants.function(pursuit, "h", "together", lambda x, a: x[0] == x[1])
    assert same.values.shape == (9, 9, 1, 1)
    np.testing.assert_array_equal(same.values, wants.collision(pursuit, "h").values)
    assert wants.function(pursuit, "h", "step", lambda x, a: 1).values.shape == (1, 1, 1, 1)


def test_rewards_are_known_plus_weighted(pursuit):
    features = qt.infer.Features.of(
        pursuit, {"p": [wants.collision(pursuit, "p"), wants.indicator(pursuit, "p", action="stay", name="stay")]}
    )
    assert features.labels == ("p: together", "p: stay")
    assert features.counts == (0, 2)
    rewards = features.rewards([2.0, 3.0])
    np.testing.assert_array_equal(rewards[0], pursuit.rewards[0])  # nothing asked about the hunter
    stay = pursuit.actions[1].index("stay")
    assert rewards[1][4, 4, 0, stay] == 5
    assert rewards[1][4, 5, 0, stay] == 3
    kept = qt.infer.Features.of(pursuit, {"p": [wants.collision(pursuit, "p")]}, keep=True)
    np.testing.assert_allclose(kept.rewards(1.0)[1], pursuit.rewards[1] + np.eye(9)[..., None, None])
    for theta in ([2.0, 3.0], [[], [2.0, 3.0]], {"p": [2.0, 3.0]}):
        np.testing.assert_array_equal(features.rewards(theta)[1], rewards[1])
        assert features.flat(theta).tolist() == [2, 3]


def test_the_same_game_comes_back_with_other_rewards(pursuit):
    # The catalogue's rewards are 0.4 and -0.4 of being together: so the game is itself again.
    features = qt.infer.Features.of(pursuit, [[wants.collision(pursuit, i)] for i in (0, 1)])
    again = features.game_with(pursuit, [0.4, -0.4])
    for i in (0, 1):
        np.testing.assert_allclose(again.rewards[i], pursuit.rewards[i], atol=1e-15)
    ours, theirs = (qt.solve(g, beta=1.0, horizon=3) for g in (again, pursuit))
    np.testing.assert_allclose(ours.policy[0], theirs.policy[0], atol=1e-12)


def test_a_crowd_keeps_everything_else():
    crowd = qt.read_scene("junction").crowd()
    features = qt.infer.Features.of(crowd, {"car 3": [wants.waiting(crowd, "car 3")]}, keep=True)
    again = features.game_with(crowd, [0.0])
    assert again.agents == crowd.agents
    assert again.goals == crowd.goals
    for i in range(4):
        mine, theirs = (np.broadcast_to(g.rewards[i], (38, 5))[crowd.kind_of(i).legal] for g in (again, crowd))
        np.testing.assert_array_equal(mine, theirs)
    ours, theirs = (qt.solve(g, beta=3.0, horizon=6) for g in (again, crowd))
    np.testing.assert_allclose(ours.occupancy[2], theirs.occupancy[2], atol=1e-9)


def test_scenes_have_features_of_their_own():
    scene = qt.read_scene("junction")
    for game in (scene.crowd(), scene.exact()):
        features = qt.infer.scene_features(scene, game)
        car = [label.removeprefix("car 1: ") for label in features.labels if label.startswith("car 1: ")]
        assert car[:3] == ["arrives at r1c0", "distance to r1c0", "waits"]
        assert "on zebra" in car
        # What steps and meetings cost is kept: with weights of zero the scene is as it was.
        again = features.rewards(np.zeros(features.number))
        for mine, theirs in zip(again, game.rewards, strict=True):
            np.testing.assert_array_equal(*np.broadcast_arrays(mine, theirs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: wants.indicator(g, "p", at="moon"), "no cell of p 'moon': expected 0..8"),
        (lambda g: wants.indicator(g, "p", action="fly"), "no action of p 'fly'"),
        (lambda g: wants.indicator(g, "fox", at=0), "no agent 'fox'"),
        (lambda g: wants.distance(g, "p"), r"expected to= \(an agent\) or cell="),
        (lambda g: wants.distance(g, "p", "h", metric="miles"), "metric='miles': expected one of"),
        (lambda g: wants.function(g, "p", "odd", lambda x, a: np.zeros(3)), "feature 'odd' of p: expected shape"),
        (lambda g: qt.infer.Features.of(g, {"fox": []}), "no agent 'fox'"),
        (lambda g: qt.infer.Features.of(g, [[]]), "expected one list for each of h, p: got 1"),
        (lambda g: qt.infer.Features.of(g, {"p": [wants.collision(g, "p")] * 2}), "expected names that differ"),
        (
            lambda g: qt.infer.Features.of(g, {"p": [qt.infer.Feature("bad", np.full((1, 1, 1, 1), np.nan))]}),
            r"feature 'bad' of p: got nan at index \(0, 0, 0, 0\): expected finite",
        ),
        (lambda g: qt.infer.Features.of(g, {"p": [wants.collision(g, "p")]}).rewards([1.0, 2.0]), "expected 1 weights"),
        (lambda g: qt.infer.Features.of(g, {"p": [wants.collision(g, "p")]}).rewards({"fox": 1.0}), "no agent 'fox'"),
        (lambda g: qt.infer.Features.of(g, {"p": [wants.collision(g, "p")]}).rewards([np.inf]), "finite weights"),
    ],
)
def test_what_does_not_fit_is_named(pursuit, make, message):
    with pytest.raises((qt.ParameterError, qt.GameError), match=message):
        make(pursuit)
