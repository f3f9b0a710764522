"""Sums under masks by secret sharing (Bonawitz et al. 2017): the server sees only the sum; dropouts are survived.

Weights, statistics, scores and seconds are words of the sum as well; nothing else of a hospital travels.

**What is protected, and against whom.** A server that follows the protocol, or cheats in any message, together with
up to `colluding` hospitals, learns of the others' updates nothing but their sum, and that of at least `threshold`
hospitals. Each way to cheat has its answer:

- Keys in the middle, invented hospitals: keys are signed with identities that hospitals know by themselves.
- Keys or shares of another round, study or cohort: keys are signed for one round, which has one order or
  question; shares are encrypted in one session.
- Both shares of one hospital (its seed and its mask key): a hospital gives one share for each, and more than half of
  the honest hospitals must have signed one and the same set of survivors, which decides which.
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

**Cost and limits.** Each hospital makes a mask for each other: time grows with their number, bytes hardly (about 300
for each other hospital). With more than a hundred hospitals a round a hospital has masks in common with those that it
chose, and those that chose it, alone (Bell et al. 2020; `_neighbourhood` has the two theorems, `_sparse_client` the
legs): about log n of them. With some 500 and more, unless `threshold` is set, each reads on survivors the signatures
of witnesses that it draws, about 3.7 times the square root of n, twice (`_witnesses`, `_witnessed_sum`), and else
those of all. The server expands one mask for each survivor, and one for each pair of a survivor and a dropped one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log10
from typing import ClassVar, Literal

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError
from common.sums.abilities import Keys
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._fixed_point import FixedPoint
from common.sums.aggregations._neighbourhood import (
    Demand,
    Neighbourhood,
    chance_bits,
    failure_bits,
    least_neighbourhood,
    secrecy_bits,
)
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import PLAINLY, Accept, MaskedSum
from common.sums.aggregations._secagg_server import Opened, open_sum
from common.sums.aggregations._sparse_client import SparseSum, bytes_of_legs
from common.sums.aggregations._sparse_server import open_sparse_sum
from common.sums.aggregations._summed import collected, nothing
from common.sums.aggregations._threshold import Threshold
from common.sums.aggregations._wide_sum import accepting, collected_wide, form_of, packed
from common.sums.aggregations._witnessed_sum import WitnessedSum
from common.sums.aggregations._witnesses import Witnesses, least_witnesses, missed_bits, one_set_bits
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.update import Update
from common.sums.wide import CollectedWide

MOST_IN_PAIRS = 100
"""Hospitals of a round that "auto" has share with all others."""
LEAST_BITS_TOLD = 12
"""Of a value; fewer are hardly anybody's choice."""
MOST_BITS = 24
"""Of a value, by itself: float32 has no more."""
MOST_TOLD_BITS = 128
"""No key is longer."""


@dataclass(frozen=True)
class SecureAggregation:
    """value_bits: of each value; "auto": 24, or as many as leave room in 32 for the sum of more than 256 hospitals.

    largest_value: values u_k n_k / (largest n) beyond it are clipped, and counted.
    threshold, colluding: how many hospitals open a sum, and how many may help a cheating server; see `Threshold`.
    neighbours: with how many others of its own choice a hospital shares its secrets: "all", a number, or "auto": all
    of up to 100 hospitals a round, and of more the least number that keeps the three next.
    lost_share: share of a round's hospitals that may be lost in any of its legs.
    secrecy_bits: a round of chosen neighbours tells more than one sum with a chance of at most 2^-secrecy_bits, where
    as many as `colluding`, or a tenth of the round, help a server that cheats and loses whom it likes.
    success_bits: such a round fails with a chance of at most 2^-success_bits, where no more than lost_share are lost.
    A word takes the fewest of 1 to 4 bytes that hold value_bits + log2(hospitals): "auto" takes 4, as 24 bits do, 16
    bits take 3, 8 bits take 2, and 4 bits with up to 16 hospitals 1.
    """

    reveals: ClassVar[Reveals] = "sum"
    readers: ClassVar[str] = (
        "The coordinator reads the sum over the hospitals that took part. Nobody reads a single update, unless as "
        "many hospitals as the threshold give away the secret shares that they keep for others."
    )
    keys: ClassVar[Keys] = "distributed"
    value_bits: Literal["auto"] | int = "auto"
    largest_value: float = 1.0
    threshold: int | None = None
    colluding: int = 0
    neighbours: Literal["auto", "all"] | int = "auto"
    lost_share: float = 0.1
    secrecy_bits: int = 40
    success_bits: int = 30

    def __post_init__(self) -> None:
        FixedPoint(self.bits_in(2), self.largest_value)
        if not 0 <= self.lost_share < 0.5:
            raise StudyError(f"aggregation.lost_share must be at least 0 and below 0.5; it is {self.lost_share:g}.")
        for name, bits, least in (("secrecy_bits", self.secrecy_bits, 20), ("success_bits", self.success_bits, 1)):
            if not least <= bits <= 128:
                raise StudyError(f"aggregation.{name} must be between {least} and 128; it is {bits}.")

    def bits_in(self, hospitals: int) -> int:
        """Of a value, in a round of so many."""
        if self.value_bits != "auto":
            return self.value_bits
        return min(MOST_BITS, Ring.most_bits(hospitals))

    def codec_in(self, hospitals: int) -> FixedPoint:
        """How updates become words in a round of so many."""
        return FixedPoint(self.bits_in(hospitals), self.largest_value)

    def sums_in(self, hospitals: int) -> MaskedSum:
        """How words of a round of so many are added up. Raises StudyError where the settings do not fit that."""
        graph = self.graph_in(hospitals)
        if graph is None:
            return MaskedSum("secagg", Threshold(self.threshold, self.colluding))
        witnesses = self.witnesses_in(hospitals)
        threshold = Threshold(self.threshold, self._demand(hospitals).colluding)
        if witnesses is None:
            return SparseSum("secagg", threshold, graph=graph)
        return WitnessedSum("secagg", threshold, graph=graph, witnesses=witnesses)

    def graph_in(self, hospitals: int) -> Neighbourhood | None:
        """How many others a hospital shares its secrets with, and how many open its mask; None where with all."""
        demand = self._demand(hospitals)
        if isinstance(self.neighbours, int):
            return demand.with_chosen(self.neighbours)
        if not self._is_sparse(hospitals):
            return None
        found = least_neighbourhood(demand)
        return None if found is None or 2 * found.chosen >= hospitals - 1 else found

    def witnesses_in(self, hospitals: int) -> Witnesses | None:
        """How many of a round of so many sign survivors to each hospital; None where all do, or share with all."""
        is_few = self.threshold is not None or self.graph_in(hospitals) is None
        return None if is_few else least_witnesses(self._demand(hospitals))

    def readers_in(self, hospitals: int) -> str:
        """Who can read a single update of a round of so many, and whom it takes."""
        graph, demand, few = self.graph_in(hospitals), self._demand(hospitals), self.witnesses_in(hospitals)
        if graph is None:
            return self.readers
        told, failing = [secrecy_bits(demand, graph)], [failure_bits(demand, graph)]
        if few is not None:
            told.append(one_set_bits(demand, few))
            failing.append(missed_bits(demand, few))
        return (
            "The coordinator reads the sum over the hospitals that took part. In each round a hospital shares its "
            f"secrets with {graph.chosen} of {hospitals - 1:,} others, which it chooses itself, and about as many "
            f"choose it; {graph.needed} of its own choice open its masks{_agreed_by(few)}. Nobody reads a single "
            "update, or a sum of a part, unless so many of those give away the shares that they keep. Up to "
            f"{demand.colluding:,} hospitals that collude from the start, with a coordinator that cheats and calls "
            f"lost whom it likes, succeed in that with a chance of at most {_chance(chance_bits(*told))} a round; "
            f"where up to {demand.lost:,} are lost, one fails with a chance of {_chance(chance_bits(*failing))} at "
            "most."
        )

    def precision_in(self, hospitals: int) -> str:
        """How many bytes a value takes in a round of so many, how finely it is told, and what a byte less costs."""
        bits, spare = self.bits_in(hospitals), (hospitals - 1).bit_length()
        step = self.codec_in(hospitals).step
        width = Ring.holding(bits, hospitals).width
        said = (
            f"A value travels in {width} bytes, {bits} bits of which are its own: in a range of "
            f"{self.largest_value:g} to both sides rounding moves it by less than {step:.1e}."
        )
        fewer = 8 * (width - 1) - spare
        if fewer < LEAST_BITS_TOLD:
            return said
        step = FixedPoint(fewer, self.largest_value).step
        return (
            f"{said} aggregation.value_bits = {fewer} takes {width - 1} bytes, and moves it by less than {step:.1e}."
        )

    def _is_sparse(self, hospitals: int) -> bool:
        return self.neighbours != "all" and (self.neighbours != "auto" or hospitals > MOST_IN_PAIRS)

    def _demand(self, hospitals: int) -> Demand:
        return Demand.of(hospitals, self.colluding, self.lost_share, self.secrecy_bits, self.success_bits)

    def threshold_in(self, hospitals: int) -> int:
        """How many hospitals must sign one set of survivors."""
        return self.sums_in(hospitals).threshold.of(hospitals)

    def shares_in(self, hospitals: int) -> int:
        """How many secret shares open a hospital's masks."""
        graph = self.graph_in(hospitals)
        return self.threshold_in(hospitals) if graph is None else graph.needed

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Rounding alone, where nothing was clipped."""
        codec = self.codec_in(max(hospitals, len(expected.cohort.sites)))
        return codec.largest_error(hospitals, Agreement.of(expected.largest_weight, expected))

    def bytes_a_value(self, hospitals: int) -> int:
        """Of a word that holds the sum."""
        return Ring.holding(self.bits_in(hospitals), hospitals).width

    def bytes_beside(self, hospitals: int, whole_groups: bool) -> tuple[int, int] | None:
        """To a hospital and from it, beside values, orders and names; None where hospitals share with all.

        whole_groups: without them nobody draws witnesses.
        """
        graph, few = self.graph_in(hospitals), self.witnesses_in(hospitals) if whole_groups else None
        return None if graph is None else bytes_of_legs(graph, hospitals, few)

    def check(self, hospitals: int) -> None:
        """Raise StudyError where the sum does not fit a word, or the threshold not the number of hospitals."""
        demand = self._demand(hospitals)
        threshold = Threshold(self.threshold, self.colluding).of(hospitals)
        if self._is_sparse(hospitals) and threshold > hospitals - demand.lost:
            raise StudyError(
                f"aggregation.lost_share lets {demand.lost} of {hospitals} hospitals be lost, and {threshold} must "
                "be there to open a sum: give a smaller lost_share or threshold."
            )
        self.threshold_in(hospitals)
        Ring.holding(self.bits_in(hospitals), hospitals)

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Five legs, or six. Nothing is opened of fewer than the threshold, or of a set that the cohort forbids."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        self.check(len(agreement.sites))
        codec = self.codec_in(len(agreement.sites))
        accept = partial(self._accept, self._ring(agreement), codec.length(agreement))
        opened = self._open(exchange, requests, agreement, expected.cohort, accept)
        if opened is None:
            return nothing()
        residues = self._ring(agreement).residues(opened.total).astype(np.uint64)
        told = (opened.proof, opened.unaware)
        return collected(exchange, opened.sites, residues, codec, agreement, expected, *told)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update's words under masks, packed, and nothing else."""
        agreement = read_agreement(request, local.cohort.sites)
        words = self.codec_in(len(agreement.sites)).encode(update, agreement, local.rng, local.most_clipped)
        sums = self.sums_in(len(local.cohort.sites))
        masked = sums.mask(words, request, local)
        return Payload(data=self._ring(agreement).pack(masked), words=sums.beside(local))

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers under masks as wide as they are."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        self.check(len(agreement.sites))
        form = form_of(agreement)
        cohort, adding = expected.cohort, Adding(form)
        opened = self._open(exchange, requests, agreement, cohort, accepting(form), adding)
        return collected_wide(form, None if opened is None else opened.total, () if opened is None else opened.sites)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """The numbers under masks, and nothing else."""
        form = form_of(read_agreement(request, local.cohort.sites))
        sums = self.sums_in(len(local.cohort.sites))
        masked = sums.mask(form.pack(numbers), request, local, Adding(form))
        return replace(packed(masked), words=sums.beside(local))

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Keys, shares, survivors, unmask."""
        return self.sums_in(len(local.cohort.sites)).answer(leg, request, local)

    def _open(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        agreement: Agreement,
        cohort: Cohort,
        accept: Accept,
        adding: Adding = PLAINLY,
    ) -> Opened | None:
        sums = self.sums_in(len(agreement.sites))
        if isinstance(sums, SparseSum):
            return open_sparse_sum(sums, exchange, requests, agreement, cohort, accept, adding)
        return open_sum(sums, exchange, requests, agreement, cohort, accept, adding)

    def _ring(self, agreement: Agreement) -> Ring:
        return Ring.holding(self.bits_in(len(agreement.sites)), len(agreement.sites))

    @staticmethod
    def _accept(ring: Ring, length: int, site: SiteId, reply: Payload) -> Words:
        return ring.unpack(reply.data, length)


def _agreed_by(few: Witnesses | None) -> str:
    if few is None:
        return ""
    return f", once {few.needed} of {few.chosen} witnesses that it draws agree, twice, on who is in the sum"


def _chance(bits: float) -> str:
    return f"one in 10^{int(min(bits, MOST_TOLD_BITS) * log10(2))}"


aggregation: type[Aggregation] = SecureAggregation
