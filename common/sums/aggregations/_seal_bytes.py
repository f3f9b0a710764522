"""Ciphertexts as bytes: what travels is coefficients and seeds alone, and SEAL reads nothing but what is made here.

Microsoft SEAL's loader is C++ that a crafted block can abort, and the process with it; no exception is thrown. So
no byte that arrived ever reaches it as such. A block on the wire has no header, no length and no compression:

    polynomials x primes x degree coefficients, each the fewest whole bytes that hold its prime, least first,
    and where the second polynomial is left out, the 64 bytes of the seed that SEAL draws it from.

All else of SEAL's form (4.x: identity of parameters, sizes, scale, headers within headers) is the study's, the same
for every block, and written here. Since every coefficient is below its prime, what SEAL is handed is byte for byte
what it would have written itself of such a ciphertext.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import WireError
from common.sums.aggregations._zstandard import unfold

HEADER = struct.Struct("<HBBBBHQ")
SEAL_MAGIC, UNCOMPRESSED = 0xA15E, 0
VERSION = (4, 3)
SEED_BYTES = 64
_BLAKE2XB = b"\x01"
_MEMBERS = struct.Struct("<4QBQQQdQ")
"""Identity of parameters, whether transformed (NTT), polynomials, degree, primes, scale, correction factor."""
_WORD = 8
_COUNT = struct.Struct("<Q")


@dataclass(frozen=True)
class Form:
    """What all ciphertexts of a study have in common. moduli: the primes' values. scale: of ckks, 1 of bfv."""

    parameters: tuple[int, ...]
    degree: int
    moduli: tuple[int, ...]
    transformed: bool
    scale: float = 1.0

    def block_bytes(self, seeded: bool) -> int:
        """Of a block on the wire."""
        row = self.degree * sum(self._widths)
        return row + SEED_BYTES if seeded else 2 * row

    def to_wire(self, saved: bytes, seeded: bool) -> bytes:
        """A block, of what SEAL saved in this process."""
        content = unfold(saved[HEADER.size :])
        start = _MEMBERS.size + HEADER.size + _COUNT.size
        words = np.frombuffer(content, "<u8", self._words(seeded), start)
        rows = words.view(np.uint8).reshape(-1, self.degree, _WORD)
        block = b"".join(row[:, :width].tobytes() for row, width in zip(rows, self._row_widths(seeded), strict=True))
        return block + content[-SEED_BYTES:] if seeded else block

    def from_wire(self, block: bytes, seeded: bool) -> bytes:
        """What SEAL would have saved, uncompressed. Raises WireError where the block's size or a number is wrong."""
        if len(block) != self.block_bytes(seeded):
            raise WireError(f"a ciphertext takes {self.block_bytes(seeded)} bytes; {len(block)} came.")
        words = self._read(block, seeded)
        moduli = np.resize(np.array(self.moduli, np.uint64), len(words))
        if (words >= moduli[:, None]).any():
            raise WireError("a ciphertext has a coefficient that is no number below its prime.")
        if not words.any(axis=1).all():
            raise WireError("a ciphertext has a polynomial of zeros: nothing is encrypted in it.")
        return self._as_saved(words.astype("<u8", copy=False).tobytes(), block[-SEED_BYTES:] if seeded else None)

    def _read(self, block: bytes, seeded: bool) -> NDArray[np.uint64]:
        """(polynomials x primes, degree) uint64."""
        widths = self._row_widths(seeded)
        words, start = np.zeros((len(widths), self.degree, _WORD), np.uint8), 0
        for row, width in zip(words, widths, strict=True):
            octets = np.frombuffer(block, np.uint8, self.degree * width, start)
            row[:, :width] = octets.reshape(self.degree, width)
            start += self.degree * width
        return words.view("<u8").reshape(len(widths), self.degree)

    def _as_saved(self, words: bytes, seed: bytes | None) -> bytes:
        sizes = (2, self.degree, len(self.moduli))
        members = _MEMBERS.pack(*self.parameters, self.transformed, *sizes, self.scale, 1)
        numbers = with_header(_COUNT.pack(len(words) // _WORD) + words)
        return with_header(members + numbers + (b"" if seed is None else with_header(_BLAKE2XB + seed)))

    def _words(self, seeded: bool) -> int:
        return self.degree * len(self._row_widths(seeded))

    def _row_widths(self, seeded: bool) -> tuple[int, ...]:
        return self._widths if seeded else 2 * self._widths

    @property
    def _widths(self) -> tuple[int, ...]:
        """Bytes of a coefficient, by prime."""
        return tuple(-(-(modulus - 1).bit_length() // 8) for modulus in self.moduli)


def with_header(content: bytes) -> bytes:
    """As SEAL writes what it does not compress."""
    return HEADER.pack(SEAL_MAGIC, HEADER.size, *VERSION, UNCOMPRESSED, 0, HEADER.size + len(content)) + content


def plaintext_bytes(coefficients: NDArray[np.uint64]) -> bytes:
    """What SEAL would save of a plaintext: identity of parameters, count, scale, and an array with its own header."""
    numbers = with_header(_COUNT.pack(coefficients.size) + coefficients.astype("<u8").tobytes())
    return with_header(bytes(32) + struct.pack("<Qd", coefficients.size, 1.0) + numbers)


def plaintext_coefficients(saved: bytes) -> NDArray[np.uint64]:
    """(n,) uint64: the reverse, of what SEAL saved in this process."""
    start = 32 + 16 + HEADER.size + _COUNT.size
    return np.frombuffer(unfold(saved[HEADER.size :]), "<u8", offset=start).astype(np.uint64)


def join(blocks: Sequence[bytes]) -> NDArray[np.uint8]:
    """All blocks in one array, end to end: they are all of one size."""
    return np.frombuffer(b"".join(blocks), dtype=np.uint8)


def split(data: NDArray[np.uint8] | None, count: int, size: int) -> list[bytes]:
    """`count` blocks of `size`. Raises WireError where the bytes are not so many."""
    came = 0 if data is None else data.size
    if data is None or came != count * size:
        raise WireError(f"{count} ciphertexts of {size} bytes were due; {came} bytes came.")
    return [data[start : start + size].tobytes() for start in range(0, came, size)]
