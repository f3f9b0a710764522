"""Whether treated and untreated can be compared at all, before anybody looks at an outcome."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._effect_rows import Wanted, census, census_sums, ready
from common.analyses._estimation import solved, sums
from common.analyses._overlap import overlap, overlap_sums
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.causality.effects import Plan, Population, blocks_of
from common.causality.equations import Block


@dataclass(frozen=True)
class Balance:
    """treatment, covariates, sites, population and ridge: as of the effects that are to be asked for afterwards.

    treated: the word of the treated. control: of those not treated; none: all other words. levels: of columns of
    words, as `sex=female|male`.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows and how many treated there are; sums and squares of covariates by "
        "arm; a histogram of chances of treatment by arm; sums of the model's scores and slopes."
    )
    treatment: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    levels: tuple[str, ...] = ()
    sites: Literal["fixed", "ignored"] = "fixed"
    population: Population = "all"
    ridge: float = 0.0

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals' levels are adjusted for."""
        return self.sites == "fixed"

    @property
    def wanted(self) -> Wanted:
        """Columns to be read, no outcome among them."""
        fixed = self.sites == "fixed"
        return Wanted(
            "", self.treatment, self.covariates, self.treated, self.control, sites=fixed, levels=self.levels
        )

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, Newton's steps, and one of chances."""
        known = yield from census(self.wanted, public)
        plan = self._plan(len(known.names))
        theta = yield from solved(_model(plan), known.tells)
        seen = yield from overlap(plan, known.tells, theta, known.names)
        numbers = {
            "n": known.rows,
            "persons": known.persons,
            "left_out": known.left_out,
            "treated": known.treated,
            "overlap": seen.as_numbers(),
        }
        header = ("arm", "rows", "worth after weighting")
        rows = (
            ("treated", known.treated, round(seen.effective[1], 1)),
            ("untreated", known.rows - known.treated, round(seen.effective[0], 1)),
        )
        note = f"{known.left_out} rows left out; worth: rows of equal weight that would tell as much"
        words = seen.words() or ("After weighting the arms are alike in every covariate.",)
        return Answer(numbers, (Table("Arms", header, rows, note), seen.table()), seen.figures(), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        plan = self._plan(found.rows["x"].shape[1])
        if query.step == "overlap":
            return overlap_sums(plan, found.rows, query)
        return sums(_model(plan), found.rows, found.persons, query)

    def _plan(self, covariates: int) -> Plan:
        return Plan("ipw", self.population, "linear", covariates, ridge=self.ridge)


def _model(plan: Plan) -> tuple[Block, ...]:
    """Of the treatment alone."""
    return blocks_of(plan)[:1]


analysis: type[Analysis] = Balance
