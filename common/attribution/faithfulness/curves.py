"""What becomes of an answer while an image's places are taken away, or given back, in some order."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.faithfulness.check import Finding
from common.attribution.faithfulness.evidence import interval, mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.trial import Trial
from common.attribution.fills import filled
from common.attribution.gradients import asked
from common.attribution.pairs import looks
from common.sums.mean import Mean, Statistics

Blank = Literal["mean", "blur", "zero"]
Way = Literal["deletion", "insertion"]
BLUR = 8
"""A blurred image is smoothed by a Gaussian whose deviation is this part of each side."""


def measured_curves(trial: Trial, way: Way, blank: Blank, steps: int, draws: int) -> dict[str, Mean]:
    """Areas under the curve by the map, by chance and, where masks are known, by the truth; how much better than by
    chance the map is; and the map's curve itself."""
    places = trial.scores.shape[1]
    rng, empty = trial.rng(way), blanked(trial.inputs, blank)

    def curve(order: Tensor) -> Tensor:
        return curves(trial.network, trial.inputs, empty, order, trial.watched, steps, way)

    shares = shares_of(places, steps)
    own = curve(ordered(trial.scores, rng))
    area = areas(own, shares)
    alike = torch.zeros_like(trial.scores)
    chance = np.mean([areas(curve(ordered(alike, rng)), shares) for _ in range(draws)], 0)
    better = area - chance if way == "insertion" else chance - area
    found = {**with_spread(way, area), **with_spread(f"{way}_random", chance), **with_spread(f"{way}_better", better)}
    if trial.masks is not None:
        true = ordered(trial.masks.flatten(1).to(alike), rng)
        found |= with_spread(f"{way}_perfect", areas(curve(true), shares))
    return found | {f"{way}_{point:03d}": Mean.of(column.tolist()) for point, column in enumerate(own.T)}


def curves(
    network: nn.Module, inputs: Tensor, blank: Tensor, order: Tensor, aim: Aim, steps: int, way: Way
) -> Tensor:
    """(N, points) float64: the aim's number after each share of `shares_of`, the first before anything was done.

    order: (N, P) int64, each case's places, the first to go (or to come) first; a place goes with all its channels.
    """
    counts = torch.from_numpy(_counts(order.shape[1], steps)).to(order)
    ranks = order.argsort(dim=1)
    spread = (len(ranks), 1, *inputs.shape[2:]) if inputs.ndim > 2 else tuple(inputs.shape)
    ranks = ranks.reshape(spread)
    found = []
    with asked(network), torch.no_grad():
        for cases, point in looks(inputs, len(counts)):
            moved = ranks[cases] < counts[point].reshape(-1, *(1,) * (ranks.ndim - 1))
            given, taken = inputs[cases], blank[cases]
            shown = torch.where(moved, taken, given) if way == "deletion" else torch.where(moved, given, taken)
            found.append(aim.take(cases).values(network, shown))
    return torch.cat(found).double().reshape(len(inputs), len(counts)).cpu()


def ordered(scores: Tensor, rng: np.random.Generator) -> Tensor:
    """(N, P) int64 places of (N, P) scores, the highest first; chance decides between places of one score."""
    shuffled = torch.from_numpy(rng.permuted(np.tile(np.arange(scores.shape[1]), (len(scores), 1)), axis=1))
    shuffled = shuffled.to(scores.device)
    sort = scores.gather(1, shuffled).argsort(stable=True, dim=1, descending=True)
    return shuffled.gather(1, sort)


def shares_of(places: int, steps: int) -> NDArray[np.float64]:
    """Of places that are gone at each point of a curve, from 0 to 1 in equal steps, each of a place or more."""
    return np.asarray(_counts(places, steps) / places, np.float64)


def areas(curve: Tensor, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) by trapezoids, of a curve over shares from 0 to 1."""
    return np.asarray(np.trapezoid(curve.numpy(), shares, axis=1), np.float64)


def blanked(inputs: Tensor, blank: Blank) -> Tensor:
    """As the inputs are, with nothing to see: the mean of each channel, the image blurred, or 0; a table's is 0."""
    if inputs.ndim < 3:
        return torch.zeros_like(inputs)
    if blank == "blur":
        deviations = (0.0, 0.0, *(side / BLUR for side in inputs.shape[2:]))
        return torch.from_numpy(gaussian_filter(inputs.cpu().numpy(), deviations)).to(inputs)
    return filled(inputs, blank)


def finding_of(sums: Statistics, way: Way, happens: str, place: str) -> Finding:
    """Passed where the map is better than chance, beyond doubt. happens, place: in the sentence, "lost" and "go"."""
    absent = not_measured(sums, f"{way}_better", "No case was tried.")
    if absent:
        return absent
    passed = interval(sums, f"{way}_better")[0] > 0
    areas = f"{spelled(mean_of(sums, way))} against {spelled(mean_of(sums, f'{way}_random'))}"
    says = f"Where its places {place} first, the answer {happens} {'' if passed else 'no '}sooner than by chance"
    return Finding("passed" if passed else "failed", f"{says}: an area of {areas}.")


def _counts(places: int, steps: int) -> NDArray[np.int64]:
    return np.unique(np.rint(np.linspace(0, places, min(steps, places) + 1)).astype(np.int64))
