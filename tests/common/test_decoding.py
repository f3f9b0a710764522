from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from common.errors import WireError
from common.sums.exchange import Expected, Payload
from common.sums.mean import LARGEST_UNITS, Mean
from common.sums.update import Update
from common.wire.decoding import (
    statistics_from_numbers,
    statistics_to_numbers,
    update_from_payload,
    update_to_payload,
)

EXPECTED = Expected(length=3, vectors=2, largest_weight={"north": 10.0})
GOOD = Update((np.float32([1, 2, 3]), np.float32([4, 5, 6])), 7.0, {"loss": Mean.of([0.5, 1.5])})


def test_an_update_comes_back_as_it_was() -> None:
    back = update_from_payload(update_to_payload(GOOD), "north", EXPECTED)
    assert [vector.tolist() for vector in back.vectors] == [[1, 2, 3], [4, 5, 6]]
    assert (back.weight, back.statistics["loss"].value) == (7.0, 1.0)


@pytest.mark.parametrize(
    ("array", "numbers", "said"),
    [
        (None, {}, "no array"),
        (np.zeros(5, np.float32), {}, "holds 5 numbers; the model needs 6"),
        (np.float32([0, 0, np.nan, 0, np.inf, 0]), {}, "2 of 6 numbers are not finite"),
        (np.zeros(6, np.float32), {"weight": -1.0}, "above 0"),
        (np.zeros(6, np.float32), {"weight": 0.0}, "above 0"),
        (np.zeros(6, np.float32), {"weight": 11.0}, "at most 10"),
        (np.zeros(6, np.float32), {"weight": [1]}, "not a number"),
        (np.zeros(6, np.float32), {"training/loss": [1, 2, 3]}, "two whole numbers"),
        (np.zeros(6, np.float32), {"training/loss": [0.5, 1.0]}, "two whole numbers"),
        (np.zeros(6, np.float32), {"training/loss": [1, -1]}, "out of range"),
        (np.zeros(6, np.float32), {"training/loss": [LARGEST_UNITS + 1, 1]}, "out of range"),
        (np.zeros(6, np.float32), {"training/<script>": [1, 1]}, "name is not made of"),
    ],
)
def test_a_bad_update_is_refused_with_its_reason(
    array: np.ndarray | None, numbers: Mapping[str, float | list[int]], said: str
) -> None:
    with pytest.raises(WireError, match=said):
        update_from_payload(Payload(array, {"weight": 5.0, **numbers}), "north", EXPECTED)


def test_statistics_keep_to_their_prefix() -> None:
    numbers = statistics_to_numbers("test", {"dice": Mean.of([0.25])}) | {"validation/dice": [1, 1]}
    assert statistics_from_numbers("test", numbers) == {"dice": Mean.of([0.25])}


def test_too_many_statistics_are_refused() -> None:
    with pytest.raises(WireError, match="more than 256"):
        statistics_from_numbers("test", {f"test/s{index}": [1, 1] for index in range(257)})
