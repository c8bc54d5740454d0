"""Make view.png, the page of the driving scene at its fourth step: ``python docs/figures/make_view_figure.py``.

Needs Chromium on the path.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import quantal as qt
from quantal.pages import crowds as page

HERE = Path(__file__).parent
STEP, CELL = 4, "r2c3"

if __name__ == "__main__":
    scene = qt.read_scene("junction")
    solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "junction.html"
        page.write(solution, file, scene=scene)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light")
        shown.goto(file.as_uri())
        shown.wait_for_selector("html[data-ready]")
        shown.locator("#time").fill(str(STEP))
        shown.locator("#time").blur()
        x, y = scene.map.cells[scene.map.labels.index(CELL)]
        box = shown.locator("#map").bounding_box()
        assert box is not None
        across, down = box["width"] / len(scene.drawing[0]), box["height"] / len(scene.drawing)
        shown.mouse.move(box["x"] + (x + 0.5) * across, box["y"] + (y + 0.5) * down)
        end = shown.locator("#charts").bounding_box()
        assert end is not None
        shown.screenshot(
            path=HERE / "view.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": 1200, "height": end["y"] + end["height"] + 16},
        )
        browser.close()
