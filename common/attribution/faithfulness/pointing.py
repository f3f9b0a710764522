"""Pointing game: does the highest place of a map lie where the truth is?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, max_pool2d, max_pool3d, pad

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.evidence import interval, mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.trial import Trial, by_place
from common.study.checks import between
from common.sums.mean import Mean, Statistics

WINDOW_PX = 3
NO_MASK = "It is not known where the truth lies."


@dataclass(frozen=True)
class Pointing:
    """tolerance_px: how far beside the true place still counts as a hit in the second figure. window_px: side of the
    squares over which values are summed for the third figure, in which the middle of the highest square counts: of
    maps by gradients a single place is mostly noise.
    """

    name: ClassVar[str] = "pointing"
    question: ClassVar[str] = "Does the map's highest place lie where the truth is?"
    source: ClassVar[str] = "Zhang et al. 2018, Top-down neural attention by excitation backprop (IJCV), section 4.1"

    tolerance_px: int = 2
    window_px: int = WINDOW_PX

    def __post_init__(self) -> None:
        between("pointing", 0, 1 << 12, tolerance_px=self.tolerance_px)
        between("pointing", 1, 1 << 12, window_px=self.window_px)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Hits, and what a place by chance would hit, of the cases whose mask is neither empty nor everything."""
        if trial.masks is None:
            return {}
        near, chance = widened(trial.masks, self.tolerance_px), area(trial.masks)
        return {
            **with_spread("pointing_hit", hits(trial.maps, trial.masks)),
            **with_spread("pointing_near", np.where(np.isnan(chance), np.nan, hits(trial.maps, near))),
            **with_spread("pointing_window", hits(summed(trial.maps, self.window_px), trial.masks)),
            **with_spread("pointing_area", chance),
            **with_spread("pointing_better", hits(trial.maps, trial.masks) - chance),
        }

    def found(self, sums: Statistics) -> Finding:
        """Passed where it hits more often than chance, beyond doubt."""
        absent = not_measured(sums, "pointing_better", NO_MASK)
        if absent:
            return absent
        passed = interval(sums, "pointing_better")[0] > 0
        share, chance = spelled(mean_of(sums, "pointing_hit")), spelled(mean_of(sums, "pointing_area"))
        says = f"its highest place lies in the true one in {share} of cases, by chance in {chance}"
        return Finding("passed" if passed else "failed", f"{'It points there' if passed else 'It misses'}: {says}.")


def hits(maps: Tensor, masks: Tensor) -> NDArray[np.float64]:
    """(N,) the share of a map's highest places that lie in its mask: 0 or 1 but for ties; NaN of a mask that is empty
    or everything."""
    scores, inside = by_place(maps), masks.flatten(1).to(maps.device)
    highest = scores == scores.amax(1, keepdim=True)
    found = (highest & inside).sum(1).double() / highest.sum(1)
    return _where_told(found, inside)


def area(masks: Tensor) -> NDArray[np.float64]:
    """(N,) the mask's share of all places; NaN as in `hits`."""
    inside = masks.flatten(1)
    return _where_told(inside.double().mean(1), inside)


def widened(masks: Tensor, pixels: int) -> Tensor:
    """(N, *S) masks with all that lies up to so many pixels beside them."""
    if pixels == 0 or masks.ndim < 3:
        return masks
    pool = max_pool2d if masks.ndim == 3 else max_pool3d
    return pool(masks[:, None].float(), 2 * pixels + 1, 1, pixels)[:, 0] > 0


def summed(maps: Tensor, pixels: int) -> Tensor:
    """(N, 1, *S) of each place the mean over a square about it, 0 outside of the image; tables as they are.

    An even side reaches a place farther before it than behind.
    """
    if pixels == 1 or maps.ndim < 4:
        return maps
    pool = avg_pool2d if maps.ndim == 4 else avg_pool3d
    ends = (pixels // 2, (pixels - 1) // 2) * (maps.ndim - 2)
    return pool(pad(maps.sum(1, keepdim=True), ends), pixels, 1)


def _where_told(values: Tensor, inside: Tensor) -> NDArray[np.float64]:
    told = inside.any(1) & ~inside.all(1)
    return np.asarray(torch.where(told, values, torch.nan).cpu().numpy(), np.float64)


check: type[Check] = Pointing
