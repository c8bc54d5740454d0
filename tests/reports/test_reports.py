"""Tables, CSV and JSON: that what is written is what is in the record, and can be read again."""

import csv
import json
import math

import numpy as np
import pytest
from rich.console import Console

import quantal as qt
from quantal import experiments, games, rollout
from quantal.errors import GameError
from quantal.experiments.records import Comparison, Reproduction
from quantal.reports import branches, catalogue, paper, plays, solutions, tables


def shown(*parts, width=120):
    """What a user sees in a pipe."""
    screen = Console(width=width, markup=False, highlight=False, emoji=False)
    with screen.capture() as capture:
        for part in parts:
            screen.print(part)
    return capture.get()


@pytest.fixture(scope="module")
def grid():
    return qt.solve(qt.games.grid.game_two(), beta=1.0, horizon=2)


@pytest.fixture(scope="module")
def prisoners():
    payoffs = (np.array([[3.0, 0.0], [5.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]]))
    game = qt.MarkovGame.normal_form(payoffs, agents=("ann", "bob"), actions=(("keep", "break"),) * 2, name="prisoners")
    return qt.solve(game, beta=1.0, discount=0.0)


@pytest.fixture(scope="module")
def path(prisoners):
    return qt.solve_path(prisoners.game, [0.0, 1.0], discount=0.0)


@pytest.fixture
def reproduction():
    rows = (
        Comparison(what="first", labels=("a", "b"), ours=(0.25, 0.75), paper=(0.3, 0.7), value="greedy", play="policy"),
        Comparison(
            what="second",
            labels=("c",),
            ours=(0.5,),
            paper=(0.803,),
            value="expected",
            play="sampled",
            note="a slip",
            misprint=True,
        ),
        Comparison(what="third", labels=("d",), ours=(None,), paper=(2.1,), value="", play="sampled", note="not built"),
    )
    return Reproduction(
        name="x",
        title="An experiment",
        comparisons=rows,
        findings=("It fits.",),
        notes=("Reconstructed: all.",),
        converged=True,
        layout="reconstructed",
        verdict="agrees in part",
        explanation="It fits where it was built.",
    )


# ---------------------------------------------------------------------- states


@pytest.mark.parametrize("text", ["r2c0,r2c2", "6,8", "r2c0, 8"])
def test_states_by_label_or_number(grid, text):
    state = solutions.parse_state(grid.game, text)
    assert state == (6, 8)
    assert solutions.parse_state(grid.game, solutions.state_text(grid.game, state)) == state


def test_labels_come_before_numbers():
    game = games.build("random")  # one axis: labels "0".."7"
    assert solutions.parse_state(game, "3") == (3,)


@pytest.mark.parametrize(
    ("text", "message"),
    [("r2c0", "expected 2 parts"), ("r2c0,r9c9", "no state 'r9c9'"), ("6,99", "out of range")],
)
def test_states_that_are_not_there(grid, text, message):
    with pytest.raises(GameError, match=message):
        solutions.parse_state(grid.game, text)


def test_where_to_look_first(grid, prisoners):
    assert solutions.telling_state(grid) == (6, 8)  # the certain start
    assert solutions.telling_state(prisoners) == (0,)
    # The hunter and the prey may start anywhere alike: shown is a state in which one can see both.
    pursuit = qt.solve(qt.games.pursuit.two_players(), beta=1.0, horizon=1)
    hunter, prey = solutions.telling_state(pursuit)
    assert hunter != prey
    # Uniform starts: where play says most. With one agent that prefers "1" in state 1 alone, that is state 1.
    rewards = np.zeros((3, 2))
    rewards[1, 1] = 2.0
    still = np.broadcast_to(np.eye(3)[:, None], (3, 2, 3))
    game = qt.MarkovGame.from_arrays([rewards], still)
    assert solutions.telling_state(qt.solve(game, beta=1.0, horizon=1)) == (1,)


# ---------------------------------------------------------------------- tables


def test_policy_table(grid):
    text = shown(solutions.policies(grid, (6, 8)))
    assert "(r2c0, r2c2), time 0 (T = 2)" in text
    for agent in "AB":
        row = next(line for line in text.splitlines() if line.strip().startswith(agent))
        assert row.count(solutions.ILLEGAL) == 2  # from a corner two of four moves leave the map
        for p in solutions.policy_at(grid, grid.game.agent_index(agent), (6, 8)).values():
            assert f"{p:.4f}" in row


def test_many_actions_are_listed_by_probability():
    game = games.random.normal_form((12, 2), seed=0)
    solution = qt.solve(game, beta=5.0, discount=0.0)
    text = shown(solutions.policies(solution, (0,)))
    row = next(line for line in text.splitlines() if "agent1" in line)
    best = sorted(solutions.policy_at(solution, 0, (0,)).values(), reverse=True)[: solutions.WIDE]
    assert [float(word) for word in row.split()[2::2][: solutions.WIDE]] == pytest.approx(best, abs=5e-5)


def test_tiny_probabilities_are_not_zero(prisoners):
    sharp = qt.solve(prisoners.game, beta=30.0, discount=0.0)
    p = solutions.policy_at(sharp, 0, (0,))["keep"]
    assert 0 < p < 5e-5
    assert f"{p:.0e}" in shown(solutions.policies(sharp, (0,)))


def test_summary(grid):
    text = shown(solutions.summary(grid, 1.234))
    for part in (
        "grid game II",
        "beta 1, horizon 2, undiscounted, value rule expected",
        "Converged",
        str(grid.branch),
        "1.23 s",
    ):
        assert part in text
    assert f"A {solutions.start_values(grid)['A']:.4g}" in text


def test_start_values_are_expected_over_the_start(grid):
    assert solutions.start_values(grid)["A"] == pytest.approx(float(grid.value["A"][0, 6, 8]))


def test_certificate_table(prisoners):
    text = shown(solutions.certificate(prisoners.certificate))
    for line in str(prisoners.certificate).splitlines():
        assert line in text


def test_branch_table(path):
    text = shown(branches.branch(path, (0,)))
    for solution in path:
        assert f"{solution.policy['ann'][0, 0]:.4f}" in text
    assert "no folds" in text
    assert "keep" in text
    assert "break" not in text  # of two actions, one says it all


def test_a_narrow_branch_table_says_what_is_left_out(path):
    assert "1 more actions do not fit" in shown(branches.branch(path, (0,), width=30))


def test_score_table(grid):
    played = rollout.simulate(grid.game, grid, 200, 0)
    exact = rollout.evaluate(grid.game, grid)
    rows = plays.score_rows(played, exact.score)
    drawn = played.score["A"]
    assert rows["A"]["mean"] == pytest.approx(drawn.mean())
    assert rows["A"]["standard_error"] == pytest.approx(drawn.std(ddof=1) / math.sqrt(200))
    assert rows["A"]["exact"] == exact.score["A"]
    text = shown(plays.scores(played, exact.score, exact.play))
    assert "200 episodes, sampled play" in text
    assert f"{exact.score['A']:.4g}" in text


def test_reproductions_show_both_numbers_and_the_reason(reproduction):
    text = shown(paper.reproduction(reproduction))
    first = next(line for line in text.splitlines() if "first" in line)
    for part in ("greedy", "a", "0.2500", "0.3", "0.0500"):
        assert part in first
    second = next(line for line in text.splitlines() if "second" in line)
    for part in ("expected, sampled", "0.803", "misprint", "[1]"):
        assert part in second
    assert "[1] a slip" in text
    third = next(line for line in text.splitlines() if "third" in line)
    assert "2.1" in third
    assert "=> It fits." in text
    assert "Reconstructed: all." in text


def test_distances_leave_misprints_and_gaps_out(reproduction):
    assert [row.distance for row in reproduction.comparisons] == [pytest.approx(0.05), None, None]


def test_published_games_table():
    games = (experiments.Prediction("Selten & Chmura game 1", (0.1, 0.7), (0.2, 0.6), (0.3, 0.5), 100, True),)
    text = shown(paper.published(experiments.PublishedGames(beta=1.05, games=games, source="a paper")))
    for part in ("0.100", "0.200", "0.700", "0.600", "0.0200", "beta = 1.05", "a paper"):
        assert part in text


def test_settings_in_words(prisoners, grid):
    assert solutions.setting(grid.parameters) == "beta 1, horizon 2, undiscounted, value rule expected, method auto"
    assert "played once" in solutions.setting(prisoners.parameters)
    both = qt.solve(grid.game, beta=[1.0, 2.0], horizon=1, discount=0.5, method="picard", damping=0.5).parameters
    assert (
        solutions.setting(both)
        == "beta (1, 2), horizon 1, discount 0.5, value rule expected, method picard, damping 0.5"
    )


def test_catalogue():
    text = shown(catalogue.catalogue(games.CATALOGUE))
    for name in games.CATALOGUE:
        assert name in text
    game = games.build("grid-two")
    card = shown(catalogue.game_card("grid-two", games.CATALOGUE["grid-two"], game))
    assert game.picture.splitlines()[0] in card
    assert "9 x 9 = 81" in card
    assert "T = 6" in card


# ---------------------------------------------------------------------- CSV and JSON


def test_csv_has_a_row_for_every_number(reproduction, tmp_path):
    tables.write_csv(tmp_path / "x.csv", paper.COMPARISON_COLUMNS, paper.comparison_rows(reproduction))
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["a", "b", "c", "d"]
    assert float(rows[1]["ours"]) == 0.75
    assert rows[3]["ours"] == ""  # nothing of ours, not zero
    assert rows[2]["misprint"] == "True"


def test_branch_rows_sum_to_one(path):
    rows = [dict(zip(branches.BRANCH_COLUMNS, row, strict=True)) for row in branches.branch_rows(path, [(0,)])]
    assert len(rows) == 2 * 2 * 2  # betas, agents, actions
    for beta in (0.0, 1.0):
        assert sum(r["probability"] for r in rows if r["beta"] == beta and r["agent"] == "ann") == pytest.approx(1)


def test_json_has_no_words_that_json_lacks():
    record = {
        "a": np.float64("nan"),
        "b": np.arange(2),
        "c": (np.int64(1), np.bool_(True)),
        "d": math.inf,
        "e": {1: None},
    }
    text = tables.to_json(record)
    assert json.loads(text) == {"a": None, "b": [0, 1], "c": [1, True], "d": None, "e": {"1": None}}
    assert "NaN" not in text
    assert "Infinity" not in text


def test_solution_record_is_the_solution(grid):
    record = json.loads(tables.to_json(solutions.solution_record(grid, [(6, 8)], 1, prove=True, seconds=0.1)))
    assert record["status"] == "converged"
    assert record["branch"] == grid.branch.name.lower()
    assert record["parameters"]["beta"] == [1.0, 1.0]
    (policies,) = record["policies"]
    assert policies["name"] == "r2c0,r2c2"
    assert policies["time"] == 1
    up = grid.game.actions[0].index("up")
    assert policies["policy"]["A"]["up"] == float(grid.policy["A"][1, 6, 8, up])
    assert set(policies["policy"]["A"]) == {"right", "up", "stay"}  # legal actions alone
    assert record["certificate"]["exploitability"]["A"] >= 0
    assert not any(bound["holds"] and not bound["applies"] for bound in record["certificate"]["bounds"])


def test_other_records(path, reproduction):
    branch = json.loads(tables.to_json(branches.branch_record(path, [(0,)])))
    assert [point["beta"] for point in branch["points"]] == [0.0, 1.0]
    assert branch["points"][0]["passes"][0]["policies"][0]["policy"]["ann"]["keep"] == pytest.approx(0.5)
    record = json.loads(tables.to_json(paper.reproduction_record(reproduction)))
    assert record["rows"][0]["distance"] == pytest.approx(0.05)
    assert record["rows"][2]["ours"] == [None]
    entry = games.CATALOGUE["random"]
    game = json.loads(tables.to_json(catalogue.game_record("random", entry, games.build("random"))))
    assert game["start"] == "uniform"
    assert game["discount"] == 0.95
    two = json.loads(
        tables.to_json(catalogue.game_record("grid-two", games.CATALOGUE["grid-two"], games.build("grid-two")))
    )
    assert two["start"] == [{"state": [6, 8], "probability": 1.0}]
