"""What every group of a release must hold: k rows, l values of what is sensitive, and how close to all of them.

k-anonymity (Sweeney 2002); distinct, entropy and recursive l-diversity (Machanavajjhala et al. 2007); t-closeness by
the earth mover's distance with equal, ordered or hierarchical distance between values (Li et al. 2007, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.study.spelling import unknown

Diversity = Literal["distinct", "entropy", "recursive"]
Distance = Literal["equal", "ordered", "hierarchical"]
Branches: TypeAlias = tuple[tuple[float, tuple[int, ...]], ...]
"""Of a tree of values: how long the edge above each node is, and which values lie below it."""


@dataclass(frozen=True)
class Criteria:
    """k: rows. l, diversity: values, by their number, by the exponential of their entropy, or recursively: the most
    frequent value has fewer than c times the rows of all but the l - 1 most frequent ones. t: the largest distance.

    distance: of two values; "equal" is 1 for any two, "ordered" the share of the values that lie between,
    "hierarchical" how far up the tree of values, as a share of its height, the group lies that holds both.
    branches: of that tree.
    """

    k: int = 5
    l: float = 1.0  # noqa: E741 - the field's own name
    t: float = 1.0
    diversity: Diversity = "distinct"
    distance: Distance = "equal"
    c: float = 1.0
    branches: Branches = ()

    def __post_init__(self) -> None:
        if self.k < 1 or self.l < 1 or not 0 <= self.t <= 1:
            raise StudyError(f"k and l must be 1 or more, t between 0 and 1; they are {self.k}, {self.l}, {self.t}.")
        if not 0 < self.c < np.inf:
            raise StudyError(f"c of recursive l-diversity must be above 0; it is {self.c}.")
        for word, known in ((self.diversity, get_args(Diversity)), (self.distance, get_args(Distance))):
            if word not in known:
                raise unknown("kind", word, known)

    @property
    def needs_sensitive(self) -> bool:
        """Whether a sensitive column is looked at."""
        return self.l > 1 or self.t < 1

    def hold(self, groups: NDArray[np.int64], everybody: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(M,) for (M, values) rows of each sensitive value in each group, beside (values,) of all rows."""
        rows = groups.sum(axis=1)
        kept: NDArray[np.bool_] = rows >= self.k
        if self.l > 1:
            kept &= diversity(groups, self.diversity, self.c) >= self.l - 1e-9
        if self.t < 1:
            kept &= closeness(groups, everybody, self.distance, self.branches) <= self.t + 1e-12
        return kept


def rows_for(k: int, rows_of_one: int) -> int:
    """So many rows are of k persons at least, where none has more than rows_of_one of them."""
    if rows_of_one < 1:
        raise StudyError(f"a person has one row at least; it says {rows_of_one}.")
    return (k - 1) * rows_of_one + 1


def diversity(groups: NDArray[np.int64], kind: Diversity, c: float = 1.0) -> NDArray[np.float64]:
    """How many sensitive values a group has.

    Args:
        groups: (M, V) rows by sensitive value.
        kind: "distinct"; "entropy", as many as it has as if they were even; or "recursive", the largest l that it
            keeps.
        c: of recursive (c, l)-diversity.

    Returns:
        (M,) float64; recursively 0 where no l is kept.
    """
    if kind == "distinct":
        found: NDArray[np.float64] = (groups > 0).sum(axis=1).astype(np.float64)
        return found
    if kind == "recursive":
        most_first = -np.sort(-groups, axis=1)
        rest = np.cumsum(most_first[:, ::-1], axis=1)[:, ::-1]
        kept: NDArray[np.float64] = (most_first[:, :1] < c * rest).sum(axis=1).astype(np.float64)
        return kept
    shares = groups / np.maximum(groups.sum(axis=1, keepdims=True), 1)
    even: NDArray[np.float64] = np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1))
    return even


def closeness(
    groups: NDArray[np.int64], everybody: NDArray[np.int64], kind: Distance, branches: Branches = ()
) -> NDArray[np.float64]:
    """(M,) earth mover's distance of each group's sensitive values to those of all rows; 0 for a group of nobody."""
    rows = groups.sum(axis=1, keepdims=True)
    difference = groups / np.maximum(rows, 1) - everybody / max(int(everybody.sum()), 1)
    if kind == "equal":
        distances = np.abs(difference).sum(axis=1) / 2
    elif kind == "hierarchical":
        # Whatever one side of an edge has too much of must pass it.
        moved = [length * np.abs(difference[:, list(below)].sum(axis=1)) for length, below in branches]
        distances = np.sum(moved, axis=0) if moved else np.zeros(len(groups))
    else:
        distances = np.abs(np.cumsum(difference, axis=1)[:, :-1]).sum(axis=1) / max(groups.shape[1] - 1, 1)
    return np.where(rows[:, 0] > 0, distances, 0.0)
