"""Masks: a pixel's value to its class, exactly; whatever is no class is refused with the values that were found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.sources._image_pixels import Pixels
from common.errors import SourceError, StudyError

SHOWN = 8
REMEDY = (
    "JPEG, smoothed outlines and resized masks make such values: export the mask as PNG without smoothing, or name "
    "what stands for each class in source.mask_values"
)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class MaskValues:
    """classes: their names. given: of each, a number, or a colour "#rrggbb"; () for 0, 1, 2, ..., or 0 and 255."""

    classes: tuple[str, ...]
    given: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        if not self.given:
            return
        if len(self.given) != len(self.classes) or len(set(self.given)) != len(self.given):
            raise StudyError(
                f"source.mask_values must name {len(self.classes)} different values, one a class; it is "
                f"{list(self.given)}."
            )
        if len({isinstance(value, str) for value in self.given}) > 1:
            raise StudyError("source.mask_values must be all numbers or all colours such as '#ff0000'.")
        for value in self.given:
            if isinstance(value, str) and not _COLOUR.fullmatch(value):
                raise StudyError(f"source.mask_values holds colours such as '#ff0000'; one is {value!r}.")

    @property
    def values(self) -> tuple[int | str, ...]:
        """Of each class in a mask that is written: as given; else 0 and 255, or 0, 1, 2, ... of more classes."""
        if self.given:
            return self.given
        return (0, 255) if len(self.classes) == 2 else tuple(range(len(self.classes)))

    def labels(self, mask: Pixels) -> NDArray[np.uint8]:
        """(H, W) class indices. Raises SourceError where a pixel has a value of no class."""
        by_colour = bool(self.given) and isinstance(self.given[0], str)
        values = _packed_colours(mask) if by_colour else _numbers(mask)
        present = np.unique(values)
        known = self._known(present)
        strange = [value for value in present.tolist() if value not in known]
        if strange or mask.is_lossy:
            self._refuse(present.tolist(), known, by_colour, mask.is_lossy)
        table = np.array([known[value] for value in present.tolist()], dtype=np.uint8)
        return table[np.searchsorted(present, values)]

    def _known(self, present: NDArray[np.generic]) -> dict[float, int]:
        if self.given:
            return {
                int(value[1:], 16) if isinstance(value, str) else value: index
                for index, value in enumerate(self.given)
            }
        if len(self.classes) == 2 and present.size and present.max() == 255:
            return {0: 0, 255: 1}
        return {index: index for index in range(len(self.classes))}

    def _refuse(self, present: list[float], known: dict[float, int], by_colour: bool, is_lossy: bool) -> None:
        def spelt(value: float) -> str:
            return f"#{int(value):06x}" if by_colour else f"{value:g}"

        found = ", ".join(map(spelt, present[:SHOWN])) + (f", ... ({len(present)} in all)" * (len(present) > SHOWN))
        wanted = ", ".join(f"{spelt(value)} = {self.classes[index]}" for value, index in known.items())
        kind = "a JPEG, which blurs outlines, and " if is_lossy else ""
        raise SourceError(f"the mask is {kind}of the values {found}, where classes are {wanted}. {REMEDY}")


def check_classes(classes: Sequence[str]) -> None:
    """Raise StudyError where masks have too few or too many classes to tell apart."""
    if not 2 <= len(classes) <= 256:
        raise StudyError(
            'masks need 2 to 256 classes, background first: source.classes = ["background", "lesion"]; '
            f"{len(classes)} are named."
        )


def _numbers(mask: Pixels) -> NDArray[np.generic]:
    """(H, W): grey values, or indices of a palette."""
    values = mask.values
    if mask.layout in ("grey", "palette"):
        return values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values
    colours = values[..., :3]
    _demand_opaque(mask)
    if (colours != colours[..., :1]).any():
        raise SourceError(
            f"the mask is in colours ({_colours_of(mask)}): name that of each class, source.mask_values = "
            '["#000000", "#ff0000"]'
        )
    grey: NDArray[np.generic] = colours[..., 0]
    return grey


def _packed_colours(mask: Pixels) -> NDArray[np.int64]:
    """(H, W): 0xRRGGBB."""
    values = mask.values
    if mask.layout == "palette" and mask.colours is not None:
        values = mask.colours[values]
    elif mask.layout == "grey":
        values = np.repeat((values * np.uint8(255) if values.dtype == np.bool_ else values)[..., None], 3, axis=2)
    else:
        _demand_opaque(mask)
    if values.dtype != np.uint8:
        raise SourceError(f"the mask holds {values.dtype}, and colours are of 8 bits")
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _demand_opaque(mask: Pixels) -> None:
    if mask.layout == "rgba" and (mask.values[..., 3] != np.iinfo(mask.values.dtype).max).any():
        raise SourceError("the mask is transparent in places: save it without transparency")


def _colours_of(mask: Pixels) -> str:
    found = np.unique(mask.values[..., :3].reshape(-1, 3), axis=0)
    shown = ", ".join("#" + "".join(f"{int(value):02x}" for value in colour) for colour in found[:SHOWN])
    return shown + (f", ... ({len(found)} in all)" * (len(found) > SHOWN))
