"""`[federation.compression]` of a study: updates in fewer bytes on their way up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from common.errors import StudyError
from common.study.checks import between, positive
from common.study.options import EXAMPLE

Kind = Literal["bfloat16", "int8", "int4", "top_k", "random_k"]
BITS = {"int8": 8, "int4": 4}
"""Kinds of whole numbers, and the bits of one."""
SPARSE = ("top_k", "random_k")
LARGEST_BLOCK = 1 << 16
SHARE, BLOCK = 0.1, 64
"""Of kinds that have them, where the study does not say."""
IN_SUMS = ("int8", "int4", "random_k")
"""Kinds whose values add up whatever each hospital's are."""


@dataclass(frozen=True)
class Compression:
    """`[federation.compression]`: what hospitals send takes fewer bytes; the model that they are sent does not.

    Attributes:
        kind: "bfloat16", 2 bytes a value, rounded to the nearest. "int8" and "int4", whole numbers with a scale for
            each block, rounded up or down at random with no bias (QSGD); where only sums are revealed, in one step
            that aggregation.largest_value gives. "top_k", the largest values alone, each with its place. "random_k",
            values at places that are drawn anew in every round, the same for all hospitals.
        share: of the values that "top_k" and "random_k" send; 0.1 where not given.
        block: how many values share a scale with "int8" and "int4"; 64 where not given.
        error_feedback: each hospital keeps what its update lost, in itself, and adds it to its next one (Seide et al.
            2014; Karimireddy et al. 2019). Without it "top_k" never sends what is small for long.
    """

    kind: Kind = field(metadata={EXAMPLE: 'kind = "int8"'})
    share: float | None = None
    block: int | None = None
    error_feedback: bool = True

    def __post_init__(self) -> None:
        where = "federation.compression"
        if self.share is not None and self.kind not in SPARSE:
            raise StudyError(
                f"{where}.share is of kinds {' and '.join(SPARSE)}; {self.kind!r} sends every value: remove it."
            )
        if self.block is not None and self.kind not in BITS:
            raise StudyError(
                f"{where}.block is of kinds {' and '.join(BITS)}; {self.kind!r} has no scales: remove it."
            )
        positive(where, share=self.share, block=self.block)
        between(where, 0, 1, share=self.kept_share)
        between(where, 1, LARGEST_BLOCK, block=self.scaled_block)

    @property
    def kept_share(self) -> float:
        """Of the values that are sent."""
        return SHARE if self.share is None else self.share

    @property
    def scaled_block(self) -> int:
        """How many values share a scale."""
        return BLOCK if self.block is None else self.block

    @property
    def sum_bits(self) -> int | None:
        """Bits that a value needs where only sums are revealed; None where compression changes nothing of them."""
        return BITS.get(self.kind)


def keeps_memory(compression: Compression | None) -> bool:
    """Whether hospitals keep something from round to round for it."""
    return compression is not None and compression.error_feedback
