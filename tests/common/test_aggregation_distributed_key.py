from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from common.errors import WireError
from common.sums.aggregations import _distributed_key
from common.sums.aggregations._csprng import LARGEST_SMALL, public_words, small_numbers
from common.sums.aggregations._distributed_key import DistributedKey, new_secret
from common.sums.aggregations._packing import Packing
from common.sums.aggregations._polynomials import DEGREE, multiply

Sums = NDArray[np.uint64]


def negacyclic(large: NDArray[np.uint64], small: NDArray[np.int64]) -> list[int]:
    """The product by Kronecker substitution: one product of two very large whole numbers."""
    width = 16

    def number(values: list[int]) -> int:
        return int.from_bytes(b"".join(value.to_bytes(width, "little") for value in values), "little")

    def convolve(factor: list[int]) -> list[int]:
        octets = (number(large.tolist()) * number(factor)).to_bytes(2 * width * DEGREE, "little")
        full = [int.from_bytes(octets[width * i : width * (i + 1)], "little") for i in range(2 * DEGREE)]
        return [full[i] - full[i + DEGREE] for i in range(DEGREE)]

    plus = convolve([max(value, 0) for value in small.tolist()])
    minus = convolve([max(-value, 0) for value in small.tolist()])
    return [(a - b) % 2**64 for a, b in zip(plus, minus, strict=True)]


@pytest.mark.parametrize("largest", [1, 31, 31 * 16, 31 * 3000, 31 * 65536])
def test_a_product_is_exact(largest: int) -> None:
    rng = np.random.default_rng(largest)
    large = rng.integers(0, 2**64, (2, DEGREE), dtype=np.uint64)
    small = rng.integers(-largest, largest + 1, DEGREE)
    assert multiply(large, small)[1].tolist() == negacyclic(large[1], small)


@pytest.mark.parametrize("value", [2**64 - 1, 2**63, 2**63 - 1, 2**21, 2**21 - 1, 0x0020_0000_8000_0200])
def test_a_product_of_the_most_extreme_factors_is_exact(value: int) -> None:
    """All coefficients equal and as large as they can be is where an FFT's error is worst."""
    large = np.full((1, DEGREE), value, np.uint64)
    for small in (np.full(DEGREE, 496), np.full(DEGREE, -1500), np.where(np.arange(DEGREE) % 2, 31, -31)):
        assert multiply(large, small)[0].tolist() == negacyclic(large[0], small)


def test_x_to_the_4096_is_minus_one() -> None:
    last, x = np.zeros((1, DEGREE), np.uint64), np.zeros(DEGREE, np.int64)
    last[0, -1], x[1] = 5, 1
    assert multiply(last, x)[0].tolist() == [2**64 - 5] + [0] * (DEGREE - 1)


def test_a_factor_too_large_for_an_exact_product_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        multiply(np.zeros((1, DEGREE), np.uint64), np.full(DEGREE, 2**30))


def test_small_numbers_count_62_coins() -> None:
    drawn = small_numbers(1 << 18)
    assert np.abs(drawn).max() <= LARGEST_SMALL
    assert abs(drawn.mean()) < 5 * 3.94 / 512
    assert drawn.var() == pytest.approx(62 / 4, rel=5 * np.sqrt(2) / 512)
    assert not np.array_equal(drawn[:1000], small_numbers(1000))


@given(st.integers(1, 3), st.integers(2, 13), st.integers(1, 40), st.integers(1, 50), st.integers(0, 99))
def test_packed_words_add_up_without_touching_each_other(
    values: int, bits: int, hospitals: int, count: int, seed: int
) -> None:
    packing, rng = Packing(values, bits, hospitals), np.random.default_rng(seed)
    words = rng.integers(0, 1 << bits, (hospitals, count), dtype=np.uint32)
    words[:, 0] = (1 << bits) - 1
    packed = [packing.pack(one) for one in words]
    assert {one.size for one in packed} == {packing.coefficients(count)}
    assert packing.unpack(np.sum(packed, axis=0, dtype=np.uint64), count).tolist() == words.sum(axis=0).tolist()


def schemes() -> st.SearchStrategy[DistributedKey]:
    pairs = st.tuples(st.integers(1, 56), st.integers(1, 40))
    return pairs.map(lambda pair: DistributedKey(*pair)).filter(lambda key: key.is_exact)


@settings(max_examples=30)
@given(schemes(), st.integers(1, 9000), st.integers(1, 5), st.integers(0, 99))
def test_a_sum_decrypts_to_the_sum(key: DistributedKey, count: int, hospitals: int, seed: int) -> None:
    hospitals = min(hospitals, key.hospitals)
    rng, total, opened = np.random.default_rng(seed), np.zeros(count, np.uint64), np.zeros(DEGREE, np.int64)
    messages = rng.integers(0, max(2**key.message_bits // hospitals, 1), (hospitals, count), dtype=np.uint64)
    for message in messages:
        secret = new_secret()
        data = key.encrypt(message, secret, b"round 1")
        assert data.size == key.size(count)
        total, opened = total + key.expand(data, count), opened + secret
    assert np.array_equal(key.decrypt(total, opened, b"round 1"), messages.sum(axis=0))


@pytest.mark.parametrize(("values", "bits", "hospitals"), [(2, 21, 16), (3, 13, 16), (1, 32, 200)])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_worst_errors_of_the_most_hospitals_decrypt_to_the_largest_sum(
    monkeypatch: pytest.MonkeyPatch, values: int, bits: int, hospitals: int, side: int
) -> None:
    """Every word, every error and every key at its extreme, all of one sign."""
    packing = Packing(values, bits, hospitals)
    key = DistributedKey(packing.bits, hospitals)
    assert key.is_exact
    monkeypatch.setattr(_distributed_key, "small_numbers", lambda count: np.full(count, side * LARGEST_SMALL))
    words, secret = np.full(50, (1 << bits) - 1, np.uint32), np.full(DEGREE, side * LARGEST_SMALL)
    message = packing.pack(words)
    one = key.expand(key.encrypt(message, secret, b"x"), message.size)
    total = key.decrypt(np.uint64(hospitals) * one, hospitals * secret, b"x")
    assert packing.unpack(total, 50).tolist() == [hospitals * ((1 << bits) - 1)] * 50


def test_one_hospital_more_than_there_is_room_for_is_not_exact() -> None:
    assert DistributedKey(54, 16).is_exact
    assert not DistributedKey(54, 17).is_exact
    assert not DistributedKey(64, 1).is_exact


def encrypted_zeros(count: int = 1 << 17) -> tuple[DistributedKey, NDArray[np.uint8], NDArray[np.int64]]:
    key, secret = DistributedKey(50, 16), new_secret()
    return key, key.encrypt(np.zeros(count, np.uint64), secret, b"label"), secret


def test_a_single_upload_under_any_key_but_its_own_is_uniform_noise() -> None:
    """Chi-square of 256 classes over the top bytes, for no key, another's key, and one wrong by a single 1."""
    key, data, secret = encrypted_zeros()
    words = key.expand(data, 1 << 17)
    near = secret.copy()
    near[0] += 1
    for wrong in (np.zeros(DEGREE, np.int64), new_secret(), secret + new_secret(), near):
        message = key.decrypt(words, wrong, b"label")
        for shift in (0, 21, 42):
            counts = np.bincount((message >> np.uint64(shift)).astype(np.int64) & 0xFF, minlength=256)
            assert chisquare(counts).pvalue > 1e-6
    assert not key.decrypt(words, secret, b"label").any()


def test_what_is_sent_is_uniform_and_says_nothing_of_the_message() -> None:
    """Chi-square over every sent byte, for the smallest and the largest message alike."""
    key = DistributedKey(50, 16)
    for value in (0, (1 << 46) - 1):
        data = key.encrypt(np.full(1 << 16, value, np.uint64), new_secret(), b"label").reshape(1 << 16, -1)
        for place in range(data.shape[1]):
            assert chisquare(np.bincount(data[:, place], minlength=256)).pvalue > 1e-6


def test_public_polynomials_differ_by_block_and_label() -> None:
    words = public_words(b"round 1", 2 * DEGREE)
    assert not np.isin(words[:DEGREE], words[DEGREE:]).any()
    assert not np.isin(words, public_words(b"round 2", 2 * DEGREE)).any()
    assert np.array_equal(words, public_words(b"round 1", 2 * DEGREE))


def test_the_same_message_never_looks_the_same() -> None:
    assert not np.array_equal(encrypted_zeros(100)[1], encrypted_zeros(100)[1])


@pytest.mark.parametrize("change", [-1, 1])
def test_an_upload_of_another_size_is_refused(change: int) -> None:
    key, data, _ = encrypted_zeros(100)
    with pytest.raises(WireError, match="bytes came"):
        key.expand(np.resize(data, data.size + change), 100)
