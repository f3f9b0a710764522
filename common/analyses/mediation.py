"""How much of a treatment's effect goes through a mediator: natural direct, indirect and total effects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._effect_answer import Found, census_numbers, found_of
from common.analyses._effect_rows import Wanted, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.analyses._point_effect import family_told
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.causality.contrasts import Interval, linear, ratio
from common.causality.effects import Plan
from common.causality.equations import Block, Floats, Rows, Theta
from common.causality.regressions import Family, expected, logistic, predictor, regression

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
WORLDS = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
"""Treatment as the outcome sees it, and as the mediator does."""
# Of the means of WORLDS: how far each effect adds them.
EFFECTS: Mapping[str, tuple[float, float, float, float]] = {
    "direct": (0.0, 1.0, 0.0, -1.0),
    "indirect": (1.0, -1.0, 0.0, 0.0),
    "total": (1.0, 0.0, 0.0, -1.0),
    "total_direct": (1.0, 0.0, -1.0, 0.0),
    "pure_indirect": (0.0, 0.0, 1.0, -1.0),
}


@dataclass(frozen=True)
class Mediation:
    """outcome, treatment, covariates, sites, ridge and bootstrap: as of the effects of one treatment.

    mediator: a column of numbers, 0 and 1 or continuous, that lies between treatment and outcome. The effects are
    right where covariates hold all causes that treatment, mediator and outcome have in common, and no such cause of
    mediator and outcome follows from the treatment. products: the outcome's model has treatment times mediator.
    treated: the word of the treated. control: of those not treated; none: all other words. event: of an outcome in
    words, the one that counts as 1. levels: of columns of words, as `sex=female|male`. sites: fixed adjusts for
    every hospital's level as well; ignored does not. ridge: pulls coefficients of the models to 0, where one has no
    best fit (1 is mild). bootstrap: replicates, for intervals beside the others; seed: from which everybody's
    weights in them follow.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows and how many treated there are; sums and squares of outcome, mediator "
        "and covariates; sums of the models' scores and slopes; the covariance of what each person contributes."
    )
    outcome: str
    treatment: str
    mediator: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    event: str = ""
    levels: tuple[str, ...] = ()
    sites: Literal["fixed", "ignored"] = "fixed"
    products: bool = True
    ridge: float = 0.0
    bootstrap: int = 0
    seed: int = 0

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals' levels are adjusted for."""
        return self.sites == "fixed"

    @property
    def wanted(self) -> Wanted:
        """Columns to be read."""
        return Wanted.of(self, self.of_hospitals, mediator=self.mediator)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, Newton's steps, and the spread."""
        known = yield from census(self.wanted, public)
        family: Family = "logistic" if known.binary else "linear"
        between: Family = "logistic" if known.mediator is None else "linear"
        blocks = _blocks(self, family, between, len(known.names))
        tells = {**known.tells, "family": (family,), "mediator family": (between,)}
        estimate = yield from estimated(blocks, tells, self.bootstrap, self.seed)
        degrees = float(max(known.persons - blocks[1].size, 1))
        plan = Plan("standardisation", "all", family, len(known.names))
        found = found_of(estimate, np.eye(len(WORLDS)), known, plan, self.wanted)
        return _answer(self, census_numbers(known), found, degrees)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        between: Family = "logistic" if query.tells["mediator family"] == ("logistic",) else "linear"
        blocks = _blocks(self, family_told(query), between, found.rows["x"].shape[1])
        return sums(blocks, found.rows, found.persons, query)


def _blocks(asked: Mediation, family: Family, between: Family, covariates: int) -> tuple[Block, ...]:
    mediator = regression(
        "mediator",
        between,
        covariates + 1,
        lambda rows: np.column_stack([rows["x"], rows["treatment"]]),
        lambda rows, theta: rows["mediator"],
        ridge=asked.ridge,
        eased=(covariates,),
    )
    outcome = regression(
        "outcome",
        family,
        covariates + 2 + asked.products,
        lambda rows: _design(asked, rows, rows["treatment"], rows["mediator"]),
        lambda rows, theta: rows["outcome"],
        ridge=asked.ridge,
        eased=(covariates, covariates + 1),
    )
    noise = (Block("noise", 1, _noise, ("mediator",)),) if (between, family) == ("linear", "logistic") else ()
    reads = ("mediator", "outcome", *(block.name for block in noise))
    return (mediator, outcome, *noise, Block("means", len(WORLDS), _means(asked, family, between), reads))


def _design(asked: Mediation, rows: Rows, treatment: Floats, mediator: Floats) -> Floats:
    products = [treatment * mediator] if asked.products else []
    return np.column_stack([rows["x"], treatment, mediator, *products])


def _mediator_mean(rows: Rows, theta: Theta, between: Family, treatment: float) -> NDArray[Any]:
    design = np.column_stack([rows["x"], np.full(len(rows["treatment"]), treatment)])
    return expected(between, design, theta["mediator"])


def _noise(rows: Rows, theta: Theta) -> NDArray[Any]:
    """The variance of a continuous mediator around its model."""
    design = np.column_stack([rows["x"], rows["treatment"]])
    left = rows["mediator"] - expected("linear", design, theta["mediator"])
    return np.asarray((left * left - theta["noise"][0])[:, None])


def _means(asked: Mediation, family: Family, between: Family) -> Callable[[Rows, Theta], NDArray[Any]]:
    """E Y(a, M(a')) for all WORLDS (Pearl 2001, "Direct and indirect effects", the mediation formula)."""

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        columns = []
        for index, (seen, through) in enumerate(WORLDS):
            mean = _mediator_mean(rows, theta, between, through)
            at_zero, per_unit = _line(asked, rows, theta, seen)
            if between == "logistic":
                one, zero = (_of(family, at_zero + value * per_unit) for value in (1.0, 0.0))
                value = mean * one + (1 - mean) * zero
            elif family == "linear":
                value = at_zero + per_unit * mean
            else:
                value = _over_noise(at_zero, per_unit, mean, np.sqrt(theta["noise"][0]))
            columns.append(value - theta["means"][index])
        return np.stack(columns, axis=1)

    return scores


def _line(asked: Mediation, rows: Rows, theta: Theta, treatment: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The outcome's linear predictor in the mediator: at 0, and what a unit adds."""
    coefficients, count = theta["outcome"], rows["x"].shape[1]
    at_zero = predictor(rows["x"], coefficients[:count]) + treatment * coefficients[count]
    per_unit = coefficients[count + 1] + (treatment * coefficients[count + 2] if asked.products else 0.0)
    return at_zero, np.broadcast_to(per_unit, at_zero.shape)


def _of(family: Family, value: NDArray[Any]) -> NDArray[Any]:
    return value if family == "linear" else logistic(value)


def _over_noise(at_zero: NDArray[Any], per_unit: NDArray[Any], mean: NDArray[Any], deviation: Any) -> NDArray[Any]:
    """The risk over a normal mediator (Gauss and Hermite)."""
    total: NDArray[Any] = np.zeros(len(at_zero))
    for node, weight in zip(NODES.tolist(), NODE_WEIGHTS.tolist(), strict=True):
        total = total + weight * logistic(at_zero + per_unit * (mean + deviation * node))
    return np.asarray(total / np.sqrt(2 * np.pi))


def _answer(asked: Mediation, numbers: dict[str, Any], of: Found, degrees: float) -> Answer:
    means, covariance = of.means, of.covariance
    effects = {name: linear(weights, means, covariance, degrees) for name, weights in EFFECTS.items()}
    found: dict[str, Any] = {**numbers, **{name: effect.as_numbers() for name, effect in effects.items()}}
    share = _share(means)
    found["proportion_mediated"] = share
    if of.census.binary:
        for name, one, zero in (("direct", 1, 3), ("indirect", 0, 1), ("total", 0, 3)):
            as_ratio = ratio(one, zero, means, covariance, degrees)
            found[f"{name}_ratio"] = as_ratio.as_numbers() if as_ratio else None
    if len(of.replicates):
        spread = {
            name: [float(value) for value in np.quantile(of.replicates @ np.array(weights), (0.025, 0.975))]
            for name, weights in EFFECTS.items()
        }
        found["bootstrap"] = {"replicates": len(of.replicates), **spread}
    return Answer(
        found, (_table(asked, effects, numbers),), (_figure(asked, effects),), _words(asked, effects, share)
    )


def _share(means: Floats) -> float | None:
    total = float(means[0] - means[3])
    return float(means[0] - means[1]) / total if total else None


def _table(asked: Mediation, effects: Mapping[str, Interval], numbers: Mapping[str, Any]) -> Table:
    rows = tuple((name.replace("_", " "), one.estimate, one.low, one.high) for name, one in effects.items())
    title = f"Effect of {asked.treatment} on {asked.outcome}, through {asked.mediator} and past it"
    note = (
        f"{numbers['n']} rows, {numbers['left_out']} left out; direct + indirect = total, "
        "total direct + pure indirect = total"
    )
    return Table(title, ("effect", "estimate", "95 % from", "to"), rows, note)


def _figure(asked: Mediation, effects: Mapping[str, Interval]) -> Figure:
    chosen = {name: effects[name] for name in ("direct", "indirect", "total")}
    series = Series(
        "effect",
        tuple(chosen),
        tuple(one.estimate for one in chosen.values()),
        tuple(one.low for one in chosen.values()),
        tuple(one.high for one in chosen.values()),
    )
    return Figure("points", f"Paths from {asked.treatment} to {asked.outcome}", "path", "difference", (series,))


def _words(asked: Mediation, effects: Mapping[str, Interval], share: float | None) -> tuple[str, ...]:
    direct, indirect, total = (effects[name] for name in ("direct", "indirect", "total"))
    part = f", {share:.0%} of it" if share is not None and 0 <= share <= 1 else ""
    return (
        f"Of an effect of {total.estimate:.4g} (95 % {total.low:.4g} to {total.high:.4g}), {indirect.estimate:.4g} "
        f"({indirect.low:.4g} to {indirect.high:.4g}) goes through {asked.mediator}{part}, and {direct.estimate:.4g} "
        f"({direct.low:.4g} to {direct.high:.4g}) past it.",
        "This holds where no cause that mediator and outcome have in common is missing, or follows from the "
        "treatment.",
    )


analysis: type[Analysis] = Mediation
