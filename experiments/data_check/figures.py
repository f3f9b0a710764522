"""The figures of a hospital's data, as plain values for a file and as words for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data_check.holding import Holding

SCHEMA = 1
MISSING = " is missing"
"""How a table's column ends that tells where another has no value."""


def figures_of(holding: Holding) -> dict[str, Any]:
    """Plain JSON values; null where a figure is not known."""
    return {
        "cases": len(holding),
        "persons": len(holding.persons),
        "files, series or sessions": holding.scans,
        "cases_by_split": holding.cases_of,
        "persons_by_split": holding.persons_of,
        "unusable": [{"name": one.name, "reason": one.reason} for one in holding.quarantined],
        "classes": holding.class_totals,
        "classes_count": holding.counted,
        "targets": targets_of(holding),
        "shapes": holding.shapes,
        "spacing_mm": spacing_of(holding),
        "values": dict(zip(("min", "1 %", "50 %", "99 %", "max"), holding.levels, strict=False)) or None,
        "constant_images": int(holding.is_constant.sum()),
        "not_finite": int((holding.rows["not_finite"] > 0).sum()) if len(holding) else 0,
        "features": features_of(holding),
        "truth": {name: _lost(holding, name) for name in ("removed", "unsampled")},
        "dtypes": dict(holding.dtypes),
    }


def _lost(holding: Holding, column: str) -> dict[str, int] | None:
    if column not in holding.rows:
        return None
    return dict(zip(holding.classes, holding.rows[column].sum(axis=0).tolist(), strict=False))


def targets_of(holding: Holding) -> dict[str, Any] | None:
    """Range and quartiles of targets that are numbers; times and events of survival; None of classes."""
    rows = holding.rows
    if "time" in rows and "event" in rows:
        return {"time": _quartiles(rows["time"]), "events": int((rows["event"] > 0).sum()), "of": len(holding)}
    if "target" in rows and rows["target"].ndim == 1:
        return _quartiles(rows["target"])
    if "target_range" in rows:
        ends = rows["target_range"]
        return {"min": _number(np.nanmin(ends[:, 0])), "max": _number(np.nanmax(ends[:, 2]))}
    return None


def _quartiles(values: NDArray[Any]) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    found = np.percentile(known, (0, 25, 50, 75, 100))
    return dict(zip(("min", "25 %", "50 %", "75 %", "max"), map(_number, found), strict=True))


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def spacing_of(holding: Holding) -> dict[str, Any] | None:
    """Least, median and largest by axis, and how many different ones there are."""
    if "spacing_mm" not in holding.rows:
        return None
    spacing = holding.rows["spacing_mm"]
    return {
        "different": len(np.unique(np.round(spacing, 4), axis=0)),
        "min": spacing.min(axis=0).round(4).tolist(),
        "median": np.median(spacing, axis=0).round(4).tolist(),
        "max": spacing.max(axis=0).round(4).tolist(),
    }


def features_of(holding: Holding) -> list[dict[str, Any]]:
    """Each column of a table's inputs: its quartiles, and how many values were missing, where the source tells."""
    features = holding.rows.get("features")
    if features is None:
        return []
    names = [holding.feature_name(column) for column in range(features.shape[1])]
    missing = {
        name.removesuffix(MISSING): int(features[:, column].sum())
        for column, name in enumerate(names)
        if name.endswith(MISSING)
    }
    return [
        {"name": name, **_quartiles(features[:, column].astype(np.float64)), "missing": missing.get(name)}
        for column, name in enumerate(names)
        if not name.endswith(MISSING)
    ]


def in_words(figures: Mapping[str, Any]) -> str:
    """Names and numbers one after the other."""
    return ", ".join(
        f"{name} ({in_words(value)})"
        if isinstance(value, Mapping)
        else f"{name} {value:.5g}"
        if isinstance(value, float)
        else f"{name} {value}"
        for name, value in figures.items()
    )


def shape_words(holding: Holding) -> str:
    """The shape of the cases, or how many there are of them."""
    shapes = holding.shapes
    return next(iter(shapes), "") if len(shapes) < 2 else f"{len(shapes)} shapes"


def spacing_words(spacing: Mapping[str, Any] | None) -> str:
    """One spacing, or from where to where it goes along every axis."""
    if spacing is None:
        return ""
    low, high = spacing["min"], spacing["max"]
    return " x ".join(_span(a, b) for a, b in zip(low, high, strict=True))


def _span(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def histogram(quantiles: NDArray[np.float32], edges: Sequence[float]) -> NDArray[np.float64]:
    """Shares of all values between the edges: a hundredth of a case's values lies evenly between two quantiles."""
    known = quantiles[np.isfinite(quantiles).all(axis=1)].astype(np.float64)
    if not len(known):
        return np.zeros(len(edges) - 1)
    steps = np.linspace(0, 1, known.shape[1])
    below = np.zeros(len(edges))
    for one in known:
        rising = one + np.arange(len(one)) * 1e-12 * max(abs(float(one[-1])), 1.0)
        below += np.interp(edges, rising, steps, left=0.0, right=1.0)
    return np.diff(below) / len(known)
