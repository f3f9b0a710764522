"""A query's sums as the flat list of wide numbers that aggregations add up, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from common.asking.exact_sums import Integers, Part, Total
from common.sums.wide import WideForm


def form_of(parts: Mapping[str, Part]) -> WideForm:
    """Counts come first, then real numbers. Raises WireError where there are none, or too many."""
    sizes = {kind: sum(part.size for part in parts.values() if part.kind == kind) for kind in ("counts", "reals")}
    return WideForm(sizes["counts"], sizes["reals"])


def flat(parts: Mapping[str, Part], integers: Mapping[str, Integers]) -> list[int]:
    """All numbers of a query's parts, which `checked` has seen."""
    return [number for name, _ in _ordered(parts) for number in integers[name].ravel().tolist()]


def total_of(parts: Mapping[str, Part], numbers: Sequence[int]) -> Total:
    """What `flat` put in a row."""
    integers, at = {}, 0
    for name, part in _ordered(parts):
        values = np.empty(part.size, dtype=object)
        values[:] = numbers[at : at + part.size]
        integers[name] = values.reshape(part.shape)
        at += part.size
    return Total(parts, integers)


def _ordered(parts: Mapping[str, Part]) -> Iterator[tuple[str, Part]]:
    for kind in ("counts", "reals"):
        yield from ((name, part) for name, part in sorted(parts.items()) if part.kind == kind)
