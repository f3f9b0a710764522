"""A point spread of one's own: from a study's list or a .npy file, checked and brought to the size that travels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError, StudyError
from common.files.access import opened

LARGEST_BYTES = 1 << 25


def read(
    where: str, weights: tuple[tuple[float, ...], ...], file: str, sides: tuple[int, ...], normalised: bool
) -> NDArray[np.float64]:
    """Weights of shape `sides`, the given ones in the middle. A plane's is that of each slice of a volume.

    Raises StudyError for one that is greater than `sides`, of even sides, not finite, all zeros, or of sum zero where
    it is to be normalised; FileError for a file that cannot be read.
    """
    found = _of_file(Path(file)) if file else _of_list(where, weights)
    if found.ndim == len(sides) - 1:
        found = found[None]
    if found.ndim != len(sides) or any(side % 2 == 0 for side in found.shape) or not np.isfinite(found).all():
        raise StudyError(
            f"{where}: a point spread has {len(sides)} axes of odd length and finite weights; this one "
            f"is of shape {found.shape}."
        )
    if any(side > most for side, most in zip(found.shape, sides, strict=True)):
        raise StudyError(f"{where}.point_spread_pixels must be {max(found.shape)} or more; it is {sides[0]}.")
    if not found.any():
        raise StudyError(f"{where}: a point spread must not be nothing but zeros: no data would hold anything.")
    if normalised and abs(found.sum()) < 1e-12 * np.abs(found).sum() + 1e-300:
        raise StudyError(f"{where}: a point spread of sum 0 cannot be normalised: set normalised = false.")
    margins = [(most - side) // 2 for side, most in zip(found.shape, sides, strict=True)]
    return np.pad(found / found.sum() if normalised else found, [(margin, margin) for margin in margins])


def _of_list(where: str, weights: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    lengths = {len(row) for row in weights}
    if len(lengths) != 1 or lengths == {0}:
        raise StudyError(f"{where}.weights must have rows of one length; they are of {sorted(lengths)}.")
    return np.array(weights, np.float64)


def _of_file(path: Path) -> NDArray[np.float64]:
    with opened(path, LARGEST_BYTES) as file:
        try:
            found = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise FileError(path, "is no .npy file of an array of numbers") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or not 2 <= found.ndim <= 3:
        raise FileError(path, "must hold one array of numbers of two or three axes")
    return found.astype(np.float64)
