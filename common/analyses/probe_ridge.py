"""Linear probe of an encoder by ridge regression on one-hot classes: one round of sums, as on pooled features."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.analyses import _probe as probing
from common.analyses._probe import Probe, Setting, Values
from common.analyses._probe_answer import probe_answer
from common.analyses._probe_scores import SCORES, Scored, score_sums, scores, tested
from common.analyses._ridge import PRODUCTS, Ridge, predicted, ridge, ridge_parts, ridge_sums
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total
from common.asking.features import features_of
from common.asking.records import Records
from common.study.checks import non_negative

STEEP = 1.7
"""The logistic curve that is nearest to the normal one: about as many scores in every bin."""


@dataclass(frozen=True)
class ProbeRidge(Probe):
    """penalty: scikit-learn's alpha, of the squared coefficients; 0: the shortest of all best ones. standardise:
    features are brought to mean 0 and spread 1 of the training cases first, as scikit-learn's StandardScaler does.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the features of an encoder, of the products of all pairs of them, and of each "
        "class's features, over the cases whose labels are used; of other cases how many of each class are taken for "
        "which, and their scores in bins."
    )
    penalty: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("probe_ridge", penalty=self.penalty)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round for how many there are, one for the products, and one for the answer on other cases."""
        found = yield from probing.setting(self, public)
        width, size = found.width, len(found.classes)
        rows = sum(found.cases)
        total = yield Query(ridge_parts(width, size), {"classes": found.classes}, PRODUCTS)
        fit = ridge(total, rows, self.penalty, self.standardise)
        tells = {
            "coefficients": fit.coefficients,
            "intercepts": fit.intercepts,
            "centres": fit.centres,
            "spreads": fit.spreads,
            "present": np.array(found.present, np.float64),
        }
        scored = yield from scores(self, public, found, tells)
        return self._answer(found, fit, scored)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, or what is predicted."""
        if query.step == probing.SETTING:
            return probing.setting_sums(self, records, query)
        if query.step == SCORES:
            kept, labels = tested(self, records, query)
            return score_sums(query, records.site, labels, *_scores(features_of(kept), query))
        drawn, labels = self.drawn(records, probing.words(query, "classes"))
        return ridge_sums(features_of(drawn), np.eye(query.parts["targets"].shape[1])[labels])

    def _answer(self, found: Setting, fit: Ridge, scored: Mapping[str, Scored]) -> Answer:
        own = {"penalty": self.penalty, "standardise": self.standardise}
        return probe_answer("Linear probe (ridge)", self, found, scored, own, (fit.coefficients, fit.intercepts))


def _scores(features: Values, query: Query) -> tuple[Values, Values]:
    """(N, K) scores, and the same between 0 and 1."""
    score = predicted(features, query)
    unit = expit(STEEP * (score - probing.numbers(query, "centres")) / probing.numbers(query, "spreads"))
    is_present = np.isin(np.arange(score.shape[1]), probing.numbers(query, "present"))
    return np.where(is_present, score, -np.inf), unit


analysis: type[Analysis] = ProbeRidge
