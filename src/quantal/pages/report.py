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

NARROW = ("one-step",)
"""Drawings that a phone shows whole."""
YES, NO = '<td class="yes">✓ agrees</td>', '<td class="no">✗ differs</td>'
PLAY = {
    "driving": "The same, to be played with: move through time, point at a cell for the policies there.",
    "fig4": "The same, to be played with: put the players where you want, and see what everyone does there, and next. "
    "Under the greedy rule.",
}
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
        "lead": _prose(paper.in_short(found)),
        "contents": "\n".join(
            f'<li><a href="#{r.name}">{_prose(r.title)}</a> <span class="dim">{_text(r.verdict)}</span></li>'
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


GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "mu": "μ", "tau": "τ", "theta": "θ"}


def _text(words: str) -> str:
    return html.escape(words)


def _prose(words: str) -> str:
    """Set words as a book would: Greek letters, indices, powers of ten, code, quotation marks, no breaks around =."""
    said = words.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    parts = re.split(r"(`[^`]*`|method='\w+'|\bquantal \w[\w-]*(?= shows| takes))", said)
    return "".join(f"<code>{_text(part.strip('`'))}</code>" if k % 2 else _set(part) for k, part in enumerate(parts))


def _set(words: str) -> str:
    words = re.sub(rf"\b({'|'.join(GREEK)})(?=\b|_)", lambda found: GREEK[found[1]], words)
    words = re.sub(r"(?<=\d)x(?=\d)", "×", words)
    words = re.sub(r"(?<![\w.])-(?=\d)|(?<= )-(?= )", "\N{MINUS SIGN}", words)
    words = re.sub(r"(?<=\w)'|'(?=s\b)", "’", words)
    words = re.sub(r'"([^"]*)"', "“\\1”", words)
    words = html.escape(words, quote=False)
    words = re.sub(r"\b1e[-−](\d+)", lambda found: f"10<sup>−{int(found[1])}</sup>", words)
    words = re.sub(r"\b(\d[\d.]*)e[-−](\d+)", lambda f: f"{f[1]}\u202f×\u202f10<sup>−{int(f[2])}</sup>", words)
    return re.sub(r"\b([A-Za-zθ])_(\w)\b", r"<i>\1</i><sub>\2</sub>", words)


def _badge(verdict: str) -> str:
    kind = verdict.replace(" ", "-")
    return f'<span class="badge {kind}"><span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}</span>'


def _summary(r: Reproduction) -> str:
    return (
        f'<tr><th scope="row"><a href="#{r.name}">{_prose(r.title)}</a></th><td>{_badge(r.verdict)}</td>'
        f"<td>{r.layout}</td><td>{_prose(r.explanation)}</td></tr>"
    )


def _section(r: Reproduction, figures: Sequence[Drawn], view: str | None, numbers: object) -> str:
    parts = [
        f'<section id="{r.name}" aria-labelledby="{r.name}-title">',
        f'<h2 id="{r.name}-title">{_prose(r.title)}</h2>',
        f'<p class="standing">{_badge(r.verdict)} <span class="layout">layout {r.layout}</span> '
        f"<code>quantal reproduce {r.name}</code></p>",
        f'<p class="explanation">{_prose(r.explanation)}</p>',
    ]
    for figure in figures:
        number = next(numbers)  # type: ignore[call-overload]
        fits = ' class="fits"' if figure.name in NARROW else ""
        svg = drawings.themed(figure.svg, figure.name, f"Figure {number}: {figure.caption}")
        parts.append(
            f'<figure id="figure-{figure.name}"><div class="drawing" tabindex="0" role="group" '
            f'aria-label="Figure {number}">{svg}</div>\n<figcaption{fits}><b>Figure {number}.</b> '
            f"{_prose(figure.caption)} "
            f'<span class="files"><a href="{figure.name}.svg">SVG</a> <a href="{figure.name}.png">PNG</a></span>'
            "</figcaption></figure>"
        )
    if view is not None:
        parts.append(
            f'<figure class="view"><iframe title="{_text(r.title)}: play it" srcdoc="{html.escape(view)}"></iframe>'
            f"<figcaption>{PLAY[r.name]} "
            f'<a href="{r.name}.html">Open it by itself.</a></figcaption></figure>'
        )
    if r.claims:
        parts.append(_claims(r.claims))
    if r.comparisons:
        parts.append(_comparisons(r))
    parts.append("<h3>What came out</h3><ul>" + "".join(f"<li>{_prose(x)}</li>" for x in r.findings) + "</ul>")
    parts.append(
        '<h3>What must be known</h3><ul class="dim">' + "".join(f"<li>{_prose(x)}</li>" for x in r.notes) + "</ul>"
    )
    return "\n".join([*parts, "</section>"])


def _claims(claims: Sequence[Claim]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{_prose(c.what)}<span class="how">{_prose(c.note)}</span></th><td>{_prose(c.paper)}</td>'
        f"<td>{_prose(c.ours)}</td>{YES if c.holds else NO}</tr>"
        for c in claims
    )
    return _table("What the paper says in words", ("claim", "paper", "ours", ""), rows, kind="claims")


def _comparisons(r: Reproduction) -> str:
    notes = list(dict.fromkeys(row.note for row in r.comparisons if row.note))
    body = "\n".join(_comparison(r, row, notes) for row in r.comparisons)
    foot = "".join(f'<li id="{r.name}-note-{k + 1}">{_prose(note)}</li>' for k, note in enumerate(notes))
    listed = f'<ol class="notes">{foot}</ol>' if notes else ""
    return _table("Numbers", ("quantity", "paper", "ours", "difference"), body, kind="numbers") + listed


def _comparison(r: Reproduction, row: Comparison, notes: Sequence[str]) -> str:
    mark = ""
    if row.note:
        k = notes.index(row.note) + 1
        mark = f' <a class="mark" href="#{r.name}-note-{k}" aria-label="note {k}">[{k}]</a>'
    what = _prose(row.what)
    how = f'<span class="how">{_prose(paper.how(row))}</span>'
    lines = paper.cells(row)
    if len(lines) == 1:
        (label, theirs, ours, apart) = lines[0]
        return (
            f'<tbody><tr class="only"><th scope="row">{what}: {_prose(label)}{mark}{how}</th>'
            f"<td>{_prose(theirs)}</td><td>{_prose(ours)}</td><td>{_prose(apart)}</td></tr></tbody>"
        )
    body = "\n".join(
        f'<tr><th scope="row">{_prose(label)}</th><td>{_prose(theirs)}</td><td>{_prose(ours)}</td>'
        f"<td>{_prose(apart)}</td></tr>"
        for label, theirs, ours, apart in lines
    )
    return f'<tbody><tr class="what"><th scope="rowgroup" colspan="4">{what}{mark}{how}</th></tr>\n{body}</tbody>'


def _table(caption: str, columns: Sequence[str], body: str, *, kind: str) -> str:
    head = "".join(f'<th scope="col">{c}</th>' if c else "<td></td>" for c in columns)
    inside = body if body.startswith("<tbody>") else f"<tbody>{body}</tbody>"
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{caption}"><table class="{kind}">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>{inside}</table></div>"
    )
