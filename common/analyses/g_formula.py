"""The effect of a treatment over time, always against never, by the parametric g-formula."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import EQUALS, JOINT
from common.analyses._effect_answer import answer_of, found_of
from common.analyses._effect_rows import SITE, Wanted, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.analyses._point_effect import family_told
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.causality.effects import Plan
from common.causality.equations import Block, Floats, Rows, Theta
from common.causality.regressions import Family, expected, regression
from common.errors import StudyError
from common.study.spelling import unknown


@dataclass(frozen=True)
class GFormula:
    """history: columns in the order of time, the treatments among them, such as `cd4_0 drug_0 cd4_1 drug_1`.

    treatments: which of them are. What a treatment changes may in turn decide the next one; adjusting for that by a
    regression would be wrong, and leaving it out as well. Iterated expectations (Robins 1986; Bang and Robins 2005):
    the outcome is expected given all the history, that given the history before the last treatment, and so on; no
    history is made up by chance. One row is a person.

    treated: the word of the treated. control: of those not treated; none: all other words. event: of an outcome in
    words, the one that counts as 1. levels: of columns of words, as `sex=female|male`. sites: fixed adjusts for
    every hospital's level as well; ignored does not. ridge: pulls coefficients of the models to 0, where one has no
    best fit (1 is mild). bootstrap: replicates, for intervals beside the others; seed: from which everybody's
    weights in them follow.
    """

    discloses: ClassVar[str] = (
        "How many complete and incomplete rows and how many first treated there are; sums and squares of outcome and "
        "history; sums of the models' scores and slopes; the covariance of what each person contributes."
    )
    outcome: str
    history: tuple[str, ...]
    treatments: tuple[str, ...] = ()
    treated: str = "1"
    control: str = ""
    event: str = ""
    levels: tuple[str, ...] = ()
    sites: Literal["fixed", "ignored"] = "fixed"
    ridge: float = 0.0
    bootstrap: int = 0
    seed: int = 0

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals' levels are adjusted for."""
        return self.sites == "fixed"

    @property
    def wanted(self) -> Wanted:
        """Columns to be read. Raises StudyError where treatments are not of the history."""
        if not self.treatments:
            raise StudyError(f"treatments: name which of {', '.join(self.history)} are, in the order of time.")
        for name in self.treatments:
            if name not in self.history:
                raise unknown("treatment of the history", name, self.history)
        if tuple(name for name in self.history if name in self.treatments) != self.treatments:
            raise StudyError("treatments must stand in the order of the history, each once.")
        return Wanted(
            self.outcome,
            self.treatments[0],
            tuple(name for name in self.history if name not in self.treatments),
            self.treated,
            self.control,
            self.event,
            self.sites == "fixed",
            levels=self.levels,
            more_treatments=self.treatments[1:],
        )

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts, Newton's steps for all times at once, and the spread."""
        wanted = self.wanted
        known = yield from census(wanted, public)
        family: Family = "logistic" if known.binary else "linear"
        blocks = _blocks(self, family, known.names)
        tells = {**known.tells, "family": (family,), "names": known.names}
        estimate = yield from estimated(blocks, tells, self.bootstrap, self.seed, np.array([1.0, -1.0]))
        plan = Plan("standardisation", "all", family, len(known.names) + len(self.treatments) - 1)
        answer = answer_of(found_of(estimate, np.eye(2), known, plan, wanted), None)
        regime = f"Treated means always treated ({', '.join(self.treatments)}), untreated never."
        return Answer(answer.numbers, answer.tables, answer.figures, (*answer.words, regime))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells)
        names = query.tells["names"]
        blocks = _blocks(self, family_told(query), tuple(str(name) for name in names))
        return sums(blocks, found.rows, found.persons, query)


def _blocks(asked: GFormula, family: Family, names: tuple[str, ...]) -> tuple[Block, ...]:
    """The outcome's model, for always and never one a time before, and their means."""
    before = [_known_before(asked, names, treatment) for treatment in asked.treatments]
    last = len(asked.treatments) - 1
    blocks = [
        regression(
            _name(last, 0.0),
            family,
            len(before[last]) + last + 1,
            lambda rows: _design(rows, before[last], last, None),
            lambda rows, theta: rows["outcome"],
            ridge=asked.ridge,
            eased=tuple(range(len(before[last]), len(before[last]) + last + 1)),
        )
    ]
    for time in range(last - 1, -1, -1):
        blocks += [_earlier(asked, family, before, time, regime) for regime in (1.0, 0.0)]
    reads = (_name(0, 1.0), _name(0, 0.0)) if last else (_name(0, 0.0),)
    return (*blocks, Block("means", 2, _means(family, before, last), reads))


def _earlier(asked: GFormula, family: Family, before: list[list[int]], time: int, regime: float) -> Block:
    """What the next time's model expects under a regime, given the history up to this time."""
    last = len(before) - 1
    later = _name(time + 1, regime if time + 1 < last else 0.0)

    def response(rows: Rows, theta: Theta) -> NDArray[Any]:
        return expected(family, _design(rows, before[time + 1], time + 1, regime), theta[later])

    return regression(
        _name(time, regime),
        family,
        len(before[time]) + time + 1,
        lambda rows: _design(rows, before[time], time, None),
        response,
        reads=(later,),
        ridge=asked.ridge,
        eased=tuple(range(len(before[time]), len(before[time]) + time + 1)),
    )


def _means(family: Family, before: list[list[int]], last: int) -> Callable[[Rows, Theta], NDArray[Any]]:
    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        columns = []
        for index, regime in enumerate((1.0, 0.0)):
            first = theta[_name(0, regime if last else 0.0)]
            columns.append(expected(family, _design(rows, before[0], 0, regime), first) - theta["means"][index])
        return np.stack(columns, axis=1)

    return scores


def _name(time: int, regime: float) -> str:
    """Of a block; the last time has one model for both regimes, named as of never."""
    return f"outcome seen at time {time + 1}{', always treated' if regime else ''}"


def _design(rows: Rows, columns: list[int], time: int, regime: float | None) -> Floats:
    """What is known at a time, with treatments up to it as they were, or all as a regime has them."""
    names = ["treatment", *(f"treatment {index + 2}" for index in range(time))]
    given = [rows[name] if regime is None else np.full(len(rows[name]), regime) for name in names]
    return np.column_stack([rows["x"][:, columns], *given])


def _known_before(asked: GFormula, names: tuple[str, ...], treatment: str) -> list[int]:
    """Columns of x that stand before a treatment in time; hospitals are known from the start."""
    earlier = {*asked.history[: asked.history.index(treatment)], SITE}
    return [
        index
        for index, name in enumerate(names)
        if index == 0 or all(part.partition(EQUALS)[0] in earlier for part in name.split(JOINT)) or name in earlier
    ]


analysis: type[Analysis] = GFormula
