"""Rows of one encoder and share, over draws: the mean area, its interval, and how far it is above the floor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from common.analyses._probe_scores import ALL
from experiments.probing.curves import FLOOR, Row

LEVEL = 0.95


@dataclass(frozen=True)
class Cell:
    """Of one encoder, share and hospital (ALL: of all together).

    auc: the mean over draws. low, high: where it would lie with other test patients and other draws, by DeLong's
    variance of one draw and the variance between draws over their number. lowest, highest: of single draws.
    above_floor: the mean minus the floor's; None where one is not known.
    """

    encoder: str
    share: float
    site: str
    draws: int
    labels: float
    auc: float | None
    low: float | None
    high: float | None
    lowest: float | None
    highest: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    above_floor: float | None = None


def cells_of(rows: Sequence[Row]) -> tuple[Cell, ...]:
    """In the order of the rows."""
    sites = [ALL, *sorted({site for row in rows for site in row.scores} - {ALL})]
    keys = dict.fromkeys((row.encoder, row.share) for row in rows)
    found = [_cell([row for row in rows if (row.encoder, row.share) == key], site) for site in sites for key in keys]
    floors = {(one.share, one.site): one.auc for one in found if one.encoder == FLOOR}
    return tuple(_above(one, floors.get((one.share, one.site))) for one in found)


def _cell(rows: Sequence[Row], site: str) -> Cell:
    scores = [row.scores[site] for row in rows if site in row.scores]
    areas = [one["auc"] for one in scores if one["auc"] is not None]
    low, high = _interval(areas, [one["auc_error"] for one in scores if one["auc"] is not None])
    labels = [sum(row.labels.values()) for row in rows if row.labels]
    return Cell(
        rows[0].encoder,
        rows[0].share,
        site,
        len(areas),
        float(np.mean(labels)) if labels else 0.0,
        _mean(areas),
        low,
        high,
        min(areas, default=None),
        max(areas, default=None),
        _mean([one["accuracy"] for one in scores]),
        _mean([one["balanced_accuracy"] for one in scores]),
    )


def _interval(areas: Sequence[float], errors: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [error for error in errors if error is not None]
    if not areas or len(known) < len(areas):
        return None, None
    between = float(np.var(areas, ddof=1)) / len(areas) if len(areas) > 1 else 0.0
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * (float(np.mean(np.square(known))) + between) ** 0.5
    middle = float(np.mean(areas))
    return max(0.0, middle - half), min(1.0, middle + half)


def _above(cell: Cell, floor: float | None) -> Cell:
    known = cell.auc is not None and floor is not None and cell.encoder != FLOOR
    above = cell.auc - floor if known and cell.auc is not None and floor is not None else None
    return Cell(**{**_plain(cell), "above_floor": above})


def _plain(cell: Cell) -> Mapping[str, Any]:
    return {name: getattr(cell, name) for name in cell.__dataclass_fields__}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
