"""Microsoft SEAL by the binding inside TenSEAL: encrypt to seeded symmetric ciphertexts, add, decrypt.

A sum needs no relinearisation, no Galois keys and no special prime, so the modulus is one prime, which TenSEAL's own
context refuses and `tenseal.sealapi` does not. A seeded ciphertext holds one polynomial and the seed of the other.
SEAL reads and writes files only; here they lie in memory, so that no key is ever written to a disk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any, Literal

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from common.aggregation._seal_bytes import HEADER, SEAL_MAGIC, UNCOMPRESSED, content_bytes
from common.aggregation._security import require_128_bits
from common.errors import StudyError, WireError

SEED_BYTES = 64
LARGEST_ERROR = 21
"""Of a coefficient: SEAL draws centred binomial errors of 42 coins, standard deviation 3.24."""
_VERSION = (4, 3)
Complex = NDArray[np.complex128]


@lru_cache(maxsize=8)
def opened(scheme: Literal["bfv", "ckks"], degree: int, modulus_bits: int, plain_bits: int = 0) -> Seal:
    """As `Seal`, made once: its tables take longer than a small sum."""
    return Seal(scheme, degree, modulus_bits, plain_bits)


class MemoryFile:
    """A file that lies in memory and has a path, gone when closed."""

    def __enter__(self) -> MemoryFile:
        self._handle = os.memfd_create("wardround", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self._handle}"
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        os.close(self._handle)

    def write(self, data: bytes) -> str:
        """Replace what it holds; its path."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, data, 0)
        return self.path

    def saved(self, thing: Any) -> bytes:
        """What one of SEAL's objects saves."""
        os.ftruncate(self._handle, 0)
        thing.save(self.path)
        return os.pread(self._handle, os.fstat(self._handle).st_size, 0)


@dataclass(frozen=True)
class Seal:
    """One scheme with a modulus of one prime. plain_bits: of the plain modulus 2**plain_bits of bfv.

    Raises StudyError where that is not 128 bits of security, or SEAL has no such prime.
    """

    scheme: Literal["bfv", "ckks"]
    degree: int
    modulus_bits: int
    plain_bits: int = 0

    def __post_init__(self) -> None:
        require_128_bits("poly_modulus_degree", self.degree, self.modulus_bits)
        if not hasattr(os, "memfd_create"):
            raise StudyError("this way of encryption keeps SEAL's files in memory, which needs Linux.")
        if not self.context.parameters_set():
            raise StudyError(f"SEAL refuses these parameters: {self.context.parameters_error_name()}.")

    @cached_property
    def context(self) -> Any:
        """SEAL's context, with randomness of the operating system."""
        return self._context(None)

    def encrypt(self, plaintexts: Sequence[Any], key: bytes) -> list[bytes]:
        """Seeded ciphertexts, saved. key: 64 bytes, from which SEAL derives the secret key."""
        encryptor = seal.Encryptor(self.context, self._secret_key(key))
        with MemoryFile() as file:
            return [file.saved(encryptor.encrypt_symmetric(plain)) for plain in plaintexts]

    def load(self, blocks: Sequence[bytes], *, seeded: bool) -> list[Any]:
        """Ciphertexts. Raises WireError where one is not of this scheme, or not of its size."""
        content = self._content[0 if seeded else 1]
        with MemoryFile() as file:
            return [self._load(block, content, file) for block in blocks]

    def add(self, total: list[Any] | None, more: list[Any]) -> list[Any]:
        """The sum, made in place of `total`."""
        if total is None:
            return more
        evaluator = seal.Evaluator(self.context)
        for one, other in zip(total, more, strict=True):
            evaluator.add_inplace(one, other)
        return total

    def save(self, ciphertexts: Sequence[Any]) -> list[bytes]:
        """Both polynomials of each."""
        with MemoryFile() as file:
            return [file.saved(one) for one in ciphertexts]

    def decrypt(self, ciphertexts: Sequence[Any], key: bytes) -> list[Any]:
        """Plaintexts."""
        decryptor = seal.Decryptor(self.context, self._secret_key(key))
        plaintexts = [seal.Plaintext() for _ in ciphertexts]
        for one, plain in zip(ciphertexts, plaintexts, strict=True):
            decryptor.decrypt(one, plain)
        return plaintexts

    def from_coefficients(self, coefficients: NDArray[np.uint64]) -> list[Any]:
        """Plaintexts of bfv from (n,) coefficients below 2**plain_bits, the last filled up with zeros."""
        padded = np.zeros(-(-coefficients.size // self.degree) * self.degree, "<u8")
        padded[: coefficients.size] = coefficients
        plaintexts = [seal.Plaintext() for _ in range(padded.size // self.degree)]
        with MemoryFile() as file:
            for plain, row in zip(plaintexts, padded.reshape(-1, self.degree), strict=True):
                plain.load(self.context, file.write(_plaintext_bytes(row)))
        return plaintexts

    def to_coefficients(self, plaintexts: Sequence[Any]) -> NDArray[np.uint64]:
        """(blocks x degree,) uint64: the reverse."""
        rows = np.zeros((len(plaintexts), self.degree), np.uint64)
        for row, plain in zip(rows, plaintexts, strict=True):
            count = plain.coeff_count()
            row[:count] = [plain[index] for index in range(count)]
        return rows.reshape(-1)

    def from_slots(self, slots: Complex, scale: float) -> list[Any]:
        """Plaintexts of ckks from (blocks, degree / 2) complex numbers."""
        encoder = seal.CKKSEncoder(self.context)
        plaintexts = [seal.Plaintext() for _ in slots]
        for row, plain in zip(slots, plaintexts, strict=True):
            encoder.encode(row.tolist(), scale, plain)
        return plaintexts

    def to_slots(self, plaintexts: Sequence[Any]) -> Complex:
        """(blocks, degree / 2) complex: the reverse, but for the error."""
        encoder = seal.CKKSEncoder(self.context)
        return np.array([encoder.decode_complex(plain) for plain in plaintexts], np.complex128)

    @cached_property
    def _content(self) -> tuple[int, int]:
        """Bytes of a ciphertext's content, seeded and full, as SEAL itself writes them."""
        key = os.urandom(SEED_BYTES)
        plain = self.from_coefficients(np.zeros(1, np.uint64)) if self.scheme == "bfv" else self._zero_slots()
        (block,) = self.encrypt(plain, key)
        with MemoryFile() as file:
            one = seal.Ciphertext(self.context)
            one.load(self.context, file.write(block))
            return content_bytes(block), content_bytes(file.saved(one))

    def _zero_slots(self) -> list[Any]:
        return self.from_slots(np.zeros((1, self.degree // 2), np.complex128), 2.0)

    def _load(self, block: bytes, content: int, file: MemoryFile) -> Any:
        if content_bytes(block) != content:
            raise WireError("a ciphertext is of another size than this study's.")
        one = seal.Ciphertext(self.context)
        try:
            one.load(self.context, file.write(block))
        except (RuntimeError, ValueError, IndexError, MemoryError):
            raise WireError("a ciphertext is damaged or of other parameters.") from None
        if one.size() != 2 or one.is_ntt_form() is not (self.scheme == "ckks"):
            raise WireError("a ciphertext is of another form than this study's.")
        return one

    def _context(self, seed: bytes | None) -> Any:
        kind = seal.SCHEME_TYPE.BFV if self.scheme == "bfv" else seal.SCHEME_TYPE.CKKS
        parameters = seal.EncryptionParameters(kind)
        parameters.set_poly_modulus_degree(self.degree)
        try:
            parameters.set_coeff_modulus(seal.CoeffModulus.Create(self.degree, [self.modulus_bits]))
        except (ValueError, RuntimeError) as error:
            raise StudyError(f"SEAL has no prime of {self.modulus_bits} bits: {error}.") from None
        if self.scheme == "bfv":
            parameters.set_plain_modulus(1 << self.plain_bits)
        if seed is not None:
            parameters.set_random_generator(seal.Blake2xbPRNGFactory(list(struct.unpack("<8Q", seed))))
        return seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)

    def _secret_key(self, seed: bytes) -> Any:
        """The key that SEAL draws where its randomness is `seed`; only here is it not the operating system's."""
        return seal.KeyGenerator(self._context(seed)).secret_key()


def _plaintext_bytes(coefficients: NDArray[np.uint64]) -> bytes:
    """What SEAL would save, uncompressed: identity of parameters, count, scale, and an array with its own header."""
    numbers = struct.pack("<Q", coefficients.size) + coefficients.astype("<u8").tobytes()
    return _with_header(bytes(32) + struct.pack("<Qd", coefficients.size, 1.0) + _with_header(numbers))


def _with_header(content: bytes) -> bytes:
    return HEADER.pack(SEAL_MAGIC, HEADER.size, *_VERSION, UNCOMPRESSED, 0, HEADER.size + len(content)) + content
