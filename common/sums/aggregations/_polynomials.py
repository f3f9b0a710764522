"""Exact products in Z[x] / (x^4096 + 1) modulo 2**64, the ring of learning with errors of `_distributed_key`.

Whole numbers modulo 2**64 are what uint64 wraps to, so sums need no reduction. A product by a polynomial of small
coefficients is taken by complex FFT: the large factor is cut into pieces so short that the FFT's error, bounded
after Brent, Percival and Zimmermann (2007, Error bounds on complex floating-point multiplication, theorem 3.3),
stays below a quarter, and rounding gives back the exact whole number.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Polynomials = NDArray[np.uint64]
Small = NDArray[np.int64]

DEGREE = 4096
MODULUS_BITS = 64
BLOCKS_AT_ONCE = 8
_HALF = DEGREE // 2
_TWIST = np.exp(1j * np.pi * np.arange(_HALF) / DEGREE)
_RELATIVE_ERROR = 160 * 2.0**-53
"""Of a product's coefficients against the factors' Euclidean norms: two FFTs and an inverse of 2048, three twists."""
_PIECES = (3, 4, 6, 8)


def multiply(large: Polynomials, small: Small) -> Polynomials:
    """Each row times `small`. large: (K, 4096), any uint64; small: (4096,); result: (K, 4096) modulo 2**64.

    Raises ValueError where `small` is too large for the product to be exact; below 2**21 that never happens.
    """
    bits = _piece_bits(int(np.abs(small).max(initial=0)))
    factor = _transform(small.astype(np.float64))
    product = np.empty_like(large)
    for start in range(0, len(large), BLOCKS_AT_ONCE):
        rows = slice(start, start + BLOCKS_AT_ONCE)
        product[rows] = _multiply_rows(large[rows], factor, bits)
    return product


def _piece_bits(largest: int) -> int:
    norm = sqrt(DEGREE) * max(largest, 1)
    for pieces in _PIECES:
        bits = -(-MODULUS_BITS // pieces)
        if 2.0 ** (bits - 1) * sqrt(DEGREE) * norm * _RELATIVE_ERROR < 0.25:
            return bits
    raise ValueError(f"coefficients of {largest} are too large for an exact product.")


def _multiply_rows(rows: Polynomials, factor: NDArray[np.complex128], bits: int) -> Polynomials:
    product, rest = np.zeros_like(rows), rows.view(np.int64)
    for shift in range(0, MODULUS_BITS, bits):
        piece = (rest << (MODULUS_BITS - bits)) >> (MODULUS_BITS - bits)
        rest = (rest - piece) >> bits
        whole = np.rint(_back(_transform(piece.astype(np.float64)) * factor)).astype(np.int64)
        product += whole.view(np.uint64) << np.uint64(shift)
    return product


def _transform(polynomials: NDArray[np.float64]) -> NDArray[np.complex128]:
    """x^4096 = -1 means x^2048 = i: two real halves are one complex polynomial of half the length."""
    folded = np.empty((*polynomials.shape[:-1], _HALF), np.complex128)
    folded.real, folded.imag = polynomials[..., :_HALF], polynomials[..., _HALF:]
    folded *= _TWIST
    return np.asarray(scipy.fft.fft(folded, overwrite_x=True), np.complex128)


def _back(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    folded = scipy.fft.ifft(spectrum, overwrite_x=True)
    folded *= _TWIST.conj()
    return np.concatenate([folded.real, folded.imag], axis=-1)
