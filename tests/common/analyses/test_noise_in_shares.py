"""Shares of noisy counts: Wilson's interval where there is no noise, and its cover where there is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from common.analyses._noise import margin_of, noisy_wilson, numbers_of_noise, spread_of, words_of_noise
from common.asking import Query, counts
from common.asking.exact_sums import added
from common.asking.noise import SumNoise

CELLS = Query({"n": counts(3)})


@pytest.mark.parametrize(("count", "n"), [(0, 10), (3, 10), (10, 10), (70, 1000)])
def test_without_noise_it_is_wilsons(count: int, n: int) -> None:
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert noisy_wilson(count, n, 2, 0.0) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("n", "epsilon"), [(40, 0.2), (40, 2.0), (400, 0.1), (400, 1.0), (4000, 0.5)])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_it_holds_the_share_of_the_population_as_often_as_it_says(n: int, epsilon: float, share: float) -> None:
    rng, times = np.random.default_rng([n, int(10 * share)]), 2000
    total = SumNoise(epsilon).told(CELLS, added(CELLS.parts, []), 1)
    each = rng.multinomial(n, [share, 0.7 * (1 - share), 0.3 * (1 - share)], size=times)
    a = np.exp(-epsilon)
    noisy = each + rng.geometric(1 - a, each.shape) - rng.geometric(1 - a, each.shape)
    found = [
        noisy_wilson(row[0], row.sum(), 3, spread_of(total, "n")) for row in noisy.tolist() for row in [np.array(row)]
    ]
    held = np.mean([low <= share <= high for low, high in found])
    assert held >= 0.935


def test_words_say_how_far_a_count_may_be_off() -> None:
    exact = added(CELLS.parts, [])
    assert words_of_noise(margin_of(exact, "n")) == () and numbers_of_noise(margin_of(exact, "n")) == {}
    noisy = SumNoise(0.1).told(CELLS, exact, 1)
    margin = margin_of(noisy, "n")
    assert words_of_noise(margin) == ("Noise was added: each count is within 30 of the truth with a chance of 95 %.",)
    assert numbers_of_noise(margin) == {"noise_margin": 30.0} and margin_of(noisy, "n", 4) == 60.0
