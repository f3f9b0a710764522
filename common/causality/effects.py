"""Estimators of a treatment's effect at one point in time, as blocks of estimating equations.

Rows hold "x" (N, q) with 1 first, "treatment" and "outcome" (N,), "fold" (N,) and "group" (N, G), in which a row's
share of every group's mean stands. The last block's parameters are the groups' mean outcomes, as `means` reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.causality.equations import Block, Floats, Rows, Theta
from common.causality.regressions import Family, expected, regression

Method = Literal["standardisation", "ipw", "aipw"]
Population = Literal["all", "treated", "untreated", "overlap"]
GROUP = "group"
LEAST_CHANCE = 1e-9
"""Of treatment: a weight is no larger than what it gives."""


@dataclass(frozen=True)
class Plan:
    """How an effect is estimated. covariates: columns of x. apart: the outcome's model has its own slopes by arm."""

    method: Method
    population: Population
    family: Family
    covariates: int
    groups: int = 1
    folds: int = 1
    apart: bool = False
    ridge: float = 0.0

    @property
    def outcome_size(self) -> int:
        """Columns of the outcome's design."""
        return 2 * self.covariates if self.apart else self.covariates + 1


def blocks_of(plan: Plan) -> tuple[Block, ...]:
    """Models first, the effect's means last."""
    models: list[Block] = []
    for fold in range(plan.folds):
        if plan.method != "standardisation" or plan.population == "overlap":
            models.append(_treatment_model(plan, fold))
        if plan.method != "ipw":
            models.append(_outcome_model(plan, fold))
    reads = tuple(block.name for block in models)
    scores = {"standardisation": _standardised, "ipw": _weighted, "aipw": _augmented}[plan.method]
    size = plan.groups * (4 if plan.method == "aipw" else 2)
    return (*models, Block("means", size, scores(plan), reads))


def means(plan: Plan) -> Floats:
    """(2 G, parameters): from the last block's parameters to every group's mean if treated, then if not."""
    unit = np.eye(2 * plan.groups)
    return np.hstack([unit, unit]) if plan.method == "aipw" else unit


def treatment_name(fold: int) -> str:
    """Of the block of the treatment's model."""
    return f"treatment {fold + 1}"


def outcome_name(fold: int) -> str:
    """Of the block of the outcome's model."""
    return f"outcome {fold + 1}"


def chance(plan: Plan, rows: Rows, theta: Theta) -> NDArray[Any]:
    """Every row's chance of being treated, by the model of the other folds."""
    found = _by_fold(plan, rows, lambda fold: expected("logistic", rows["x"], theta[treatment_name(fold)]))
    return bounded(found)


def bounded(chance_of: NDArray[Any]) -> NDArray[Any]:
    """No nearer to 0 and 1 than LEAST_CHANCE."""
    held = np.clip(chance_of.real, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return np.where(chance_of.real == held, chance_of, held)


def weights_of(plan: Plan, chance_of: NDArray[Any], treated: Floats) -> tuple[NDArray[Any], ...]:
    """Of the population, of its treated and of its untreated rows (Li, Morgan and Zaslavsky 2018)."""
    e = chance_of
    if plan.population == "treated":
        return treated + 0 * e, treated + 0 * e, (1 - treated) * e / (1 - e)
    if plan.population == "untreated":
        return 1 - treated + 0 * e, treated * (1 - e) / e, 1 - treated + 0 * e
    if plan.population == "overlap":
        return e * (1 - e), treated * (1 - e), (1 - treated) * e
    return 1 + 0 * e, treated / e, (1 - treated) / (1 - e)


def _by_fold(plan: Plan, rows: Rows, values: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
    if plan.folds == 1:
        return values(0)
    found: NDArray[Any] = np.zeros(len(rows["fold"]))
    for fold in range(plan.folds):
        found = found + np.where(rows["fold"] == fold, values(fold), 0.0)
    return found


def _elsewhere(plan: Plan, fold: int) -> Callable[[Rows], Floats]:
    """Rows that a fold's model is fitted to: those of the other folds."""
    if plan.folds == 1:
        return lambda rows: np.ones(len(rows["fold"]))
    return lambda rows: (rows["fold"] != fold).astype(np.float64)


def _treatment_model(plan: Plan, fold: int) -> Block:
    return regression(
        treatment_name(fold),
        "logistic",
        plan.covariates,
        lambda rows: rows["x"],
        lambda rows, theta: rows["treatment"],
        _elsewhere(plan, fold),
        ridge=plan.ridge,
    )


def _outcome_model(plan: Plan, fold: int) -> Block:
    return regression(
        outcome_name(fold),
        plan.family,
        plan.outcome_size,
        lambda rows: outcome_design(plan, rows, rows["treatment"]),
        lambda rows, theta: rows["outcome"],
        _elsewhere(plan, fold),
        ridge=plan.ridge,
        eased=(plan.covariates,),
    )


def outcome_design(plan: Plan, rows: Rows, treatment: Floats) -> Floats:
    """(N, outcome_size): covariates, treatment, and their products where arms stand apart."""
    columns = [rows["x"], treatment[:, None]]
    if plan.apart:
        columns.append(rows["x"][:, 1:] * treatment[:, None])
    return np.concatenate(columns, axis=1)


def _predicted(plan: Plan, rows: Rows, theta: Theta, treatment: float) -> NDArray[Any]:
    design = outcome_design(plan, rows, np.full(len(rows["treatment"]), treatment))
    return _by_fold(plan, rows, lambda fold: expected(plan.family, design, theta[outcome_name(fold)]))


def _in_groups(plan: Plan, rows: Rows, theta: Theta, *parts: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
    """(N, parts x G): weight (value - parameter) for every part in every group."""
    columns = []
    parameters = theta["means"].reshape(len(parts), plan.groups)
    for (weight, value), own in zip(parts, parameters, strict=True):
        for group in range(plan.groups):
            columns.append(np.ascontiguousarray(rows[GROUP][:, group]) * weight * (value - own[group]))
    return np.stack(columns, axis=1)


def _standardised(plan: Plan) -> Callable[[Rows, Theta], NDArray[Any]]:
    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        a = rows["treatment"]
        e = chance(plan, rows, theta) if plan.population == "overlap" else np.full(len(a), 0.5)
        weight = weights_of(plan, e, a)[0]
        one, zero = (_predicted(plan, rows, theta, value) for value in (1.0, 0.0))
        return _in_groups(plan, rows, theta, (weight, one), (weight, zero))

    return scores


def _weighted(plan: Plan) -> Callable[[Rows, Theta], NDArray[Any]]:
    """Hajek's means: weights are divided by their sum, so that factors that stabilise them change nothing."""

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        _, one, zero = weights_of(plan, chance(plan, rows, theta), rows["treatment"])
        y = rows["outcome"]
        return _in_groups(plan, rows, theta, (one, y), (zero, y))

    return scores


def _augmented(plan: Plan) -> Callable[[Rows, Theta], NDArray[Any]]:
    """Standardised means, and the weighted mean of what they miss, each divided by its own weights' sum."""

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        weight, w1, w0 = weights_of(plan, chance(plan, rows, theta), rows["treatment"])
        m1, m0 = (_predicted(plan, rows, theta, value) for value in (1.0, 0.0))
        y = rows["outcome"]
        return _in_groups(plan, rows, theta, (weight, m1), (weight, m0), (w1, y - m1), (w0, y - m0))

    return scores
