"""How good a segmentation is: overlap, and distances between outlines in mm.

An image is an array or tensor, an image of SimpleITK, nibabel or MONAI, or the path of a NIfTI file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from common.data.image import Image
from common.errors import ImageError
from common.metrics.definitions import DEFAULT, METRICS, chosen
from common.metrics.doors import as_choice, as_percent, as_tolerance_mm, as_wanted
from common.metrics.maps import as_labels
from common.metrics.pair import Settings
from experiments.measuring.metrics_table import SURFACES, Row
from experiments.measuring.metrics_table import measure as measured
from wardround.imaging.images import as_image

Surface = Literal["voxels", "elements"]


def measure(
    prediction: Any,
    truth: Any,
    *,
    spacing_mm: ArrayLike | None = None,
    labels: Sequence[int] | None = None,
    tolerance_mm: float = 1.0,
    surface: Surface = "voxels",
    metrics: Sequence[str] = DEFAULT,
) -> list[dict[str, Any]]:
    """A row a label, for a person or for `pandas.DataFrame`: the label, and figures by name.

    NaN: a figure is not defined there, as where neither map has the label; infinite: only one has it.

    Args:
        prediction: label map, whole numbers; 0 is background. Any image that the package takes.
        truth: the same, in the same place.
        spacing_mm: of arrays.
        labels: which; all but 0 that either map has, where not given.
        tolerance_mm: of the surface Dice.
        surface: "voxels", distances between border voxels; "elements", surface elements weighted by their area.
        metrics: names of figures (docs/metrics.md), or "all"; those of chances are of files alone.

    Raises:
        ImageError: the maps do not lie in one place, or hold something else than whole numbers.
        UnknownNameError: a metric, or a surface, that there is not.
    """
    rows = _rows(prediction, truth, spacing_mm, labels, tolerance_mm, surface, _of_masks(metrics))
    return [{"label": row.label, **row.figures} for row in rows]


def dice(prediction: Any, truth: Any, labels: Sequence[int] | None = None) -> dict[int, float]:
    """Dice of every label, 2 |A n B| / (|A| + |B|).

    Args:
        prediction: label map, as for `measure`.
        truth: label map in the same place.
        labels: which; all but 0 that either map has, where not given.

    Returns:
        By label, from 0 to 1; NaN where neither map has it.

    Raises:
        ImageError: as `measure`.
    """
    rows = _rows(prediction, truth, None, labels, 1.0, "voxels", ("dice",))
    return {row.label: row.figures["dice"] for row in rows}


def hausdorff(
    prediction: Any,
    truth: Any,
    *,
    spacing_mm: ArrayLike | None = None,
    labels: Sequence[int] | None = None,
    percent: Literal[95, 100] = 95,
) -> dict[int, float]:
    """Hausdorff distance of every label: the largest, or its 95th percentile, the larger of both directions.

    Args:
        prediction: label map, as for `measure`.
        truth: label map in the same place.
        spacing_mm: of arrays.
        labels: which; all but 0 that either map has, where not given.
        percent: 100, the distance itself, or 95.

    Returns:
        By label, in mm; infinite where one map alone has it, NaN where neither has.

    Raises:
        ImageError: another percentile, or as `measure`.
    """
    if as_percent(percent) not in (95, 100):
        raise ImageError(f"percent must be 95 or 100; it is {percent}.")
    name = "hausdorff_95_mm" if percent == 95 else "hausdorff_mm"
    rows = _rows(prediction, truth, spacing_mm, labels, 1.0, "voxels", (name,))
    return {row.label: row.figures[name] for row in rows}


def surface_dice(
    prediction: Any,
    truth: Any,
    tolerance_mm: float,
    *,
    spacing_mm: ArrayLike | None = None,
    labels: Sequence[int] | None = None,
) -> dict[int, float]:
    """Share of both outlines, by area, that lies within the tolerance of the other (Nikolov et al. 2018).

    Args:
        prediction: label map, as for `measure`.
        truth: label map in the same place.
        tolerance_mm: how far apart outlines count as one.
        spacing_mm: of arrays.
        labels: which; all but 0 that either map has, where not given.

    Returns:
        By label, from 0 to 1; NaN where neither map has it.

    Raises:
        ImageError: as `measure`.
    """
    rows = _rows(prediction, truth, spacing_mm, labels, tolerance_mm, "elements", ("surface_dice",))
    return {row.label: row.figures["surface_dice"] for row in rows}


def _of_masks(metrics: Sequence[str]) -> tuple[str, ...]:
    names = chosen([metrics] if isinstance(metrics, str) else metrics)
    if of_chances := [name for name in names if METRICS[name].of_chances]:
        raise ImageError(
            f"{', '.join(of_chances)} are of chances, and these are labels: `wardround metrics` takes both."
        )
    return names


def _rows(
    prediction: Any,
    truth: Any,
    spacing_mm: ArrayLike | None,
    labels: Sequence[int] | None,
    tolerance_mm: float,
    surface: Surface,
    names: Sequence[str],
) -> list[Row]:
    predicted, true = _labels(prediction, spacing_mm, "prediction"), _labels(truth, spacing_mm, "truth")
    if not predicted.geometry.same_place(true.geometry):
        raise ImageError(
            f"the prediction does not lie where the truth lies: shapes {predicted.geometry.shape} and "
            f"{true.geometry.shape}, spacings {predicted.geometry.spacing_mm} and {true.geometry.spacing_mm} mm; "
            "resample it first."
        )
    if true.geometry.is_sheared:
        raise ImageError(
            "the images' axes are not at right angles; resample both to a lattice of right angles first."
        )
    wanted = None if labels is None else as_wanted(labels)
    outline = SURFACES[as_choice(surface, "kind of surface", SURFACES)]
    settings = Settings(as_tolerance_mm(tolerance_mm), outline)
    return list(measured("", predicted, true, settings, wanted, names))


def _labels(given: Any, spacing_mm: ArrayLike | None, name: str) -> Image:
    knows_its_place = not (isinstance(given, np.ndarray) or hasattr(given, "__array__")) or hasattr(given, "affine")
    image = as_image(given, None if knows_its_place else spacing_mm)
    return Image(np.asarray(as_labels(image.values, f"the {name}"), np.int64), image.geometry)
