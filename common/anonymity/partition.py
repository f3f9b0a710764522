"""Mondrian: rows parted by cuts of one column at a time for as long as every part keeps what is demanded of it.

LeFevre et al. 2006, "Mondrian multidimensional k-anonymity", strict: rows with one value never part. All parts of one
depth are cut together, and by counts alone: how many rows of each part hold each value of each column. So hospitals'
counts added up give the very partition that all rows in one table give.

Departures from the paper, both of which lose less: where no cut at the median keeps the criteria, the nearest that
does is taken; and a part is released as the range that its rows span, not as the range that was cut out for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria
from common.anonymity.domains import Codes, Domain, WordDomain
from common.errors import WireError

Ints: TypeAlias = NDArray[np.int64]
Counts: TypeAlias = list[Ints]
"""One array a column: (values of all parts one after the other, sensitive values) rows."""


@dataclass(frozen=True)
class Parts:
    """M parts that may still be cut. node: of the tree. low, high: (M, columns), codes that each covers."""

    node: Ints
    low: Ints
    high: Ints

    def starts(self, column: int) -> Ints:
        """(M + 1,) where each part's values begin among those of all."""
        return np.concatenate([[0], np.cumsum(self.high[:, column] - self.low[:, column] + 1)]).astype(np.int64)


@dataclass
class Tree:
    """Every cut so far. Of node i: codes of column[i] up to cut[i] go to child[i], others to the next; -1: no cut."""

    column: list[int] = field(default_factory=lambda: [-1])
    cut: list[int] = field(default_factory=lambda: [0])
    child: list[int] = field(default_factory=lambda: [0])

    def parted(self, node: int, column: int, cut: int) -> int:
        """Cut a node; the number of its first half."""
        first = len(self.column)
        self.column[node], self.cut[node], self.child[node] = column, cut, first
        for one, empty in ((self.column, -1), (self.cut, 0), (self.child, 0)):
            one += [empty, empty]
        return first

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """As they travel."""
        return np.array(self.column), np.array(self.cut), np.array(self.child)


@dataclass(frozen=True)
class Group:
    """Rows that are released alike. low, high: (columns,) codes they span. counts: (sensitive values,) rows."""

    node: int
    low: tuple[int, ...]
    high: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many."""
        return sum(self.counts)


def nodes_of(codes: Codes, tree: tuple[Ints, Ints, Ints]) -> Ints:
    """(N,) the last node that each row of (N, columns) codes comes to."""
    column, cut, child = tree
    node = np.zeros(len(codes), dtype=np.int64)
    moving = np.flatnonzero(column[node] >= 0)
    while len(moving):
        at = node[moving]
        node[moving] = child[at] + (codes[moving, column[at]] > cut[at])
        moving = moving[column[node[moving]] >= 0]
    return node


def counted(codes: Codes, sensitive: Codes, values: int, nodes: Ints, parts: Parts) -> Counts:
    """How many rows of each part hold each value of each column, by sensitive value."""
    part = np.full(int(max(nodes.max(initial=0), parts.node.max(initial=0))) + 1, -1)
    part[parts.node] = np.arange(len(parts.node))
    mine = part[nodes]
    kept = mine >= 0
    mine, codes, sensitive = mine[kept], codes[kept], sensitive[kept]
    found = []
    for column in range(parts.low.shape[1]):
        starts = parts.starts(column)
        place = starts[mine] + codes[:, column] - parts.low[mine, column]
        flat = np.bincount(place * values + sensitive, minlength=int(starts[-1]) * values)
        found.append(flat.reshape(-1, values).astype(np.int64))
    return found


def partition(
    domains: Sequence[Domain], criteria: Criteria, everybody: Ints, count: Callable[[Tree, Parts], Counts]
) -> tuple[Tree, tuple[Group, ...]]:
    """The tree and its groups. Rows of all together must keep the criteria already.

    Args:
        domains: one a column.
        criteria: what each group must keep.
        everybody: (sensitive values,) rows of all.
        count: whatever adds up the counts of all parts.
    """
    rounds = partition_rounds(domains, criteria, everybody)
    asked = next(rounds)
    while True:
        try:
            asked = rounds.send(count(*asked))
        except StopIteration as end:
            return cast(tuple[Tree, tuple[Group, ...]], end.value)


def partition_rounds(
    domains: Sequence[Domain], criteria: Criteria, everybody: Ints
) -> Generator[tuple[Tree, Parts], Counts, tuple[Tree, tuple[Group, ...]]]:
    """The same, a depth at a time: yields what is to be counted, and is sent the counts."""
    tree, groups = Tree(), []
    high = np.array([[len(domain) - 1 for domain in domains]])
    parts = Parts(np.zeros(1, np.int64), np.zeros_like(high), high)
    while len(parts.node):
        counts = yield tree, parts
        level = [
            _Column.of(index, domain, criteria, everybody, parts, of_column)
            for index, (domain, of_column) in enumerate(zip(domains, counts, strict=True))
        ]
        chosen = _chosen(level)
        groups += [_group(level, parts, row) for row in np.flatnonzero(chosen < 0).tolist()]
        parts = _cut(tree, parts, level, chosen)
    return tree, tuple(groups)


def parts_of(domains: Sequence[Domain], tree: tuple[Ints, Ints, Ints], nodes: Ints) -> Parts:
    """The codes that nodes of a tree that came from elsewhere cover.

    Args:
        domains: one a column.
        tree: column, cut and child, as `Tree.arrays` gives them.
        nodes: whose codes are asked for.

    Raises:
        WireError: where it is no tree of these columns, or a node is none of its ends.
    """
    column, cut, child = tree
    if not _is_tree(tree, len(domains)):
        raise WireError("the cuts that were sent are no tree of this question's columns.")
    low = np.zeros((len(column), len(domains)), np.int64)
    high = np.tile(np.array([len(domain) - 1 for domain in domains]), (len(column), 1))
    for parent in np.flatnonzero(column >= 0).tolist():
        first, by, at = int(child[parent]), int(column[parent]), int(cut[parent])
        if not low[parent, by] <= at < high[parent, by]:
            raise WireError("one of the cuts that were sent leaves nothing on one of its sides.")
        low[first : first + 2], high[first : first + 2] = low[parent], high[parent]
        high[first, by], low[first + 1, by] = at, at + 1
    inside = ((nodes >= 0) & (nodes < len(column))).all()
    if not inside or (column[nodes] >= 0).any() or len(np.unique(nodes)) < len(nodes):
        raise WireError("the parts that were asked for are not the ends of the tree.")
    return Parts(nodes, low[nodes], high[nodes])


def _is_tree(tree: tuple[Ints, Ints, Ints], columns: int) -> bool:
    """Whether every node but the first is the half of one before it."""
    column, cut, child = tree
    if not (0 < len(column) == len(cut) == len(child)) or (column < -1).any() or (column >= columns).any():
        return False
    parents = np.flatnonzero(column >= 0)
    halves = np.arange(1, len(column), 2)
    is_whole = len(column) == 2 * len(parents) + 1 and np.array_equal(np.sort(child[parents]), halves)
    return is_whole and bool((child[parents] > parents).all())


@dataclass(frozen=True)
class _Column:
    """What one column says of each of M parts. width: of its rows, on the domain's scale; -1 where no cut keeps the
    criteria. first, last: codes its rows span. cuts: codes to cut after. counts: (M, sensitive values) rows.
    """

    width: NDArray[np.float64]
    first: Ints
    last: Ints
    cuts: Sequence[tuple[int, ...]]
    counts: Ints

    @classmethod
    def of(
        cls, index: int, domain: Domain, criteria: Criteria, everybody: Ints, parts: Parts, counts: Ints
    ) -> _Column:
        starts, low = parts.starts(index), parts.low[:, index]
        begin, part = starts[:-1], np.repeat(np.arange(len(low)), np.diff(starts))
        rows = counts.sum(axis=1)
        running = np.cumsum(counts, axis=0)
        before = running[begin] - counts[begin]
        left, total = running - before[part], np.add.reduceat(counts, begin, axis=0)
        occupied = np.flatnonzero(rows)
        first, last = np.full(len(low), -1), np.full(len(low), -1)
        last[part[occupied]] = occupied
        first[part[occupied[::-1]]] = occupied[::-1]
        # A part without a row is none; where there are rows each has a first and a last value.
        first, last = first - begin + low, last - begin + low
        width = domain.width(first, last)
        if isinstance(domain, WordDomain) and domain.hierarchy:
            cuts = [
                _hierarchical(domain, criteria, everybody, counts[a:b], int(lowest), int(f), int(g))
                for a, b, lowest, f, g in zip(begin, starts[1:], low, first, last, strict=True)
            ]
        else:
            cuts = _nearest_to_median(criteria, everybody, left, total, part, begin, low)
        width = np.where([bool(cut) for cut in cuts], width, -1.0)
        return cls(width, first, last, cuts, total)


def _nearest_to_median(
    criteria: Criteria, everybody: Ints, left: Ints, total: Ints, part: Ints, begin: Ints, low: Ints
) -> list[tuple[int, ...]]:
    right = total[part] - left
    uneven = np.abs(left.sum(axis=1) - right.sum(axis=1))
    kept = (uneven < total[part].sum(axis=1)) & criteria.hold(left, everybody) & criteria.hold(right, everybody)
    uneven = np.where(kept, uneven, np.iinfo(np.int64).max)
    best = np.minimum.reduceat(uneven, begin)
    places = np.flatnonzero(kept & (uneven == best[part]))
    cut = np.full(len(begin), -1)
    cut[part[places[::-1]]] = places[::-1]
    return [() if place < 0 else (int(place - a + b),) for place, a, b in zip(cut, begin, low, strict=True)]


def _hierarchical(
    domain: WordDomain, criteria: Criteria, everybody: Ints, counts: Ints, low: int, first: int, last: int
) -> tuple[int, ...]:
    """After which codes the groups end that a part falls into, one step down; () where one would not hold."""
    ranges = [
        (a, b) for a, b in domain.groups(*domain.widened(first, last)) if counts[max(a - low, 0) : b - low + 1].any()
    ]
    sums = np.array([counts[max(a - low, 0) : b - low + 1].sum(axis=0) for a, b in ranges])
    if len(ranges) < 2 or not criteria.hold(sums, everybody).all():
        return ()
    return tuple(b for _, b in ranges[:-1])


def _chosen(level: Sequence[_Column]) -> Ints:
    """(M,) the widest column of each part that can be cut, the first of equals; -1 where none can."""
    widths = np.stack([column.width for column in level])
    best = np.argmax(widths, axis=0)
    return np.where(widths[best, np.arange(widths.shape[1])] >= 0, best, -1)


def _group(level: Sequence[_Column], parts: Parts, row: int) -> Group:
    low, high = (tuple(int(getattr(column, end)[row]) for column in level) for end in ("first", "last"))
    return Group(int(parts.node[row]), low, high, tuple(level[0].counts[row].tolist()))


def _cut(tree: Tree, parts: Parts, level: Sequence[_Column], chosen: Ints) -> Parts:
    nodes: list[int] = []
    lows: list[Ints] = []
    highs: list[Ints] = []
    for row in np.flatnonzero(chosen >= 0).tolist():
        column, node = int(chosen[row]), int(parts.node[row])
        low, high = parts.low[row].copy(), parts.high[row].copy()
        for cut in level[column].cuts[row]:
            first = tree.parted(node, column, cut)
            below = high.copy()
            below[column] = cut
            nodes.append(first)
            lows.append(low.copy())
            highs.append(below)
            low[column], node = cut + 1, first + 1
        nodes.append(node)
        lows.append(low)
        highs.append(high)
    width = parts.low.shape[1]
    return Parts(
        np.array(nodes, np.int64), np.array(lows, np.int64).reshape(-1, width), np.array(highs).reshape(-1, width)
    )
