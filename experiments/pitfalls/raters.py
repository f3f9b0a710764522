"""Precision against trueness, and variability within one observer against that between observers, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from common.metrics.agreement import cohen_kappa, dice_matrix, majority_vote
from common.seeding import generator
from experiments.pitfalls.masks import INVENTED, Mask, disc, of_layers

OUTLINES = 9
RADIUS = 16.0
CENTRE = (32.0, 32.0)
SHADES = (("#c6d9e8", 1), ("#82abcc", 5), ("#33638a", 9))
"""Colour of pixels that at least so many of the outlines hold."""
LESSON = f"""## Precision, trueness, and observers

Two raters outline one disc {OUTLINES} times each. The first is precise and not true: nearly the same outline every
time, 2 mm too wide. The second is true and not precise: right on average, another outline every time. Dice with the
truth says little of which is which. Agreement sees only scatter: *intra-observer* variability is that of ONE rater at
different times, *inter-observer* variability that between raters, and the one who is always wrong in the same way
agrees best with their own outlines. A majority vote over the outlines repairs scatter and leaves bias as it was.
Where there is no truth beyond the raters, bias cannot be seen at all.

Light blue: in one outline at least, middle: in most, dark: in all; orange: the true border.
"""


@dataclass(frozen=True)
class Rater:
    """bias_mm: how much wider than the truth all outlines are. scatter_mm: standard deviation of each outline's own
    width and of each of its waves.
    """

    words: str
    bias_mm: float
    scatter_mm: float

    def outlines(self) -> list[Mask]:
        """The same for every call."""
        rng = generator(2, "observers", self.words)
        return [self._outline(rng) for _ in range(OUTLINES)]

    def _outline(self, rng: np.random.Generator) -> Mask:
        y, x = np.indices(truth().shape)
        angles = np.arctan2(y - CENTRE[0], x - CENTRE[1])
        waves = sum(rng.normal(0, self.scatter_mm) * np.cos(k * angles + rng.uniform(0, 6.28)) for k in range(1, 6))
        radius = RADIUS + self.bias_mm + rng.normal(0, self.scatter_mm) + waves
        return np.asarray(np.hypot(y - CENTRE[0], x - CENTRE[1]) < radius)


RATERS = (Rater("precise, not true", 2.0, 0.1), Rater("true, not precise", 0.0, 1.0))


def truth() -> Mask:
    """What both mean to outline."""
    return disc(CENTRE, RADIUS)


@lru_cache(maxsize=1)
def figures() -> tuple[dict[str, float], ...]:
    """Of each rater, in the order of the page."""
    return tuple(_figures(rater.outlines()) for rater in RATERS)


@lru_cache(maxsize=1)
def between() -> dict[str, float]:
    """Mean Dice and Cohen's kappa over all pairs of an outline of the first rater and one of the second."""
    first, second = (rater.outlines() for rater in RATERS)
    pairs = dice_matrix([*first, *second], 1)[:OUTLINES, OUTLINES:]
    kappas = [cohen_kappa(a, b) for a in first for b in second]
    return {"Dice": float(pairs.mean()), "kappa": float(np.mean(kappas))}


def section() -> str:
    """Markdown."""
    pictured = [f"![{rater.words}](pitfalls/observers-{index}.svg)" for index, rater in enumerate(RATERS)]
    measured = figures()
    lines = [
        LESSON,
        "| | " + " | ".join(rater.words for rater in RATERS) + " |",
        "|---|" + "---|" * len(RATERS),
        "| | " + " | ".join(pictured) + " |",
        *(f"| {name} | " + " | ".join(f"{one[name]:.3f}" for one in measured) + " |" for name in measured[0]),
    ]
    other = between()
    lines.append(
        f"\nInter-observer: Dice {other['Dice']:.3f} and Cohen's kappa {other['kappa']:.3f} between an outline of "
        "the first rater and one of the second, mean over all pairs."
    )
    return "\n".join(lines) + "\n"


def pictures() -> Iterator[tuple[str, str]]:
    """File name and SVG of each rater's outlines."""
    true = truth()
    inner = true & np.roll(true, 1, 0) & np.roll(true, -1, 0) & np.roll(true, 1, 1) & np.roll(true, -1, 1)
    for index, rater in enumerate(RATERS):
        votes = np.sum(rater.outlines(), axis=0)
        layers = [(colour, votes >= least) for colour, least in SHADES]
        yield f"observers-{index}.svg", of_layers([*layers, (INVENTED, true & ~inner)])


def _figures(outlines: list[Mask]) -> dict[str, float]:
    true = truth()
    wider = [np.sqrt(outline.sum() / np.pi) - np.sqrt(true.sum() / np.pi) for outline in outlines]
    within = dice_matrix([true, *outlines], 1)
    pairs = within[1:, 1:][np.triu_indices(OUTLINES, 1)]
    voted = dice_matrix([true, majority_vote(outlines)], 1)[0, 1]
    return {
        "trueness: mean error of radius, mm": float(np.mean(wider)),
        "precision: its standard deviation, mm": float(np.std(wider, ddof=1)),
        "Dice with the truth, mean": float(within[0, 1:].mean()),
        "intra-observer: Dice between own outlines, mean": float(pairs.mean()),
        "Dice of the majority vote with the truth": float(voted),
    }
