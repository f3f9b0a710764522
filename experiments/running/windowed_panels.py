"""A panel's pixels: its window as grey or colour, three planes of a volume, a bar below an error map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.learning.panels import Panel
from experiments.running.case_panels import upright

Pixels = NDArray[np.uint8]

SIDE = 224
"""Pixels that the longer side of a plane is enlarged to, about."""
MOST_SIDE = 512
GAP, BAR = 2, 8
CUBES = 1.001
"""Ratio of the sides of a voxel up to which it is one."""
NOTHING = 72
"""Grey of what is NaN, of gaps, and of the ground beside a smaller plane."""
SCALES = {
    "grey": ((0, 0, 0), (255, 255, 255)),
    "heat": (
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ),
    "phase": ((226, 217, 226), (97, 133, 187), (47, 20, 54), (178, 89, 82), (226, 217, 226)),
}
"""Colours at equal steps from the lowest value to the highest. Brightness of heat (matplotlib's inferno) rises
evenly, so that it can be read without seeing colours; a phase's two ends meet."""


def pixels_of(panel: Panel, name: str) -> Pixels:
    """(H, W, 3). Raises StudyError where it is neither an image nor a volume, or its spacing is none of its axes."""
    values = panel.values.detach().cpu().double().numpy()
    spacing = panel.spacing_mm or (1.0,) * values.ndim
    if values.ndim not in (2, 3) or not values.size or len(spacing) != values.ndim or not min(spacing) > 0:
        raise StudyError(
            f"the task's panel {name!r} must be (H, W) or (X, Y, Z) with a spacing for each axis; it is "
            f"{values.shape} with {spacing}."
        )
    scale = _scale(values.shape, spacing)
    planes = [_coloured(_sized(plane, sides, scale), panel) for plane, sides in _planes(values, spacing)]
    picture = _stacked(planes)
    return picture if panel.colours == "grey" else np.concatenate([picture, *_bar(picture.shape[1], panel)])


def _planes(
    values: NDArray[np.float64], spacing: tuple[float, ...]
) -> list[tuple[NDArray[np.float64], tuple[float, float]]]:
    """Planes with the height and width of a pixel: of a volume across its three axes, of a lone slice its own."""
    if values.ndim == 2:
        return [(values, (spacing[0], spacing[1]))]
    across = [axis for axis in range(3) if values.shape[axis] == 1][:1] or range(3)
    rest = [tuple(spacing[other] for other in reversed(range(3)) if other != axis) for axis in across]
    return [(upright(values, axis), (one[0], one[1])) for axis, one in zip(across, rest, strict=True)]


def _scale(shape: tuple[int, ...], spacing: tuple[float, ...]) -> float:
    """Pixels a unit of spacing, of all planes; a whole number a voxel where voxels are cubes and the image small."""
    longest = max(size * side for size, side in zip(shape, spacing, strict=True))
    scale = SIDE / longest
    if max(spacing) > CUBES * min(spacing):
        return scale
    return max(1, int(scale * spacing[0])) / spacing[0] if longest <= MOST_SIDE * spacing[0] else MOST_SIDE / longest


def _sized(plane: NDArray[np.float64], sides: tuple[float, float], scale: float) -> NDArray[np.float64]:
    """With square pixels."""
    wanted = [max(1, round(scale * size * side)) for size, side in zip(plane.shape, sides, strict=True)]
    picked = [np.arange(count) * size // count for count, size in zip(wanted, plane.shape, strict=True)]
    return plane[np.ix_(*picked)]


def _coloured(values: NDArray[np.float64], panel: Panel) -> Pixels:
    known = ~np.isnan(values)
    share = np.clip((np.where(known, values, panel.low) - panel.low) / (panel.high - panel.low), 0, 1)
    colours = np.array(SCALES[panel.colours], np.float64)
    steps = np.linspace(0, 1, len(colours))
    mixed = np.stack([np.interp(share, steps, colours[:, channel]) for channel in range(3)], axis=-1)
    return np.where(known[..., None], np.rint(mixed), NOTHING).astype(np.uint8)


def _stacked(planes: list[Pixels]) -> Pixels:
    """One below the other, in the middle of the widest: panels lie side by side."""
    width = max(plane.shape[1] for plane in planes)
    wide = []
    for plane in planes:
        left = (width - plane.shape[1]) // 2
        beside = (left, width - plane.shape[1] - left)
        wide.append(np.pad(plane, ((0, GAP), beside, (0, 0)), constant_values=NOTHING))
    return np.concatenate(wide)[:-GAP]


def _bar(width: int, panel: Panel) -> list[Pixels]:
    ramp = np.repeat(np.linspace(panel.low, panel.high, width)[None], BAR, axis=0)
    return [np.full((GAP, width, 3), NOTHING, np.uint8), _coloured(ramp, panel)]
