"""Updates in fewer bytes: each form against numbers by hand, a slow obvious way, a bound, and hostile bytes."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.compression.bfloat16 import Bfloat16
from common.compression.drawn_values import DrawnValues
from common.compression.form import Form, form_of
from common.compression.largest_values import LargestValues, places_of_largest
from common.compression.scaled_integers import ScaledIntegers
from common.compression.whole_steps import WholeSteps, step_of
from common.errors import WireError
from common.study.compression import Compression

FORMS: dict[str, Form] = {
    "bfloat16": Bfloat16(),
    "int8": ScaledIntegers(8, 5),
    "int4": ScaledIntegers(4, 5),
    "top_k with a bitmap": LargestValues(0.3),
    "top_k with places": LargestValues(0.001),
    "random_k": DrawnValues(0.3, 7, 2, scaled=False),
}
VALUES = arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=40, deadline=None)
@given(values=VALUES)
def test_a_form_takes_the_bytes_it_says_and_what_it_sends_is_sent_again_without_loss(
    name: str, values: np.ndarray
) -> None:
    form = FORMS[name]
    data = form.pack(values, rng())
    assert data.dtype == np.uint8 and data.shape == (form.size(values.size),)
    arrived = form.unpack(data, values.size)
    assert arrived.dtype == np.float32 and arrived.shape == values.shape
    if not name.startswith("int"):
        assert np.array_equal(form.unpack(form.pack(arrived, rng()), values.size), arrived)


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_bfloat16_is_torchs(values: np.ndarray) -> None:
    ours = Bfloat16().unpack(Bfloat16().pack(values, rng()), values.size)
    assert np.array_equal(ours, torch.from_numpy(values).bfloat16().float().numpy())


def test_bfloat16_keeps_what_is_finite_finite() -> None:
    largest = np.array([np.finfo(np.float32).max, -np.finfo(np.float32).max, 1e-45], np.float32)
    arrived = Bfloat16().unpack(Bfloat16().pack(largest, rng()), 3)
    assert np.isfinite(arrived).all() and arrived[0] == -arrived[1] > 3.3e38


def test_whole_numbers_of_four_bits_by_hand() -> None:
    """Blocks (7, -3, 0) and (0.5, 0): scales 1 and 0.5 / 7 rounded up to bfloat16, and no draw decides anything."""
    form = ScaledIntegers(4, 3)
    data = form.pack(np.array([7.0, -3.0, 0.0, 0.0, 0.0]), rng())
    assert data[:4].view("<u2").tolist() == [0x3F80, 0]
    assert data[4:].tolist() == [14 | 4 << 4, 7 | 7 << 4, 7]
    assert form.unpack(data, 5).tolist() == [7.0, -3.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("bits", [8, 4])
@settings(max_examples=40, deadline=None)
@given(values=VALUES)
def test_no_rounded_value_is_a_whole_step_off_and_none_is_cut(bits: int, values: np.ndarray) -> None:
    form = ScaledIntegers(bits, 8)
    arrived = form.unpack(form.pack(values, rng()), values.size)
    for start in range(0, values.size, 8):
        block = slice(start, start + 8)
        step = float(np.abs(values[block]).max()) / form.largest * (1 + 2**-7)
        assert np.abs(arrived[block].astype(np.float64) - values[block]).max() <= step + 1e-37


@pytest.mark.parametrize("bits", [8, 4])
def test_the_mean_of_many_roundings_is_the_value_within_five_standard_errors(bits: int) -> None:
    form, times = ScaledIntegers(bits, 6), 4000
    values, draws = np.array([1.0, -0.003, 0.31, 0.007, -0.62, 0.0]), rng()
    found = np.array([form.unpack(form.pack(values, draws), 6) for _ in range(times)], np.float64)
    step = 1 / form.largest * (1 + 2**-7)
    assert np.abs(found.mean(axis=0) - values).max() < 5 * step / 2 / np.sqrt(times)
    assert found.std(axis=0).max() <= step / 2 * 1.05
    assert found[:, 1].std() > 0  # what is below a step is sent now and then, not never


@settings(max_examples=60, deadline=None)
@given(values=VALUES, share=st.floats(0.001, 1.0))
def test_the_largest_values_are_those_of_a_stable_sort(values: np.ndarray, share: float) -> None:
    count = min(values.size, max(1, ceil(share * values.size)))
    obvious = sorted(sorted(range(values.size), key=lambda at: -abs(values[at]))[:count])
    assert places_of_largest(values, count).tolist() == obvious
    form = LargestValues(share)
    arrived = form.unpack(form.pack(values, rng()), values.size)
    assert arrived.tolist() == [float(value) if at in obvious else 0.0 for at, value in enumerate(values)]


def test_top_k_takes_the_shorter_way_to_say_places() -> None:
    """Of 1,000 values: 100 in 4 bytes and 125 of a bitmap; 1 in 4, and 4 for its place."""
    assert LargestValues(0.1).size(1000) == 4 * 100 + 125
    assert LargestValues(0.001).size(1000) == 4 + 4


def test_drawn_places_are_the_same_for_all_new_in_every_round_and_evenly_spread() -> None:
    rounds = [DrawnValues(0.2, 7, number, scaled=False).places(10).tolist() for number in range(1, 2001)]
    assert rounds[0] == DrawnValues(0.2, 7, 1, scaled=True).places(10).tolist()
    counts = np.bincount(np.concatenate(rounds), minlength=10)
    assert counts.sum() == 4000 and np.abs(counts - 400).max() < 5 * np.sqrt(400)
    assert all(len(set(one)) == 2 for one in rounds)


def test_drawn_values_without_feedback_are_the_update_on_average_over_all_draws() -> None:
    values = np.array([1.0, -2.0, 3.0, 0.5, 7.0], np.float32)
    found = [DrawnValues(0.4, 1, number, scaled=True) for number in range(3000)]
    mean = np.mean([one.unpack(one.pack(values, rng()), 5) for one in found], axis=0)
    assert np.abs(mean - values).max() < 5 * 7 * np.sqrt(1.5 / 3000)


def test_steps_of_a_sum_by_hand() -> None:
    """Range 0.5 of a mean update, 12 cases at most, four times as wide: 24 is 127 steps."""
    assert step_of(0.5, 48.0, 8) == 24 / 127
    steps = WholeSteps(1.0, 4)
    assert steps.rounded(np.array([3.0, -7.0, 0.0, 9.5, -80.0]), rng()).tolist() == [3.0, -7.0, 0.0, 7.0, -7.0]
    assert steps.cut(np.array([3.0, -7.0, 9.5, -80.0])) == 0.5


def test_steps_of_a_sum_have_no_bias() -> None:
    draws, values = rng(), np.array([0.25, -2.9, 6.5])
    found = np.mean([WholeSteps(1.0, 4).rounded(values, draws) for _ in range(4000)], axis=0)
    assert np.abs(found - values).max() < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize("kind", ["bfloat16", "int8", "int4", "top_k", "random_k"])
def test_every_kind_of_a_study_has_its_form(kind: str) -> None:
    form = form_of(Compression(kind), 3, 1)  # type: ignore[arg-type]
    assert form.size(10_000) < 0.6 * 40_000


def hostile(name: str, data: np.ndarray) -> np.ndarray:
    """Valid bytes of 20 values, with one fault."""
    data = data.copy()
    if name == "too short":
        return data[:-1]
    if name == "too long":
        return np.append(data, np.uint8(0))
    if name == "a bomb":
        return np.zeros(1 << 20, np.uint8)
    if name == "an infinite scale":
        data[:2] = np.array([0x7F80], "<u2").view(np.uint8)
    if name == "no number for a scale":
        data[:2] = np.array([0x7FC1], "<u2").view(np.uint8)
    if name == "a scale below 0":
        data[:2] = np.array([0x8001], "<u2").view(np.uint8)
    if name == "a code beyond the largest":
        data[-1] = 0xFF
    if name == "a mark more":
        data[0] = 0xFF
    if name == "a mark beyond the model":
        data[2] |= 0x80
    if name == "an index beyond the model":
        data[:4] = np.array([20], "<u4").view(np.uint8)
    return data


BYTES = [(name, fault) for name in FORMS for fault in ("too short", "too long", "a bomb")]
SCALES = [
    (name, fault)
    for name in ("int8", "int4")
    for fault in ("an infinite scale", "no number for a scale", "a scale below 0", "a code beyond the largest")
]
PLACES = [
    ("top_k with a bitmap", "a mark more"),
    ("top_k with a bitmap", "a mark beyond the model"),
    ("top_k with places", "an index beyond the model"),
]


@pytest.mark.parametrize(("name", "fault"), [*BYTES, *SCALES, *PLACES])
def test_bytes_that_no_honest_hospital_writes_are_refused(name: str, fault: str) -> None:
    form, length = FORMS[name], 20 if "places" not in name else 19
    data = form.pack(np.linspace(-3, 4, length).astype(np.float32), rng())
    form.unpack(data, length)
    with pytest.raises(WireError, match="compressed update"):
        form.unpack(hostile(fault, data), length)


@pytest.mark.parametrize("places", [[5, 5], [9, 4], [3, 1 << 31]])
def test_places_doubled_unsorted_or_far_away_are_refused(places: list[int]) -> None:
    form = LargestValues(0.002)
    data = form.pack(np.arange(1000, dtype=np.float32), rng())
    assert form.size(1000) == data.size == 16
    data[:8] = np.array(places, "<u4").view(np.uint8)
    with pytest.raises(WireError, match="sorted and each but once"):
        form.unpack(data, 1000)


def test_an_odd_value_that_was_smuggled_in_beside_the_last_is_refused() -> None:
    form = ScaledIntegers(4, 8)
    data = form.pack(np.ones(3), rng())
    data[-1] |= 0x30
    with pytest.raises(WireError, match="more values than the model"):
        form.unpack(data, 3)
