"""Linear equations over exact sums, solved without rounding: a nearly singular design costs no digit.

Elimination without fractions (Bareiss 1968, "Sylvester's identity and multistep integer-preserving Gaussian
elimination"), so that numbers grow no longer than the minors that they are.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_sums import Exact


class SingularError(ArithmeticError):
    """A symmetric matrix has no inverse. column: the first one that those before it give."""

    def __init__(self, column: int) -> None:
        super().__init__(f"column {column} depends on those before it.")
        self.column = column


def solved(matrix: Exact, right: Exact) -> Exact:
    """x of matrix x = right, for a positive definite (p, p) matrix and (p, m) right sides. Raises SingularError."""
    size, width = len(matrix), right.shape[1]
    rows = _eliminated(_whole_numbers(matrix, right), size)
    answer = exact_zeros(size, width)
    for i in range(size - 1, -1, -1):
        for k in range(width):
            rest = sum((rows[i][j] * answer[j, k] for j in range(i + 1, size)), Fraction(0))
            answer[i, k] = (rows[i][size + k] - rest) / rows[i][i]
    return answer


def inverse(matrix: Exact) -> Exact:
    """Of a positive definite matrix. Raises SingularError."""
    identity = exact_zeros(len(matrix), len(matrix))
    for i in range(len(matrix)):
        identity[i, i] = Fraction(1)
    return solved(matrix, identity)


def log_determinant(matrix: Exact) -> float:
    """Natural logarithm of a positive definite matrix's determinant. Raises SingularError."""
    return float(np.sum(np.log([float(residual) for residual in residuals(matrix)]))) if len(matrix) else 0.0


def residuals(matrix: Exact) -> list[Fraction]:
    """Of a matrix of sums of products: what of each column's square those before it leave.

    Ends before the first column of which nothing is left.
    """
    size, scale = len(matrix), lcm(*(entry.denominator for entry in matrix.ravel().tolist()))
    rows = [[int(entry * scale) for entry in row] for row in matrix.tolist()]
    found: list[Fraction] = []
    before = 1
    for k in range(size):
        if rows[k][k] <= 0:
            break
        found.append(Fraction(rows[k][k], before * scale))
        _step(rows, k, before)
        before = rows[k][k]
    return found


def from_upper(values: Exact, size: int) -> Exact:
    """A symmetric (size, size) matrix from its upper triangle, row by row; leading axes stay."""
    matrix = np.empty((*values.shape[:-1], size, size), dtype=object)
    i, j = np.triu_indices(size)
    matrix[..., i, j] = values
    matrix[..., j, i] = values
    return matrix


def exact_zeros(*shape: int) -> Exact:
    """Fractions."""
    zeros = np.empty(shape, dtype=object)
    zeros[...] = Fraction(0)
    return zeros


def exact_fractions(values: NDArray[np.float64]) -> Exact:
    """Doubles as they are."""
    array = np.empty(values.shape, dtype=object)
    array[...] = np.vectorize(Fraction, otypes=[object])(values) if values.size else array
    return array


def exact_product(left: Exact, right: Exact) -> Exact:
    """The matrix product of fractions."""
    return np.asarray(np.dot(left, right), dtype=object)


def _whole_numbers(matrix: Exact, right: Exact) -> list[list[int]]:
    """Both sides, each row multiplied by what makes it whole; the matrix's rows by one number, to stay symmetric."""
    rows = np.concatenate([matrix, right], axis=1)
    scale = lcm(*(entry.denominator for entry in rows.ravel().tolist()))
    return [[int(entry * scale) for entry in row] for row in rows.tolist()]


def _eliminated(rows: list[list[int]], size: int) -> list[list[int]]:
    before = 1
    for k in range(size):
        if rows[k][k] <= 0:
            raise SingularError(k)
        _step(rows, k, before)
        before = rows[k][k]
    return rows


def _step(rows: list[list[int]], k: int, before: int) -> None:
    """One column of Bareiss's elimination, below the diagonal."""
    pivot, of_pivot = rows[k][k], rows[k]
    for i in range(k + 1, len(rows)):
        factor = rows[i][k]
        rows[i] = [(pivot * entry - factor * above) // before for entry, above in zip(rows[i], of_pivot, strict=True)]
