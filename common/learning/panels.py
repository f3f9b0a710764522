"""A picture that a task draws, with what its values mean: so that several of one case are seen on one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Colours = Literal["grey", "heat", "phase"]


@dataclass(frozen=True, eq=False)
class Panel:
    """values: (H, W), or (X, Y, Z) of which three planes are shown; NaN is drawn as nothing.

    low, high: the values that are drawn darkest and brightest; what lies beyond is cut. colours: "grey"; "heat" for
    what is 0 where all is well, with its bar beneath; "phase" for angles, whose two ends have one colour. note: a
    line below the picture's name. spacing_mm: of voxels, where they are not cubes.
    """

    values: Tensor
    low: float
    high: float
    colours: Colours = "grey"
    note: str = ""
    spacing_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a panel is drawn from a low value to a higher one; they are {self.low}, {self.high}.")
