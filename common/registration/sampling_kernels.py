"""An image read between voxels together with its slopes: compiled where numba is installed, absent without.

torch's `grid_sample` reads all neighbours again for the slopes; values are the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Read = Callable[[Values, Values], tuple[Values, Values]]
"""values (X, Y, Z) and reversed cube points (N, 3) -> (N,) linear in each axis, and its slopes (N, 3)."""


def _read(values: Values, cube: Values) -> tuple[Values, Values]:
    found, slopes = np.empty(len(cube), np.float32), np.empty((len(cube), 3), np.float32)
    first, second, third = values.shape
    for point in range(len(cube)):
        i, next_i, x, x_slope = _place(cube[point, 2], first)
        j, next_j, y, y_slope = _place(cube[point, 1], second)
        k, next_k, z, z_slope = _place(cube[point, 0], third)
        v000, v001 = values[i, j, k], values[i, j, next_k]
        v010, v011 = values[i, next_j, k], values[i, next_j, next_k]
        v100, v101 = values[next_i, j, k], values[next_i, j, next_k]
        v110, v111 = values[next_i, next_j, k], values[next_i, next_j, next_k]
        v00, v01 = v000 + z * (v001 - v000), v010 + z * (v011 - v010)
        v10, v11 = v100 + z * (v101 - v100), v110 + z * (v111 - v110)
        v0, v1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
        found[point] = v0 + x * (v1 - v0)
        low = (1 - y) * (v001 - v000) + y * (v011 - v010)
        high = (1 - y) * (v101 - v100) + y * (v111 - v110)
        slopes[point, 2] = (v1 - v0) * x_slope
        slopes[point, 1] = ((1 - x) * (v01 - v00) + x * (v11 - v10)) * y_slope
        slopes[point, 0] = ((1 - x) * low + x * high) * z_slope
    return found, slopes


def _place(cube: float, size: int) -> tuple[int, int, float, float]:
    """The two voxels about a place, how far it lies past the first, and voxels a cube unit: 0 beyond the last one."""
    voxel = ((cube + 1) * size - 1) / 2
    if not 0 < voxel < size - 1:
        nearest = 0 if not voxel > 0 else size - 1
        return nearest, nearest, 0.0, 0.0
    below = int(voxel)
    return below, below + 1, voxel - below, size / 2


def compiled() -> Read | None:
    """None without numba."""
    try:
        from numba import njit
        from numba.extending import register_jitable
    except ImportError:
        return None
    register_jitable(_place)
    read: Read = njit(cache=True)(_read)
    return read


READ = compiled()
