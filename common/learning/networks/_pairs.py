"""Checks of the shape a registration network is asked for."""

from __future__ import annotations

from common.data.cases import Shape
from common.errors import StudyError


def dimensions_of_pair(network: str, shape: Shape, smallest: int) -> int:
    """2 or 3: axes of two images of one channel each, no side below `smallest`. Raises StudyError for others."""
    channels, *sizes = shape.inputs or (0,)
    if len(sizes) not in (2, 3) or channels != 2:
        raise StudyError(
            f"network {network!r} needs pairs of images, (2, height, width) or (2, x, y, z); the shape of the "
            f"inputs is {shape.inputs}. Source 'nifti_pairs' makes such pairs."
        )
    if min(sizes) < smallest:
        raise StudyError(f"network {network!r} needs sides of at least {smallest} voxels; they are {sizes}.")
    return len(sizes)
