"""The role of a form, how one hospital's update is written in fewer bytes, and which form a study's is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from common.compression.bfloat16 import Bfloat16
from common.compression.drawn_values import DrawnValues
from common.compression.largest_values import LargestValues
from common.compression.scaled_integers import ScaledIntegers
from common.study.compression import BITS
from common.sums.update import Vector

if TYPE_CHECKING:
    from common.study.compression import Compression

Bytes = NDArray[np.uint8]


class Form(Protocol):
    """What a vector becomes, and what is read of it again. How long it is follows from the model alone."""

    def size(self, length: int) -> int:
        """Bytes of a packed vector of so many values."""
        ...

    def pack(self, values: NDArray[np.floating], rng: np.random.Generator) -> Bytes:
        """(size,) bytes of (P,) finite values. rng: for rounding at random, in forms that do."""
        ...

    def unpack(self, data: Bytes, length: int) -> Vector:
        """(length,) float32, perhaps not finite. Raises WireError for bytes that no honest `pack` gives."""
        ...


def form_of(compression: Compression, seed: int, number: int) -> Form:
    """Of updates that are read singly, in round `number` of a study with that seed."""
    if compression.kind == "bfloat16":
        return Bfloat16()
    if compression.kind == "top_k":
        return LargestValues(compression.kept_share)
    if compression.kind == "random_k":
        return drawn_of(compression, seed, number)
    return ScaledIntegers(BITS[compression.kind], compression.scaled_block)


def drawn_of(compression: Compression, seed: int, number: int) -> DrawnValues:
    """The places of round `number` with kind "random_k"."""
    return DrawnValues(compression.kept_share, seed, number, scaled=not compression.error_feedback)
