"""Regressions as blocks of estimating equations: linear, and logistic also of shares between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.causality.equations import Block, Floats, Rows, Theta

Family = Literal["linear", "logistic"]
LARGEST_EXPONENT = 700.0


def predictor(design: Floats, coefficients: NDArray[Any]) -> NDArray[Any]:
    """(N, q) on (q,), column by column: a row's value must not depend on the rows beside it, as it does in BLAS."""
    total = np.zeros(len(design), dtype=coefficients.dtype)
    for index in range(design.shape[1]):
        total = total + np.ascontiguousarray(design[:, index]) * coefficients[index]
    return total


def expected(family: Family, design: Floats, coefficients: NDArray[Any]) -> NDArray[Any]:
    """The mean that a regression predicts for every row."""
    value = predictor(design, coefficients)
    return value if family == "linear" else logistic(value)


def logistic(value: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-value)), also of complex numbers."""
    held = value + (np.clip(value.real, -LARGEST_EXPONENT, LARGEST_EXPONENT) - value.real)
    return np.asarray(1.0 / (1.0 + np.exp(-held)))


def regression(
    name: str,
    family: Family,
    size: int,
    design: Callable[[Rows], Floats],
    response: Callable[[Rows, Theta], NDArray[Any]],
    weight: Callable[[Rows], Floats] | None = None,
    reads: tuple[str, ...] = (),
    ridge: float = 0.0,
    eased: tuple[int, ...] = (),
) -> Block:
    """The equations of maximum likelihood, X' w (response - mean) = 0; size: columns of the design.

    eased: columns of treatments, which a ridge hardly pulls.
    """

    def weights(rows: Rows) -> Floats | float:
        return 1.0 if weight is None else weight(rows)

    def scores(rows: Rows, theta: Theta) -> NDArray[Any]:
        x = design(rows)
        residual = weights(rows) * (response(rows, theta) - expected(family, x, theta[name]))
        return np.asarray(x * residual[:, None])

    def own_slopes(rows: Rows, theta: Theta) -> Floats:
        x = design(rows)
        mean = expected(family, x, theta[name])
        bend = np.ones(len(x)) if family == "linear" else mean * (1.0 - mean)
        return np.asarray(-(weights(rows) * bend)[:, None, None] * (x[:, :, None] * x[:, None, :]))

    return Block(name, size, scores, reads, own_slopes, ridge, eased)
