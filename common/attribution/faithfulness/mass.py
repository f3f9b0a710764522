"""Mass: how much of what speaks for the answer lies where the truth is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.evidence import interval, mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.pointing import NO_MASK, area
from common.attribution.faithfulness.trial import Trial, by_place
from common.sums.mean import Mean, Statistics


@dataclass(frozen=True)
class Mass:
    """It has no options."""

    name: ClassVar[str] = "mass"
    question: ClassVar[str] = "Does more of the map lie where the truth is than the truth's share of the image?"
    source: ClassVar[str] = (
        "Arras, Osman and Samek 2022, CLEVR-XAI (Information Fusion 81), relevance mass accuracy; Wang et al. 2020, "
        "Score-CAM, energy-based pointing game"
    )

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """The share of a map's values above zero that lies in the mask, beside the mask's share of the image."""
        if trial.masks is None:
            return {}
        inside, chance = masses(trial.maps, trial.masks), area(trial.masks)
        return {
            **with_spread("mass_inside", inside),
            **with_spread("mass_area", chance),
            **with_spread("mass_better", inside - chance),
        }

    def found(self, sums: Statistics) -> Finding:
        """Passed where it is more than the mask's share of the image, beyond doubt."""
        absent = not_measured(sums, "mass_better", NO_MASK)
        if absent:
            return absent
        passed = interval(sums, "mass_better")[0] > 0
        inside, chance = mean_of(sums, "mass_inside"), mean_of(sums, "mass_area")
        says = f"{spelled(inside)} of it lies in the true place, which is {spelled(chance)} of the image"
        return Finding("passed" if passed else "failed", f"{'It gathers there' if passed else 'Spread out'}: {says}.")


def masses(maps: Tensor, masks: Tensor) -> NDArray[np.float64]:
    """(N,) of values above zero; of a map that has none, 0; NaN of a mask that is empty or everything."""
    for_it = by_place(maps).clamp(min=0).double()
    whole = for_it.sum(1)
    share = (for_it * masks.flatten(1).to(for_it)).sum(1) / torch.where(whole > 0, whole, 1.0)
    return np.where(np.isnan(area(masks)), np.nan, share.cpu().numpy())


check: type[Check] = Mass
