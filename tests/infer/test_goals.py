"""Goals inferred while agents move, against Bayes' rule by hand, and in the driving scene."""

from dataclasses import replace

import numpy as np
import pytest

import quantal as qt

WRONG = 0.95
"""How sure the observer is of the wrong goal at first."""


@pytest.fixture(scope="module")
def scene():
    return qt.read_scene("junction")


@pytest.fixture(scope="module")
def truth(scene):
    return qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)


def begun(scene):
    """Car 3 comes from the south and turns left in truth (r1c1); the observer thinks that it turns right (r2c8)."""
    return qt.infer.goals(
        scene.crowd(),
        {"car 3": ["r1c1", "r2c8"]},
        beta=scene.beta,
        horizon=scene.horizon,
        prior={"car 3": {"r1c1": 1 - WRONG, "r2c8": WRONG}},
    )


def played(solution, choose):
    """Cells of everyone, time by time."""
    game = solution.game
    places = [int(np.flatnonzero(game.start(i))[0]) for i in range(len(game.agents))]
    yield tuple(places)
    for time in range(solution.horizon):
        for i, place in enumerate(places):
            if place != game.goals[i]:
                action = choose(solution.policy[i][time, place])
                places[i] = int(game.kind_of(i).successors[place, action, 0])
        yield tuple(places)


def fewest_moves(game, agent, cell):
    """Steps from each cell to one, by looking one step further each time."""
    kind, apart = game.kind_of(agent), {cell: 0}
    while True:
        near = {
            x: 1 + min(found)
            for x in range(game.number_of_cells)
            if x not in apart and (found := [apart[y] for y in kind.successors[x][kind.legal[x], 0] if y in apart])
        }
        if not near:
            return apart
        apart |= near


def corrected(scene, truth, choose):
    """How far car 3 had still to go when the truth was believed to 0.95, as a share of its way."""
    beliefs, car = begun(scene), truth.game.agent_index("car 3")
    assert beliefs.posterior["car 3"]["r2c8"] == pytest.approx(WRONG)
    left = fewest_moves(truth.game, car, truth.game.goals[car])
    whole = None
    for places in played(truth, choose):
        beliefs.observe(places)
        whole = whole or left[places[car]]
        if beliefs.posterior["car 3"]["r1c1"] > 0.95:
            return left[places[car]] / whole
    return 0.0


def test_a_wrong_prior_about_a_car_is_corrected_before_it_has_gone_half_its_way(scene, truth):
    assert corrected(scene, truth, np.argmax) > 0.5


def test_and_in_sampled_play_too(scene, truth):
    rng = np.random.default_rng(0)
    shares = [corrected(scene, truth, lambda pi: rng.choice(len(pi), p=pi)) for _ in range(20)]
    # Chance may hide the truth for a step: of 300 plays, 290 gave it away before half the way, and all by then.
    assert min(shares) >= 0.5
    assert np.mean(np.array(shares) > 0.5) >= 0.9


def test_it_is_bayes_rule_on_the_likelihoods_of_two_solutions(scene, truth):
    game, car = truth.game, truth.game.agent_index("car 3")
    members = list(game.members)
    members[car] = replace(members[car], goal=game.cell_index("r2c8"))
    other = qt.solve(
        qt.CrowdGame(
            cells=game.cells, kinds=game.kinds, members=members, kind_weights=game.kind_weights,
            coordinates=game.coordinates,
        ),
        beta=scene.beta,
        horizon=scene.horizon,
    )  # fmt: skip
    beliefs = begun(scene)
    log = np.log([1 - WRONG, WRONG])
    before = None
    for time, places in enumerate(played(truth, np.argmax)):
        beliefs.observe(places)
        if before is not None:
            for k, solution in enumerate((truth, other)):
                for i, (x, y) in enumerate(zip(before, places, strict=True)):
                    if x != solution.game.goals[i]:
                        kind = game.kind_of(i)
                        leads = (kind.successors[x, :, 0] == y) & kind.legal[x]
                        log[k] += np.log(solution.policy[i][time - 1, x][leads].sum())
        before = places
        if time == 3:  # before rounding makes it certain
            break
    odds = np.exp(log - log.max())
    assert beliefs.posterior["car 3"]["r1c1"] == pytest.approx(odds[0] / odds.sum(), rel=1e-9)


def corridor():
    """One walker on five cells; it starts in the middle."""
    moves = np.array([[max(x - 1, 0), x, min(x + 1, 4)] for x in range(5)])
    walker = qt.Kind("walker", actions=("left", "stay", "right"), successors=moves, rewards=np.full(5, -1.0))
    member = qt.Member("ann", "walker", start=2, goal=4, goal_reward=3.0)
    return qt.CrowdGame(cells=5, kinds=[walker], members=[member])


def test_exact_game_and_crowd_agree_about_who_is_alone():
    seen = []
    for exact in (False, True):
        beliefs = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=4, exact=exact)
        for cell in (2, 3, 3, 4):
            beliefs.observe([cell])
        seen.append(beliefs.posterior["ann"]["4"])
        assert beliefs.converged
        assert len(beliefs.history) == 4
    # From where it knows of both, symmetric but for the steps that were seen.
    assert seen[0] == pytest.approx(seen[1], rel=1e-9)
    assert seen[0] > 0.9


def test_actions_that_are_seen_tell_at_once_and_as_much():
    by_cells = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=4)
    by_actions = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=4)
    for cell in (2, 3):
        by_cells.observe([cell])
    by_actions.observe([2], ["right"])
    assert by_actions.posterior["ann"] == pytest.approx(by_cells.posterior["ann"])


def test_rewards_of_a_markov_game_are_goals_too_and_agents_tell_of_each_other():
    # Whoever coordinates follows: row's choice shows what column is thought to want.
    likes = {"left": np.array([[[2.0, 0.0], [2.0, 0.0]]]), "right": np.array([[[0.0, 2.0], [0.0, 2.0]]])}
    game = qt.MarkovGame.normal_form([np.eye(2), np.zeros((2, 2))], agents=("row", "column"))
    beliefs = qt.infer.goals(game, {"column": likes}, beta=2.0, discount=0.0)
    row = [qt.solve(qt.MarkovGame.normal_form([np.eye(2), u[0]]), beta=2.0).policy[0][0, 0] for u in likes.values()]
    column = [np.exp(4) / (1 + np.exp(4)), 1 / (1 + np.exp(4))]
    beliefs.observe("play", [0, 0])
    odds = np.array(row) * column
    assert beliefs.posterior["column"]["left"] == pytest.approx(odds[0] / odds.sum(), rel=1e-9)
    assert beliefs.most_probable == {"column": "left"}


def test_what_cannot_be_is_named_and_a_tremble_survives_it():
    impossible = "decision 0, from 2 to 0: impossible under every hypothesis that is believed in"
    beliefs = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=4)
    beliefs.observe([2])
    with pytest.raises(qt.ParameterError, match=impossible):
        beliefs.observe([0])
    beliefs = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=4, tremble=1e-3)
    beliefs.observe([2])
    beliefs.observe([0])
    assert beliefs.posterior["ann"] == pytest.approx({"0": 0.5, "4": 0.5})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"candidates": {"ann": []}}, "candidates of ann: expected at least one"),
        ({"candidates": {}}, "candidates: expected some for at least one agent"),
        ({"candidates": {"ann": [7]}}, "7"),
        ({"candidates": {"ann": "04"}}, "candidates of ann: expected several, in a list: got '04'"),
        ({"candidates": {"ann": [0, 0]}}, "candidates of ann: expected cells that differ: got 0, 0"),
        ({"candidates": {"bob": [0]}}, "no agent 'bob'"),
        ({"prior": {"ann": [0.5, 0.6]}}, "prior of ann: expected 2 probabilities"),
        ({"prior": {"ann": {"0": 0.5, "3": 0.5}}}, "prior of ann: expected 0, 4: got 0, 3"),
        ({"prior": {"bob": [1.0]}}, "prior: 'bob' has no candidates"),
        ({"tremble": 1.0}, "tremble=1.0: expected a probability below 1"),
        ({"horizon": 0}, "horizon=0"),
    ],
)
def test_what_is_asked_for_is_checked(given, message):
    asked = {"candidates": {"ann": [0, 4]}, "horizon": 4, **given}
    with pytest.raises((qt.ParameterError, qt.GameError), match=message):
        qt.infer.goals(corridor(), asked.pop("candidates"), beta=1.0, **asked)


def test_observations_are_checked():
    beliefs = qt.infer.goals(corridor(), {"ann": [0, 4]}, beta=1.0, horizon=1)
    with pytest.raises(qt.ParameterError, match="no state 'moon'"):
        beliefs.observe(["moon"])
    beliefs.observe([2])
    beliefs.observe([2])
    with pytest.raises(qt.ParameterError, match="decision 1 is after the horizon, 1"):
        beliefs.observe([3])
    beliefs.restart()
    beliefs.observe([2])
    assert beliefs.decisions == 1
