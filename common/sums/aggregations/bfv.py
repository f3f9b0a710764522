"""Sums under encryption with few bytes: several values a coefficient, and keys whose sum alone is ever opened.

`keys = "distributed"`, the default: every hospital encrypts under a key of its own, fresh in every round, and only
the sum of the keys of those whose ciphertexts are added is opened, by the protocol of `secagg`, dropouts and cheating
servers included. `_distributed_key` says what is encrypted how, why the sum of the keys gives nothing but the sum of
the updates away, and that the construction is our own and was reviewed by nobody outside.

`keys = "shared"`: BFV of Microsoft SEAL under one key that all hospitals hold, as other frameworks do;
`_shared_key` says who can then read whom.

Either way sums are exact: values are clipped before they become whole numbers, each has room in its coefficient for
the sum over all hospitals of the round, and the largest errors there can be leave that sum readable. Settings for
which this does not hold are refused before any hospital is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.sums.abilities import Keys
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations import _seal_bfv
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._distributed_key import DistributedKey
from common.sums.aggregations._distributed_sum import DistributedSum
from common.sums.aggregations._fixed_point import FixedPoint
from common.sums.aggregations._packing import Packing
from common.sums.aggregations._polynomials import DEGREE, MODULUS_BITS
from common.sums.aggregations._seal_bfv import SealBfv
from common.sums.aggregations._secagg_client import MaskedSum
from common.sums.aggregations._security import require_128_bits
from common.sums.aggregations._shared_key import READERS, Scheme, SharedKey, words_of
from common.sums.aggregations._shared_sum import collect_shared, collect_shared_wide
from common.sums.aggregations._threshold import Threshold
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.update import Update
from common.sums.wide import CollectedWide


@dataclass(frozen=True)
class Bfv:
    """value_bits: of each value. largest_value: values u_k n_k / (largest n) beyond it are clipped, and counted.

    values_a_coefficient: how many values share 8 bytes or fewer. threshold, colluding: how many hospitals open the
    sum of keys, and how many may help a cheating server, as in `secagg`; both are of distributed keys only.

    keys: "distributed", a key of each hospital's own, and only their sum is ever opened; "shared", one that all
    hospitals hold, which trusts each of them with every update.
    """

    reveals: ClassVar[Reveals] = "sum"
    keys: Keys = "distributed"
    value_bits: int = 21
    largest_value: float = 1.0
    values_a_coefficient: int = 2
    threshold: int | None = None
    colluding: int = 0

    def __post_init__(self) -> None:
        most = MODULUS_BITS // FixedPoint(self.value_bits, self.largest_value).value_bits
        if not 1 <= self.values_a_coefficient <= most:
            raise StudyError(
                f"aggregation.values_a_coefficient must be between 1 and {most} with {self.value_bits} bits a "
                f"value; it is {self.values_a_coefficient}."
            )

    @property
    def readers(self) -> str:
        """Who can read whom."""
        if self.keys == "shared":
            return READERS
        return (
            "The coordinator reads the sum over the hospitals that took part; nobody reads a single update, since "
            "each is encrypted under its hospital's own key and only the sum of those keys is ever opened."
        )

    def codec_in(self, hospitals: int) -> FixedPoint:
        """How updates become words, of however many hospitals."""
        return self._codec

    def threshold_in(self, hospitals: int) -> int:
        """How many secret shares open a key; of distributed keys."""
        return Threshold(self.threshold, self.colluding).of(hospitals)

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Rounding alone, where nothing was clipped."""
        return self._codec.largest_error(hospitals, Agreement.of(expected.largest_weight, expected))

    def check(self, hospitals: int) -> None:
        """Raise StudyError where sums of so many hospitals would not be exact, saying what would be."""
        Threshold(self.threshold, self.colluding).of(hospitals)
        require_128_bits("poly_modulus_degree", DEGREE, MODULUS_BITS)
        if self._is_exact(self.value_bits, hospitals):
            return
        fitting = [bits for bits in range(2, self.value_bits) if self._is_exact(bits, hospitals)]
        advice = f"value_bits = {fitting[-1]} has" if fitting else "fewer values_a_coefficient may have"
        raise StudyError(
            f"aggregation 'bfv' has no room for the sum of {hospitals} hospitals with {self.values_a_coefficient} "
            f"values of {self.value_bits} bits a coefficient; {advice}."
        )

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Five legs with distributed keys, four with a shared one. Raises StudyError as `check`."""
        self.check(len(expected.cohort.sites))
        if self.keys == "shared":
            return collect_shared(self._shared, exchange, requests, expected)
        return self._distributed.collect(exchange, requests, expected)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update encrypted; with distributed keys this round's key under masks comes first."""
        half = self._shared if self.keys == "shared" else self._distributed
        return half.protect(update, request, local)

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers in digits."""
        self.check(len(expected.cohort.sites))
        if self.keys == "shared":
            return collect_shared_wide(self._shared, exchange, requests, expected)
        return self._distributed.collect_wide(exchange, requests, expected)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of wide numbers."""
        half = self._shared if self.keys == "shared" else self._distributed
        return half.protect_wide(numbers, request, local)

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Keys and shares; then survivors and unmask, or decrypt."""
        half = self._shared if self.keys == "shared" else self._distributed.sums
        return half.answer(leg, request, local)

    @cached_property
    def _codec(self) -> FixedPoint:
        return FixedPoint(self.value_bits, self.largest_value)

    @cached_property
    def _distributed(self) -> DistributedSum:
        sums = MaskedSum("bfv", Threshold(self.threshold, self.colluding))
        return DistributedSum(sums, self._codec, self.values_a_coefficient)

    @cached_property
    def _shared(self) -> SharedKey:
        return SharedKey("bfv", self._scheme, self._codec)

    def _scheme(self, agreement: Agreement) -> Scheme:
        if not self._is_exact(self.value_bits, len(agreement.sites)):
            raise WireError("the sum of so many hospitals has no room in a coefficient.")
        return SealBfv(self._packing(self.value_bits, len(agreement.sites)), words_of(agreement, self._codec))

    def _packing(self, value_bits: int, hospitals: int) -> Packing:
        return Packing(self.values_a_coefficient, value_bits, hospitals)

    def _is_exact(self, value_bits: int, hospitals: int) -> bool:
        """A sum's words travel as 4 bytes where a hospital decrypts it."""
        packing = self._packing(value_bits, hospitals)
        if self.keys == "shared":
            return packing.width <= 32 and _seal_bfv.is_exact(packing)
        return DistributedKey(packing.bits, hospitals).is_exact


aggregation: type[Aggregation] = Bfv
