"""Writes docs/metrics.md: every figure of `wardround metrics`, what it is, and which library has the same.

Run `python -m experiments.measuring.definitions_page` from the project's folder after a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.metrics import definitions_of_outlines, definitions_of_structure
from common.metrics.definition import Metric
from common.metrics.definitions import DEFAULT

PAGE = Path("docs/metrics.md")
HEADING = f"""# Metrics

`wardround metrics PREDICTION TRUTH` measures label maps in NIfTI, two files or two folders with files of the same
names; `--metrics` says what, by these names or their other names, with commas, or `all`:

    wardround metrics predicted/ true/ --metrics dice,hd95,lesion_f1,cldice --csv figures.csv --figure errors.html

Without it: {", ".join(DEFAULT)}. This page is made of the table that the command reads
(`python -m experiments.measuring.definitions_page`).

- Each label is measured by itself. T, F, P, N: true, false, positive, negative voxels of the whole image.
- *Empty*: what a figure is where neither map has the label / where only the prediction has it, it was invented /
  where only the truth has it, it was missed. A dash: not defined, empty in CSV, null in JSON. `inf`: infinite. The
  column `found` says which of the four cases a row is. Nothing is left out of a summary unsaid: it counts what is
  not defined and what is infinite.
- Of an image with two axes volumes are areas: mm^3 reads mm^2, and ml 1,000 mm^2.
- *Best*: high, low, or zero, whatever the sign. The worst cases of a summary are ranked by it.
- The same in Python: `common.metrics.definitions.figures(Pair.of(truth, prediction, spacing_mm))`, arrays in,
  numbers out.
"""
PARTS: Mapping[str, Mapping[str, Metric]] = {
    "Where a structure lies": definitions_of_outlines.METRICS,
    "What it consists of, and how sure the prediction is": definitions_of_structure.METRICS,
}
REST = """## Lesions

An instance is a connected component: voxels that share a corner (`--connectivity corners`, 26 neighbours in 3D) or a
face. Instances are matched one to one from an IoU of `--iou` on, the best overlap first; from 0.5 on no other
matching exists but among ties. Counts add up over cases, `common.metrics.instances.Detection`.

## Chances

`auroc`, `average_precision`, `brier` and `ece` want the chance of one label at every voxel, within 0 and 1, in place
of a label map; `--label` says of which label where the truth has several. The other figures then are of what has a
chance of one half or more, and the page shows the reliability curve.

    wardround metrics chances/ true/ --metrics dice,auroc,brier,ece --label 1 --figure calibration.html

## Answers about whole cases

    wardround metrics answers.csv truth.csv --patients whose.csv --json figures.json --figure answers.html

Two CSV files with the column `case`. The truth has `label`, any word or number; the answers `label`, or the chance
of each class as `chance_benign,chance_malignant` (of two classes one is enough), or both; without `label` the
likeliest class is the answer. Of all classes: accuracy, balanced accuracy, MCC, Cohen's kappa, of numbers also
weighted (linear, quadratic), Brier. Of each class against all others: sensitivity, specificity, precision, F1,
AUROC, average precision, Brier, ECE over ten bins. Each is scikit-learn's, with a 95 % interval by bootstrap over
patients (1,000 draws). The page shows the confusion matrix and reliability curves; JSON names the cases that are
wrong.

## All cases

Of several cases the terminal, JSON (`summary`), the page and a second CSV (`figures-summary.csv` beside
`figures.csv`) hold mean, median, standard deviation, quartiles, the five worst cases, and 95 % intervals of mean
and median, by bootstrap over patients (2,000 draws, the same each time). Each case is a patient; `--patients
whose.csv`, with the columns `case` and `patient`, says otherwise: cases of one patient are drawn together. An
infinite case makes the mean infinite and ranks last in the median.

## Raters

    wardround metrics --raters anna=first/ anna=again/ ben=ben/ cleo/ --json raters.json --figure raters.html

Files or folders of two raters or more. Two paths of one name are one observer at two times. Agreement within
(intra) and between observers (inter): Dice, Cohen's kappa, HD95, ASSD and volume, each pair and all pairs; Fleiss'
kappa; the STAPLE consensus of every observer's first reading, and each reading against it. Kappa counts all voxels
of the image, most of which are background.

## Over hospitals

What a hospital sends are sums, so that the figure of all patients is that of the pooled ones, and no map leaves:
`Detection`, `CentreLines`, `Volumes`, `boundary_statistics` and `brier_statistics` make means that merge
(`common.sums.mean.merge`), confusion matrices add up before MCC, balanced accuracy and kappa are taken of them, and
AUROC, average precision and calibration come of histograms in shared bins (`common.metrics.roc`, `calibration`).
Medians and bootstrap intervals need single cases, and are of one machine. A study of outlines names what is
measured at every hospital with `task.scores`: lesions too, as `task = { name = "segmentation", scores = ["dice",
"lesion_f1"] }`.

## Beside the libraries

Drawn masks in 2D and 3D, 2026-11-27; CPU of one thread on two masks of 128 x 128 x 64 voxels with 185 and 237
lesions, the median of five, on a machine busy with other work:

| beside | what | cases | apart | CPU ms, theirs | ours |
|---|---|---:|---|---:|---:|
| panoptica 2.1.7 | matches and their IoU (3,443), greedy and optimal, SQ, RQ, PQ | 200 | no match, 1e-9 | 99 | 32 |
| MetricsReloaded (cb38dfc) | clDice and its shares, boundary IoU, volume ratio | 100 | 1e-5 at most | 593 | 79 |
| MetricsReloaded (cb38dfc) | MCC, balanced accuracy, kappa | 100 | 1e-5 at most, float32 there | | |

The time beside MetricsReloaded is of clDice, boundary IoU and MCC. The tests hold every figure that scikit-learn or
scikit-image has to theirs.

## Where libraries differ

- HD95 is the larger of both directed percentiles (MONAI, surface-distance); medpy pools both directions.
- MONAI leaves the distance of a missed structure out of its mean; here it is infinite, and counted.
- scikit-learn answers 0 for an MCC that is 0 / 0; here it is not defined.
- MetricsReloaded's boundary IoU counts voxels, not mm; its ECE leaves chances of exactly 0 out.
- panoptica's `rvd` of two empty masks is 0; here it is not defined.
- scikit-image's skeleton of a block of 2 x 2 x 2 voxels is empty: its clDice is not defined.
"""


def page() -> str:
    """Markdown."""
    return "\n".join([HEADING, *(_part(title, metrics) for title, metrics in PARTS.items()), REST])


def _part(title: str, metrics: Mapping[str, Metric]) -> str:
    lines = [
        f"## {title}",
        "",
        "| name | other names | definition | equals | best | empty |",
        "|---|---|---|---|---|---|",
    ]
    for name, metric in metrics.items():
        other = ", ".join(f"`{word}`" for word in metric.also)
        empty = " / ".join(metric.empty)
        lines.append(f"| `{name}` | {other} | {metric.meaning} | {metric.equals} | {metric.best} | {empty} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
