"""What hospitals do without each other: their own estimates, weighted by inverse variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks._causal_designs import Drawn, Floats
from experiments.benchmarks._causal_twin import Federations, expected, federations, fitted, with_arm


@dataclass(frozen=True)
class Meta:
    """Of every federation by its hospitals' own estimates. hospitals: how many had one."""

    difference: Floats
    error: Floats
    hospitals: Floats


def meta_analysis(made: Sequence[tuple[NDArray[np.intp], Drawn]]) -> Meta:
    """Every hospital's own AIPW with its plain sandwich, weighted by inverse variances, as textbooks have it.

    A hospital in which a model has no best fit, or nobody differs, has no estimate and is left out.
    """
    alone, owner = [], []
    for index, (hospitals, drawn) in enumerate(made):
        for hospital in range(int(hospitals.max()) + 1):
            here = hospitals == hospital
            parts = (drawn.covariates, drawn.treated, drawn.outcome, drawn.gain)
            rows = Drawn(*(part[here] for part in parts))
            if 0 < rows.treated.sum() < len(rows.treated) and (rows.covariates.std(axis=0) > 0).all():
                alone.append((np.zeros(int(here.sum()), dtype=np.intp), rows))
                owner.append(index)
    estimate, error = _own(federations(alone, sites=False))
    known = np.isfinite(estimate) & (error > 1e-9)
    weight = np.where(known, 1 / np.where(known, error, 1.0) ** 2, 0.0)
    owners = np.array(owner)
    total = np.bincount(owners, weight, len(made))
    count: Floats = np.bincount(owners, known.astype(np.float64), len(made)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.bincount(owners, weight * np.where(known, estimate, 0.0), len(made)) / total
        return Meta(difference, 1 / np.sqrt(total), count)


def _own(made: Federations) -> tuple[Floats, Floats]:
    """AIPW with the standard deviation of its influence function over the root of n."""
    x, a, y, w = made.x, made.treated, made.outcome, made.present
    design = with_arm(x, a)
    outcome, treatment = fitted(design, y, w, made.binary), fitted(x, a, w, True)
    e = np.clip(expected(x, treatment.coefficients, True), 1e-9, 1 - 1e-9)
    m1, m0 = (expected(with_arm(x, np.full(a.shape, arm)), outcome.coefficients, made.binary) for arm in (1.0, 0.0))
    influence = w * (m1 - m0 + a / e * (y - m1) - (1 - a) / (1 - e) * (y - m0))
    n = w.sum(1)
    estimate = influence.sum(1) / n
    spread = np.sqrt((w * (influence - estimate[:, None]) ** 2).sum(1) / (n - 1) / n)
    known = outcome.found & treatment.found
    return np.where(known, estimate * made.scale, np.nan), np.where(known, spread * made.scale, 0.0)
