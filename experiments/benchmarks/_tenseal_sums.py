"""A sum with TenSEAL used directly, as its tutorials and NVFlare do: CKKSVectors of all slots, a public key.

Settings are those of TenSEAL's CKKS tutorial and of NVFlare's context for homomorphic encryption; NVFlare's own
packing and transport are not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
import tenseal
from numpy.typing import NDArray


@dataclass(frozen=True)
class Settings:
    """degree: N. primes: bits of each of the modulus. scale_bits: of the scale."""

    degree: int
    primes: tuple[int, ...]
    scale_bits: int = 40


TUTORIAL = Settings(8192, (60, 40, 40, 60))
NVFLARE = Settings(8192, (60, 40, 40))


@dataclass(frozen=True)
class Summed:
    """total: (n,) float64, the sum. CPU seconds of one hospital's encryption, of adding one, and of decrypting."""

    total: NDArray[np.float64]
    encrypt_s: float
    add_s: float
    decrypt_s: float
    sent_bytes: float


def ckks_sum(settings: Settings, updates: Mapping[str, NDArray[np.float32]]) -> Summed:
    """From float32 to serialised bytes; from bytes to a sum; from the sum's bytes to numbers."""
    key, public = _contexts(settings)
    encrypt_s, add_s, sizes = [], [], []
    total: list[Any] = []
    for values in updates.values():
        begin = process_time()
        blocks = _encrypted(key, values, settings.degree // 2)
        encrypt_s.append(process_time() - begin)
        sizes.append(sum(map(len, blocks)))
        begin = process_time()
        total = _added(total, [tenseal.ckks_vector_from(public, block) for block in blocks])
        add_s.append(process_time() - begin)
    blocks = [one.serialize() for one in total]
    begin = process_time()
    numbers = np.concatenate([tenseal.ckks_vector_from(key, block).decrypt() for block in blocks])
    return Summed(numbers, fmean(encrypt_s), fmean(add_s), process_time() - begin, fmean(sizes))


def _encrypted(key: Any, values: NDArray[np.float32], slots: int) -> list[bytes]:
    parts = [values[start : start + slots].tolist() for start in range(0, values.size, slots)]
    return [tenseal.ckks_vector(key, part).serialize() for part in parts]


def _added(total: list[Any], more: list[Any]) -> list[Any]:
    return [one.add_(other) for one, other in zip(total, more, strict=True)] if total else more


@cache
def _contexts(settings: Settings) -> tuple[Any, Any]:
    """With the secret key, and without."""
    made = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, settings.degree, coeff_mod_bit_sizes=list(settings.primes), n_threads=1
    )
    made.global_scale = 2.0**settings.scale_bits
    public = tenseal.context_from(made.serialize(save_secret_key=False), n_threads=1)
    return made, public
