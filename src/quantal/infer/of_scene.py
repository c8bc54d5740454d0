"""Features that a scene has for free: everyone's goal, the way to it, waiting, and what they stand on."""

from __future__ import annotations

from quantal.crowds.game import CrowdGame
from quantal.game import MarkovGame
from quantal.infer.features import Features, of_map
from quantal.scenes.scene import Scene


def scene_features(scene: Scene, game: CrowdGame | MarkovGame | None = None, *, keep: bool = True) -> Features:
    """Collect the features of everyone in a scene.

    Parameters
    ----------
    scene
        The scene.
    game
        ``scene.crowd()`` or ``scene.exact()``; the one that the scene prefers unless given.
    keep
        Whether features are added to what the scene says that steps and meetings cost.

    Returns
    -------
    Features
        Per agent: arriving at its goal, distance to it in steps, waiting, and each kind of ground that it may avoid.
    """
    game = scene.game() if game is None else game
    ground: dict[str, list[str]] = {}
    for label, kind in zip(scene.map.labels, scene.ground, strict=True):
        ground.setdefault(kind, []).append(label)
    members = (
        scene.members
        if isinstance(game, CrowdGame)
        else [member for member in scene.members for _ in range(member.count)]
    )
    wanted = []
    for i, member in enumerate(members):
        goal = None if member.goal is None else scene.map.labels[scene.crowd().cell_index(member.goal)]
        wanted.append(of_map(game, i, goal_at=goal, ground=ground))
    return Features.of(game, wanted, keep=keep)
