"""Digests of what hospitals must agree on before they trust one another's keys, masks and survivors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256

import numpy as np

from common.data.cases import SiteId
from common.sums.aggregation import Local
from common.sums.aggregations._agreement import Agreement, digest_of
from common.sums.aggregations._key_agreement import PublicKeys
from common.sums.exchange import Payload


def context(local: Local, agreement: Agreement) -> bytes:
    """32 bytes: the study with its roster, the run, the round, and all of the agreement.

    Scale, step and range factor are part of it: with a huge one for all others, a cheating server could silence them
    in the sum.
    """
    parts = [local.study, local.run, local.round, digest_of(agreement.sites), agreement.length, agreement.vectors]
    step = None if agreement.step is None else agreement.step.hex()
    wide = [] if agreement.wide is None else [[agreement.wide.counts, agreement.wide.reals]]
    return _digest("context", [*parts, agreement.names, agreement.scale.hex(), step, agreement.range_factor, *wide])


def session(keys: Mapping[SiteId, PublicKeys]) -> bytes:
    """32 bytes: who announced which keys. They are fresh, so no two sessions are alike."""
    return _digest("session", [[site, public.to_bytes().hex()] for site, public in sorted(keys.items())])


def order(request: Payload) -> bytes:
    """32 bytes: all that a request holds but the bytes meant for one hospital alone, the model above all.

    Hospitals that were sent different models, as in Pasquini et al. 2022, get different digests.
    """
    head = _digest("order", [sorted(request.numbers.items()), sorted(request.words.items())])
    model = b"" if request.array is None else np.ascontiguousarray(request.array, dtype="<f4").view(np.uint8).data
    return sha256(head + sha256(model).digest()).digest()


def survivors(context: bytes, session: bytes, order: bytes, sites: Iterable[SiteId]) -> bytes:
    """32 bytes, to be signed: in this session, with this model, these hospitals' updates make the sum."""
    return _digest("survivors", [context.hex(), session.hex(), order.hex(), digest_of(tuple(sites))])


def base(local: Local, agreement: Agreement) -> bytes:
    """What state a hospital goes into a round with, as far as it goes into its update; b"" where none does.

    Hospitals of one group are in the same sums, and so start from the same round's. Where a server kept from one of
    them that a round was opened, the others' updates could be known numbers: theirs alone follow from that round.
    """
    return b"" if agreement.vectors < 2 else b"%d" % local.keeping.base


def way(session: bytes, sender: SiteId, receiver: SiteId) -> bytes:
    """Who sends to whom, in which session."""
    return _digest("way", [session.hex(), sender, receiver])


def _digest(kind: str, value: object) -> bytes:
    return sha256(json.dumps(["wardround", kind, value]).encode()).digest()
