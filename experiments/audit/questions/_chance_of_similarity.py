"""The chance that something uninformative is as like a patient as what an attack brought back.

Nothing leaked: then what came back has nothing to do with who is behind the update, and two looks have a chance.

*Nearness.* How much nearer it is to one patient than to any other, by the ratio r of the two distances. Of points
that lie evenly in k dimensions, r is below t with chance t^k, whatever their density (Facco et al. 2017, Estimating
the intrinsic dimension of datasets by a minimal neighborhood information, equation 3); a point that lies off the
patients, as noise and blurs do, has ratios nearer to 1. The chance is counted on the patients themselves, each taken
for a reconstruction, and beyond their smallest ratio follows t^k with k at its lower confidence limit.

*Company.* How many of the hospital's patients behind the update it is more like than like any who is not: a split
into training and test is drawn by chance, and so these are exchangeable. The first k of M + N being of the M has the
chance C(M, k) / C(M + N, k).

Both are multiplied by all looks that an audit takes (Bonferroni): cases that came back, attempts of all adversaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.seeding import generator
from experiments.attack import Reconstruction
from experiments.audit.questions._similarity import correlations
from experiments.evidence.ground_truth import Truth

Floats = NDArray[np.float64]
MOST_DECOYS = 200
WAYS = 2
DEVIATIONS = 2.0
SMALLEST = 1e-9
ONE_PERSON = 1e-9
"""1 - correlation up to which two cases are one person, whatever name a hospital has for them."""
FEWEST = 5
"""Ratios that a dimension is estimated from; without them it is 1."""


@dataclass(frozen=True)
class Crowd:
    """ratios: (n,) sorted, of patients taken for reconstructions. dimension: lower limit of k."""

    ratios: Floats
    dimension: float

    @classmethod
    def of(cls, everybody: Truth, seed: int) -> Crowd:
        """Of at most `MOST_DECOYS` cases, drawn."""
        drawn = generator(seed, "chance of similarity").permutation(len(everybody))[:MOST_DECOYS]
        names = np.array(everybody.patients)
        ratios = [
            ratio
            for index, row in zip(drawn, correlations(everybody.inputs[drawn], everybody.inputs), strict=True)
            if (ratio := _ratio(row, names, names[index])) is not None
        ]
        sorted_ratios = np.sort(np.maximum(ratios, SMALLEST))
        return cls(sorted_ratios, _dimension(sorted_ratios))

    def chance(self, ratio: float) -> float:
        """That of a ratio at most this, for one look."""
        least = 1 / (len(self.ratios) + 1)
        if len(self.ratios) and ratio >= self.ratios[0]:
            return float((1 + np.searchsorted(self.ratios, ratio, side="right")) * least)
        smallest = float(self.ratios[0]) if len(self.ratios) else 1.0
        return least * float((max(ratio, 0.0) / smallest) ** self.dimension)


def _dimension(ratios: Floats) -> float:
    """Maximum likelihood, n / sum of log(1 / r), less two of its standard errors; 1 at least."""
    if len(ratios) < FEWEST:
        return 1.0
    estimate = len(ratios) / max(float(-np.log(ratios).sum()), SMALLEST)
    return max(1.0, estimate * (1 - DEVIATIONS / float(np.sqrt(len(ratios)))))


def _ratio(alike: Floats, names: NDArray[np.str_], own: str) -> float | None:
    """Of a patient taken for a reconstruction: of its distances to the nearest other patient and the next one."""
    far = _of_patients(1 - alike, names, (names == own) | (1 - alike <= ONE_PERSON))
    return None if len(far) < 2 else float(np.sqrt(far[0] / far[1]))


def _of_patients(distances: Floats, names: NDArray[np.str_], without: NDArray[np.bool_]) -> Floats:
    """(patients,) sorted, the nearest case of each."""
    nearest: dict[str, float] = {}
    for name, distance in zip(names[~without], distances[~without], strict=True):
        nearest[name] = min(nearest.get(name, np.inf), float(distance))
    return np.sort(np.maximum(np.array(list(nearest.values())), SMALLEST**2))


@dataclass(frozen=True)
class Similarities:
    """What is looked at, once for all cases of a reconstruction. to_truth, to_all: (N, cases) correlations."""

    to_truth: Floats
    to_all: Floats
    truth: Truth
    everybody: Truth
    crowd: Crowd
    looks: int

    @classmethod
    def of(cls, one: Reconstruction, truth: Truth, everybody: Truth, crowd: Crowd, attempts: int) -> Similarities:
        """attempts: of all adversaries, of which each looks at every case in two ways."""
        found = np.nan_to_num(one.inputs, posinf=0, neginf=0)
        looks = WAYS * max(1, attempts) * len(found)
        to = [correlations(found, cases.inputs) for cases in (truth, everybody)]
        return cls(to[0], to[1], truth, everybody, crowd, looks)

    def chance(self, reconstructed: int, true: int) -> float:
        """That anything uninformative is so much nearer to one patient than to all others, over all looks."""
        own = 1 - float(self.to_truth[reconstructed, true])
        names = np.array(self.everybody.patients)
        same = 1 - correlations(self.truth.inputs[true : true + 1], self.everybody.inputs)[0] <= ONE_PERSON
        without = (names == self.truth.patients[true]) | same
        if without.all():
            return 1.0
        other = float((1 - self.to_all[reconstructed])[~without].min())
        if own >= other:
            return 1.0
        return min(1.0, self.looks * self.crowd.chance(float(np.sqrt(max(own, 0.0) / other))))

    def in_company(self) -> Mapping[SiteId, float]:
        """By hospital, the chance that so many of its patients behind the update come before all its others."""
        return {site: min(1.0, self.looks * self._of_site(site)) for site in sorted(set(self.truth.sites))}

    def _of_site(self, site: SiteId) -> float:
        behind = {name for name, of in zip(self.truth.patients, self.truth.sites, strict=True) if of == site}
        own = [index for index, of in enumerate(self.everybody.sites) if of == site]
        best: dict[str, float] = {}
        for index in own:
            name = self.everybody.patients[index]
            if name not in behind:
                best[name] = max(best.get(name, -1.0), float(self.to_all[:, index].max()))
        shown: dict[str, float] = {}
        for index, (name, of) in enumerate(zip(self.truth.patients, self.truth.sites, strict=True)):
            if of == site:
                shown[name] = max(shown.get(name, -1.0), float(self.to_truth[:, index].max()))
        return chance_of_company(list(shown.values()), list(best.values()))


def chance_of_company(behind: Sequence[float], others: Sequence[float]) -> float:
    """That at least so many of those behind come before all others, were all exchangeable."""
    first = sum(one > max(others) for one in behind) if others else 0
    return comb(len(behind), first) / comb(len(behind) + len(others), first)
