"""Effects as the analyses estimate them, of many made federations at once, in plain arrays of doubles.

The analyses add exactly, which costs too much for thousands of federations. These are their formulas written out, by
closed forms where the analyses take slopes and solve; a test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from experiments.benchmarks._causal_designs import Drawn, Floats

MOST_STEPS, NEAR = 30, 1e-11
MOST_LEVERAGE = 0.9
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Federations:
    """(B, N, q) covariates with 1 first and hospitals' levels last, scaled; treatment and outcome (B, N).

    present: 1, or 0 where a federation has fewer rows. centre, scale: of outcomes (B,).
    """

    x: Floats
    treated: Floats
    outcome: Floats
    present: Floats
    scale: Floats
    binary: bool

    def take(self, chosen: Bools) -> Federations:
        """Some of them."""
        return Federations(
            self.x[chosen],
            self.treated[chosen],
            self.outcome[chosen],
            self.present[chosen],
            self.scale[chosen],
            self.binary,
        )


def federations(made: Sequence[tuple[NDArray[np.intp], Drawn]], sites: bool = True) -> Federations:
    """Side by side, scaled as the analyses scale. made: every row's hospital by number, and the rows."""
    most = max(len(hospitals) for hospitals, _ in made)
    count = max(int(hospitals.max()) for hospitals, _ in made) + 1
    binary = all(np.isin(drawn.outcome, (0, 1)).all() for _, drawn in made)
    covariates = made[0][1].covariates.shape[1]
    size = 1 + covariates + (count - 1 if sites else 0)
    x = np.zeros((len(made), most, size))
    a, y, present = (np.zeros((len(made), most)) for _ in range(3))
    scale = np.ones(len(made))
    for index, (hospitals, drawn) in enumerate(made):
        n = len(hospitals)
        levels = [(hospitals == level).astype(np.float64)[:, None] for level in range(1, count)] if sites else []
        columns = np.hstack([drawn.covariates, *levels])
        x[index, :n, 0] = 1
        x[index, :n, 1:] = (columns - columns.mean(axis=0)) / columns.std(axis=0)
        a[index, :n], present[index, :n] = drawn.treated, 1
        outcome = drawn.outcome
        if not binary:
            scale[index] = outcome.std()
            outcome = (outcome - outcome.mean()) / scale[index]
        y[index, :n] = outcome
    return Federations(x, a, y, present, scale, binary)


@dataclass(frozen=True)
class Fit:
    """A regression of every federation. inverse: of its information. found: whether there is a best fit."""

    coefficients: Floats
    inverse: Floats
    found: Bools


def fitted(x: Floats, y: Floats, weights: Floats, logistic: bool, ridge: float | Floats = 0.0) -> Fit:
    """Newton's steps in all federations at once."""
    pulls = np.broadcast_to(np.asarray(ridge, dtype=np.float64).reshape(-1, 1), (len(x), x.shape[2])).copy()
    pulls[:, 0] = 0.0
    coefficients = np.zeros((len(x), x.shape[2]))
    found = np.zeros(len(x), dtype=np.bool_)
    diagonal = np.arange(x.shape[2])
    for _ in range(MOST_STEPS):
        mean = expected(x, coefficients, logistic)
        bend = weights * (mean * (1 - mean) if logistic else 1.0)
        slope = np.swapaxes(x, 1, 2) @ (x * bend[..., None])
        slope[:, diagonal, diagonal] += pulls
        inverse = inverted(slope)
        scores = np.einsum("bnq,bn->bq", x, weights * (y - mean)) - pulls * coefficients
        step = np.einsum("bqr,br->bq", inverse, scores)
        coefficients = coefficients + step
        small = NEAR * (1 + np.abs(coefficients).max(axis=1))
        found = np.sqrt((step**2).sum(axis=1)) <= small
        if found.all():
            break
    return Fit(coefficients, inverse, found & np.isfinite(coefficients).all(axis=1))


def inverted(matrices: Floats) -> Floats:
    """The inverses, 0 where there are none."""
    scale = np.sqrt(np.abs(np.diagonal(matrices, axis1=1, axis2=2)))
    scale = np.where(scale > 0, scale, 1.0)
    outer = scale[:, :, None] * scale[:, None, :]
    scaled = matrices / outer
    singular = ~np.isfinite(scaled).all(axis=(1, 2))
    scaled[singular] = np.eye(matrices.shape[1])
    weak = singular | (np.abs(np.linalg.det(scaled)) < 1e-13)
    scaled[weak] = np.eye(matrices.shape[1])
    inverse: Floats = np.linalg.inv(scaled) / outer
    inverse[weak] = 0.0
    return inverse


def expected(x: Floats, coefficients: Floats, logistic: bool) -> Floats:
    """Means that a regression predicts."""
    value = np.einsum("bnq,bq->bn", x, coefficients)
    return 1 / (1 + np.exp(-np.clip(value, -700, 700))) if logistic else value


@dataclass(frozen=True)
class Estimates:
    """Of every federation. plain, moved: persons' shares of the error by the sandwich and by the jackknife."""

    difference: Floats
    plain: Floats
    moved: Floats
    persons: Floats
    models: int
    found: Bools


@dataclass(frozen=True)
class _Part:
    """A weighted mean of values; slopes of (value - mean) times weight by each model's coefficients."""

    weight: Floats
    value: Floats
    sign: float
    slopes: tuple[tuple[str, Floats, Floats], ...]
    """Which model, a factor (B, N), and the design that it multiplies."""


def estimates(way: str, made: Federations, ridge: float | Floats = 0.0, weights: Floats | None = None) -> Estimates:
    """By standardisation, ipw or aipw. weights: of persons, by a bootstrap."""
    x, a, y = made.x, made.treated, made.outcome
    w = made.present if weights is None else made.present * weights
    fits: dict[str, tuple[Fit, Floats, Floats, Floats]] = {}
    found = np.ones(len(x), dtype=np.bool_)
    size = 0
    parts: list[_Part] = []
    if way != "ipw":
        design = np.concatenate([x, a[..., None]], axis=2)
        fit = fitted(design, y, w, made.binary, ridge)
        ms, ds = [], []
        for arm in (1.0, 0.0):
            at = np.concatenate([x, np.full((*a.shape, 1), arm)], axis=2)
            ms.append(expected(at, fit.coefficients, made.binary))
            ds.append(at)
        mean = expected(design, fit.coefficients, made.binary)
        fits["outcome"] = (fit, design, y - mean, mean * (1 - mean) if made.binary else np.ones_like(mean))
        found &= fit.found
        size = design.shape[2]
        bends = [m * (1 - m) if made.binary else np.ones_like(m) for m in ms]
    if way != "standardisation":
        fit = fitted(x, a, w, True, ridge)
        e = np.clip(expected(x, fit.coefficients, True), 1e-9, 1 - 1e-9)
        fits["treatment"] = (fit, x, a - e, e * (1 - e))
        found &= fit.found
        w1, w0 = a / e, (1 - a) / (1 - e)
        d1, d0 = -a * (1 - e) / e, (1 - a) * e / (1 - e)
    if way == "ipw":
        size = x.shape[2]
        means = [(w * v * y).sum(1) / (w * v).sum(1) for v in (w1, w0)]
        for v, d, mu, sign in ((w1, d1, means[0], 1.0), (w0, d0, means[1], -1.0)):
            parts.append(_Part(v, y, sign, (("treatment", d * (y - mu[:, None]), x),)))
    else:
        one = np.ones_like(a)
        for m, b, at, sign in zip(ms, bends, ds, (1.0, -1.0), strict=True):
            parts.append(_Part(one, m, sign, (("outcome", b, at),)))
        if way == "aipw":
            for v, d, m, b, at, sign in zip((w1, w0), (d1, d0), ms, bends, ds, (1.0, -1.0), strict=True):
                mu = (w * v * (y - m)).sum(1) / (w * v).sum(1)
                tilt = d * (y - m - mu[:, None])
                parts.append(_Part(v, y - m, sign, (("treatment", tilt, x), ("outcome", -v * b, at))))
    difference = np.zeros(len(x))
    plain, moved = np.zeros_like(a), np.zeros_like(a)
    long = np.zeros_like(a), np.zeros_like(a)
    influences = {name: _influence(*model, w) for name, model in fits.items()}
    # The analysis bounds a person's whole vector of shares: their lengths are needed before it is made one number.
    vectors: list[tuple[float, Floats, Floats]] = []
    for part in parts:
        total = (w * part.weight).sum(1)
        mu = (w * part.weight * part.value).sum(1) / total
        difference = difference + part.sign * mu
        score = part.weight * (part.value - mu[:, None])
        p, m = score.copy(), score.copy()
        for name, factor, at in part.slopes:
            step, apart = influences[name]
            across = np.einsum("bnq,bn->bq", at, factor * w)
            p = p + np.einsum("bnq,bq->bn", step, across)
            own = factor * np.einsum("bnq,bnq->bn", at, apart)
            m = m + np.einsum("bnq,bq->bn", apart, across) - own
        vectors.append((part.sign, p / total[:, None], m / (total[:, None] - part.weight)))
    long = tuple(np.sqrt(sum(v[k] ** 2 for v in vectors)) for k in (1, 2))
    most = long[0] / (1 - MOST_LEVERAGE)
    shrink = np.where(long[1] <= most, 1.0, most / np.where(long[1] > 0, long[1], 1.0))
    for sign, p, m in vectors:
        plain, moved = plain + sign * p, moved + sign * shrink * np.nan_to_num(m)
    scale, here = made.scale, made.present * made.scale[:, None]
    return Estimates(difference * scale, plain * here, moved * here, made.present.sum(1), size, found)


def _influence(fit: Fit, x: Floats, residual: Floats, bend: Floats, w: Floats) -> tuple[Floats, Floats]:
    """A person's shares of the coefficients, by the sandwich and left out."""
    step = np.einsum("bqr,bnr->bnq", fit.inverse, x, optimize=True)
    leverage = bend * np.einsum("bnq,bnq->bn", x, step)
    plain = step * residual[..., None]
    return plain, plain / (1 - np.minimum(leverage, 1 - 1e-12))[..., None]


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
    total, count = (np.bincount(owners, values, len(made)) for values in (weight, known.astype(np.float64)))
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.bincount(owners, weight * np.where(known, estimate, 0.0), len(made)) / total
        return Meta(difference, 1 / np.sqrt(total), count)


def _own(made: Federations) -> tuple[Floats, Floats]:
    """AIPW with the standard deviation of its influence function over the root of n."""
    x, a, y, w = made.x, made.treated, made.outcome, made.present
    design = np.concatenate([x, a[..., None]], axis=2)
    outcome, treatment = fitted(design, y, w, made.binary), fitted(x, a, w, True)
    e = np.clip(expected(x, treatment.coefficients, True), 1e-9, 1 - 1e-9)
    m1, m0 = (
        expected(np.concatenate([x, np.full((*a.shape, 1), arm)], axis=2), outcome.coefficients, made.binary)
        for arm in (1.0, 0.0)
    )
    influence = w * (m1 - m0 + a / e * (y - m1) - (1 - a) / (1 - e) * (y - m0))
    n = w.sum(1)
    estimate = influence.sum(1) / n
    spread = np.sqrt((w * (influence - estimate[:, None]) ** 2).sum(1) / (n - 1) / n)
    known = outcome.found & treatment.found
    return np.where(known, estimate * made.scale, np.nan), np.where(known, spread * made.scale, 0.0)
