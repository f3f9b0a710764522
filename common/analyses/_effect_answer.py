"""The answer of an effect: means by arm, difference, ratio, odds ratio, and what would explain them away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.analyses._effect_rows import Census, Wanted
from common.analyses._estimation import Estimate
from common.analyses._overlap import Overlap
from common.asking.answer import Answer, Cell, Table
from common.causality.contrasts import (
    Interval,
    Sensitivity,
    e_value,
    linear,
    odds_ratio,
    quantile,
    ratio,
    standardised_as_ratio,
)
from common.causality.effects import Plan
from common.causality.equations import Floats

OF_WHOM = {
    "all": "everybody",
    "treated": "those who were treated",
    "untreated": "those who were not treated",
    "overlap": "those who could as well have been in the other arm",
}


@dataclass(frozen=True)
class Found:
    """means: of the groups if treated, then if not. replicates: (R, means). tails: as of an Estimate."""

    means: Floats
    covariance: Floats
    replicates: Floats
    census: Census
    plan: Plan
    wanted: Wanted
    tails: float = 0.0

    @property
    def degrees(self) -> float:
        """Of freedom: persons less the coefficients of the largest model, or fewer where few persons count for most.

        A variance of n shares with kurtosis k is known as well as one of 2 n / (k - 1) normal ones, which is what
        weights of rarely treated persons come to.
        """
        persons = self.census.persons
        of_tails = 2 / max(self.tails - 1 / persons, 2 / persons)
        return float(max(min(self.unfitted, of_tails) if self.tails else self.unfitted, 1))

    @property
    def unfitted(self) -> int:
        """Persons less the coefficients of the largest model."""
        models = self.plan.covariates if self.plan.method == "ipw" else self.plan.outcome_size
        return max(self.census.persons - models, 1)


def found_of(estimate: Estimate, matrix: Floats, known: Census, plan: Plan, wanted: Wanted) -> Found:
    """Mean outcomes, in the outcome's own units. matrix: from the last block's parameters to them."""
    centre, scale = known.outcome
    means = centre + scale * (matrix @ estimate.theta["means"])
    covariance = scale**2 * (matrix @ estimate.covariance @ matrix.T)
    replicates = centre + scale * (estimate.replicates @ matrix.T)
    return Found(means, covariance, replicates, known, plan, wanted, estimate.tails)


@dataclass(frozen=True)
class Contrasts:
    """Of one group. ratio and odds_ratio: None where means do not allow them."""

    treated: Interval
    untreated: Interval
    difference: Interval
    ratio: Interval | None
    odds_ratio: Interval | None
    sensitivity: Sensitivity | None

    def as_numbers(self) -> dict[str, Any]:
        """For an answer."""
        found: dict[str, Any] = {
            "mean_if_treated": self.treated.as_numbers(),
            "mean_if_untreated": self.untreated.as_numbers(),
            "difference": self.difference.as_numbers(),
        }
        for name, interval in (("ratio", self.ratio), ("odds_ratio", self.odds_ratio)):
            found[name] = interval.as_numbers() if interval else None
        found["e_value"] = (
            {"estimate": _finite(self.sensitivity.estimate), "interval": _finite(self.sensitivity.interval)}
            if self.sensitivity
            else None
        )
        return found


def contrasts_of(found: Found, group: int = 0) -> Contrasts:
    """What is compared in a group."""
    count = len(found.means) // 2
    one, zero, degrees = group, count + group, found.degrees
    unit = np.eye(len(found.means))
    means, covariance = found.means, found.covariance
    difference = linear(unit[one] - unit[zero], means, covariance, degrees)
    if found.census.binary:
        risks = ratio(one, zero, means, covariance, degrees)
        odds = odds_ratio(one, zero, means, covariance, degrees)
        as_ratio = risks
    else:
        risks = odds = None
        as_ratio = standardised_as_ratio(difference, found.census.outcome_sd)
    return Contrasts(
        linear(unit[one], means, covariance, degrees),
        linear(unit[zero], means, covariance, degrees),
        difference,
        risks,
        odds,
        e_value(as_ratio) if as_ratio else None,
    )


def answer_of(found: Found, seen: Overlap | None) -> Answer:
    """Of one group: everybody who was asked for."""
    contrasts = contrasts_of(found)
    numbers = {
        **census_numbers(found.census),
        **contrasts.as_numbers(),
        **bootstrap_numbers(found, contrasts.difference),
    }
    if seen is None:
        return Answer(numbers, (contrasts_table(found, contrasts),), (), contrasts_words(found, contrasts))
    numbers["overlap"] = seen.as_numbers()
    tables = (contrasts_table(found, contrasts), seen.table())
    return Answer(numbers, tables, seen.figures(), (*contrasts_words(found, contrasts), *seen.words()))


def bootstrap_numbers(found: Found, difference: Interval) -> dict[str, Any]:
    """The difference's spread over replicates, where there are some: two or more."""
    if len(found.replicates) < 2:
        return {}
    differences = found.replicates[:, 0] - found.replicates[:, len(found.means) // 2]
    low, high = bootstrap_interval(differences, difference, found)
    spread = {"replicates": len(differences), "low": low, "high": high}
    return {"bootstrap": {**spread, "standard_error": float(np.std(differences, ddof=1))}}


def bootstrap_interval(differences: Floats, difference: Interval, found: Found) -> tuple[float, float]:
    """Quantiles of the replicates, drawn apart from the estimate by what few persons lack.

    A replicate's weights have the variance of persons' weights in a plain sandwich, which is too small by their
    leverage, and the normal quantile for Student's (Hesterberg 2015, "What teachers should know about the bootstrap":
    percentile intervals are too narrow by sqrt((n - 1) / n) and by t against z). So replicates are brought to the
    effect's standard error, which knows of leverage, where they spread less.
    """
    spread = float(np.std(differences, ddof=1)) or 1.0
    of_size = np.sqrt(found.census.persons / found.unfitted)
    stretch = max(difference.error / spread, of_size) * quantile(found.degrees) / quantile(np.inf)
    low, high = np.quantile(differences - difference.estimate, (0.025, 0.975)) * stretch
    return difference.estimate + float(low), difference.estimate + float(high)


def census_numbers(known: Census) -> dict[str, Any]:
    """Who is in it, and the difference before any adjustment."""
    return {
        "n": known.rows,
        "persons": known.persons,
        "left_out": known.left_out,
        "treated": known.treated,
        "binary": known.binary,
        "unadjusted_difference": known.outcome_means[0] - known.outcome_means[1],
    }


def contrasts_table(found: Found, contrasts: Contrasts) -> Table:
    """Estimates with their intervals."""
    rows: list[tuple[Cell, ...]] = [
        ("mean if treated", *_cells(contrasts.treated)),
        ("mean if not treated", *_cells(contrasts.untreated)),
        ("difference", *_cells(contrasts.difference)),
    ]
    for name, interval in (("risk ratio", contrasts.ratio), ("odds ratio", contrasts.odds_ratio)):
        if interval:
            rows.append((name, *_cells(interval)))
    title = f"Effect of {found.wanted.treatment} on {found.wanted.outcome} ({found.plan.method})"
    note = f"of {OF_WHOM[found.plan.population]}; {found.census.rows} rows, {found.census.left_out} left out"
    return Table(title, ("", "estimate", "95 % from", "to"), tuple(rows), note)


def _cells(interval: Interval) -> tuple[Cell, ...]:
    return interval.estimate, _finite(interval.low), _finite(interval.high)


def contrasts_words(found: Found, contrasts: Contrasts) -> tuple[str, ...]:
    """What a reader must know."""
    difference, known = contrasts.difference, found.census
    said = [
        f"Treatment ({found.wanted.treatment}) changes {found.wanted.outcome} of "
        f"{OF_WHOM[found.plan.population]} by {difference.estimate:.4g} (95 % {difference.low:.4g} to "
        f"{difference.high:.4g}), if the covariates hold all that both depend on; before adjustment the arms differ "
        f"by {known.outcome_means[0] - known.outcome_means[1]:.4g}."
    ]
    strength = contrasts.sensitivity
    if strength and strength.interval > 1:
        said.append(
            "A confounder that nobody measured would have to raise both treatment and outcome "
            f"{strength.estimate:.2f} times to explain this away, {strength.interval:.2f} times to bring the "
            "interval to no effect."
        )
    elif strength:
        said.append("The interval holds no effect at all; no confounder is needed to explain that away.")
    return tuple(said)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
