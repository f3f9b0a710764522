"""Masks of `secagg` rebuilt by hospitals that keep the secret shares they are sent, and collude with the coordinator.

Each hospital encrypts for each other one share of its mask key and one of its own mask's seed. An honest one gives
the coordinator one of the two and forgets both. `threshold` colluders that keep both have the key and the seed of any
hospital, and with what the coordinator saw its words without masks, whoever else is honest; fewer have nothing. A
coordinator that cheats needs fewer colluders: they sign two sets of survivors, one of which lacks the victim, so that
some honest hospitals give shares of its seed and others shares of its key (Bonawitz et al. 2017, section 6.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregations import _keystream, _shamir, _transcript
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._key_agreement import SHARED_BYTES, PublicKeys, decrypt, public_key
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import (
    COMMITMENT_BYTES,
    ENCRYPTED_BYTES,
    commitment,
    pair_streams,
    read_keys,
    self_stream,
)
from common.sums.aggregations._session_state import SITES, pieces
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from common.sums.update import Update

Shares = Mapping[SiteId, bytes]
"""Of each colluder, the secrets of its channels to all others, by their names, as its notes hold them."""
Given = tuple[Mapping[SiteId, bytes], Mapping[SiteId, bytes]]
"""Shares of a hospital's mask key, and of its seed, that honest hospitals gave to a coordinator that cheats."""
NOTHING: Given = ({}, {})


@dataclass(frozen=True)
class Watched:
    """A round as the coordinator saw it: the request for shares, the replies to it, the orders, the masked words."""

    aggregation: SecureAggregation
    shares_request: Payload
    shares: Mapping[SiteId, Payload]
    orders: Mapping[SiteId, Payload]
    masked: Mapping[SiteId, Payload]

    @property
    def agreement(self) -> Agreement:
        """What the hospitals of the round agreed on."""
        return read_agreement(next(iter(self.orders.values())))

    @property
    def keys(self) -> dict[SiteId, PublicKeys]:
        """Announced by all that shared, sorted."""
        names = self.shares_request.words[SITES]
        assert isinstance(names, list)
        return read_keys(self.shares_request.data, names)

    def committed(self, site: SiteId) -> bytes:
        """What fixes the seed of its own mask."""
        data = self.shares[site].data
        assert data is not None
        return data[:COMMITMENT_BYTES].tobytes()

    def encrypted(self, sender: SiteId, receiver: SiteId) -> bytes:
        """The two shares of `sender` that only `receiver` can open."""
        others = [site for site in self.keys if site != sender]
        data = self.shares[sender].data
        assert data is not None
        return pieces(data[COMMITMENT_BYTES:], len(others), ENCRYPTED_BYTES)[others.index(receiver)]


def unmasked(round_: Watched, kept: Shares, victim: SiteId, given: Given = NOTHING) -> Update:
    """The single update of `victim`, as it rounded it. Raises WireError where there are too few shares."""
    mask_key, seed = _secrets(round_, kept, victim, given)
    keys = round_.keys
    others = {site: keys[site].mask for site in round_.orders if site != victim}
    session = _transcript.session(keys) + _transcript.order(round_.orders[victim])
    added, subtracted = pair_streams(victim, mask_key, others, session)
    agreement, everybody = round_.agreement, len(round_.agreement.sites)
    codec = round_.aggregation.codec_in(everybody)
    ring = Ring.holding(codec.value_bits, everybody)
    words: Words = ring.unpack(round_.masked[victim].data, codec.length(agreement))
    _keystream.apply(words, subtracted, [*added, self_stream(seed)])
    return codec.decode(ring.residues(words).astype(np.uint64), 1, agreement)


def _secrets(round_: Watched, kept: Shares, victim: SiteId, given: Given) -> tuple[bytes, bytes]:
    """The victim's mask key and the seed of its own mask."""
    names, cut = list(round_.keys), _shamir.SHARE_BYTES
    own = {colluder: _opened(round_, channels, colluder, victim) for colluder, channels in kept.items()}
    of_key = {site: both[:cut] for site, both in own.items()} | dict(given[0])
    of_seed = {site: both[cut:] for site, both in own.items()} | dict(given[1])
    mask_key, seed = (
        _shamir.recover({names.index(site) + 1: share for site, share in shares.items()})
        for shares in (of_key, of_seed)
    )
    if public_key(mask_key) != round_.keys[victim].mask or commitment(seed) != round_.committed(victim):
        raise WireError(f"these shares of {len(of_key)} hospitals do not open the masks of {victim}.")
    return mask_key, seed


def _opened(round_: Watched, channels: bytes, colluder: SiteId, victim: SiteId) -> bytes:
    """The two shares that `victim` encrypted for `colluder`."""
    way = _transcript.way(_transcript.session(round_.keys), victim, colluder)
    shared = _channel(channels, list(round_.keys), colluder, victim)
    return decrypt(round_.encrypted(victim, colluder), shared, way)


def _channel(channels: bytes, names: Sequence[SiteId], own: SiteId, other: SiteId) -> bytes:
    others = [site for site in names if site != own]
    return pieces(channels, len(others), SHARED_BYTES)[others.index(other)]
