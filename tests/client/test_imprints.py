"""Which rows that are alike sort cases, and which only came to be alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from client.imprints import MANY_ROWS, MOST_PARALLEL, NEARLY_PARALLEL, SHADOWS, _alike, sorting

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


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3, 1e12])
def test_rows_of_one_direction_with_thresholds_among_the_cases_are_an_imprint_at_any_scale(scale: float) -> None:
    weights, bias = imprint(0.0)
    assert sorting(weights, scale * bias, shown(scale)) == (ROWS, ROWS)


def test_an_imprint_under_noise_is_one_still() -> None:
    parallel, in_bins = sorting(*imprint(0.05), shown())
    assert parallel <= MOST_PARALLEL and in_bins == ROWS


@pytest.mark.parametrize("blur", [0.0, 0.05])
def test_an_input_of_any_size_that_the_rows_leave_out_hides_no_imprint(blur: float) -> None:
    weights, bias = imprint(blur)
    weights, inputs = np.c_[weights, np.zeros(ROWS, np.float32)], np.c_[shown(), 1e12 * np.arange(CASES)]
    assert sorting(weights, bias, inputs)[1] == ROWS


def test_an_input_that_is_alike_for_all_is_a_threshold_too() -> None:
    weights, bias = imprint(0.0)
    weights, inputs = np.c_[weights, bias / 1e3], np.c_[shown(), np.full(CASES, 1e3)]
    assert sorting(weights, np.zeros_like(bias), inputs) == (ROWS, ROWS)


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


def test_an_imprint_of_a_few_rows_is_seen_in_a_layer_of_thousands() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(MANY_ROWS + 200, 2 * SHADOWS)).astype(np.float32)
    assert _alike(rows) == (0, 0, len(rows))
    direction, apart = rng.normal(size=rows.shape[1]), np.sqrt(1 / NEARLY_PARALLEL - 1) * 0.9
    for place in range(MOST_PARALLEL + 1):
        rows[place * 300] = direction + apart * rng.normal(size=rows.shape[1])
    assert _alike(rows)[1] >= MOST_PARALLEL


def test_rows_are_compared_the_same_in_blocks_as_all_at_once() -> None:
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(1500, 40)).astype(np.float32)
    rows[::100] = 3 * rows[0]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert _alike(rows)[0] == (np.abs(unit @ unit.T) >= 0.9999).sum(1).max() == 15


@pytest.mark.parametrize("scale", [1e-42, 1e-23, 1e20, 1e37])
@pytest.mark.parametrize("others", [10, MANY_ROWS])
def test_rows_whose_products_are_not_float32s_are_compared_as_any(scale: float, others: int) -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(others + 5, 2 * SHADOWS)).astype(np.float32)
    rows[:5] = np.float32(scale) * np.sign(rows[0])
    assert _alike(rows)[0] == 5
