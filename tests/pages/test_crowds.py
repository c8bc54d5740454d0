"""Pages: their numbers are the solution's, nothing is loaded from elsewhere, and nothing that is named can act."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.cli.test_cli import keys_in_documentation
from tests.cli.test_scenes import LANE

import quantal as qt
from quantal.pages import crowds as page
from quantal.pages import document
from quantal.scenes import journeys
from quantal.scenes import reading as scenefile

EVIL = "</script><b onclick=\"alert('x')\">&amp;{{data}}"


class _Elements(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        if tag == "script":
            self.found.append(("/script", {}))


def embedded(text):
    """What a page's script reads."""
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def junction():
    scene = qt.read_scene("junction")
    return scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)


@pytest.fixture(scope="module")
def shown(junction):
    scene, solution = junction
    return page.page(solution, scene=scene, certificate=False)


def crossing(members, coordinates=True):
    """Members who walk to and fro on four cells in a row."""
    moves = np.array([[0, 1, 0], [0, 2, 1], [1, 3, 2], [2, 3, 3]])
    walker = qt.Kind("walker", actions=("left", "right", "stay"), successors=moves, rewards=np.full(4, -1.0))
    where = np.stack([7.5 * np.arange(4), np.zeros(4)], axis=1)
    return qt.CrowdGame(cells=4, kinds=[walker], members=members, coordinates=where if coordinates else None)


# ---------------------------------------------------------------------- numbers


def test_a_page_holds_the_solution(junction, shown):
    scene, solution = junction
    data = embedded(shown)
    assert data["cells"]["labels"] == list(scene.map.labels)
    assert [part["name"] for part in data["parts"]] == list(scene.agents)
    for part in data["parts"]:
        # Single precision is exact to 6e-8 of 1.
        np.testing.assert_allclose(document.unpacked(part["presence"]), solution.occupancy[part["name"]], atol=6e-8)
        np.testing.assert_allclose(document.unpacked(part["policy"]), solution.policy[part["name"]], atol=6e-8)


def test_meetings_are_those_of_the_journeys(junction, shown):
    # Two ways to the same sum: pairs over time here, a matrix of pairs there.
    data, found = embedded(shown), journeys.journeys(*junction)
    assert sum(data["together"]) == pytest.approx(found.together, rel=1e-5)
    names = [j.agent for j in found.each]
    for pair in data["pairs"]:
        a, b = map(names.index, pair["names"])
        assert sum(pair["steps"]) == pytest.approx(found.meetings[a, b], rel=1e-4, abs=1e-9)
    assert document.unpacked(data["meetings"]).sum() == pytest.approx(found.together, rel=1e-5)


def test_packing_loses_nothing_that_four_bytes_hold():
    numbers = np.array([[0.0, 0.1, np.nan], [-1e-30, 3e30, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(document.unpacked(document.packed(numbers)), numbers)
    wholes = np.array([0, -7, 2**31 - 1])
    np.testing.assert_array_equal(document.unpacked(document.packed(wholes)), wholes)


def test_agents_of_a_count_are_pairs_of_their_own():
    # Four who surely stand in one cell are six pairs.
    game = crossing([qt.Member("them", "walker", start=1, count=4, weight=0.0)])
    data = page.record(qt.solve(game, beta=1.0, horizon=2), certificate=False)
    assert data["together"][0] == pytest.approx(6.0)
    assert data["pairs"][0]["names"] == ["them", "them"]


def test_many_are_added_up_by_kind_and_it_says_so():
    members = [qt.Member(f"w{i}", "walker", start=i % 4, goal=3, goal_reward=4.0, weight=0.1) for i in range(12)]
    solution = qt.solve(crossing(members), beta=0.7, horizon=5)
    data = page.record(solution, certificate=False)
    (part,) = data["parts"]
    assert part["name"] == "walker"
    assert "× 12" in part["label"]
    assert any("12 agents are added up by kind" in note for note in data["notes"])
    together = sum(solution.occupancy[i] for i in range(12))
    np.testing.assert_allclose(document.unpacked(part["presence"]), together, rtol=1e-6)
    # What those in cell 1 at time 2 do, spelled out.
    weights = np.array([solution.occupancy[i][2, 1] for i in range(12)])
    theirs = np.array([solution.policy[i][2, 1] for i in range(12)])
    np.testing.assert_allclose(document.unpacked(part["policy"])[2, 1], weights @ theirs / weights.sum(), rtol=1e-6)


def test_a_page_that_would_be_large_keeps_every_few_steps(monkeypatch):
    game = crossing([qt.Member("ann", "walker", start=0)])
    solution = qt.solve(game, beta=1.0, horizon=9)
    monkeypatch.setattr(page, "MOST_NUMBERS", 60)  # of 10 times, 4 cells and 5 numbers each
    data = page.record(solution, certificate=False)
    assert data["frames"] == (0, 4, 8, 9)
    assert any("One step in 4 is kept" in note for note in data["notes"])
    kept = document.unpacked(data["parts"][0]["presence"])
    np.testing.assert_allclose(kept, solution.occupancy["ann"][[0, 4, 8, 9]], atol=6e-8)
    assert len(data["together"]) == 10  # charts keep every step


def test_a_crowds_file_is_viewed_with_its_lanes(ask, tmp_path):
    lane = tmp_path / "lane.toml"
    lane.write_text(LANE)
    ask("solve", lane, "--crowd", "--save", tmp_path / "kept.nc")
    pages = [tmp_path / "scene.html", tmp_path / "file.html"]
    for target, file in zip((lane, tmp_path / "kept.nc"), pages, strict=True):
        ask("view", target, "--no-certificate", "--out", file)
    # The file holds the scene, not only cells: the same map, arrows and all.
    maps = [embedded(file.read_text())["cells"] for file in pages]
    assert maps[0] == maps[1]
    assert maps[0]["lanes"] == [">"] * 4


def test_cells_without_a_scene_lie_where_the_game_says():
    solution = qt.solve(crossing([qt.Member("ann", "walker", start=0)]), beta=1.0, horizon=2)
    data = page.record(solution, certificate=False)
    assert data["cells"]["x"] == [0, 1, 2, 3]  # the nearest two are one apart
    assert (data["width"], data["height"]) == (4, 1)


# ---------------------------------------------------------------------- words


def test_the_certificate_in_words():
    alone = crossing([qt.Member("ann", "walker", start=0)])
    proved = " ".join(said["head"] for said in page.in_words(qt.solve(alone, beta=1.0, horizon=3)))
    assert "It is the only equilibrium: proved" in proved
    # Whoever avoids each other strongly is beyond every bound.
    members = [qt.Member(name, "walker", start=x, weight=30.0) for name, x in (("ann", 0), ("bob", 3))]
    solution = qt.solve(crossing(members), beta=2.0, horizon=6, damping=0.2)
    said = {part["head"]: part["words"] for part in page.in_words(solution)}
    assert "There may be other equilibria" in said
    radius = solution.certificate.spectral_radius
    assert ("It is stable" in said) == (radius < 1)
    hasty = qt.solve(crossing(members), beta=2.0, horizon=6, max_steps=1)
    assert not hasty.converged
    assert page.in_words(hasty)[0]["head"] == "It is not an equilibrium: the search did not settle"


# ---------------------------------------------------------------------- structure


def test_a_page_needs_nothing_from_elsewhere(shown):
    check_self_contained(shown)


def check_self_contained(shown):
    """Nothing is loaded, and nothing may be, whatever the page is of."""
    elements = _Elements(shown)
    for tag, attributes in elements.found:
        assert tag not in ("link", "img", "iframe", "base", "object", "embed")
        assert not {"src", "srcset", "action"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
    # A namespace is a name, not an address that anything is loaded from.
    addresses = set(re.findall(r"https?://[^\s\"'`]+", shown))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|importScripts|innerHTML|eval\(", shown)
    policy = next(a["content"] for t, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_a_page_has_what_keyboards_and_screen_readers_need(shown):
    elements = _Elements(shown).found
    by_id = {attributes["id"]: (tag, attributes) for tag, attributes in elements if "id" in attributes}
    assert ("html", {"lang": "en"}) in elements
    assert by_id["map"][1]["tabindex"] == "0"
    assert by_id["map"][1]["aria-describedby"] in by_id
    assert by_id["said"][1]["aria-live"] == "polite"
    labelled = {attributes["for"] for tag, attributes in elements if tag == "label" and "for" in attributes}
    assert {"time", "whose"} <= labelled
    assert by_id["play"][1]["aria-label"] == "Play"
    for _, attributes in elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in by_id
    assert "prefers-color-scheme: dark" in shown
    assert "prefers-reduced-motion" in shown
    assert "@media print" in shown


def test_names_are_text_and_nothing_else():
    name = json.dumps(EVIL)
    scene = scenefile.parse_scene(LANE.replace('"first"', name).replace('"A lane"', name))
    solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)
    text = page.page(solution, scene=scene, certificate=False, made=EVIL)
    plain = page.page(solution, certificate=False, scene=scenefile.parse_scene(LANE.replace('"first"', name)))
    tags = [tag for tag, _ in _Elements(text).found]
    assert "b" not in tags
    assert tags == [tag for tag, _ in _Elements(plain).found]
    data = embedded(text)
    assert data["title"] == data["made"] == data["parts"][0]["name"] == EVIL


def test_one_solution_makes_one_page(junction, shown):
    scene, solution = junction
    assert page.page(solution, scene=scene, certificate=False) == shown


# ---------------------------------------------------------------------- refusals and the command


def test_what_cannot_be_drawn_is_refused(junction):
    game = qt.games.build("pursuit-two")
    with pytest.raises(qt.ParameterError, match="expected a solution of a crowd: got one of a Markov game, 'pursuit"):
        page.page(qt.solve(game, beta=0.1, horizon=1))
    ann = qt.solve(crossing([qt.Member("ann", "walker", start=0)], coordinates=False), beta=1.0, horizon=1)
    with pytest.raises(qt.ParameterError, match="neither scene= nor coordinates"):
        page.page(ann)
    with pytest.raises(qt.ParameterError, match=r"expected a solution of scene.crowd\(\), 38 cells"):
        page.page(ann, scene=junction[0])


@pytest.fixture
def lane(tmp_path):
    file = tmp_path / "lane.toml"
    file.write_text(LANE)
    return file


def test_the_command_writes_a_page(ask, run, lane, tmp_path, monkeypatch):
    file = tmp_path / "lane.html"
    record = ask("view", lane, "--out", file, "--beta", "2,3", "--horizon", "4")
    assert set(record) == keys_in_documentation("view")
    assert record["files"] == [str(file)]
    assert record["converged"]
    data = embedded(file.read_text())
    assert data["made"] == f"Quantal {qt.__version__}: quantal view lane.toml --beta 2,3 --horizon 4"
    assert data["parameters"]["beta"] == {"first": 2.0, "second": 3.0}
    assert str(tmp_path) not in file.read_text()  # a page that is passed on does not say where it was made
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    monkeypatch.chdir(tmp_path)
    file.unlink()
    assert "written: lane.html" in run("view", lane, "--no-certificate", "--open").stdout
    assert opened == [file.as_uri()]
    run("view", lane, "--no-certificate")  # not a terminal: nothing is opened
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("junction", "--discount", "0.9"), "--discount: not for a scene that is played as a crowd"),
        (("junction", "--out", "x.pdf"), "expected a name that ends in .html"),
        (("nowhere.toml",), "no such file"),
    ],
)
def test_the_command_refuses_what_it_cannot_show(run, arguments, message):
    assert message in run("view", *arguments, code=2).stderr
