"""What the analyses of one treatment's effect have in common: their options, rounds and answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._effect_answer import OF_WHOM, answer_of, found_of
from common.analyses._effect_rows import Wanted, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.analyses._overlap import Overlap, overlap, overlap_sums
from common.asking.analysis import Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.causality.effects import GROUP, Method, Plan, Population, blocks_of, means
from common.causality.regressions import Family
from common.study.spelling import unknown


@dataclass(frozen=True)
class PointEffect:
    """outcome: numbers, or words of which `event` counts as 1. treatment: a column that says `treated`, or `control`.

    control: the word of those not treated; anything else than `treated` where it is not named. covariates: what to
    adjust for; `age^2` and `age:sex` are covariates too. levels: of columns of words, as sex=female|male. sites:
    fixed adjusts for every hospital's level as well. population: whose effect. ridge: pulls coefficients of the
    models to 0, where one has no best fit (1 is mild). bootstrap: replicates, for intervals beside the others;
    seed: from which everybody's weights in them follow. treated: the word of the treated. event: of an outcome in
    words, the one that counts as 1.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows and how many treated there are; sums and squares of outcome and "
        "covariates; sums of the models' scores and slopes at every step; the covariance of what each person "
        "contributes to the effect."
    )
    method: ClassVar[Method]
    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    event: str = ""
    levels: tuple[str, ...] = ()
    sites: Literal["fixed", "ignored"] = "fixed"
    population: Population = "all"
    ridge: float = 0.0
    bootstrap: int = 0
    seed: int = 0

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals' levels are adjusted for, it matters which one a row is of."""
        return self.sites == "fixed"

    @property
    def wanted(self) -> Wanted:
        """Columns to be read."""
        return Wanted.of(self, self.of_hospitals, self.parts_of_rows)

    @property
    def parts_of_rows(self) -> int:
        """Folds."""
        return 1

    def plan(self, family: Family, covariates: int, groups: int = 1) -> Plan:
        """How the effect is estimated. Raises UnknownNameError for a population that is none."""
        if self.population not in OF_WHOM:
            raise unknown("population", self.population, OF_WHOM)
        return Plan(self.method, self.population, family, covariates, groups, ridge=self.ridge)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, Newton's steps, the spread, and how comparable the arms are."""
        known = yield from census(self.wanted, public)
        plan = self.plan("logistic" if known.binary else "linear", len(known.names))
        tells = {**known.tells, "family": (plan.family,)}
        contrast = means(plan)[0] - means(plan)[1]
        estimate = yield from estimated(blocks_of(plan), tells, self.bootstrap, self.seed, contrast)
        seen: Overlap | None = None
        if self.method != "standardisation":
            seen = yield from overlap(plan, tells, estimate.theta, known.names)
        return answer_of(found_of(estimate, means(plan), known, plan, self.wanted), seen)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        plan = self.plan(family_told(query), found.rows["x"].shape[1])
        rows = {**found.rows, GROUP: np.ones((len(found.persons), 1))}
        if query.step == "overlap":
            return overlap_sums(plan, rows, query)
        return sums(blocks_of(plan), rows, found.persons, query)


def family_told(query: Query) -> Family:
    """Of the outcome's model, as the server said it."""
    return "logistic" if query.tells["family"] == ("logistic",) else "linear"
