"""Sums under masks, a hospital's half: what any protocol calls that wants the exact sum of words opened.

Bonawitz et al. 2017, Protocol 1 with the steps against a cheating server, over our legs:

| leg       | the server sends                                 | a hospital replies                                  |
|-----------|--------------------------------------------------|-----------------------------------------------------|
| keys      | the agreement                                    | fresh keys, signed for (study, round, agreement)    |
| shares    | all signed keys                                  | a commitment to its seed; shares of its seed and of |
|           |                                                  | its mask key, encrypted for each other hospital     |
| round     | the order, and the shares encrypted for this one | its words under its own mask and one for each other |
| survivors | whose words arrived, in whole groups             | its signature on them, the keys and the order       |
| unmask    | those signatures                                 | for each survivor its share of the seed, for each   |
|           |                                                  | other its share of the mask key, never both         |
| opened    | in a later round, to a survivor that was not     | nothing                                             |
|           | asked to unmask: the same signatures             |                                                     |

What a hospital keeps between rounds is committed at "unmask", or at "opened" (`common.sums.opening_proof`).

How a protocol uses it (`secagg` adds up updates so, and distributed keys are opened so):

    sums = MaskedSum("name of the protocol", Threshold())
    sums.answer(leg, request, local)                    # in `answer`, for the legs in MaskedSum.LEGS
    masked = sums.mask(words, request, local)           # in `protect`: (n,) uint32 in, (n,) uint32 out, mod 2**32
    Payload(data=Ring(width).pack(masked))              # alone or beside bytes of the protocol's own
    opened = open_sum(sums, exchange, requests, agreement, cohort, accept)    # in `collect`, from `_opened_sum`

`accept(site, reply)` takes a reply to "round" apart and returns its masked words by `Ring.unpack`, or raises
WireError; what else the reply holds it may put aside. `opened.sites` are those whose words are in `opened.total`:
everything put aside of others is to be thrown away. A hospital lost in any leg costs nothing as long as the threshold
is met. `requests` are the orders of the round, without agreement and without data, alike for all hospitals.

What a server that cheats gains, and every other limit, is said in `secagg`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.sums.aggregation import Local
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._key_agreement import (
    SHARED_BYTES,
    SIGNATURE_BYTES,
    SIGNED_KEYS_BYTES,
    TAG_BYTES,
    PublicKeys,
    SecretKeys,
    decrypt,
    encrypt,
    expand,
    shared_secrets,
)
from common.sums.aggregations._opened_rounds import ask_once, open_once, what_is_opened
from common.sums.aggregations._ring import Words
from common.sums.aggregations._session_state import Notes, pieces, read_sites
from common.sums.aggregations._threshold import Threshold
from common.sums.exchange import Payload, Word
from common.sums.opening_proof import OPENED_LEG, Awaited, named, proven_round
from common.sums.opening_proof import SIGNERS as PROVEN_SIGNERS
from common.sums.opening_proof import SITES as PROVEN_SITES

SEED_BYTES = COMMITMENT_BYTES = 32
ENCRYPTED_BYTES = 2 * _shamir.SHARE_BYTES + TAG_BYTES
NO_SHARE = b"\xff" * _shamir.SHARE_BYTES
"""In place of a share that the hospital it came from did not encrypt rightly; no number of the field."""

PLAINLY = Adding()
Answer = Callable[[Payload, Local], Payload]
"""To one leg's request."""


@dataclass(frozen=True)
class MaskedSum:
    """One hospital's half. protocol: under which name it keeps its secrets."""

    LEGS: ClassVar[tuple[str, ...]] = ("keys", "shares", "survivors", "unmask", OPENED_LEG)
    protocol: str
    threshold: Threshold = field(default_factory=Threshold)

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Any leg but "round". Raises WireError where the request must not be answered."""
        answers = self._answers()
        if leg not in answers:
            raise WireError(f"aggregation {self.protocol!r} has no such leg.")
        return answers[leg](request, local)

    def _answers(self) -> Mapping[str, Answer]:
        legs = {"keys": self._keys, "shares": self._shares, "survivors": self._survivors, "unmask": self._unmask}
        return {**legs, OPENED_LEG: accept_proof}

    def mask(self, words: Words, request: Payload, local: Local, adding: Adding = PLAINLY) -> Words:
        """(n,) uint32 plus this round's masks, as `adding` adds up, in place.

        Raises WireError where the round is not under way, was answered before, or shares are missing.
        """
        notes = Notes.follow(local, self.protocol, "shares", "round")
        agreement = self._agreed(notes, request, local)
        sites = read_sites(request, notes.sites("sharing"), local.site, self._least(notes, local))
        self._ordered(notes, request, agreement, sites, local)
        plus, minus = pair_streams(
            local.site, notes["mask key"], self._mask_keys(notes, local), notes["session"] + notes["order"]
        )
        adding.apply(words, [*plus, self_stream(notes["seed"])], minus)
        notes["mask key"] = notes["seed"] = b""
        return words

    def beside(self, local: Local) -> dict[str, Word]:
        """What goes with the masked words of this round."""
        return {}

    def _agreed(self, notes: Notes, request: Payload, local: Local) -> Agreement:
        """An order's agreement. Raises WireError where it is another than in the first leg, or state changed."""
        agreement = read_agreement(request, local.cohort.sites)
        if _transcript.context(local, agreement) != notes["context"]:
            raise WireError("the order's agreement is not the one that keys were signed for.")
        if _transcript.base(local, agreement) != notes["base"]:
            raise WireError("what this hospital starts from changed while the round was under way.")
        return agreement

    def _ordered(
        self, notes: Notes, request: Payload, agreement: Agreement, masking: tuple[SiteId, ...], local: Local
    ) -> None:
        """Note all of an order that later legs are checked by, and hold back the state that this round leaves."""
        notes.put_sites("masking", masking)
        pieces(request.data, len(self._senders(notes, local)), ENCRYPTED_BYTES)
        assert request.data is not None
        notes["encrypted"] = request.data.tobytes()
        self._refuse_other_bases(notes, local)
        notes["order"] = _transcript.order(request)
        notes["opening"] = what_is_opened(request, agreement, local)
        if agreement.wide is not None:
            ask_once(local, notes["opening"])
        digests = (notes["context"].hex(), notes["session"].hex(), notes["order"].hex())
        local.keeping.hold(Awaited(digests, masking, self._least(notes, local), self._fewest(notes)).to_bytes())

    def _mask_keys(self, notes: Notes, local: Local) -> dict[SiteId, bytes]:
        """Of those that this hospital has a mask in common with, their public halves."""
        sharing, masking = notes.sites("sharing"), set(notes.sites("masking"))
        keys = zip(sharing, pieces(notes["keys"], len(sharing), SIGNED_KEYS_BYTES), strict=True)
        return {site: PublicKeys.from_bytes(one).mask for site, one in keys if site != local.site and site in masking}

    def _senders(self, notes: Notes, local: Local) -> list[SiteId]:
        """Of those that mask, sorted, who encrypted shares for this hospital."""
        return [site for site in notes.sites("masking") if site != local.site]

    def _channels(self, notes: Notes, local: Local) -> dict[SiteId, bytes]:
        """The secret that this hospital has in common with each of those it exchanges shares with."""
        others = [site for site in notes.sites("sharing") if site != local.site]
        return dict(zip(others, pieces(notes["channels"], len(others), SHARED_BYTES), strict=True))

    def _refuse_other_bases(self, notes: Notes, local: Local) -> None:
        """Raise WireError where one of this hospital's group encrypted its shares from another round's state.

        Of two that differ one starts from some, and it is enough that this one refuses: the group is then not whole.
        """
        if notes["base"] in (b"", b"0"):
            return
        channels, senders = self._channels(notes, local), self._senders(notes, local)
        encrypted = pieces(notes["encrypted"], len(senders), ENCRYPTED_BYTES)
        for site, one in zip(senders, encrypted, strict=True):
            if local.cohort.together(site, local.site):
                decrypt(one, channels[site], way_of(notes, local, site, local.site))

    def _fewest(self, notes: Notes) -> int:
        return self.threshold.of(len(notes.sites("cohort")))

    def _least(self, notes: Notes, local: Local) -> int:
        """Hospitals in any step towards a sum."""
        return max(self._fewest(notes), local.cohort.least)

    def _keys(self, request: Payload, local: Local) -> Payload:
        notes = self._begin(request, local)
        secret = SecretKeys.generate()
        notes["mask key"], notes["channel key"] = secret.mask, secret.channel
        notes["announced"] = secret.announce(local.identity, notes["context"]).to_bytes()
        return as_data(notes["announced"])

    def _begin(self, request: Payload, local: Local) -> Notes:
        """Of a new round. Raises WireError where it is of other hospitals than the study draws."""
        agreement = read_agreement(request, local.cohort.sites)
        if local.site not in agreement.sites or not set(agreement.sites) <= set(local.identity.public_keys):
            raise WireError("the round is of hospitals that are not known here, or not of this one.")
        local.cohort.refuse_another(agreement.sites)
        try:
            self.threshold.of(len(agreement.sites))
        except StudyError as error:
            raise WireError(str(error)) from error
        notes = Notes.begin(local, self.protocol, "keys")
        notes.put_sites("cohort", agreement.sites)
        notes["context"], notes["base"] = _transcript.context(local, agreement), _transcript.base(local, agreement)
        return notes

    def _shares(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, self.protocol, "keys", "shares")
        threshold = self._fewest(notes)
        sites = read_sites(request, notes.sites("cohort"), local.site, self._least(notes, local))
        keys = read_keys(request.data, sites)
        verify_keys(keys, local, notes["context"], notes["announced"])
        notes.put_sites("sharing", sites)
        notes["keys"] = b"".join(key.to_bytes() for key in keys.values())
        notes["session"], notes["seed"] = _transcript.session(keys), os.urandom(SEED_BYTES)
        points = range(1, len(sites) + 1)
        key_shares = _shamir.share(notes["mask key"], threshold, points)
        seed_shares = _shamir.share(notes["seed"], threshold, points)
        others = {site: public.channel for site, public in keys.items() if site != local.site}
        channels = dict(zip(others, shared_secrets(notes["channel key"], others.values()), strict=True))
        notes["channels"], notes["channel key"] = b"".join(channels.values()), b""
        encrypted = []
        for point, site in zip(points, keys, strict=True):
            if site == local.site:
                notes["own share"] = seed_shares[point]
                continue
            way = way_of(notes, local, local.site, site)
            encrypted.append(encrypt(key_shares[point] + seed_shares[point], channels[site], way))
        return as_data(commitment(notes["seed"]), *encrypted)

    def _survivors(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, self.protocol, "round", "survivors")
        sites = read_sites(request, notes.sites("masking"), local.site, self._least(notes, local))
        local.cohort.refuse_opening(sites)
        notes.put_sites("surviving", sites)
        notes["statement"] = _transcript.survivors(notes["context"], notes["session"], notes["order"], sites)
        return as_data(local.identity.sign(notes["statement"]))

    def _unmask(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, self.protocol, "survivors", "unmask")
        surviving, fewest = notes.sites("surviving"), self._fewest(notes)
        signers = read_sites(request, surviving, local.site, fewest)
        signatures = pieces(request.data, len(signers), SIGNATURE_BYTES)
        given = zip(signers, signatures, strict=True)
        statement = notes["statement"]
        # This hospital signed in the leg before.
        signed = (site for site, one in given if site == local.site or is_signed(local, site, one, statement))
        enough = len(list(islice(signed, fewest)))
        if enough < fewest:
            raise WireError(f"{enough} hospitals signed these survivors; {fewest} must.")
        open_once(local, notes["opening"], surviving)
        local.keeping.commit(local.round)
        opened = self._opened(notes, surviving, local)
        notes.forget()
        return as_data(*opened)

    def _opened(self, notes: Notes, surviving: Sequence[SiteId], local: Local) -> list[bytes]:
        """For each hospital that masked, sorted, one of its two shares."""
        given = dict(zip(self._senders(notes, local), self._shares_of(notes, surviving, local), strict=True))
        return [given.get(site, notes["own share"]) for site in notes.sites("masking")]

    def _shares_of(self, notes: Notes, surviving: Sequence[SiteId], local: Local) -> Iterator[bytes]:
        """Of each of the senders, its seed's share where it survived, else its mask key's."""
        channels, senders, cut = self._channels(notes, local), self._senders(notes, local), _shamir.SHARE_BYTES
        encrypted, there = pieces(notes["encrypted"], len(senders), ENCRYPTED_BYTES), set(surviving)
        for site, one in zip(senders, encrypted, strict=True):
            try:
                shares = decrypt(one, channels[site], way_of(notes, local, site, local.site))
            except WireError:
                shares = 2 * NO_SHARE
            yield shares[cut:] if site in there else shares[:cut]


def accept_proof(request: Payload, local: Local) -> Payload:
    """The leg "opened": commit the state that a round left which this hospital did not see opened.

    Raises WireError unless enough hospitals of that round signed one set of survivors that this one is in. Where no
    state of that round waits, as after a commit, nothing is looked at.
    """
    number = proven_round(request)
    raw = local.keeping.held(number)
    if not raw:
        return Payload(numbers={"committed": 0})
    awaited = Awaited.from_bytes(raw)
    surviving = named(request, PROVEN_SITES, awaited.among, awaited.fewest)
    if local.site not in surviving:
        raise WireError("the proof is of a sum that this hospital is no part of.")
    signers = named(request, PROVEN_SIGNERS, surviving, awaited.signatures)
    context, session, order = (bytes.fromhex(digest) for digest in awaited.digests)
    statement = _transcript.survivors(context, session, order, surviving)
    given = zip(signers, pieces(request.data, len(signers), SIGNATURE_BYTES), strict=True)
    signed = sum(is_signed(local, site, signature, statement) for site, signature in given)
    if signed < awaited.signatures:
        raise WireError(f"{signed} hospitals signed that round {number} was opened; {awaited.signatures} must.")
    local.keeping.commit(number)
    return Payload(numbers={"committed": 1})


def way_of(notes: Notes, local: Local, sender: SiteId, receiver: SiteId) -> bytes:
    """Within a group both ends must start from the same round's state, or nothing encrypted is opened."""
    base = notes["base"]
    if base and not local.cohort.together(sender, receiver):
        base = b""
    return _transcript.way(notes["session"] + base, sender, receiver)


def read_keys(data: NDArray[np.uint8] | None, sites: Sequence[SiteId]) -> dict[SiteId, PublicKeys]:
    """The announced keys, 128 bytes a hospital. Raises WireError where bytes are missing or keys are alike."""
    raw = pieces(data, len(sites), SIGNED_KEYS_BYTES)
    keys = {site: PublicKeys.from_bytes(one) for site, one in zip(sites, raw, strict=True)}
    if len({key for public in keys.values() for key in (public.mask, public.channel)}) != 2 * len(keys):
        raise WireError("two of the announced keys are the same.")
    return keys


def verify_keys(keys: Mapping[SiteId, PublicKeys], local: Local, context: bytes, announced: bytes) -> None:
    """Raise WireError unless every hospital, as known here, signed its keys, and this one's are as it made them."""
    if keys[local.site].to_bytes() != announced:
        raise WireError("this hospital's own keys came back changed.")
    for site, public in keys.items():
        if site != local.site:
            public.verify(local.identity, site, context)


def pair_streams(
    site: SiteId, mask_key: bytes, others: Mapping[SiteId, bytes], session: bytes
) -> tuple[list[bytes], list[bytes]]:
    """The streams that `site` adds and those it subtracts: of a pair, the first by name adds.

    session: with the digest of the order, so that masks of hospitals that were told different orders never cancel.
    """
    added: list[bytes] = []
    subtracted: list[bytes] = []
    for other, shared in zip(others, shared_secrets(mask_key, others.values()), strict=True):
        pair = _transcript.way(session, *sorted((site, other)))
        stream = expand(shared, b"pair\n" + pair)
        (added if site < other else subtracted).append(stream)
    return added, subtracted


def self_stream(seed: bytes) -> bytes:
    """The stream of a hospital's own mask."""
    return expand(seed, b"self\n")


def commitment(seed: bytes) -> bytes:
    """32 bytes that fix a seed of full entropy and say nothing of it, so that wrong shares of it are noticed."""
    return sha256(b"wardround: seed\n" + seed).digest()


def is_signed(local: Local, site: SiteId, signature: bytes, statement: bytes) -> bool:
    try:
        local.identity.verify(site, signature, statement)
    except WireError:
        return False
    return True


def as_data(*parts: bytes) -> Payload:
    return Payload(data=np.frombuffer(b"".join(parts), np.uint8))


Accept = Callable[[SiteId, Payload], Words]
"""Takes a reply to "round" apart: its masked words, or WireError."""
