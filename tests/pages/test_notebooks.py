"""Notebooks: records say what tables say, and names in them are text."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import quantal as qt

EVIL = "<script>alert(1)</script>&"


class _Text(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += data + " "


def test_a_solution_shows_its_numbers():
    game = qt.games.build("pursuit-one-step")
    solution = qt.solve(game, beta=1.0, horizon=1)
    words = _Text(solution._repr_html_()).words
    assert str(solution.status) in words
    # Where everyone starts for sure is where to look: what is shown is the policy there.
    for agent in game.agents:
        for action, p in zip(game.actions[game.agent_index(agent)], solution.policy[agent][(0, 1, 5, 2)], strict=True):
            if p > 0:
                assert re.search(rf"{action}\s{p:.3f}", words), (agent, action)


def test_a_game_shows_its_map_and_its_actions():
    game = qt.games.build("grid-two")
    words = _Text(game._repr_html_()).words
    assert game.picture in words
    assert "9 × 9 = 81" in words
    assert ", ".join(game.actions[0]) in words


def test_a_crowd_shows_where_it_ends():
    scene = qt.read_scene("warehouse")
    solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=4)
    words = _Text(solution._repr_html_()).words
    for agent in solution.game.agents:
        last = solution.occupancy[agent][-1]
        assert re.search(rf"{solution.game.cells[int(np.argmax(last))]}\s{last.max():.3f}", words)


@pytest.mark.parametrize("what", ["game", "solution"])
def test_names_are_text(what):
    game = qt.MarkovGame.normal_form(
        (np.eye(2), np.eye(2)), agents=(EVIL, "b"), actions=((EVIL, "d"), ("e", "f")), name=EVIL, picture=EVIL
    )
    shown = _Text((game if what == "game" else qt.solve(game, beta=1.0, discount=0.0))._repr_html_())
    assert "script" not in shown.tags
    assert EVIL in shown.words
