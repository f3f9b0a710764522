from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.asking.exact_sums import FRACTION_BITS, added, checked, counts, exact_products, exact_sum, reals
from common.errors import HospitalError, WireError

PLAIN = st.floats(-1e30, 1e30, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-12)


@given(st.lists(PLAIN, max_size=20))
def test_a_sum_of_doubles_is_exactly_that_of_their_fractions(values: list[float]) -> None:
    total = exact_sum(np.array(values, dtype=np.float64))
    assert Fraction(int(total[()]), 1 << FRACTION_BITS) == sum(map(Fraction, values), Fraction(0))


@given(st.lists(st.tuples(PLAIN.filter(lambda v: v == 0 or abs(v) > 1e-3), PLAIN), max_size=20))
def test_a_sum_of_products_loses_less_than_a_unit_of_each(pairs: list[tuple[float, float]]) -> None:
    left, right = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    if (np.abs(left * right) > 1e35).any():
        return
    total = Fraction(int(exact_products(left, right)[()]), 1 << FRACTION_BITS)
    exact = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    assert abs(total - exact) <= Fraction(2 * len(pairs), 1 << FRACTION_BITS)


def test_a_variance_far_from_zero_is_kept() -> None:
    values = 1e9 + np.arange(10.0)
    first, second = (Fraction(int(one[()]), 1 << 128) for one in (exact_sum(values), exact_products(values, values)))
    assert (second - first * first / 10) / 9 == Fraction(55, 6)


def test_hospitals_parts_add_up_to_what_all_rows_give() -> None:
    rows, parts = np.random.default_rng(0).normal(size=(30, 2, 3)) * 1e6, {"x": reals(2, 3)}
    divided = added(parts, [checked(parts, {"x": exact_sum(part)}) for part in (rows[:1], rows[1:7], rows[7:])])
    assert (divided.integers["x"] == exact_sum(rows)).all()
    assert np.allclose(divided["x"], rows.sum(axis=0), rtol=1e-12, atol=0)


def test_numbers_that_no_sum_can_hold_are_refused() -> None:
    for value in (np.inf, np.nan, 1e37):
        with pytest.raises(HospitalError):
            exact_sum(np.array([value]))
    with pytest.raises(WireError, match="range"):
        checked({"n": counts()}, {"n": np.array(1 << 63, dtype=object)})
    with pytest.raises(ValueError, match="shape"):
        checked({"n": counts(2)}, {"n": np.array(1)})
