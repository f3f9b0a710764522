"""Arrays of an .npz file as columns of cases, each checked for what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.sources._table_columns import matching, text_of
from common.errors import SourceError

MOST_CHANNELS = 4
MOST_CLASSES = 1000


def refuse_unequal(arrays: Mapping[str, NDArray[Any]], file: str) -> None:
    """Raise SourceError unless all arrays have as many rows, one at least."""
    rows = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
    if len(set(rows.values())) > 1 or 0 in rows.values():
        held = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise SourceError(f"{file} must hold as many rows of every array, one a case; it holds {held}.")


def numbers(array: NDArray[Any], name: str, file: str) -> NDArray[np.float32]:
    """As float32; not finite where they are so, or larger than float32 holds. Raises SourceError for other kinds."""
    if array.dtype.kind not in "iufb":
        raise SourceError(f"array {name!r} of {file} must hold numbers; it holds {array.dtype}.")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def words(array: NDArray[Any], name: str, file: str) -> list[str]:
    """(N,) words in one form; whole numbers become words. Raises SourceError for other kinds and shapes."""
    flat = array.reshape(-1) if array.size == len(array) else array
    if flat.ndim != 1 or flat.dtype.kind not in "USiufb":
        raise SourceError(
            f"array {name!r} of {file} must hold one word a case; it is {array.shape} of {array.dtype}."
        )
    if flat.dtype.kind == "S":
        try:
            return [text_of(one.decode()) for one in flat.tolist()]
        except UnicodeDecodeError as error:
            raise SourceError(f"array {name!r} of {file} holds bytes that are no UTF-8.") from error
    return [text_of(one) for one in flat.tolist()]


def channels_first(inputs: NDArray[np.float32], channels: str, name: str, file: str) -> NDArray[np.float32]:
    """(N, F) as it is; of images and volumes (N, C, ...). Raises SourceError where it is doubtful."""
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise SourceError(
            f"array {name!r} of {file} must be (N, features) or (N, ...) of images; it is {inputs.shape}."
        )
    if inputs.ndim == 2:
        return inputs
    if channels == "auto":
        channels = _found_channels(inputs.shape, name, file)
    if channels == "none":
        return inputs[:, None]
    return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if channels == "last" else inputs


def _found_channels(shape: tuple[int, ...], name: str, file: str) -> str:
    if len(shape) == 3:
        return "none"
    first, last = shape[1] <= MOST_CHANNELS, shape[-1] <= MOST_CHANNELS
    if first == last:
        raise SourceError(
            f"array {name!r} of {file} is {shape}: it is doubtful which axis holds channels. Set source.channels to "
            "'first', 'last' or 'none'."
        )
    return "first" if first else "last"


def class_indices(targets: NDArray[Any], classes: tuple[str, ...], name: str, file: str) -> NDArray[np.int64]:
    """Indices of classes, (N,) or one a pixel. Words are looked up, numbers are indices."""
    if targets.dtype.kind in "US":
        return _looked_up(words(targets, name, file), classes, name, file)
    indices = _whole(targets, name, file)
    if indices.max() >= len(classes):
        raise SourceError(f"array {name!r} of {file} holds class {indices.max()}; there are {len(classes)}, from 0.")
    return indices


def seen_classes(targets: NDArray[Any], name: str, file: str) -> tuple[str, ...]:
    """Names of the classes that a file shows: its words, sorted, or "class 0" up to the largest index."""
    if targets.dtype.kind in "US":
        return tuple(sorted(set(words(targets, name, file))))
    largest = int(_whole(targets, name, file).max())
    if largest >= MOST_CLASSES:
        raise SourceError(
            f"array {name!r} of {file} holds class {largest}: for numbers set source.target to 'number'."
        )
    return tuple(f"class {index}" for index in range(largest + 1))


def _whole(targets: NDArray[Any], name: str, file: str) -> NDArray[np.int64]:
    """Whole numbers from 0, (N,) where there is one a case."""
    values = numbers(targets, name, file)
    if not (np.isfinite(values).all() and (values == np.floor(values)).all() and values.min() >= 0):
        raise SourceError(
            f"array {name!r} of {file} must hold indices of classes, whole numbers from 0; for real numbers set "
            "source.target to 'number'."
        )
    indices = values.astype(np.int64)
    return indices.reshape(-1) if indices.size == len(indices) else indices


def _looked_up(labels: list[str], classes: tuple[str, ...], name: str, file: str) -> NDArray[np.int64]:
    places = {label: matching(label, classes) for label in set(labels)}
    for label, place in places.items():
        if place is None:
            raise SourceError(f"array {name!r} of {file} holds {label[:40]!r}, no class of source.classes.")
    return np.array([places[label] for label in labels], dtype=np.int64)


def checked_spacing(
    spacing: NDArray[Any] | None, own: NDArray[np.intp], shape: tuple[int, ...], file: str
) -> NDArray[np.float64] | tuple[float, ...]:
    """(N, D) in mm, or () where there is none. Raises SourceError unless it fits the images and is above zero."""
    if spacing is None:
        return ()
    dimensions = len(shape) - 2
    fits = spacing.dtype.kind in "iuf" and spacing.shape[-1:] == (dimensions,) and spacing.ndim in (1, 2)
    if not fits or dimensions < 1 or (spacing.ndim == 2 and len(spacing) <= own.max()):
        raise SourceError(
            f"the spacing in {file} must be mm along each axis, of all images or of each; it is {spacing.shape} for "
            f"images of {shape[2:]}."
        )
    rows = spacing[own] if spacing.ndim == 2 else np.tile(spacing, (len(own), 1))
    if not (np.isfinite(rows).all() and (rows > 0).all()):
        raise SourceError(f"the spacing in {file} must be above 0 mm along every axis.")
    return rows.astype(np.float64)


def finite_rows(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) whether all of a case is finite."""
    if values.dtype.kind not in "fc":
        return np.ones(len(values), dtype=np.bool_)
    finite: NDArray[np.bool_] = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return finite
