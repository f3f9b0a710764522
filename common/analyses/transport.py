"""A treatment's effect carried over to a hospital that knows its patients, but no outcomes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._effect_answer import (
    Contrasts,
    Found,
    census_numbers,
    contrasts_of,
    contrasts_table,
    found_of,
)
from common.analyses._effect_rows import Census, Wanted, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.analyses._point_effect import family_told
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.records import Records
from common.causality.effects import Plan, bounded
from common.causality.equations import Block, Floats, Rows, Theta
from common.causality.regressions import Family, expected, regression
from common.errors import AnalysisError, StudyError

FAR = 20.0
"""A row that counts for more than so many is called far from the others."""


@dataclass(frozen=True)
class Transport:
    """target: the hospital of which neither outcome nor treatment is looked at. The other options as of an effect.

    The effect is standardised to the target's patients and corrected by outcomes elsewhere, weighted by the odds of
    being a patient of the target (Dahabreh et al. 2020): right where the outcome's model is, or those of treatment
    and of being a patient there; and where hospitals differ by nothing but covariates in what changes the effect.
    treated: the word of the treated. control: of those not treated; none: all other words. event: of an outcome in
    words, the one that counts as 1. levels: of columns of words, as `sex=female|male`. apart: the outcome's
    coefficients are the arms' own. ridge: pulls coefficients of the models to 0, where one has no best fit (1 is
    mild). bootstrap: replicates, for intervals beside the others; seed: from which everybody's weights in them
    follow.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows, treated, and patients of the target there are; sums and squares of "
        "outcome and covariates; sums of the models' scores and slopes; the covariance of what each person "
        "contributes; covariates' means at the target and elsewhere."
    )
    of_hospitals: ClassVar[bool] = True
    outcome: str
    treatment: str
    target: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    event: str = ""
    levels: tuple[str, ...] = ()
    apart: bool = True
    ridge: float = 0.0
    bootstrap: int = 0
    seed: int = 0

    @property
    def wanted(self) -> Wanted:
        """Columns to be read. Hospitals' own levels are not adjusted for: the target's is nowhere known."""
        return Wanted.of(self, sites=False, without_outcome=self.target)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, Newton's steps, the spread, and how far the target is from the others."""
        if self.target not in public.sites:
            raise StudyError(f"target = {self.target!r} is no hospital; there are {', '.join(public.sites)}.")
        known = yield from census(self.wanted, public)
        if not known.target:
            raise AnalysisError(
                f"{self.target} has no complete row of covariates, so there is nobody to carry it to."
            )
        plan = self._plan("logistic" if known.binary else "linear", len(known.names))
        tells = {**known.tells, "family": (plan.family,)}
        estimate = yield from estimated(_blocks(plan), tells, self.bootstrap, self.seed)
        told = {**tells, "theta": estimate.theta["sampling"]}
        size = len(known.names)
        total = yield Query(
            {"weights": reals(2), "far": counts(), "means": reals(3, size), "squares": reals(size)}, told, "distance"
        )
        found = found_of(estimate, np.kron(np.array([[1.0, 1.0]]), np.eye(4)), known, plan, self.wanted)
        return _answer(self, found, known, total)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        plan = self._plan(family_told(query), found.rows["x"].shape[1])
        if query.step == "distance":
            return _distance_sums(found.rows, query)
        return sums(_blocks(plan), found.rows, found.persons, query)

    def _plan(self, family: Family, covariates: int) -> Plan:
        return Plan("aipw", "all", family, covariates, apart=self.apart, ridge=self.ridge)


def _blocks(plan: Plan) -> tuple[Block, ...]:
    """Who is of the target, who is treated elsewhere, what comes of it there, and both means in both places."""
    sampling = regression(
        "sampling",
        "logistic",
        plan.covariates,
        lambda rows: rows["x"],
        lambda rows, theta: 1 - rows["target"],
        ridge=plan.ridge,
    )
    treatment = regression(
        "treatment",
        "logistic",
        plan.covariates,
        lambda rows: rows["x"],
        lambda rows, theta: rows["treatment"],
        lambda rows: 1 - rows["target"],
        ridge=plan.ridge,
    )
    outcome = regression(
        "outcome",
        plan.family,
        plan.outcome_size,
        lambda rows: _design(plan, rows, rows["treatment"]),
        lambda rows, theta: rows["outcome"],
        lambda rows: 1 - rows["target"],
        ridge=plan.ridge,
        eased=(plan.covariates,),
    )
    reads = ("sampling", "treatment", "outcome")
    return (sampling, treatment, outcome, Block("means", 8, _scores(plan), reads))


def _design(plan: Plan, rows: Rows, treatment: Floats) -> Floats:
    products = [rows["x"][:, 1:] * treatment[:, None]] if plan.apart else []
    return np.column_stack([rows["x"], treatment, *products])


def _scores(plan: Plan) -> Callable[[Rows, Theta], NDArray[Any]]:
    """Standardised means if treated (target, elsewhere), if not, then what the outcomes elsewhere correct in each."""

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        here, a, y = rows["target"], rows["treatment"], rows["outcome"]
        there = 1 - here
        of_others = bounded(expected("logistic", rows["x"], theta["sampling"]))
        odds = (1 - of_others) / of_others
        e = bounded(expected("logistic", rows["x"], theta["treatment"]))
        ones = np.ones(len(a))
        m1, m0 = (expected(plan.family, _design(plan, rows, arm * ones), theta["outcome"]) for arm in (1.0, 0.0))
        w1, w0 = there * a / e, there * (1 - a) / (1 - e)
        pieces = (
            (here, m1),
            (there, m1),
            (here, m0),
            (there, m0),
            (w1 * odds, y - m1),
            (w1, y - m1),
            (w0 * odds, y - m0),
            (w0, y - m0),
        )
        means = theta["means"]
        return np.stack([weight * (value - means[index]) for index, (weight, value) in enumerate(pieces)], axis=1)

    return scores


def _distance_sums(rows: Rows, query: Query) -> dict[str, NDArray[np.integer] | Integers]:
    """Weights of the others' rows, and covariates there, there as weighted, and at the target."""
    of_others = bounded(expected("logistic", rows["x"], np.asarray(query.tells["theta"], dtype=np.float64)))
    there = 1 - rows["target"]
    weight = there * (1 - of_others) / of_others
    columns = [exact_products(rows["x"], np.tile(one[:, None], rows["x"].shape[1])) for one in (there, weight)]
    at_target = exact_sum(rows["x"] * rows["target"][:, None])
    return {
        "weights": exact_products(
            np.stack([weight, weight], axis=1), np.stack([np.ones(len(weight)), weight], axis=1)
        ),
        "far": np.array(int((weight > FAR).sum())),
        "means": np.stack([*columns, at_target]),
        "squares": exact_sum(rows["x"] * rows["x"] * there[:, None]),
    }


def _answer(asked: Transport, found: Found, known: Census, total: Total) -> Answer:
    here, there = (contrasts_of(found, group) for group in (0, 1))
    others = known.rows - known.target
    first, second = total["weights"]
    effective = float(first**2 / second)
    sums_there, weighted, at_target = total["means"]
    means = sums_there / others
    deviation = np.sqrt(np.maximum(total["squares"] / others - means**2, 0.0))
    scale = np.where(deviation > 0, deviation, 1.0)
    goal = at_target / known.target
    before, after = ((one - goal) / scale for one in (means, weighted / first))
    names = known.names[1:]
    numbers: dict[str, Any] = {
        **census_numbers(known),
        "target_rows": known.target,
        "effective": effective,
        "rows_far": int(total.count("far")),
        **here.as_numbers(),
        "elsewhere": there.as_numbers(),
        "standardised_differences": {
            name: {"before": float(one), "after": float(two)}
            for name, one, two in zip(names, before[1:], after[1:], strict=True)
        },
    }
    if len(found.replicates):
        low, high = np.quantile(found.replicates[:, 0] - found.replicates[:, 2], (0.025, 0.975))
        numbers["bootstrap"] = {"replicates": len(found.replicates), "low": float(low), "high": float(high)}
    table = replace(contrasts_table(found, here), title=f"Effect of {asked.treatment} at {asked.target}")
    apart = Table(
        f"{asked.target} beside the others",
        ("covariate", "before", "after weighting"),
        tuple(zip(names, before[1:].tolist(), after[1:].tolist(), strict=True)),
        f"in standard deviations; the others' {others} rows are worth {effective:.1f} there",
    )
    return Answer(
        numbers, (table, apart), (_love(names, before[1:], after[1:]),), _words(asked, here, there, effective)
    )


def _love(names: tuple[str, ...], before: Floats, after: Floats) -> Figure:
    sides = tuple(
        Series(name, names, tuple(abs(float(value)) for value in values))
        for name, values in (("before", before), ("after weighting", after))
    )
    return Figure("points", "Target and the others", "covariate", "absolute standardised difference", sides)


def _words(asked: Transport, here: Contrasts, there: Contrasts, effective: float) -> tuple[str, ...]:
    one, other = here.difference, there.difference
    return (
        f"At {asked.target} {asked.treatment} would change {asked.outcome} by {one.estimate:.4g} "
        f"(95 % {one.low:.4g} to {one.high:.4g}); where outcomes are known it does by {other.estimate:.4g} "
        f"({other.low:.4g} to {other.high:.4g}).",
        "This holds where hospitals differ by nothing but these covariates in what changes the effect; for the "
        f"target's patients the others' rows are worth {effective:.1f}.",
    )


analysis: type[Analysis] = Transport
