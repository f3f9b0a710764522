"""What is kept of a case once its pixels are let go: ranges, a digest, a thumbnail, counts of its truth."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from common.data.cases import Cases

Measured = dict[str, NDArray[Any]]
"""Arrays of one row a case."""

BLOCK_VALUES = 1 << 22
QUANTILES = 101
"""Of a case's values: the least, every hundredth, and the largest."""
SAMPLED_VALUES = 1 << 15
"""Quantiles of a larger case are those of values evenly spread over it; the least and the largest are exact."""
THUMBNAIL = {1: (64,), 2: (16, 16), 3: (8, 8, 8)}
"""Sides, by the number of a case's spatial axes."""
MOST_WORDS = 1 << 12
LIGHT = ("patients", "given_split", "site", "spacing_mm", "removed", "unsampled", "time", "event", "consent")
"""Columns that are kept as they are."""


def measured(cases: Cases) -> Iterator[Measured]:
    """Of some cases at a time: never more values in memory than one case, or `BLOCK_VALUES`, has."""
    size = max(1, BLOCK_VALUES // max(cases.most_values, 1))
    for start in range(0, len(cases), size):
        block = cases.take(np.arange(start, min(start + size, len(cases))))
        columns = {name: column for name, column in block.columns.items() if name in LIGHT}
        light: Measured = {name: np.asarray(column.gather()) for name, column in columns.items()}
        yield light | _of_inputs(block) | _of_targets(block)


def _of_inputs(block: Cases) -> Measured:
    values = block.columns["inputs"].gather()
    if isinstance(values, tuple):
        return joined([_of_array(np.asarray(one)[None]) for one in values])
    return _of_array(values)


def joined(parts: list[Measured]) -> Measured:
    """All rows, with the columns that every part has."""
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def _of_array(inputs: NDArray[np.float32]) -> Measured:
    """inputs: (n, F), kept whole, or (n, C, *S)."""
    flat = inputs.reshape(len(inputs), -1)
    finite = np.isfinite(flat)
    clean = flat if finite.all() else np.where(finite, flat, np.float32(0))
    found: Measured = {
        "shape": np.tile(np.array(inputs.shape[1:], np.int64), (len(inputs), 1)),
        "not_finite": (~finite).sum(axis=1),
        "digest": np.array([_digest(one) for one in inputs], dtype=np.uint64).reshape(-1, 2),
    }
    if inputs.ndim == 2:
        return found | {"features": np.array(inputs)}
    return found | {
        "quantiles": _quantiles(flat, finite),
        "thumbnail": _thumbnails(clean.reshape(inputs.shape)),
    }


def _digest(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """128 bits of the SHA-256 of the shape and the bytes."""
    whole = sha256(repr(values.shape).encode() + np.ascontiguousarray(values, "<f4").tobytes())
    return np.frombuffer(whole.digest()[:16], np.uint64)


def _quantiles(flat: NDArray[np.float32], finite: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(n, QUANTILES); NaN throughout where no value is finite."""
    step = max(1, flat.shape[1] // SAMPLED_VALUES)
    found = np.full((len(flat), QUANTILES), np.nan, np.float32)
    for row, (values, kept) in enumerate(zip(flat, finite, strict=True)):
        known = values if kept.all() else values[kept]
        if known.size:
            sample = np.sort(known[:: min(step, known.size)])
            found[row] = sample[np.linspace(0, len(sample) - 1, QUANTILES).round().astype(np.int64)]
            found[row, 0], found[row, -1] = known.min(), known.max()
    return found


def _thumbnails(inputs: NDArray[np.float32]) -> NDArray[np.float16]:
    """(n, *sides), the channels' mean at mean 0 and length 1; 0 throughout where nothing is to be seen."""
    sides = THUMBNAIL.get(inputs.ndim - 2)
    if sides is None:
        return np.zeros((len(inputs), 1), np.float16)
    grey = torch.from_numpy(np.ascontiguousarray(inputs)).mean(dim=1, keepdim=True)
    pooled = functional.interpolate(grey, size=sides, mode="area")
    flat = pooled.reshape(len(inputs), -1).double()
    flat = flat - flat.mean(dim=1, keepdim=True)
    length = flat.norm(dim=1, keepdim=True)
    unit = torch.where(length > 1e-6, flat / length.clamp_min(1e-30), torch.zeros_like(flat))
    return unit.reshape(len(inputs), *sides).numpy().astype(np.float16)


def _of_targets(block: Cases) -> Measured:
    """class_counts: (n, classes) cases or voxels of each; beyond: values that are no class. Else range or number."""
    if block.unlabelled:
        return {}
    if block.classes:
        return _counted(block)
    values = [np.asarray(one, np.float64) for one in block.columns["targets"].gather()]
    finite = [one[np.isfinite(one)] for one in values]
    found: Measured = {
        "target_not_finite": np.array([one.size - kept.size for one, kept in zip(values, finite, strict=True)])
    }
    if block.columns["targets"].item == ():
        return found | {"target": np.array(values, np.float64)}
    ends = [(kept.min(), kept.mean(), kept.max()) if kept.size else (np.nan,) * 3 for kept in finite]
    return found | {"target_range": np.array(ends, np.float64)}


def _counted(block: Cases) -> Measured:
    classes = len(block.classes)
    counts, beyond = np.zeros((len(block), classes), np.int64), np.zeros(len(block), np.int64)
    for row, target in enumerate(block.columns["targets"].gather()):
        words = np.asarray(target).ravel().astype(np.int64)
        inside = words[(words >= 0) & (words < classes)]
        counts[row], beyond[row] = np.bincount(inside, minlength=classes), words.size - inside.size
    return {"class_counts": counts, "beyond": beyond}
