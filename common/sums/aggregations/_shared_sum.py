"""Sums under one key that all hospitals of a round hold: the coordinator's half, which holds no key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from common.data.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._fixed_point import Totals
from common.sums.aggregations._folding import Folding
from common.sums.aggregations._key_agreement import SIGNED_KEYS_BYTES
from common.sums.aggregations._legs import Legs
from common.sums.aggregations._seal_bytes import join, split
from common.sums.aggregations._session_state import SITES, pieces
from common.sums.aggregations._shared_key import (
    ADDED,
    ENCRYPTED_KEY_BYTES,
    MAKER,
    WRAPPED_KEY_BYTES,
    Scheme,
    SharedKey,
)
from common.sums.aggregations._summed import collected, nothing, spoiled
from common.sums.aggregations._wide_sum import collected_wide, form_of
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload
from common.sums.wide import CollectedWide
from common.wire.boundary import guarded

FEWEST_ADDED = 2


def collect_shared(
    shared: SharedKey, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
) -> Collected:
    """All legs. Nothing is decrypted of fewer than two, or of another set than the cohort has."""
    agreement = Agreement.of(expected.cohort.sites, expected)
    try:
        added, totals = _round(shared, exchange, agreement, expected).run(requests, shared.codec.length(agreement))
    except TooFewHospitalsError:
        return nothing()
    return collected(exchange, added, totals, shared.codec, agreement, expected)


def collect_shared_wide(
    shared: SharedKey, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
) -> CollectedWide:
    """As `collect_shared`, of wide numbers, whose carries the hospital settles that decrypts."""
    agreement = Agreement.of(expected.cohort.sites, expected)
    form = form_of(agreement)
    try:
        added, totals = _round(shared, exchange, agreement, expected).run(requests, form.words)
    except TooFewHospitalsError:
        return CollectedWide(None, ())
    return collected_wide(form, totals.astype(np.uint32), added)


def _round(shared: SharedKey, exchange: Exchange, agreement: Agreement, expected: Expected) -> _Round:
    legs, cohort = Legs(exchange, shared.protocol), expected.cohort.demanding(FEWEST_ADDED)
    return _Round(legs, shared.scheme(agreement), agreement, cohort)


@dataclass(frozen=True)
class _Round:
    legs: Legs
    scheme: Scheme
    agreement: Agreement
    cohort: Cohort

    def run(self, requests: Mapping[SiteId, Payload], length: int) -> tuple[tuple[SiteId, ...], Totals]:
        asked = {site: with_agreement(Payload(), self.agreement) for site in requests}
        parcels = self._hand_keys_round(self.legs.ask_groups("keys", asked, _read_keys, self.cohort))
        orders = {site: self._order(requests[site], parcel) for site, parcel in parcels.items()}
        sums: Folding[Any] = Folding(self.cohort, self.scheme.add)
        added = tuple(self.legs.ask_groups("round", orders, sums.taking(self._read_ciphertexts), self.cohort))
        try:
            summed = guarded(lambda: self.scheme.save(sums.total(added)))
        except WireError as error:
            spoiled(self.legs.exchange, added, error)
            raise TooFewHospitalsError(str(error)) from None
        return added, self._decrypted(summed, added, length)

    def _hand_keys_round(self, announced: dict[SiteId, bytes]) -> dict[SiteId, Payload]:
        """For each hospital what it needs to open the scheme's key, which the first that can has made."""
        while self.cohort.openable(announced):
            maker, sites = next(iter(announced)), list(announced)
            request = Payload(words={SITES: sites}, data=_array(b"".join(announced.values())))
            reply = self.legs.exchange.ask("shares", {maker: with_agreement(request, self.agreement)}).get(maker)
            own = announced.pop(maker)
            if reply is None:
                continue
            try:
                return guarded(partial(_parcels, maker, own, sites, reply))
            except WireError as error:
                self.legs.exchange.drop(maker, "shares", str(error))
        reason = f"{len(announced)} hospitals are left to share a key, and {self.cohort.least} must be"
        for site in announced:
            self.legs.exchange.drop(site, "shares", reason)
        raise TooFewHospitalsError(reason)

    def _order(self, request: Payload, parcel: Payload) -> Payload:
        words = {**request.words, **parcel.words}
        return with_agreement(replace(request, words=words, data=parcel.data), self.agreement)

    def _read_ciphertexts(self, site: SiteId, reply: Payload) -> Any:
        blocks = split(reply.data, self.scheme.blocks, self.scheme.block_bytes(fresh=True))
        return self.scheme.load(blocks, fresh=True)

    def _decrypted(self, blocks: Sequence[bytes], added: Sequence[SiteId], length: int) -> Totals:
        """The sums, from the first of the hospitals in them that answers; one that fails now is in them still."""
        request = with_agreement(Payload(numbers={ADDED: len(added)}, data=join(blocks)), self.agreement)
        for site in added:
            reply = self.legs.exchange.ask("decrypt", {site: request}).get(site)
            if reply is None:
                continue
            try:
                return guarded(partial(_read_totals, length, reply))
            except WireError as error:
                self.legs.exchange.drop(site, "decrypt", str(error))
        raise TooFewHospitalsError("no hospital decrypted the sum")


def _parcels(maker: SiteId, own: bytes, sites: Sequence[SiteId], reply: Payload) -> dict[SiteId, Payload]:
    """The maker's reply taken apart: its signed keys, each other hospital's wrapped part, and the key for all."""
    raw, others = b"" if reply.data is None else reply.data.tobytes(), [site for site in sites if site != maker]
    cut = len(others) * WRAPPED_KEY_BYTES
    if len(raw) != cut + ENCRYPTED_KEY_BYTES:
        raise WireError(f"a key for {len(others)} others takes {cut + ENCRYPTED_KEY_BYTES} bytes; {len(raw)} came.")
    wrapped = pieces(_array(raw[:cut]), len(others), WRAPPED_KEY_BYTES)
    words = {MAKER: maker}
    parcels = {
        site: Payload(words=words, data=_array(own + part + raw[cut:]))
        for site, part in zip(others, wrapped, strict=True)
    }
    return dict(sorted({**parcels, maker: Payload(words=words)}.items()))


def _read_totals(length: int, reply: Payload) -> Totals:
    (raw,) = pieces(reply.data, 1, 4 * length)
    return np.frombuffer(raw, "<u4").astype(np.uint64)


def _read_keys(site: SiteId, reply: Payload) -> bytes:
    return pieces(reply.data, 1, SIGNED_KEYS_BYTES)[0]


def _array(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)
