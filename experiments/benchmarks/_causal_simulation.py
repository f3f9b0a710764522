"""Cover and error of effects by sums, and of inverse-variance meta-analysis, on made hospitals of known effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

import numpy as np
from scipy.stats import t as student

from experiments.benchmarks._causal_designs import Floats, MadeStudy
from experiments.benchmarks._causal_meta import meta_analysis
from experiments.benchmarks._causal_twin import (
    Bools,
    Estimates,
    Federations,
    estimates,
    estimates_or_pulled,
    federations,
    replicate,
)

NORMAL = 1.959963984540054
WAYS: Mapping[str, tuple[str, float]] = {
    "standardisation": ("standardisation", 0.0),
    "ipw": ("ipw", 0.0),
    "aipw": ("aipw", 0.0),
    "standardisation, ridge 4": ("standardisation", 4.0),
    "aipw, ridge 4": ("aipw", 4.0),
}
META = "meta-analysis"
AT_A_TIME = 250
FIRST_SEED, FIRST_SEED_OF_BOOTSTRAP = 200_000, 300_000


@dataclass(frozen=True)
class Simulated:
    """Of one study and way. held: whether each interval held the truth; held_plain: the plain sandwich's, normal."""

    study: str
    way: str
    estimates: tuple[float, ...]
    held: tuple[bool, ...]
    truth: float
    held_plain: tuple[bool, ...] = ()

    @property
    def error(self) -> float:
        """Root of the mean squared error."""
        return sqrt(fmean((estimate - self.truth) ** 2 for estimate in self.estimates))

    @property
    def cover(self) -> float:
        """Share of intervals that hold the truth."""
        return fmean(self.held)

    @property
    def cover_plain(self) -> float | None:
        """The same of plain sandwiches."""
        return fmean(self.held_plain) if self.held_plain else None

    @property
    def cover_error(self) -> float:
        """Monte Carlo standard error of the cover."""
        return sqrt(max(self.cover * (1 - self.cover), 1e-12) / len(self.held))


def simulated(study: MadeStudy, repetitions: int, first: int = FIRST_SEED) -> list[Simulated]:
    """Every way on the same federations. One in which a model has no best fit is asked again with ridge = 1."""
    truth = study.truth()
    found: dict[str, list[Floats]] = {}
    for seed in range(first, first + repetitions, AT_A_TIME):
        rows = [study.rows(one) for one in range(seed, min(seed + AT_A_TIME, first + repetitions))]
        made = federations(rows)
        for name, (way, ridge) in WAYS.items():
            one = estimates_or_pulled(way, made, ridge)
            plain = NORMAL * np.sqrt((one.plain**2).sum(axis=1))
            found.setdefault(name, []).append(np.stack([one.difference, one.half_width, plain]))
        meta = meta_analysis(rows)
        known = np.isfinite(meta.difference)
        of_meta = np.stack([meta.difference, NORMAL * meta.error, NORMAL * meta.error])
        found.setdefault(META, []).append(of_meta[:, known])
    return [_simulated(study.name, way, np.concatenate(parts, axis=1), truth) for way, parts in found.items()]


def _simulated(study: str, way: str, found: Floats, truth: float) -> Simulated:
    difference, half, plain = found
    held, held_plain = (tuple((np.abs(difference - truth) <= width).tolist()) for width in (half, plain))
    return Simulated(study, way, tuple(difference.tolist()), held, truth, held_plain)


def bootstrapped(study: MadeStudy, way: str, repetitions: int, replicates: int) -> Simulated:
    """Cover of the bootstrap's intervals, of federations in which every replicate has a best fit."""
    truth = study.truth()
    seeds = range(FIRST_SEED_OF_BOOTSTRAP, FIRST_SEED_OF_BOOTSTRAP + repetitions)
    made = federations([study.rows(seed) for seed in seeds])
    first = estimates(way, made)
    bounds, known = bootstrap_bounds(way, made, first, replicates, np.random.default_rng(1))
    kept = known & first.found
    held = (bounds[kept, 0] <= truth) & (truth <= bounds[kept, 1])
    name = f"{way}, bootstrap"
    return Simulated(study.name, name, tuple(first.difference[kept].tolist()), tuple(held.tolist()), truth)


def bootstrap_bounds(
    way: str, made: Federations, first: Estimates, replicates: int, rng: np.random.Generator
) -> tuple[Floats, Bools]:
    """(B, 2) where the bootstrap's intervals begin and end, and where every replicate has an answer."""
    bounds, known = np.zeros((len(made.x), 2)), np.zeros(len(made.x), dtype=np.bool_)
    for index in range(len(made.x)):
        rows = int(first.persons[index])
        weights = rng.exponential(size=(replicates, rows))
        differences, there = replicate(way, _repeated(made, index, rows, replicates), weights)
        known[index] = there.all()
        bounds[index] = bootstrap_interval(differences, first, index)
    return bounds, known


def bootstrap_interval(differences: Floats, first: Estimates, index: int) -> Floats:
    """Quantiles drawn apart, as the analyses do."""
    degrees, persons = first.degrees[index], first.persons[index]
    of_size = np.sqrt(persons / max(persons - first.model_size, 1))
    of_error = first.error[index] / np.std(differences, ddof=1)
    stretch = max(of_error, of_size) * student.ppf(0.975, degrees) / NORMAL
    estimate = first.difference[index]
    return np.asarray(estimate + np.quantile(differences - estimate, (0.025, 0.975)) * stretch)


def _repeated(made: Federations, index: int, rows: int, times: int) -> Federations:
    x, treated, outcome = (values[index, :rows] for values in (made.x, made.treated, made.outcome))
    return Federations(
        np.broadcast_to(x, (times, *x.shape)),
        np.broadcast_to(treated, (times, rows)),
        np.broadcast_to(outcome, (times, rows)),
        np.ones((times, rows)),
        np.broadcast_to(made.scale[index], times),
        made.binary,
    )


def ratios_to_meta(found: Sequence[Simulated], way: str) -> dict[str, float]:
    """Root mean squared error by that of the meta-analysis, by study."""
    meta = {one.study: one.error for one in found if one.way == META}
    return {one.study: one.error / meta[one.study] for one in found if one.way == way}
