"""The coordinator computes the key of `ckks`, economical, from the sum it is given (Li and Micciancio 2021).

It knows the encrypted sum (c0, c1), which it made, and the decrypted words. Where the scheme's error shows in them,
encoding the words again gives m + e to the last bit, and c0 + c1 s = m + e is solved for s, number by number.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import StudyError
from common.sums.aggregations import _seal_ckks, _tenseal_ckks
from common.sums.aggregations._fixed_point import Totals, Words
from common.sums.aggregations._microsoft_seal import MemoryFile, opened, seal
from common.sums.aggregations._seal_bytes import plaintext_coefficients, with_header
from common.sums.aggregations._seal_ckks import SealCkks
from common.sums.aggregations._tenseal_ckks import TensealCkks
from common.sums.aggregations._zstandard import unfold
from common.sums.aggregations.ckks import Ckks

DEGREE, HOSPITALS, BLOCKS = 2048, 4, 12
Row = NDArray[np.uint64]
BROKEN = [(36, 30), (34, 28), (32, 26), (31, 24)]
"""Bits of modulus and value at which the key was computed before they were refused."""


def words_of(value_bits: int, count: int, seed: int = 0) -> list[Words]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 1 << value_bits, count, dtype=np.uint32) for _ in range(HOSPITALS)]


def scheme_of(modulus_bits: int, value_bits: int) -> SealCkks:
    return SealCkks(DEGREE, modulus_bits, value_bits, HOSPITALS, BLOCKS * DEGREE, 0)


def round_of(scheme: SealCkks, words: list[Words]) -> tuple[list[list[bytes]], list[bytes], Totals]:
    """What crosses the coordinator: every upload, the sum that it makes, and the words that come back."""
    key = scheme.new_key()
    uploads = [scheme.encrypt(own, key) for own in words]
    total = None
    for upload in uploads:
        total = scheme.add(total, scheme.load(upload, fresh=True))
    return uploads, scheme.save(total), scheme.decrypt(total, key, HOSPITALS)


def halves(scheme: SealCkks, block: bytes) -> tuple[Row, Row]:
    first, second = scheme._seal.form._read(block, False)
    return first, second


def recovered_key(scheme: SealCkks, summed: list[bytes], totals: Totals) -> list[int] | None:
    """The key, where two blocks of the sum give the same one."""
    (prime,) = scheme._seal.form.moduli
    pairs = (totals / scheme._half - HOSPITALS).reshape(BLOCKS, 2, -1)
    encoded = scheme._seal.from_slots(pairs[:, 0] + 1j * pairs[:, 1], scheme.scale)
    candidates = []
    with MemoryFile() as file:
        for plain, block in zip(encoded, summed, strict=True):
            noisy, (c0, c1) = plaintext_coefficients(file.saved(plain)), halves(scheme, block)
            numbers = zip(noisy.tolist(), c0.tolist(), c1.tolist(), strict=True)
            candidates.append(tuple((m - a) * pow(b, -1, prime) % prime for m, a, b in numbers))
    (key, times), *_ = Counter(candidates).most_common(1)
    return list(key) if times > 1 else None


def opened_upload(scheme: SealCkks, upload: list[bytes], key: list[int]) -> Words:
    """One hospital's words, by the coordinator, with the key it computed."""
    form, (prime,), read = scheme._seal.form, scheme._seal.form.moduli, []
    for block in scheme.save(scheme.load(upload, fresh=True)):
        c0, c1 = halves(scheme, block)
        noisy = [(a + b * s) % prime for a, b, s in zip(c0.tolist(), c1.tolist(), key, strict=True)]
        numbers = struct.pack("<Q", DEGREE) + np.array(noisy, "<u8").tobytes()
        head = struct.pack("<4QQd", *form.parameters, DEGREE, scheme.scale)
        plain = seal.Plaintext()
        with MemoryFile() as file:
            plain.load(scheme._seal.context, file.write(with_header(head + with_header(numbers))))
        (slots,) = scheme._seal.to_slots([plain])
        read.append(np.concatenate([slots.real, slots.imag]))
    return np.rint((np.concatenate(read) + 1) * scheme._half).astype(np.uint32)


@pytest.mark.parametrize(("modulus_bits", "value_bits"), BROKEN)
def test_the_key_and_then_any_single_update_are_computed_from_a_sum_in_which_the_error_shows(
    modulus_bits: int, value_bits: int
) -> None:
    scheme, words = scheme_of(modulus_bits, value_bits), words_of(value_bits, BLOCKS * DEGREE)
    uploads, summed, totals = round_of(scheme, words)
    key = recovered_key(scheme, summed, totals)
    assert key is not None
    victim = opened_upload(scheme, uploads[1], key).astype(float)
    assert np.corrcoef(victim, words[1])[0, 1] > 0.999999


@pytest.mark.parametrize(("modulus_bits", "value_bits"), BROKEN)
def test_such_settings_are_refused_before_any_hospital_is_asked(modulus_bits: int, value_bits: int) -> None:
    aggregation = Ckks("economical", value_bits=value_bits, coefficient_bits=(modulus_bits,))
    with pytest.raises(StudyError, match="computes the key"):
        aggregation.check(HOSPITALS)


def least_permitted() -> list[tuple[int, int]]:
    """Of each modulus, the most bits a value may have."""
    found = []
    for modulus_bits in (40, 46, 52):
        fitting = [bits for bits in range(2, 31) if _seal_ckks.is_exact(DEGREE, modulus_bits, bits, HOSPITALS)]
        found.append((modulus_bits, fitting[-1]))
    return found


@pytest.mark.parametrize(("modulus_bits", "value_bits"), least_permitted())
def test_at_the_least_margin_permitted_words_are_the_exact_sum_and_give_no_key(
    modulus_bits: int, value_bits: int
) -> None:
    assert not _seal_ckks.is_exact(DEGREE, modulus_bits, value_bits + 1, HOSPITALS)
    scheme, words = scheme_of(modulus_bits, value_bits), words_of(value_bits, BLOCKS * DEGREE)
    _, summed, totals = round_of(scheme, words)
    np.testing.assert_array_equal(totals, np.sum(words, axis=0, dtype=np.uint64))
    assert recovered_key(scheme, summed, totals) is None


def test_the_hard_bound_is_above_every_error_there_was() -> None:
    scheme, words = scheme_of(46, 16), words_of(16, BLOCKS * DEGREE)
    key = scheme.new_key()
    total = None
    for own in words:
        total = scheme.add(total, scheme.load(scheme.encrypt(own, key), fresh=True))
    slots = scheme._seal.to_slots(scheme._seal.decrypt(total, key))
    numbers = np.stack([slots.real, slots.imag], axis=1).reshape(-1)
    exact = np.sum(words, axis=0, dtype=np.uint64) / scheme._half - HOSPITALS
    error, bound = np.abs(numbers - exact).max(), _seal_ckks.largest_error(DEGREE, 46, HOSPITALS)
    assert bound / 1000 < error < bound


@pytest.mark.parametrize("mode", ["economical", "tutorial"])
def test_the_default_settings_are_exact_for_a_round_of_32(mode: str) -> None:
    Ckks(mode).check(32)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scale_bits", "exact"), [(30, False), (35, False), (36, True), (40, True)])
def test_the_tutorials_scale_must_keep_the_error_out_of_the_words_as_well(scale_bits: int, exact: bool) -> None:
    """4 x 8192 x ((2 x 8192 + 1) x 21 + 1) x 2**-36 = .164 is below .25; at 2**-35 it is .328."""
    primes = (60, 40, 40, 60)
    assert _tenseal_ckks.is_exact(8192, primes, scale_bits, 4, (1 << 24) - 1) is exact


def test_the_tutorials_words_are_the_exact_sum_at_the_least_scale_permitted() -> None:
    primes = (60, 40, 40, 60)
    least = next(bits for bits in range(20, 60) if _tenseal_ckks.is_exact(8192, primes, bits, 3, (1 << 24) - 1))
    scheme = TensealCkks(8192, primes, least, 3 * 4096)
    words, key, total = words_of(24, 3 * 4096)[:3], scheme.new_key(), None
    for own in words:
        total = scheme.add(total, scheme.load(scheme.encrypt(own, key), fresh=True))
    np.testing.assert_array_equal(scheme.decrypt(total, key, 3), np.sum(words, axis=0, dtype=np.uint64))


def test_the_form_that_seal_writes_is_the_one_that_is_written_for_it() -> None:
    """Whatever SEAL saved comes back bit for bit, decompressed, from what travels of it."""
    engine = opened("ckks", DEGREE, (54,))
    encryptor = seal.Encryptor(engine.context, engine._secret_key(bytes(64)))
    (plain,) = engine.from_slots(np.full((1, 1024), 0.25), 2.0**30)
    with MemoryFile() as file:
        saved = file.saved(encryptor.encrypt_symmetric(plain))
        (one,) = engine.load([engine.form.to_wire(saved, True)], seeded=True, scale=2.0**30)
        again = replace(engine.form, scale=2.0**30).from_wire(engine.form.to_wire(saved, True), True)
        assert again[16:] == unfold(saved[16:])
        assert seal.is_valid_for(one, engine.context)
