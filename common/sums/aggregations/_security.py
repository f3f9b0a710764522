"""Which rings of learning with errors give 128 bits of security."""

from __future__ import annotations

from common.errors import StudyError

LARGEST_MODULUS_BITS = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438}
"""By degree, for ternary keys and errors of standard deviation 3.2: HomomorphicEncryption.org, Homomorphic Encryption
Standard (2018), table 1, classical attacks."""


def require_128_bits(where: str, degree: int, modulus_bits: int) -> None:
    """Raise StudyError, naming the setting and the bound, unless the ring is at least as hard as AES-128."""
    largest = LARGEST_MODULUS_BITS.get(degree)
    if largest is None:
        raise StudyError(
            f"{where} = {degree} is none of the standard's degrees, {', '.join(map(str, LARGEST_MODULUS_BITS))}."
        )
    if modulus_bits > largest:
        enough = [other for other, bits in LARGEST_MODULUS_BITS.items() if bits >= modulus_bits]
        advice = f"take {where} = {enough[0]} or fewer bits" if enough else "take fewer bits"
        raise StudyError(
            f"{modulus_bits} modulus bits at {where} = {degree} are too many: 128-bit security allows {largest}; "
            f"{advice}."
        )
