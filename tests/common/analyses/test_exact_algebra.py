from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.analyses._exact_algebra import (
    SingularError,
    exact_fractions,
    exact_product,
    from_upper,
    inverse,
    log_determinant,
    residuals,
    solved,
)


@given(st.integers(1, 5), st.integers(0, 1000))
def test_a_solution_is_exact(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = exact_fractions(rng.normal(size=(size + 3, size)))
    matrix, right = exact_product(rows.T, rows), exact_fractions(rng.normal(size=(size, 2)))
    assert (exact_product(matrix, solved(matrix, right)) == right).all()
    assert (exact_product(matrix, inverse(matrix)) == exact_fractions(np.eye(size))).all()
    assert np.isclose(log_determinant(matrix), np.linalg.slogdet(matrix.astype(np.float64))[1])


def test_a_column_that_others_give_leaves_nothing() -> None:
    rows = exact_fractions(
        np.array([[1.0, 2, 3], [1, 4, 5], [1, 7, 8], [1, 1, 2]])
    )  # the third: the sum of the others
    matrix = exact_product(rows.T, rows)
    assert residuals(matrix) == [Fraction(4), Fraction(21)]  # 70 - 14^2 / 4
    with pytest.raises(SingularError) as raised:
        inverse(matrix)
    assert raised.value.column == 2


def test_an_upper_triangle_becomes_a_symmetric_matrix() -> None:
    whole = from_upper(np.array([[1, 2, 3]], dtype=object), 2)
    assert whole.tolist() == [[[1, 2], [2, 3]]]
