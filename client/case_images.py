"""Measurements of this hospital's training images, for the questions that read them. No image and no voxel leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital
from client.records import records_of_cases
from client.source import Source
from common.asking.images import AIR, CHANNELS, FILLED, HIGH, LOW, OUTLINED, SMALLEST, side_name, spacing_name
from common.asking.records import Records
from common.data.cases import Cases
from common.errors import RefusedError
from common.study.catalogue import SOURCES

WARM = b"images"
REFUSED = "columns"
TAIL = 0.5
"""Percent of voxels that are beyond what a case's brightness is said to be."""


def measured_records(hospital: Hospital) -> Records:
    """A row a training case, with what `common.asking.images` names. Kept while the hospital is warm.

    Raises RefusedError where cases are no images, or have no outlines.
    """
    kept = hospital.hashes.get(WARM)
    if isinstance(kept, Records):
        return kept
    cases = hospital.train
    _demand_outlines(cases)
    records = records_of_cases(cases, cast(Source, SOURCES.build(hospital.study.source)), hospital.site)
    kept = hospital.hashes[WARM] = replace(records, columns={**records.columns, **measurements(cases)})
    return kept


def measurements(cases: Cases) -> dict[str, Any]:
    """(N,) float64 by name."""
    axes = len(cases.columns["inputs"].item) - 1
    rows = [
        _measured(image, outline)
        for image, outline in zip(cases.pieces("inputs"), cases.pieces("targets"), strict=True)
    ]
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows], np.float64)
        for name in (*map(side_name, range(axes)), CHANNELS, LOW, HIGH, AIR, FILLED, OUTLINED, SMALLEST)
    }
    known = "spacing_mm" in cases.columns
    spacing = cases.array("spacing_mm") if known else np.full((len(cases), axes), np.nan)
    return columns | {spacing_name(axis): np.asarray(spacing[:, axis], np.float64) for axis in range(axes)}


def _measured(image: NDArray[Any], outline: NDArray[Any]) -> dict[str, float]:
    """One case (C, *S) with its classes (*S). Where nothing is outlined its brightness there is not known."""
    first, inside = image[0], outline > 0
    low, high = np.percentile(first[inside], [TAIL, 100 - TAIL]) if inside.any() else (np.nan, np.nan)
    sizes = np.bincount(outline[inside].ravel().astype(np.int64)) if inside.any() else np.zeros(0)
    smallest = float(sizes[sizes > 0].min()) if inside.any() else np.nan
    sides = {side_name(axis): float(side) for axis, side in enumerate(first.shape)}
    return sides | {
        CHANNELS: float(len(image)),
        LOW: float(low),
        HIGH: float(high),
        AIR: float(np.percentile(first, TAIL)),
        FILLED: _box_share(first > first.min()),
        OUTLINED: float(inside.mean()) or np.nan,
        SMALLEST: smallest,
    }


def _box_share(held: NDArray[np.bool_]) -> float:
    """Share of the image that the smallest box around what is held fills."""
    places = np.nonzero(held)
    if not len(places[0]):
        return 1.0
    return float(np.prod([int(one.max() - one.min()) + 1 for one in places]) / held.size)


def _demand_outlines(cases: Cases) -> None:
    image, outline = cases.columns["inputs"].item, cases.columns["targets"].item
    if len(image) not in (3, 4) or len(outline) != len(image) - 1 or not cases.classes:
        raise RefusedError(REFUSED, "the question measures images with outlines, and these cases are none.")
