"""Names of what is told beside a compressed update, among its statistics of training, and what of it is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.study.compression import Compression

LOST = "compression_error"
"""The length of what compression took from an update beside the update's own; the mean of hospitals."""
CUT = "clipped"
"""The share of values beyond the range of a sum, as every sum of whole numbers counts it."""


def told_in_sums(compression: Compression, is_private: bool) -> tuple[str, ...]:
    """Names of means that travel inside a sum. Where privacy is promised, only what has its noise is counted."""
    cut = () if compression.sum_bits is None else (f"training/{CUT}",)
    return cut if is_private else (*cut, f"training/{LOST}")
