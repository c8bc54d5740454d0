"""Every Python block of the README and the documentation runs as it stands, block after block, in an empty folder."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks_of(page: Path) -> list[tuple[int, str]]:
    """The blocks with the line on which each begins."""
    text = page.read_text(encoding="utf-8")
    return [(text[: found.start()].count("\n") + 2, found.group(1)) for found in BLOCK.finditer(text)]


def test_blocks_are_found_with_their_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n```python\nx = 1\n```\n```sh\nls\n```\n\n```python\nx += 1\ny = x\n```\n")
    assert blocks_of(page) == [(3, "x = 1\n"), (10, "x += 1\ny = x\n")]


def test_the_readme_shows_python():
    # Else the test below would pass on nothing.
    assert blocks_of(ROOT / "README.md")


@pytest.mark.parametrize("page", [p for p in PAGES if blocks_of(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Later blocks of a page may use what earlier ones made, as a reader would.
    names = {"__name__": "__main__"}
    for line, block in blocks_of(page):
        # Blank lines in front: a traceback then names the page's own line.
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), names)
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_of_the_project_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
