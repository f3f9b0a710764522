"""Linear probe of an encoder by ridge regression on one-hot classes: one round of sums, as on pooled features."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from common.analyses import _probe as probing
from common.analyses._exact_algebra import exact_fractions, exact_product, from_upper
from common.analyses._preparation import linear_predictor
from common.analyses._probe import Probe, Setting, Values
from common.analyses._probe_answer import probe_answer
from common.analyses._probe_scores import SCORES, Scored, score_sums, scores, tested
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_gram import exact_gram
from common.asking.exact_sums import Exact, Integers, Total, reals
from common.asking.features import features_of
from common.asking.records import Records
from common.study.checks import non_negative

PRODUCTS = "products"
REFINED_TO = 512
"""Features of which residuals are still worked out without rounding."""
STEEP = 1.7
"""The logistic curve that is nearest to the normal one: about as many scores in every bin."""
NOTHING = 1e-12
"""Of the largest eigenvalue of features scaled to one spread: less is left by rounding, without a penalty."""


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
        parts = {"products": reals((width + 1) * (width + 2) // 2), "targets": reals(width + 1, size)}
        total = yield Query(parts, {"classes": found.classes}, PRODUCTS)
        products, targets = from_upper(total.exact("products"), width + 1), total.exact("targets")
        fit = self._fitted(products, targets, rows)
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
        rows = np.concatenate([np.ones((len(drawn), 1)), features_of(drawn)], axis=1)
        hot = np.eye(query.parts["targets"].shape[1])[labels]
        upper = np.triu_indices(rows.shape[1])
        return {"products": exact_gram(rows, rows)[upper], "targets": exact_gram(rows, hot)}

    def _fitted(self, products: Exact, targets: Exact, rows: int) -> _Fit:
        means = products[0, 1:] / rows
        centred = products[1:, 1:] - np.outer(products[0, 1:], means)
        about = targets[1:] - np.outer(products[0, 1:], targets[0] / rows)
        variances = np.diag(centred) / rows
        is_constant = variances <= Fraction(probing.CONSTANT) * np.diag(products)[1:] / rows
        squares = variances.copy() if self.standardise else exact_fractions(np.ones(len(means)))
        squares[is_constant] = Fraction(1)
        penalised = centred.copy()
        for place in range(len(means)):
            penalised[place, place] += Fraction(self.penalty) * squares[place]
        scale = np.sqrt(np.where(is_constant, 1.0, variances.astype(np.float64)))
        found = _solved(penalised, about, scale, bool(self.penalty))
        tops = (targets[0] / rows).astype(np.float64) - means.astype(np.float64) @ found
        score_means = (targets[0] / rows).astype(np.float64)
        spreads = np.sqrt(np.maximum(np.einsum("ik,ij,jk->k", found, centred.astype(np.float64), found) / rows, 0))
        return _Fit(found, tops, score_means, np.where(spreads > 0, spreads, 1.0))

    def _answer(self, found: Setting, fit: _Fit, scored: Mapping[str, Scored]) -> Answer:
        own = {"penalty": self.penalty, "standardise": self.standardise}
        return probe_answer("Linear probe (ridge)", self, found, scored, own, (fit.coefficients, fit.intercepts))


@dataclass(frozen=True)
class _Fit:
    """coefficients: (D, K) of features as they are. centres, spreads: (K,) of scores in training."""

    coefficients: Values
    intercepts: Values
    centres: Values
    spreads: Values


def _solved(matrix: Exact, right: Exact, scale: Values, is_penalised: bool) -> Values:
    """x of matrix x = right, columns brought to one size first; the shortest x where the matrix has no inverse."""
    scaled = matrix.astype(np.float64) / np.outer(scale, scale)
    if not is_penalised:
        values, vectors = np.linalg.eigh(scaled)
        kept = values > NOTHING * max(float(values.max(initial=0.0)), 0.0)
        within = vectors[:, kept]
        return _in_own_unit(
            within @ ((within.T @ (right.astype(np.float64) / scale[:, None])) / values[kept, None]), scale
        )
    factor = cho_factor(scaled, lower=True)
    found = _in_own_unit(cho_solve(factor, right.astype(np.float64) / scale[:, None]), scale)
    if len(matrix) <= REFINED_TO:
        left = (right - exact_product(matrix, exact_fractions(found))).astype(np.float64)
        found = found + _in_own_unit(cho_solve(factor, left / scale[:, None]), scale)
    return found


def _in_own_unit(scaled: Values, scale: Values) -> Values:
    return np.asarray(scaled / scale[:, None])


def _scores(features: Values, query: Query) -> tuple[Values, Values]:
    """(N, K) scores, and the same between 0 and 1."""
    coefficients, intercepts = probing.numbers(query, "coefficients"), probing.numbers(query, "intercepts")
    coefficients = coefficients.reshape(features.shape[1], len(intercepts))
    score = np.stack([linear_predictor(features, one) for one in coefficients.T], axis=1) + intercepts
    unit = expit(STEEP * (score - probing.numbers(query, "centres")) / probing.numbers(query, "spreads"))
    is_present = np.isin(np.arange(len(intercepts)), probing.numbers(query, "present"))
    return np.where(is_present, score, -np.inf), unit


analysis: type[Analysis] = ProbeRidge
