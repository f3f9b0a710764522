"""Bias squared, variance and noise add up to the error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ImageError
from common.metrics.bias_variance import of_classes, of_numbers


def test_numbers_by_hand() -> None:
    """Case 1: t = 1, answers 2 and 4: bias^2 (1 - 3)^2 = 4, variance 1. Case 2: t = 0, answers 0 and 0."""
    found = of_numbers([[2, 0], [4, 0]], [1, 0])
    assert (found.bias_squared, found.variance, found.noise, found.error) == (2.0, 0.5, 0.0, 2.5)


def test_noise_is_the_variance_of_the_truth_of_equal_inputs() -> None:
    """One place, t = 1 and 3, answers 2 and 4: (2 - 3)^2 = 1, Var(h) = 1, Var(t) = 1; the error is 3."""
    found = of_numbers([[2, 2], [4, 4]], [1, 3], [[7.0], [7.0]])
    assert (found.bias_squared, found.variance, found.noise, found.repeated) == (1.0, 1.0, 1.0, 1.0)
    assert found.error == np.mean([(1 - 2) ** 2, (3 - 2) ** 2, (1 - 4) ** 2, (3 - 4) ** 2])


def test_classes_by_hand() -> None:
    """Of three models two are right: half of (1 - 2/3)^2 + (1/3)^2 is 1/9, half of 1 - 4/9 - 1/9 is 2/9."""
    found = of_classes([[0], [0], [1]], [0])
    assert (found.bias_squared, found.variance) == (pytest.approx(1 / 9), pytest.approx(2 / 9))
    assert found.error == pytest.approx(1 / 3)


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_parts_add_up_to_the_mean_error(models: int, cases: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 3, (cases, 1)).astype(float)
    numbers, truth = rng.normal(size=(models, 3)), rng.normal(size=cases)
    answers = numbers[:, inputs[:, 0].astype(int)]
    assert of_numbers(answers, truth, inputs).error == pytest.approx(((answers - truth) ** 2).mean())
    classes, true = rng.integers(0, 3, (models, 3))[:, inputs[:, 0].astype(int)], rng.integers(0, 3, cases)
    assert of_classes(classes, true, inputs).error == pytest.approx((classes != true).mean())


def test_answers_of_other_cases_are_refused() -> None:
    with pytest.raises(ImageError, match="not of 3 cases"):
        of_numbers([[1, 2]], [1, 2, 3])
