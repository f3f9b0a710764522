"""What the server saw of one hospital: uniform words, whatever its update, by Pearson's chi-square test on bytes.

**The test.** If N bytes are independent and uniform, X = sum over the 256 values of (count - N / 256)**2 / (N / 256)
is chi-square with 255 degrees of freedom but for terms of order 256 / N. Every N here is above 200,000, so that every
count is expected above 800. A test fails where X is above 448 or below 127, too even being not random either: each
tail has the chance FALSE_ALARM = 1e-12. Bytes are tested all together, by their position in a word, and in pairs with
the byte one word later (4 bits of each, again 255 degrees). Independence of the update is tested alike: of two
updates as far apart as may be, all zeros and all the largest value, the two uploads are compared by the two-sample
chi-square (255 degrees), and the differences of their words by the first test.

Secrets are the operating system's, so no seed is fixed: there are fewer than 60 tests in this file, and one run
of it raises a false alarm with a chance below 1.2e-10. It is no proof, but masks that are left out, too narrow, too
short, or used twice show: the controls run the test on such words.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from common.sums.aggregation import Aggregation
from common.sums.aggregations._ring import Ring
from common.sums.aggregations.additive import AdditiveSharing
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.update import Update
from experiments.engines._loopback_exchange import InMemoryExchange, collect

FALSE_ALARM = 1e-12
LOWEST, HIGHEST = chi2.ppf(FALSE_ALARM, 255), chi2.isf(FALSE_ALARM, 255)
WATCHED = "hospital-1"
LENGTH = 120_000
LEGS: dict[str, tuple[Aggregation, str]] = {
    "secagg, 24 bits": (SecureAggregation(), "round"),
    "secagg, 16 bits": (SecureAggregation(value_bits=16), "round"),
    "additive": (AdditiveSharing(), "sums"),
}
WIDTHS = {"secagg, 24 bits": 4, "secagg, 16 bits": 3, "additive": 4}


def upload(kind: str, value: float, others: float = 0.0) -> NDArray[np.uint8]:
    """What the watched hospital sent, all values of its update being alike, and all of the others'."""
    aggregation, leg = LEGS[kind]
    updates = {
        site: Update((np.full(LENGTH, value if site == WATCHED else others, np.float32),), 1.0)
        for site in ("hospital-0", WATCHED, "hospital-2")
    }
    exchange = InMemoryExchange(aggregation, updates)
    assert collect(exchange).total is not None
    data = exchange.replies(leg)[WATCHED].data
    assert data is not None
    return data[: LENGTH * WIDTHS[kind]]


def counts(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.bincount(values, minlength=256).astype(np.float64)


def chi_square(values: NDArray[np.uint8]) -> float:
    """Pearson's X of evenly spread bytes."""
    expected = values.size / 256
    return float(np.sum((counts(values) - expected) ** 2) / expected)


def two_samples(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """X of two samples of one size being of one distribution."""
    first, second = counts(one), counts(other)
    return float(np.sum((first - second) ** 2 / (first + second)))


def in_pairs(values: NDArray[np.uint8], lag: int) -> NDArray[np.uint8]:
    """High halves of bytes and low halves of those `lag` further on, as one byte."""
    high, low = np.uint8(0xF0), np.uint8(0x0F)
    pairs: NDArray[np.uint8] = np.bitwise_or(values[:-lag] & high, values[lag:] & low, dtype=np.uint8)
    return pairs


def is_uniform(statistic: float) -> bool:
    return bool(LOWEST < statistic < HIGHEST)


def test_the_bounds_are_those_stated() -> None:
    assert (round(LOWEST), round(HIGHEST)) == (127, 448)


@pytest.mark.parametrize("kind", LEGS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_an_upload_is_uniform_whatever_the_update(kind: str, value: float) -> None:
    sent, width = upload(kind, value), WIDTHS[kind]
    assert is_uniform(chi_square(sent))
    assert is_uniform(chi_square(in_pairs(sent, width)))
    if width == 4:
        halves = sent.reshape(-1, 2, 2).transpose(1, 0, 2)
        assert all(is_uniform(chi_square(np.ascontiguousarray(half).ravel())) for half in halves)


@pytest.mark.parametrize("kind", LEGS)
def test_uploads_of_opposite_updates_are_of_one_distribution(kind: str) -> None:
    zeros, largest = upload(kind, 0.0), upload(kind, 1.0)
    assert is_uniform(two_samples(zeros, largest))
    ring = Ring(WIDTHS[kind])
    assert is_uniform(chi_square(ring.pack(ring.unpack(largest, LENGTH) - ring.unpack(zeros, LENGTH))))


@pytest.mark.parametrize("kind", LEGS)
def test_one_update_sent_twice_is_never_under_the_same_masks(kind: str) -> None:
    ring, first, second = Ring(WIDTHS[kind]), upload(kind, 0.5), upload(kind, 0.5)
    assert is_uniform(chi_square(ring.pack(ring.unpack(first, LENGTH) - ring.unpack(second, LENGTH))))


def test_control_words_without_masks_and_masks_used_twice_are_found() -> None:
    rng, ring = np.random.default_rng(0), Ring()
    words = rng.integers(0, 1 << 24, LENGTH, dtype=np.uint32)
    mask = rng.integers(0, 1 << 32, LENGTH, dtype=np.uint32)
    short = np.resize(mask[:1000], LENGTH)
    assert is_uniform(chi_square(ring.pack(words + mask)))
    assert not is_uniform(chi_square(ring.pack(words)))
    assert not is_uniform(chi_square(ring.pack((words + mask) - mask)))
    assert not is_uniform(chi_square(ring.pack(short)))
