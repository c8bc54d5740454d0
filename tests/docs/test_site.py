"""The documentation as a site: it builds without a warning, loads nothing from elsewhere, and shows what it lists."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import quantal

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built once, in a process of its own: what its plugins warn of themselves is not ours to fail on."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # --strict ends with 1 on any warning: a page that is in no menu, a link or an anchor that leads nowhere, a name of
    # the reference that there is not.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser fetches for a page: scripts, styles, pictures, frames; not what one may click on."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(given.get("src") or "")
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.addresses.append(given.get("href") or "")


def elsewhere(text: str) -> list[str]:
    page = Loaded()
    page.feed(text)
    return [a for a in page.addresses if re.match(r"(https?:)?//", a)]


def test_a_page_that_loads_from_elsewhere_would_be_noticed():
    assert elsewhere('<script src="https://x.org/a.js"></script><link rel="stylesheet" href="//y.org/b.css">') == [
        "https://x.org/a.js",
        "//y.org/b.css",
    ]


def test_pages_load_nothing_from_elsewhere(site):
    pages = sorted(site.glob("**/*.html"))
    assert len(pages) > 30
    found = {str(p.relative_to(site)): elsewhere(p.read_text(encoding="utf-8")) for p in pages}
    assert {page: addresses for page, addresses in found.items() if addresses} == {}
    styles = [p.read_text(encoding="utf-8") for p in site.glob("**/*.css")]
    assert [url for text in styles for url in re.findall(r"url\(\s*[\"']?(https?://[^)]+)", text)] == []


def test_the_reference_has_every_public_name(site):
    pages = "".join(p.read_text(encoding="utf-8") for p in (site / "reference").glob("*.html"))
    shown = {name.rsplit(".", 1)[-1] for name in re.findall(r'id="(quantal\.[\w.]+)"', pages)}
    packages = {"baselines", "games", "infer", "features"}
    public = {*quantal.__all__, *quantal.baselines.__all__, *quantal.infer.__all__} - packages
    assert public - shown == set()


def test_every_figure_is_made_by_a_script_beside_it():
    makers = [*FIGURES.glob("make_*.py"), FIGURES.parents[1] / "benchmarks" / "crowd.py"]  # one is drawn of timings
    scripts = "".join(p.read_text(encoding="utf-8") for p in makers)
    pictures = [p for p in FIGURES.iterdir() if p.suffix in (".png", ".gif", ".svg")]
    assert pictures
    assert [p.name for p in pictures if f'"{p.name}"' not in scripts] == []


def test_the_site_opens_from_disk_and_can_be_searched(site, browser):
    # The theme's search is a worker, which browsers do not start from disk: iframe-worker.js stands in for it.
    said, asked = [], []
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name in ("index", "tutorials/trust", "reference/solving"):
        page.goto((site / f"{name}.html").as_uri())
        # Wide tables and code scroll by themselves; the page does not.
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto((site / "tutorials/trust.html").as_uri())
    query, answers = page.locator("[data-md-component=search-query]"), page.locator(".md-search-result__item")
    for _ in range(30):  # what is typed before the index is there is forgotten
        query.fill("")
        query.press_sequentially("exploitability")
        page.wait_for_timeout(1_000)
        if answers.count():
            break
    assert "Solving" in page.locator(".md-search-result__list").inner_text()
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.deep
def test_the_scripts_still_make_their_figures(tmp_path):
    # In a copy, as they write beside themselves. That of the driving study takes minutes, and that of speeds hours.
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.png", "*.gif"))
    folder = tmp_path / "docs" / "figures"
    makers = sorted(set(folder.glob("make_*.py")) - {folder / "make_driving_figures.py"})
    assert len(makers) >= 4
    for maker in makers:
        done = subprocess.run([sys.executable, maker], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{maker.name}: {done.stderr}"
    written = {p.name for p in folder.glob("*.png")}
    assert written == {p.name for p in FIGURES.glob("*.png")} - {"driving.png", "driving-study.png", "crowd-growth.png"}
