"""Linear probe of an encoder for a number, by ridge regression: one round of sums, as on pooled features."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses import _probe as probing
from common.analyses._probe import ENCODERS, EVALUATED, LEAST, NO_NOISE, TRAIN, Values
from common.analyses._probe_answer import ENCODERS as CALLED
from common.analyses._ridge import PRODUCTS, predicted, ridge, ridge_parts, ridge_sums
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_gram import on_grid
from common.asking.exact_sums import Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.features import PART, feature_names, features_of
from common.asking.levels import TARGET
from common.asking.records import Records
from common.errors import AnalysisError
from common.study.checks import between, non_negative, positive
from common.study.spelling import unknown

ERRORS = "errors"


@dataclass(frozen=True)
class ProbeRegression(probing.ByShare):
    """outcome: a column of numbers, the target where the source does not call it otherwise. penalty, standardise: as
    of `probe_ridge`. encoder, share, draw, seed, evaluated, least: as of all probes; persons are drawn alike.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the features of an encoder, of the products of all pairs of them and of each "
        "with the outcome, over the cases whose outcome is used; of other cases the sums of errors and their squares."
    )
    without_noise: ClassVar[str] = NO_NOISE
    outcome: str = TARGET
    encoder: str = "start"
    share: float = 1.0
    draw: int = 0
    seed: int = 0
    evaluated: str = "test"
    least: int = LEAST
    penalty: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise unknown("encoder of a probe", self.encoder, ENCODERS)
        if self.evaluated not in EVALUATED:
            raise unknown("part to evaluate a probe on", self.evaluated, EVALUATED)
        positive("probe", share=self.share, least=self.least)
        between("probe", 0, 1, share=self.share)
        non_negative("probe", draw=self.draw, seed=self.seed, penalty=self.penalty)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round for how many there are, one for the products, and one for the errors on other cases."""
        names = ("rows", "used", "tested", "left out")
        loose = {"width": counts(most_by_one=None), "persons": counts(most_by_one=None)}
        total = yield Query({**{name: counts() for name in names}, **loose}, {}, probing.SETTING)
        rows, used, tested, left_out = (int(total.count(name)) for name in names)
        self._demand_enough(rows, int(total.count("persons")), tested)
        width, uneven = divmod(int(total.count("width")), rows)
        if uneven:
            raise AnalysisError("hospitals have features of different numbers: their encoders are not the same.")
        products = yield Query(ridge_parts(width, 1), {}, PRODUCTS)
        fit = ridge(products, used, self.penalty, self.standardise)
        tells = {"coefficients": fit.coefficients, "intercepts": fit.intercepts}
        errors = yield Query({"n": counts(), "sums": reals(4)}, tells, ERRORS)
        numbers = {
            "encoder": self.encoder,
            "features": width,
            "share": self.share,
            "draw": self.draw,
            "labels": used,
            "left_out": left_out,
            "penalty": self.penalty,
            "standardise": self.standardise,
            **_figures(int(errors.count("n")), errors["sums"], errors),
            "coefficients": fit.coefficients[:, 0].tolist(),
            "intercept": float(fit.intercepts[0]),
        }
        return self._answer(numbers)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, or errors."""
        used, tested = self._drawn(records), self._complete(records, self.evaluated)
        if query.step == probing.SETTING:
            of_part = np.isin(records.words(PART), [TRAIN, self.evaluated])
            known = len(self._complete(records, TRAIN)) + len(tested)
            return {
                "rows": np.array(len(records)),
                "width": np.array(len(records) * len(feature_names(records))),
                "used": np.array(len(used)),
                "persons": np.array(len(np.unique(used.persons))),
                "tested": np.array(len(tested)),
                "left out": np.array(int(np.count_nonzero(of_part)) - known),
            }
        if query.step == PRODUCTS:
            return ridge_sums(features_of(used), on_grid(used.numbers(self.outcome))[:, None])
        truth = tested.numbers(self.outcome)
        left = truth - predicted(features_of(tested), query)[:, 0]
        sums = [exact_products(left, left), exact_sum(np.abs(left)), exact_sum(truth), exact_products(truth, truth)]
        return {"n": np.array(len(tested)), "sums": np.array([one.item() for one in sums], dtype=object)}

    def _complete(self, records: Records, part: str) -> Records:
        known = np.isfinite(records.numbers(self.outcome)) & (records.words(PART) == part)
        return records.take(known & np.isfinite(features_of(records)).all(axis=1))

    def _drawn(self, records: Records) -> Records:
        kept = self._complete(records, TRAIN)
        if self.label_draw is None or not len(kept):
            return kept
        used = self.label_draw.persons(kept.persons, [""] * len(kept), records.site)
        return kept.take(np.array([person in used for person in kept.persons.tolist()], bool))

    def _demand_enough(self, rows: int, persons: int, tested: int) -> None:
        if not rows:
            raise AnalysisError("no hospital has a case.")
        if persons < max(self.least, 1):
            raise AnalysisError(
                f"the outcomes of {persons} persons are used, and sums of fewer than least = {self.least} would tell "
                "what their features are: use a larger share."
            )
        if not tested:
            raise AnalysisError(f"no hospital has a {self.evaluated} case whose outcome and features are known.")

    def _answer(self, numbers: Mapping[str, Any]) -> Answer:
        header = ("n", "R\N{SUPERSCRIPT TWO}", "root mean squared error", "mean absolute error")
        row = tuple(numbers[name] for name in ("n", "r_squared", "root_mean_squared_error", "mean_absolute_error"))
        said = [
            f"From {numbers['features']} features of {CALLED[self.encoder]} and {numbers['labels']} outcomes, "
            f"{self.outcome} of {numbers['n']} {self.evaluated} cases is predicted with a mean absolute error of "
            f"{numbers['mean_absolute_error']:.4g}."
        ]
        said += [f"{numbers['left_out']} cases are left out: the outcome or a feature is not known."] * bool(
            numbers["left_out"]
        )
        if self.encoder != "random":
            said.append("Beside it stands what the same encoder reaches untrained: encoder = 'random'.")
        return Answer(dict(numbers), (Table(f"Linear probe of {self.outcome}", header, (row,)),), (), tuple(said))


def _figures(n: int, sums: Values, exact: Total) -> dict[str, Any]:
    squared, absolute, _, _ = sums.tolist()
    _, _, total, squares = exact.exact("sums").tolist()
    about = float(squares - total**2 / n)
    return {
        "n": n,
        "root_mean_squared_error": (squared / n) ** 0.5,
        "mean_absolute_error": absolute / n,
        "r_squared": 1 - squared / about if about > 0 else None,
    }


analysis: type[Analysis] = ProbeRegression
