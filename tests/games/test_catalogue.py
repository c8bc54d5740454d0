"""The catalogue: every name builds a game that is fit to be shown."""

import numpy as np
import pytest

from quantal import games
from quantal.errors import GameError

PINNED = [
    "pursuit-two",
    "pursuit-two-orthogonal",
    "pursuit-three",
    "pursuit-one-step",
    "grid-one",
    "grid-one-3x3",
    "grid-two",
    "rabbit-hole",
    "stag-hunt",
    "random",
    *(f"selten-chmura-{k}" for k in range(1, 13)),
]


def test_the_names_are_these():
    assert list(games.CATALOGUE) == PINNED


@pytest.mark.parametrize("name", PINNED)
def test_every_game_is_named_drawn_and_playable(name):
    entry, game = games.CATALOGUE[name], games.build(name)
    assert game.name
    assert game.picture
    assert entry.summary
    assert "\n" not in entry.summary
    assert entry.beta > 0
    # A horizon or a discount, whichever suits it.
    assert (entry.horizon is None) != (entry.discount is None)
    assert np.isclose(game.start.sum(), 1)
    assert all(np.isfinite(r).all() for r in game.rewards)
    assert not game.coordinates or len(game.coordinates) == len(game.state_shape)


def test_settings_are_the_papers():
    horizons = {name: games.CATALOGUE[name].horizon for name in PINNED[:8]}
    assert horizons == {
        "pursuit-two": 22,
        "pursuit-two-orthogonal": 22,
        "pursuit-three": 3,
        "pursuit-one-step": 1,
        "grid-one": 3,
        "grid-one-3x3": 8,
        "grid-two": 6,
        "rabbit-hole": 12,
    }
    assert games.CATALOGUE["selten-chmura-3"].beta == 1.05
    assert games.CATALOGUE["selten-chmura-3"].discount == 0
    assert games.CATALOGUE["random"].discount == 0.95


def test_a_wrong_name_is_answered_with_near_ones():
    with pytest.raises(GameError, match=r"no game 'pursuit-tree'.*Did you mean pursuit-three"):
        games.build("pursuit-tree")
    with pytest.raises(GameError, match=r"no game 'xyz'.*There are pursuit-two"):
        games.build("xyz")
