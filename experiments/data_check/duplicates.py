"""Cases that are there twice: the same to the last bit, or but for mirroring, rescaling or brightness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from experiments.data_check.holding import Holding

ALMOST = 0.9995
"""Correlation of two thumbnails from which on two images are suspected to be one."""
MOST_COMPARED = 12_000
BLOCK = 1024
MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Case:
    """Where a case is, and how it is called."""

    site: SiteId
    person: str
    split: str
    name: str
    label: tuple[float, ...]


@dataclass(frozen=True)
class Twins:
    """Cases of one input. words: all of them, by hospital and split."""

    cases: tuple[Case, ...]

    @property
    def persons(self) -> set[tuple[SiteId, str]]:
        """Whose they are; a name at two hospitals is one person."""
        return {("", case.person) for case in self.cases}

    @property
    def sites(self) -> set[SiteId]:
        """Where they are."""
        return {case.site for case in self.cases}

    @property
    def leaks(self) -> bool:
        """Whether what is trained on is also what is scored, at one hospital or at two."""
        places = {case.split for case in self.cases}
        return "train" in places and len(places) > 1

    @property
    def words(self) -> str:
        """All of them."""
        one_site = len(self.sites) == 1
        return " = ".join(
            f"{case.name} [{case.split if one_site else f'{case.site}, {case.split}'}]" for case in self.cases
        )


def identical(holdings: Sequence[Holding]) -> tuple[Twins, ...]:
    """Groups of cases whose prepared inputs are the same, by their first case; constant ones left out."""
    kept = [(holding, row) for holding in holdings for row in np.flatnonzero(~holding.is_constant).tolist()]
    groups: dict[tuple[int, int], list[tuple[Holding, int]]] = {}
    for holding, row in kept:
        first, second = holding.rows["digest"][row].tolist()
        groups.setdefault((first, second), []).append((holding, row))
    return tuple(Twins(tuple(map(_case, group))) for group in groups.values() if len(group) > 1)


def _case(at: tuple[Holding, int]) -> Case:
    holding, row = at
    label = (
        holding.rows["class_counts"][row] if "class_counts" in holding.rows else holding.rows.get("target", [()])[row]
    )
    said = tuple(np.atleast_1d(np.asarray(label, np.float64)).tolist())
    return Case(
        holding.site,
        str(holding.patients[row]),
        str(holding.rows["split"][row]),
        holding.named(np.array([row]))[0],
        said,
    )


@dataclass(frozen=True)
class Suspects:
    """pairs: of cases that are almost the same. of_all: whether every two were compared, which takes too long for
    many; else only those with equal patterns of dark and bright. cut: whether there are more pairs than these.
    """

    pairs: tuple[Twins, ...]
    of_all: bool
    cut: bool = False


def almost_identical(holdings: Sequence[Holding]) -> Suspects:
    """Pairs of different persons' images whose thumbnails agree, mirrored along any axes or not; no equal inputs."""
    places = [(holding, row) for holding in holdings if holding.is_image for row in range(len(holding))]
    if not places or len({holding.rows["thumbnail"].shape[1:] for holding, _ in places}) > 1:
        return Suspects((), True)
    thumbs = np.stack([holding.rows["thumbnail"][row] for holding, row in places])
    seen = np.flatnonzero(thumbs.reshape(len(thumbs), -1).any(axis=1))
    thumbs = thumbs[seen]
    of_all = len(thumbs) <= MOST_COMPARED
    found: list[Twins] = []
    for a, b in _agreeing(thumbs) if of_all else _of_equal_pattern(thumbs):
        first, second = places[seen[a]], places[seen[b]]
        if _are_two(first, second):
            found.append(Twins((_case(first), _case(second))))
            if len(found) >= MOST_PAIRS:
                return Suspects(tuple(found), of_all, cut=True)
    return Suspects(tuple(found), of_all)


def _are_two(first: tuple[Holding, int], second: tuple[Holding, int]) -> bool:
    (one, a), (other, b) = first, second
    same_person = one.patients[a] == other.patients[b]
    return not same_person and not (one.rows["digest"][a] == other.rows["digest"][b]).all()


def mirrored(thumbs: NDArray[np.float16]) -> Iterator[NDArray[np.float16]]:
    """As they are, and turned over along every choice of axes."""
    axes = range(1, thumbs.ndim)
    for size in range(thumbs.ndim):
        for chosen in combinations(axes, size):
            yield np.flip(thumbs, chosen) if chosen else thumbs


def _agreeing(thumbs: NDArray[np.float16]) -> list[tuple[int, int]]:
    """Pairs (a, b), a before b, of which any mirrored form agrees."""
    flat = thumbs.reshape(len(thumbs), -1).astype(np.float32)
    found: set[tuple[int, int]] = set()
    for turned in mirrored(thumbs):
        other = turned.reshape(len(thumbs), -1).astype(np.float32)
        for start in range(0, len(flat), BLOCK):
            rows, columns = np.nonzero(other[start : start + BLOCK] @ flat[start:].T > ALMOST)
            found |= {
                (a, b) for a, b in zip((rows + start).tolist(), (columns + start).tolist(), strict=True) if a < b
            }
    return sorted(found)


def _of_equal_pattern(thumbs: NDArray[np.float16]) -> list[tuple[int, int]]:
    """The same among thumbnails whose cells are dark and bright alike, mirrored or not."""
    groups: dict[bytes, list[int]] = {}
    patterns = [np.packbits((turned > 0).reshape(len(thumbs), -1), axis=1) for turned in mirrored(thumbs)]
    for row in range(len(thumbs)):
        groups.setdefault(min(pattern[row].tobytes() for pattern in patterns), []).append(row)
    found = []
    for group in groups.values():
        if 1 < len(group) <= MOST_COMPARED:
            found += [(group[a], group[b]) for a, b in _agreeing(thumbs[group])]
    return sorted(found)
