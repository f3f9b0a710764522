"""Shamir's secret sharing (1979): any `threshold` shares give the secret, fewer say nothing about it.

Shares are points of a random polynomial of degree threshold - 1 over the prime field of 2**256 + 297, the
smallest prime that holds every secret of 32 bytes; the secret is its value at 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from secrets import randbelow

from common.errors import WireError

PRIME = 2**256 + 297
SECRET_BYTES = 32
SHARE_BYTES = 33


def share(secret: bytes, threshold: int, points: Iterable[int]) -> dict[int, bytes]:
    """A share of 33 bytes for each point, which are distinct and between 1 and PRIME - 1."""
    coefficients = [int.from_bytes(secret, "big"), *(randbelow(PRIME) for _ in range(threshold - 1))]
    return {point: _value(coefficients, point).to_bytes(SHARE_BYTES, "big") for point in points}


def recover(shares: Mapping[int, bytes]) -> bytes:
    """The secret from exactly threshold shares, by Lagrange interpolation at 0.

    Raises WireError where a share is no number of the field or they are not of one secret of 32 bytes; wrong
    shares may also give a wrong secret, so that what is recovered must be compared with something known.
    """
    values = {point: int.from_bytes(value, "big") for point, value in shares.items()}
    if any(len(value) != SHARE_BYTES for value in shares.values()) or any(v >= PRIME for v in values.values()):
        raise WireError("a share is no number of the field.")
    weights = _weights(tuple(values))
    secret = sum(value * weight for value, weight in zip(values.values(), weights, strict=True)) % PRIME
    if secret >> (8 * SECRET_BYTES):
        raise WireError("the shares are not of one secret.")
    return secret.to_bytes(SECRET_BYTES, "big")


def is_share(value: bytes) -> bool:
    """Whether these bytes are a number of the field."""
    return len(value) == SHARE_BYTES and int.from_bytes(value, "big") < PRIME


def _value(coefficients: list[int], point: int) -> int:
    """Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * point + coefficient) % PRIME
    return value


@lru_cache(maxsize=256)
def _weights(points: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange's basis polynomials at 0; mostly the same hospitals answer for many others."""
    return tuple(_weight(point, points) for point in points)


def _weight(point: int, points: Iterable[int]) -> int:
    """Lagrange's basis polynomial of `point`, at 0."""
    numerator, denominator = 1, 1
    for other in points:
        if other != point:
            numerator = numerator * other % PRIME
            denominator = denominator * (other - point) % PRIME
    return numerator * pow(denominator, -1, PRIME) % PRIME
