"""Which rows that are alike sort cases, and which only came to be alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from client.imprints import MOST_PARALLEL, sorting

ROWS, COLUMNS, CASES = 24, 40, 200


def shown(scale: float = 1.0) -> NDArray[np.float64]:
    return scale * np.random.default_rng(1).normal(0.3, 1, (CASES, COLUMNS))


def start() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As torch draws a linear layer."""
    rng, bound = np.random.default_rng(0), COLUMNS**-0.5
    weights, bias = rng.uniform(-bound, bound, (ROWS, COLUMNS)), rng.uniform(-bound, bound, ROWS)
    return weights.astype(np.float32), bias.astype(np.float32)


def imprint(blur: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    direction = np.full(COLUMNS, COLUMNS**-0.5)
    noise = blur * np.random.default_rng(2).normal(0, COLUMNS**-0.5, (ROWS, COLUMNS))
    thresholds = np.quantile(shown() @ direction, np.linspace(0.02, 0.98, ROWS))
    return (direction + noise).astype(np.float32), -thresholds.astype(np.float32)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_rows_of_one_direction_with_thresholds_among_the_cases_are_an_imprint_at_any_scale(scale: float) -> None:
    weights, bias = imprint(0.0)
    assert sorting(weights, scale * bias, shown(scale)) == (ROWS, ROWS)


def test_an_imprint_under_noise_is_one_still() -> None:
    parallel, in_bins = sorting(*imprint(0.05), shown())
    assert parallel <= MOST_PARALLEL and in_bins == ROWS


def test_an_honest_start_has_no_rows_that_are_alike() -> None:
    assert sorting(*start(), shown()) == (1, 0)


@pytest.mark.parametrize("step", [3.0, 30.0, 3000.0])
def test_a_layer_that_a_large_step_made_all_alike_sorts_nobody(step: float) -> None:
    weights, bias = start()
    units, inputs = step * np.random.default_rng(3).normal(0, 1, ROWS), shown()[:16].mean(0)
    moved = weights + np.outer(units, inputs).astype(np.float32), bias + units.astype(np.float32)
    assert sorting(*moved, shown()) == (1, 0)


def test_a_network_that_begins_with_equal_rows_may() -> None:
    weights, bias = np.full((ROWS, COLUMNS), 0.1, np.float32), np.full(ROWS, 0.2, np.float32)
    assert sorting(weights, bias, shown()) == (1, 0)


def test_rows_that_are_shown_nothing_sort_nobody() -> None:
    assert sorting(*imprint(0.0), np.zeros((CASES, COLUMNS))) == (1, 0)
