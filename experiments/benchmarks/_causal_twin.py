"""Effects as the analyses estimate them, of many made federations at once, in plain arrays of doubles.

The analyses add exactly, which costs too much for thousands of federations. These are their formulas written out, by
closed forms where the analyses take slopes and solve; a test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from common.causality.equations import EASED
from experiments.benchmarks._causal_designs import Drawn, Floats

MOST_STEPS, NEAR = 30, 1e-11
MOST_LEVERAGE = 0.9
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Federations:
    """(B, N, q) covariates with 1 first and hospitals' levels last, scaled; treatment and outcome (B, N).

    present: 1, or 0 where a federation has fewer rows. scale: of outcomes (B,).
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


def fitted(x: Floats, y: Floats, weights: Floats, logistic: bool, ridge: float = 0.0, ease_last: bool = False) -> Fit:
    """Newton's steps in all federations at once. ridge: on all but the first; ease_last: hardly on the last."""
    pulls = np.full(x.shape[2], ridge)
    pulls[0] = 0.0
    pulls[-1] *= EASED if ease_last else 1.0
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
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -700, 700))) if logistic else value)


@dataclass(frozen=True)
class Estimates:
    """Of every federation. shares: persons', half-way between sandwich and jackknife; plain: the sandwich's.

    model_size: of the largest model. found: whether every model has a best fit.
    """

    difference: Floats
    plain: Floats
    shares: Floats
    persons: Floats
    model_size: int
    found: Bools

    @property
    def error(self) -> Floats:
        """Standard errors."""
        return np.asarray(np.sqrt((self.shares**2).sum(axis=1)))

    @property
    def degrees(self) -> Floats:
        """Of freedom, as the analyses count them."""
        squares = (self.shares**2).sum(axis=1)
        tails = (self.shares**4).sum(axis=1) / squares**2 - 1 / self.persons
        of_tails = 2 / np.maximum(tails, 2 / self.persons)
        return np.asarray(np.maximum(np.minimum(self.persons - self.model_size, of_tails), 1))

    @property
    def half_width(self) -> Floats:
        """Of the interval."""
        return np.asarray(student.ppf(0.975, self.degrees) * self.error)


@dataclass(frozen=True)
class _Model:
    """A regression as it was fitted. bend: of its mean by the predictor."""

    fit: Fit
    design: Floats
    residual: Floats
    bend: Floats


@dataclass(frozen=True)
class _Part:
    """A weighted mean of values. slopes: what weight times (value - mean) changes by a model's coefficients."""

    weight: Floats
    value: Floats
    sign: float
    slopes: tuple[tuple[str, Floats, Floats], ...]
    """Which model, a factor (B, N), and the design that it multiplies."""


def estimates(way: str, made: Federations, ridge: float = 0.0) -> Estimates:
    """By standardisation, ipw or aipw."""
    models = _models(way, made, made.present, ridge)
    parts = _parts(way, made, made.present, models)
    plain, moved = _shares(parts, models, made.present)
    here = made.present * made.scale[:, None]
    found = np.all([model.fit.found for model in models.values()], axis=0)
    size = next(reversed(models.values())).design.shape[2]
    shares = (plain + moved) / 2
    difference = _difference(parts, made.present) * made.scale
    return Estimates(difference, plain * here, shares * here, made.present.sum(axis=1), size, found)


def estimates_or_pulled(way: str, made: Federations, ridge: float = 0.0) -> Estimates:
    """A federation in which a model has no best fit is asked again with ridge = 1, as its error says."""
    first = estimates(way, made, ridge)
    missed = ~first.found
    if missed.any():
        again = estimates(way, made.take(missed), 1.0)
        for name in ("difference", "plain", "shares", "found"):
            getattr(first, name)[missed] = getattr(again, name)
    return first


def replicate(way: str, made: Federations, weights: Floats, ridge: float = 0.0) -> tuple[Floats, Bools]:
    """Differences with every person weighted, and where there is one."""
    w = made.present * weights
    models = _models(way, made, w, ridge)
    found = np.all([model.fit.found for model in models.values()], axis=0)
    return _difference(_parts(way, made, w, models), w) * made.scale, found


def _models(way: str, made: Federations, w: Floats, ridge: float) -> dict[str, _Model]:
    """The treatment's first, the outcome's last."""
    models = {}
    if way != "standardisation":
        fit = fitted(made.x, made.treated, w, True, ridge)
        e = np.clip(expected(made.x, fit.coefficients, True), 1e-9, 1 - 1e-9)
        models["treatment"] = _Model(fit, made.x, made.treated - e, e * (1 - e))
    if way != "ipw":
        design = with_arm(made.x, made.treated)
        fit = fitted(design, made.outcome, w, made.binary, ridge, ease_last=True)
        mean = expected(design, fit.coefficients, made.binary)
        models["outcome"] = _Model(fit, design, made.outcome - mean, _bend(mean, made.binary))
    return models


def with_arm(x: Floats, arm: Floats) -> Floats:
    """The design of an outcome's model."""
    return np.concatenate([x, arm[..., None]], axis=2)


def _bend(mean: Floats, binary: bool) -> Floats:
    return mean * (1 - mean) if binary else np.ones_like(mean)


def _parts(way: str, made: Federations, w: Floats, models: dict[str, _Model]) -> list[_Part]:
    """The means that the difference is made of."""
    a, parts, seen = made.treated, [], made.outcome
    for arm, sign in ((1.0, 1.0), (0.0, -1.0)):
        miss: Floats = seen
        of_outcome: tuple[tuple[str, Floats, Floats], ...] = ()
        if way != "ipw":
            at = with_arm(made.x, np.full(a.shape, arm))
            mean = expected(at, models["outcome"].fit.coefficients, made.binary)
            bend, miss = _bend(mean, made.binary), seen - mean
            parts.append(_Part(np.ones_like(a), mean, sign, (("outcome", bend, at),)))
        if way != "standardisation":
            e = a - models["treatment"].residual
            weight = a / e if arm else (1 - a) / (1 - e)
            tilt = weight * ((e - 1) if arm else e)
            mean_miss = (w * weight * miss).sum(axis=1) / (w * weight).sum(axis=1)
            if way != "ipw":
                of_outcome = (("outcome", -weight * bend, at),)
            of_treatment = ("treatment", tilt * (miss - mean_miss[:, None]), made.x)
            parts.append(_Part(weight, miss, sign, (of_treatment, *of_outcome)))
    return parts


def _difference(parts: Sequence[_Part], w: Floats) -> Floats:
    found = [part.sign * (w * part.weight * part.value).sum(1) / (w * part.weight).sum(1) for part in parts]
    return np.asarray(np.sum(found, axis=0))


def _shares(parts: Sequence[_Part], models: dict[str, _Model], w: Floats) -> tuple[Floats, Floats]:
    """By the sandwich and by the jackknife: (estimate less the truth) is nearly their sum over persons."""
    steps = {name: _influence(model) for name, model in models.items()}
    vectors = []
    for part in parts:
        total = (w * part.weight).sum(axis=1)[:, None]
        mean = (w * part.weight * part.value).sum(axis=1)[:, None] / total
        plain = part.weight * (part.value - mean)
        moved = plain
        for name, factor, at in part.slopes:
            step, without = steps[name]
            across = np.einsum("bnq,bn->bq", at, factor * w)
            plain = plain + np.einsum("bnq,bq->bn", step, across)
            moved = moved + np.einsum("bnq,bq->bn", without, across) - factor * np.einsum("bnq,bnq->bn", at, without)
        vectors.append((part.sign, plain / total, moved / (total - part.weight)))
    # A person's whole vector is bounded, not only what it says of the difference.
    short, length = (np.sqrt(sum(vector[kind] ** 2 for vector in vectors)) for kind in (1, 2))
    most = short / (1 - MOST_LEVERAGE)
    held = np.where(length <= most, 1.0, most / np.where(length > 0, length, 1.0))
    return sum(sign * plain for sign, plain, _ in vectors), held * sum(sign * moved for sign, _, moved in vectors)


def _influence(model: _Model) -> tuple[Floats, Floats]:
    """A person's shares of the coefficients, by the sandwich and left out (Sherman and Morrison)."""
    step = np.einsum("bqr,bnr->bnq", model.fit.inverse, model.design, optimize=True)
    leverage = model.bend * np.einsum("bnq,bnq->bn", model.design, step)
    plain = step * model.residual[..., None]
    return plain, plain / (1 - np.minimum(leverage, 1 - 1e-12))[..., None]
