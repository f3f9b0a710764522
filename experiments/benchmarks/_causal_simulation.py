"""Cover and error of effects by sums, and of inverse-variance meta-analysis, on made hospitals of known effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

import numpy as np

from common.analyses._point_effect import PointEffect
from common.analyses.aipw import Aipw
from common.analyses.ipw import Ipw
from common.analyses.standardisation import Standardisation
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError
from experiments.benchmarks._causal_designs import Floats, MadeStudy

COVARIATES = ("x1", "x2")
MOST_STEPS, NEAR = 25, 1e-8
NORMAL = 1.959963984540054
Makes = Callable[[float], PointEffect]
WAYS: Mapping[str, Makes] = {
    "standardisation": lambda ridge: Standardisation("outcome", "treated", COVARIATES, ridge=ridge),
    "ipw": lambda ridge: Ipw("outcome", "treated", COVARIATES, ridge=ridge),
    "aipw": lambda ridge: Aipw("outcome", "treated", COVARIATES, ridge=ridge),
}
META = "meta-analysis"


@dataclass(frozen=True)
class Simulated:
    """Of one study and way. error: root of the mean square. bounds: whether each interval held the truth."""

    study: str
    way: str
    estimates: tuple[float, ...]
    held: tuple[bool, ...]
    truth: float

    @property
    def error(self) -> float:
        """Root of the mean squared error."""
        return sqrt(fmean((estimate - self.truth) ** 2 for estimate in self.estimates))

    @property
    def cover(self) -> float:
        """Share of intervals that hold the truth."""
        return fmean(self.held)

    @property
    def cover_error(self) -> float:
        """Monte Carlo standard error of the cover."""
        return sqrt(max(self.cover * (1 - self.cover), 1e-12) / len(self.held))


def simulated(study: MadeStudy, repetitions: int, first: int = 0) -> list[Simulated]:
    """Every way on the same federations. One in which a model has no best fit is asked again with ridge = 1."""
    truth = study.truth()
    found: dict[str, list[tuple[float, bool]]] = {way: [] for way in (*WAYS, META)}
    for seed in range(first, first + repetitions):
        tables, public = study.tables(seed)
        # One table of all rows gives the answer of the hospitals', bit for bit, in a fifth of the time.
        whole = [_joined(tables)]
        for way, make in WAYS.items():
            answer = _asked(make, whole, public)
            found[way].append((answer["estimate"], answer["low"] <= truth <= answer["high"]))
        pooled = _meta(tables)
        if pooled is not None:
            estimate, error = pooled
            found[META].append((estimate, abs(estimate - truth) <= NORMAL * error))
    return [
        Simulated(study.name, way, tuple(one for one, _ in pairs), tuple(held for _, held in pairs), truth)
        for way, pairs in found.items()
    ]


def _joined(tables: Sequence[Records]) -> Records:
    columns = {name: np.concatenate([one.columns[name] for one in tables]) for name in tables[0].columns}
    columns["site"] = np.concatenate([np.full(len(one), one.site) for one in tables])
    return Records(columns, np.concatenate([one.persons for one in tables]), "all")


def _asked(make: Makes, tables: Sequence[Records], public: Public) -> dict[str, float]:
    try:
        return dict(ask_tables(make(0.0), tables, public).answer.numbers["difference"])
    except AnalysisError:
        return dict(ask_tables(make(1.0), tables, public).answer.numbers["difference"])


def _meta(tables: Sequence[Records]) -> tuple[float, float] | None:
    """Every hospital's own AIPW with its sandwich, weighted by inverse variances, as it is usually done."""
    found = [own for own in map(_own_aipw, tables) if own is not None]
    if not found:
        return None
    weights = [1 / error**2 for _, error in found]
    return sum(w * e for w, (e, _) in zip(weights, found, strict=True)) / sum(weights), 1 / sqrt(sum(weights))


def _own_aipw(table: Records) -> tuple[float, float] | None:
    """One hospital's estimate with the standard error of its influence function; none where a model has no fit."""
    y, a = table.numbers("outcome"), table.numbers("treated")
    x = np.column_stack([np.ones(len(y)), *(table.numbers(name) for name in COVARIATES)])
    design, arms = np.column_stack([x, a]), [np.column_stack([x, np.full(len(y), arm)]) for arm in (1.0, 0.0)]
    e, m1, m0 = _fitted(x, a, x), *(_model_of(y)(design, y, arm) for arm in arms)
    if e is None or m1 is None or m0 is None:
        return None
    influence = m1 - m0 + a / e * (y - m1) - (1 - a) / (1 - e) * (y - m0)
    estimate, error = float(influence.mean()), float(influence.std(ddof=1) / sqrt(len(y)))
    return (estimate, error) if error > 1e-9 else None


def _model_of(y: Floats) -> Callable[[Floats, Floats, Floats], Floats | None]:
    return _fitted if np.isin(y, (0, 1)).all() else _least_squares


def _least_squares(x: Floats, y: Floats, at: Floats) -> Floats | None:
    coefficients, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
    return np.asarray(at @ coefficients) if rank == x.shape[1] else None


def _fitted(x: Floats, y: Floats, at: Floats) -> Floats | None:
    """Chances at other rows, of a logistic regression by Newton's steps; none where they find no end."""
    coefficients = np.zeros(x.shape[1])
    for _ in range(MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ coefficients, -30, 30)))
        slope = (x * (p * (1 - p))[:, None]).T @ x
        step = np.linalg.lstsq(slope, x.T @ (y - p), rcond=None)[0]
        coefficients = coefficients + step
        if np.abs(step).max() < NEAR * (1 + np.abs(coefficients).max()):
            return np.asarray(1 / (1 + np.exp(-(at @ coefficients)))) if np.linalg.cond(slope) < 1e12 else None
    return None
