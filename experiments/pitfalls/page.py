"""Writes docs/pitfalls.md: where a metric misleads, as pictures with the figures measured on them.

Run `python -m experiments.pitfalls.page` from the project's folder after a change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.metrics.boundary_overlap import boundary_iou
from common.metrics.counts import Counts, accuracy, f_beta, jaccard, volume_similarity
from common.metrics.pair import Pair
from common.seeding import generator
from experiments.pitfalls import noise_curve, raters, references
from experiments.pitfalls.masks import PIXELS_A_SIDE, Mask, block, disc, of_pair

FOLDER = Path("docs")
HEADING = """# Where metrics mislead

Each picture shows a truth and a prediction: blue where both agree, orange where only the prediction has the
structure (false positive), violet where only the truth has it (false negative). The figures are computed by the code
of this project on just these pixels of 1 mm, by `python -m experiments.pitfalls.page`, which writes this page.
Distances are in mm; a dash means not defined, "inf" that one of the two masks is empty. Which metric suits which
task: Maier-Hein et al. 2024, Metrics Reloaded. What each figure is, and whose: [Metrics](metrics.md).
"""


@dataclass(frozen=True)
class Example:
    """A truth and a prediction, (H, W) bool each, and what they show."""

    words: str
    truth: Mask
    prediction: Mask


@dataclass(frozen=True)
class Pitfall:
    """name: of its pictures' files. examples: to be compared with each other."""

    name: str
    title: str
    lesson: str
    examples: tuple[Example, ...]


def pitfalls() -> tuple[Pitfall, ...]:
    """All that the page shows, in its order."""
    return (_size(), _shape(), _several(), _noise(), _resolution(), _empty())


def _size() -> Pitfall:
    large, small = disc((32, 32), 20), disc((32, 32), 3)
    return Pitfall(
        "size",
        "Structure size",
        "The same outline, one pixel off, costs a small structure a fifth of its Dice and a large one 3 %; HD "
        "and ASSD see the same error in both. Accuracy calls both perfect. Do not average Dice over structures "
        "of unlike size without saying so.",
        (
            Example("large, one pixel off", large, np.roll(large, 1, axis=1)),
            Example("small, one pixel off", small, np.roll(small, 1, axis=1)),
        ),
    )


def _shape() -> Pitfall:
    organ, vessel = disc((32, 32), 14), block((31, 33), (4, 60))
    return Pitfall(
        "shape",
        "Structure shape",
        "One pixel off along its width halves the Dice of a thin vessel and hardly touches a round organ. For thin "
        "structures a surface Dice at the tolerance that matters says more. clDice, which asks whether a centre line "
        "lies within the other outline, is of no help in a vessel of two pixels, and of use in wider ones, which it "
        "tells broken from whole.",
        (
            Example("round, one pixel off", organ, np.roll(organ, 1, axis=0)),
            Example("thin, one pixel off", vessel, np.roll(vessel, 1, axis=0)),
        ),
    )


def _several() -> Pitfall:
    large, small = disc((24, 24), 15), [disc(centre, 2.5) for centre in ((10, 54), (52, 12), (54, 50), (34, 54))]
    truth = np.asarray(np.any([large, *small], axis=0))
    broken = large.copy()
    broken[:, 23:25] = False
    return Pitfall(
        "several",
        "Several structures",
        "Of five lesions four are missed, and Dice hardly falls, for the large one has nearly all of the pixels. "
        "Lesion F1 counts lesions. A lesion cut in two is split: as many pixels are right, and there is one piece "
        "more than there should be, which the Betti error counts.",
        (
            Example("four of five are missed", truth, large),
            Example("all are found, the large one is split", truth, np.asarray(np.any([broken, *small], axis=0))),
        ),
    )


def _noise() -> Pitfall:
    truth = disc((32, 32), 16)
    speck = truth.copy()
    speck[3:5, 3:5] = True
    rng = generator(1, "pitfalls")
    angles = np.arctan2(*(np.indices(truth.shape) - 32))
    wobble = sum(rng.normal(0, 0.6) * np.cos(k * angles + rng.uniform(0, 6.28)) for k in range(3, 9))
    ragged = np.hypot(*(np.indices(truth.shape) - 32.0)) + wobble < 16
    return Pitfall(
        "noise",
        "Annotation noise",
        "Four stray pixels leave Dice where it was and throw HD far out; HD95 ignores them. An outline that "
        "trembles all around, as two annotators' do, costs more Dice. HD is for finding outliers, HD95 and ASSD "
        "for comparing.",
        (Example("a speck far away", truth, speck), Example("a trembling outline", truth, ragged)),
    )


def _resolution() -> Pitfall:
    fine_truth, fine_prediction = disc((32, 32), 14), disc((32, 34), 14)
    coarse_truth, coarse_prediction = (_coarse(mask, 8) for mask in (fine_truth, fine_prediction))
    return Pitfall(
        "resolution",
        "Resolution",
        "The same structures and the same shift of 2 mm, seen in pixels of 1 mm and in pixels of 8 mm: the "
        "coarse masks give figures that say more of the grid than of the prediction. Compare methods at one "
        "resolution only.",
        (
            Example("pixels of 1 mm", fine_truth, fine_prediction),
            Example("pixels of 8 mm", coarse_truth, coarse_prediction),
        ),
    )


def _empty() -> Pitfall:
    empty, small = np.zeros((PIXELS_A_SIDE, PIXELS_A_SIDE), np.bool_), disc((32, 32), 3)
    return Pitfall(
        "empty",
        "Empty label maps",
        "Where nobody has the disease, a prediction of nothing is right, and Dice is 0 / 0: not defined, neither "
        "0 nor 1. One false pixel then makes it 0. Some libraries drop the infinite distance of a missed "
        "structure, so that missing it scores better than finding it badly; here it stays infinite, and is "
        "counted where means are taken.",
        (
            Example("neither has it", empty, empty),
            Example("invented", empty, small),
            Example("missed", small, empty),
        ),
    )


def page(all_of_them: tuple[Pitfall, ...]) -> str:
    """The page in Markdown."""
    return "\n".join(
        [HEADING, *map(_section, all_of_them), references.section(), raters.section(), noise_curve.section()]
    )


def pictures(all_of_them: tuple[Pitfall, ...]) -> Iterator[tuple[str, str]]:
    """File name and SVG of every example."""
    for pitfall in all_of_them:
        for index, example in enumerate(pitfall.examples):
            yield f"{pitfall.name}-{index}.svg", of_pair(example.truth, example.prediction)
    yield from references.pictures()
    yield from raters.pictures()
    yield noise_curve.PICTURE, noise_curve.picture()


def _section(pitfall: Pitfall) -> str:
    heads = [f"![{example.words}](pitfalls/{pitfall.name}-{i}.svg)" for i, example in enumerate(pitfall.examples)]
    lines = [
        f"## {pitfall.title}\n\n{pitfall.lesson}\n",
        "| | " + " | ".join(example.words for example in pitfall.examples) + " |",
        "|---|" + "---|" * len(pitfall.examples),
        "| | " + " | ".join(heads) + " |",
    ]
    measured = [_figures(example) for example in pitfall.examples]
    lines += [f"| {name} | " + " | ".join(_spell(one[name]) for one in measured) + " |" for name in measured[0]]
    return "\n".join(lines) + "\n"


def _figures(example: Example) -> dict[str, float]:
    counts = Counts.of(example.truth, example.prediction, [1])
    pair = Pair.of(example.truth, example.prediction)
    overlaps: dict[str, Callable[[Counts], NDArray[np.float64]]] = {
        "Dice": f_beta,
        "Jaccard": jaccard,
        "accuracy": accuracy,
        "volume similarity": volume_similarity,
    }
    return {name: float(figure(counts)[0]) for name, figure in overlaps.items()} | {
        "HD": pair.surface.hausdorff_mm,
        "HD95": pair.surface.hausdorff_percentile_mm(),
        "ASSD": pair.surface.average_symmetric_mm,
        "surface Dice, 1 mm": pair.surface.surface_dice(1.0),
        "boundary IoU, 2 mm": boundary_iou(example.truth, example.prediction, width_mm=2.0),
        "clDice": pair.centre_lines.cl_dice,
        "lesion F1": pair.detection.f1,
        "lesions split": float(pair.detection.split),
        "Betti error": float(sum(pair.betti_errors)),
    }


def _spell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _coarse(mask: Mask, factor: int) -> Mask:
    """As pixels of `factor` mm see it, drawn in pixels of 1 mm again."""
    side = PIXELS_A_SIDE // factor
    share = mask.reshape(side, factor, side, factor).mean(axis=(1, 3))
    return np.asarray(np.kron(share >= 0.5, np.ones((factor, factor))) > 0)


def write(folder: Path) -> None:
    """Write the page and its pictures into `folder`."""
    found = pitfalls()
    (folder / "pitfalls").mkdir(parents=True, exist_ok=True)
    (folder / "pitfalls.md").write_text(page(found), encoding="utf-8")
    for name, picture in pictures(found):
        (folder / "pitfalls" / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
