"""Scene files: what a good one becomes, and what is said of every bad one."""

import re
from pathlib import Path

import numpy as np
import pytest

import quantal as qt
from quantal.errors import FileError
from quantal.scenes.journeys import journeys
from quantal.scenes.reading import heading, parse_scene, read_scene, shipped

ROOMS = '''title = "Two rooms"
horizon = 8

map = """
....#..
.^..#..
....#..
"""
places = """
a
     b
   c
"""

[kinds.walker]
beta = 1.0

[[agents]]
name = "ann"
kind = "walker"
start = "a"
goal = "c"

[[agents]]
name = "bob"
kind = "walker"
start = [2, 0]
goal = "r0c3"
'''


def variant(old, new):
    assert ROOMS.count(old) >= 1
    return ROOMS.replace(old, new, 1)


# ---------------------------------------------------------------------- good files


def test_cells_starts_and_goals_are_where_they_are_drawn():
    scene = parse_scene(ROOMS)
    assert scene.map.rows == ("....#..", ".....#.."[:4] + "#..", "....#..")
    assert scene.agents == ("ann", "bob")
    # 'a' stands in the top left corner; 'c' in row 2, column 3; the letter in row 1 is a road, the rest is floor.
    labels = [[scene.map.labels[m.start], scene.map.labels[m.goal]] for m in scene.members]
    assert labels == [["r0c0", "r2c3"], ["r2c0", "r0c3"]]
    assert [scene.map.labels[k] for k in np.flatnonzero(np.array(scene.ground) == "road")] == ["r1c1"]
    assert scene.horizon == 8
    assert scene.beta == (1.0, 1.0)


def test_walls_and_the_edge_stop_walkers_and_arrows_do_not():
    scene = parse_scene(ROOMS)
    (walker,) = scene.kinds
    number, actions = scene.map.number, walker.actions
    assert not walker.legal[number[3, 0], actions.index("right")]  # a wall
    assert not walker.legal[number[0, 0], actions.index("up")]  # the edge
    assert walker.legal[number[1, 1]].all()  # a lane, which binds cars only


LANES = '''horizon = 4
map = """
>>+>
..^.
"""
[kinds.car]
ground = ["road"]
lanes = true
beta = 1
[[agents]]
name = "car"
kind = "car"
start = [0, 0]
goal = [0, 3]
'''


def test_cars_keep_to_the_arrows():
    scene = parse_scene(LANES)
    (car,) = scene.kinds
    ways = {
        (scene.map.labels[x], scene.map.labels[car.successors[x, a, 0]])
        for x, a in np.argwhere(car.legal)
        if car.successors[x, a, 0] != x
    }
    # Along every arrow; out of the crossing ahead, but neither back against r0c1 nor down against r1c2.
    assert ways == {("r0c0", "r0c1"), ("r0c1", "r0c2"), ("r0c2", "r0c3"), ("r1c2", "r0c2")}
    assert not car.legal[scene.map.number[0, 1]].any()  # floor is no place for a car


def test_a_slow_pace_is_a_chance_to_stay():
    scene = parse_scene(variant("beta = 1.0", "beta = 1.0\npace = 0.25"))
    (walker,) = scene.kinds
    x, right = scene.map.number[0, 0], walker.actions.index("right")
    outcome = dict(zip(walker.successors[x, right].tolist(), walker.probabilities[x, right].tolist(), strict=True))
    assert outcome == {scene.map.number[1, 0]: 0.25, x: 0.75}


def test_rewards_are_by_ground_and_an_agent_may_differ():
    text = variant("beta = 1.0", "beta = 1.0\nstep = -2\nrewards = { road = -5 }")
    scene = parse_scene(text.replace('goal = "c"', 'goal = "c"\nstep = -1'))
    road = scene.map.number[1, 1]
    game = scene.crowd()
    np.testing.assert_array_equal(np.unique(game.rewards[1]), [-7, -2])
    assert game.rewards[1][road, 0] == -7
    # The agent's own step; what it does not say stays as its kind has it.
    assert game.rewards[0][road, 0] == -6
    assert game.rewards[0][0, 0] == -1


def test_agents_who_say_the_same_share_one_array():
    text = ROOMS.replace('goal = "c"', 'goal = "c"\nstep = -3').replace('goal = "r0c3"', 'goal = "r0c3"\nstep = -3')
    game = parse_scene(text).crowd()
    assert game.rewards[0] is game.rewards[1]


def test_several_places_are_a_uniform_start():
    scene = parse_scene(
        variant('places = """\na', 'places = """\na a')
        .replace("start = [2, 0]", 'start = ["b", "r1c6"]')
        .replace('goal = "r0c3"', "goal = [0, 6]")
    )
    where = [scene.map.labels[k] for k in scene.start_cells(0)]
    assert where == ["r0c0", "r0c2"]
    np.testing.assert_array_equal(scene.crowd().start("ann")[scene.start_cells(0)], [0.5, 0.5])
    assert [scene.map.labels[k] for k in scene.start_cells(1)] == ["r1c5", "r1c6"]


def test_starts_may_be_weighed():
    # Two cells share the weight of their mark; weights are divided by their sum.
    text = variant('places = """\na', 'places = """\na a').replace("start = [2, 0]", "start = { a = 2.0, r1c1 = 6 }")
    scene = parse_scene(text)
    start = scene.crowd().start("bob")
    assert {scene.map.labels[k]: start[k] for k in np.flatnonzero(start)} == {
        "r0c0": 0.125,
        "r0c2": 0.125,
        "r1c1": 0.75,
    }
    assert scene.record()["agents"][1]["start"] == [scene.map.labels.index(x) for x in ("r0c0", "r0c2", "r1c1")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("weights = [[2.0]]", [[2.0]]),
        ("weights = { walker = { walker = 3 } }", [[3.0]]),
        ("weights = { }", [[0.0]]),
    ],
)
def test_weights_are_a_matrix_or_a_table(given, expected):
    scene = parse_scene(variant("horizon = 8", f"horizon = 8\n{given}"))
    np.testing.assert_array_equal(scene.kind_weights, expected)


def test_nearness_goes_by_steps():
    scene = parse_scene(variant("horizon = 8", "horizon = 8\nnearness = [1.0, 0.5]"))
    game = scene.crowd()
    near = np.zeros((len(scene.map),) * 2)
    for x, (cells, weights) in enumerate(zip(*game.nearness, strict=True)):
        for y, weight in zip(cells, weights, strict=True):
            near[x, y] += weight
    apart = np.abs(scene.map.coordinates[:, None] - scene.map.coordinates).sum(axis=-1)
    np.testing.assert_array_equal(near, np.select([apart == 0, apart == 1], [1.0, 0.5], 0.0))


def test_the_record_holds_what_a_page_needs():
    record = parse_scene(LANES, "lanes.toml").record()
    assert (record["name"], record["width"], record["height"]) == ("lanes", 4, 2)
    assert record["cells"][2] == {"label": "r0c2", "x": 2, "y": 0, "ground": "road", "lane": ""}
    assert record["agents"] == [{"name": "car", "kind": "car", "count": 1, "beta": 1.0, "start": [0], "goal": 3}]


# ---------------------------------------------------------------------- files on disk, and shipped ones


def test_a_file_is_read_from_disk(tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text(ROOMS)
    assert read_scene(path).name == "rooms"
    assert isinstance(qt.load_scene(path, "crowd"), qt.CrowdGame)
    assert isinstance(qt.load_scene(path, "exact"), qt.MarkovGame)


def test_a_small_scene_is_played_exactly_unless_asked_otherwise(tmp_path):
    # 12 and 12 reachable cells of 5 actions each: (12 x 5)^2 = 3,600 entries; the junction has two million.
    path = tmp_path / "rooms.toml"
    path.write_text(ROOMS)
    assert read_scene(path).exact_entries == 3600
    assert isinstance(qt.load_scene(path), qt.MarkovGame)
    assert isinstance(qt.load_scene("junction.toml"), qt.CrowdGame)


def test_a_file_of_a_shipped_scenes_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "junction.toml").write_text(ROOMS)
    monkeypatch.chdir(tmp_path)
    assert read_scene("junction.toml").agents == ("ann", "bob")
    assert read_scene("junction").agents[0] == "car 1"


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenes_are_whole(name):
    scene = read_scene(name)
    assert heading(name)["horizon"] == scene.horizon
    assert heading(name)["agents"] == len(scene.agents)
    assert scene.title == heading(name)["title"]
    assert scene.about
    assert scene.crowd().picture.split("\n") == list(scene.drawing)


def test_a_missing_file_is_named():
    with pytest.raises(FileError, match=r"nowhere\.toml: no such file"):
        read_scene("nowhere.toml")
    with pytest.raises(FileError, match=r"no such scene\. Did you mean junction\?"):
        read_scene("juncton")


def test_files_from_other_systems_are_read():
    # A mark at the beginning, and lines that end as on Windows; the same scene, and the same lines in messages.
    text = "\ufeff" + ROOMS.replace("\n", "\r\n")
    assert parse_scene(text).drawing == parse_scene(ROOMS).drawing
    with pytest.raises(FileError, match="line 6: map: row 1, column 1: unknown letter 'q'"):
        parse_scene(text.replace(".^..#", ".q..#"))


def test_bytes_are_not_a_scene(tmp_path):
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(FileError, match=r"bytes\.toml: expected text in UTF-8: got byte 0xff at 9"):
        read_scene(path)


# ---------------------------------------------------------------------- bad files: place, expected, found, remedy

WRONG = {
    "start inside a wall": (
        "[2, 0]",
        "[0, 4]",
        r"line 27: agent 'bob', start: row 0, column 4 .* is a wall: .* like r0c3",
    ),
    "start off the map": ("[2, 0]", "[2, 9]", r"line 27: agent 'bob', start: row 2, column 9 is off the map: .*0\.\.6"),
    "start of no weight": (
        "[2, 0]",
        "{ a = 0 }",
        r"line 27: agent 'bob', start: a: expected a weight above 0: got 0\.",
    ),
    "start of weights that are none": (
        "[2, 0]",
        "{ a = true }",
        r"agent 'bob', start: a: expected a weight .*got true",
    ),
    "start of an empty table": ("[2, 0]", "{ }", r"line 27: agent 'bob', start: expected places and weights: got none"),
    "start of weights nowhere": ("[2, 0]", "{ zz = 1 }", r"line 27: agent 'bob', start: no place 'zz'"),
    "start of two parts missing": ("[2, 0]", "[2]", r"line 27: agent 'bob', start: .* got \[2\]"),
    "no such mark": ('start = "a"', 'start = "x"', r"line 21: agent 'ann', start: no place 'x': .*'a', 'b', 'c'"),
    "unreachable goal": (
        'goal = "c"',
        'goal = "b"',
        r"line 22: agent 'ann', goal: r1c5 cannot be reached from r0c0 .* got one that ends at r1c3, .*Check walls",
    ),
    "unknown letter": (".^..#", ".q..#", r"line 6: map: row 1, column 1: unknown letter 'q': .*\[legend\]"),
    "ragged, short": (".^..#..", ".^..#.", r"line 6: map: row 1 .*expected 7 letters.*got 6\. Fill"),
    "ragged, long first row": (
        "....#..\n.",
        "....#...\n.",
        r"line 5: map: row 0 .*expected 7 letters.*got 8\. Shorten",
    ),
    "nothing but walls": ("....#..\n.^..#..\n....#..", "###\n###", r"line 4: map: expected at least one cell"),
    "empty map": ("....#..\n.^..#..\n....#..\n", "", r"line 4: map: expected rows of letters: got nothing"),
    "places beyond the map": ("     b\n", "     b   x\n", r"line 11: places: row 1 .*at most 7 letters.*got 10"),
    "places below the map": ("   c\n", "   c\n\nd\n", r"line 13: places: expected at most 3 rows"),
    "goal drawn twice": ("   c\n", "   c c\n", r"agent 'ann', goal: expected one cell: got mark 'c', drawn 2 times"),
    "negative horizon": ("horizon = 8", "horizon = -8", r"line 2: horizon: expected at least 1: got -8"),
    "horizon missing": ("horizon = 8", "", r"horizon: expected this key: got none\. Add horizon = 20"),
    "horizon of text": ("horizon = 8", 'horizon = "8"', r"line 2: horizon: expected a whole number: got '8'\. Add"),
    "unknown key": ("beta = 1.0", "bta = 1.0", r"line 16: kinds\.walker\.bta: unknown key\. Did you mean 'beta'\?"),
    "unknown key of an agent": ("[2, 0]", "[2, 0]\ngaol = 1", r"line 28: agent 'bob', gaol: .*Did you mean 'goal'\?"),
    "unknown value rule": (
        "horizon = 8",
        'horizon = 8\nvalue = "hard"',
        r"line 3: value: expected 'expected', 'soft' or 'greedy'",
    ),
    "unknown kind": (
        '"walker"\nstart = [2',
        '"wolker"\nstart = [2',
        r"line 26: agent 'bob', kind: no kind 'wolker'\. Did you mean 'walker'",
    ),
    "unknown ground": (
        "beta = 1.0",
        'beta = 1.0\nground = ["rood"]',
        r"line 17: kinds\.walker\.ground: no 'rood' on the map\. Did you mean 'road'",
    ),
    "rewards of unknown ground": (
        "beta = 1.0",
        "beta = 1.0\nrewards = { mud = 1 }",
        r"line 17: kinds\.walker\.rewards: no 'mud'",
    ),
    "two of a name": ('"bob"', '"ann"', r"line 25: agent 'ann': expected a name of its own: got that of entry 0"),
    "beta nowhere": ("beta = 1.0", "", r"agent 'ann', beta: expected a precision.*\[kinds\.walker\].*Add beta"),
    "beta negative": ("beta = 1.0", "beta = -1", r"line 16: kinds\.walker\.beta: expected at least 0: got -1"),
    "beta not finite": ("beta = 1.0", "beta = inf", r"line 16: kinds\.walker\.beta: expected a finite number: got inf"),
    "beta of text": ("beta = 1.0", 'beta = "1"', r"line 16: kinds\.walker\.beta: expected a number: got '1'"),
    "pace of nothing": (
        "beta = 1.0",
        "beta = 1.0\npace = 0",
        r"line 17: kinds\.walker\.pace: expected more than 0: got 0",
    ),
    "lanes and diagonals": (
        "beta = 1.0",
        "beta = 1\nlanes = true\ndiagonal = true",
        r"line 18: kinds\.walker\.diagonal: .*got both",
    ),
    "nobody of a kind": ("[2, 0]", "[2, 0]\ncount = 0", r"line 28: agent 'bob', count: expected at least 1: got 0"),
    "weights of the wrong shape": (
        "horizon = 8",
        "horizon = 8\nweights = [[1.0, 2.0]]",
        r"line 3: weights: expected 1 x 1 numbers.*walker: got 1 rows of 2",
    ),
    "weights of an unknown kind": (
        "horizon = 8",
        "horizon = 8\nweights = { walker = { car = 1 } }",
        r"line 3: weights\.walker\.car: no kind 'car'",
    ),
    "weights of text": (
        "horizon = 8",
        'horizon = 8\nweights = [["x"]]',
        r"line 3: weights\.walker\.walker: expected a finite number: got 'x'",
    ),
    "weights, a number": ("horizon = 8", "horizon = 8\nweights = 3", r"line 3: weights: expected 1 x 1 numbers.*got 3"),
    "legend of two letters": (
        "beta = 1.0",
        'beta = 1\n[legend]\nqq = { ground = "x" }',
        r"line 18: legend\.qq: expected one letter",
    ),
    "legend without ground": (
        "beta = 1.0",
        "beta = 1\n[legend]\nq = { }",
        r"line 18: legend\.q\.ground: expected this key",
    ),
    "legend of odd lanes": (
        "beta = 1.0",
        'beta = 1\n[legend]\nq = { ground = "x", lane = "n" }',
        r"line 18: legend\.q\.lane: .*< > \^ v: got 'n'",
    ),
    "not TOML": ("horizon = 8", "horizon = ", r"rooms\.toml, line 2: not TOML: column 11: Invalid value"),
    "not TOML, agents in single brackets": (
        '[[agents]]\nname = "bob"',
        '[agents]\nname = "bob"',
        r"line 24: not TOML: column 8: .* twice\. .*in double brackets: \[\[agents\]\]",
    ),
    "key twice": ("horizon = 8", "horizon = 8\nhorizon = 9", r"line 3: not TOML: column 12: Cannot overwrite a value"),
    "tab in the map": (".^..#", ".^\t.#", r"line 6: map: row 1, column 2: a tab: .*left edge, .* as '#'"),
    "indented map": (
        "....#..\n.^..#..\n....#..",
        "  ....#\n  .^..#\n  ....#",
        r"line 5: map: row 0, column 0: a blank",
    ),
    "blank line in the map": (".^..#..\n", "\n", r"line 6: map: row 1 '': .*Fill it up with '#', or take the blank"),
    "unknown letter of two bytes": (".^..#", ".日..#", r"line 6: map: row 1, column 1: unknown letter '日'"),
    "title of a date": ('title = "Two rooms"', "title = 1979-05-27", r"line 1: title: .* in quotes: got 1979-05-27"),
    "lanes of text": (
        "beta = 1.0",
        'beta = 1.0\nlanes = "yes"',
        r"kinds\.walker\.lanes: expected true or false: got 'yes'",
    ),
    "beta of truth": ("beta = 1.0", "beta = true", r"kinds\.walker\.beta: expected a number: got true"),
    "legend without a table": (
        "beta = 1.0",
        "beta = 1.0\n[legend]\nq = 1",
        r"line 18: legend\.q: .*table of keys: got 1",
    ),
    "the scene's key below a table": (
        "horizon = 8",
        "[kinds.walker.rewards]\nhorizon = 8",
        r"horizon: expected this key: got none\. It stands under \[kinds\.walker\.rewards\]: move it above the first",
    ),
    "the scene's key in a kind": (
        "beta = 1.0",
        "beta = 1.0\nweights = [[1.0]]",
        r"line 17: kinds\.walker\.weights: unknown key here: it belongs to the whole scene\. Move it above the first",
    ),
    "the scene's key in an agent": (
        "[2, 0]",
        "[2, 0]\nnearness = [1.0]",
        r"line 28: agent 'bob', nearness: unknown key here: .* above the first table",
    ),
    "too many": (
        "[2, 0]",
        "[2, 0]\ncount = 10000000000000000000",
        r"line 28: agent 'bob', count: expected at most 9007",
    ),
    "kind without a name": ("[kinds.walker]", '[kinds.""]', r"line 15: kinds\.: expected at least one letter: got ''"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_with_its_place(what):
    old, new, message = WRONG[what]
    with pytest.raises(FileError) as caught:
        parse_scene(variant(old, new), "rooms.toml")
    assert str(caught.value).startswith("rooms.toml")
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_start_where_the_kind_may_not_be_is_no_wall():
    text = LANES.replace("start = [0, 0]", "start = [1, 0]")
    with pytest.raises(FileError, match=r"line 13: agent 'car', start: .* is floor, where no car may be: .* like r"):
        parse_scene(text)


def test_a_goal_against_the_arrows_is_unreachable():
    text = LANES.replace("start = [0, 0]", "start = [0, 3]").replace("goal = [0, 3]", "goal = [0, 0]")
    with pytest.raises(
        FileError,
        match=r"agent 'car', goal: r0c0 cannot be reached from r0c3 .* got no way out of it.* arrows of lanes",
    ):
        parse_scene(text)


def test_lines_are_right_with_a_drawing_that_begins_on_the_line_of_its_key():
    text = variant('map = """\n....#..', 'map = """....#..').replace(".^..#", ".q..#")
    with pytest.raises(FileError, match=r"line 5: map: row 1"):
        parse_scene(text)


PAGE = Path(__file__).parents[2] / "docs" / "scenes.md"


def test_the_scene_of_the_documentation_works():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    scene = parse_scene(example, "corner.toml")
    assert scene.agents == ("car", "ann")
    solution = qt.solve(scene.game(), beta=scene.beta, horizon=scene.horizon)
    assert solution.converged


def test_every_key_of_the_schema_is_documented():
    # The reference promises to be complete.
    from quantal.scenes.schema import Agent, Document, Ground, Mover

    text = PAGE.read_text()
    for table in (Agent, Document, Ground, Mover):
        for key in table.model_fields:
            assert f"`{key}`" in text, key


# --------------------------------------------------------------------------- who leaves before the end


LEAVING = """horizon = 9
map = "....."
[kinds.walker]
beta = 2
horizon = 4
[[agents]]
name = "short"
kind = "walker"
start = [0, 0]
goal = [0, 4]
[[agents]]
name = "long"
kind = "walker"
horizon = 6
start = [0, 1]
"""


def test_a_horizon_of_ones_own_is_the_agents_or_its_kinds():
    scene = parse_scene(LEAVING)
    assert [m.horizon for m in scene.members] == [4, 6]
    # There is no exact game in which somebody leaves: left to itself the scene is a crowd.
    assert isinstance(scene.game("auto"), qt.CrowdGame)
    with pytest.raises(qt.ParameterError, match=r"'short': horizon: who leaves before the end"):
        scene.game("exact")


@pytest.mark.parametrize("bad", ["-3", "0", "2.5", "true"])
def test_a_horizon_that_cannot_be_is_named(bad):
    with pytest.raises(FileError, match=rf"line 14: agent 'long', horizon: expected .*got {bad}"):
        parse_scene(LEAVING.replace("horizon = 6", f"horizon = {bad}"))
    with pytest.raises(FileError, match=r"line 5: kinds.walker.horizon: expected"):
        parse_scene(LEAVING.replace("horizon = 4", f"horizon = {bad}"))


def test_who_leaves_is_seen_no_more():
    scene = parse_scene(LEAVING.replace("goal = [0, 4]", "goal = [0, 0]"))
    found = journeys(scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon))
    long = found.each[1]
    assert (long.path[6:] == long.path[6]).all()
    assert all(wait.since + wait.steps <= 6 for wait in long.waits)


def test_nearness_beyond_the_map_is_not_looked_for():
    # A list of thousands is as good as one as long as the map is wide: and as fast.
    long, enough = (parse_scene(f"nearness = {[1.0] * k}\n" + LEAVING).crowd().nearness for k in (5_000, 5))
    for a, b in zip(long, enough, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lists_without_entries_are_named():
    with pytest.raises(FileError, match=r"line 1: nearness: expected at least one entry: got \[\]"):
        parse_scene("nearness = []\n" + LEAVING)
