"""Sums under masks by secret sharing (Bonawitz et al. 2017): the server sees only the sum; dropouts are survived.

Weights, statistics, scores and seconds are words of the sum as well; nothing else of a hospital travels.

**What is protected, and against whom.** A server that follows the protocol, or cheats in any message, together with
up to `colluding` hospitals, learns of the others' updates nothing but their sum, and that of at least `threshold`
hospitals. Each way to cheat has its answer:

- Keys in the middle, invented hospitals: keys are signed with identities that hospitals know by themselves.
- Keys or shares of another round, study or cohort: they are signed for, and encrypted in, one session only.
- Both shares of one hospital (its seed and its mask key): a hospital gives one share for each, and more than half of
  the hospitals must have signed one and the same set of survivors, which decides which.
- Other survivors told to other hospitals, or another set of the same round later: the same signatures; and a hospital
  writes down, on its disk where it has a folder, whose sum it opened in a round, and opens no other of that round.
- Another model, or another scale, told to some hospitals so that the others' part of the sum is nought (Pasquini et
  al. 2022): the masks of a pair are derived from a digest of the order as well, so that those of hospitals that got
  different ones never cancel; the agreement is signed together with the keys.
- The same message twice: every leg is answered once a session, and sessions have fresh keys.

Masks are keystreams of AES-128; keys come from X25519 and HKDF-SHA256 with full entropy; shares are Shamir's over a
prime field of 256 bits and travel under AES-GCM. All secrets are the operating system's randomness.

**What is not.** The sum itself, which the server sees: two rounds of cohorts that differ by one hospital, chosen by
the server, differ by little more than that hospital's update (add noise: `privacy`). A hospital that sends a
false update: nobody sees single ones, so a poisoned sum cannot be traced; and one that lies in the protocol can make
a round fail, though not reveal anything. Who took part and when, which is known. A round repeated after a crash of
the server is refused where other hospitals survive in it than the first time.

**Cost and limits.** Each hospital makes a mask for each other: time grows with their number, bytes hardly (about
300 for each other hospital). Meant for up to about a hundred hospitals a round; for more, a sparse graph of pairs
(Bell et al. 2020) would do, which is not built. The server expands one mask for each survivor, and one for each pair
of a survivor and a dropped one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from common.data.cases import SiteId
from common.sums.abilities import Keys
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._fixed_point import FixedPoint
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import MaskedSum
from common.sums.aggregations._secagg_server import open_sum
from common.sums.aggregations._summed import collected, nothing
from common.sums.aggregations._threshold import Threshold
from common.sums.aggregations._wide_sum import accepting, collected_wide, form_of, packed
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.update import Update
from common.sums.wide import CollectedWide


@dataclass(frozen=True)
class SecureAggregation:
    """value_bits: of each value. largest_value: values u_k n_k / (largest n) beyond it are clipped, and counted.

    threshold, colluding: how many hospitals open a sum, and how many may help a cheating server; see `Threshold`.
    A word takes the fewest of 1 to 4 bytes that hold value_bits + log2(hospitals): 24 bits with up to 256 hospitals
    take 4, 16 bits take 3, 8 bits take 2, and 4 bits with up to 16 hospitals 1.
    """

    reveals: ClassVar[Reveals] = "sum"
    readers: ClassVar[str] = (
        "The coordinator reads the sum over the hospitals that took part. Nobody reads a single update, unless as "
        "many hospitals as the threshold give away the secret shares that they keep for others."
    )
    keys: ClassVar[Keys] = "distributed"
    value_bits: int = 24
    largest_value: float = 1.0
    threshold: int | None = None
    colluding: int = 0

    def __post_init__(self) -> None:
        FixedPoint(self.value_bits, self.largest_value)

    @cached_property
    def codec(self) -> FixedPoint:
        """How updates become words."""
        return FixedPoint(self.value_bits, self.largest_value)

    @cached_property
    def sums(self) -> MaskedSum:
        """How words are added up."""
        return MaskedSum("secagg", Threshold(self.threshold, self.colluding))

    def threshold_in(self, hospitals: int) -> int:
        """How many secret shares open a mask."""
        return self.sums.threshold.of(hospitals)

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Rounding alone, where nothing was clipped."""
        return self.codec.largest_error(hospitals, Agreement.of(expected.largest_weight, expected))

    def bytes_a_value(self, hospitals: int) -> int:
        """Of a word that holds the sum."""
        return Ring.holding(self.value_bits, hospitals).width

    def check(self, hospitals: int) -> None:
        """Raise StudyError where the sum does not fit a word, or the threshold not the number of hospitals."""
        self.sums.threshold.of(hospitals)
        Ring.holding(self.value_bits, hospitals)

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Five legs. Nothing is opened of fewer than the threshold, or of another set than the cohort permits."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        self.check(len(agreement.sites))
        accept = partial(self._accept, self._ring(agreement), self.codec.length(agreement))
        opened = open_sum(self.sums, exchange, requests, agreement, expected.cohort, accept)
        if opened is None:
            return nothing()
        residues = self._ring(agreement).residues(opened.total).astype(np.uint64)
        told = (opened.proof, opened.unaware)
        return collected(exchange, opened.sites, residues, self.codec, agreement, expected, *told)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update's words under masks, packed, and nothing else."""
        agreement = read_agreement(request)
        words = self.codec.encode(update, agreement, local.rng, local.most_clipped)
        return Payload(data=self._ring(agreement).pack(self.sums.mask(words, request, local)))

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers under masks as wide as they are."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        self.check(len(agreement.sites))
        form = form_of(agreement)
        cohort, adding = expected.cohort, Adding(form)
        opened = open_sum(self.sums, exchange, requests, agreement, cohort, accepting(form), adding)
        return collected_wide(form, None if opened is None else opened.total, () if opened is None else opened.sites)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """The numbers under masks, and nothing else."""
        form = form_of(read_agreement(request))
        return packed(self.sums.mask(form.pack(numbers), request, local, Adding(form)))

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Keys, shares, survivors, unmask."""
        return self.sums.answer(leg, request, local)

    def _ring(self, agreement: Agreement) -> Ring:
        return Ring.holding(self.value_bits, len(agreement.sites))

    @staticmethod
    def _accept(ring: Ring, length: int, site: SiteId, reply: Payload) -> Words:
        return ring.unpack(reply.data, length)


aggregation: type[Aggregation] = SecureAggregation
