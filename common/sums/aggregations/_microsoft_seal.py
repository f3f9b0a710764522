"""Microsoft SEAL by the binding inside TenSEAL: encrypt, add, decrypt.

A sum needs no relinearisation, no Galois keys and no special prime, so one prime of modulus is enough, which
TenSEAL's own context refuses and `tenseal.sealapi` does not. A seeded ciphertext holds one polynomial and the seed of
the other. SEAL reads and writes files only; here they lie in memory, so that no key is ever written to a disk, and
what it reads was written by `_seal_bytes` or by itself in this process: never by a peer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any, Literal

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from common.errors import StudyError, WireError
from common.sums.aggregations._seal_bytes import SEED_BYTES, Form, plaintext_bytes, plaintext_coefficients
from common.sums.aggregations._security import require_128_bits

LARGEST_ERROR = 21
"""Of a coefficient: SEAL draws centred binomial errors of 42 coins, standard deviation 3.24."""
RELATIVE_ERROR = 2.0**-46
"""Of encoding and decoding slots of ckks in doubles, against the largest of them."""
Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


@lru_cache(maxsize=8)
def opened(
    scheme: Literal["bfv", "ckks"], degree: int, modulus_bits: tuple[int, ...], plain_bits: int = 0
) -> SealScheme:
    """As `SealScheme`, made once: its tables take longer than a small sum."""
    return SealScheme(scheme, degree, modulus_bits, plain_bits)


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
class SealScheme:
    """One scheme. modulus_bits: of each prime; of several the last is SEAL's special one, and no ciphertext has it.

    plain_bits: of the plain modulus 2**plain_bits of bfv. Raises StudyError where that is not 128 bits of security,
    or SEAL has no such primes.
    """

    scheme: Literal["bfv", "ckks"]
    degree: int
    modulus_bits: tuple[int, ...]
    plain_bits: int = 0

    def __post_init__(self) -> None:
        require_128_bits("poly_modulus_degree", self.degree, sum(self.modulus_bits))
        if not hasattr(os, "memfd_create"):
            raise StudyError("this way of encryption keeps SEAL's files in memory, which needs Linux.")
        if not self.context.parameters_set():
            raise StudyError(f"SEAL refuses these parameters: {self.context.parameters_error_name()}.")

    @cached_property
    def context(self) -> Any:
        """SEAL's context, with randomness of the operating system."""
        return self._context(None)

    @cached_property
    def form(self) -> Form:
        """Of ciphertexts; of ckks but for their scale."""
        moduli = self._moduli if len(self._moduli) == 1 else self._moduli[:-1]
        values = tuple(modulus.value() for modulus in moduli)
        return Form(tuple(self.context.first_parms_id()), self.degree, values, self.scheme == "ckks")

    def encrypt(self, plaintexts: Sequence[Any], key: bytes) -> list[bytes]:
        """Seeded blocks. key: 64 bytes, from which SEAL derives the secret key."""
        encryptor, form = seal.Encryptor(self.context, self._secret_key(key)), self.form
        with MemoryFile() as file:
            return [form.to_wire(file.saved(encryptor.encrypt_symmetric(plain)), True) for plain in plaintexts]

    def encrypt_public(self, plaintexts: Sequence[Any], key: bytes) -> list[bytes]:
        """Full blocks, encrypted with a public key that is made here of the secret one, and used this once."""
        public = seal.PublicKey()
        seal.KeyGenerator(self.context, self._secret_key(key)).create_public_key(public)
        encryptor, found = seal.Encryptor(self.context, public), []
        for plain in plaintexts:
            one = seal.Ciphertext()
            encryptor.encrypt(plain, one)
            found.append(one)
        return self.save(found)

    def load(self, blocks: Sequence[bytes], *, seeded: bool, scale: float = 1.0) -> list[Any]:
        """Ciphertexts. Raises WireError where a block's size or a number in it is wrong."""
        form = replace(self.form, scale=scale)
        with MemoryFile() as file:
            return [self._load(form.from_wire(block, seeded), file) for block in blocks]

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
            return [self.form.to_wire(file.saved(one), False) for one in ciphertexts]

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
                plain.load(self.context, file.write(plaintext_bytes(row)))
        return plaintexts

    def to_coefficients(self, plaintexts: Sequence[Any]) -> NDArray[np.uint64]:
        """(blocks x degree,) uint64: the reverse."""
        rows = np.zeros((len(plaintexts), self.degree), np.uint64)
        with MemoryFile() as file:
            for row, plain in zip(rows, plaintexts, strict=True):
                found = plaintext_coefficients(file.saved(plain))
                row[: found.size] = found
        return rows.reshape(-1)

    def from_slots(self, slots: Complex | Real, scale: float) -> list[Any]:
        """Plaintexts of ckks from (blocks, degree / 2) numbers."""
        encoder = seal.CKKSEncoder(self.context)
        plaintexts = [seal.Plaintext() for _ in slots]
        for row, plain in zip(slots, plaintexts, strict=True):
            encoder.encode(row.tolist(), scale, plain)
        return plaintexts

    def to_slots(self, plaintexts: Sequence[Any]) -> Complex:
        """(blocks, degree / 2) complex: the reverse, but for the error."""
        encoder = seal.CKKSEncoder(self.context)
        return np.array([encoder.decode_complex(plain) for plain in plaintexts], np.complex128)

    def _load(self, saved: bytes, file: MemoryFile) -> Any:
        one = seal.Ciphertext(self.context)
        try:
            one.load(self.context, file.write(saved))
        except (RuntimeError, ValueError, IndexError):
            raise WireError("a ciphertext is of other parameters.") from None
        return one

    @cached_property
    def _moduli(self) -> list[Any]:
        try:
            return list(seal.CoeffModulus.Create(self.degree, list(self.modulus_bits)))
        except (ValueError, RuntimeError, IndexError) as error:
            raise StudyError(f"SEAL has no primes of {list(self.modulus_bits)} bits: {error}.") from None

    def _context(self, seed: bytes | None) -> Any:
        kind = seal.SCHEME_TYPE.BFV if self.scheme == "bfv" else seal.SCHEME_TYPE.CKKS
        parameters = seal.EncryptionParameters(kind)
        parameters.set_poly_modulus_degree(self.degree)
        parameters.set_coeff_modulus(self._moduli)
        if self.scheme == "bfv":
            parameters.set_plain_modulus(1 << self.plain_bits)
        if seed is not None:
            parameters.set_random_generator(seal.Blake2xbPRNGFactory(list(struct.unpack("<8Q", seed))))
        return seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)

    def _secret_key(self, seed: bytes) -> Any:
        """The key that SEAL draws where its randomness is `seed`; only here is it not the operating system's.

        Raises WireError where the seed has another size.
        """
        if len(seed) != SEED_BYTES:
            raise WireError(f"a key takes {SEED_BYTES} bytes; {len(seed)} came.")
        return seal.KeyGenerator(self._context(seed)).secret_key()
