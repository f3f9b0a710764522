"""Ground truth against gold standard, and the two things that accuracy means, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from common.metrics.counts import Counts, accuracy, f_beta
from common.seeding import generator
from experiments.pitfalls.masks import AGREED, INVENTED, Mask, disc, of_layers

RADIUS, EXPERTS_MM, CENTRE = 14.0, 1.5, (32.0, 32.0)
WIDER_MM = (EXPERTS_MM, 0.0)
NAMES = ("imitates the experts", "outlines what is there")
LESSON = """## Ground truth and gold standard

*Ground truth* is what is there, known because somebody put it there: a simulated image, or a physical phantom whose
shape was measured. A *gold standard* is the best that can be had of a patient: the outline of an expert, the
consensus of several, histology. It may be wrong, and in the same way in every case. Below, a phantom: a disc of 14
mm, and an expert who outlines its blurred edge 1.5 mm too far out. One method has learned to imitate the expert; the
other finds what is there. By the gold standard the first is the better one, by the ground truth the second. Say which
of the two a figure was measured with. Of patients there is only a gold standard, and no method can be shown to be
better than it.

Blue: the method's outline where the phantom is; orange: where it is not; the line is the expert's outline.
"""
ACCURACY = """
## Accuracy, twice

The word has two meanings. Of *measurements* (ISO 5725) accuracy is trueness, how far the mean of many is from what is
there, and precision, how far they scatter: [observers](#precision-trueness-and-observers) shows both. Of *decisions*
it is (TP + TN) / N, the share that is right. And *precision* is the scatter of measurements there, and
TP / (TP + FP) here. Decisions are mostly about something rare, where nearly every one is right by doing nothing:
"""


def phantom() -> Mask:
    """What is there."""
    return disc(CENTRE, RADIUS)


def expert() -> Mask:
    """What the expert outlines."""
    return disc(CENTRE, RADIUS + EXPERTS_MM)


@lru_cache(maxsize=1)
def answers() -> tuple[Mask, ...]:
    """Outlines of the two methods, in the order of NAMES: a little restless both, and alike in it."""
    rng = generator(4, "references")
    angles = np.arctan2(*(np.indices(phantom().shape) - CENTRE[0]))
    waves = sum(rng.normal(0, 0.3) * np.cos(k * angles + rng.uniform(0, 6.28)) for k in range(3, 8))
    distance = np.hypot(*(np.indices(phantom().shape) - CENTRE[0]))
    return tuple(np.asarray(distance < RADIUS + wider + waves) for wider in WIDER_MM)


def figures() -> tuple[dict[str, float], ...]:
    """Of each method."""
    return tuple(
        {
            "Dice with the gold standard (the expert)": _dice(expert(), answer),
            "Dice with the ground truth (the phantom)": _dice(phantom(), answer),
        }
        for answer in answers()
    )


def found_nothing() -> dict[str, float]:
    """Of a prediction of nothing, where a small structure is there."""
    truth = disc(CENTRE, 3.0)
    counts = Counts.of(truth, np.zeros_like(truth), [1])
    return {"accuracy, (TP + TN) / N": float(accuracy(counts)[0]), "Dice": float(f_beta(counts)[0])}


def section() -> str:
    """Markdown."""
    pictured = [f"![{name}](pitfalls/reference-{index}.svg)" for index, name in enumerate(NAMES)]
    measured, nothing = figures(), found_nothing()
    lines = [
        LESSON,
        "| | " + " | ".join(NAMES) + " |",
        "|---|" + "---|" * len(NAMES),
        "| | " + " | ".join(pictured) + " |",
        *(f"| {name} | " + " | ".join(f"{one[name]:.3f}" for one in measured) + " |" for name in measured[0]),
        ACCURACY,
        "| a structure of 3 mm, and a prediction of nothing | |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in nothing.items()),
    ]
    return "\n".join(lines) + "\n"


def pictures() -> Iterator[tuple[str, str]]:
    """File name and SVG of each method's outline."""
    line = expert() & ~disc(CENTRE, RADIUS + EXPERTS_MM - 1)
    for index, answer in enumerate(answers()):
        there = phantom() & answer
        yield (
            f"reference-{index}.svg",
            of_layers([(AGREED, there), (INVENTED, answer & ~phantom()), ("#1b1f24", line)]),
        )


def _dice(truth: Mask, prediction: Mask) -> float:
    return float(f_beta(Counts.of(truth, prediction, [1]))[0])
