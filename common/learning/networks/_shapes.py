"""Checks of the shape a network is asked for."""

from __future__ import annotations

from common.data.cases import Shape
from common.errors import StudyError


def refuse_unusable(network: str, shape: Shape) -> None:
    """Raise StudyError where there is nothing to answer, or where a case holds no number."""
    if shape.classes < 1:
        raise StudyError(f"network {network!r} needs classes or numbers to answer; it is asked for {shape.classes}.")
    if len(shape.inputs) > 1 and shape.inputs[0] > 0 and 0 in shape.inputs[1:]:
        raise StudyError(
            f"network {network!r} needs cases of one shape, and these differ (source.size = 0): name source.size, to "
            "which all are cropped or filled, or choose a task that draws patches (segmentation, with task.patch)."
        )
    if not shape.inputs or min(shape.inputs) < 1:
        raise StudyError(f"network {network!r} needs inputs that are not empty; their shape is {shape.inputs}.")


def channels_of_grid(network: str, shape: Shape, divisor: int = 1, smallest: int = 1) -> tuple[int, int]:
    """Channels of a 2D image or a volume, and its dimensions, 2 or 3.

    Its sides must be multiples of `divisor` and at least `smallest` pixels. Raises StudyError that says which shape
    came and which would do.
    """
    refuse_unusable(network, shape)
    channels, *sides = shape.inputs
    if len(sides) not in (2, 3):
        raise StudyError(
            f"network {network!r} needs images of (channels, height, width) or volumes of (channels, depth, height, "
            f"width); the shape of the inputs is {shape.inputs}. For tables there are 'logistic' and 'mlp'."
        )
    if any(side % divisor or side < smallest for side in sides):
        fitting = " x ".join(str(_fitting(side, divisor, smallest)) for side in sides)
        fits = f"multiples of {divisor}" if divisor > 1 else f"at least {smallest} pixels"
        raise StudyError(
            f"network {network!r} needs images whose sides are {fits}; they are "
            f"{' x '.join(map(str, sides))}. Pad them to {fitting}, or choose another network."
        )
    return channels, len(sides)


def _fitting(side: int, divisor: int, smallest: int) -> int:
    """The least multiple of `divisor` that holds both."""
    return -(-max(side, smallest) // divisor) * divisor
