"""Sums under distributed keys, both halves: updates encrypted, and the sum of the keys opened by `_masked_sum`.

A hospital's reply to "round" is its key of this round under masks, then its words under that key. The sum of the
keys is opened over the survivors that the hospitals signed, and exactly their ciphertexts are added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._csprng import LARGEST_SMALL
from common.sums.aggregations._digits import FEWEST_HIDING_BITS, MOST_HIDING_BITS, HiddenDigits
from common.sums.aggregations._distributed_key import Bytes, DistributedKey, new_secret
from common.sums.aggregations._fixed_point import FixedPoint, Totals
from common.sums.aggregations._folding import Folding
from common.sums.aggregations._packing import Coefficients, Packing
from common.sums.aggregations._polynomials import DEGREE, Small
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import Accept, MaskedSum
from common.sums.aggregations._secagg_server import open_sum
from common.sums.aggregations._summed import collected, nothing
from common.sums.aggregations._wide_sum import collected_wide, form_of
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload
from common.sums.update import Update
from common.sums.wide import CollectedWide

KEY_BITS = (2 * LARGEST_SMALL).bit_length()
NONCE = "bfv/nonce"
"""Word of an order: 32 bytes of the server's, hex, so that a round run twice has other public polynomials."""


@dataclass(frozen=True)
class DistributedSum:
    """sums: how keys are added up. values: words in one coefficient."""

    sums: MaskedSum
    codec: FixedPoint
    values: int

    def is_exact(self, hospitals: int) -> bool:
        """Whether the sum of so many hospitals' words always decrypts exactly."""
        packing = Packing(self.values, self.codec.value_bits, hospitals)
        return DistributedKey(packing.bits, hospitals).is_exact

    def collect(self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected) -> Collected:
        """Server half: five legs."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        nonce = os.urandom(32).hex()
        orders = {site: replace(order, words={**order.words, NONCE: nonce}) for site, order in requests.items()}
        form = _Form.of(self, agreement)
        uploads = form.uploads(expected.cohort)
        opened = open_sum(self.sums, exchange, orders, agreement, expected.cohort, form.accepting(uploads))
        if opened is None:
            return nothing()
        key_sum = form.key_sum(opened.total, len(opened.sites))
        label = _label(next(iter(orders.values())), agreement)
        totals = form.decrypted(uploads.total(opened.sites), key_sum, label)
        told = (opened.proof, opened.unaware)
        return collected(exchange, opened.sites, totals, self.codec, agreement, expected, *told)

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers in digits that hide what they carry."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        digits = self._digits(agreement)
        nonce = os.urandom(32).hex()
        orders = {site: replace(order, words={**order.words, NONCE: nonce}) for site, order in requests.items()}
        form = _Form.of_digits(digits)
        uploads = form.uploads(expected.cohort)
        opened = open_sum(self.sums, exchange, orders, agreement, expected.cohort, form.accepting(uploads))
        if opened is None:
            return CollectedWide(None, ())
        key_sum = form.key_sum(opened.total, len(opened.sites))
        label = _label(next(iter(orders.values())), agreement)
        sums = form.decrypted(uploads.total(opened.sites), key_sum, label)
        return collected_wide(digits.form, digits.settled(sums, len(opened.sites)), opened.sites)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of wide numbers."""
        agreement, secret = read_agreement(request), new_secret()
        digits = self._digits(agreement)
        form = _Form.of_digits(digits)
        masked = self.sums.mask((secret + LARGEST_SMALL).astype(np.uint32), request, local)
        split = digits.split(digits.form.pack(numbers))
        return form.reply(masked, form.key.encrypt(split, secret, _label(request, agreement)))

    @staticmethod
    def _digits(agreement: Agreement) -> HiddenDigits:
        """With as much to hide carries as the sum of so many hospitals leaves room for."""
        hospitals = len(agreement.sites)
        for hiding_bits in range(MOST_HIDING_BITS, FEWEST_HIDING_BITS - 1, -1):
            digits = HiddenDigits(form_of(agreement), hospitals, hiding_bits)
            packing = Packing(1, digits.digit_bits, hospitals)
            if DistributedKey(packing.bits, hospitals).is_exact:
                return digits
        raise WireError("digits of so many hospitals have no room in a coefficient.")

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """Hospital half of "round". Raises WireError where the sum would not be exact, or no round is under way."""
        agreement, secret = read_agreement(request), new_secret()
        if not self.is_exact(len(agreement.sites)):
            raise WireError("the sum of so many hospitals has no room in a coefficient.")
        form, words = _Form.of(self, agreement), self.codec.encode(update, agreement, local.rng, local.most_clipped)
        masked = self.sums.mask((secret + LARGEST_SMALL).astype(np.uint32), request, local)
        encrypted = form.key.encrypt(form.packing.pack(words), secret, _label(request, agreement))
        return form.reply(masked, encrypted)


@dataclass(frozen=True)
class _Form:
    """What a hospital's reply is made of, for one agreement. words: of an update."""

    ring: Ring
    packing: Packing
    key: DistributedKey
    words: int

    @classmethod
    def of(cls, sums: DistributedSum, agreement: Agreement) -> _Form:
        hospitals = len(agreement.sites)
        packing = Packing(sums.values, sums.codec.value_bits, hospitals)
        key = DistributedKey(packing.bits, hospitals)
        return cls(Ring.holding(KEY_BITS, hospitals), packing, key, sums.codec.length(agreement))

    @classmethod
    def of_digits(cls, digits: HiddenDigits) -> _Form:
        packing = Packing(1, digits.digit_bits, digits.hospitals)
        key = DistributedKey(packing.bits, digits.hospitals)
        return cls(Ring.holding(KEY_BITS, digits.hospitals), packing, key, digits.length)

    def reply(self, masked: Words, encrypted: Bytes) -> Payload:
        """A hospital's, to be taken apart by `parts`."""
        return Payload(data=np.concatenate([self.ring.pack(masked), encrypted]))

    @property
    def coefficients(self) -> int:
        return self.packing.coefficients(self.words)

    def parts(self, reply: Payload) -> tuple[Words, Bytes]:
        """The masked key and the ciphertext of a reply. Raises WireError where its size is another."""
        cut, size = self.ring.width * DEGREE, self.key.size(self.coefficients)
        if reply.data is None or reply.data.size != cut + size:
            raise WireError(f"{0 if reply.data is None else reply.data.size} bytes came; {cut + size} were due.")
        return self.ring.unpack(reply.data[:cut], DEGREE), reply.data[cut:]

    def key_sum(self, total: Words, hospitals: int) -> Small:
        """(4096,) int64. Masked keys are sums of numbers that were made positive, modulo the ring."""
        return self.ring.residues(total).astype(np.int64) - hospitals * LARGEST_SMALL

    def uploads(self, cohort: Cohort) -> Folding[Coefficients]:
        """Ciphertexts, added up as they come."""
        return Folding(cohort, lambda total, one: one if total is None else np.add(total, one, out=total))

    def accepting(self, uploads: Folding[Coefficients]) -> Accept:
        """Takes a reply's ciphertext up into the sum of `uploads`, and gives its masked key."""

        def accept(site: SiteId, reply: Payload) -> Words:
            keys, encrypted = self.parts(reply)
            uploads.taking(lambda *_: self.key.expand(encrypted, self.coefficients))(site, reply)
            return keys

        return accept

    def decrypted(self, total: Coefficients, key_sum: Small, label: bytes) -> Totals:
        """(words,) uint64. A false hospital's key may be any number of the ring, which spoils the sum and no more."""
        return self.packing.unpack(self.key.decrypt(total, key_sum, label), self.words)


def _label(order: Payload, agreement: Agreement) -> bytes:
    """Which public polynomials: of this study, round, server's nonce and cohort, all read from the order."""
    nonce = order.words.get(NONCE)
    if not isinstance(nonce, str) or len(nonce) != 64:
        raise WireError("an order lacks the nonce of its public polynomials.")
    parts = [order.words.get("study"), order.numbers.get("round"), nonce, agreement.sites]
    return sha256(json.dumps(parts).encode()).digest()
