"""What the benchmarks of sums measure is the same mean, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Literal

import numpy as np
import pytest

from common.sums.aggregation import Aggregation
from common.sums.aggregations.additive import AdditiveSharing
from common.sums.aggregations.bfv import Bfv
from common.sums.aggregations.ckks import Ckks
from common.sums.aggregations.secagg import SecureAggregation
from experiments.benchmarks._flower_sums import secagg_plus
from experiments.benchmarks._one_among import Crowd, Watched
from experiments.benchmarks._sums import work, worked
from experiments.benchmarks._tenseal_sums import NVFLARE, TUTORIAL, Settings, ckks_sum

VALUES = 5000


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_flowers_workflow_gives_the_mean_of_those_that_stayed(lost: int) -> None:
    given = work(7, VALUES)
    numbers = {site: number for number, site in enumerate(given.sites, start=1)}
    done = secagg_plus(
        {numbers[site]: values for site, values in given.values.items()},
        {numbers[site]: weight for site, weight in given.weights.items()},
        [numbers[site] for site in given.sites[:lost]],
        clipping_range=1.0,
    )
    assert given.largest_error(done.mean, given.sites[lost:]) < 2e-6
    assert len(done.client_s) == 7 - lost
    assert all(sent > 8 * VALUES for sent in done.sent_bytes.values())


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_our_sums_under_masks_give_the_mean_of_those_that_stayed(lost: int) -> None:
    given = work(7, VALUES)
    done = worked(SecureAggregation(), given, given.sites[:lost])
    assert done.error < 1e-6
    assert set(done.client_s) == {"keys", "shares", "round", "survivors", "unmask"}


@pytest.mark.parametrize("make", [AdditiveSharing, Bfv, lambda: Bfv(keys="shared"), lambda: Ckks(mode="economical")])
def test_our_other_sums_give_the_mean_of_all(make: Callable[[], Aggregation]) -> None:
    done = worked(make(), work(5, VALUES))
    assert done.error < 2e-6
    assert done.sent_bytes > 2 * VALUES


@pytest.mark.parametrize("settings", [TUTORIAL, NVFLARE])
def test_tenseal_used_directly_gives_the_sum(settings: Settings) -> None:
    given = work(3, VALUES)
    done = ckks_sum(settings, given.values)
    total = sum(values.astype(np.float64) for values in given.values.values())
    np.testing.assert_allclose(done.total, total, atol=1e-6)
    assert done.sent_bytes > 10 * 4 * VALUES


@pytest.mark.parametrize(("neighbours", "partners"), [("all", {29}), (15, range(15, 30))])
def test_one_hospital_among_a_crowd_goes_through_all_legs(
    neighbours: Literal["all"] | int, partners: Container[int]
) -> None:
    crowd = Crowd(SecureAggregation(neighbours=neighbours, secrecy_bits=20), 30, VALUES)
    seen = Watched(crowd, crowd.sites[3]).play()
    assert seen.partners in partners
    assert list(seen.went) == ["keys", "shares", "round", "survivors", "unmask"]
    assert seen.went["round"] > 4 * VALUES > sum(seen.came.values())
    if (told := crowd.aggregation.bytes_beside(30, (30,))) is not None:
        # What is told is an average, over 22 partners.
        assert sum(seen.came.values()) == pytest.approx(told.sent * seen.partners / 22, rel=0.25)
        assert sum(seen.went.values()) == pytest.approx(told.received + 4 * VALUES, rel=0.15)
