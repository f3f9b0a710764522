"""nnU-Net's rules: worked out by hand, and laws that every plan keeps."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StudyError
from common.segmentation.self_configuration import (
    LEAST_BATCH,
    MOST_BATCH,
    Budget,
    Fingerprint,
    Plan,
    Spread,
    divisible,
    first_patch,
    halvings,
    memory_mb,
    plan_of,
    target_spacing,
)


def all_at(*values: float) -> tuple[Spread, ...]:
    return tuple(Spread(one, one, one, one) for one in values)


def fingerprint(*sides: float, spacing: tuple[Spread, ...] = (), cases: int = 600, hospitals: int = 3) -> Fingerprint:
    return Fingerprint(cases, hospitals, 1, all_at(*sides), spacing, all_at(*sides) if spacing else ())


def slow_halvings(patch: tuple[int, ...], most: int) -> int:
    count = 0
    while count < most and all(side / 2 ** (count + 1) >= 4 for side in patch):
        count += 1
    return count


def test_a_thick_axis_is_brought_to_its_tenth_percentile_and_others_to_the_median() -> None:
    spacing = (*all_at(0.8, 0.7), Spread(3.0, 5.0, 7.0, 8.0))
    assert target_spacing(spacing, all_at(512, 512, 60)) == (0.8, 0.7, 3.0)
    finer = (*all_at(0.8, 0.7), Spread(0.5, 5.0, 7.0, 8.0))
    assert target_spacing(finer, all_at(512, 512, 60)) == (0.8, 0.7, 0.8)


def test_a_thick_axis_with_as_many_voxels_as_the_others_stays_at_its_median() -> None:
    spacing = (*all_at(0.8, 0.7), Spread(3.0, 5.0, 7.0, 8.0))
    assert target_spacing(spacing, all_at(512, 512, 300)) == (0.8, 0.7, 5.0)


def test_a_patch_is_as_many_millimetres_long_along_every_axis_and_no_longer_than_the_median_case() -> None:
    assert first_patch((1.0, 1.0, 1.0), (300, 300, 300)) == (256, 256, 256)
    assert first_patch((1.0, 1.0, 4.0), (4000, 4000, 4000)) == (416, 416, 112)  # 406.4, 406.4, 101.6
    assert first_patch((1.0, 1.0, 1.0), (36, 50, 35)) == (40, 56, 40)  # three halvings: multiples of 8


def test_what_training_keeps_is_as_counted_by_hand() -> None:
    # 15 maps of 4 bytes, with gradients: 120 bytes a channel and pixel; 16^2 with 2 channels, 8^2 with 4, 4^2 with 8
    assert memory_mb((16, 16), 2) == pytest.approx(120 * (256 * 2 + 64 * 4 + 16 * 8) / 2**20)


def test_cases_that_fit_are_shown_whole_and_larger_ones_in_patches() -> None:
    small = plan_of(fingerprint(44, 59, spacing=all_at(1, 1)), Budget())
    assert (small.patch, small.whole, small.widths) == ((48, 64), True, (8, 16, 32, 64))
    large = plan_of(fingerprint(240, 240, 155, spacing=all_at(1, 1, 1)), Budget(8, 512))
    assert not large.whole
    assert len(large.widths) >= 4
    assert large.batch_size == 2
    assert min(large.patch) >= 32


def test_one_far_larger_case_does_not_make_all_others_whole() -> None:
    sides = (Spread(40, 44, 50, 400), Spread(50, 59, 60, 400))
    assert not plan_of(Fingerprint(600, 3, 1, sides), Budget(memory_mb=4096)).whole


def test_a_batch_is_a_twentieth_of_what_a_hospital_has_unless_memory_or_the_limits_say_otherwise() -> None:
    assert plan_of(fingerprint(64, 64, cases=1080, hospitals=4), Budget()).batch_size == 14  # 0.05 * 270 = 13.5
    assert plan_of(fingerprint(64, 64, cases=30), Budget()).batch_size == LEAST_BATCH[2]
    assert plan_of(fingerprint(64, 64, cases=90_000), Budget()).batch_size == MOST_BATCH


def test_ct_is_clipped_to_what_is_outlined_and_mostly_empty_images_are_scaled_without_their_rest() -> None:
    ct = Fingerprint(9, 3, 1, all_at(64, 64, 64), brightness=(-58.3, 201.2), hounsfield=0.9)
    assert (plan_of(ct, Budget()).normalisation, plan_of(ct, Budget()).window) == ("minmax", (-58.0, 201.0))
    assert plan_of(Fingerprint(9, 3, 4, all_at(64, 64, 64), filled=0.5), Budget()).normalisation == "zscore_nonzero"
    assert plan_of(Fingerprint(9, 3, 1, all_at(64, 64, 64)), Budget()).normalisation == "zscore"


def test_nothing_is_said_to_be_resampled_where_nothing_resamples() -> None:
    uneven = (Spread(1, 2, 3, 3), *all_at(1, 1))
    free = plan_of(fingerprint(40, 40, 40, spacing=uneven), Budget())
    bound = plan_of(fingerprint(40, 40, 40, spacing=uneven), Budget(resamples=False))
    assert (free.spacing_mm, bound.spacing_mm) == ((2.0, 1.0, 1.0), ())
    assert "nothing here resamples" in bound.reasons[0]


def test_a_budget_that_nothing_fits_is_refused_with_what_to_raise() -> None:
    with pytest.raises(StudyError, match=r"memory_mb"):
        plan_of(fingerprint(64, 64, 64), Budget(channels=512, memory_mb=1))


@settings(max_examples=30, deadline=None)
@given(
    sides=st.lists(st.integers(4, 600), min_size=2, max_size=3).map(tuple),
    mm=st.lists(st.floats(0.2, 8), min_size=3, max_size=3),
    memory=st.floats(64, 4096),
    channels=st.integers(4, 16),
)
def test_every_plan_fits_its_memory_and_its_levels(
    sides: tuple[int, ...], mm: list[float], memory: float, channels: int
) -> None:
    plan: Plan = plan_of(fingerprint(*sides, spacing=all_at(*mm[: len(sides)])), Budget(channels, memory))
    assert all(side % 2 ** (len(plan.widths) - 1) == 0 for side in plan.patch)
    assert slow_halvings(plan.patch, 5 if len(sides) == 3 else 7) == halvings(plan.patch) >= len(plan.widths) - 1
    assert plan.memory_mb == plan.batch_size * memory_mb(plan.patch, channels) <= memory
    assert plan.batch_size >= LEAST_BATCH[len(sides)]
    assert prod(plan.patch) <= prod(divisible(sides))
