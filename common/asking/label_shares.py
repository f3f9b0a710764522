"""How few persons exact sums over shares of labels tell of together, by words and numbers that everybody knows.

A larger share of a draw takes the same persons and more, by a public rule: sums over 50 % and over 51 % tell of the
hundredth part between them, and a share of 99 % beside all tells of whom it leaves out. Draws of other numbers are as
many equations as there are sums: of as many draws as persons everybody's own numbers follow (Dinur and Nissim 2003).
So the pieces into which the shares of a draw cut the persons must be large, and all draws' pieces together few.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from common.asking.differences import ExactTable

ROUNDING = 1e-9


def thin_share(tables: Iterable[ExactTable], persons: int, least: int) -> str:
    """Why shares of labels of these tables together tell of too few; "" where they do not.

    persons: how many there are, as they are told. least: fewest persons of a piece, on average.
    """
    drawn = [one for one in tables if one.label_draw is not None]
    shares: dict[tuple[object, ...], set[float]] = {}
    for one in drawn:
        assert one.label_draw is not None
        chain = (one.label_draw.seed, one.label_draw.draw, one.where.text, one.by)
        shares.setdefault(chain, set()).add(one.label_draw.share)
    for found in shares.values():
        for low, high in pairwise(sorted({0.0, *found, 1.0})):
            if (high - low) * persons < least * (1 - ROUNDING):
                return f"{persons} persons are too few for the share of labels from {low:g} to {high:g} of a draw"
    pieces = sum(map(len, shares.values()))
    if pieces * least > persons:
        return f"{persons} persons are too few for {pieces} shares and draws of labels"
    return ""
