"""Pages opened in a real Chromium.

QUANTAL_SCREENSHOTS names a directory for pictures of what was tested.
"""

import os
from pathlib import Path

import numpy as np
import pytest

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def show_file(browser):
    """Open a page; at the end, nothing may have been said on the console, and nothing asked of any network."""
    contexts, files, said, asked = [], [], [], []

    def open_page(file, viewport=WIDE, **settings):
        context = browser.new_context(viewport=viewport, reduced_motion="reduce", accept_downloads=True, **settings)
        contexts.append(context)
        files.append(file.as_uri())
        opened = context.new_page()
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(file.as_uri())
        opened.wait_for_selector("html[data-ready]", timeout=20_000)
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == files


@pytest.fixture
def keep_screenshot():
    def keep(opened, name):
        if folder := os.environ.get("QUANTAL_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            opened.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return keep


@pytest.fixture
def contrast():
    """Contrast ratio of WCAG 2 between an element's letters and the page."""

    def measure(opened, selector):
        shades = opened.evaluate(
            """selector => [getComputedStyle(document.querySelector(selector)).color,
                            getComputedStyle(document.documentElement).backgroundColor]""",
            selector,
        )
        light, dark = sorted(map(_luminance, shades), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    return measure


REACHED = """() => {
  const on = document.activeElement;
  if (on === document.body) return null;
  const text = id => document.getElementById(id)?.textContent ?? "";
  const labels = [...on.labels ?? []].map(label => label.textContent).join(" ");
  const labelled = (on.getAttribute("aria-labelledby") ?? "").split(" ").map(text).join(" ").trim();
  const style = getComputedStyle(on), disc = on.querySelector(":scope > .disc");
  on.dataset.reached = "yes";
  return {
    tag: on.tagName.toLowerCase(), id: on.id, range: on.type === "range" || on.role === "slider",
    name: (on.getAttribute("aria-label") ?? (labelled || labels || on.textContent)).trim(),
    said: on.getAttribute("aria-valuetext"),
    shown: style.outlineStyle !== "none" || (disc && getComputedStyle(disc).strokeWidth !== "0.7px"),
  };
}"""
MISSED = """controls => [...document.querySelectorAll(controls)]
  .filter(each => each.checkVisibility() && !each.disabled && !each.dataset.reached)
  .map(each => each.outerHTML.slice(0, 80))"""
CONTROLS = "a[href], button, select, input, [tabindex='0']"


@pytest.fixture
def tab_through():
    """Go through a page by the Tab key alone: every control is met, has a name, and shows that it has the focus."""

    def walk(opened, most=200):
        met = []
        opened.evaluate("document.activeElement.blur()")
        for _ in range(most):
            opened.keyboard.press("Tab")
            found = opened.evaluate(REACHED)
            if found is None or (met and found == met[0]):
                break
            met.append(found)
        assert opened.evaluate(MISSED, CONTROLS) == []
        assert [each for each in met if not each["name"]] == []
        assert [each for each in met if not each["shown"]] == []
        assert [each for each in met if each["range"] and not each["said"]] == []
        return met

    return walk


def _luminance(colour):
    shares = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
