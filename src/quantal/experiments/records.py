"""What an experiment done again is: its numbers beside the published ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Progress: TypeAlias = Callable[[float], None]
"""Called with the share done, 0 to 1."""
Layout: TypeAlias = Literal["given", "reconstructed"]
"""Whether the paper gives the game, or we had to draw what its missing figures showed."""
Verdict: TypeAlias = Literal["agrees", "agrees in part", "disagrees"]
"""How our outcome stands to the paper's, taken together."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A few numbers of ours beside the paper's.

    Attributes
    ----------
    what
        What was computed.
    labels
        What each number is.
    ours, paper
        The numbers; None where there is none.
    value
        Value rule of our solution.
    play
        ``"policy"`` for probabilities, else how scores were played: ``"sampled"`` or ``"most probable"``.
    note
        The reason where they differ, and whatever else must be said.
    style
        How our numbers are written for people.
    misprint
        The paper's own number is a slip of the pen (see the note): left out of `distance`.
    """

    what: str
    labels: tuple[str, ...]
    ours: tuple[float | None, ...]
    paper: tuple[float | None, ...]
    value: str
    play: str
    note: str = ""
    style: str = ".4f"
    misprint: bool = False

    @property
    def distance(self) -> float | None:
        """Largest |ours - paper|; None where there is nothing to compare."""
        pairs = zip(self.ours, self.paper, strict=True)
        gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        return None if self.misprint or not gaps else max(gaps)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the paper says in words, beside what we see.

    Attributes
    ----------
    what
        What it is about.
    paper, ours
        What the paper says, and what we find, in a few words.
    holds
        Whether what we find is what the paper says.
    play
        As in `Comparison`.
    note
        The evidence, or the reason where it does not hold.
    """

    what: str
    paper: str
    ours: str
    holds: bool
    play: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reproduction:
    """One of the paper's experiments, done again.

    Attributes
    ----------
    name, title
        Short name (of the command line) and what it is.
    comparisons
        Numbers beside the paper's.
    findings
        What came out, in sentences.
    notes
        What is reconstructed, and what else must be known to read the numbers.
    converged
        Whether every solve that the numbers rest on converged.
    layout
        Whether the game is the paper's to the last detail, or drawn anew.
    verdict
        How all of it stands to the paper.
    explanation
        Why it agrees or does not, in one sentence.
    claims
        What the paper says in words.
    """

    name: str
    title: str
    comparisons: tuple[Comparison, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    converged: bool
    layout: Layout
    verdict: Verdict
    explanation: str
    claims: tuple[Claim, ...] = ()
