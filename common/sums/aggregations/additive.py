"""Sums by additive secret sharing: every update is split in random shares, and only all of them together reveal it.

Each hospital splits its words x into as many shares as there are hospitals, that add up to x modulo 2**32; each share
alone is evenly spread over all words. It encrypts one for each other hospital and keeps one. Then every hospital adds
up the shares it got and kept, and the server adds those sums: the shares of each x come together there, and only
there.

A random share is the keystream of a seed of 32 bytes, so what is encrypted is the seed, and the share kept is x less
all those streams, as full as x: uploads are as small as the words. That is as sound as shares drawn one by one as
long as AES is a good cipher, since whoever lacks one of a hospital's seeds sees a keystream unknown to him in
everything.

| leg   | the server sends                           | a hospital replies                                     |
|-------|--------------------------------------------|--------------------------------------------------------|
| keys  | the agreement                              | a fresh key, signed for (study, round, agreement)      |
| round | the order, and all signed keys             | a seed for each other hospital, encrypted              |
| sums  | the seeds that were encrypted for this one | the sum of its shares: one of all others', one it kept |

Protected against a server that cheats, with all hospitals but two: keys are signed with identities that hospitals
know by themselves; seeds are encrypted for one session and one order, so that hospitals that were told of other
hospitals, another agreement or another model cannot open one another's; every leg is answered once, and the sum of
one set of hospitals a round. Not protected: cohorts of two rounds that differ by one hospital, and false updates (see
`secagg`).

What a hospital keeps between rounds is committed at "sums": seeds that can be opened prove that all others answered
this very order, and a hospital that fails here fails the round, so that no later proof is needed.

A hospital lost before the leg "round" is left out. From then on every share is needed: if one is lost the round
fails, and nothing was revealed. Where hospitals may drop out, take `secagg`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from common.data.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.sums.abilities import Keys
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations import _transcript
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, read_agreement, with_agreement
from common.sums.aggregations._fixed_point import FixedPoint
from common.sums.aggregations._folding import Folding
from common.sums.aggregations._key_agreement import (
    SHARED_BYTES,
    SIGNED_KEYS_BYTES,
    TAG_BYTES,
    PublicKeys,
    SecretKeys,
    decrypt,
    encrypt,
    expand,
    shared_secrets,
)
from common.sums.aggregations._legs import Legs
from common.sums.aggregations._opened_rounds import open_once, what_is_opened
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import SEED_BYTES, Accept, read_keys, verify_keys
from common.sums.aggregations._session_state import SITES, Notes, pieces, read_sites
from common.sums.aggregations._summed import collected, nothing
from common.sums.aggregations._threshold import FEWEST_HOSPITALS, Threshold
from common.sums.aggregations._wide_sum import RING, accepting, collected_wide, form_of
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.update import Update
from common.sums.wide import CollectedWide, WideForm

NAME = "additive"
ENCRYPTED_BYTES = SEED_BYTES + TAG_BYTES


@dataclass(frozen=True)
class AdditiveSharing:
    """value_bits: of each value. largest_value: values u_k n_k / (largest n) beyond it are clipped, and counted."""

    reveals: ClassVar[Reveals] = "sum"
    readers: ClassVar[str] = (
        "The coordinator reads the sum over all hospitals that took part. Nobody reads a single update, unless all "
        "other hospitals give away what they hold."
    )
    keys: ClassVar[Keys] = "distributed"
    value_bits: int = 24
    largest_value: float = 1.0

    def __post_init__(self) -> None:
        FixedPoint(self.value_bits, self.largest_value)

    def codec_in(self, hospitals: int) -> FixedPoint:
        """How updates become words, of however many hospitals."""
        return self._codec

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Rounding alone, where nothing was clipped."""
        return self._codec.largest_error(hospitals, Agreement.of(expected.largest_weight, expected))

    def bytes_a_value(self, hospitals: int) -> int:
        """Of a word that holds the sum."""
        return Ring.holding(self.value_bits, hospitals).width

    def check(self, hospitals: int) -> None:
        """Raise StudyError where the sum does not fit a word, or there are fewer than three hospitals."""
        Threshold().of(hospitals)
        Ring.holding(self.value_bits, hospitals)

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Three legs; the last two need every hospital that answered the first."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        accept = partial(self._accept, self._ring(agreement), self._codec.length(agreement))
        total, sites = self._collected(exchange, requests, agreement, expected.cohort, accept, Adding())
        if total is None:
            return nothing()
        residues = self._ring(agreement).residues(total).astype(np.uint64)
        return collected(exchange, sites, residues, self._codec, agreement, expected)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """An encrypted seed for each other hospital; what the streams of those leave of the update is kept."""
        agreement = read_agreement(request)
        encode = partial(self._codec.encode, update, agreement, local.rng, local.most_clipped)
        return self._shared(encode, Adding(), agreement, request, local)

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide numbers whose shares are as wide as they are."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        form = form_of(agreement)
        accept, adding = accepting(form), Adding(form)
        return collected_wide(form, *self._collected(exchange, requests, agreement, expected.cohort, accept, adding))

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of wide numbers."""
        agreement = read_agreement(request)
        form = form_of(agreement)
        return self._shared(partial(form.pack, numbers), Adding(form), agreement, request, local)

    def _collected(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        agreement: Agreement,
        cohort: Cohort,
        accept: Accept,
        adding: Adding,
    ) -> tuple[Words | None, tuple[SiteId, ...]]:
        """The sum of all hospitals' sums of their shares, and whose it is; nothing where one is missing."""
        self.check(len(agreement.sites))
        sums = Folding(replace(cohort, groups=()), adding.add)  # all are needed, whatever groups there are
        legs, cohort = Legs(exchange, NAME), cohort.demanding(FEWEST_HOSPITALS)
        try:
            sites = tuple(self._legs(legs, requests, agreement, cohort, sums.taking(accept)))
        except TooFewHospitalsError:
            return None, ()
        return sums.total(sites), sites

    def _shared(
        self,
        encode: Callable[[], Words],
        adding: Adding,
        agreement: Agreement,
        request: Payload,
        local: Local,
    ) -> Payload:
        """Hospital half of the leg "round"."""
        notes = Notes.follow(local, NAME, "keys", "round")
        if _transcript.context(local, agreement) != notes["context"]:
            raise WireError("the order's agreement is not the one that keys were signed for.")
        sites = read_sites(request, agreement.sites, local.site, max(FEWEST_HOSPITALS, local.cohort.least))
        local.cohort.refuse_opening(sites)
        keys = read_keys(request.data, sites)
        verify_keys(keys, local, notes["context"], notes["announced"])
        notes["session"] = _transcript.session(keys) + _transcript.order(request)
        notes["opening"] = what_is_opened(request, agreement, local)
        notes["base"] = _transcript.base(local, agreement)
        notes.put_sites("sharing", sites)
        seeds = {site: os.urandom(SEED_BYTES) for site in sites if site != local.site}
        channels = shared_secrets(notes["channel key"], [keys[site].channel for site in seeds])
        notes["channels"], notes["channel key"] = b"".join(channels), b""
        kept = encode()
        adding.apply(kept, [], [_stream(seed) for seed in seeds.values()])
        notes["kept"] = kept.tobytes()
        local.keeping.hold(b"")
        encrypted = [
            encrypt(seed, shared, _way(notes, local, local.site, site))
            for (site, seed), shared in zip(seeds.items(), channels, strict=True)
        ]
        return Payload(data=np.frombuffer(b"".join(encrypted), np.uint8))

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Keys and sums."""
        if leg == "keys":
            return self._keys(request, local)
        if leg == "sums":
            return self._sums(request, local)
        raise WireError("aggregation 'additive' has no such leg.")

    @cached_property
    def _codec(self) -> FixedPoint:
        return FixedPoint(self.value_bits, self.largest_value)

    def _keys(self, request: Payload, local: Local) -> Payload:
        agreement = read_agreement(request)
        if local.site not in agreement.sites or not set(agreement.sites) <= set(local.identity.public_keys):
            raise WireError("the round is of hospitals that are not known here, or not of this one.")
        local.cohort.refuse_another(agreement.sites)
        notes = Notes.begin(local, NAME, "keys")
        notes["context"] = _transcript.context(local, agreement)
        notes["width"] = bytes([(self._ring(agreement) if agreement.wide is None else RING).width])
        notes["wide"] = b"" if agreement.wide is None else agreement.wide.to_bytes()
        secret = SecretKeys.generate()
        notes["channel key"] = secret.channel
        notes["announced"] = secret.announce(local.identity, notes["context"]).to_bytes()
        return Payload(data=np.frombuffer(notes["announced"], np.uint8))

    def _sums(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, NAME, "round", "sums")
        sites = notes.sites("sharing")
        others = [site for site in sites if site != local.site]
        channels = pieces(notes["channels"], len(others), SHARED_BYTES)
        encrypted = pieces(request.data, len(others), ENCRYPTED_BYTES)
        streams = [
            _stream(decrypt(one, shared, _way(notes, local, site, local.site)))
            for site, shared, one in zip(others, channels, encrypted, strict=True)
        ]
        open_once(local, notes["opening"], sites)
        local.keeping.commit(local.round)
        total = np.frombuffer(notes["kept"], np.uint32).copy()
        Adding(WideForm.from_bytes(notes["wide"])).apply(total, streams)
        ring = Ring(notes["width"][0])
        notes.forget()
        return Payload(data=ring.pack(total))

    def _legs(
        self,
        legs: Legs,
        requests: Mapping[SiteId, Payload],
        agreement: Agreement,
        cohort: Cohort,
        take: Callable[[SiteId, Payload], None],
    ) -> dict[SiteId, None]:
        """Whose sums of shares were taken."""
        asked = dict.fromkeys(requests, with_agreement(Payload(), agreement))
        keys = legs.ask_groups("keys", asked, _read_keys, cohort)
        blob = np.frombuffer(b"".join(public.to_bytes() for public in keys.values()), np.uint8)
        orders = {}
        for site in keys:
            order = with_agreement(requests[site], agreement)
            orders[site] = replace(order, words={**order.words, SITES: list(keys)}, data=blob)
        encrypted = legs.ask("round", orders, partial(_read_encrypted, tuple(keys)), len(keys))
        wanted = {
            site: Payload(
                data=np.frombuffer(b"".join(encrypted[other][site] for other in keys if other != site), np.uint8)
            )
            for site in keys
        }
        return legs.ask("sums", wanted, take, len(keys))

    def _ring(self, agreement: Agreement) -> Ring:
        return Ring.holding(self.value_bits, len(agreement.sites))

    @staticmethod
    def _accept(ring: Ring, length: int, site: SiteId, reply: Payload) -> Words:
        return ring.unpack(reply.data, length)


def _stream(seed: bytes) -> bytes:
    return expand(seed, b"share\n")


def _way(notes: Notes, local: Local, sender: SiteId, receiver: SiteId) -> bytes:
    """Within a group both ends must start from the same round's state, or no seed is opened."""
    base = notes["base"]
    if base and not local.cohort.together(sender, receiver):
        base = b""
    return _transcript.way(notes["session"] + base, sender, receiver)


def _read_keys(site: SiteId, reply: Payload) -> PublicKeys:
    return PublicKeys.from_bytes(pieces(reply.data, 1, SIGNED_KEYS_BYTES)[0])


def _read_encrypted(sites: tuple[SiteId, ...], site: SiteId, reply: Payload) -> dict[SiteId, bytes]:
    others = [other for other in sites if other != site]
    return dict(zip(others, pieces(reply.data, len(others), ENCRYPTED_BYTES), strict=True))


aggregation: type[Aggregation] = AdditiveSharing
