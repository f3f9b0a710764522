"""A treatment's effect by an instrument, which changes the treatment and the outcome only through it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._effect_answer import census_numbers
from common.analyses._effect_rows import Wanted, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.causality.contrasts import linear
from common.causality.equations import Block, Rows, Theta
from common.causality.regressions import predictor

WEAK = 10.0
"""An F of the first stage below it is called weak (Staiger and Stock 1997)."""


@dataclass(frozen=True)
class Instrument:
    """instrument: a column of numbers, such as distance or a random offer. The other options as of an effect.

    Two-stage least squares with one instrument. Right where the instrument shares no cause with the outcome beside
    the covariates; of a binary instrument it is the effect on those whose treatment it decides (Imbens and Angrist
    1994). treated: the word of the treated. control: of those not treated; none: all other words. event: of an
    outcome in words, the one that counts as 1. levels: of columns of words, as `sex=female|male`. sites: fixed
    adjusts for every hospital's level as well; ignored does not.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows and how many treated there are; sums and squares of outcome, "
        "instrument and covariates, and of their products; the covariance of what each person contributes."
    )
    outcome: str
    treatment: str
    instrument: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    event: str = ""
    levels: tuple[str, ...] = ()
    sites: Literal["fixed", "ignored"] = "fixed"

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals' levels are adjusted for."""
        return self.sites == "fixed"

    @property
    def wanted(self) -> Wanted:
        """Columns to be read."""
        return Wanted.of(self, self.of_hospitals, mediator=self.instrument)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, two of least squares, and the spread."""
        known = yield from census(self.wanted, public)
        size = len(known.names) + 1
        estimate = yield from estimated(_blocks(size), known.tells)
        theta, covariance = estimate.theta["stages"], estimate.covariance
        unit, degrees = np.eye(2 * size), float(max(known.persons - size, 1))
        first = linear(unit[size - 1], theta, covariance, degrees)
        effect = linear(known.outcome[1] * unit[2 * size - 1], theta, covariance, degrees)
        strength = (first.estimate / first.error) ** 2 if first.error > 0 else None
        numbers: dict[str, Any] = {
            **census_numbers(known),
            "difference": effect.as_numbers(),
            "first_stage": first.as_numbers(),
            "first_stage_f": strength,
        }
        rows = (("difference", effect.estimate, effect.low, effect.high),)
        note = f"{known.rows} rows, {known.left_out} left out; F of the first stage {strength or 0.0:.1f}"
        title = f"Effect of {self.treatment} on {self.outcome} by {self.instrument}"
        table = Table(title, ("", "estimate", "95 % from", "to"), rows, note)
        words = [
            f"Through {self.instrument}, {self.treatment} changes {self.outcome} by {effect.estimate:.4g} "
            f"(95 % {effect.low:.4g} to {effect.high:.4g})."
        ]
        if strength is None or strength < WEAK:
            words.append("The instrument is weak: it hardly changes the treatment, and the interval may mislead.")
        return Answer(numbers, (table,), (), tuple(words))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        return sums(_blocks(found.rows["x"].shape[1] + 1), found.rows, found.persons, query)


def _blocks(size: int) -> tuple[Block, ...]:
    """The treatment by covariates and instrument, and the outcome by covariates and treatment, both against these."""

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        against = np.column_stack([rows["x"], rows["mediator"]])
        causes = np.column_stack([rows["x"], rows["treatment"]])
        first = rows["treatment"] - predictor(against, theta["stages"][:size])
        second = rows["outcome"] - predictor(causes, theta["stages"][size:])
        return np.concatenate([against * first[:, None], against * second[:, None]], axis=1)

    return (Block("stages", 2 * size, scores),)


analysis: type[Analysis] = Instrument
