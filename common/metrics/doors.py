"""Numbers and words that are given beside masks: what they may be, or refused by name.

Python lets a percentile of .95, a tolerance below 0 or an outline of "voxels" pass for something. Here they are told
what they must be, what came, and which word was probably meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError, UnknownNameError
from common.metrics.maps import as_array, as_labels, true_axes
from common.study.spelling import unknown

SMALLEST_MM, LARGEST_MM = 1e-9, 1e9
"""Of a voxel's side: so that squares of distances neither vanish nor overflow."""
LONGEST_SHOWN = 60


def as_choice(given: object, kind: str, known: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """`given`, one of the `known` words. meant: of words that others use for the same, ours.

    Raises UnknownNameError, naming the kind, what came, and the nearest known word.
    """
    words = tuple(known)
    if isinstance(given, str) and given in words:
        return given
    ours = (meant or {}).get(given) if isinstance(given, str) else None
    if ours is not None:
        raise UnknownNameError(f"No {kind} {given!r}; did you mean {ours!r}? There are: {', '.join(sorted(words))}.")
    raise unknown(kind, given if isinstance(given, str) else shown(given), words)


def as_number(given: object, name: str, least: float = -math.inf, most: float = math.inf, unit: str = "") -> float:
    """One number from `least` to `most`; a bool is none. Raises ImageError, naming it."""
    value = _scalar(given)
    if value is None or not least <= value <= most:
        of_unit = f" of {unit}" if unit else ""
        raise ImageError(f"{name} must be one number{of_unit}{_span(least, most)}; it is {shown(given)}.")
    return value


def as_whole(given: object, name: str, least: int, most: int) -> int:
    """One whole number from `least` to `most`. Raises ImageError, naming it."""
    value = _scalar(given)
    if value is None or not least <= value <= most or value != int(value):
        raise ImageError(f"{name} must be a whole number{_span(least, most)}; it is {shown(given)}.")
    return int(value)


def as_percent(given: object, name: str = "percent") -> float:
    """A percentile, 0 or from 1 to 100. Between 0 and 1 it is a share by mistake. Raises ImageError."""
    value = _scalar(given)
    if value is None or not (value == 0 or 1 <= value <= 100):
        hint = f"; did you mean {100 * value:g}?" if value is not None and 0 < value < 1 else "."
        raise ImageError(f"{name} must be a number from 1 to 100 (or 0), such as 95; it is {shown(given)}{hint}")
    return value


def as_tolerance_mm(given: object) -> float:
    """A distance that is still near enough, 0 mm or more. Raises ImageError."""
    return as_number(given, "tolerance_mm", least=0.0, unit="mm")


def as_spacing_mm(given: object, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Of every axis the side of a voxel: one number for all, or one an axis; None is 1 mm.

    Of axes of one voxel it is not asked for. Raises ImageError, naming it.
    """
    if given is None:
        return (1.0,) * len(shape)
    try:
        sides = as_reals(given, "spacing_mm")
    except ImageError:
        sides = np.full(0, np.nan)
    if sides.ndim == 0:
        sides = np.full(len(shape), sides)
    kept = list(true_axes(shape))
    if sides.shape != (len(shape),) or not ((sides[kept] >= SMALLEST_MM) & (sides[kept] <= LARGEST_MM)).all():
        raise ImageError(
            f"spacing must be {len(shape)} numbers of mm above 0, one an axis, or one for all (spacing_mm, "
            f"{SMALLEST_MM:g} to {LARGEST_MM:g}); it is {shown(given)}."
        )
    return tuple(map(float, sides))


def as_wanted(given: Any, name: str = "labels") -> list[int]:
    """Which labels are asked for: a whole number or several. Raises ImageError, naming them."""
    several = not isinstance(given, str) and not hasattr(given, "__array__") and isinstance(given, Iterable)
    values = as_labels(list(given) if several else given, name)
    if values.ndim > 1:
        raise ImageError(f"{name} must be whole numbers in a row; their shape is {values.shape}.")
    return [int(label) for label in np.atleast_1d(values)]


def as_reals(given: object, name: str) -> NDArray[np.float64]:
    """Real numbers as float64, none NaN. Raises ImageError, naming them."""
    values = as_array(given, name)
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64)


def shown(given: object) -> str:
    """What came, as far as one line of an error can quote it."""
    if isinstance(given, np.ndarray) and given.size > 8:
        return f"an array of shape {given.shape}"
    text = " ".join((repr(given.tolist()) if isinstance(given, (np.ndarray, np.generic)) else repr(given)).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _scalar(given: object) -> float | None:
    """The number, or None where it is no single real one."""
    try:
        values = as_array(given, "it")
    except ImageError:
        return None
    return float(values) if values.ndim == 0 and values.dtype.kind != "b" else None


def _span(least: float, most: float) -> str:
    if least == -math.inf and most == math.inf:
        return ""
    return f", at least {least:g}" if most == math.inf else f" from {least:g} to {most:g}"
