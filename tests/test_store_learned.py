"""What learners learned in files: there and back bit by bit; and on the command line, played again."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import quantal as qt
from quantal import FileError, ParameterError, baselines
from quantal.baselines import Boltzmann, Constant, Correlated, Greedy, JointQ, PerVisit
from quantal.baselines.learned import Learned, Outcome, Progress, learned_from
from quantal.baselines.model_based import ModelBased
from quantal.cli import app


def filled(learner, *, own=False, joint=0, models=False):
    """A record with something different in every field; names that netCDF does not allow among it."""
    game = qt.games.random.stochastic(3, 2, 2, seed=1)
    game = dataclasses.replace(game, agents=("the/thief%2F", "Wächter"), name="a/b")
    rng = np.random.default_rng(5)
    q = tuple(rng.normal(size=(3, 2) if own else (3, 2, 2)) for _ in range(2))
    q[0].flat[1] = -np.inf  # illegal
    return learned_from(
        game,
        learner,
        Outcome(
            policies=(rng.random((3, 2)), rng.random((3, 2))),
            values=rng.normal(size=(2, 3)),
            q=q,
            joint=rng.random((joint, 3, 2, 2)) if joint else None,
            models=(rng.random((3, 2)), rng.random((3, 2))) if models else None,
        ),
        discount=(0.1 + 0.2, 0.9),
        seed=2**63 - 1,
        curve=rng.normal(size=(4, 2)),
        steps=np.array([0, 5, 10, 17]),
        episodes=np.array([0, 1, 1, 2]),
        visited=np.array([True, False, True]),
        settled=2,
        seconds=1 / 3,
    )


RECORDS = {
    "own values": lambda: filled(baselines.QLearning(PerVisit(0.7), Boltzmann()), own=True),
    "a common signal": lambda: filled(JointQ(Correlated("e"), Constant(0.1), Greedy(0.3)), joint=1),
    "favourites": lambda: filled(JointQ(Correlated("l")), joint=2),
    "models": lambda: filled(baselines.nscp_learner(weight=0.3), models=True),
    "sweeps": lambda: dataclasses.replace(filled(ModelBased(baselines.Nash())), status=Progress.UNCONVERGED),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_there_and_back(tmp_path, kind):
    saved = RECORDS[kind]()
    saved.save(tmp_path / "x.nc")
    found = qt.load(tmp_path / "x.nc")
    assert isinstance(found, Learned)
    for field in dataclasses.fields(Learned):
        mine, theirs = getattr(saved, field.name), getattr(found, field.name)
        if isinstance(mine, qt.PerAgent):
            assert list(mine) == list(theirs)
            for agent in mine:
                np.testing.assert_array_equal(mine[agent], theirs[agent])
        elif isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        elif field.name != "game":
            assert mine == theirs
    assert found.certificate.exploitability.largest == saved.certificate.exploitability.largest
    assert qt.load(tmp_path / "x.nc", saved.game).game is saved.game


def test_a_damaged_file_is_known(tmp_path):
    file = tmp_path / "x.nc"
    RECORDS["models"]().save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="torn"):
        qt.load(file)
    file.write_bytes(whole.replace(b"thief", b"chief", 1))
    with pytest.raises(FileError, match="damaged"):
        qt.load(file)
    file.write_bytes(whole)
    with pytest.raises(FileError, match="a solution of another game"):
        qt.load(file, qt.games.random.stochastic(3, 2, 2, seed=2))


def test_a_learner_of_ones_own_is_not_kept(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Mine:
        name: str = "mine"

    with pytest.raises(ParameterError, match=r"save: a learner made of .*Mine.*expected QLearning"):
        filled(Mine()).save(tmp_path / "x.nc")
    assert not list(tmp_path.iterdir())


def test_what_was_learned_is_played_again_on_the_command_line(tmp_path):
    def run(*arguments):
        found = CliRunner().invoke(app, [*map(str, arguments)])
        return found.exit_code, found.stdout, found.stderr

    file, plays = tmp_path / "x.nc", tmp_path / "plays.csv"
    code, out, _ = run(
        "train", "selten-chmura-1", "--method", "fictitious-play", "--steps", 40, "--save", file, "--json"
    )
    assert code in (0, 1)
    assert json.loads(out)["files"] == [str(file)]
    code, out, _ = run("simulate", file, "--episodes", 50, "--json")
    assert code in (0, 1)
    assert json.loads(out)["signal"] is False
    code, _, said = run("view", file, "--no-open")
    assert (code, "a page shows solutions" in said) == (2, True)
    code, _, said = run("train", "grid-one", "--save", tmp_path / "nowhere" / "x.nc")
    assert (code, "there is no directory" in said) == (2, True)
    code, _, said = run("train", "grid-one", "--save", tmp_path / "x.txt")
    assert (code, "ends in .nc" in said) == (2, True)
    # Where a signal was learned, it is followed, and everyone's own actions are written.
    learned = filled(JointQ(Correlated("u")), joint=1)
    joint = np.zeros((3, 2, 2))
    joint[:, 0, 0] = joint[:, 1, 1] = 0.5
    dataclasses.replace(
        learned, joint=joint, policy=qt.PerAgent(learned.game.agents, (np.full((3, 2), 0.5),) * 2)
    ).save(file)
    code, out, _ = run("simulate", file, "--episodes", 30, "--steps", 4, "--out", plays, "--json")
    assert json.loads(out)["signal"] is True
    played = qt.Trajectories.from_csv(plays, learned.game)
    assert (played.actions[..., 0] == played.actions[..., 1]).all()
    assert 0 < played.actions.mean() < 1
    code, _, _ = run("simulate", file, "--episodes", 30, "--steps", 4, "--out", plays, "--no-signal")
    apart = qt.Trajectories.from_csv(plays, learned.game)
    assert (apart.actions[..., 0] != apart.actions[..., 1]).any()
