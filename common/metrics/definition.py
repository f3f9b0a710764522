"""What a figure of a predicted and a true structure is: a definition, whose it is, and how it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from common.metrics.pair import Pair

Best = Literal["high", "low", "zero"]


@dataclass(frozen=True)
class Metric:
    """heading: in tables. meaning: the definition, in a line. equals: whose figure it is. best: which values are
    good. empty: where both masks are empty; where only the prediction has the structure; where only the truth has
    it. also: other names. of_chances: whether it needs the predicted chance of every voxel.
    """

    heading: str
    meaning: str
    equals: str
    best: Best
    empty: tuple[str, str, str]
    figure: Callable[[Pair], float]
    also: tuple[str, ...] = ()
    of_chances: bool = False


OVERLAP = ("-", "0", "0")
FAR = ("-", "inf", "inf")
COUNT = ("0", "counted", "counted")
ALWAYS = ("defined",) * 3
"""What a figure is where both masks are empty, where only the prediction has the structure, where only the truth."""
