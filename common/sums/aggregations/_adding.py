"""How words under masks add up: each modulo 2**32, or, where they are words of wide numbers, with their carries.

With carries a mask of a number is as wide as the number, and evenly spread over all there are: masked numbers tell
nothing, and their sum, once the masks are gone, nothing but the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.sums.aggregations import _keystream
from common.sums.aggregations._ring import Words
from common.sums.wide import WideForm


@dataclass(frozen=True)
class Adding:
    """form: of the wide numbers; None where every word is a number of its own."""

    form: WideForm | None = None

    def apply(self, words: Words, added: Sequence[bytes], subtracted: Sequence[bytes] = ()) -> None:
        """Add and subtract streams, in place."""
        if self.form is None:
            _keystream.apply(words, added, subtracted)
            return
        sums = words.astype(np.int64)
        for stream in added:
            sums += _expanded(stream, words.size)
        for stream in subtracted:
            sums -= _expanded(stream, words.size)
        words[:] = self.form.carried(sums)

    def add(self, total: Words | None, part: Words) -> Words:
        """The sum so far, None at first, and one hospital's words, which are then nobody else's."""
        if total is None:
            return part
        if self.form is not None:
            return self.form.carried(total.astype(np.int64) + part)
        return np.add(total, part, out=total)


def _expanded(stream: bytes, count: int) -> NDArray[np.int64]:
    words = np.zeros(count, np.uint32)
    _keystream.apply(words, [stream])
    return words.astype(np.int64)
