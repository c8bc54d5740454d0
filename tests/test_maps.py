"""Maps drawn in characters."""

import numpy as np
import pytest

from quantal.errors import GameError
from quantal.maps import DIAGONAL, ORTHOGONAL, STAY, Map, on_joint_axis

CORNER = Map.parse("""
..#
.##
""")


def test_cells_are_numbered_row_by_row():
    assert CORNER.cells == ((0, 0), (1, 0), (0, 1))
    assert CORNER.labels == ("r0c0", "r0c1", "r1c0")
    assert len(CORNER) == 3
    assert CORNER.coordinates.tolist() == [[0, 0], [1, 0], [0, 1]]


def test_short_rows_end_in_walls():
    assert Map.parse("...\n.").cells == ((0, 0), (1, 0), (2, 0), (0, 1))


def test_a_map_of_walls_is_refused():
    with pytest.raises(GameError, match="at least one cell"):
        Map.parse("##\n##")


def test_marks_are_found():
    assert Map.parse("a.b\n#a.").find("a") == (0, 3)
    assert Map.parse("a.b\n#a.").find("ab") == (0, 2, 3)


def test_moves_off_the_map_and_into_walls_are_illegal():
    moves = CORNER.moves(ORTHOGONAL | STAY)
    assert moves.names == ("left", "right", "up", "down", "stay")
    allowed = [{moves.names[a]: int(moves.successors[k, a]) for a in np.flatnonzero(moves.legal[k])} for k in range(3)]
    assert allowed == [
        {"right": 1, "down": 2, "stay": 0},
        {"left": 0, "stay": 1},
        {"up": 0, "stay": 2},
    ]
    # Where a move is illegal its successor is a harmless one.
    assert (moves.successors == np.arange(3)[:, None])[~moves.legal].all()


def test_every_step_is_undone_by_its_opposite():
    plan = Map.open(4, 3)
    for steps in (ORTHOGONAL, DIAGONAL):
        assert {(-x, -y) for x, y in steps.values()} == set(steps.values())
        moves = plan.moves(steps)
        arrows = {(k, int(t)) for k, a in np.argwhere(moves.legal) for t in [moves.successors[k, a]]}
        assert arrows == {(b, a) for a, b in arrows}


def test_boxes():
    assert CORNER.boxes(["a", "b", "cc"], lids={2: "~"}).split("\n") == [
        "+---+---+---+",
        "| a | b |###|",
        "+~~~+---+---+",
        "| cc|###|###|",
        "+---+---+---+",
    ]


def test_own_tables_lie_along_their_state_axis():
    table = np.arange(6).reshape(3, 2)
    assert on_joint_axis(table, 1, 3).shape == (1, 3, 1, 2)
    assert np.array_equal(on_joint_axis(table, 1, 3)[0, :, 0], table)
