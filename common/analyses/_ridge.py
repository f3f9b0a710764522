"""Ridge regression of several targets on features from one round of exact sums of products."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from common.analyses import _probe as probing
from common.analyses._exact_algebra import exact_fractions, exact_product, from_upper
from common.analyses._preparation import linear_predictor
from common.analyses._probe import Sums, Values
from common.asking.analysis import Query
from common.asking.exact_gram import exact_gram
from common.asking.exact_sums import Exact, Part, Total, reals

PRODUCTS = "products"
REFINED_TO = 512
"""Features of which residuals are still worked out without rounding."""
NOTHING = 1e-12
"""Of the largest eigenvalue of features scaled to one spread: less is left by rounding."""


@dataclass(frozen=True)
class Ridge:
    """coefficients: (D, K) of features as they are. centres, spreads: (K,) of predictions in training."""

    coefficients: Values
    intercepts: Values
    centres: Values
    spreads: Values


def ridge_parts(width: int, targets: int) -> dict[str, Part]:
    """Of the round of products."""
    return {"products": reals((width + 1) * (width + 2) // 2), "targets": reals(width + 1, targets)}


def ridge_sums(features: Values, targets: Values) -> Sums:
    """The hospital's half. features: (N, D), targets: (N, K), both on the grid."""
    rows = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    return {"products": exact_gram(rows, rows)[np.triu_indices(rows.shape[1])], "targets": exact_gram(rows, targets)}


def ridge(total: Total, rows: int, penalty: float, standardise: bool) -> Ridge:
    """As scikit-learn's Ridge of alpha = `penalty`, behind its StandardScaler where features are standardised."""
    targets = total.exact("targets")
    products = from_upper(total.exact("products"), len(targets))
    means, target_means = products[0, 1:] / rows, targets[0] / rows
    centred = products[1:, 1:] - np.outer(products[0, 1:], means)
    variances = np.diag(centred) / rows
    is_constant = variances <= Fraction(probing.CONSTANT) * np.diag(products)[1:] / rows
    squares = variances.copy() if standardise else exact_fractions(np.ones(len(means)))
    squares[is_constant] = Fraction(1)
    penalised = centred + np.diag(squares * Fraction(penalty))
    scale = np.sqrt(np.where(is_constant, 1.0, variances.astype(np.float64)))
    found = _solved(penalised, targets[1:] - np.outer(products[0, 1:], target_means), scale, bool(penalty))
    middle = target_means.astype(np.float64)
    squared = np.einsum("ik,ij,jk->k", found, centred.astype(np.float64), found) / rows
    spreads = np.sqrt(np.maximum(squared, 0))
    return Ridge(found, middle - means.astype(np.float64) @ found, middle, np.where(spreads > 0, spreads, 1.0))


def predicted(features: Values, query: Query) -> Values:
    """(N, K) by coefficients and intercepts that are told, every row by itself."""
    intercepts = probing.numbers(query, "intercepts").reshape(-1)
    coefficients = probing.numbers(query, "coefficients").reshape(features.shape[1], len(intercepts))
    return np.stack([linear_predictor(features, one) for one in coefficients.T], axis=1) + intercepts


def _solved(matrix: Exact, right: Exact, scale: Values, is_penalised: bool) -> Values:
    """x of matrix x = right, columns brought to one size first; the shortest x where the matrix has no inverse."""
    scaled, wanted = matrix.astype(np.float64) / np.outer(scale, scale), right.astype(np.float64) / scale[:, None]
    if not is_penalised:
        return _shortest(scaled, wanted) / scale[:, None]
    try:
        factor = cho_factor(scaled, lower=True)
    except np.linalg.LinAlgError:  # a penalty that is lost beside the products
        return _shortest(scaled, wanted) / scale[:, None]
    found: NDArray[np.float64] = cho_solve(factor, wanted) / scale[:, None]
    if len(matrix) <= REFINED_TO:
        left = (right - exact_product(matrix, exact_fractions(found))).astype(np.float64)
        found = found + cho_solve(factor, left / scale[:, None]) / scale[:, None]
    return found


def _shortest(matrix: Values, right: Values) -> Values:
    values, vectors = np.linalg.eigh(matrix)
    kept = values > NOTHING * max(float(values.max(initial=0.0)), 0.0)
    within = vectors[:, kept]
    return np.asarray(within @ ((within.T @ right) / values[kept, None]))
