"""The study of the driving scene: its settings are what they say, and behaviour changes the way that theory says."""

import numpy as np
import pytest

import quantal as qt
from quantal.experiments import driving as studies


@pytest.fixture(scope="module")
def study():
    shares = []
    found = studies.driving_study((1.0, 3.0), (0.0, 10.0, 80.0), progress=shares.append)
    assert shares == pytest.approx(np.arange(1, 7) / 6)
    return found


def test_every_setting_is_there_and_converged(study):
    assert [[(p.beta, p.mu) for p in row] for row in study.plays] == [
        [(beta, mu) for mu in (0.0, 10.0, 80.0)] for beta in (1.0, 3.0)
    ]
    assert all(p.converged for row in study.plays for p in row)


def test_cars_wait_longer_for_whom_they_mind_more(study):
    for row in study.plays:
        waits = [p.waits[1] for p in row]
        assert waits == sorted(waits)
        assert waits[0] < waits[-1]
        meetings = [p.with_pedestrian for p in row]
        assert meetings == sorted(meetings, reverse=True)


def test_it_is_as_in_the_paper_only_where_the_pedestrian_counts(study):
    assert [[p.as_in_paper for p in row] for row in study.plays] == [[False, False, True]] * 2
    for row in study.plays:
        last = row[-1]
        assert last.order == studies.ORDER
        assert min(z for z in last.zebra if z is not None) >= last.crossed == 3
        assert last.shortest


def test_a_setting_changes_what_it_says_and_nothing_else():
    scene = qt.read_scene("junction")
    other = studies.with_setting(scene, 1.5, 33.0, mu_car=1.0, beta_pedestrian=0.5)
    assert other.beta == (1.5, 1.5, 1.5, 0.5)
    assert [m.weight for m in other.members] == [1.0, 1.0, 1.0, 33.0]
    assert [(m.start, m.goal) for m in other.members] == [(m.start, m.goal) for m in scene.members]
    kept = studies.with_setting(scene, 3.0, 60.0)
    assert kept.beta == scene.beta
    assert [m.weight for m in kept.members] == [m.weight for m in scene.members]
