"""Some cases of a study's hospitals, of one shape: few are read, and as little as a source lets one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.data.cases import Cases, SiteId
from common.errors import SourceError
from experiments.data_check.reading import Reading, Stream

MOST_CASES = 64
"""That are read, so that it can be told how alike they are."""
MOST_HOSPITALS = 8


@dataclass(frozen=True)
class Shown:
    """images: (N, C, *S) float32. sites: of each case its hospital, or "all hospitals" of data that are divided
    later. unlike: cases that were left out, since they have another shape.
    """

    images: Tensor
    sites: tuple[SiteId, ...]
    unlike: int

    def chosen(self, count: int) -> list[int]:
        """So many of the cases, evenly over all hospitals."""
        number = len(self.sites)
        return [index * number // min(count, number) for index in range(min(count, number))]


def shown_cases(reading: Reading) -> Shown:
    """Of each of the first hospitals as many. Raises SourceError where there is no image."""
    streams = reading.streams[:MOST_HOSPITALS]
    quota = -(-MOST_CASES // max(1, len(streams)))
    found = [(stream.name, image) for stream in streams for image in _of(stream, quota)]
    if not found:
        raise SourceError("no case can be used: `wardround data check STUDY` says what is wrong with them.")
    shape = found[0][1].shape
    alike = [one for one in found if one[1].shape == shape]
    return Shown(torch.stack([one for _, one in alike]), tuple(site for site, _ in alike), len(found) - len(alike))


def _of(stream: Stream, quota: int) -> Iterator[Tensor]:
    """One case of each person first, of many slices the middle one; then the others."""
    left = quota
    for part in stream.parts():
        if not isinstance(part, Cases) or not len(part):
            continue
        middle = _middles(part.patients)
        others = np.setdiff1d(np.arange(len(part)), middle)
        for index in np.concatenate([middle, others])[:left]:
            yield part.batch(np.array([index])).each("inputs")[0].float()
        left -= min(left, len(part))
        if not left:
            return


def _middles(persons: NDArray[np.str_]) -> NDArray[np.int64]:
    """The middle case of each person, in the order of the cases."""
    whose = np.unique(persons, return_inverse=True)[1]
    order, counts = np.argsort(whose, kind="stable"), np.bincount(whose)
    return np.sort(order[np.cumsum(counts) - counts + counts // 2])
