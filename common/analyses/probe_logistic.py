"""Linear probe of an encoder by logistic regression of several classes, by Newton's method: as on pooled features."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import isinf
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from common.analyses import _probe as probing
from common.analyses._preparation import linear_predictor
from common.analyses._probe import Probe, Setting, Sums, Values
from common.analyses._probe_answer import probe_answer
from common.analyses._probe_newton import Optimum, minimised
from common.analyses._probe_scores import SCORES, Scored, score_sums, scores, tested
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer
from common.asking.exact_gram import exact_gram, on_grid
from common.asking.exact_sums import Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.features import features_of
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

MOMENTS, NEWTON = "moments", "newton"
MOST_NUMBERS = 1 << 20
"""Of second derivatives, in one round."""
STEEP = 0.5
"""Of the logit of a class's probability where scores are counted in bins."""


@dataclass(frozen=True)
class ProbeLogistic(Probe):
    """c: scikit-learn's C, the inverse of the penalty on squared coefficients; inf: none. standardise: as of
    `probe_ridge`. Two classes have one vector of coefficients, and more have one each, as in scikit-learn.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the features of an encoder and of their squares and, in each of Newton's rounds, "
        "of products of all pairs of them weighted by predicted chances; of other cases how many of each class are "
        "taken for which, and their scores in bins."
    )
    c: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.c > 0:
            raise StudyError(f"probe_logistic.c must be above zero, inf for no penalty; it is {self.c!r}.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Rounds for how many there are and how large features are, about ten of Newton's, and one for the answer."""
        found = yield from probing.setting(self, public)
        outputs = len(found.present) if len(found.present) > 2 else 1
        _demand_size(outputs, found.width)
        tells: dict[str, Told] = {
            "classes": found.classes,
            "present": np.array(found.present, np.float64),
            "places": np.zeros(found.width),
            "scales": np.ones(found.width),
        }
        if self.standardise:
            total = yield Query({"moments": reals(2, found.width)}, {"classes": found.classes}, MOMENTS)
            tells |= _standard(total, sum(found.cases))
        best = yield from self._optimum(found, outputs, tells)
        tells |= {"coefficients": best.coefficients, "intercepts": best.intercepts}
        scored = yield from scores(self, public, found, tells)
        return self._answer(found, best, tells, scored)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, Newton's sums, or what is predicted."""
        if query.step == probing.SETTING:
            return probing.setting_sums(self, records, query)
        if query.step == SCORES:
            kept, labels = tested(self, records, query)
            return score_sums(query, records.site, labels, *_predicted(features_of(kept), query))
        drawn, labels = self.drawn(records, probing.words(query, "classes"))
        features = features_of(drawn)
        if query.step == MOMENTS:
            return {"moments": np.stack([exact_sum(features), exact_products(features, features)])}
        return _newton_sums(features, labels, query)

    def _optimum(self, found: Setting, outputs: int, tells: Mapping[str, Told]) -> Generator[Query, Total, Optimum]:
        width = found.width + 1
        parts = {
            "loss": reals(),
            "wrong": counts(),
            "score": reals(outputs, width),
            "information": reals(outputs * (outputs + 1) // 2, width * (width + 1) // 2),
        }

        def query(coefficients: Values, intercepts: Values) -> Query:
            return Query(parts, {**tells, "coefficients": coefficients, "intercepts": intercepts}, NEWTON)

        cases = np.array([found.cases[place] for place in found.present], np.float64)
        return (yield from minimised(query, outputs, found.width, cases, 0.0 if isinf(self.c) else 1 / self.c))

    def _answer(
        self, found: Setting, best: Optimum, tells: Mapping[str, Told], scored: Mapping[str, Scored]
    ) -> Answer:
        places, scales = (np.asarray(tells[name], np.float64) for name in ("places", "scales"))
        raw = best.coefficients / scales
        own = {
            "c": None if isinf(self.c) else self.c,
            "standardise": self.standardise,
            "rounds_of_newton": best.rounds,
            "log_loss_of_training": best.loss / sum(found.cases),
            "classes_fitted": [found.classes[place] for place in found.present],
        }
        fit = (raw.T, best.intercepts - raw @ places)
        return probe_answer("Linear probe (logistic)", self, found, scored, own, fit)


def _standard(total: Total, rows: int) -> dict[str, Told]:
    sums, squares = total.exact("moments")
    means = sums / rows
    variances, mean_squares = ((squares / rows - less).astype(np.float64) for less in (means**2, 0 * means))
    is_constant = variances <= probing.CONSTANT * mean_squares
    return {
        "places": means.astype(np.float64),
        "scales": np.where(is_constant, 1.0, np.sqrt(np.where(is_constant, 1.0, variances))),
    }


def _standardised(features: Values, query: Query) -> Values:
    return on_grid((features - probing.numbers(query, "places")) / probing.numbers(query, "scales"))


def _etas(rows: Values, query: Query) -> Values:
    """(N, outputs) linear predictors of standardised features."""
    intercepts = probing.numbers(query, "intercepts").reshape(-1)
    coefficients = probing.numbers(query, "coefficients").reshape(len(intercepts), rows.shape[1])
    return np.stack([linear_predictor(rows, one) for one in coefficients], axis=1) + intercepts


def _newton_sums(features: Values, labels: NDArray[np.int64], query: Query) -> Sums:
    rows = _standardised(features, query)
    eta = _etas(rows, query)
    rows = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
    present = probing.numbers(query, "present").astype(np.int64)
    place = np.searchsorted(present, labels)
    outputs = eta.shape[1]
    if outputs == 1:
        eta = np.concatenate([np.zeros_like(eta), eta], axis=1)
    chances = np.exp(log_softmax(eta, axis=1))
    hot = np.eye(len(present))[place]
    losses = -np.take_along_axis(log_softmax(eta, axis=1), place[:, None], axis=1)[:, 0]
    if outputs == 1:
        left, chances = (hot - chances)[:, 1:], chances[:, 1:]
        weights = chances * (1 - chances)
    else:
        left = hot - chances
        pairs = [(k, m) for k in range(outputs) for m in range(k, outputs)]
        weights = np.stack([chances[:, k] * ((k == m) - chances[:, m]) for k, m in pairs], axis=1)
    upper = np.triu_indices(rows.shape[1])
    information = [exact_gram(on_grid(rows * weight[:, None]), rows)[upper] for weight in weights.T]
    return {
        "loss": exact_sum(losses),
        "wrong": np.array(np.count_nonzero(eta.argmax(axis=1) != place)),
        "score": exact_gram(on_grid(left), rows),
        "information": np.stack(information),
    }


def _predicted(features: Values, query: Query) -> tuple[Values, Values]:
    """(N, K) scores, and chances bent to between 0 and 1, of all classes."""
    present = probing.numbers(query, "present").astype(np.int64)
    size = query.parts["taken"].shape[1]
    eta = _etas(_standardised(features, query), query)
    if eta.shape[1] == 1:
        eta = np.concatenate([np.zeros_like(eta), eta], axis=1)
    logs = log_softmax(eta, axis=1)
    odds = logs - np.log(np.maximum(-np.expm1(np.minimum(logs, -1e-300)), 1e-300))
    if len(present) == 2:
        odds = np.concatenate([eta[:, :1] - eta[:, 1:], eta[:, 1:] - eta[:, :1]], axis=1)
    score, unit = np.full((len(eta), size), -np.inf), np.zeros((len(eta), size))
    score[:, present], unit[:, present] = eta, expit(STEEP * odds)
    return score, unit


def _demand_size(outputs: int, width: int) -> None:
    numbers = outputs * (outputs + 1) // 2 * (width + 1) * (width + 2) // 2
    if numbers > MOST_NUMBERS:
        raise AnalysisError(
            f"{outputs} classes of {width} features have {numbers} second derivatives, and a round carries "
            f"{MOST_NUMBERS}: ask probe_ridge, whose sums do not grow with classes."
        )


analysis: type[Analysis] = ProbeLogistic
