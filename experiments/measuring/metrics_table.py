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

from common.data.image import SUFFIXES, Image, as_plane, read_image, read_labels
from common.errors import ImageError
from common.files.access import write_to
from common.metrics.definitions import DEFAULT, METRICS, chosen, figures
from common.metrics.instances import Connectivity
from common.metrics.nearest import Outline
from common.metrics.pair import Pair, Settings
from common.study.spelling import unknown

MOST_LABELS = 1000
SURFACES: Mapping[str, Outline] = {"voxels": "border", "elements": "elements"}
CONNECTIVITIES: Mapping[str, Connectivity] = {"corners": "corners", "faces": "faces"}


@dataclass(frozen=True)
class Row:
    """figures: of one label of one case, by name; NaN where not defined, infinite where a definition says so.

    found: which map has the label: both, missed (the truth alone), invented (the prediction alone), or neither.
    """

    case: str
    label: int
    figures: Mapping[str, float]
    found: str

    @property
    def flat(self) -> dict[str, object]:
        """As a line of a table."""
        return {"case": self.case, "label": self.label, **self.figures, "found": self.found}


def settings_of(tolerance_mm: float, surface: str, connectivity: str, iou: float) -> Settings:
    """How to measure, from what was asked. Raises UnknownNameError, naming the nearest word, and ImageError."""
    if surface not in SURFACES:
        raise unknown("kind of surface", surface, SURFACES)
    if connectivity not in CONNECTIVITIES:
        raise unknown("connectivity", connectivity, CONNECTIVITIES)
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise ImageError(f"--tolerance must be a number of mm, 0 or more; {tolerance_mm} was given.")
    if not 0 < iou <= 1:
        raise ImageError(f"--iou must be above 0 and at most 1; {iou} was given.")
    return Settings(tolerance_mm, SURFACES[surface], CONNECTIVITIES[connectivity], iou)


def names_of(asked: str | None) -> tuple[str, ...]:
    """Names of figures from a list with commas; the usual ones of None. Raises as `chosen`."""
    return DEFAULT if asked is None else chosen(word for word in asked.split(",") if word.strip())


def two_of(paths: Sequence[Path]) -> tuple[Path, Path]:
    """The prediction and the truth. Raises ImageError for one path, and for more than two."""
    if len(paths) != 2:
        raise ImageError(f"a prediction and a truth are compared, two paths; {len(paths)} came. Of raters: --raters.")
    return paths[0], paths[1]


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


def read_pair(prediction: Path, truth: Path, as_chances: bool = False) -> tuple[Image, Image]:
    """Predicted and true labels; a slice stored with two axes fits one stored as (X, Y, 1).

    as_chances: the prediction holds the chance of a label at every voxel, and no labels. Raises ImageError where they
    do not lie in the same place, where their axes are not at right angles, and for chances beyond 0 and 1.
    """
    predicted, true = read_image(prediction) if as_chances else read_labels(prediction), read_labels(truth)
    if as_chances and predicted.values.size and not 0 <= predicted.values.min() <= predicted.values.max() <= 1:
        raise ImageError(
            f"{prediction.name} must hold chances, within 0 and 1, for what was asked of it; it does not."
        )
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


def needs_chances(names: Sequence[str]) -> bool:
    """Whether any of these figures is of chances."""
    return any(METRICS[name].of_chances for name in names)


def measure(
    case: str,
    predicted: Image,
    true: Image,
    settings: Settings | None = None,
    labels: Sequence[int] | None = None,
    names: Sequence[str] = DEFAULT,
) -> Iterator[Row]:
    """A row for each label but 0 that either map has, or for each of `labels`; of chances, for the one they are of.

    Raises ImageError for too many labels, and for chances where it is not clear of which label they are.
    """
    spacing = true.geometry.spacing_mm
    if needs_chances(names):
        label = _label_of_chances(case, true, labels)
        pair = Pair.of_chances(true.values == label, predicted.values, spacing, settings)
        yield Row(case, label, figures(pair, names), pair.state)
        return
    found = sorted((set(np.unique(true.values)) | set(np.unique(predicted.values))) - {0})
    wanted = [int(label) for label in (found if labels is None else labels)]
    if len(wanted) > MOST_LABELS:
        raise ImageError(f"case {case} has {len(wanted)} labels; name those to be measured with --label.")
    for label in wanted:
        pair = Pair.of(true.values == label, predicted.values == label, spacing, settings)
        yield Row(case, label, figures(pair, names), pair.state)


def with_absent(rows: Sequence[Row], voxels: Mapping[str, int], dimensions: int, settings: Settings) -> list[Row]:
    """The rows, and one more of every case and label that has none, since neither of its maps has the label.

    voxels: of each case that was measured, by name, in the order of rows.
    """
    if not rows:
        return []
    names, labels = list(rows[0].figures), sorted({row.label for row in rows})
    held = {(row.case, row.label): row for row in rows}
    nothing = np.zeros((2,) * dimensions, np.bool_)
    found = []
    for case, size in voxels.items():
        empty = Pair(nothing, nothing, (1.0,) * dimensions, size, settings)
        for label in labels:
            known = held.get((case, label))
            found.append(known or Row(case, label, figures(empty, names), empty.state))
    return found


def _label_of_chances(case: str, true: Image, labels: Sequence[int] | None) -> int:
    found = sorted(set(np.unique(true.values).tolist()) - {0}) if labels is None else [*labels]
    if len(found) > 1:
        raise ImageError(
            f"case {case} has {len(found)} labels; say with --label, once, of which one the chances are."
        )
    return int(found[0]) if found else 1


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line a row; not defined is empty and infinite is "inf"."""
    write_lines([row.flat for row in rows], path)


def write_lines(lines: Sequence[Mapping[str, object]], path: Path) -> None:
    """The same of any lines with the same columns; none makes an empty file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(lines[0]) if lines else ["case", "label"])
    writer.writeheader()
    for line in lines:
        writer.writerow({key: "" if _is_nan(value) else value for key, value in line.items()})
    write_to(path, text.getvalue())


def write_json(rows: Sequence[Row], settings: Settings, path: Path, more: Mapping[str, object] | None = None) -> None:
    """Rows and how they were measured; JSON has no NaN and no infinity, so they are null and "infinite".

    more: what stands beside them.
    """
    told = {
        **asdict(settings),
        "outline": "border voxels" if settings.outline == "border" else "elements",
        "hausdorff_95": "larger of both",
    }
    record = {"settings": told, "rows": [row.flat for row in rows], **(more or {})}
    write_to(path, json.dumps(spelled(record), indent=1) + "\n")


def spelled(value: object) -> object:
    """As JSON can hold it, however deep."""
    if isinstance(value, Mapping):
        return {key: spelled(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(one) for one in value]
    return None if _is_nan(value) else "infinite" if value == math.inf else value


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(suffixes) and not path.name.startswith(".")]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".npy")


def _mm(image: Image) -> list[float]:
    return [round(mm, 4) for mm in image.geometry.spacing_mm]
