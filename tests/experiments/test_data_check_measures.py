"""Measures of cases for `wardround data check`."""

import numpy as np

from common.data.cases import Cases
from experiments.data_check.measures import measured


def test_quantiles_are_those_of_a_slow_loop() -> None:
    pixels = np.random.default_rng(0).normal(size=(3, 1, 12, 10)).astype(np.float32)
    cases = Cases.of(pixels, np.zeros(3, int), ["a", "b", "c"], ("none", "some"))
    (rows,) = measured(cases)
    for row, image in enumerate(cases.inputs):
        values = sorted(image.ravel().tolist())
        for place in (0, 1, 50, 99, 100):
            assert rows["quantiles"][row, place] == np.float32(values[round(place / 100 * (len(values) - 1))])
