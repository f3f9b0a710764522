"""Batches that hold a hospital's classes evenly, so that cases of rare ones are seen more often.

Slots of a batch are dealt to the classes in turn, the turn beginning at a random class, so that over any stretch of
slots no class has more than one slot more than another. A class's cases come in a random order, each once before any
comes again. Every hospital so minimises the mean of its classes' mean losses, whatever its own mixture. Over an epoch
a batch is drawn as often as by shuffling.

A case that is outlined belongs to the rarest class that it shows: the one that the fewest cases here do. (Within a
case patches are drawn evenly over structures by `common.segmentation.patches`.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases

Indices = NDArray[np.int64]


def batches_by_class(groups: list[Indices], size: int, steps: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Indices of the cases of every step. groups: cases of each class that there is any of."""
    decks = [_deck(group, rng) for group in groups]
    turns = _deck(np.arange(len(groups)), rng)
    for _ in range(steps):
        yield np.array([next(decks[next(turns)]) for _ in range(size)])


def groups_by_class(cases: Cases) -> list[Indices]:
    """The cases of each class that there is any of here, in the order of the classes."""
    of_case = classes_of(cases)
    return [np.flatnonzero(of_case == label) for label in np.unique(of_case)]


def classes_of(cases: Cases) -> Indices:
    """(N,) the class of every case; of outlines the rarest that it shows."""
    return _rarest(cases) if cases.columns["targets"].item else cases.targets.astype(np.int64)


def _rarest(cases: Cases) -> Indices:
    """(N,) of the classes that a case shows, the one that the fewest cases do; of equal ones the first."""
    shown = np.zeros((len(cases), len(cases.classes)), bool)
    for row, target in zip(shown, cases.pieces("targets"), strict=True):
        row[np.flatnonzero(np.bincount(target.ravel(), minlength=len(row))[: len(row)])] = True
    rarity = np.where(shown, shown.sum(0), len(cases) + 1)
    return np.asarray(rarity.argmin(1), np.int64)


def _deck(items: Indices, rng: np.random.Generator) -> Iterator[int]:
    """All items in a random order, then all again in another, without end."""
    while True:
        yield from rng.permutation(items).tolist()
