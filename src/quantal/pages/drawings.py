"""Matplotlib's SVG, fit to stand in a page: unique names, no document around it, colours that follow the page's theme.

Every colour becomes a variable of the style sheet. In the dark theme its lightness is turned round in OKLab (Ottosson,
2020), hue and chroma kept; colours of lines and bars are kept bright enough to be told apart.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import numpy as np

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
DARK_PAGE = "#15181b"
"""What white becomes: the background of the dark page."""
PAPER, INK = 0.208, 0.94
"""OKLab lightness of the dark page and of its ink."""
BRIGHT, COLOURFUL = 0.66, 0.09
"""Least lightness, in the dark, of what has at least this chroma."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def themed(svg: str, name: str, label: str) -> str:
    """Make an SVG document an element of a page.

    Parameters
    ----------
    svg
        As matplotlib writes it.
    name
        Put before every id, so that two drawings in one page do not meet.
    label
        What readers who do not see it are told.
    """
    body = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r'\b(fill|stroke)="(#[0-9a-fA-F]{6})"', r'style="\1: \2"', body)  # in patterns of hatched bars
    body = re.sub(r'(style="[^"]*")', lambda found: _COLOUR.sub(lambda c: f"var({_variable(c[0])})", found[1]), body)
    (box,) = re.findall(r'viewBox="[^"]*"', body[: body.index(">")])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{html.escape(label)}">'
    return re.sub(r"\n\s*", "\n", head + body[body.index(">") + 1 :]).strip()


def colours(svgs: Iterable[str]) -> tuple[str, ...]:
    """Colours that drawings use, as #rrggbb, in order."""
    places = (place for svg in svgs for place in re.findall(r'(?:style|fill|stroke)="[^"]*"', svg))
    return tuple(sorted({c.lower() for place in places for c in _COLOUR.findall(place)}))


def declarations(used: Iterable[str], *, dark: bool) -> str:
    """Declare the variables of these colours, for the light or the dark theme."""
    return " ".join(f"{_variable(c)}: {darkened(c) if dark else c};" for c in used)


def _variable(colour: str) -> str:
    return f"--c{colour[1:].lower()}"


def darkened(colour: str) -> str:
    """The colour that takes this one's place on a dark page."""
    if colour.lower() == "#ffffff":
        return DARK_PAGE
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light, a, b = _TO_LAB @ np.cbrt(_TO_LMS @ linear)
    chroma = float(np.hypot(a, b))
    turned = INK - (INK - PAPER) * float(np.clip((light - 0.25) / 0.75, 0, 1))
    if chroma >= COLOURFUL:
        turned = max(turned, BRIGHT)
    else:
        a, b = 0.6 * a, 0.6 * b
    back = np.linalg.solve(_TO_LMS, np.linalg.solve(_TO_LAB, [turned, a, b]) ** 3)
    back = np.clip(back, 0, 1)
    shown = np.where(back <= 0.0031308, 12.92 * back, 1.055 * back ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(x)):02x}" for x in shown)
