"""Sums under CKKS with one key for all hospitals: as TenSEAL's tutorials do it, or economically.

`mode = "tutorial"`: batching and a public key; N = 8192 and primes of [60, 40, 40, 60] bits, 18 times the bytes of
the plain update.

`mode = "economical"`: Microsoft SEAL below TenSEAL; N = 2048 and one prime of 54 bits, two values in a complex slot,
ciphertexts with a seed in place of their second half: 1.8 times the bytes.

Sums are exact in both, values and statistics: settings at which the scheme's own error could show in a single word
are refused, and `_seal_ckks` says what a coordinator would make of such a word.

Either way one key is made by the first hospital in every round, handed to the others encrypted between hospitals, and
held by all of them: `_shared_key` says who can then read whom. `bfv` has distributed keys and fewer bytes.

Degrees and moduli are checked for 128 bits of security against the table of the HomomorphicEncryption.org standard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.study.checks import each
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations import _seal_ckks, _tenseal_ckks
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._fixed_point import FixedPoint
from common.sums.aggregations._microsoft_seal import opened
from common.sums.aggregations._seal_ckks import SealCkks
from common.sums.aggregations._security import LARGEST_MODULUS_BITS, require_128_bits
from common.sums.aggregations._shared_key import READERS, Scheme, SharedKey, words_of
from common.sums.aggregations._shared_sum import collect_shared, collect_shared_wide
from common.sums.aggregations._tenseal_ckks import TensealCkks
from common.sums.aggregations._threshold import FEWEST_HOSPITALS
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.update import Update
from common.sums.wide import CollectedWide

DEFAULTS: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "tutorial": (8192, (60, 40, 40, 60)),
    "economical": (2048, (54,)),
}
WORD_BITS = 32
LARGEST_PRIME_BITS = 60


@dataclass(frozen=True)
class Ckks:
    """value_bits: of each value. largest_value: values u_k n_k / (largest n) beyond it are clipped, and counted.

    poly_modulus_degree, coefficient_bits: N and the primes' bits, the mode's own where not given; the economical mode
    has one prime. scale_bits: of the tutorial's scale; the economical one is the largest that the sum has room for.

    mode: "tutorial", as TenSEAL's tutorials do it, or "economical", of a tenth of the bytes. keys: "shared", one
    key that all hospitals hold; there is no other way.
    """

    reveals: ClassVar[Reveals] = "sum"
    readers: ClassVar[str] = READERS
    mode: Literal["tutorial", "economical"] = "tutorial"
    keys: Literal["shared"] = "shared"
    value_bits: int = 24
    largest_value: float = 1.0
    poly_modulus_degree: int | None = None
    coefficient_bits: tuple[int, ...] = ()
    scale_bits: int = 40

    def __post_init__(self) -> None:
        FixedPoint(self.value_bits, self.largest_value)
        if self.coefficient_bits:
            each("aggregation", 1, LARGEST_PRIME_BITS, coefficient_bits=self.coefficient_bits)
        if self.mode == "tutorial" and len(self.primes) < 3:
            raise StudyError(
                "aggregation.coefficient_bits of the tutorial's mode are three numbers or more, of the first prime, "
                f"of those that are divided by, and of the last; it is {list(self.primes)}."
            )
        if self.mode == "economical" and len(self.primes) != 1:
            raise StudyError(
                f"aggregation.coefficient_bits of the economical mode is one number; it is {self.primes}."
            )
        require_128_bits("aggregation.poly_modulus_degree", self.degree, sum(self.primes))
        if self.mode == "tutorial" and not 1 <= self.scale_bits <= sum(self.primes):
            raise StudyError(
                f"aggregation.scale_bits must be between 1 and {sum(self.primes)}, all bits of the modulus; "
                f"it is {self.scale_bits}."
            )
        opened("ckks", self.degree, self.primes)

    @property
    def degree(self) -> int:
        """N."""
        return self.poly_modulus_degree or DEFAULTS[self.mode][0]

    @property
    def primes(self) -> tuple[int, ...]:
        """Bits of each prime of the modulus."""
        return self.coefficient_bits or DEFAULTS[self.mode][1]

    def codec_in(self, hospitals: int) -> FixedPoint:
        """How updates become words, of however many hospitals."""
        return self._codec

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Rounding alone, where nothing was clipped."""
        return self._codec.largest_error(hospitals, Agreement.of(expected.largest_weight, expected))

    def check(self, hospitals: int) -> None:
        """Raise StudyError where sums of so many hospitals would wrap, or what must be exact would not be."""
        if hospitals < FEWEST_HOSPITALS:
            raise StudyError(f"a sum that hides single updates needs 3 hospitals or more; it has {hospitals}.")
        if not self._is_exact(hospitals):
            raise StudyError(
                f"aggregation 'ckks' has no room for the sum of {hospitals} hospitals with values of "
                f"{self.value_bits} bits: the sum would wrap, or the scheme's error would show in it, and from such "
                f"words a coordinator computes the key. {self._advice(hospitals)}."
            )

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Four legs. Raises StudyError as `check`."""
        self.check(len(expected.cohort.sites))
        return collect_shared(self._shared, exchange, requests, expected)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update encrypted."""
        return self._shared.protect(update, request, local)

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers in digits."""
        self.check(len(expected.cohort.sites))
        return collect_shared_wide(self._shared, exchange, requests, expected)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of wide numbers."""
        return self._shared.protect_wide(numbers, request, local)

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Keys, shares, decrypt."""
        return self._shared.answer(leg, request, local)

    @cached_property
    def _codec(self) -> FixedPoint:
        return FixedPoint(self.value_bits, self.largest_value)

    @cached_property
    def _shared(self) -> SharedKey:
        return SharedKey("ckks", self._scheme, self._codec)

    def _scheme(self, agreement: Agreement) -> Scheme:
        hospitals, words = len(agreement.sites), words_of(agreement, self._codec)
        if not self._is_exact(hospitals):
            raise WireError("the sum of so many hospitals has no room in a coefficient.")
        if self.mode == "tutorial":
            return TensealCkks(self.degree, self.primes, self.scale_bits, words)
        limbs = words - agreement.values
        return SealCkks(self.degree, self.primes[0], self.value_bits, hospitals, agreement.values, limbs)

    def _is_exact(self, hospitals: int, value_bits: int | None = None) -> bool:
        """Whether sums fit the words they travel in, and always decrypt to the exact sum."""
        bits = value_bits or self.value_bits
        largest = (1 << bits) - 1
        if (hospitals * largest).bit_length() > WORD_BITS:
            return False
        if self.mode == "economical":
            return _seal_ckks.is_exact(self.degree, self.primes[0], bits, hospitals)
        return _tenseal_ckks.is_exact(self.degree, self.primes, self.scale_bits, hospitals, largest)

    def _advice(self, hospitals: int) -> str:
        fitting = [bits for bits in range(2, self.value_bits) if self._is_exact(hospitals, bits)]
        most = LARGEST_MODULUS_BITS[self.degree]
        larger = f"up to {most} bits at N = {self.degree}, more at a larger poly_modulus_degree"
        if fitting:
            return f"value_bits = {fitting[-1]} fits; more fit a larger modulus ({larger})"
        return f"No value_bits fit; take a larger modulus ({larger}) or another scale_bits"


aggregation: type[Aggregation] = Ckks
