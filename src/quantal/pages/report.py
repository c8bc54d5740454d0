"""The report: the paper's experiments, ours beside theirs, as one HTML page that opens from disk and loads nothing.

Figures are inline and follow the reader's theme; the driving scene is there to be played with, as the page that
`quantal.pages.crowds` makes, in a frame. The report has no script of its own, and nothing in it tells the time: the
same results make the same bytes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from quantal.experiments.records import Claim, Comparison, Reproduction
from quantal.pages import drawings
from quantal.reports import paper

SIGNS = {"agrees": "✓", "agrees in part": "◐", "disagrees": "✗"}


@dataclass(frozen=True)
class Drawn:
    """A figure that was written: the name of its file without the ending, its SVG, its caption."""

    name: str
    svg: str
    caption: str


def page(
    found: Sequence[Reproduction],
    drawn: Mapping[str, Sequence[Drawn]],
    *,
    command: str,
    versions: Mapping[str, str],
    views: Mapping[str, str] | None = None,
) -> str:
    """Make the report.

    Parameters
    ----------
    found
        What to report, in order.
    drawn
        Figures per name of a reproduction.
    command
        What made it.
    versions
        Per program, what it was made with.
    views
        Per name of a reproduction, a whole page to be shown in a frame.
    """
    views = views or {}
    used = drawings.colours(figure.svg for figures in drawn.values() for figure in figures)
    numbered = iter(range(1, 1 + sum(map(len, drawn.values()))))
    filled = {
        "style": _template("report.css"),
        "light": drawings.declarations(used, dark=False),
        "dark": drawings.declarations(used, dark=True),
        "scripts": " ".join(f"'{hashed}'" for view in views.values() for hashed in _scripts(view)) or "'none'",
        "lead": _text(paper.in_short(found)),
        "contents": "\n".join(
            f'<li><a href="#{r.name}">{_text(r.title)}</a> <span class="dim">{_text(r.verdict)}</span></li>'
            for r in found
        ),
        "summary": "\n".join(_summary(r) for r in found),
        "sections": "\n".join(_section(r, drawn.get(r.name, ()), views.get(r.name), numbered) for r in found),
        "command": _text(command),
        "versions": "\n".join(f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in versions.items()),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: filled[slot[1]], _template("report.html"))


def _template(name: str) -> str:
    return (resources.files("quantal.pages") / "templates" / name).read_text(encoding="utf-8")


def _scripts(view: str) -> list[str]:
    """What the frame's own security policy lets run: a frame is under the policy of the page around it as well."""
    return re.findall(r"script-src '(sha256-[^']*)'", view)


def _text(words: str) -> str:
    return html.escape(words.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"))


def _badge(verdict: str) -> str:
    kind = verdict.replace(" ", "-")
    return f'<span class="badge {kind}"><span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}</span>'


def _summary(r: Reproduction) -> str:
    return (
        f'<tr><th scope="row"><a href="#{r.name}">{_text(r.title)}</a></th><td>{_badge(r.verdict)}</td>'
        f"<td>{r.layout}</td><td>{_text(r.explanation)}</td></tr>"
    )


def _section(r: Reproduction, figures: Sequence[Drawn], view: str | None, numbers: object) -> str:
    parts = [
        f'<section id="{r.name}" aria-labelledby="{r.name}-title">',
        f'<h2 id="{r.name}-title">{_text(r.title)}</h2>',
        f'<p class="standing">{_badge(r.verdict)} <span class="layout">layout {r.layout}</span> '
        f"<code>quantal reproduce {r.name}</code></p>",
        f'<p class="explanation">{_text(r.explanation)}</p>',
    ]
    for figure in figures:
        number = next(numbers)  # type: ignore[call-overload]
        svg = drawings.themed(figure.svg, figure.name, f"Figure {number}: {figure.caption}")
        parts.append(
            f'<figure id="figure-{figure.name}"><div class="drawing" tabindex="0" role="group" '
            f'aria-label="Figure {number}">{svg}</div>\n<figcaption><b>Figure {number}.</b> {_text(figure.caption)} '
            f'<span class="files"><a href="{figure.name}.svg">SVG</a> <a href="{figure.name}.png">PNG</a></span>'
            "</figcaption></figure>"
        )
    if view is not None:
        parts.append(
            f'<figure class="view"><iframe title="{_text(r.title)}: play it" srcdoc="{html.escape(view)}"></iframe>'
            "<figcaption>The same, to be played with: move through time, point at a cell for the policies there. "
            f'<a href="{r.name}.html">Open it by itself.</a></figcaption></figure>'
        )
    if r.claims:
        parts.append(_claims(r.claims))
    if r.comparisons:
        parts.append(_comparisons(r))
    parts.append("<h3>What came out</h3><ul>" + "".join(f"<li>{_text(x)}</li>" for x in r.findings) + "</ul>")
    parts.append(
        '<h3>What must be known</h3><ul class="dim">' + "".join(f"<li>{_text(x)}</li>" for x in r.notes) + "</ul>"
    )
    return "\n".join([*parts, "</section>"])


def _claims(claims: Sequence[Claim]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{_text(c.what)}<span class="how">{_text(c.note)}</span></th><td>{_text(c.paper)}</td>'
        f"<td>{_text(c.ours)}</td><td>{'✓ agrees' if c.holds else '✗ differs'}</td></tr>"
        for c in claims
    )
    return _table("What the paper says in words", ("claim", "paper", "ours", ""), rows, kind="claims")


def _comparisons(r: Reproduction) -> str:
    notes = list(dict.fromkeys(row.note for row in r.comparisons if row.note))
    body = "\n".join(_comparison(r, row, notes) for row in r.comparisons)
    foot = "".join(f'<li id="{r.name}-note-{k + 1}">{_text(note)}</li>' for k, note in enumerate(notes))
    listed = f'<ol class="notes">{foot}</ol>' if notes else ""
    return _table("Numbers", ("quantity", "paper", "ours", "difference"), body, kind="numbers") + listed


def _comparison(r: Reproduction, row: Comparison, notes: Sequence[str]) -> str:
    mark = ""
    if row.note:
        k = notes.index(row.note) + 1
        mark = f' <a class="mark" href="#{r.name}-note-{k}" aria-label="note {k}">[{k}]</a>'
    how = paper.how(row)
    head = (
        f'<tr class="what"><th scope="rowgroup" colspan="4">{_text(row.what)}{mark}'
        f'<span class="how">{_text(how)}</span></th></tr>'
    )
    lines = "\n".join(
        f'<tr><th scope="row">{_text(label)}</th><td>{theirs}</td><td>{ours}</td><td>{apart}</td></tr>'
        for label, theirs, ours, apart in paper.cells(row)
    )
    return f"<tbody>{head}\n{lines}</tbody>"


def _table(caption: str, columns: Sequence[str], body: str, *, kind: str) -> str:
    head = "".join(f'<th scope="col">{c}</th>' if c else "<td></td>" for c in columns)
    inside = body if body.startswith("<tbody>") else f"<tbody>{body}</tbody>"
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{caption}"><table class="{kind}">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>{inside}</table></div>"
    )
