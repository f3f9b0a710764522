"""Figures of predicted and true label maps in files: one row a case and label."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from common.data.image import SUFFIXES, Image, as_plane, read_labels
from common.errors import ImageError
from common.files.access import write_to
from common.metrics import counts as figures
from common.metrics.counts import Counts
from common.metrics.nearest import Outline
from common.metrics.surface import surface_distances
from common.study.spelling import unknown

MOST_LABELS = 1000
SURFACES: Mapping[str, Outline] = {"voxels": "border", "elements": "elements"}


@dataclass(frozen=True)
class Row:
    """Of one label of one case.

    NaN: not defined, since neither map has the label; precision, where the prediction lacks it; sensitivity, where
    the truth does. Infinite: only one of them has it, missed or invented.
    """

    case: str
    label: int
    dice: float
    jaccard: float
    precision: float
    sensitivity: float
    volume_similarity: float
    hausdorff_mm: float
    hausdorff_95_mm: float
    average_symmetric_mm: float
    mean_average_mm: float
    surface_dice: float


def outline_of(surface: str) -> Outline:
    """What outlines are made of, by the word for it. Raises UnknownNameError, naming the nearest word."""
    if surface not in SURFACES:
        raise unknown("kind of surface", surface, SURFACES)
    return SURFACES[surface]


def pairs(prediction: Path, truth: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[tuple[str, Path, Path]]:
    """Name, predicted and true file of every case: of two files, or of two folders by equal names.

    Raises ImageError where a file has no partner, naming it, and where there is nothing to compare.
    """
    if not prediction.is_dir() and not truth.is_dir():
        return [(_stem(truth), prediction, truth)]
    for place in (prediction, truth):
        if not place.exists():
            raise ImageError(f"there is no file or folder {place}.")
    if not (prediction.is_dir() and truth.is_dir()):
        raise ImageError(f"{prediction} and {truth} must be two files or two folders.")
    predicted, true = ({path.name: path for path in _files(folder, suffixes)} for folder in (prediction, truth))
    alone = sorted(predicted.keys() ^ true.keys())
    if alone:
        raise ImageError(f"these files are in one folder only: {', '.join(alone)}.")
    if not true:
        raise ImageError(f"{truth} holds no {' or '.join(suffixes)} file.")
    return [(_stem(true[name]), predicted[name], true[name]) for name in sorted(true)]


def read_pair(prediction: Path, truth: Path) -> tuple[Image, Image]:
    """Predicted and true labels; a slice stored with two axes fits one stored as (X, Y, 1).

    Raises ImageError where they do not lie in the same place, and where their axes are not at right angles.
    """
    predicted, true = read_labels(prediction), read_labels(truth)
    if predicted.geometry.dimensions != true.geometry.dimensions:
        predicted, true = as_plane(predicted), as_plane(true)
    if not predicted.geometry.same_place(true.geometry):
        raise ImageError(
            f"{prediction.name} does not lie where the truth lies: shapes {predicted.geometry.shape} and "
            f"{true.geometry.shape}, spacings {_mm(predicted)} and {_mm(true)} mm; resample it first."
        )
    if true.geometry.is_sheared:
        raise ImageError(
            f"the axes of {truth.name} are not at right angles (sheared, as by a tilted gantry), so that distances "
            f"along them are none in mm; resample both to a lattice of right angles first."
        )
    return predicted, true


def measure(
    case: str,
    predicted: Image,
    true: Image,
    tolerance_mm: float,
    labels: Sequence[int] | None = None,
    outline: Outline = "border",
) -> Iterator[Row]:
    """A row for each label but 0 that either map has, or for each of `labels`."""
    found = sorted((set(np.unique(true.values)) | set(np.unique(predicted.values))) - {0})
    wanted = [int(label) for label in (found if labels is None else labels)]
    if len(wanted) > MOST_LABELS:
        raise ImageError(f"case {case} has {len(wanted)} labels; name those to be measured with --label.")
    counts = Counts.of(true.values, predicted.values, wanted)
    dice, jaccard = figures.f_beta(counts), figures.jaccard(counts)
    precision, sensitivity = figures.precision(counts), figures.sensitivity(counts)
    volume_similarity = figures.volume_similarity(counts)
    surfaces = surface_distances(true.values, predicted.values, wanted, true.geometry.spacing_mm, outline)
    for index, label in enumerate(wanted):
        surface = surfaces[label]
        yield Row(
            case,
            label,
            float(dice[index]),
            float(jaccard[index]),
            float(precision[index]),
            float(sensitivity[index]),
            float(volume_similarity[index]),
            surface.hausdorff_mm,
            surface.hausdorff_percentile_mm(),
            surface.average_symmetric_mm,
            surface.mean_average_mm,
            surface.surface_dice(tolerance_mm),
        )


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line a row; not defined is empty and infinite is "inf"."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if _is_nan(value) else value for key, value in asdict(row).items()})
    write_to(path, text.getvalue())


def write_json(rows: Sequence[Row], tolerance_mm: float, path: Path, outline: Outline = "border") -> None:
    """Rows and how they were measured; JSON has no NaN and no infinity, so they are null and "infinite"."""
    table = [{key: _spelled(value) for key, value in asdict(row).items()} for row in rows]
    settings = {
        "outline": "border voxels" if outline == "border" else "elements",
        "hausdorff_95": "larger of both",
        "tolerance_mm": tolerance_mm,
    }
    write_to(path, json.dumps({"settings": settings, "rows": table}, indent=1) + "\n")


def _spelled(value: object) -> object:
    if _is_nan(value):
        return None
    return "infinite" if value == math.inf else value


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(suffixes) and not path.name.startswith(".")]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".npy")


def _mm(image: Image) -> list[float]:
    return [round(mm, 4) for mm in image.geometry.spacing_mm]
