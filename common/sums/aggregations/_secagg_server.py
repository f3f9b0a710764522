"""Sums under masks, the server's half: ask leg after leg, add up, and take away the masks that are left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, islice

import numpy as np

from common.data.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._folding import Folding
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES, SIGNED_KEYS_BYTES, PublicKeys, public_key
from common.sums.aggregations._legs import Legs
from common.sums.aggregations._ring import Words
from common.sums.aggregations._secagg_client import (
    COMMITMENT_BYTES,
    ENCRYPTED_BYTES,
    PLAINLY,
    Accept,
    MaskedSum,
    commitment,
    pair_streams,
    self_stream,
)
from common.sums.aggregations._session_state import SITES, pieces
from common.sums.cohort import Cohort
from common.sums.exchange import Exchange, OpenedSum, Payload

MOST_ATTEMPTS = 200
"""Sets of shares that are tried where a hospital gave wrong ones."""


@dataclass(frozen=True)
class Opened:
    """The sum of the words of `sites`, (n,) uint32, as they add up. opening: those that took part in the last leg.

    signatures: on `sites`, of those that gave theirs.
    """

    sites: tuple[SiteId, ...]
    total: Words
    opening: tuple[SiteId, ...]
    signatures: Mapping[SiteId, bytes] = field(default_factory=dict)

    @property
    def proof(self) -> OpenedSum:
        """For those of `unaware`."""
        signers = tuple(sorted(self.signatures))
        return OpenedSum(self.sites, signers, b"".join(self.signatures[site] for site in signers))

    @property
    def unaware(self) -> tuple[SiteId, ...]:
        """Those whose words are in the sum, and who may not have heard that it was opened."""
        return tuple(site for site in self.sites if site not in self.opening)


def open_sum(
    sums: MaskedSum,
    exchange: Exchange,
    requests: Mapping[SiteId, Payload],
    agreement: Agreement,
    cohort: Cohort,
    accept: Accept,
    adding: Adding = PLAINLY,
) -> Opened | None:
    """All legs of a round; `requests` go out with the leg "round". None where too few hospitals were left.

    cohort: the agreement's hospitals, and whose sums may be opened. Hospitals whose group is not whole are left out
    before survivors are asked to sign. Whoever is dropped is dropped with a reason. Nothing is opened of a round that
    fails before its last leg.
    """
    legs, threshold = Legs(exchange, sums.protocol), sums.threshold.of(len(agreement.sites))
    try:
        return _Round(legs, threshold, cohort.demanding(threshold), adding).run(requests, agreement, accept)
    except TooFewHospitalsError:
        return None


@dataclass(frozen=True)
class _Round:
    legs: Legs
    threshold: int
    cohort: Cohort
    adding: Adding

    def run(self, requests: Mapping[SiteId, Payload], agreement: Agreement, accept: Accept) -> Opened:
        keys = self._keys(requests, agreement)
        shares = self._shares(keys)
        asked = _orders(requests, agreement, shares)
        sums = Folding(self.cohort, self.adding.add)
        order = tuple(self.legs.ask_groups("round", asked, sums.taking(accept), self.cohort))
        signatures = self._signatures(order)
        opened = self._opened(signatures, tuple(shares))
        session = _transcript.session(keys) + _transcript.order(asked[order[0]])
        commitments = {site: share[0] for site, share in shares.items()}
        masks = _Masks(self.threshold, keys, session, commitments, order, opened, self.adding)
        try:
            total = sums.total(order)
            masks.take_from(total)
        except WireError as error:
            self.legs.give_up("unmask", tuple(opened), str(error))
        return Opened(order, total, tuple(opened), signatures)

    def _keys(self, requests: Mapping[SiteId, Payload], agreement: Agreement) -> dict[SiteId, PublicKeys]:
        asked = dict.fromkeys(requests, with_agreement(Payload(), agreement))
        return self.legs.ask_groups("keys", asked, _read_keys, self.cohort)

    def _shares(self, keys: Mapping[SiteId, PublicKeys]) -> dict[SiteId, tuple[bytes, dict[SiteId, bytes]]]:
        """Of each hospital, the commitment to its seed and what it encrypted for each other."""
        asked = _about(keys, b"".join(public.to_bytes() for public in keys.values()))
        read = partial(_read_shares, tuple(keys))
        return self.legs.ask_groups("shares", dict.fromkeys(keys, asked), read, self.cohort)

    def _signatures(self, surviving: tuple[SiteId, ...]) -> dict[SiteId, bytes]:
        asked = dict.fromkeys(surviving, _about(surviving, b""))
        return self.legs.ask("survivors", asked, _read_signature, self.threshold)

    def _opened(
        self, signatures: Mapping[SiteId, bytes], masking: tuple[SiteId, ...]
    ) -> dict[SiteId, dict[SiteId, bytes]]:
        """Of each hospital that answers, the share it gives for each that masked."""
        asked = dict.fromkeys(signatures, _about(signatures, b"".join(signatures.values())))
        return self.legs.ask("unmask", asked, partial(_read_opened, masking), self.threshold)


@dataclass(frozen=True)
class _Masks:
    """What is left in the sum of the surviving: their own masks, and those they share with the dropped."""

    threshold: int
    keys: Mapping[SiteId, PublicKeys]
    session: bytes
    commitments: Mapping[SiteId, bytes]
    surviving: tuple[SiteId, ...]
    opened: Mapping[SiteId, Mapping[SiteId, bytes]]
    adding: Adding

    def take_from(self, total: Words) -> None:
        """In place. Raises WireError where the shares given do not open a mask."""
        added, subtracted = [], []
        others = {site: self.keys[site].mask for site in self.surviving}
        for site in self.commitments:
            if site in self.surviving:
                subtracted.append(self_stream(self._recover(site, self._is_seed)))
                continue
            # The dropped one's streams with opposite signs are what its partners left in the sum.
            plus, minus = pair_streams(site, self._recover(site, self._is_mask_key), others, self.session)
            added += plus
            subtracted += minus
        self.adding.apply(total, added, subtracted)

    def _recover(self, site: SiteId, fits: Callable[[SiteId, bytes], bool]) -> bytes:
        points = {name: point for point, name in enumerate(self.keys, start=1)}
        given = {points[name]: shares[site] for name, shares in self.opened.items() if _shamir.is_share(shares[site])}
        for chosen in islice(combinations(sorted(given), self.threshold), MOST_ATTEMPTS):
            try:
                secret = _shamir.recover({point: given[point] for point in chosen})
            except WireError:
                continue
            if fits(site, secret):
                return secret
        raise WireError(f"the shares given do not open the mask of {site}.")

    def _is_seed(self, site: SiteId, secret: bytes) -> bool:
        return commitment(secret) == self.commitments[site]

    def _is_mask_key(self, site: SiteId, secret: bytes) -> bool:
        return public_key(secret) == self.keys[site].mask


def _orders(
    requests: Mapping[SiteId, Payload],
    agreement: Agreement,
    shares: Mapping[SiteId, tuple[bytes, Mapping[SiteId, bytes]]],
) -> dict[SiteId, Payload]:
    """The order for each hospital that shared, with what the others encrypted for it."""
    asked = {}
    for site in shares:
        about = _about(shares, b"".join(given[site] for other, (_, given) in shares.items() if other != site))
        request = with_agreement(requests[site], agreement)
        asked[site] = replace(request, words={**request.words, **about.words}, data=about.data)
    return asked


def _about(sites: Mapping[SiteId, object] | tuple[SiteId, ...], data: bytes) -> Payload:
    return Payload(words={SITES: list(sites)}, data=np.frombuffer(data, np.uint8))


def _read_keys(site: SiteId, reply: Payload) -> PublicKeys:
    return PublicKeys.from_bytes(pieces(reply.data, 1, SIGNED_KEYS_BYTES)[0])


def _read_shares(sites: tuple[SiteId, ...], site: SiteId, reply: Payload) -> tuple[bytes, dict[SiteId, bytes]]:
    others = [other for other in sites if other != site]
    size = COMMITMENT_BYTES + ENCRYPTED_BYTES * len(others)
    raw = pieces(reply.data, 1, size)[0]
    encrypted = [raw[start : start + ENCRYPTED_BYTES] for start in range(COMMITMENT_BYTES, size, ENCRYPTED_BYTES)]
    return raw[:COMMITMENT_BYTES], dict(zip(others, encrypted, strict=True))


def _read_signature(site: SiteId, reply: Payload) -> bytes:
    return pieces(reply.data, 1, SIGNATURE_BYTES)[0]


def _read_opened(masking: tuple[SiteId, ...], site: SiteId, reply: Payload) -> dict[SiteId, bytes]:
    return dict(zip(masking, pieces(reply.data, len(masking), _shamir.SHARE_BYTES), strict=True))
