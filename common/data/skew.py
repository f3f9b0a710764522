"""How far hospitals' data is from identically distributed, measured from counts alone."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from common.data.names import SiteId


def label_divergence(counts: Mapping[SiteId, Mapping[str, int]]) -> float:
    """Mean over hospitals of the Jensen-Shannon divergence, in bits, of its labels from those of all together.

    counts: of each class, by hospital. Every hospital counts alike, whatever its size; hospitals without a
    label are left out. 0: the same mix everywhere; 1 is the bound.
    """
    shares = {site: _shares(of_site) for site, of_site in counts.items() if sum(of_site.values()) > 0}
    if not shares:
        return 0.0
    totals: dict[str, float] = {}
    for of_site in counts.values():
        for label, count in of_site.items():
            totals[label] = totals.get(label, 0) + count
    pooled = _shares(totals)
    return sum(_jensen_shannon(share, pooled) for share in shares.values()) / len(shares)


def size_gini(sizes: Mapping[SiteId, int]) -> float:
    """Gini coefficient of the hospitals' sizes: 0 where all are equal, (n - 1) / n where one holds everything."""
    ordered = sorted(sizes.values())
    total, n = sum(ordered), len(ordered)
    if total == 0:
        return 0.0
    return sum((2 * rank - n - 1) * size for rank, size in enumerate(ordered, start=1)) / (n * total)


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {label: count / total for label, count in counts.items()}


def _jensen_shannon(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    middle = {label: (p.get(label, 0.0) + q.get(label, 0.0)) / 2 for label in {*p, *q}}
    return max(0.0, (_kullback_leibler(p, middle) + _kullback_leibler(q, middle)) / 2)


def _kullback_leibler(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    return sum(share * log2(share / q[label]) for label, share in p.items() if share > 0)
