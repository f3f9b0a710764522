"""Randomisation: does a map change when the network forgets what it learned?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.evidence import mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.map_similarity import gradients, rank_correlation, structure
from common.attribution.faithfulness.resetting import cascade
from common.attribution.faithfulness.trial import Trial, by_place
from common.study.checks import between
from common.sums.mean import Mean, Statistics, means_of


@dataclass(frozen=True)
class Randomisation:
    """most_alike: Spearman's correlation of a map with that of a network that forgot everything, from which on the
    map is said to be about the image.

    Layers forget one after the other, from the last to the first (cascading), and each time the map is compared with
    the first one as it is read: with its signs where the method's values have a sign, otherwise by size. The paper
    gives no limit; ours is a choice. Size alone is reported beside it, as by `quantus.MPRT`.
    """

    name: ClassVar[str] = "randomisation"
    question: ClassVar[str] = "Does the map change when the network forgets what it learned?"
    source: ClassVar[str] = "Adebayo et al. 2018, Sanity checks for saliency maps (NeurIPS), section 3.1"

    most_alike: float = 0.5

    def __post_init__(self) -> None:
        between("randomisation", 0, 1, most_alike=self.most_alike)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Similarity after each step, by ranks, and at the end by structure and by gradients too."""
        before, found = _read(trial, trial.maps), {}
        ranks = sizes = np.full(len(trial.inputs), np.nan)
        last = trial.maps
        for step, (_, network) in enumerate(cascade(trial.network, trial.inputs, trial.seed)):
            last = trial.maps_of(network)
            ranks = rank_correlation(_flat(before), _flat(_read(trial, last)))
            sizes = rank_correlation(np.abs(_flat(_places(trial.maps))), np.abs(_flat(_places(last))))
            found[f"randomisation_step_{step:03d}"] = ranks
        after = _read(trial, last)
        ends = {"sizes": sizes, "ssim": structure(before, after), "hog": gradients(before, after)}
        return {
            **with_spread("randomisation_rank", ranks),
            **means_of({**found, **{f"randomisation_{name}": values for name, values in ends.items()}}),
        }

    def found(self, sums: Statistics) -> Finding:
        """Failed where the map is much the same."""
        absent = not_measured(sums, "randomisation_rank", "The network has no layers that could forget.")
        if absent:
            return absent
        alike = mean_of(sums, "randomisation_rank")
        after = f"a network that forgot everything gives maps that are {spelled(alike)} alike (1: the same)"
        if alike >= self.most_alike:
            return Finding("failed", f"It shows the image, not the network: {after}.")
        return Finding("passed", f"It changes with the network: {after}.")


def _read(trial: Trial, maps: Tensor) -> NDArray[np.float32]:
    """(N, *S) or (N, F) as a reader takes it."""
    found = _places(maps)
    return found if trial.method.signed else np.abs(found)


def _places(maps: Tensor) -> NDArray[np.float32]:
    """Channels summed."""
    shape = maps.shape if maps.ndim < 3 else (len(maps), *maps.shape[2:])
    return np.asarray(by_place(maps).reshape(shape).cpu().numpy(), np.float32)


def _flat(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return maps.reshape(len(maps), -1)


check: type[Check] = Randomisation
