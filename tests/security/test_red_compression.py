"""A coordinator that foresees how values are rounded, and hospitals that add up more than values can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from client.compressed_updates import compressed
from common.compression.rotation import Rotation
from common.errors import WireError
from common.seeding import generator
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._fixed_point import BLOCK_VALUES, DRAWS, FixedPoint
from common.sums.aggregations._keystream import STREAM_BYTES, RoundingDraws
from common.sums.update import Update
from tests.client.test_compressed_updates import KINDS, hospital_of, order_of

LENGTH, STEP = 20_000, 0.01
SITES = ("hospital-1", "hospital-2", "hospital-3", "hospital-4")
Values = NDArray[np.float64]


def small_updates() -> dict[str, NDArray[np.float32]]:
    """Nearly all values are below a third of the step."""
    rng = np.random.default_rng(5)
    return {site: rng.normal(0, STEP / 10, LENGTH).astype(np.float32) for site in SITES}


Opened = tuple[Values, dict[str, Values], Values]
"""A sum in steps, the draws of each hospital that the study's seed gives, and the victim's own values in the sum."""


def sum_of_few_bits(updates: dict[str, NDArray[np.float32]]) -> Opened:
    """Of hospitals that compress, and so turn their values first, by what the seed gives too."""
    hospital = hospital_of(*KINDS["int8 in sums"])
    turned = Rotation(hospital.study.seed, 1).turned(updates[SITES[0]].astype(np.float64))
    total, foreseen = np.zeros(turned.size), {}
    for site, update in updates.items():
        object.__setattr__(hospital, "site", site)
        total += compressed(Update((update,), 9.0), hospital, order_of(1), {}, {}).vectors[0] / STEP
        foreseen[site] = generator(hospital.study.seed, 1, site, "compression").random(turned.size)
    return np.round(total), foreseen, turned


def sum_in_a_scale_of_the_coordinators(updates: dict[str, NDArray[np.float32]]) -> Opened:
    """The same of 24 bits, whose step is as large once the coordinator tells a scale that no hospital has."""
    codec = FixedPoint(24, 1.0)
    agreed = Agreement(SITES, LENGTH, 1, (), STEP / codec.step)
    total, foreseen = np.zeros(LENGTH), {}
    for site, update in updates.items():
        words = codec.encode(Update((update,), 9.0), agreed, generator(7, 1, site, "protocol"))
        draws = RoundingDraws(generator(7, 1, site, "protocol").bytes(STREAM_BYTES), BLOCK_VALUES).next(LENGTH)
        of_nought = codec.levels / 2 + (draws + 0.5) / DRAWS
        total += words[:LENGTH] - np.floor(of_nought)
        foreseen[site] = of_nought % 1
    return total, foreseen, updates[SITES[0]].astype(np.float64)


@pytest.mark.parametrize("opened", [sum_of_few_bits, sum_in_a_scale_of_the_coordinators])
def test_a_sum_of_large_steps_tells_no_single_hospital_whose_draws_follow_from_the_seed(
    opened: Callable[..., Opened],
) -> None:
    """Where the victim's draw is nearly 1 and all others' are in the middle, a sum of 1 would be its own value."""
    total, foreseen, values = opened(small_updates())
    victim, *others = SITES
    quiet = np.all([(foreseen[site] > 0.3) & (foreseen[site] < 0.6) for site in others], axis=0)
    ours = quiet & (foreseen[victim] > 0.85)
    assert ours.sum() > 50
    goes_up = values[ours] / STEP >= 1 - foreseen[victim][ours]
    assert 5 < goes_up.sum() < ours.sum() - 5
    told = np.corrcoef(total[ours], goes_up)[0, 1]
    assert abs(told) < 0.5


def test_a_sum_that_no_words_add_up_to_is_no_sum() -> None:
    codec, agreed = FixedPoint(4, 1.0), Agreement(SITES, 2, 1, (), 1.0)
    own = Update((np.array([1, -1], np.float32),), 1.0)
    one = codec.encode(own, agreed, np.random.default_rng(0)).astype(np.uint64)
    most = one * np.uint64(len(SITES))
    assert most[0] == 4 * 15
    assert codec.decode(most, 4, agreed).vectors[0][0] == pytest.approx(4.0)
    most[0] += np.uint64(1)
    with pytest.raises(WireError, match="beyond what 4 hospitals can add up to"):
        codec.decode(most, 4, agreed)
